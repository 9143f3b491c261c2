"""The page: results of each Python, merged, and written between two marks."""

from __future__ import annotations

import json
from pathlib import Path

from tests.boundaries.lanes import LANES
from tests.boundaries.rows import ROWS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "boundaries.md"
RESULTS = Path(__file__).parent / "results.json"
BEGIN = "<!-- table: begin; written by `python -m tests.boundaries --all --write` -->"
END = "<!-- table: end -->"

Results = dict[str, dict[str, dict[str, str]]]  # by Python, lane and row


def read_results() -> Results:
    """What was measured last, on each Python."""
    if not RESULTS.exists():
        return {}
    found: Results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def merged(results: Results, python: str, measured: dict[str, dict[str, str]]) -> Results:
    """Put one Python's results beside the others'."""
    return dict(sorted({**results, python: measured}.items()))


def table(results: Results) -> list[str]:
    """The table; where the Pythons differ a cell says which found what."""
    names = [kind.name for kind in LANES]
    ways = "ctxlog explicit: the way"
    lines = [
        f"| | boundary | {' | '.join(names)} | {ways} |",
        "|" + "---|" * (len(names) + 3),
    ]
    for row in ROWS:
        cells = [_cell(results, name, f"{row.number} {row.title}") for name in names]
        lines.append(f"| {row.number} | {row.title} | {' | '.join(cells)} | {row.way} |")
    return lines


def _cell(results: Results, lane: str, row: str) -> str:
    found = {python: lanes[lane].get(row, "?") for python, lanes in results.items()}
    different = list(dict.fromkeys(found.values()))
    if len(different) == 1:
        return different[0]
    return "; ".join(
        f"{', '.join(python for python, had in found.items() if had == what)}: {what}"
        for what in different
    )


def written(page: str, results: Results) -> str:
    """The page with the table of these results in it."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    pythons = f"CPython {', '.join(results)}; {len(ROWS)} rows."
    return "\n".join([head + BEGIN, "", pythons, "", *table(results), "", END]) + tail


def write(results: Results) -> None:
    """Write the results and the page."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
