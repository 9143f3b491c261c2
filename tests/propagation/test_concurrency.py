"""Many at once: no line without an id, none with another's; nothing grows, nothing hangs."""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import threading

import pytest

from benchmarks.concurrency import LINES, context_bytes, run
from ctxlog import counters, entry, get_context, scope, snapshot
from ctxlog.propagation import executors, generators


def test_tasks_pools_and_callbacks_each_with_their_own_id():
    """2,000 tasks at once, 20,000 lines a round: each has an id, that of its own task."""
    found = run(tasks=2_000, rounds=3)
    assert (0, 0, 2_000 * 3 * LINES) == (found.without, found.wrong, found.lines)


def test_a_bound_context_is_small():
    """Beyond its fields' own values a bound context costs at most a KiB."""
    assert context_bytes(500) <= 1024


def test_crossings_leave_nothing_behind():
    """What a round of crossings allocates is gone after it."""
    import gc
    import tracemalloc

    async def crossing(pool: executors.ThreadPoolExecutor, number: int) -> None:
        with entry(n=number):
            loop = asyncio.get_running_loop()
            assert number == (await loop.run_in_executor(pool, get_context))["n"]

    async def round_of(pool: executors.ThreadPoolExecutor) -> None:
        await asyncio.gather(*(crossing(pool, number) for number in range(500)))

    sizes = []
    tracemalloc.start()
    with executors.ThreadPoolExecutor(2) as pool:
        for _ in range(6):
            asyncio.run(round_of(pool))
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[-1] - sizes[1] < 64 * 1024


@pytest.mark.ctxlog(guard="off")  # the loop may close the abandoned ones itself
def test_cancelled_tasks_and_abandoned_generators():
    """Cancelled anywhere, abandoned anywhere: no exception from us, everybody's own fields."""
    rng = random.Random(4)
    errors: list[object] = []

    async def items(number: int):
        with scope(inner=number):
            for item in range(3):
                yield item
                await asyncio.sleep(0)

    async def worker(pool: executors.ThreadPoolExecutor, number: int) -> None:
        with entry(n=number):
            steps = generators.carried_async(items(number))
            async for _ in steps:
                fields = get_context()
                assert (number, False) == (fields["n"], "inner" in fields)
                if rng.random() < 0.3:
                    break  # abandoned
            found = await asyncio.get_running_loop().run_in_executor(pool, get_context)
            assert number == found["n"]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: errors.append(context))
        with executors.ThreadPoolExecutor(4) as pool:
            tasks = [asyncio.create_task(worker(pool, number)) for number in range(400)]
            for task in tasks:
                if rng.random() < 0.4:
                    await asyncio.sleep(0)
                    task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [one for one in results if isinstance(one, Exception)]
        assert [] == failed
        await loop.shutdown_asyncgens()
        assert {} == get_context()

    asyncio.run(main())
    assert [] == errors


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forks_at_any_moment():
    """While threads bind, capture, submit and log, each forked child works at once, as nobody."""
    stop = threading.Event()

    def busy(pool: executors.ThreadPoolExecutor) -> None:
        while not stop.is_set():
            with entry(a=1):
                pool.submit(get_context).result()
                snapshot().to_bytes()
                counters()

    with executors.ThreadPoolExecutor(2) as pool:
        threads = [threading.Thread(target=busy, args=(pool,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(25):
            out, into = os.pipe()
            pid = os.fork()
            if pid == 0:
                before = get_context()
                with entry(b=1):
                    data = snapshot().to_bytes()
                counters()
                os.write(into, repr((before, len(data) > 0, get_context())).encode())
                os._exit(0)
            os.close(into)
            if not select.select([out], [], [], 20)[0]:
                os.kill(pid, signal.SIGKILL)
                pytest.fail("a forked child hangs")
            assert b"({}, True, {})" == os.read(out, 1000)
            os.close(out)
            os.waitpid(pid, 0)
        stop.set()
        for thread in threads:
            thread.join(20)
