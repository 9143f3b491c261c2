"""Entry and carriers: one request through two services, one request id, one trace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import ctxlog

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

log = ctxlog.get_logger("shop")
STORE: list[int] = []  # the second service's port


def headers_of(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request as pairs, as ASGI has them."""
    lines = head.split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b":") for line in lines)]


async def call(port: int, headers: dict[str, str]) -> str:
    """Send a request to a service of this machine and return the first line of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
    answer = await reader.readline()
    writer.close()
    return answer.decode().strip()


async def answer(writer: StreamWriter, status: str) -> None:
    """Answer and close."""
    writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
    await writer.drain()
    writer.close()


async def store(reader: StreamReader, writer: StreamWriter) -> None:
    """Continue the caller's ids: they are in its headers."""
    with ctxlog.entry(headers_of(await reader.readuntil(b"\r\n\r\n")), service="store"):
        log.info("stored")
        await answer(writer, "204 No Content")


async def front(reader: StreamReader, writer: StreamWriter) -> None:
    """Start from the caller's ids if they are there and valid, else from new ones."""
    with ctxlog.entry(headers_of(await reader.readuntil(b"\r\n\r\n")), service="front"):
        log.info("accepted")
        outgoing: dict[str, str] = {}
        ctxlog.inject(outgoing)
        status = await call(STORE[0], outgoing)
        log.info("answered", status=status)
        await answer(writer, "200 OK")


async def run() -> None:
    """Start both services and send three requests: with an id, without, and a hostile one."""
    servers = [await asyncio.start_server(serve, "127.0.0.1", 0) for serve in (store, front)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    STORE.append(ports[0])
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await call(ports[1], {"X-Request-ID": "r-1", "traceparent": trace})
    await call(ports[1], {})
    await call(ports[1], {"X-Request-ID": 'r-3","level":"error'})
    for server in servers:
        server.close()


def main() -> None:
    """Run it."""
    ctxlog.configure()
    asyncio.run(run())


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"timestamp":"2026-11-21T11:16:14.069283Z","level":"info","logger":"shop","event":"accepted","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01","request_id":"r-1","service":"front"}
# {"timestamp":"2026-11-21T11:16:14.069675Z","level":"info","logger":"shop","event":"stored","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01","request_id":"r-1","service":"store"}
# {"timestamp":"2026-11-21T11:16:14.069795Z","level":"info","logger":"shop","event":"answered","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01","request_id":"r-1","service":"front","status":"HTTP/1.1 204 No Content"}
# {"timestamp":"2026-11-21T11:16:14.070223Z","level":"info","logger":"shop","event":"accepted","trace_id":"7f50db0749a5b5df692b42891eafcdd1","span_id":"251dbf3d7e711a7a","trace_flags":"00","request_id":"a1d18fc2bfff42e8bb5d989854b4d5b8","service":"front"}
# {"timestamp":"2026-11-21T11:16:14.070509Z","level":"info","logger":"shop","event":"stored","trace_id":"7f50db0749a5b5df692b42891eafcdd1","span_id":"251dbf3d7e711a7a","trace_flags":"00","request_id":"a1d18fc2bfff42e8bb5d989854b4d5b8","service":"store"}
# {"timestamp":"2026-11-21T11:16:14.070605Z","level":"info","logger":"shop","event":"answered","trace_id":"7f50db0749a5b5df692b42891eafcdd1","span_id":"251dbf3d7e711a7a","trace_flags":"00","request_id":"a1d18fc2bfff42e8bb5d989854b4d5b8","service":"front","status":"HTTP/1.1 204 No Content"}
# {"timestamp":"2026-11-21T11:16:14.070968Z","level":"info","logger":"shop","event":"accepted","trace_id":"655a28fc960dbc8e709ce54417c34583","span_id":"e9e49a057520c05a","trace_flags":"00","request_id":"c643966a337540df95daa79c4d0fa56c","service":"front"}
# {"timestamp":"2026-11-21T11:16:14.071203Z","level":"info","logger":"shop","event":"stored","trace_id":"655a28fc960dbc8e709ce54417c34583","span_id":"e9e49a057520c05a","trace_flags":"00","request_id":"c643966a337540df95daa79c4d0fa56c","service":"store"}
# {"timestamp":"2026-11-21T11:16:14.071294Z","level":"info","logger":"shop","event":"answered","trace_id":"655a28fc960dbc8e709ce54417c34583","span_id":"e9e49a057520c05a","trace_flags":"00","request_id":"c643966a337540df95daa79c4d0fa56c","service":"front","status":"HTTP/1.1 204 No Content"}
