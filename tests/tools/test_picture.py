"""The console on a terminal, and the picture of it in the docs."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="this platform has no terminals of its own")

TOOLS = Path(__file__).parents[2] / "tools"
PICTURE = TOOLS.parent / "docs" / "images" / "console.svg"
SHOWN = f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import picture; print(picture.shown())"


def words(text: str) -> list[str]:
    """Return the words of a text, sorted, without times and signs (3.13 underlines more code)."""
    return sorted(re.findall(r"\w+", re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "", text)))


@pytest.fixture(scope="module")
def on_a_terminal() -> str:
    """What the scene prints on a terminal."""
    return subprocess.run(
        [sys.executable, "-c", SHOWN], check=True, capture_output=True, text=True
    ).stdout


def test_a_terminal_gets_colours_and_a_pipe_none(on_a_terminal: str):
    """By itself, ``configure()`` writes coloured lines on a terminal and JSON elsewhere."""
    assert "\x1b[31merror" in on_a_terminal
    assert "\x1b[33mwarning" in on_a_terminal
    scene = TOOLS / "scenes" / "shop.py"
    piped = subprocess.run([sys.executable, scene], check=True, capture_output=True, text=True)
    assert "\x1b" not in piped.stderr
    assert {"{"} == {line[0] for line in piped.stderr.splitlines()}


def test_each_request_keeps_a_colour(on_a_terminal: str):
    """A request's id stands in one colour on all its lines, another request's in another."""
    colours = {
        request: set(re.findall(rf"\x1b\[(\d+)m{request}", on_a_terminal))
        for request in ("r-7", "r-8")
    }
    assert [1, 1] == [len(found) for found in colours.values()]
    assert colours["r-7"] != colours["r-8"]


def test_the_picture_is_what_is_printed(on_a_terminal: str):
    """The docs show what the console writes today; `make picture` makes it anew."""
    texts = re.findall(r"<text[^>]*shop-line-\d+[^>]*>(.*?)</text>", PICTURE.read_text("utf-8"))
    plain = re.sub(r"\x1b\[[\d;]*m", "", on_a_terminal)
    drawn = " ".join(html.unescape(text) for text in texts)
    assert words(plain) == words(drawn)
