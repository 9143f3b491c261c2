"""Soaking: what comes by chance is found, told, and done again by what was told."""

from __future__ import annotations

import random
import shlex
import shutil
import signal
import subprocess
import textwrap
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from tools import soak

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RARE = """
    import gc, os
    from hypothesis import given, settings, strategies as st

    calls = 0

    def test_of_no_chance():
        assert False, "no property: not soaked"

    @given(st.integers())
    def test_often(n):
        assert "CI" not in os.environ

    @given(st.integers())
    def test_rare(n):
        global calls
        calls += 1
        assert 5 != gc.get_threshold()[0] or calls <= 150
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with this one's settings, whose only fault shows after 150 examples."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(soak.ROOT / name, tmp_path)
    tmp_path.joinpath("tests").mkdir()
    tmp_path.joinpath("tests", "test_rare.py").write_text(textwrap.dedent(RARE), encoding="utf-8")
    tmp_path.joinpath("tests", "test_other.py").write_text("def test_it(): pass", encoding="utf-8")
    monkeypatch.setattr(soak, "ROOT", tmp_path)
    monkeypatch.setenv("CI", "true")
    return tmp_path


def test_what_only_many_examples_find_is_told(project: Path, capfd: pytest.CaptureFixture[str]):
    """It fails with more examples and a busy collector; the printed command fails too."""
    assert 1 == soak.main(["--rounds", "1", "--examples", "2", "--gc", "5", "--seed", "3"])
    said = capfd.readouterr().out.splitlines()
    assert "1 files, 10 minutes, --seed 3" == said[0]
    assert "1 tests failed" == said[-1]
    command = said[-2].removeprefix("again: ")
    assert "SOAK_EXAMPLES=2 SOAK_GC=5" in command
    assert command.endswith("'tests/test_rare.py::test_rare'")
    again = subprocess.run(shlex.split(command), cwd=project, check=False, capture_output=True)
    assert 1 == again.returncode


@pytest.mark.parametrize("options", [["--examples", "1", "--gc", "5"], ["--gc", "700"]])
@pytest.mark.usefixtures("project")
def test_where_nothing_is_found_it_says_so(options: list[str], capfd: pytest.CaptureFixture[str]):
    """As many examples as ever, or a lazy collector: nothing fails, and the exit code is 0."""
    assert 0 == soak.main(["--rounds", "1", *options])
    assert "nothing found" == capfd.readouterr().out.splitlines()[-1]


@pytest.mark.usefixtures("project")
def test_a_round_that_cannot_run_is_a_failure(capfd: pytest.CaptureFixture[str]):
    """A file that pytest cannot import is told, with a command."""
    broken = soak.ROOT / "tests" / "test_broken.py"
    broken.write_text("from hypothesis import nothing_like_it", encoding="utf-8")
    assert 1 == soak.main(["--rounds", "1", "tests/test_broken.py"])
    assert "1 tests failed" == capfd.readouterr().out.splitlines()[-1]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("stubborn", [False, True])
def test_the_time_is_kept(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, stubborn: bool
):
    """A round that is at work when the time is up is cut, if need be killed, and is no find."""
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" * stubborn
    soak.ROOT.joinpath("tests", "test_rare.py").write_text(
        f"{ignored}import time\nfrom hypothesis import given\ntime.sleep(1000)", encoding="utf-8"
    )
    monkeypatch.setattr(soak, "PATIENCE", 1.0)
    assert 0 == soak.main(["--minutes", "0.05"])
    first, cut, last = capfd.readouterr().out.splitlines()
    assert first.startswith("1 files")
    assert cut.startswith("cut     tests/test_rare.py")
    assert "nothing found" == last


@pytest.fixture
def background() -> Iterator[None]:
    """Ignore interrupts, as a shell has its background jobs do."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("project", "background")
def test_what_a_cut_round_has_found_is_told(capfd: pytest.CaptureFixture[str]):
    """A test that failed before its round was interrupted is a find; also in the background."""
    cut = (
        "import signal\n@given(st.none())\ndef test_cut(none): signal.raise_signal(signal.SIGINT)\n"
    )
    rare = textwrap.dedent(RARE).replace("150", "15") + cut
    soak.ROOT.joinpath("tests", "test_rare.py").write_text(rare, encoding="utf-8")
    assert 1 == soak.main(["--rounds", "1", "--examples", "1", "--gc", "5"])
    said = capfd.readouterr().out
    assert "KeyboardInterrupt" in said
    assert "1 tests failed" == said.splitlines()[-1]


def test_a_seed_gives_the_same_rounds():
    """Each goes through all files, each round with a seed of its own."""
    paths = soak.files([])
    assert {"tests/test_values.py", "tests/context/test_machine.py"} <= set(paths)
    assert not {"tests/strategies.py", "tests/tools/test_soak.py"} & set(paths)
    first, again = (
        list(islice(soak.rounds(paths, 10, [1, 700], random.Random(7)), len(paths)))
        for _ in range(2)
    )
    assert first == again
    assert sorted(paths) == sorted(one.path for one in first)
    assert len(paths) == len({one.seed for one in first})


def test_no_properties_is_a_misuse(capsys: pytest.CaptureFixture[str]):
    """A folder without any is refused, not soaked for nothing."""
    with pytest.raises(SystemExit):
        soak.main(["tests/tools/test_pythons.py"])
    assert "no property tests in tests/tools/test_pythons.py" in capsys.readouterr().err
