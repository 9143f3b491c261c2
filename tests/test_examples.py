"""Every example runs, prints what it says, and is in the index."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
#: Scripts, and folders that are run as one.
FOLDERS = [path.parent for path in EXAMPLES.glob("[0-9][0-9]_*/__main__.py")]
NUMBERED = sorted([*EXAMPLES.glob("[0-9][0-9]_*.py"), *FOLDERS])
PAGE = EXAMPLES.parent / "docs" / "how-to" / "test-for-lost-context.md"
HEADING = "# It prints, when piped:\n#\n"
VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "<time>"),
    (re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b"), "<id>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "<clock>"),
    (re.compile(r"\bin \d+\.\d\ds"), "in <time>"),
    (re.compile(r"\bTask-\d+"), "Task-<n>"),
    (re.compile(r'"ctxlog\.dropped":\d+(,"ctxlog\.dropped\.\w+":\d+)*'), "<drops>"),
)


def shape(text: str) -> str:
    """Return a text with its times and ids by their shape alone."""
    for pattern, name in VOLATILE:
        text = pattern.sub(name, text)
    return text


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_an_example_prints_what_stands_at_its_end(path: Path):
    """Nobody has to run an example to know what it does."""
    command = [sys.executable, "-u", "-W", "error", path.name]
    done = subprocess.run(
        command,
        cwd=EXAMPLES,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert shape(printed(path)) == shape(done.stdout)


def printed(path: Path) -> str:
    """Return what an example says that it prints."""
    file = path / "__main__.py" if path.is_dir() else path
    _, _, comment = file.read_text(encoding="utf-8").partition(HEADING)
    return "".join(line.removeprefix("#").removeprefix(" ") for line in comment.splitlines(True))


def test_the_page_about_tests_shows_what_the_example_prints():
    """Each report on the page is one of the example's, to the letter."""
    blocks = re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = shape(printed(EXAMPLES / "18_tests"))
    assert len(blocks) >= len(("a pool", "a generator", "a worker"))
    for block in blocks:
        assert shape(block) in said


def test_the_index_lists_every_example_in_order():
    """The index has a row for each example, and none for one that is gone."""
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    expected = [path.name for path in NUMBERED] + ["demo.py"]
    assert expected == re.findall(r"^\| \[([\w.]+)\]\(\1\) \|", index, re.MULTILINE)


def test_the_numbers_have_no_gap():
    """01, 02, 03 …: a reader finds the next one."""
    assert [f"{n:02d}" for n in range(1, len(NUMBERED) + 1)] == [p.name[:2] for p in NUMBERED]
