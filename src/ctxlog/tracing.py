"""Tracing: the span of an operation, where the application has configured a tracer.

Nothing of OpenTelemetry is imported here: without it, or without a provider, there are no spans.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ctxlog.context.spans import ACCESSOR, LOADED, ids_in, library
from ctxlog.counting import counters
from ctxlog.tracebacks import describe

if TYPE_CHECKING:
    from ctxlog.context.accessors import Carried, Undo
    from ctxlog.ids import TraceIds

_modules = sys.modules
#: Providers that stand for none.
_NONE = frozenset({"ProxyTracerProvider", "NoOpTracerProvider", "DefaultTracerProvider"})


class OperationSpan:
    """The span of one run, and OpenTelemetry's context with it.

    Attributes:
        ids: the span's.
    """

    __slots__ = ("_context", "_span", "ids")

    def __init__(self, span: Any, context: Any, ids: TraceIds) -> None:
        self._span = span
        self._context = context
        self.ids = ids

    def enter(self) -> Undo:
        """Make it the current span; return what leaving undoes."""
        return ((ACCESSOR, ACCESSOR.enter(self._context)),)

    def carried(self, others: Carried) -> Carried:
        """Return what is carried, with this as the current span."""
        rest = tuple(pair for pair in others if pair[0] is not ACCESSOR)
        return (*rest, (ACCESSOR, self._context))

    def end(self, outcome: str, error: BaseException | None) -> None:
        """End it: with the exception and its status if one is given."""
        try:
            span = self._span
            span.set_attribute("ctxlog.outcome", outcome)
            if error is not None:
                described = describe(error)
                span.add_event("exception", described)
                otel = library()
                if otel is not None:
                    span.set_status(otel.trace.Status(otel.trace.StatusCode.ERROR, outcome))
            span.end()
        except Exception:  # noqa: BLE001 - somebody's own tracer
            counters.add("errors.span")


def is_configured() -> bool:
    """Say whether the application has set a tracer provider."""
    otel = library()
    try:
        return otel is not None and type(otel.trace.get_tracer_provider()).__name__ not in _NONE
    except Exception:  # noqa: BLE001 - the environment may name a provider that is not there
        counters.add("errors.span")
        return False


def open_span(name: str, logger: str) -> OperationSpan | None:
    """Start a span below the current one; ``None`` where no tracer is configured."""
    if LOADED not in _modules or (otel := library()) is None or not is_configured():
        return None
    try:
        span = otel.trace.get_tracer(logger).start_span(name)
        context = otel.trace.set_span_in_context(span)
        ids = ids_in(context)
    except Exception:  # noqa: BLE001 - somebody's own tracer
        counters.add("errors.span")
        return None
    return None if ids is None else OperationSpan(span, context, ids)
