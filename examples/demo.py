"""The main job: a small HTTP service under 200 requests at once, and what its lines prove.

Every request logs in each of ``PLACES`` through each of ``DOORS``, and the middleware around the
service closes it with one line. A line says by a field that is handed on by hand (``order``) which
request wrote it; what it says by its context must agree.
Another way to write a line is one function more in ``DOORS``, another boundary one in ``PLACES``.

    python examples/demo.py
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

import ctxlog
from ctxlog.adapters import asgi
from ctxlog.adapters.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Door = Callable[[str, int], None]
    Place = Callable[["Service", Callable[[], None]], Coroutine[Any, Any, None]]
    Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
    Ids = tuple[str | None, str | None]

REQUESTS = 200
HOSTILE = (
    b"x" * 10_000,
    b'"},{"request_id":"forged',
    b"\x1b[31mred\x1b[0m",
    b"caf\xc3\xa9 \xff",
    b"two words",
)
log = ctxlog.get_logger("demo")
PRINTED = Lines("demo.printed")


# -- doors: ways to write a line ------------------------------------------------------------------


def ctxlog_logger(event: str, order: int) -> None:
    """Write with ctxlog's own logger."""
    log.info(event, order=order)


def stdlib_logger(event: str, order: int) -> None:
    """Write with the standard library's ``logging``, as most libraries do."""
    logging.getLogger("demo.stdlib").info(event, extra={"order": order})


def structlog_logger(event: str, order: int) -> None:
    """Write with structlog, which nobody configured: its loggers write through our pipeline."""
    structlog.get_logger("demo.structlog").info(event, order=order)


def printed(event: str, order: int) -> None:
    """Print: a file object turns lines into events, with the fields of those that are JSON."""
    print(json.dumps({"event": event, "order": order}), file=PRINTED)


DOORS: list[Door] = [ctxlog_logger, stdlib_logger, structlog_logger, printed]


# -- places: where a request's work may be when it writes ------------------------------------------


async def task(_: Service, write: Callable[[], None]) -> None:
    """Write in a task of its own; asyncio carries the context."""

    async def work() -> None:
        await asyncio.sleep(0)
        write()

    await asyncio.create_task(work())


async def to_thread(_: Service, write: Callable[[], None]) -> None:
    """Write in a thread; asyncio carries the context here too."""
    await asyncio.to_thread(write)


async def loop_callback(_: Service, write: Callable[[], None]) -> None:
    """Write in a callback of the event loop; it keeps the context it was registered in."""
    done = asyncio.Event()

    def callback() -> None:
        write()
        done.set()

    asyncio.get_running_loop().call_soon(callback)
    await done.wait()


async def pool_job(service: Service, write: Callable[[], None]) -> None:
    """Write in a thread pool's job; Python carries nothing, ``ctxlog.wrap`` does."""
    await asyncio.wrap_future(service.pool.submit(service.wrap(write)))


async def pool_done_callback(service: Service, write: Callable[[], None]) -> None:
    """Write when a pool's job is done, on whichever thread that is; carried by ``ctxlog.wrap``."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def callback(_: Future[int]) -> None:
        write()
        loop.call_soon_threadsafe(done.set)

    service.pool.submit(sum, (1, 2)).add_done_callback(service.wrap(callback))
    await done.wait()


async def worker(service: Service, write: Callable[[], None]) -> None:
    """Write in a worker that the first request started: it has *that* request's context."""
    done = asyncio.Event()
    await service.jobs.put((service.wrap(write), done))
    if service.worker is None:
        service.worker = asyncio.create_task(service.work())
    await done.wait()


PLACES: list[Place] = [task, to_thread, loop_callback, pool_job, pool_done_callback, worker]


# -- the service -----------------------------------------------------------------------------------


