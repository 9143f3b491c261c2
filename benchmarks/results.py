"""The figures of a run, kept by Python version in ``results.json``, and the tables made of them."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.budgets import BUDGETS
from benchmarks.contender import contenders
from benchmarks.measure import ratios, spread
from benchmarks.scenarios import GROUPS
from benchmarks.startup import FIRST_LINE, IMPORT, IMPORT_CONTEXT, WRAP, WRAP_SPANS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.budgets import Outcome
    from benchmarks.measure import Samples

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
README = Path(__file__).parents[1] / "README.md"
RIVALS = ("rivals_three", "stdlib_three", "drained")  # the cases that the README shows
BEGIN = "<!-- benchmarks: begin; written by `python -m benchmarks --write` -->"
END = "<!-- benchmarks: end -->"

_STARTUP = (
    (FIRST_LINE, "import, configure and the first line", "structlog"),
    (IMPORT, "import", "structlog"),
    (IMPORT_CONTEXT, "import `ctxlog.context`", "structlog"),
    (WRAP, "`wrap` and call, in a process of its own", "stdlib"),
    (WRAP_SPANS, "`wrap` and call, OpenTelemetry loaded", "stdlib"),
)
Row = dict[str, Any]
Run = dict[str, Any]


def rows(samples: Samples, slow: Samples) -> list[Row]:
    """Return one row for each case and contender that was measured, in the cases' order."""
    cases = [case for group in GROUPS for case in group.cases]
    wanted = [(one.key, one.title, one.against, name) for one in cases for name in one.contenders]
    wanted += [(*one, name) for one in _STARTUP for name in contenders()]
    made = [
        _row(key, title, name, samples[key, name], samples.get((key, against)))
        for key, title, against, name in wanted
        if (key, name) in samples
    ]
    for row in made:
        if any(slow.get((row["case"], row["contender"]), ())):
            row["slow"] = True
    return made


def _row(
    case: str, title: str, contender: str, of: Sequence[float], over: Sequence[float] | None
) -> Row:
    row: Row = {"case": case, "title": title, "contender": contender}
    row["ns"] = round(spread(of).median, 1)
    if over:
        ratio = spread(ratios(of, over))
        row |= {
            "ratio": round(ratio.median, 3),
            "spread": [round(ratio.low, 3), round(ratio.high, 3)],
        }
    return row


def run_of(samples: Samples, slow: Samples, outcomes: Sequence[Outcome], rounds: int) -> Run:
    """Return everything about this run that the page shows."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rounds": rounds,
        "versions": dict(
            _versions(
                "ctxlog",
                "structlog",
                "orjson",
                "opentelemetry-api",
                "python-json-logger",
                "loguru",
                "eliot",
                "rapidlog",
            )
        ),
        "rows": rows(samples, slow),
        "budgets": [
            {"title": one.title, "limit": one.limit, "figure": one.figure, "held": one.held}
            for one in outcomes
        ],
    }


def _versions(*names: str) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def merge(run: Run, path: Path = RESULTS) -> dict[str, Run]:
    """Write ``run`` over the earlier one of the same Python version and return all of them."""
    runs: dict[str, Run] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    runs[".".join(run["python"].split(".")[:2])] = run
    runs = dict(sorted(runs.items(), key=lambda one: [int(part) for part in one[0].split(".")]))
    path.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return runs


def time_text(nanoseconds: float) -> str:
    """Return a time with a unit that keeps it short.

    >>> time_text(52.345), time_text(2345.6), time_text(72_345), time_text(12_345_678)
    ('52.3 ns', '2,346 ns', '72.3 µs', '12.3 ms')
    """
    if nanoseconds >= 1_000_000:
        return f"{nanoseconds / 1e6:.1f} ms"
    if nanoseconds >= 20_000:
        return f"{nanoseconds / 1e3:.1f} µs"
    return f"{nanoseconds:,.0f} ns" if nanoseconds >= 100 else f"{nanoseconds:.1f} ns"


def _cells(row: Row | None) -> list[str]:
    if row is None:
        return ["", ""]
    if "ratio" not in row:
        return [time_text(row["ns"]), ""]
    low, high = row["spread"]
    mark = " ¹" if "slow" in row else ""
    return [time_text(row["ns"]), f"{row['ratio']:.2f} ({low:.2f} to {high:.2f}){mark}"]


def table(runs: dict[str, Run]) -> list[str]:
    """Return the lines of the Markdown table: a row a case and contender, two columns a Python."""
    found = {
        name: {(row["case"], row["contender"]): row for row in run["rows"]}
        for name, run in runs.items()
    }
    titles = {key: row["title"] for one in found.values() for key, row in one.items()}
    header = [f"{name} time | {name} ratio (quartiles)" for name in runs]
    lines = [
        f"| case | contender | {' | '.join(header)} |",
        f"|---|---|{'---:|---:|' * len(runs)}",
    ]
    shown = None
    for key, title in titles.items():
        cells = [cell for one in found.values() for cell in _cells(one.get(key))]
        first, shown = ("" if title == shown else title), title
        lines.append(f"| {first} | {key[1]} | {' | '.join(cells)} |")
    return lines


def budget_table(runs: dict[str, Run]) -> list[str]:
    """Return the lines of the Markdown table of budgets."""
    found = {name: {one["title"]: one for one in run["budgets"]} for name, run in runs.items()}
    lines = [f"| budget | limit | {' | '.join(runs)} |", f"|---|---|{'---:|' * len(runs)}"]
    limits = {one["title"]: one["limit"] for budgets in found.values() for one in budgets.values()}
    for title in [one.title for one in BUDGETS if one.title in limits]:
        cells = [_verdict(budgets.get(title)) for budgets in found.values()]
        lines.append(f"| {title} | {limits[title]} | {' | '.join(cells)} |")
    return lines


def _verdict(outcome: Row | None) -> str:
    if outcome is None or outcome["figure"] is None:
        return "not measured"
    return f"{outcome['figure']:g}" + ("" if outcome["held"] else " **not held**")


def section(runs: dict[str, Run]) -> str:
    """Return what stands between the markers of the page."""
    about = [
        f"- Python {run['python']}, {run['machine']}, {run['rounds']} rounds; "
        + ", ".join(f"{name} {number}" for name, number in run["versions"].items())
        for run in runs.values()
    ]
    note = "¹ these lines left the fast path."
    tables = [*about, "", *table(runs), "", note, "", "## Budgets", "", *budget_table(runs)]
    return "\n".join([BEGIN, *tables, END])


def rivals(runs: dict[str, Run]) -> str:
    """Return what stands between the markers of the README: the cases with other libraries."""
    cases = {
        name: {**run, "rows": [row for row in run["rows"] if row["case"] in RIVALS]}
        for name, run in runs.items()
    }
    return "\n".join([BEGIN, *table(cases), END])


def write_pages(runs: dict[str, Run], page: Path = PAGE, readme: Path = README) -> None:
    """Put the tables into the page of figures, and those of the rivals into the README.

    Raises:
        ValueError: one of them lacks the markers.
    """
    _put(section(runs), page)
    _put(rivals(runs), readme)


def _put(tables: str, page: Path) -> None:
    """Put tables between the markers of ``page``.

    Raises:
        ValueError: the page lacks the markers.
    """
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} needs the lines {BEGIN!r} and {END!r}")
    page.write_text(before + tables + after, "utf-8")
