"""A backlog that a stop finds: 8 threads and 1,000 tasks log into a sink that is stuck, or slow.

Whoever waits for room is to come back when the stop comes, and nobody is to wait from then on: that
is read off what the calls wait on, not off a clock.
"""

from __future__ import annotations

import asyncio
from itertools import count, product
from threading import Event, Thread, get_ident
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.faults.policies import Waits
from benchmarks.faults.row import Row
from ctxlog.counting import counted
from ctxlog.sinks.call import CallSink
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_levels import LevelQueueSink
from ctxlog.sinks.queue_options import POLICIES, QueueOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

SINKS = ("stuck", "slow")
THREADS, TASKS, SIZE, STOP = 8, 1_000, 500, 0.25
#: Of a call: it would wait so long, if the stop did not come.
DEADLINE = 600.0
#: Seconds that a stop may take longer: the machine has two cores, and 1,008 at work on them.
_SLACK = 0.1
_LATER = 20  # calls of each thread after the stop


class Backlog(NamedTuple):
    """What came of it."""

    logged: int
    counts: dict[str, int]
    waited: int  # calls that waited for room before the stop
    late: int  # calls that waited once the stop had begun
    took: float  # seconds, of the stop
    longest: float  # seconds, of a call from the stop on

    @property
    def accounted(self) -> int:
        """Written, dropped for any reason, or unknown."""
        dropped = sum(n for name, n in self.counts.items() if name.startswith("dropped."))
        return self.counts["written"] + dropped + self.counts["unknown"]


class _Waits(Waits):
    """Notes, too, who begins to wait when a stop is under way."""

    def __init__(self, queue: QueueSink) -> None:
        super().__init__(queue)
        self.stopper = 0
        self.late = count()

    def wait(self, timeout: float | None = None) -> bool:
        """Note it, and wait."""
        if self._queue.room == 0 and get_ident() not in (self.stopper, self._queue._writer()):  # noqa: SLF001
            next(self.late)
        return super().wait(timeout)


class _Load:
    """Threads and tasks that log until they are told to end, and then a little more."""

    def __init__(self, queue: QueueSink) -> None:
        self.queue, self.ended = queue, Event()
        self.logged = count()
        self.stopped_at = 0.0
        self.longest: dict[int, float] = {}

    def call(self, number: int) -> None:
        begun = monotonic()
        next(self.logged)
        self.queue.write_at(b"{}\n", 40 if number % 4 == 0 else 20)
        if self.stopped_at:
            took = monotonic() - max(begun, self.stopped_at)
            me = get_ident()
            self.longest[me] = max(self.longest.get(me, 0.0), took)

    def thread(self) -> None:
        number = 0
        while not self.ended.wait(0.0005):
            number += 1
            self.call(number)
        for later in range(_LATER):
            self.call(later)

    async def task(self, number: int) -> None:
        while not self.ended.is_set():
            self.call(number)
            await asyncio.sleep(0.02)
        self.call(number)

    async def tasks(self, number: int) -> None:
        await asyncio.gather(*(self.task(one) for one in range(number)))


def run(policy: str, sink: str, *, threads: int = THREADS, tasks: int = TASKS) -> Backlog:
    """Log until the queue is full, stop it, go on logging for a moment, and count."""
    released = Event()

    def write(_: str) -> None:
        released.wait(None if sink == "stuck" else 0.001)

    options = QueueOptions(size=SIZE, policy=policy, deadline=DEADLINE, batch_seconds=0.0)
    kind = LevelQueueSink if policy == "drop-below-level-first" else QueueSink
    queue = kind(CallSink(write), options)
    waits = queue.changed = _Waits(queue)
    load = _Load(queue)
    workers = [Thread(target=load.thread) for _ in range(threads)]
    workers.append(Thread(target=lambda: asyncio.run(load.tasks(tasks))))
    for one in workers:
        one.start()
    waits_for_room = policy == "block-until-deadline"
    while not (waits.asked if waits_for_room else _is_behind(queue, load)):
        Event().wait(0.001)
    waits.stopper = get_ident()
    load.stopped_at = monotonic()
    queue.stop(STOP)
    took = monotonic() - load.stopped_at
    load.ended.set()
    for one in workers:
        one.join()
    released.set()
    queue.close()
    waited = sum(len(asked) for who, asked in waits.asked.items() if who != waits.stopper)
    longest = max(load.longest.values(), default=0.0)
    logged = counted(load.logged)
    return Backlog(logged, queue.counts(), waited, counted(waits.late), took, longest)


def _is_behind(queue: QueueSink, load: _Load) -> bool:
    return queue.depth >= SIZE or counted(load.logged) >= 4 * SIZE


def rows() -> Iterator[Row]:
    """Try every policy with both sinks."""
    for policy, sink in product(POLICIES, SINKS):
        found = run(policy, sink)
        parts = {
            name.removeprefix("dropped."): number
            for name, number in found.counts.items()
            if number and (name in {"written", "unknown"} or name.startswith("dropped."))
        }
        told = " + ".join(f"{number:,} {name}" for name, number in parts.items())
        figures = (
            f"{found.logged:,} logged = {told}; {found.waited:,} calls waited for room,"
            f" {found.late} once the stop had begun; it took {found.took * 1000:.0f} ms of"
            f" {STOP * 1000:.0f}, the longest call {found.longest * 1000:.0f} ms"
        )
        held = found.logged == found.accounted and not found.late and not found.counts["depth"]
        held = held and found.took <= STOP + _SLACK
        what = f"{THREADS} threads and {TASKS:,} tasks, a sink that is {sink}, stopped: {policy}"
        yield Row(what, figures, held and found.longest <= 0.05)
