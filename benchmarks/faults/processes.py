"""Several processes write one file: every line is whole, and there once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.faults.child import finish, start
from benchmarks.faults.lines import Arrived
from benchmarks.faults.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESSES, LINES = 16, 100_000
CODE = """
import sys
import ctxlog

path, who, lines, queued = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "queued"
queue = {"policy": "block-until-deadline", "deadline": 60} if queued else None
ctxlog.configure(level="info", renderer="json", sinks=[{"target": path, "queue": queue}])
log = ctxlog.get_logger("many")
for number in range(lines):
    log.info("line", who=who, n=number, text="x" * (number % 300))
"""


def run(how: str, processes: int, lines: int) -> Arrived:
    """Let them write, ``how`` is direct or queued, and read the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines")
        started = [start(CODE, path, f"p{n}", lines, how) for n in range(processes)]
        for one in started:
            finish(one)
        return Arrived(path)


def rows(processes: int = PROCESSES, lines: int = LINES) -> Iterator[Row]:
    """Try it direct and queued; the queue is emptied by the interpreter's exit."""
    for how in ("direct", "queued"):
        arrived = run(how, processes, lines)
        figures = (
            f"{arrived.whole:,} whole lines, {len(arrived.torn)} torn, {arrived.doubled} doubled"
        )
        held = arrived.whole == processes * lines and not arrived.torn and not arrived.doubled
        yield Row(f"{processes} processes of {lines:,} lines into one file, {how}", figures, held)
