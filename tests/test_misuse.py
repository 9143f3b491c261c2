"""Misuse: any value for any option either works or is a UsageError at once, and nothing has changed."""

from __future__ import annotations

import contextlib
import io
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from ctxlog.errors import UsageError
from ctxlog.runtime import runtime
from tests.kit import configured

if TYPE_CHECKING:
    from collections.abc import Callable


class Odd:
    """An object of nobody's kind."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    def __repr__(self) -> str:
        raise ArithmeticError


async def coroutine(*_: Any) -> None:
    """Something that nobody awaits."""


VALUES: dict[str, Any] = {
    "an object": Odd(),
    "a type": Odd,
    "text": "zzz",
    "no text": "",
    "bytes": b"zzz",
    "nan": math.nan,
    "infinity": math.inf,
    "huge": 10**400,
    "below zero": -1,
    "one": 1,
    "true": True,
    "a list": [[]],
    "a mapping": {1: 2},
    "a coroutine function": coroutine,
}
#: Which option takes which of these values; everything else is an error.
TAKES: dict[str, dict[str, set[str]]] = {
    "configure": {
        "level": {"huge", "below zero", "one"},
        "levels": set(),
        "renderer": set(),
        "stream": set(),
        "sinks": set(),
        "processors": set(),
        "resource": {"a mapping"},
        "schema": set(),
        "callsite": {"true"},
        "stdlib": {"true"},
        "structlog": {"true"},
        "warnings": {"true"},
        "uncaught": {"true"},
        "redact": {"true"},
        "limits": set(),
        "strict": {"true"},
    },
    "add_sink": {
        "renderer": set(),
        "level": {"huge", "below zero", "one"},
        "filter": {"a type"},
        "queue": {"true"},
    },
    "add_hook": {
        "level": {"huge", "below zero", "one"},
        "filter": {"a type"},
        "timeout": {"one"},
    },
    "QueueOptions": {
        "size": {"one"},
        "policy": set(),
        "deadline": {"one"},
        "level": {"huge", "below zero", "one"},
        "batch_lines": {"one"},
        "batch_seconds": {"one"},
        "retries": {"one"},
        "retry_seconds": {"one"},
        "stop_seconds": {"one"},
    },
    "Handler": {
        "stream": set(),
        "level": {"huge", "below zero", "one"},
        "renderer": set(),
        "schema": set(),
    },
    "Formatter": {"renderer": set(), "schema": set()},
    "Limits": {
        "value_bytes": {"huge", "one"},
        "line_bytes": {"huge"},
        "depth": {"one"},
        "items": {"huge", "one"},
    },
    "operation": {"timeout": {"one", "infinity", "below zero"}},
    "flush": {"timeout": {"one"}},
    "shutdown": {"timeout": {"one"}},
    "selftest": {"timeout": {"one"}},
}


def calls(name: str) -> Callable[..., Any]:
    """What is called with one option."""
    from ctxlog.limits import Limits

    targets: dict[str, Callable[..., Any]] = {
        "add_sink": lambda **given: ctxlog.add_sink(print, **given),
        "add_hook": lambda **given: ctxlog.add_hook(print, **given),
        "operation": lambda **given: ctxlog.operation("work", **given),
        "Limits": Limits,
    }
    return targets.get(name) or getattr(ctxlog, name)


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, options in TAKES.items() for option in options]
)
def test_any_value_is_taken_or_refused_at_once(name: str, option: str):
    """What cannot be meant is a UsageError that names the option or what it takes, never another."""
    taken = set()
    for kind, value in VALUES.items():
        with configured(resource={"a": 1}) as written:
            before = (runtime.pipeline, runtime.emit, runtime.levels())
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    calls(name)(**{option: value})
            except UsageError:
                assert before == (runtime.pipeline, runtime.emit, runtime.levels()), kind
                ctxlog.get_logger("shop").error("still there")
                assert 1 == written.event["a"]
            else:
                taken.add(kind)
    assert TAKES[name][option] == taken


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("scope", "@ctxlog.scope()"),
        ("entry", "@ctxlog.entry()"),
        ("operation", "@ctxlog.operation("),
    ],
)
def test_a_decorator_without_its_parentheses(name: str, right: str):
    """``@ctxlog.scope`` alone is answered with how it is written, not with what fields are."""
    with pytest.raises(UsageError, match=re.escape(f"takes parentheses: {right}")):
        getattr(ctxlog, name)(test_a_decorator_without_its_parentheses)
    with pytest.raises(UsageError) as caught:
        getattr(ctxlog, name)(3)
    assert "parentheses" not in str(caught.value)
