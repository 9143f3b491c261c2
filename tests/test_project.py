"""The project keeps the promises that its own files make."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from contextvars import ContextVar
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAYERS, _, FOUNDATION, _ = PYPROJECT["tool"]["importlinter"]["contracts"]
SOURCES = sorted((ROOT / "src" / "ctxlog").rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_foundation(path: Path) -> bool:
    """Whether a source file is promised to need the standard library alone."""
    name = module_name(path)
    return any(name == top or name.startswith(f"{top}.") for top in FOUNDATION["source_modules"])


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a source file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", [p for p in SOURCES if is_foundation(p)], ids=module_name)
def test_the_foundation_imports_the_standard_library_alone(path: Path):
    """A module below the carriers imports nothing third-party, not even inside a function."""
    assert set() == imported(path) - sys.stdlib_module_names - {"ctxlog"}


def test_the_lowest_layers_are_the_foundation():
    """The two contracts name the same modules, so that a new one cannot be in only one of them."""
    lowest = [re.findall(r"\w+", layer) for layer in LAYERS["layers"][-3:]]
    expected = {f"ctxlog.{name}" for layer in lowest for name in layer}
    assert expected == set(FOUNDATION["source_modules"])


def test_every_dependency_is_justified():
    """A package that is installed for anybody has a row of its own in docs/dependencies.md."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    wanted = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
        *(entry for group in groups.values() for entry in group if isinstance(entry, str)),
    ]
    expected = {re.split(r"[^\w-]", entry)[0] for entry in wanted}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert expected == set(re.findall(r"^\|.*?\[([\w-]+)\]\(", page, re.MULTILINE))


def test_the_package_says_that_it_is_typed():
    """Type checkers of users read our annotations: the marker file is in the package."""
    assert (ROOT / "src" / "ctxlog" / "py.typed").is_file()


def test_the_version_is_the_same_everywhere():
    """The front door's version is the one that the package is published under."""
    import ctxlog

    assert PYPROJECT["project"]["version"] == ctxlog.__version__


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_commands(command: str):
    """A newcomer finds both commands in the README, and the Makefile has them."""
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    target = command.removeprefix("make ")
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


LEFT: ContextVar[str] = ContextVar("left", default="nothing")


@pytest.mark.parametrize("what", ["first", "second"])
def test_a_test_leaves_nothing_in_the_context(what: str):
    """Every test runs in a context of its own: what one binds, the next does not see."""
    assert LEFT.get() == "nothing"
    LEFT.set(what)
