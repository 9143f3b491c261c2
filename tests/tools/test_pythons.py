"""Finding the other interpreters, on machines that have them in the usual and in the odd places."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tools import pythons

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = "{}.{}".format(*sys.version_info)


def script(path: Path, body: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the whole of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_an_interpreter_on_the_path_is_found(place: Path):
    """A command of the version's name that runs is taken."""
    command = script(place / f"python{RUNNING}", f'exec {sys.executable} "$@"')
    assert str(command) == pythons.find(RUNNING)


def test_an_interpreter_that_lies_is_not_taken(place: Path):
    """A command that is another version than its name says is passed over."""
    script(place / "python3.99", f'exec {sys.executable} "$@"')
    assert pythons.find("3.99") is None


def test_a_missing_interpreter_is_none(place: Path):
    """No command and no pyenv: there is none."""
    assert [] == list(place.iterdir())
    assert pythons.find(RUNNING) is None


def test_a_shim_that_does_not_run_gives_way_to_its_version(place: Path, tmp_path: Path):
    """Where pyenv's shim refuses, the newest of pyenv's own versions is taken."""
    script(place / f"python{RUNNING}", "exit 127")
    script(place / "pyenv", f'[ "$1" = root ] && echo "{tmp_path}"')
    for patch in ("9", "10"):
        script(
            tmp_path / "versions" / f"{RUNNING}.{patch}" / "bin" / f"python{RUNNING}",
            f'exec {sys.executable} "$@"',
        )
    newest = tmp_path / "versions" / f"{RUNNING}.10" / "bin" / f"python{RUNNING}"
    assert str(newest) == pythons.find(RUNNING)


def test_a_version_that_is_not_installed_is_said_and_skipped(
    place: Path, capfd: pytest.CaptureFixture[str]
):
    """A missing interpreter is no failure, and no silence either."""
    assert [] == list(place.iterdir())
    assert pythons.main(["3.99"]) == 0
    assert capfd.readouterr().out == "-- Python 3.99: not installed here, skipped\n"
