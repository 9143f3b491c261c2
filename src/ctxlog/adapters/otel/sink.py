"""Sink: lines as OpenTelemetry log records, through ``opentelemetry._logs``."""

from __future__ import annotations

import sys
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, context
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import get_value
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from ctxlog import names
from ctxlog.adapters.otel import records
from ctxlog.context.resource import get_resource
from ctxlog.context.spans import current_ids, remote_context
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.ids import TraceIds, valid_span_id, valid_trace_id
from ctxlog.levels import INFO, parse
from ctxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.context import Context

#: What the SDK sets while it exports: what is logged then would go round in circles.
SUPPRESSED = "suppress_instrumentation"
_KEYS = tuple(
    key
    for key in (getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", None), SUPPRESSED)
    if key is not None
)
_SEVERITIES = {number: SeverityNumber(number) for number in range(1, 25)}
_MAX_LOGGERS = 1_024
_NOWHERE = set_span_in_context(INVALID_SPAN, context.Context())


class Taken(dict[str, Any]):
    """An event, and what was current where it was logged: it may be emitted on another thread."""

    __slots__ = ("context", "level", "ours")

    context: Context
    level: int
    ours: bool


class OtelSink(Sink):
    """Lines to OpenTelemetry's logs API.

    Body is the event, attributes are the fields, the scope's name is the logger's. A field
    ``event_name`` is the record's. The context is the one the line was logged in, whatever thread
    emits it. What loggers called ``opentelemetry…`` say, and what is said during an export, does
    not come here. While OpenTelemetry's own handler for :mod:`logging` is on the root logger,
    lines of that door do not either: it exports them.

    Args:
        provider: where records go; default is the global provider, looked up when it is needed.
        resource: fields that the provider's resource has; they are no attributes. Default is what
            ``configure(resource=…)`` said.
        options: ``level`` and ``accept``, see :class:`~ctxlog.sinks.sink.Sink`.
    """

    kind = "otel"
    wants_event = True
    wants_level = True
    copies = True
    keeps_lines = True
    #: What comes is a notice of the queue's in front: no line that anybody logged.
    noticing = False

    def __init__(
        self,
        provider: LoggerProvider | None = None,
        *,
        resource: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(level=parse(options.pop("level", 0)), **options)
        self._provider = provider
        self._loggers: dict[str, Logger] = {}
        self._most = records.attribute_limit()
        self._resource = resource

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return "otel logs"

    @property
    def provider(self) -> LoggerProvider:
        """Where records go."""
        return self._provider or _logs.get_logger_provider()

    @property
    def door(self) -> str | None:  # type: ignore[override]
        """The door whose lines another handler exports already."""
        return "logging" if _is_handled() else None

    def take(self, event: dict[str, Any], level: int) -> Taken | None:
        """Return the event with what is current here; ``None`` when it must not go out this way."""
        logger = str(event.get(names.LOGGER, ""))  # a processor may have put anything there
        if logger.startswith("opentelemetry") and logger[13:14] in {"", "."}:
            return None
        now = context.get_current()
        if now and any(get_value(key, now) for key in _KEYS):
            return None
        taken = Taken(event)
        taken.level, taken.ours = level, True
        ids = current_ids()
        trace_id = event.get(names.TRACE_ID)
        if ids is None or trace_id != ids.trace_id or event.get(names.SPAN_ID) != ids.span_id:
            now = _context_of(event)
        taken.context = now or _NOWHERE
        return taken

    def write(self, line: Any) -> None:
        """Emit one event; one at a time is not needed: the API is thread-safe."""
        if type(line) is not Taken:  # a notice of a queue's, a self-test
            line = Taken(line)
            line.level, line.context = _level_of(line), _NOWHERE
            line.ours = not self.noticing
        self.emit(line)
        self.count()

    def emit(self, event: Taken) -> None:
        """Hand a record to the API."""
        name = _text(event.get(names.LOGGER)) or "root"
        logger = self._loggers.get(name)
        if logger is None:
            logger = self._logger(name)
        number = _SEVERITIES[records.severity(event.level)]
        found = records.attributes(
            event, get_resource() if self._resource is None else self._resource, self._most
        )
        event_name = found.pop(records.EVENT_NAME, None)
        if event_name is not None and type(event_name) is not str:
            found[records.EVENT_NAME] = event_name
            event_name = None
        logger.emit(
            timestamp=records.nanoseconds(event.get(names.TIMESTAMP)),
            observed_timestamp=time_ns(),
            context=event.context,
            severity_number=number,
            severity_text=_text(event.get(names.LEVEL)),
            body=_text(event.get(names.EVENT)),
            attributes=found,
            event_name=event_name,
        )

    def _logger(self, name: str) -> Logger:
        if len(self._loggers) >= _MAX_LOGGERS:
            self._loggers.clear()
        logger = self._loggers[name] = self.provider.get_logger(name)
        return logger

    def flush(self, timeout: float | None = None) -> bool:
        """Flush the provider, if it can be."""
        flush = getattr(self.provider, "force_flush", None)
        if flush is None:
            return True
        return flush(30_000 if timeout is None else max(1, int(timeout * 1_000))) is not False


def _level_of(event: dict[str, Any]) -> int:
    try:
        return parse(event.get(names.LEVEL, "info"))
    except UsageError:
        return INFO


def _text(value: object) -> str:
    return value if type(value) is str else "" if value is None else str(value)


def _context_of(event: dict[str, Any]) -> Any:
    """Return a context with the event's own ids; without any, one that has no span."""
    trace_id, span_id = event.get(names.TRACE_ID), event.get(names.SPAN_ID)
    flags = event.get(names.TRACE_FLAGS)
    if not (valid_trace_id(trace_id) and valid_span_id(span_id)):
        return _NOWHERE
    try:
        return remote_context(TraceIds(trace_id, span_id, flags if type(flags) is str else "00"))  # type: ignore[arg-type] # both valid
    except ValueError:
        counters.add("errors.span")
        return _NOWHERE


def _is_handled() -> bool:
    """Whether a handler of OpenTelemetry's is on the root logger."""
    logging = sys.modules.get("logging")
    return logging is not None and any(
        type(handler).__module__.startswith("opentelemetry.") for handler in logging.root.handlers
    )
