"""Projects in a directory of their own, each run by pytest in a process of its own."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Project:
    """Files in a directory, and what pytest says of them."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.path: Path = pytester.path

    def write(self, **files: str) -> None:
        """Write modules by name."""
        for name, text in files.items():
            self.path.joinpath(f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")

    def ini(self, text: str) -> None:
        """Write the ini file."""
        body = textwrap.dedent(text)
        self.path.joinpath("pytest.ini").write_text(f"[pytest]\n{body}", encoding="utf-8")

    def run(self, *options: str, plugins: tuple[str, ...] = ("ctxlog.pytest_plugin",)) -> Any:
        """Run pytest with these plugins, whatever others are installed; a hang is no wait."""
        given = ["-p", "no:cacheprovider"]
        for plugin in plugins:
            given += ["-p", plugin]
        return self._pytester.runpytest_subprocess(*given, *options, timeout=100)

    def line_of(self, text: str, module: str = "test_it") -> int:
        """Return the number of the only line that ends with this text."""
        lines = self.path.joinpath(f"{module}.py").read_text(encoding="utf-8").splitlines()
        (number,) = [n for n, line in enumerate(lines, 1) if line.endswith(text)]
        return number


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, whose output is as wide as it needs."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS"):  # under CI pytest repeats whole messages
        monkeypatch.delenv(name, raising=False)
    return Project(pytester)
