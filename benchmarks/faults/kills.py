"""``kill -9`` while logging: what had been written stays whole."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.faults.child import start
from benchmarks.faults.lines import Arrived
from benchmarks.faults.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = 25
SIZE = 1_000
CODE = """
import sys
import ctxlog

path, how, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
queue = {"policy": "block-until-deadline", "size": size} if how == "queued" else None
ctxlog.configure(level="info", renderer="json", sinks=[{"target": path, "queue": queue}])
log = ctxlog.get_logger("killed")
number = 0
while True:
    log.info("line", who="p", n=number)
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def run(how: str, after: int) -> tuple[Arrived, int]:
    """Kill it after so many lines; return what arrived and how many it had logged by then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines")
        process = start(CODE, path, how, SIZE, measured=False)
        assert process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
        process.kill()
        out, _ = process.communicate()
        logged = [int(line) for line in out.splitlines()[:-1]]
        return Arrived(path), max(logged, default=after)


def rows(kills: int = KILLS) -> Iterator[Row]:
    """Try it direct and queued, after more and more lines."""
    for how, most in (("direct", 0), ("queued", SIZE)):
        whole = torn = 0
        lost: list[int] = []
        for number in range(kills):
            arrived, logged = run(how, 200 + 997 * number)
            gone = arrived.missing("p", logged)
            in_order = arrived.by.get("p", set()) == set(range(arrived.whole))
            lost.append(max(0, gone) if in_order else 1 << 30)
            whole += arrived.whole
            # the file may end in half a line: it was being written
            torn += sum(line.endswith(b"\n") for line in arrived.torn)
        figures = f"{whole:,} lines whole, {torn} torn before the last one; at the most {max(lost):,} lost at once"
        held = not torn and max(lost) <= most
        yield Row(f"kill -9, {kills} times, {how} (bound: {most:,})", figures, held)
