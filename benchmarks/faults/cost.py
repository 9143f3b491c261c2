"""What a call costs through the queue, beside the same call without."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import ctxlog
from benchmarks.faults.row import Row
from benchmarks.measure import ratios, spread

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

ROUNDS, CALLS, SIZE = 150, 800, 100_000
#: The promise of the issue.
MOST = 0.8


def rows(rounds: int = ROUNDS) -> Iterator[Row]:
    """Measure with a file, a pipe that is read and, where a write costs least, ``/dev/null``."""
    with tempfile.TemporaryDirectory() as folder, _reader() as pipe:
        targets: dict[str, object] = {
            "a file": Path(folder, "lines"),
            "a pipe that another process reads": pipe,
            "/dev/null": Path("/dev/null"),
        }
        for name, target in targets.items():
            direct, queued = _measure(target, rounds)
            ratio = spread(ratios(queued, direct))
            figures = (
                f"{spread(queued).median:,.0f} ns beside {spread(direct).median:,.0f} ns direct:"
                f" {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
            )
            what = f"a call through the queue, 3 fields, into {name}"
            yield Row(what, figures, ratio.median <= MOST)


@contextmanager
def _reader() -> Generator[object]:
    """Give a pipe, and read it elsewhere: standard output as a container has it."""
    code = "import sys\nwhile sys.stdin.buffer.raw.read(65536): pass"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:  # noqa: S603 - our own code
        yield process.stdin


def _measure(target: object, rounds: int) -> tuple[list[float], list[float]]:
    """Return nanoseconds a call by round, direct and queued, in turn; all lines are written."""
    lanes = {"direct": None, "queued": {"size": SIZE, "batch_seconds": 0.02}}
    times: dict[str, list[float]] = {name: [] for name in lanes}
    order, shuffle = list(lanes), random.Random(5).shuffle
    log = ctxlog.get_logger("bench")
    for number in range(-5, rounds):
        shuffle(order)
        for name in order:
            ctxlog.configure(
                level="info", renderer="json", sinks=[{"target": target, "queue": lanes[name]}]
            )
            log.info("started")  # the thread is there: what is measured is the steady state
            ctxlog.flush()
            gc.collect()
            before = _dropped()
            taken = _timed(log)
            if not ctxlog.flush(30.0) or _dropped() != before:
                raise AssertionError(ctxlog.counters())
            if number >= 0:
                times[name].append(taken / CALLS)
    ctxlog.shutdown()
    return times["direct"], times["queued"]


def _dropped() -> int:
    return sum(number for name, number in ctxlog.counters().items() if name.startswith("dropped."))


def _timed(log: Any) -> int:
    begun = perf_counter_ns()
    for _ in range(CALLS):
        log.info("accepted", items=3, user="bob", ok=True)
    return perf_counter_ns() - begun
