"""The docs name what there is, and nothing else."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ctxlog
from ctxlog import names
from ctxlog.levels import NAMES, NUMBERS
from ctxlog.limits import DEFAULT_LIMITS, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "examples" / "README.md", *DOCS.rglob("*.md")])
SOURCE = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))


def page(name: str) -> str:
    """Return the text of a page of the docs."""
    return (DOCS / name).read_text(encoding="utf-8")


def first_cells(text: str) -> set[str]:
    """Return what stands as code in the first cells of a page's tables."""
    cells = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def arguments(function: Callable[..., object]) -> list[str]:
    """Return the names of a function's arguments, less what only catches misspelt ones."""
    parameters = inspect.signature(function).parameters
    return [name for name in parameters if name != "unknown"]


def test_the_front_door_has_a_heading_for_each_public_name():
    """Every public name is documented, and no other is promised."""
    headings = re.findall(r"^### (.+)$", page("reference/front-door.md"), re.MULTILINE)
    documented = {n for line in headings for n in re.findall(r"`(\w+)", line)}
    assert set(ctxlog.__all__) == documented


@pytest.mark.parametrize("name", ["get_logger", "entry", "add_sink", "flush", "shutdown"])
def test_the_front_door_shows_the_arguments_as_they_are(name: str):
    """A heading with a signature has the one of the code."""
    shown = re.search(rf"^### `{name}\((.*)\)`$", page("reference/front-door.md"), re.MULTILINE)
    assert shown is not None
    parameters = arguments(getattr(ctxlog, name))
    plain = [re.sub(r"[*= ].*|\*", "", part.lstrip("*")) for part in shown[1].split(", ")]
    assert parameters == [part for part in plain if part not in ("", "/")]


def test_every_option_of_configure_has_its_row():
    """The table of options is that of the function."""
    table, _, _ = page("reference/configuration.md").partition("\n## ")
    assert set(arguments(ctxlog.configure)) == first_cells(table)


def test_every_environment_variable_has_its_row():
    """The table of variables is that of the function's docstring."""
    text = page("reference/configuration.md")
    expected = set(re.findall(r"CTXLOG_[A-Z]+", ctxlog.configure.__doc__ or ""))
    assert expected == {n for n in first_cells(text) if n.startswith("CTXLOG_")}


def test_every_limit_has_its_row_and_default():
    """The table of limits is that of the code, its defaults included."""
    text = page("reference/configuration.md")
    for name in OPTIONS:
        assert f"| `{name}` | {getattr(DEFAULT_LIMITS, name):,} |" in text


def test_every_level_has_its_row():
    """Names, numbers and other names are those of the code."""
    text = page("reference/levels.md")
    for number, name in NAMES.items():
        assert f"| `{name}` | {number} |" in text
    assert set(NUMBERS) - {"notset"} == first_cells(text) | {"warn", "exception", "fatal"}


def test_every_reserved_name_is_told():
    """A field that would move is named on the page of fields."""
    text = page("reference/fields.md")
    assert {n for n in names.HEAD | names.IDS | names.CALL if f"`{n}" not in text} <= {"stacklevel"}


def test_every_counter_has_its_row():
    """What the code counts is in the table."""
    counted = set(re.findall(r'(?<!tally)\.add\("([a-z_]+(?:\.[a-z_]+)?)"\)', SOURCE))
    steps = {f"errors.{step}" for step in re.findall(r'step_failed\(\s*"(\w+)"', SOURCE)}
    assert set() == (counted | steps) - first_cells(page("reference/counters.md"))


def test_every_counter_of_the_table_is_counted():
    """The table has no name that the code does not know."""
    for name in first_cells(page("reference/counters.md")):
        last = name.rpartition(".")[2]
        assert re.search(rf"[\"'.]{last}\b", SOURCE), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    """A link to another page, and to a heading of it, finds what it names."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        target, _, heading = link.partition("#")
        there = path.parent / target if target else path
        assert there.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


def test_the_index_leads_to_every_page():
    """No page is hidden."""
    index = page("README.md")
    pages = {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w/-]+\.md)\)", index))
