"""Spans: chosen fields as their attributes, logged exceptions and lines on them.

:class:`SpanFields` is a span processor, :class:`SpanSink` a sink, :class:`EntryIds` an id generator:

    provider = TracerProvider(id_generator=EntryIds())
    provider.add_span_processor(SpanFields(["request_id", "tenant"]))
    ctxlog.configure(sinks=[sys.stderr, SpanSink()])
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from ctxlog import names
from ctxlog.adapters.otel.records import attributes, nanoseconds
from ctxlog.context.fields import BOUND, CURRENT, thaw
from ctxlog.context.resource import get_resource
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.levels import ERROR, parse
from ctxlog.processors import Clean
from ctxlog.redact import Redaction
from ctxlog.renderers.json import encode
from ctxlog.sinks.sink import Sink
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxlog.adapters.otel.sink import Taken

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
else:  # the SDK's classes ask for these methods alone, and it may not be there
    SpanProcessor = IdGenerator = object

_EXCEPTION = ("exception.type", "exception.message", "exception.stacktrace")


def chosen(given: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """Return fields by name, and what their attributes are called.

    Raises:
        UsageError: it is neither names nor a mapping of them.

    Example:
        >>> chosen(["tenant"]), chosen({"user": "enduser.id"})
        ({'tenant': 'tenant'}, {'user': 'enduser.id'})
    """
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"fields are chosen by several names, not {type(given).__name__}")
    several: Any = given
    found: dict[Any, Any] = dict(several) if is_mapping(type(given)) else {n: n for n in several}
    for name in (*found, *found.values()):
        if not isinstance(name, str) or not name:
            raise UsageError(f"fields are chosen by name, a text, not {name!r:.80}")
    return found


def attribute(value: object) -> Any:
    """Return a field's value as a span's attribute: a scalar, a list of one kind, or JSON.

    Example:
        >>> attribute(3), attribute(("a", "b")), attribute({"a": 1})
        (3, ['a', 'b'], '{"a":1}')
    """
    value = attributes({"": thaw(value)}, {}, None)["<empty>"]
    kinds = {type(item) for item in value} if type(value) is list else {dict}
    if len(kinds) <= 1 and kinds <= {str, bool, int, float}:
        return value
    return encode({"": value})[4:-1].decode() if type(value) in {list, dict} else value


class SpanFields(SpanProcessor):
    """A span processor: chosen fields of the context become attributes of spans.

    Of a span that starts below them, when it starts; of the current span, when they are bound.
    Names that redaction knows as secret are left out. Add it to the SDK's tracer provider.

    Args:
        fields: the names that are chosen, or a mapping of them to the attributes' names.
        redaction: what is secret; default is the well-known names.

    Raises:
        UsageError: ``fields`` is neither names nor a mapping of them.

    Example:
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> from ctxlog import scope
        >>> provider = TracerProvider()
        >>> provider.add_span_processor(SpanFields(["tenant"]))
        >>> tracer = provider.get_tracer("doc")
        >>> with scope(tenant="t-1"), tracer.start_as_current_span("a") as span:
        ...     span.attributes["tenant"]
        't-1'
    """

    def __init__(
        self, fields: Iterable[str] | Mapping[str, str], *, redaction: Redaction | None = None
    ) -> None:
        known = Redaction() if redaction is None else redaction
        secret = known.is_secret
        self._clean = Clean(known)
        self._chosen = {n: to for n, to in chosen(fields).items() if not secret(n)}
        BOUND.append(self._bound)

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Put the fields bound here on a span that starts."""
        self._put(span, CURRENT.get().fields.values)

    def _bound(self, fields: dict[str, object]) -> None:
        if not self._chosen.keys().isdisjoint(fields):
            self._put(trace.get_current_span(), fields)

    def _put(self, span: Any, fields: Mapping[str, object]) -> None:
        try:
            if span.is_recording():
                for name, to in self._chosen.items():
                    value = fields.get(name)
                    if value is not None:
                        (clean,) = self._clean.cleaned({name: value}).values()
                        span.set_attribute(to, attribute(clean))
        except Exception:  # noqa: BLE001 - somebody's own span
            counters.add("errors.span")

    def on_end(self, span: Any) -> None:
        """Nothing is done at the end."""

    def _on_ending(self, span: Any) -> None:
        """Nothing is done before the end."""

    def shutdown(self) -> None:
        """Look at what is bound no more."""
        if self._bound in BOUND:
            BOUND.remove(self._bound)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back."""
        return True


class SpanSink(Sink):
    """A sink: exceptions that are logged, and lines if asked, become events of the current span.

    Args:
        lines: every line that comes here is an event of its span, with its fields.
        exceptions: a line with an exception is an ``exception`` event; from level error on the
            span's status is an error.
        options: ``level`` and ``accept``, see :class:`~ctxlog.sinks.sink.Sink`.

    Example:
        >>> from ctxlog import configure, get_logger, shutdown
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> configure(sinks=[SpanSink(lines=True)])
        >>> tracer = TracerProvider().get_tracer("doc")
        >>> with tracer.start_as_current_span("a") as span:
        ...     get_logger("shop").info("paid", amount=3)
        >>> [(event.name, dict(event.attributes)) for event in span.events]
        [('paid', {'level': 'info', 'logger': 'shop', 'amount': 3})]
        >>> shutdown()
        True
    """

    kind = "span"
    wants_event = True
    copies = True

    def __init__(self, *, lines: bool = False, exceptions: bool = True, **options: Any) -> None:
        super().__init__(level=parse(options.pop("level", 0)), **options)
        self._lines = lines
        self._exceptions = exceptions

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return "span"

    def take(self, event: dict[str, Any], level: int) -> Taken | None:
        """Put the event on the span that is current here, if it is the line's own."""
        span = trace.get_current_span()
        if not span.is_recording():
            return None
        if event.get(names.SPAN_ID) != f"{span.get_span_context().span_id:016x}":
            return None  # written elsewhere
        at = nanoseconds(event.get(names.TIMESTAMP))
        if self._exceptions and "exception.type" in event:
            found = {name: str(event[name]) for name in _EXCEPTION if name in event}
            span.add_event("exception", found, timestamp=at)
            if level >= ERROR:
                span.set_status(Status(StatusCode.ERROR, found.get("exception.message")))
        if self._lines:
            rest = {
                n: attribute(v)
                for n, v in attributes(event, get_resource(), 126).items()
                if v is not None
            }
            head = {
                names.LEVEL: event.get(names.LEVEL, ""),
                names.LOGGER: event.get(names.LOGGER, ""),
            }
            span.add_event(str(event.get(names.EVENT, "")), {**head, **rest}, timestamp=at)
        self.count()
        return None

    def write(self, line: Any) -> None:
        """What comes by another way than :meth:`take` belongs to no span."""


class EntryIds(IdGenerator):
    """An id generator: a root span begun in an entry is of the entry's trace.

    Without it, spans in an entry that made its ids itself have a parent that nobody records. Give
    it to the SDK: ``TracerProvider(id_generator=EntryIds())``.

    Args:
        inner: what makes all other ids; default is random ones.
    """

    takes_entries = True

    def __init__(self, inner: Any = None) -> None:
        self._inner = inner

    def generate_trace_id(self) -> int:
        """Return the entry's trace id, else a new one."""
        ids = CURRENT.get().fields.ids
        if ids is not None:
            return int(ids.trace_id, 16)
        made = random.getrandbits(128) if self._inner is None else self._inner.generate_trace_id()
        return int(made) or 1

    def generate_span_id(self) -> int:
        """Return a new span id."""
        made = random.getrandbits(64) if self._inner is None else self._inner.generate_span_id()
        return int(made) or 1

    def is_trace_id_random(self) -> bool:
        """Say whether trace ids are random: as far as those that came in are."""
        return True
