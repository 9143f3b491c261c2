"""What `import ctxlog.context` loads."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import ctxlog.context

ASK = """
import sys
before = set(sys.modules)
import ctxlog.context
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded - sys.stdlib_module_names - {"ctxlog"}))
print(sorted({"typing", "dataclasses", "inspect", "re", "enum", "asyncio", "logging"} & loaded))
"""


def test_it_loads_the_standard_library_alone_and_little_of_it():
    """No third party comes in, and none of the modules that cost milliseconds."""
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{ASK}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "[]\n[]\n" == found.stdout


LATER = """
import sys
import ctxlog.context
from ctxlog.context.scope import scope
NAMES = ("decorate", "foreign", "providers", "resource", "snapshot", "spans", "travel", "variables")
with scope(request_id="r-1", attempt=2):
    pass
for name in (*NAMES, "captured", "wrapped", "collector", "steps"):
    assert f"ctxlog.context.{name}" not in sys.modules, name
late = {"errors", "values", "walk", "freeze_walk", "readers", "objects", "ids"}
assert not {f"ctxlog.{name}" for name in late} & set(sys.modules)
for name in NAMES:
    assert getattr(ctxlog.context, name) is sys.modules[f"ctxlog.context.{name}"]
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that finds ctxlog."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def test_what_few_need_is_loaded_when_it_is_asked_for():
    """The modules that capturing and entering do without come in by their names."""
    found = run(LATER)
    assert ("", 0) == (found.stderr, found.returncode)


def test_an_unknown_module_is_an_attribute_error():
    """A name that is no module of the context's is refused as on any module."""
    with pytest.raises(AttributeError, match="no attribute 'provider'"):
        getattr(ctxlog.context, "provider")  # noqa: B009 - type checkers know better


@pytest.mark.parametrize(
    ("library", "bind", "home"),
    [
        ("structlog", "structlog.contextvars.bind_contextvars(a=1)", "foreign"),
        ("loguru", "held = loguru.logger.contextualize(a=1); held.__enter__()", "foreign"),
        ("opentelemetry", "otel.attach(otel.set_value('a', 1))", "spans"),
    ],
)
def test_a_librarys_context_travels_once_it_is_loaded(library: str, bind: str, home: str):
    """Whoever loads it after us, and binds with it, finds it in every snapshot; nobody else loads ours."""
    found = run(f"""
import sys
from ctxlog.context.snapshot import snapshot, wrap
assert () == snapshot().carried
assert "ctxlog.context.{home}" not in sys.modules
if "{library}" == "opentelemetry":
    import opentelemetry.context as otel, opentelemetry.trace
else:
    import {library}
{bind}
print(*[f"{{accessor.name}}:{{value}}" for accessor, value in snapshot().carried])
""")
    assert "" == found.stderr
    assert re.fullmatch(rf"{library}:{{'(structlog_)?a[-\w]*': 1}}\n", found.stdout)


AT_THE_END = """
import os, sys
import opentelemetry.trace
from ctxlog.context.fields import bind_context
from ctxlog.context.snapshot import snapshot
from ctxlog.context.spans import current_ids

class Late:
    def __del__(self, bind=bind_context, take=snapshot, ids=current_ids, write=os.write):
        bind({3: 4}, at={1}, more=[1], n=2)
        write(1, f"{take().values()} {ids()}".encode())

sys.__interactivehook__ = Late()  # the last thing that goes before the modules
"""


def test_a_finaliser_that_the_interpreter_calls_last_is_safe():
    """Where nothing can be imported any more, what needs it is absent and says so; nothing raises."""
    found = run(AT_THE_END)
    assert "" == found.stderr
    assert re.fullmatch(
        r"{'fields': '<dict: unreadable, \w+>', 'at': '<set: unreadable, \w+>',"
        r" 'more': '<list: unreadable, \w+>', 'n': 2} None",
        found.stdout,
    )
