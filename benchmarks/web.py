"""The web: what the middleware with its closing line costs a request, beside the rival's pair.

    python -m benchmarks.web                 # the middleware alone, and under uvicorn
    python -m benchmarks.web --write         # and the figures into docs/reference/web.md

The rival is asgi-correlation-id with a middleware of some lines that writes one line through structlog,
set up as its documentation says for speed (orjson, bytes, cached loggers). It comes twice: writing the
same line as ctxlog, for which it binds trace ids as structlog's documentation shows; and writing less, with
no trace ids, logger or outcome. All write to /dev/null.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter, thread_time_ns
from typing import TYPE_CHECKING, Any

import ctxlog
from ctxlog.adapters import asgi, wsgi
from ctxlog.ids import new_request_id, parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "web.md"
BEGIN = "<!-- figures: begin; written by `python -m benchmarks.web --write` -->"
END = "<!-- figures: end -->"
TURNS = 100
BARE, LESS, RIVAL, OURS = "bare", "less", "rival", "ctxlog"
LANES = (BARE, LESS, RIVAL, OURS)
HEADERS = [
    (b"host", b"shop.example.org"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"x-forwarded-for", b"203.0.113.9"),
    (b"x-forwarded-proto", b"https"),
    (b"connection", b"keep-alive"),
]


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    """The application: a head and a body."""
    head = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"ok"})


def rival(*, same: bool) -> Any:
    """asgi-correlation-id and structlog, loaded in their own process alone."""
    import orjson
    import structlog
    from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
    from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars

    def add_id(_logger: Any, _method: str, event: Any) -> Any:
        found = correlation_id.get()
        if found:
            event["request_id"] = found
        return event

    structlog.configure(
        processors=[
            add_id,
            merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.BytesLoggerFactory(Path(os.devnull).open("wb")),  # noqa: SIM115 - open as long as the process
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()

    async def access(scope: Any, receive: Any, send: Any) -> None:
        """A closing line, as many services write it."""
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        status = 500

        async def remembering(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        more: dict[str, Any] = {}
        if same:
            clear_contextvars()
            parent = dict(scope["headers"]).get(b"traceparent")
            parsed = None if parent is None else parse_traceparent(parent.decode("latin-1"))
            ids = parsed or (uuid.uuid4().hex, uuid.uuid4().hex[:16], "00")
            bind_contextvars(trace_id=ids[0], span_id=ids[1], trace_flags=ids[2])
            more.update(logger="web", outcome="success")
        begun = perf_counter()
        try:
            await app(scope, receive, remembering)
        finally:
            fields = {
                "http.request.method": scope["method"],
                "url.path": scope["path"],
                "http.response.status_code": status,
                "duration_s": round(perf_counter() - begun, 6),
                **more,
            }
            log.info("request", **fields)

    return CorrelationIdMiddleware(access)


def ours() -> Any:
    """Our middleware."""
    stream = Path(os.devnull).open("wb")  # noqa: SIM115 - the same
    ctxlog.configure(stream=stream, renderer="json", structlog=False)
    return asgi.Middleware(app)


def made(lane: str) -> Any:
    """The application of a lane."""
    if lane == BARE:
        return app
    return ours() if lane == OURS else rival(same=lane == RIVAL)


# ---- the middleware alone ------------------------------------------------------------------------


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_message: Any) -> None:
    return


def asked(served: Any, *, inbound: bool) -> Callable[[], float]:
    """Return a function that serves some requests and returns the nanoseconds of one."""
    ids = [uuid.uuid4().hex.encode() for _ in range(TURNS)]

    def scope(number: int) -> dict[str, Any]:
        headers = [*HEADERS, (b"x-request-id", ids[number])] if inbound else [*HEADERS]
        return {"type": "http", "method": "GET", "path": "/orders/7", "headers": headers}

    def once() -> float:
        scopes = [scope(number) for number in range(TURNS)]
        begun = thread_time_ns()
        for each in scopes:
            try:
                served(each, _receive, _send).send(None)
            except StopIteration:
                continue
            raise AssertionError("it waits for something")
        return (thread_time_ns() - begun) / TURNS

    return once


def answer(lane: str, *, inbound: bool) -> None:
    """Serve some requests for each line of standard input, and say what one took."""
    once = asked(made(lane), inbound=inbound)
    gc.collect()
    gc.disable()
    for _ in sys.stdin:
        print(once(), flush=True)
        gc.collect()


@contextmanager
def answering(lane: str, *, inbound: bool) -> Generator[Callable[[], float]]:
    """A lane in a process of its own: a library that is loaded is one that others look after."""
    command = [sys.executable, "-m", "benchmarks.web", "--answer", lane]
    process = subprocess.Popen(  # noqa: S603 - itself
        [*command, *(["--inbound"] if inbound else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError(lane)
    asking, told = process.stdin, process.stdout

    def once() -> float:
        asking.write("\n")
        return float(told.readline())

    with process:
        yield once
        asking.close()


def alone(rounds: int, *, inbound: bool) -> dict[str, list[float]]:
    """Nanoseconds of CPU for a request by lane and round, all lanes in each round, shuffled."""
    with ExitStack() as stack:
        lanes = {lane: stack.enter_context(answering(lane, inbound=inbound)) for lane in LANES}
        taken: dict[str, list[float]] = {lane: [] for lane in lanes}
        order = list(lanes)
        for number in range(-5, rounds):
            random.shuffle(order)
            for lane in order:
                one = lanes[lane]()
                if number >= 0:
                    taken[lane].append(one)
    return taken


def wsgi_alone(rounds: int) -> float:
    """Nanoseconds that the WSGI middleware adds, by the median of rounds."""

    def bare(_environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    def start(*_: Any) -> None:
        return

    wrapped = wsgi.Middleware(bare)
    names = [(f"HTTP_{n.decode().upper().replace('-', '_')}", v.decode()) for n, v in HEADERS]
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/7", **dict(names)}

    def once(served: Any) -> float:
        environs = [dict(environ) for _ in range(TURNS)]
        begun = thread_time_ns()
        for each in environs:
            body = served(each, start)
            list(body)
            if hasattr(body, "close"):
                body.close()
        return (thread_time_ns() - begun) / TURNS

    return statistics.median(once(wrapped) - once(bare) for _ in range(rounds))


# ---- under uvicorn -------------------------------------------------------------------------------


@contextmanager
def serving(lane: str) -> Generator[tuple[int, int]]:
    """A lane's server in a process of its own: its port, and its process id."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        command = [sys.executable, "-m", "benchmarks.web", "--serve", lane]
        process = subprocess.Popen(  # noqa: S603 - itself
            [*command, "--fd", str(listening.fileno())], pass_fds=[listening.fileno()]
        )
        try:
            yield listening.getsockname()[1], process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def serve(lane: str, fd: int) -> None:
    """Serve a lane until told to stop."""
    import uvicorn

    uvicorn.run(made(lane), fd=fd, loop="uvloop", access_log=False, log_level="error")


