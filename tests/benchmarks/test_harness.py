"""The benchmark harness itself: it compares like with like, and says so when it does not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import structlog

import ctxlog
from benchmarks import lanes as lanes_module
from benchmarks import results
from benchmarks.__main__ import main, measured
from benchmarks.budgets import BUDGETS, Budget
from benchmarks.contender import contenders
from benchmarks.measure import measure, ratios, spread
from benchmarks.scenarios import GROUPS
from benchmarks.startup import FIRST_LINE, IMPORT_CONTEXT, startup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.scenarios import Group

# A lane's scope is entered for good, in a context of its own that ends with the lane.
pytestmark = pytest.mark.ctxlog(guard="off")


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    """Contenders configure whole libraries: leave none of it to the next test."""
    yield
    ctxlog.shutdown()
    structlog.reset_defaults()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.key)
def test_contenders_do_the_same_work(group: Group) -> None:
    """Each contender of a case writes the same fields under the common names."""
    lanes_module.check(group)


def test_a_contender_that_writes_something_else_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check before measuring fails on a contender that leaves a field out."""
    structlog = type(contenders()["structlog"])
    monkeypatch.setattr(structlog, "enter", lambda self, fields: None)
    with pytest.raises(lanes_module.ContentError, match="request_id"):
        lanes_module.check(_group("lines"))


def test_a_swallowed_failure_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check before measuring fails when a guard hides what went wrong."""
    number = iter(range(1_000_000))
    monkeypatch.setattr(type(contenders()["ctxlog"]), "failures", lambda self: next(number))
    with pytest.raises(lanes_module.ContentError, match="swallowed"):
        lanes_module.check(_group("lines"))


def test_case_keys_are_unique() -> None:
    """No two cases share a key, for samples are found by it."""
    keys = [case.key for group in GROUPS for case in group.cases]
    assert sorted(set(keys)) == sorted(keys)


def test_all_contenders_of_all_cases_exist() -> None:
    """Every contender that a case names is a file in contenders/."""
    named = {name for group in GROUPS for case in group.cases for name in case.contenders}
    assert set() == named - set(contenders())


def test_budgets_are_about_what_is_measured() -> None:
    """Every budget's ratio is between lanes of one group, whose rounds line up."""
    for budget in BUDGETS:
        if budget.over and budget.of[0] not in (FIRST_LINE, IMPORT_CONTEXT):  # one group too
            groups = [
                group.key
                for group in GROUPS
                for case in group.cases
                for name in case.contenders
                if (case.key, name) in {budget.of, budget.over}
            ]
            assert [groups[0]] * 2 == groups, budget.title


def test_rounds_line_up() -> None:
    """Each lane has one sample a round, and as many counts of slow lines."""
    group = _group("disabled")
    samples, slow = measure(lanes_module.lanes(group, _null()), rounds=3)
    assert {3} == {len(values) for values in [*samples.values(), *slow.values()]}


def test_each_lane_has_bytecode_of_its_own() -> None:
    """Two lanes of one case never share a code object, which would couple their speed."""
    made = lanes_module.lanes(_group("lines"), _null())
    codes = [lane.body.__code__ for lane in made]
    assert len(codes) == len({id(code) for code in codes})


def test_ratios_are_taken_round_by_round() -> None:
    """A round that is slow for both contenders does not move the ratio."""
    assert [0.5, 0.5] == ratios([1, 100], [2, 200])
    assert 0.5 == spread(ratios([1, 100, 1], [2, 200, 2])).median


def test_budget_holds_up_to_its_limit() -> None:
    """A figure at the limit holds, one above or never measured does not."""
    budget = Budget("b", ("a", "x"), 0.5, ("a", "y"))
    assert budget.outcome({("a", "x"): [1.0], ("a", "y"): [2.0]}).held
    assert not budget.outcome({("a", "x"): [1.1], ("a", "y"): [2.0]}).held
    outcome = budget.outcome({("a", "x"): [1.0]})
    assert (False, None) == (outcome.held, outcome.figure)
    assert str(outcome).startswith("NOT held b: not measured")


def test_first_lines_are_written() -> None:
    """A fresh interpreter writes the first line, and ctxlog's import loads no third party."""
    samples, foreign = startup(1)
    assert {1} == {len(values) for values in samples.values()}
    assert {"structlog", "ctxlog"} <= {name for what, name in samples if what == FIRST_LINE}
    assert [] == foreign


def test_command_prints_the_table_and_the_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints a row for each case and a verdict for each budget it measured."""
    assert 0 == main(["--only", "disabled", "--rounds", "2"])
    printed = capsys.readouterr().out
    assert "| disabled level, 3 fields | stdlib |" in printed
    assert "held" in printed


def test_command_checks(capsys: pytest.CaptureFixture[str]) -> None:
    """With --check a budget that does not hold, here one not measured, is the exit code."""
    assert 1 == main(["--check", "--only", "disabled", "--rounds", "2"])
    assert capsys.readouterr().out


def test_all_groups_run_one_after_the_other() -> None:
    """What one group has configured is not on the lines of the next."""
    samples, _ = measured(GROUPS, rounds=1, starts=0)
    assert {case.key for group in GROUPS for case in group.cases} <= {key for key, _ in samples}


def test_page_gets_a_column_for_each_python(tmp_path: Path) -> None:
    """Runs merge by Python version, and the page shows them side by side between its markers."""
    file, page = tmp_path / "results.json", tmp_path / "page.md"
    page.write_text(f"above\n{results.BEGIN}\nold\n{results.END}\nbelow\n", "utf-8")
    results.merge(_run("3.13.0", 0.5), file)
    results.merge(_run("3.9.1", 0.3), file)
    runs = results.merge(_run("3.13.1", 0.4), file)
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{results.BEGIN}\n{results.END}\n", "utf-8")
    results.write_pages(runs, page, readme)
    text = page.read_text("utf-8")
    assert ["3.9", "3.13"] == list(runs)
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert (
        "| a case | ctxlog | 50.0 ns | 0.30 (0.20 to 0.60) | 50.0 ns | 0.40 (0.20 to 0.60) |"
        in text
    )
    assert f"| {BUDGETS[0].title} | at most 1 | 2 **not held** | 2 **not held** |" in text
    shown = readme.read_text("utf-8")
    assert "| others | ctxlog | 50.0 ns |" in shown
    assert "a case" not in shown


def test_page_without_markers_is_an_error(tmp_path: Path) -> None:
    """A page that lacks the markers is refused, by name, and left as it is."""
    page = tmp_path / "page.md"
    page.write_text("nothing", "utf-8")
    with pytest.raises(ValueError, match=r"page\.md needs"):
        results.write_pages({}, page)
    assert "nothing" == page.read_text("utf-8")


def _group(key: str) -> Group:
    return next(group for group in GROUPS if group.key == key)


def _null() -> io.BytesIO:
    return io.BytesIO()


def _run(version: str, ratio: float) -> dict[str, Any]:
    row = {"case": "a", "title": "a case", "contender": "ctxlog", "ns": 50.0}
    rival = {"case": "rivals_three", "title": "others", "contender": "ctxlog", "ns": 50.0}
    budget = {"title": BUDGETS[0].title, "limit": "at most 1", "figure": 2, "held": False}
    return {
        "python": version, "machine": "m", "rounds": 1, "versions": {},
        "rows": [{**row, "ratio": ratio, "spread": [0.2, 0.6]}, rival], "budgets": [budget],
    }  # fmt: skip
