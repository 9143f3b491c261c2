"""Records of others: the fields bound here, on log records that other libraries emit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.adapters.otel.records import attributes
from ctxlog.context.fields import CURRENT
from ctxlog.counting import counters
from ctxlog.processors import Clean
from ctxlog.runtime import runtime

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LogRecordProcessor
else:  # the SDK asks for these methods alone, and it may not be there
    LogRecordProcessor = object

_CLEAN = Clean()


class LineFields(LogRecordProcessor):
    """A log record processor: puts the context's fields, and an entry's ids, on records.

    What a record says itself stays. Secrets are masked as in lines. Add it before the processor
    that exports: ``provider.add_log_record_processor(LineFields())``.

    Example:
        >>> from opentelemetry.sdk._logs import LoggerProvider
        >>> from opentelemetry.sdk._logs.export import (
        ...     InMemoryLogRecordExporter,
        ...     SimpleLogRecordProcessor,
        ... )
        >>> from ctxlog import scope
        >>> provider, exporter = LoggerProvider(), InMemoryLogRecordExporter()
        >>> provider.add_log_record_processor(LineFields())
        >>> provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        >>> with scope(tenant="t-1"):
        ...     provider.get_logger("theirs").emit(body="x")
        >>> dict(exporter.get_finished_logs()[0].log_record.attributes)
        {'tenant': 't-1'}
        >>> provider.shutdown()
    """

    def on_emit(self, log_record: Any) -> None:
        """Put what is bound here on one record; never raises."""
        try:
            context = CURRENT.get().fields
            record = log_record.log_record
            if context.values:
                pipeline = runtime.pipeline
                clean = _CLEAN if pipeline is None else pipeline.cleaner
                said = record.attributes
                for name, value in attributes(clean.cleaned(context.values), {}, None).items():
                    if name not in said:
                        said[name] = value
            if context.ids is not None and not record.trace_id:
                record.trace_id = int(context.ids.trace_id, 16)
                record.span_id = int(context.ids.span_id, 16)
                record.trace_flags = type(record.trace_flags or 0)(int(context.ids.trace_flags, 16))
        except Exception:  # noqa: BLE001 - their record must not pay for it
            counters.add("errors.otel")

    def enabled(self, **_: Any) -> bool:
        """Leave the decision to those that export."""
        return False

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held."""
        return True
