"""Concurrency: many tasks at once, each with an id of its own, across a pool and a callback.

    python -m benchmarks.concurrency                 # 100,000 tasks, a million lines, ten rounds
    python -m benchmarks.concurrency --write         # and the figures into docs/reference/concurrency.md
    python -m benchmarks.concurrency --tasks 1000 --rounds 2
    python -m benchmarks.concurrency --costs         # what a context and a job cost, no tasks

Every line is read back: it must have an id, and that of its own task.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import tracemalloc
from concurrent import futures
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

import orjson

import ctxlog
from ctxlog.propagation import executors

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "concurrency.md"
BEGIN = "<!-- figures: begin; written by `python -m benchmarks.concurrency --write` -->"
END = "<!-- figures: end -->"
BEGIN_COSTS = "<!-- costs: begin; written by `python -m benchmarks.concurrency --costs --write` -->"
END_COSTS = "<!-- costs: end -->"
LINES = 10  # of one task
KIB = 1024
_TRIP = "`submit().result()` with context; without it takes {:.1f} µs"
log = ctxlog.get_logger("benchmarks.concurrency")


@dataclass
class Checked:
    """A stream that reads each line back and keeps none."""

    lines: int = 0
    without: int = 0
    wrong: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, text: str | bytes) -> None:
        """Check one line, or several."""
        for line in text.splitlines():
            event = orjson.loads(line)
            with self.lock:
                self.lines += 1
                if "request_id" not in event:
                    self.without += 1
                elif event["request_id"] != f"r-{event['n']}":
                    self.wrong += 1

    def flush(self) -> None:
        """Nothing is kept."""


async def work(number: int, start: asyncio.Event, pool: futures.Executor) -> None:
    """One task: ten lines, in the task, in a pool's thread, in a callback, and after them."""
    loop = asyncio.get_running_loop()
    with ctxlog.entry({"x-request-id": f"r-{number}"}):
        await start.wait()  # until all are there
        log.info("accepted", n=number)
        log.info("begun", n=number)
        await loop.run_in_executor(pool, in_pool, number)
        called = loop.create_future()
        loop.call_soon(in_callback, number, called)
        await called
        with ctxlog.scope(step="last"):
            log.info("ending", n=number)
            await asyncio.sleep(0)
            log.info("ended", n=number)


def in_pool(number: int) -> None:
    """The job: three lines, and a field that must not stay."""
    log.info("in the pool", n=number)
    ctxlog.bind_context(request_id_of_job=number)
    log.info("still", n=number)
    log.info("done there", n=number)


def in_callback(number: int, called: asyncio.Future[None]) -> None:
    """The callback: three lines."""
    for event in ("called", "called back", "calling done"):
        log.info(event, n=number)
    called.set_result(None)


async def all_at_once(tasks: int, pool: futures.Executor) -> None:
    """Run so many tasks concurrently: none goes on before all have begun."""
    start = asyncio.Event()
    running = [asyncio.create_task(work(number, start, pool)) for number in range(tasks)]
    await asyncio.sleep(0)
    start.set()
    await asyncio.gather(*running)


def trim() -> None:
    """Give back to the system what the C allocator holds free (glibc)."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def resident() -> int:
    """Bytes of memory resident now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4 * KIB


@dataclass(frozen=True)
class Run:
    """What a run found."""

    tasks: int
    rounds: int
    lines: int
    without: int
    wrong: int
    seconds: float
    growth: int  # bytes resident, from the end of the first round to the end of the last


def run(tasks: int, rounds: int) -> Run:
    """Run all rounds in this process."""
    stream = Checked()
    ctxlog.configure(stream=stream, renderer="json", level="info")
    sizes: list[int] = []
    begun = perf_counter()
    with executors.ThreadPoolExecutor(8) as pool:
        for _ in range(rounds):
            asyncio.run(all_at_once(tasks, pool))
            gc.collect()
            trim()
            sizes.append(resident())
            if sys.stderr.isatty():
                sys.stderr.write(f"{stream.lines:,} lines, {sizes[-1] / KIB / KIB:.1f} MiB\n")
    seconds = perf_counter() - begun
    ctxlog.shutdown()
    growth = sizes[-1] - sizes[0]
    return Run(tasks, rounds, stream.lines, stream.without, stream.wrong, seconds, growth)


