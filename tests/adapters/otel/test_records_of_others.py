"""Fields on log records that other libraries emit."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

import ctxlog
from ctxlog.adapters.otel.records_of_others import LineFields
from tests.strategies import HOSTILE


class Theirs:
    """A provider of somebody else's, with our processor before their exporter."""

    def __init__(self) -> None:
        self.exporter = InMemoryLogRecordExporter()
        provider = LoggerProvider(shutdown_on_exit=False)
        processor: Any = LineFields()
        provider.add_log_record_processor(processor)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))
        self.logger = provider.get_logger("theirs")

    @property
    def record(self) -> Any:
        """The only record."""
        (record,) = self.exporter.get_finished_logs()
        return record.log_record


def test_what_is_bound_is_on_the_record():
    """What it says itself stays; secrets are masked; the entry's ids are its ids."""
    theirs = Theirs()
    with ctxlog.entry(tenant="t-1", n=1, password="hunter2"):
        theirs.logger.emit(body="x", attributes={"n": 2})
        ids = ctxlog.snapshot().ids
    assert ids is not None
    record = theirs.record
    found = dict(record.attributes)
    assert ids.trace_id == f"{record.trace_id:032x}"
    assert len(found.pop("request_id")) == 32
    assert {"tenant": "t-1", "n": 2, "password": "[redacted]"} == found


def test_a_span_of_the_records_own_stays():
    """The entry's ids are for records without any."""
    theirs = Theirs()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with ctxlog.entry(), tracer.start_as_current_span("a") as span:
        theirs.logger.emit(body="x")
    assert span.get_span_context().span_id == theirs.record.span_id


def test_outside_any_context_nothing_changes():
    """A record stays as it is."""
    theirs = Theirs()
    theirs.logger.emit(body="x", attributes={"n": 2})
    assert ({"n": 2}, 0) == (dict(theirs.record.attributes), theirs.record.trace_id)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_value_harms_no_record(name: str):
    """It is made plain first."""
    theirs = Theirs()
    with ctxlog.scope(value=HOSTILE[name](), other=1):
        theirs.logger.emit(body="x")
    assert 1 == theirs.record.attributes["other"]
