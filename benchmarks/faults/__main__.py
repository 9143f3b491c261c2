"""The command: try everything, print the table, write it into the docs where asked."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.faults import backlogs, cost, forks, kills, policies, processes, stops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.faults.row import Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
TRIALS: dict[str, Callable[[], Iterator[Row]]] = {
    "policies": policies.rows,
    "stops": stops.rows,
    "backlogs": backlogs.rows,
    "processes": processes.rows,
    "forks": forks.rows,
    "kills": kills.rows,
    "cost": cost.rows,
}


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    head = ["| what was tried | what came out | held |", "|---|---|---|"]
    body = [f"| {row.what} | {row.figures} | {'yes' if row.held else '**no**'} |" for row in rows]
    return "\n".join([*head, *body])


def merged(before: Sequence[str], lines: Sequence[str]) -> str:
    """Return the table with some rows tried anew; what is new comes last."""
    fresh = {line.split(" | ")[0]: line for line in lines}
    kept = [fresh.pop(line.split(" | ")[0], line) for line in before]
    return "\n".join([*kept, *fresh.values()])


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is asked for; 1 if something that is promised does not hold."""
    parser = argparse.ArgumentParser("benchmarks.faults", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/reference/reliability.md")
    parser.add_argument("--only", action="append", choices=list(TRIALS))
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for name in options.only or TRIALS:
        for row in TRIALS[name]():
            rows.append(row)
            print(f"{'held ' if row.held else 'FAILS'} {row.what}: {row.figures}", flush=True)
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        found, _, after = rest.partition(END)
        python = f"CPython {platform.python_version()}, {platform.system()}, {_cpus()} cores."
        lines = table(rows)
        if options.only:
            lines = merged(found.strip().splitlines()[2:], lines.splitlines())
        PAGE.write_text(f"{before}{BEGIN}\n{python}\n\n{lines}\n{END}{after}", encoding="utf-8")
    return int(not all(row.held for row in rows))


def _cpus() -> int:
    import os

    return os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