class Service:
    """Answers a request once all of them have arrived, so that they are under way at once."""

    def __init__(self, wrap: Wrap, requests: int) -> None:
        self.wrap = wrap
        self.pool = ThreadPoolExecutor(8)
        self.jobs: asyncio.Queue[tuple[Callable[[], None], asyncio.Event]] = asyncio.Queue()
        self.worker: asyncio.Task[None] | None = None
        self.all_here = asyncio.Barrier(requests)
        self.app = asgi.Middleware(self.serve)

    async def work(self) -> None:
        """Run queued jobs for ever."""
        while True:
            job, done = await self.jobs.get()
            job()
            done.set()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be a server: hand one request to the application, write its answer."""
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = [line.partition(b":")[::2] for line in rest if line]
        method, path, _ = first.decode().split()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.lower(), value.strip()) for name, value in headers],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                head = b"".join(b"%s: %s\r\n" % pair for pair in message["headers"])
                writer.write(b"HTTP/1.1 %d -\r\n%s\r\n" % (message["status"], head))

        await self.app(scope, receive, send)
        writer.close()

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Be the application: the middleware has made the ids, the answer gets the trace's too."""
        order = int(scope["path"].rpartition("/")[2])
        await self.handle(order)
        ctxlog.annotate(order=order)
        answer: list[tuple[bytes, bytes]] = [(b"content-length", b"0")]
        ctxlog.inject(answer)
        await send({"type": "http.response.start", "status": 204, "headers": answer})
        await send({"type": "http.response.body"})

    async def handle(self, order: int) -> None:
        """Write in every place through every door, all at once."""
        await self.all_here.wait()
        async with asyncio.TaskGroup() as group:
            for place in PLACES:
                for door in DOORS:
                    group.create_task(place(self, partial(door, event_of(place), order)))


def event_of(place: Place) -> str:
    """Return what a place's lines say."""
    return place.__name__.replace("_", " ")


# -- the requests ----------------------------------------------------------------------------------


def id_sent(order: int) -> bytes | None:
    """Return the X-Request-ID of a request: a tenth has none, a tenth a hostile one."""
    if order % 10 == 8:
        return None
    if order % 10 == 9:
        return HOSTILE[order // 10 % len(HOSTILE)]
    return f"req-{order:03d}".encode()


async def request(port: int, order: int) -> Ids:
    """Send one request and return the request id and the trace id of its answer."""
    sent = id_sent(order)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"" if sent is None else b"X-Request-ID: " + sent + b"\r\n"
    writer.write(b"GET /orders/%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (order, head))
    lines = (await reader.read()).decode().split("\r\n")
    writer.close()
    answer = dict(line.split(": ", 1) for line in lines if ": " in line)
    trace_id = answer["traceparent"].split("-")[1] if "traceparent" in answer else None
    return answer.get("x-request-id"), trace_id


async def run(wrap: Wrap, requests: int) -> list[Ids]:
    """Start the service on a free port, send it all requests at once, return their ids."""
    service = Service(wrap, requests)
    server = await asyncio.start_server(service.connection, "127.0.0.1", 0, backlog=requests)
    port = server.sockets[0].getsockname()[1]
    with service.pool:
        async with asyncio.timeout(60):
            ids = await asyncio.gather(*(request(port, order) for order in range(requests)))
    server.close()
    if service.worker is not None:
        service.worker.cancel()
    return ids


# -- the proof -------------------------------------------------------------------------------------


def verify(lines: list[str], ids: list[Ids]) -> dict[str, int]:
    """Parse every line and compare its ids with those of the request that wrote it."""
    found: Counter[str] = Counter()
    owners = Counter(request_id for request_id, _ in ids)
    for order, (request_id, _) in enumerate(ids):
        sent = id_sent(order)
        trusted = sent is not None and sent not in HOSTILE
        found["answers with a wrong id"] += (
            request_id is None
            or owners[request_id] > 1
            or (request_id.encode() == sent) is not trusted
        )
    left = Counter({(n, event_of(p)): len(DOORS) for n in range(len(ids)) for p in PLACES})
    left.update((n, "request") for n in range(len(ids)))  # the middleware's
    for line in map(json.loads, lines):
        left[line["order"], line["event"]] -= 1
        have = (line.get("request_id"), line.get("trace_id"))
        if None in have:
            found["lines without an id"] += 1
        elif have != ids[line["order"]]:
            found["lines with another request's id"] += 1
    return {
        "requests": len(ids),
        "lines": len(lines),
        "lines lost or doubled": sum(map(abs, left.values())),
        "lines without an id": found["lines without an id"],
        "lines with another request's id": found["lines with another request's id"],
        "answers with a wrong id": found["answers with a wrong id"],
    }


def main(wrap: Wrap = ctxlog.wrap, requests: int = REQUESTS) -> int:
    """Run it, print some lines and what was verified; 1 if anything is not as it must be."""
    written = io.BytesIO()
    ctxlog.configure(renderer="json", stream=written)
    ids = asyncio.run(run(wrap, requests))
    ctxlog.shutdown()
    lines = written.getvalue().decode().splitlines()

    print(f"what request {requests // 2} wrote:\n")
    print("\n".join(line for line in lines if json.loads(line)["order"] == requests // 2))
    print("\nverified, by parsing every line:\n")
    verified = verify(lines, ids)
    for what, number in verified.items():
        print(f"{what:32}{number:6}")
    return int(any(list(verified.values())[2:]))


if __name__ == "__main__":
    sys.exit(main())
