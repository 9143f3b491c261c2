"""Servers: a real uvicorn on loopback, and what a connection keeps of its requests."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import socket
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, row

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from tests.boundaries.lanes import Lane

MIDDLEWARE = "`asgi.Middleware`"
#: Of a body: more than uvicorn reads ahead, so that it stops reading and a request resumes it.
LARGE = 300_000


@contextlib.asynccontextmanager
async def serving(app: Any, context: contextvars.Context | None = None) -> AsyncGenerator[int]:
    """A uvicorn on a port of its own, started under ``context``."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", http="h11"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        serve = server.serve(sockets=[listening])
        task = asyncio.create_task(serve, context=context or contextvars.Context())
        try:
            async with asyncio.timeout(WAIT):
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.005)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, WAIT)


@contextlib.contextmanager
def told(name: str, tell: Callable[[logging.LogRecord], object]) -> Any:
    """Tell a function of what a server logs."""
    logger = logging.getLogger(name)
    handler = logging.Handler()
    handler.emit = tell  # type: ignore[method-assign, assignment]
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def answering(lane: Lane) -> Any:
    """An application that reads the body and answers with what a line of it would have."""

    async def app(_: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        body = str(lane.read()).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return lane.asgi(app)


async def asked(client: Any, name: str, body: bytes = b"") -> str:
    """Ask over a connection; return what was answered."""
    answer = await client.ask("/", None if name == "-" else name, body)
    text: str = answer.body.decode()
    return text


@row("B7", "uvicorn: a connection's next request, after a large one", MIDDLEWARE)
async def next_request(lane: Lane) -> AsyncIterator[Any]:
    """The next request of a connection has no name: it must not have the last one's."""
    from tests.adapters.web.serving import Client

    async with serving(answering(lane)) as port:

        async def crossing() -> Any:
            client = await Client.to(port)
            found = await asked(client, lane.read(), b"b" * LARGE)
            following = await asked(client, "-")
            await client.close()
            return found if following == "-" else f"{following}'s next request"

        yield crossing


@row("B7", "uvicorn: its own line between two requests", MIDDLEWARE)
async def between_requests(lane: Lane) -> AsyncIterator[Any]:
    """What a server says of a connection that no request is in is nobody's."""
    from tests.adapters.web.serving import Client

    lines: list[Any] = []
    with told("uvicorn.error", lambda line: lines.append((line.getMessage(), lane.read()))):
        async with serving(answering(lane)) as port:

            async def crossing() -> Any:
                client = await Client.to(port)
                found = await asked(client, lane.read(), b"b" * LARGE)
                client.writer.write(b"nonsense\r\n\r\n")
                assert (await client.read()).status == 400
                await client.close()
                said = [had for line, had in lines if "Invalid HTTP" in line]
                lines.clear()
                return found if said == ["-"] else f"{said[0]}'s connection"

            yield crossing


@row("B8", "uvicorn, started under a context that has something", MIDDLEWARE)
async def started_under(lane: Lane) -> AsyncIterator[Any]:
    """A request has its own, and one without a name nothing, whatever the server was started under."""
    from tests.adapters.web.serving import Client

    with lane.bind("start-up's"):
        context = contextvars.copy_context()
    async with serving(answering(lane), context) as port:

        async def crossing() -> Any:
            client = await Client.to(port)
            found = await asked(client, lane.read())
            await client.close()
            return found

        yield crossing


@row("C3", "uvicorn: its own line about an exception", MIDDLEWARE)
async def server_line(lane: Lane) -> AsyncIterator[Any]:
    """The server logs what left the application, after all middleware."""
    from tests.adapters.web.serving import Client

    async def failing(*_: Any) -> None:
        raise LookupError

    found: list[Any] = []

    def tell(line: logging.LogRecord) -> None:
        if line.exc_info and line.exc_info[1]:
            found.append(lane.read_raised(line.exc_info[1]))

    with told("uvicorn.error", tell):
        async with serving(lane.asgi(failing)) as port:

            async def crossing() -> Any:
                client = await Client.to(port)
                mine = lane.read()
                assert (await client.ask("/", None if mine == "-" else mine)).status == 500
                await client.close()
                return found.pop()

            yield crossing


@row("C4", "uvicorn: a stream of events whose client leaves", MIDDLEWARE)
async def events(lane: Lane) -> AsyncIterator[Any]:
    """What the stream says when it ends, after the client is gone."""
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    found: asyncio.Queue[Any] = asyncio.Queue()

    async def stream() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.001)
        finally:
            found.put_nowait(lane.read())

    async def endpoint(_: Any) -> Any:
        return StreamingResponse(stream(), media_type="text/event-stream")

    async with serving(lane.starlette(Starlette(routes=[Route("/", endpoint)]))) as port:

        async def crossing() -> Any:
            mine = lane.read()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            named = "" if mine == "-" else f"X-Request-ID: {mine}\r\n"
            writer.write(f"GET / HTTP/1.1\r\nHost: x\r\n{named}\r\n".encode())
            await reader.readuntil(b"tick")
            writer.transport.abort()
            return await asyncio.wait_for(found.get(), WAIT)

        yield crossing
