"""Long-lived work: a worker that the first request starts must not keep that request's id."""

from __future__ import annotations

import asyncio

import ctxlog
from ctxlog.propagation import run_detached
from ctxlog.propagation.queues import AsyncQueue


async def worker(jobs: AsyncQueue[str]) -> None:
    """Work on each item as an entry of its own, linked to whoever put it."""
    while True:
        handed = await jobs.receive()
        with ctxlog.entry(link=handed.snapshot, job=handed.item):
            fields = ctxlog.get_context()
            print(fields["job"], "is linked to", fields["link.request_id"])
        jobs.task_done()


async def main() -> None:
    """Two requests; the first one starts the worker, in an empty context."""
    jobs: AsyncQueue[str] = AsyncQueue()
    task = None
    for name in ("r-1", "r-2"):
        with ctxlog.entry({"x-request-id": name}):
            task = task or run_detached(asyncio.create_task, worker(jobs))
            await jobs.put(f"job of {name}")
    await jobs.join()
    if task is not None:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())

# It prints, when piped:
#
# job of r-1 is linked to r-1
# job of r-2 is linked to r-2
