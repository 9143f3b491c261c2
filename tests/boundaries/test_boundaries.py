"""The table holds: ctxlog's lanes are measured anew, on this Python, and the page is what they give."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.boundaries.__main__ import HERE, measured_apart
from tests.boundaries.lanes import LANES, OURS, Explicit
from tests.boundaries.measure import YES, outcome
from tests.boundaries.page import PAGE, read_results, table, written
from tests.boundaries.rows import ROWS

#: Where explicit is not "yes": (row, the Pythons below which it is so, what it is).
EXCEPTIONS = {"B9 “Task exception was never retrieved”": ((3, 12), "lost")}


@pytest.mark.parametrize("name", OURS)
def test_the_page_tells_what_ctxlog_does(name: str):
    """Each row of each of our lanes gives what the committed page says of it."""
    if HERE not in read_results():
        pytest.skip(f"the page has no column for Python {HERE}")
    assert read_results()[HERE][name] == measured_apart(sys.executable, name)


def test_the_explicit_way_is_right_everywhere():
    """Explicitly, context is present, nobody else's, and restored, in every row."""
    for python, lanes in read_results().items():
        version = tuple(map(int, python.split(".")))
        for row, found in lanes[Explicit.name].items():
            below, known = EXCEPTIONS.get(row, ((0, 0), YES))
            assert (row, known if version < below else YES) == (row, found)


def test_the_committed_page_is_what_the_results_give():
    """The page is written from the results, for every lane and row there is."""
    results = read_results()
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, results) == page
    assert len(ROWS) + 2 == len(table(results))
    for lanes in results.values():
        assert {kind.name for kind in LANES} == set(lanes)


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        (("A", "B", "-", ("A", "B", "-")), YES),
        (("-", "B", "-", ("A", "B", "-")), "lost"),
        (("A", "A", "-", ("A", "B", "-")), "**wrong**: A for B"),
        (("A", "B", "B", ("A", "B", "-")), "**wrong**: B for nobody"),
        (("A", "B", "-", ("A", "B", "B")), "not restored"),
    ],
)
def test_an_outcome_answers_the_three_questions(
    reads: tuple[Any, Any, Any, tuple[Any, ...]], expected: str
):
    """Wrong beats lost, lost beats not restored."""
    assert expected == outcome(*reads)
