"""Each policy with a sink that blocks, raises, fills up, is slow or dies: the sum is exact."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from threading import Event, Thread, get_ident
from time import sleep
from typing import TYPE_CHECKING, Any

from benchmarks.faults.row import Row
from ctxlog.sinks.call import CallSink
from ctxlog.sinks.file import FileSink
from ctxlog.sinks.native import Condition
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_levels import LevelQueueSink
from ctxlog.sinks.queue_options import POLICIES, QueueOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from ctxlog.sinks.sink import Sink

FAULTS = ("blocks", "raises", "fills up", "is slow", "dies")
SIZE, THREADS, LINES, STOP = 64, 4, 2_000, 0.5


class Waits(Condition):
    """A condition that notes what each thread but the writer asked to wait for."""

    def __init__(self, queue: QueueSink) -> None:
        super().__init__(queue.guard)
        self._queue = queue
        self.asked: dict[int, list[float | None]] = {}

    def wait(self, timeout: float | None = None) -> bool:
        """Note it, and wait."""
        self.asked.setdefault(get_ident(), []).append(timeout)
        return super().wait(timeout)


class Outcome(dict[str, int]):
    """The counters of one queue after it was stopped, and what was found besides."""

    logged: int
    longest: float  # the longest time a call asked to wait for

    @property
    def accounted(self) -> int:
        """Written, dropped for any reason, or unknown."""
        names = [name for name in self if name.startswith("dropped.") or name == "unknown"]
        return self["written"] + sum(self[name] for name in names)


def faulty(fault: str, released: Event) -> Sink:
    """Return a sink with a fault; ``released`` ends what blocks."""
    calls = itertools.count(1)

    def raises(_: str) -> None:
        if next(calls) % 3:
            raise OSError("it does not work")

    def dies(_: str) -> None:
        if not next(calls) % 50:
            raise SystemExit

    targets: dict[str, Callable[[str], object]] = {
        "blocks": lambda _: released.wait(),
        "raises": raises,
        "is slow": lambda _: sleep(0.0005),
        "dies": dies,
    }
    return FileSink("/dev/full") if fault == "fills up" else CallSink(targets[fault])


def run(policy: str, fault: str, *, threads: int = THREADS, lines: int = LINES) -> Outcome:
    """Log from several threads into a faulty sink, stop, and return what was counted."""
    released = Event()
    options = QueueOptions(
        size=SIZE, policy=policy, deadline=0.001, batch_seconds=0.0, retries=1, retry_seconds=0.0
    )
    kind = LevelQueueSink if policy == "drop-below-level-first" else QueueSink
    queue = kind(faulty(fault, released), options)
    waits = queue.changed = Waits(queue)

    def log() -> None:
        for number in range(lines):
            queue.write_at(b"{}\n", 40 if number % 4 == 0 else 20)

    writers = [Thread(target=log) for _ in range(threads)]
    with _quiet():
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        asked = [seconds for one in writers for seconds in waits.asked.get(one.ident or 0, [])]
        queue.stop(STOP)
        released.set()
        queue.close()
    outcome = Outcome(queue.counts())
    outcome.logged = threads * lines
    outcome.longest = max((float("inf") if one is None else one for one in asked), default=0.0)
    return outcome


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Lines that a sink failed to write go to the original standard error: elsewhere, here."""
    before: Any = sys.__stderr__
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        sys.__stderr__ = nowhere  # type: ignore[misc]
        try:
            yield
        finally:
            sys.__stderr__ = before  # type: ignore[misc]


def rows(lines: int = LINES) -> Iterator[Row]:
    """Try every policy with every fault."""
    for policy, fault in itertools.product(POLICIES, FAULTS):
        outcome = run(policy, fault, lines=lines)
        parts = {
            name.removeprefix("dropped."): number
            for name, number in outcome.items()
            if number and name not in {"retried", "notices", "restarts", "failed", "depth"}
        }
        told = " + ".join(f"{number:,} {name}" for name, number in parts.items())
        held = outcome.logged == outcome.accounted and not outcome["depth"]
        held = held and outcome.longest <= 0.001
        extra = (
            f"; longest wait asked for {outcome.longest * 1000:.0f} ms" if outcome.longest else ""
        )
        yield Row(f"{policy}, a sink that {fault}", f"{outcome.logged:,} = {told}{extra}", held)