def run_apart(tasks: int, rounds: int) -> Run:
    """Run all rounds in a process of its own, its memory straight from the C allocator.

    CPython's own pools keep memory for its kind of object and give little back: they grow by some
    MiB over the rounds with or without ctxlog. What we mean to see is what is kept.
    """
    command = [sys.executable, "-m", "benchmarks.concurrency", "--run"]
    done = subprocess.run(  # noqa: S603 - itself
        [*command, "--tasks", str(tasks), "--rounds", str(rounds)],
        # one arena: glibc would give each thread its own, and keep them
        env={**os.environ, "PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Run(**json.loads(done.stdout))


def context_bytes(contexts: int = 2_000) -> float:
    """Bytes that one bound context costs beyond its fields' own values: 5 fields, in an entry."""
    values = {f"field_{number}": f"value {number}" for number in range(5)}
    kept: list[Any] = []
    with ctxlog.entry():
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(contexts):
            with ctxlog.scope(values):
                kept.append(ctxlog.snapshot())
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return (after - before) / len(kept)


def round_trips(rounds: int = 100, turns: int = 200) -> tuple[float, float]:
    """How much longer ``submit().result()`` takes (a ratio), and what it takes without (ns).

    On one core: with several it is the system's choice of where to wake the worker that is
    measured, and one trip may take seven times as long as the next.
    """
    plain, ours = futures.ThreadPoolExecutor, executors.ThreadPoolExecutor
    order, added, floors = [plain, ours], [], []
    with one_core(), contextlib.ExitStack() as stack:
        pools = {kind: stack.enter_context(kind(1)) for kind in order}
        stack.enter_context(ctxlog.entry(a=1, b=2))
        for _ in range(rounds):
            order.reverse()
            taken = {kind: _trip(pools[kind], turns) for kind in order}
            added.append(taken[ours] - taken[plain])
            floors.append(taken[plain])
    floor = statistics.median(floors)
    return 1 + statistics.median(added) / floor, floor


def _trip(pool: futures.Executor, turns: int) -> float:
    taken = []
    for _ in range(turns):
        begun = perf_counter_ns()
        pool.submit(int).result()
        taken.append(perf_counter_ns() - begun)
    return statistics.median(taken)


@contextlib.contextmanager
def one_core() -> Generator[None]:
    """Keep to one core, where the system lets us."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if cores is not None:
        os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)


def submits(rounds: int = 60, turns: int = 300) -> float:
    """Nanoseconds that a ``submit`` takes longer, the worker being busy elsewhere."""

    def once(kind: type[futures.ThreadPoolExecutor]) -> float:
        hold = threading.Event()
        with kind(1) as pool:
            pool.submit(hold.wait)
            begun = perf_counter_ns()
            for _ in range(turns):
                pool.submit(int)
            taken = (perf_counter_ns() - begun) / turns
            hold.set()
        return taken

    added = []
    with ctxlog.entry(a=1, b=2):
        for _ in range(rounds):
            pair = [futures.ThreadPoolExecutor, executors.ThreadPoolExecutor]
            random.shuffle(pair)
            taken = {kind: once(kind) for kind in pair}
            added.append(taken[executors.ThreadPoolExecutor] - taken[futures.ThreadPoolExecutor])
    return statistics.median(added)


def report(found: Run) -> list[str]:
    """What a run found, as a table."""
    grown = f"{found.growth / KIB / KIB:+.2f} MiB"
    head = (
        f"CPython {platform.python_version()}, {found.tasks:,} tasks at once, {found.rounds} rounds,"
        f" {found.lines:,} lines in {found.seconds:.0f} s."
    )
    rows = [
        ("lines without an id", f"{found.without:,}", "0"),
        ("lines with another task's id", f"{found.wrong:,}", "0"),
        (f"memory, from the end of round 1 to that of {found.rounds}", grown, "< 5 MiB"),
    ]
    return _table(head, rows)


def costs() -> list[str]:
    """What a context and a job cost, as a table."""
    bound = context_bytes()
    ratio, floor = round_trips()
    rows = [
        ("a bound context (5 fields), beyond its values", f"{bound:.0f} bytes", "≤ 1,024 bytes"),
        (_TRIP.format(floor / 1000), f"{ratio * 100 - 100:+.1f} %", "≤ +5 %"),
        ("added to `submit` itself", f"{submits() / 1000:.2f} µs", "≤ 1 µs"),
    ]
    return _table(f"CPython {platform.python_version()}.", rows)


def _table(head: str, rows: Sequence[tuple[str, str, str]]) -> list[str]:
    lines = [f"| {what} | {figure} | {budget} |" for what, figure, budget in rows]
    return [head, "", "| what | found | must be |", "|---|---|---|", *lines]


def _write(marks: tuple[str, str], lines: Sequence[str]) -> None:
    """Put lines between two marks of the page."""
    begin, end = marks
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    text = "\n".join([head + begin, "", *lines, "", end]) + rest.partition(end)[2]
    PAGE.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if a line had no id or a wrong one."""
    parser = argparse.ArgumentParser("benchmarks.concurrency", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--costs", action="store_true", help="of a context and a job, no tasks")
    parser.add_argument("--write", action="store_true", help="the figures into the docs")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        print(json.dumps(asdict(run(options.tasks, options.rounds))))
        return 0
    status = 0
    if not options.costs:
        found = run_apart(options.tasks, options.rounds)
        lines = report(found)
        print("\n".join([*lines, ""]))
        if options.write:
            _write((BEGIN, END), lines)
        expected = options.tasks * options.rounds * LINES
        status = int(bool(found.without or found.wrong or found.lines != expected))
    lines = costs()
    print("\n".join(lines))
    if options.write:
        _write((BEGIN_COSTS, END_COSTS), lines)
    return status


if __name__ == "__main__":
    sys.exit(main())
