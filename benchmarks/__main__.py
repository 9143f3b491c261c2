"""The command: measure, print the table and the budgets, and write them where asked."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from benchmarks.budgets import BUDGETS, SLOW_LINES, THIRD_PARTIES
from benchmarks.contender import contenders
from benchmarks.lanes import check, lanes
from benchmarks.measure import Samples, measure
from benchmarks.results import merge, run_of, table, write_pages
from benchmarks.scenarios import GROUPS
from benchmarks.startup import IMPORT, startup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.scenarios import Group

_ROUNDS, _STARTS = 200, 25


def measured(groups: Sequence[Group], rounds: int, starts: int) -> tuple[Samples, Samples]:
    """Return times (of starting up too, unless ``starts`` is 0) and counts of slow lines."""
    samples, slow = Samples(), Samples()
    for group in groups:
        check(group)
        with open(os.devnull, "wb", buffering=-1 if group.buffered else 0) as stream:  # noqa: PTH123
            times, counts = measure(lanes(group, stream), rounds)
        samples |= times
        slow |= counts
        _progress(group.key)
    fast = {case.key for group in groups for case in group.cases if case.fast}
    if "ctxlog" in contenders():
        samples[SLOW_LINES] = [sum(sum(slow[key]) for key in slow if key[0] in fast)]
    if starts:
        times, foreign = startup(starts)
        samples |= times
        if (IMPORT, "ctxlog") in times:
            samples[THIRD_PARTIES] = [len(foreign)]
    return samples, slow


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"measured {what}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if ``--check`` and a budget does not hold."""
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into results.json and the docs")
    parser.add_argument("--check", action="store_true", help="exit 1 if a budget does not hold")
    parser.add_argument("--only", action="append", choices=[one.key for one in GROUPS])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--starts", type=int, default=_STARTS, help="fresh interpreters each")
    parser.add_argument("--without", action="append", default=[], choices=list(contenders()))
    options = parser.parse_args(arguments)
    if options.write and (options.only or options.without):
        parser.error("--write needs everything: leave out --only and --without")
    for name in options.without:
        del contenders()[name]
    groups = [one for one in GROUPS if not options.only or one.key in options.only]
    samples, slow = measured(groups, options.rounds, 0 if options.only else options.starts)
    outcomes = [budget.outcome(samples) for budget in BUDGETS]
    run = run_of(samples, slow, outcomes, options.rounds)
    print("\n".join(table({run["python"]: run})))
    print()
    for outcome in outcomes:
        if outcome.figure is not None or not options.only:
            print(outcome)
    if options.write:
        write_pages(merge(run))
    return int(options.check and not all(outcome.held for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
