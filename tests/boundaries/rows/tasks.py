"""Tasks: what asyncio carries, and where it carries too much."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.boundaries.lanes import Lane


@row("B1", "`create_task`, `gather`, `TaskGroup`")
async def task(lane: Lane) -> AsyncIterator[Any]:
    """A child task."""

    async def reading() -> Any:
        return lane.read()

    async def crossing() -> Any:
        return (await asyncio.gather(asyncio.create_task(reading())))[0]

    yield crossing


@row("B1", "a child task binds, its parent's closing line", "`operation`, `annotate`")
async def task_tells(lane: Lane) -> AsyncIterator[Any]:
    """What a child task binds does not go up."""

    async def child(name: Any) -> None:
        if name != "-":
            lane.tell(name)

    async def crossing() -> Any:
        mine = lane.read()
        with lane.bind("-") if mine != "-" else contextlib.nullcontext(), lane.unit():
            await asyncio.create_task(child(mine))
        return lane.told()

    yield crossing


@row("B2", "an awaited coroutine binds and does not unbind", "`@scope()`")
async def awaited_binds(lane: Lane) -> AsyncIterator[Any]:
    """What a callee bound must not stay with the caller."""

    async def callee() -> None:
        lane.bind_loose("callee's")

    async def crossing() -> Any:
        await lane.decorated(callee)()
        return lane.read()

    yield crossing


@row("B3", "`asyncio.wait_for`")
async def wait_for(lane: Lane) -> AsyncIterator[Any]:
    """Its coroutine, in a task of its own or not."""

    async def reading() -> Any:
        return lane.read()

    async def crossing() -> Any:
        return await asyncio.wait_for(reading(), WAIT)

    yield crossing


@row("B3", "`asyncio.wait_for` a coroutine that binds and does not unbind", "`@scope()`")
async def waited_binds(lane: Lane) -> AsyncIterator[Any]:
    """Before Python 3.12 it is a task of its own, since then it is the caller's."""

    async def callee() -> None:
        lane.bind_loose("callee's")

    async def crossing() -> Any:
        await asyncio.wait_for(lane.decorated(callee)(), WAIT)
        return lane.read()

    yield crossing


@row("B4", "a worker task made by the first request", "`run_detached`, `entry(link=…)`")
async def lazy_worker(lane: Lane) -> AsyncIterator[Any]:
    """A worker that outlives the first request must not keep its id."""
    jobs: Any = lane.AsyncQueue()
    workers: list[Any] = []

    async def work() -> None:
        while True:
            idle = lane.read()
            async with lane.areceived(jobs) as done:
                if idle != "-":
                    done.set_result(f"{idle}'s worker")
                elif not done.done():
                    done.set_result(lane.read())

    async def crossing() -> Any:
        if not workers:
            workers.append(lane.detached(asyncio.create_task, work()))
        done = asyncio.get_running_loop().create_future()
        await jobs.put(done)
        return await asyncio.wait_for(done, WAIT)

    yield crossing
    workers[0].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await workers[0]


@row("B5", "a library's timer, first armed by a request", "`run_detached`")
async def library_timer(lane: Lane) -> AsyncIterator[Any]:
    """A keep-alive that re-arms itself has no request's id."""
    found: list[Any] = []
    state: dict[str, Any] = {}

    def beat() -> None:
        found.append(lane.read())
        state["timer"] = asyncio.get_running_loop().call_later(0.001, beat)

    async def crossing() -> Any:
        mine = lane.read()
        if not state:
            lane.detached(beat)
        found.clear()
        await asyncio.sleep(0.02)
        return mine if found[-1] == "-" else f"{found[-1]}'s timer"

    yield crossing
    state["timer"].cancel()


@row("B6", "`call_soon_threadsafe` from a thread", "`threads.Thread`")
async def threadsafe(lane: Lane) -> AsyncIterator[Any]:
    """A callback that a request's thread hands to a loop."""

    async def crossing() -> Any:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def inside() -> None:
            loop.call_soon_threadsafe(lambda: done.set_result(lane.read()))

        lane.Thread(target=inside).start()
        return await asyncio.wait_for(done, WAIT)

    yield crossing


@row("B6", "`run_coroutine_threadsafe` from a thread", "`threads.Thread`")
async def coroutine_threadsafe(lane: Lane) -> AsyncIterator[Any]:
    """A coroutine that a request's thread hands to a loop."""

    async def reading() -> Any:
        return lane.read()

    async def crossing() -> Any:
        loop = asyncio.get_running_loop()
        handed: Future[Any] = Future()

        def inside() -> None:
            handed.set_result(asyncio.run_coroutine_threadsafe(reading(), loop))

        lane.Thread(target=inside).start()
        return await asyncio.wrap_future(await asyncio.wrap_future(handed))

    yield crossing


@row("B8", "a server started under a request's context", "`entry(…)`")
async def server(lane: Lane) -> AsyncIterator[Any]:
    """What a connection's handler has is its own request's, not the server's."""

    async def handle(reader: Any, writer: Any) -> None:
        name = (await reader.readline()).decode().strip()
        with lane.entry(name) if name != "-" else contextlib.nullcontext():
            found = lane.read()
        writer.write(f"{found} then {lane.read()}\n".encode())
        writer.close()

    with lane.bind("server's"):
        served = await lane.detached(
            asyncio.create_task, asyncio.start_server(handle, "127.0.0.1", 0)
        )
    port = served.sockets[0].getsockname()[1]

    async def crossing() -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{lane.read()}\n".encode())
        found = (await reader.readline()).decode().strip()
        writer.close()
        inside, _, idle = found.partition(" then ")
        return inside if idle == "-" else idle

    yield crossing
    served.close()
    await served.wait_closed()


@row("B9", "the loop's handler for a callback that failed")
async def handler_of_callback(lane: Lane) -> AsyncIterator[Any]:
    """What reports a failed callback (before 3.12: under the loop's own context)."""
    loop = asyncio.get_running_loop()
    found: list[Any] = []
    loop.set_exception_handler(_handler(lane, found))

    async def crossing() -> Any:
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.01)
        return found.pop()

    yield crossing


@row("B9", "“Task exception was never retrieved”")
async def handler_of_task(lane: Lane) -> AsyncIterator[Any]:
    """What reports a failed task nobody awaited, collected while another request runs."""
    loop = asyncio.get_running_loop()
    found: list[Any] = []
    loop.set_exception_handler(_handler(lane, found))

    async def failing() -> None:
        raise ValueError

    async def crossing() -> Any:
        failed: list[Any] = [asyncio.create_task(failing())]
        await asyncio.sleep(0.01)
        with lane.bind("other"):
            failed.clear()
            gc.collect()
        return found.pop()

    yield crossing


def _handler(lane: Lane, found: list[Any]) -> Any:
    if lane.name != "ctxlog explicit":
        return lambda _loop, _context: found.append(lane.read())
    from ctxlog.propagation.callbacks import exception_handler

    def handler(loop: Any, context: dict[str, Any]) -> None:
        loop.default_exception_handler = lambda _: found.append(lane.read())
        exception_handler(loop, context)

    return handler
