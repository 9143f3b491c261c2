"""Front door: a short list of names, loaded when they are used."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ctxlog

NAMES = [
    "BoundLogger", "Formatter", "Handler", "QueueOptions", "Secret", "Snapshot", "add_hook",
    "add_sink", "annotate", "bind_context", "clear_context", "configure", "counters", "entry",
    "extract", "flush", "get_context", "get_logger", "inject", "lazy", "log_counters", "operation",
    "remove_sink", "scope", "selftest", "set_level", "shutdown", "snapshot", "stamp_records",
    "time_left", "unbind_context", "wrap",
]  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after running some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_names_are_a_contract():
    """Whoever adds a name changes this list, on purpose."""
    assert NAMES == ctxlog.__all__
    assert sorted([*NAMES, "__version__"]) == dir(ctxlog)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there_once(name):
    """A name loads from one place, is kept, and no module has it too."""
    value = getattr(ctxlog, name)
    assert value is vars(ctxlog)[name]
    assert name not in {module.name for module in pkgutil.iter_modules(ctxlog.__path__)}
    assert value is getattr(importlib.import_module(f"ctxlog.{ctxlog._HOME[name]}"), name)


def test_a_name_that_is_none():
    """A typo is an AttributeError."""
    with pytest.raises(AttributeError, match="has no attribute 'konfigure'"):
        _ = ctxlog.konfigure  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["adapters", "limits", "propagation"])
def test_a_module_that_nobody_imported(name):
    """``ctxlog.adapters.kopf.install()`` after ``import ctxlog`` alone says what to do."""
    code = f"import ctxlog\ntry: ctxlog.{name}\nexcept AttributeError as e: print(ascii(str(e)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )  # fmt: skip
    hint = f"until it is imported: `from ctxlog.{name} import \\u2026`"
    assert f"module 'ctxlog' has no attribute '{name}' {hint}" in done.stdout


def test_every_module_of_the_docs_has_that_hint():
    """What the pages name, and what is there, are the same."""
    root = Path(__file__).parent.parent
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"\bctxlog\.([a-z_]+)", page.read_text("utf-8"))
    }
    there = {module.name for module in pkgutil.iter_modules(ctxlog.__path__)}
    assert sorted(named & there) == list(ctxlog._MODULES)


@pytest.mark.parametrize("code", [
    "import ctxlog", "import ctxlog.context", "import ctxlog; ctxlog.get_logger('a')",
    "import ctxlog; ctxlog.get_logger('a').info('e'); ctxlog.bind_context(a=1)",
])  # fmt: skip
def test_no_third_party_is_loaded(code):
    """Importing, and logging unconfigured, load neither structlog nor orjson nor OpenTelemetry."""
    third = {"structlog", "orjson", "opentelemetry", "rich", "contextvars_extras"}
    assert set() == third & {name.partition(".")[0] for name in loaded_by(code)}


def test_import_loads_nothing_of_ours():
    """The names load when they are used."""
    ours = {name for name in loaded_by("import ctxlog") if name.startswith("ctxlog")}
    assert {"ctxlog"} == ours
