"""A stop in the middle: 8 threads and 1,000 tasks log; what was logged is written or counted."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import ctxlog
from benchmarks.faults.lines import Arrived
from benchmarks.faults.row import Row
from ctxlog.runtime import runtime
from ctxlog.sinks.queue_options import POLICIES

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS, TASKS, TIMEOUT = 8, 1_000, 2.0


class Stop(NamedTuple):
    """What came of it."""

    logged: int
    accounted: int
    arrived: Arrived
    written: int
    done: bool
    took: float
    longest: float  # of the calls that were in flight or came later


class _Load:
    """Threads and tasks that log until they are told to end."""

    def __init__(self, emit: Any) -> None:
        self.emit, self.ended = emit, Event()
        self.stopping_at = 0.0
        self.logged: dict[str, int] = {}
        self.slowest: dict[str, float] = {}

    def call(self, who: str) -> None:
        begun = monotonic()
        number = self.logged.get(who, 0)
        self.emit(who, number)
        self.logged[who] = number + 1
        now = monotonic()
        if self.stopping_at and now > self.stopping_at:
            self.slowest[who] = max(self.slowest.get(who, 0.0), now - max(begun, self.stopping_at))

    def thread(self, who: str) -> None:
        while not self.ended.is_set():
            self.call(who)
            self.ended.wait(0.0005)

    async def task(self, who: str) -> None:
        while not self.ended.is_set():
            self.call(who)
            await asyncio.sleep(0.02)

    async def tasks(self, number: int) -> None:
        await asyncio.gather(*(self.task(f"task{n}") for n in range(number)))


def run(
    policy: str,
    *,
    threads: int = THREADS,
    tasks: int = TASKS,
    seconds: float = 0.5,
    timeout: float = TIMEOUT,
) -> Stop:
    """Log, stop the queue in the middle, go on logging for a moment, and count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines")
        queue = {"policy": policy, "size": 2_000, "deadline": 0.04, "batch_seconds": 0.01}
        ctxlog.configure(level="info", renderer="json", sinks=[{"target": path, "queue": queue}])
        log = ctxlog.get_logger("stops")
        emit, pipeline = runtime.emit, runtime.pipeline
        assert pipeline is not None
        sink = pipeline.sinks[0]
        # the emit of now: calls that were in flight still have it when the stop comes
        load = _Load(lambda who, n: emit(log, 20, "line", (), {"who": who, "n": n}))
        workers = [Thread(target=load.thread, args=(f"thread{n}",)) for n in range(threads)]
        workers.append(Thread(target=lambda: asyncio.run(load.tasks(tasks))))
        for one in workers:
            one.start()
        Event().wait(seconds)
        load.stopping_at = monotonic()
        done = ctxlog.shutdown(timeout)
        took = monotonic() - load.stopping_at
        Event().wait(0.05)
        load.ended.set()
        for one in workers:
            one.join()
        counts = sink.counts()
        dropped = sum(n for name, n in counts.items() if name.startswith("dropped."))
        accounted = counts["written"] + dropped + counts["unknown"]
        longest = max(load.slowest.values(), default=0.0)
        logged = sum(load.logged.values())
        return Stop(logged, accounted, Arrived(path), counts["written"], done, took, longest)


def rows(seconds: float = 1.0) -> Iterator[Row]:
    """Try it with every policy."""
    for policy in POLICIES:
        stop = run(policy, seconds=seconds)
        figures = (
            f"{stop.logged:,} logged = {stop.accounted:,} written or counted;"
            f" {stop.arrived.whole:,} whole lines, {len(stop.arrived.torn)} torn;"
            f" shutdown took {stop.took * 1000:.0f} ms of {TIMEOUT * 1000:.0f},"
            f" the longest call {stop.longest * 1000:.0f} ms"
        )
        held = stop.logged == stop.accounted and stop.took <= TIMEOUT and stop.longest <= 0.05
        held = held and not stop.arrived.torn and not stop.arrived.doubled
        yield Row(f"{THREADS} threads and {TASKS:,} tasks, stopped: {policy}", figures, held)
