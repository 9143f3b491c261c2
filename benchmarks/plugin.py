"""The pytest plugin: what it costs when nobody uses it, and when somebody does.

    python -m benchmarks.plugin            # measure and print
    python -m benchmarks.plugin --write    # and put the figures into docs/how-to/test-for-lost-context.md

Idle: a suite of 1,000 trivial tests in processes of their own, with the plugin and without in turn,
by the processor's time. In use: lines and scopes in this process, watched and not in turn.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import pytest

import ctxlog
from ctxlog.testing.events import Events
from ctxlog.testing.guarding import Guard

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "test-for-lost-context.md"
BEGIN = "<!-- figures: begin; written by `python -m benchmarks.plugin --write` -->"
END = "<!-- figures: end -->"
TESTS = 1_000
CALLS = 5_000
IDLE_MOST, LINE_MOST = 2.0, 3.0
log = ctxlog.get_logger("benchmarks.plugin")


def suite(folder: Path, *, plugin: bool) -> float:
    """Return the processor's seconds of one run of the trivial suite."""
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = ["-p", "ctxlog.pytest_plugin"] if plugin else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, **alone},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def idle(runs: int) -> tuple[float, float]:
    """Return the seconds of the suite without the plugin, and what the plugin adds in percent."""
    without, added = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for module in range(10):
            tests = (f"def test_{n}():\n    assert True\n" for n in range(TESTS // 10))
            folder.joinpath(f"test_{module}.py").write_text("".join(tests), encoding="utf-8")
        for plugin in (True, False):  # bytecode is written
            suite(folder, plugin=plugin)
        for number in range(runs):
            first = number % 2 == 0
            taken = {plugin: suite(folder, plugin=plugin) for plugin in (first, not first)}
            without.append(taken[False])
            added.append(100 * (taken[True] / taken[False] - 1))
    return statistics.median(without), statistics.median(added)


def microseconds(work: Callable[[], object]) -> float:
    """Return the time of one call, of many."""
    begun = process_time()
    for _ in range(CALLS):
        work()
    return (process_time() - begun) * 1e6 / CALLS


def added(work: Callable[[], object], watch: Callable[[], object], stop: Callable[[], object],
          runs: int) -> tuple[float, float]:  # fmt: skip
    """Return the time of one call, and what watching adds to it, medians of pairs in turn."""
    plain, more = [], []
    gc.disable()
    try:
        for _ in range(runs):
            without = microseconds(work)
            watch()
            watched = microseconds(work)
            stop()
            plain.append(without)
            more.append(watched - without)
            gc.collect()
    finally:
        gc.enable()
    return statistics.median(plain), statistics.median(more)


def line() -> None:
    """Log one line, three fields in a context of four."""
    log.info("accepted", items=3, customer="c-1", paid=True)


def block() -> None:
    """Open and close a scope."""
    with ctxlog.scope(step=1):
        pass


def in_use(runs: int) -> dict[str, tuple[float, float]]:
    """Return, by what is done, its microseconds and those added."""
    events, guard = Events(), Guard()
    found = {}

    def stop() -> None:
        events.__exit__()
        events.clear()

    ctxlog.configure(renderer="json", stream=io.StringIO())
    with ctxlog.scope(request_id="r-1", tenant="acme", region="eu", attempt=1):
        found["a captured line"] = added(line, events.__enter__, stop, runs)
        guard.start("benchmark")
        found["a scope under the guard"] = added(block, guard.watch, guard.unwatch, runs)
    ctxlog.shutdown()
    return found


def report(runs: int) -> list[str]:
    """Measure, and return the lines of the table."""
    seconds, percent = idle(runs)
    first = f"{seconds:.2f} s | {percent:+.1f} % | ≤ {IDLE_MOST:g} %"
    rows = [
        f"CPython {platform.python_version()}, pytest {pytest.__version__}, medians of {runs} pairs.",
        "",
        "| what | without | the plugin adds | must be |",
        "|---|---|---|---|",
        f"| 1,000 trivial tests, ctxlog not used | {first} |",
    ]
    for name, (plain, more) in in_use(runs).items():
        limit = f"≤ {LINE_MOST:g} µs" if "line" in name else ""
        rows.append(f"| {name} | {plain:.2f} µs | {more:+.2f} µs | {limit} |")
    return rows


def main() -> None:
    """Measure and print; with --write, into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows = report(given.runs)
    print("\n".join(rows))
    if given.write:
        text = PAGE.read_text(encoding="utf-8")
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text("\n".join([head + BEGIN, "", *rows, "", END]) + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
