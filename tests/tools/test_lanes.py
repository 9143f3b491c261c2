"""Lanes run side by side, each with its own output, and a failing one cannot be overlooked."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from tools import lanes, pythons

if TYPE_CHECKING:
    from pathlib import Path

#: Open both pipes: each lane goes on only once the other has written.
MEET = """
import sys
mine, other = sys.argv[1:]
print(mine, 1, flush=True)
for name in sorted((mine, other)):
    open(name, "w" if name == mine else "r").close()
print(mine, 2, flush=True)
"""


def python(code: str, *arguments: object) -> list[str]:
    """Return a lane's command: a process of its own that runs this."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines that were printed, with every time as ``N s``."""
    return re.sub(r"\d+ s$", "N s", capfd.readouterr().out, flags=re.MULTILINE).splitlines()


def test_two_at_once_are_shown_one_after_the_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Each goes on only when the other has written, and still neither's lines are torn apart."""
    a, b = tmp_path / "a", tmp_path / "b"
    os.mkfifo(a)
    os.mkfifo(b)
    assert 0 == lanes.run_all({"a": python(MEET, a, b), "b": python(MEET, b, a)}, 2)
    lines = said(capfd)
    assert ["-- a: started", "-- b: started"] == sorted(lines[:2])
    blocks = sorted([lines[2:5], lines[5:8]])
    assert [[f"{p} 1", f"{p} 2", f"-- {p.name}: passed, N s"] for p in (a, b)] == blocks
    assert ["-- a: passed, N s", "-- b: passed, N s"] == sorted(lines[8:])


def test_a_failing_one_stops_no_other_and_is_the_last_word(capfd: pytest.CaptureFixture[str]):
    """One at a time: the first fails, the second runs, and the end names the first again."""
    first, second = python("raise SystemExit(3)"), python("print('after it')")
    assert 1 == lanes.run_all({"first": first, "second": second}, 1)
    lines = said(capfd)
    assert "-- first: FAILED (exit code 3), N s" in lines
    assert "after it" in lines
    assert ["-- second: passed, N s", "-- first: FAILED (exit code 3), N s"] == lines[-2:]


def test_what_is_written_to_error_is_shown_too(capfd: pytest.CaptureFixture[str]):
    """Both streams of a lane are one output, in their order; bytes of no encoding do no harm."""
    code = "import os; os.write(1, b'out\\n'); os.write(2, b'\\xff err\\n'); os.write(1, b'end')"
    assert 0 == lanes.run_all({"both": python(code)}, 1)
    expected = ["-- both: started", "out", "\ufffd err", "end", *["-- both: passed, N s"] * 2]
    assert expected == said(capfd)


def test_what_a_lane_leaves_running_is_not_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A child that outlives its lane holds its output open: the lane has ended all the same."""
    os.mkfifo(gate := tmp_path / "gate")
    left = f"open({str(gate)!r}).read()"  # until this test writes
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {left!r}])"
    assert 0 == lanes.run_all({"it": python(code)}, 1)
    assert "-- it: passed, N s" in said(capfd)
    gate.write_text("go", encoding="utf-8")


def test_a_killed_lane_has_failed(capfd: pytest.CaptureFixture[str]):
    """A lane that a signal ends did not pass."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert 1 == lanes.run_all({"it": python(code)}, 1)
    assert "-- it: FAILED (exit code -9), N s" == said(capfd)[-1]


def test_an_unknown_lane_is_refused_with_what_there_is():
    """A typo runs nothing."""
    with pytest.raises(SystemExit, match=r"no lane '3\.99': there are lint, 3\.1\d, suite, 3\.1\d"):
        lanes.main(["lint", "3.99"])


def test_every_supported_python_has_its_lane():
    """Nothing that `make test` proves is left out: the linters, this Python, the others."""
    makefile = lanes.ROOT.joinpath("Makefile").read_text(encoding="utf-8")
    running = "{}.{}".format(*sys.version_info)
    others = [version for version in pythons.SUPPORTED if version != running]
    assert {"suite", "lint", *others} == set(lanes.lanes())
    for command in lanes.lanes().values():
        assert command[0] == sys.executable or f"\n{command[-1]}:" in makefile