def cpu_ns(pid: int) -> int:
    """Nanoseconds that a process has run (Linux)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


async def load(port: int, requests: int, clients: int = 8) -> None:
    """Send so many requests over kept connections, each with an id of its own."""
    head = b"".join(name + b": " + value + b"\r\n" for name, value in HEADERS)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(requests // clients):
            named = b"x-request-id: " + new_request_id().encode() + b"\r\n"
            writer.write(b"GET /orders/7 HTTP/1.1\r\n" + head + named + b"\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(clients)))


def served(rounds: int, requests: int) -> dict[str, list[float]]:
    """Nanoseconds of the server's CPU for a request, by lane and round."""
    taken: dict[str, list[float]] = {lane: [] for lane in LANES}
    with ExitStack() as stack:
        lanes = {lane: stack.enter_context(serving(lane)) for lane in LANES}
        order = list(lanes)
        for number in range(-1, rounds):
            random.shuffle(order)
            for lane in order:
                port, pid = lanes[lane]
                before = cpu_ns(pid)
                asyncio.run(load(port, requests))
                if number >= 0:
                    taken[lane].append((cpu_ns(pid) - before) / requests)
    return taken


# ---- the table -----------------------------------------------------------------------------------


def ratio(taken: dict[str, list[float]], rival: str = RIVAL) -> float:
    """What ours costs over a rival, the application's own cost taken off, by the median round."""
    rounds = zip(taken[BARE], taken[rival], taken[OURS], strict=True)
    return statistics.median((mine - bare) / (theirs - bare) for bare, theirs, mine in rounds)


def row(what: str, taken: dict[str, list[float]]) -> str:
    """A row of the table: microseconds, and the ratios."""
    cells = [f"{statistics.median(taken[lane]) / 1_000:.1f}" for lane in (BARE, OURS, RIVAL, LESS)]
    return f"| {what} | {' | '.join(cells)} | **{ratio(taken):.2f}** | {ratio(taken, LESS):.2f} |"


def report(rounds: int, requests: int) -> tuple[list[str], float]:
    """The table, and the worst ratio."""
    inbound, new = alone(rounds, inbound=True), alone(rounds, inbound=False)
    real = served(max(3, rounds // 20), requests)
    lines = [
        f"CPython {platform.python_version()}, µs a request, medians.",
        "",
        "| | no middleware | ctxlog | the pair | the pair, less | ratio | ratio to less |",
        "|---|---|---|---|---|---|---|",
        row("the middleware alone, an id inbound", inbound),
        row("the middleware alone, an id made", new),
        row("under uvicorn (uvloop), the server's CPU, an id inbound", real),
        "",
        f"The WSGI middleware adds {wsgi_alone(rounds) / 1_000:.1f} µs.",
    ]
    return lines, max(map(ratio, (inbound, new, real)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if ours costs more than the rival."""
    parser = argparse.ArgumentParser("benchmarks.web", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2_000, help="a round under uvicorn")
    parser.add_argument("--write", action="store_true", help="the figures into the docs")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    parser.add_argument("--inbound", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.answer:
        answer(options.answer, inbound=options.inbound)
        return 0
    if options.serve:
        serve(options.serve, options.fd)
        return 0
    lines, worst = report(options.rounds, options.requests)
    print("\n".join(lines))
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        tail = rest.partition(END)[2]
        PAGE.write_text("\n".join([head + BEGIN, "", *lines, "", END]) + tail, encoding="utf-8")
    return int(worst > 1)


if __name__ == "__main__":
    sys.exit(main())
