"""Queues: an item and whoever put it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.boundaries.lanes import Lane


@row("B13", "`queue.Queue` to a worker thread", "`queues.Queue`, `hand`")
def thread_queue(lane: Lane) -> Iterator[Any]:
    """A worker works under the context of whoever put the item."""
    jobs = lane.Queue()

    def work() -> None:
        while True:
            with lane.received(jobs) as done:
                if done is None:
                    return
                done.set_result(lane.read())

    worker = threading.Thread(target=work)
    worker.start()

    def crossing() -> Any:
        done: Future[Any] = Future()
        jobs.put(done)
        return done.result(WAIT)

    yield crossing
    jobs.put(None)
    worker.join(WAIT)


@row("B13", "`asyncio.Queue` to a worker task", "`queues.AsyncQueue`, `hand`")
async def async_queue(lane: Lane) -> AsyncIterator[Any]:
    """A worker task works under the context of whoever put the item."""
    jobs = lane.AsyncQueue()

    async def work() -> None:
        while True:
            async with lane.areceived(jobs) as done:
                done.set_result(lane.read())

    worker = asyncio.create_task(work())

    async def crossing() -> Any:
        done = asyncio.get_running_loop().create_future()
        await jobs.put(done)
        return await asyncio.wait_for(done, WAIT)

    yield crossing
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


@row("A17", "`QueueListener`, loguru's `enqueue=True`: formatted elsewhere", "`stamp_records()`")
def listener(lane: Lane) -> Iterator[Any]:
    """A record that is formatted on a listener's thread has the context it was logged in."""
    with lane.listener() as crossing:
        yield crossing
