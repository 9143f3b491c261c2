"""OpenTelemetry's context, if the application loaded it: the current span's ids, and an accessor.

Nothing is imported here; without ``opentelemetry`` in :data:`sys.modules` a line costs one look-up
in a dict. The ids are kept in a ContextVar slot by the identity of OpenTelemetry's context, which
is immutable and new for every attach: 80 ns a line also with 64 interleaved contexts.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from ctxlog.context.accessors import MISSING, SPANS, register_accessor
from ctxlog.context.collector import COLLECTOR
from ctxlog.counting import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ctxlog.ids import TraceIds

#: The module that says, by being loaded, that there may be spans.
LOADED = "opentelemetry.trace"
_SLOT: ContextVar[tuple[object, TraceIds | None]] = ContextVar("ctxlog_span", default=(None, None))
_modules = sys.modules


class _Library:
    """The functions of OpenTelemetry that are used, once it is loaded."""

    __slots__ = ("attach", "empty", "get_current", "get_current_span", "ids", "trace")

    def __init__(self, context: Any, trace: Any) -> None:
        from ctxlog.ids import TraceIds  # here: without the library no ids are made here

        self.ids = TraceIds
        self.trace = trace
        self.get_current: Callable[[], Any] = _reading(context)
        self.attach: Callable[[Any], Any] = context.attach
        self.empty: Callable[[], Any] = context.Context
        self.get_current_span: Callable[[Any], Any] = trace.get_current_span


def _reading(context: Any) -> Callable[[], Any]:
    """Return what ``get_current`` comes to, without the calls: half of what a hit costs."""
    own: Callable[[], Any] = context.get_current
    runtime = getattr(context, "_RUNTIME_CONTEXT", None)
    var = getattr(runtime, "_current_context", None)
    if type(runtime).__name__ == "ContextVarsRuntimeContext" and type(var) is ContextVar:
        try:
            if var.get() is own():
                return var.get
        except Exception:  # noqa: BLE001 - another version's, without a default
            return own
    found: Callable[[], Any] = getattr(runtime, "get_current", own)
    return found


_library: _Library | None = None


def library() -> _Library | None:
    """Return OpenTelemetry's functions, or ``None`` while the application has not loaded it."""
    global _library  # noqa: PLW0603 - found once, kept
    if _library is None and LOADED in _modules:
        context = _modules.get("opentelemetry.context")
        trace = _modules[LOADED]
        # `__all__` is the last line of both: before it, another thread is still importing them
        if hasattr(trace, "__all__") and hasattr(context, "__all__"):
            try:
                _library = _Library(context, trace)
                # a call less, of every capture
                ACCESSOR.capture = _library.get_current  # type: ignore[method-assign]
            except Exception:  # noqa: BLE001 - a finaliser's, when the interpreter ends: nothing is imported
                return None
            COLLECTOR.watch()
    return _library


def current_ids() -> TraceIds | None:
    """Return the valid current span's ids, in one piece; ``None`` when there is none.

    Example:
        >>> current_ids() is None
        True
    """
    otel = _library
    if otel is None and (LOADED not in _modules or (otel := library()) is None):
        return None
    try:
        context = otel.get_current()
    except Exception:  # noqa: BLE001 - somebody's own runtime context: a line is written all the same
        counters.add("errors.span")
        return None
    known, ids = _SLOT.get()
    if known is context:
        return ids
    ids = ids_in(context)
    if not COLLECTOR.at_work:  # a line of a finaliser's
        _SLOT.set((context, ids))
    return ids


def server_ids() -> TraceIds | None:
    """Return the current span's ids; of one that a server's span holds, that one's.

    OpenTelemetry's instrumentation of ASGI makes a span of each message.
    """
    ids = current_ids()
    otel = _library
    if ids is None or otel is None:
        return None
    try:
        span: Any = otel.get_current_span(otel.get_current())
        parent = span.parent
        if span.kind.name == "INTERNAL" and parent is not None and not parent.is_remote:
            return otel.ids(ids.trace_id, f"{parent.span_id:016x}", ids.trace_flags)
    except Exception:  # noqa: BLE001 - no span of the SDK's
        return ids
    return ids


def ids_in(context: Any) -> TraceIds | None:
    """Return the ids of the span in one OpenTelemetry context, or ``None``."""
    otel = library()
    if otel is None:
        return None
    try:
        span = otel.get_current_span(context).get_span_context()
        if not span.is_valid:
            return None
        return otel.ids(f"{span.trace_id:032x}", f"{span.span_id:016x}", f"{span.trace_flags:02x}")
    except Exception:  # noqa: BLE001 - somebody's own span: a line is written all the same
        counters.add("errors.span")
        return None


