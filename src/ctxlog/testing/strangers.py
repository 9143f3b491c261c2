"""Strangers: what other libraries have bound, when the next test begins and finds it still there.

structlog's context, loguru's, and OpenTelemetry's current span are on every line, too. Suites clear
them at the begin of a test as often as at the end of one: so it is looked when a test's fixtures
have run, and what is not there any more was not left.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctxlog.context.foreign import foreign_values
from ctxlog.context.spans import current_ids
from ctxlog.testing.blind import looking
from ctxlog.testing.opened import Leak
from ctxlog.testing.shown import shown_all

if TYPE_CHECKING:
    from collections.abc import Generator

_MISSING = object()
_FIX = (
    "bind for a block (structlog.contextvars.bound_contextvars, logger.contextualize), or clear it"
    " in a fixture"
)
_FIX_SPAN = "make a span current for a block: with tracer.start_as_current_span(…), use_span(…)"


class Strangers:
    """What a test has bound with other libraries, told by the next one that meets it."""

    def __init__(self) -> None:
        self._before: dict[str, object] = {}
        self._ids: object = None
        self._left: dict[str, object] = {}
        self._left_ids: object = None
        self._by: object = None

    def start(self) -> None:
        """A test begins."""
        self._before, self._ids = _values(), current_ids()

    @contextmanager
    def lasting(self) -> Generator[None]:
        """What is bound in this block outlives the test by right."""
        before, ids = _values(), current_ids()
        yield
        self._before = {**self._before, **_new(_values(), before)}
        if current_ids() != ids:
            self._ids = current_ids()

    def finish(self, test: object) -> None:
        """The test has ended: remember what it has left."""
        self._left = _new(_values(), self._before)
        ids = current_ids()
        self._left_ids = None if ids == self._ids else ids
        self._by = test

    def check(self) -> list[Leak]:
        """Return what the test before has left, and is there as this one's body begins."""
        left, self._left = self._left, {}
        ids, self._left_ids = self._left_ids, None
        found = []
        if left:
            now = _values()
            still = {n: v for n, v in left.items() if now.get(n, _MISSING) is v}
            if still:
                said = f"still bound with structlog or loguru, by {self._by}: {shown_all(still)}"
                found.append(Leak(said, (), _FIX))
        if ids is not None and current_ids() == ids:
            trace_id = getattr(ids, "trace_id", ids)
            said = f"still OpenTelemetry's current span, by {self._by}: trace_id={trace_id}"
            found.append(Leak(said, (), _FIX_SPAN))
        return found


def _values() -> dict[str, object]:
    found: dict[str, object] | None = None
    with looking():  # their registries are not ours
        found = foreign_values()
    return found or {}


def _new(now: dict[str, object], before: dict[str, object]) -> dict[str, object]:
    return {n: v for n, v in now.items() if before.get(n, _MISSING) is not v}