def live_context(*, keep: bool = False) -> Any:
    """Return OpenTelemetry's current context if its span is live, else ``None``.

    Live is a valid span of this process that has not ended; an unsampled one counts, for its
    trace's decision not to sample must be passed on. With ``keep`` any context there is counts.
    """
    if LOADED not in _modules or (otel := library()) is None:
        return None
    try:
        context = otel.get_current()
        span = otel.get_current_span(context)
        spanned = span.get_span_context()
        ended = getattr(span, "end_time", None) is not None
        live = spanned.is_valid and not spanned.is_remote and not ended
    except Exception:  # noqa: BLE001 - somebody's own span: an entry is opened all the same
        counters.add("errors.span")
        return None
    return context if live or keep else None


def is_remote(context: Any) -> bool:
    """Say whether the span in an OpenTelemetry context is another process's."""
    otel = library()
    try:
        return otel is not None and bool(
            otel.get_current_span(context).get_span_context().is_remote
        )
    except Exception:  # noqa: BLE001 - somebody's own span
        counters.add("errors.span")
        return False


def remote_context(ids: TraceIds, tracestate: str = "") -> Any:
    """Return an OpenTelemetry context whose span is a caller's; ``None`` without the library."""
    otel = library()
    if otel is None:
        return None
    state = None
    if tracestate:
        try:
            state = otel.trace.TraceState.from_header([tracestate])
        except Exception:  # noqa: BLE001 - a stranger's header
            counters.add("errors.carrier")
    span = otel.trace.NonRecordingSpan(
        otel.trace.SpanContext(
            int(ids.trace_id, 16),
            int(ids.span_id, 16),
            is_remote=True,
            trace_flags=otel.trace.TraceFlags(int(ids.trace_flags, 16)),
            trace_state=state,
        )
    )
    return otel.trace.set_span_in_context(span, otel.empty())


def own_context(ids: TraceIds) -> tuple[Any, TraceIds]:
    """Return a context for ids that an entry made, so that spans below are of the same trace.

    They are a parent's, of a span that nobody records. Whether spans below are sampled is decided
    as for a root: the global tracer provider's sampler is asked; without one there is no parent:
    ``None``. Nor is there one with an id generator that gives roots the entry's trace
    (:class:`ctxlog.adapters.otel.spans.EntryIds`).
    """
    otel = library()
    if otel is None:
        return None, ids
    try:
        provider = otel.trace.get_tracer_provider()
        if getattr(getattr(provider, "id_generator", None), "takes_entries", False):
            return None, ids
        sampler = getattr(provider, "sampler", None)
        if sampler is None:  # none is set, or not the SDK's: a parent would decide for its sampler
            return None, ids
        asked = sampler.should_sample(otel.empty(), int(ids.trace_id, 16), "ctxlog.entry")
        if asked.decision.is_sampled():
            ids = otel.ids(ids.trace_id, ids.span_id, "01")
    except Exception:  # noqa: BLE001 - somebody's own provider or sampler
        counters.add("errors.span")
        return None, ids
    return remote_context(ids), ids


class SpanAccessor:
    """OpenTelemetry's whole context travels in a snapshot; missing means an empty one."""

    name = SPANS
    peeks = True

    def capture(self) -> Any:
        """Return the current OpenTelemetry context, :data:`MISSING` without the library."""
        otel = library()  # which puts its own function in place of this one
        return MISSING if otel is None else otel.get_current()

    def enter(self, value: Any) -> Any:
        """Attach ``value`` and return the context to go back to."""
        otel = _library or library()
        if otel is None:
            return None
        before = otel.get_current()
        if value is MISSING:
            if before:  # an empty one need not be replaced
                otel.attach(otel.empty())
        elif value is not before:
            otel.attach(value)
        return before

    def leave(self, before: Any) -> None:
        """Attach what was there before.

        ``detach`` is not used: in a foreign context its token makes the library log an error. Nor
        is it asked what is current: a span that was attached in the block and left there must go.
        """
        otel = library()
        if otel is not None and before is not None and otel.get_current() is not before:
            otel.attach(before)

    def dump(self, value: Any, _replaced: Callable[[str], None]) -> list[str] | None:
        """Return the ids of the span: in another process the rest (baggage, objects) has no home."""
        ids = ids_in(value)
        return None if ids is None else [ids.trace_id, ids.span_id, ids.trace_flags]

    def load(self, data: Any) -> Any:
        """Return a context whose span is the sender's; :data:`MISSING` when ``data`` is none."""
        from ctxlog.ids import TraceIds, parse_traceparent  # here: what loads this has them

        parsed = parse_traceparent("-".join(["00", *data])) if data else None
        return MISSING if parsed is None else remote_context(TraceIds(*parsed))


ACCESSOR = SpanAccessor()
register_accessor(ACCESSOR, when_loaded=LOADED)
