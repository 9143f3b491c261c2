"""Spans: OpenTelemetry's context, its ids on lines and its travels; absent, late, and broken."""

from __future__ import annotations

import subprocess
import sys
import types
from contextvars import copy_context
from threading import Thread
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ctxlog.context import spans
from ctxlog.context.accessors import MISSING, SPANS
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import snapshot, wrap
from ctxlog.context.spans import ACCESSOR, current_ids, ids_in, live_context, remote_context
from ctxlog.counting import counters
from ctxlog.entries import entry
from ctxlog.ids import TraceIds
from ctxlog.logger import get_logger
from ctxlog.testing import capture

tracer = TracerProvider().get_tracer("tests")
unsampled = TracerProvider(sampler=ALWAYS_OFF).get_tracer("tests")
REMOTE = TraceIds("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")


def ids_of(span: Any) -> TraceIds:
    """Return a span's ids as text."""
    about = span.get_span_context()
    return TraceIds(
        trace.format_trace_id(about.trace_id),
        trace.format_span_id(about.span_id),
        f"{about.trace_flags:02x}",
    )


def test_ids_are_the_current_spans():
    """Within a span its ids are current; within a child's, the child's; outside, none."""
    assert current_ids() is None
    with tracer.start_as_current_span("outer") as outer:
        assert ids_of(outer) == current_ids()
        assert current_ids() is current_ids()
        with tracer.start_as_current_span("inner") as inner:
            assert ids_of(inner) == current_ids()
        assert ids_of(outer) == current_ids()
    assert current_ids() is None


def test_an_unsampled_span_has_ids_too():
    """A span that records nothing is on the line, its sampled flag zero."""
    with unsampled.start_as_current_span("x") as span:
        ids = current_ids()
        assert ids_of(span) == ids
        assert ids is not None
        assert 0 == int(ids.trace_flags, 16) & 1


def test_lines_have_the_spans_ids_and_no_fields_of_that_name():
    """The span's ids win over the entry's, as one unit."""
    with capture() as lines, entry() as _, tracer.start_as_current_span("x") as span:
        get_logger("t").info("line")
    line = lines.one()
    assert ids_of(span) == TraceIds(line["trace_id"], line["span_id"], line["trace_flags"])


def test_the_context_travels_to_threads():
    """A wrapped callable in a thread has the span and the baggage of where it was wrapped."""
    seen = []
    with tracer.start_as_current_span("x") as span:
        token = otel.attach(baggage.set_baggage("k", "v"))
        job = wrap(lambda: seen.append((current_ids(), baggage.get_baggage("k"))))
        otel.detach(token)
    thread = Thread(target=job)
    thread.start()
    thread.join()
    assert [(ids_of(span), "v")] == seen


def test_a_snapshot_without_a_span_replaces_one():
    """Under a snapshot taken outside any span no span is current; afterwards it is again."""
    bare = snapshot()
    with tracer.start_as_current_span("x") as span:
        with bare.scope():
            assert current_ids() is None
        assert ids_of(span) == current_ids()
        assert bare.run(current_ids) is None
        assert ids_of(span) == current_ids()


def test_a_snapshots_ids_are_its_spans():
    """The ids a line under a snapshot has are those of the span it was taken in."""
    with entry():
        outside = snapshot()
        with tracer.start_as_current_span("x") as span:
            inside = snapshot()
    assert ids_of(span) == inside.ids
    assert outside.fields.ids == outside.ids
    with capture() as lines:
        get_logger("t").using(inside).info("line")
    assert ids_of(span).span_id == lines.one()["span_id"]


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_a_span_left_open_goes_with_the_entry():
    """A library that attaches and never detaches does not mark the next message's lines."""
    before = otel.get_current()
    with entry():
        otel.attach(trace.set_span_in_context(tracer.start_span("never detached")))
        assert current_ids() is not None
    assert before is otel.get_current()
    assert current_ids() is None


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_leaving_in_a_foreign_context_detaches_nothing(caplog):
    """There the context stays what it was, and OpenTelemetry logs no error."""
    block = entry({"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
    elsewhere = copy_context()
    block.__enter__()
    with tracer.start_as_current_span("x") as span:
        context = trace.set_span_in_context(span)
    elsewhere.run(otel.attach, context)
    elsewhere.run(block.__exit__, None, None, None)
    assert context is elsewhere.run(otel.get_current)
    assert [] == caplog.records


def test_a_generators_span_is_its_own():
    """A span open across a yield of a decorated generator does not reach the consumer."""

    @scope()
    def work():
        with tracer.start_as_current_span("own"):
            yield current_ids()
            yield current_ids()
        yield current_ids()

    with tracer.start_as_current_span("consumer's") as span:
        generator = work()
        first = next(generator)
        assert ids_of(span) == current_ids()
        assert first != ids_of(span)
        assert first == next(generator)
        assert ids_of(span) == next(generator)
        assert ids_of(span) == current_ids()


@pytest.mark.parametrize("mode", ["auto", "new"])
def test_an_entrys_generator_has_no_span_of_its_consumers(mode):
    """Stepped under another request's span, an entry's generator keeps its own ids."""

    @entry(trace=mode)
    def work():
        while True:
            yield current_ids(), snapshot().ids

    generator = work()
    first = next(generator)
    with tracer.start_as_current_span("other"):
        assert first == next(generator)
    assert first[0] is None
    assert first[1] is not None


# -- live -----------------------------------------------------------------------------------------


def test_live_is_a_valid_local_span_that_has_not_ended():
    """Ended and remote spans, and none at all, are not live; an unsampled one is."""
    assert live_context() is None
    assert otel.get_current() is live_context(keep=True)
    with tracer.start_as_current_span("x", end_on_exit=False) as span:
        assert otel.get_current() is live_context()
        span.end()
        assert live_context() is None
        assert otel.get_current() is live_context(keep=True)
    with unsampled.start_as_current_span("x"):
        assert otel.get_current() is live_context()
    token = otel.attach(remote_context(REMOTE))
    assert REMOTE == current_ids()
    assert live_context() is None
    otel.detach(token)


def test_a_remote_context_holds_the_callers_span():
    """Its span has the caller's ids and says that it is remote."""
    span = trace.get_current_span(remote_context(REMOTE)).get_span_context()
    assert REMOTE == ids_in(remote_context(REMOTE))
    assert span.is_remote
    assert span.trace_flags.sampled


# -- broken, late, absent -------------------------------------------------------------------------


class BrokenSpan(trace.NonRecordingSpan):
    """Somebody's own span, that raises."""

    def get_span_context(self) -> Any:
        """Raise."""
        raise RuntimeError("no")


def test_a_span_that_raises_costs_its_ids_alone():
    """A line is written and an entry opened under a span that raises; a counter moves."""
    before = counters["errors.span"]
    token = otel.attach(trace.set_span_in_context(BrokenSpan(trace.INVALID_SPAN_CONTEXT)))
    with capture() as lines:
        get_logger("t").info("line")
        with entry():
            get_logger("t").info("in an entry")
    assert 2 == len(lines)
    assert "trace_id" not in lines[0]
    assert before < counters["errors.span"]
    otel.detach(token)


def test_a_runtime_context_that_raises_costs_the_ids_alone(monkeypatch):
    """OpenTelemetry's context may be somebody's own; whatever it raises is counted."""

    def fail() -> None:
        raise RuntimeError("no")

    library = spans.library()
    broken = types.SimpleNamespace(get_current=fail, get_current_span=None)
    monkeypatch.setattr(spans, "_library", broken)
    monkeypatch.setattr(ACCESSOR, "capture", fail)
    before = counters["errors.span"], counters["errors.accessor"]
    assert current_ids() is None
    assert live_context() is None
    assert SPANS not in {accessor.name for accessor, _ in snapshot().carried}
    assert (before[0] + 2, before[1] + 1) == (
        counters["errors.span"], counters["errors.accessor"],
    )  # fmt: skip
    monkeypatch.setattr(spans, "_library", library)


@pytest.fixture
def absent(monkeypatch):
    """Be without OpenTelemetry, until a test gives it back."""
    monkeypatch.setattr(spans, "_library", None)
    modules = dict(sys.modules)
    modules.pop("opentelemetry.trace")
    monkeypatch.setattr(spans, "_modules", modules)
    monkeypatch.delitem(vars(ACCESSOR), "capture", raising=False)
    return modules


def test_without_the_library_nothing_is_there(absent):
    """Every question has an empty answer, and the accessor carries nothing."""
    assert [None] * 4 == [spans.library(), current_ids(), live_context(), ids_in(None)]
    assert remote_context(REMOTE) is None
    assert MISSING is ACCESSOR.capture()
    assert ACCESSOR.enter(MISSING) is None
    ACCESSOR.leave(None)


@pytest.mark.parametrize("half", ["opentelemetry.trace", "opentelemetry.context"])
def test_one_that_is_being_imported_is_not_there_yet(absent, half):
    """Half a library, as another thread's import leaves it, is none."""
    absent["opentelemetry.trace"] = trace
    assert spans.library() is not None
    spans._library = None
    absent[half] = types.ModuleType(half)
    absent[half].get_current_span = absent[half].get_current = print
    assert [None, None] == [spans.library(), current_ids()]


def test_leaving_without_a_before_attaches_nothing():
    """Entered before the library came, left after: the current context stays."""
    before = otel.get_current()
    ACCESSOR.leave(None)
    assert before is otel.get_current()


LATE = """
import sys
from ctxlog.context.snapshot import snapshot
from ctxlog.context.spans import current_ids
from ctxlog.entries import entry
assert not any(name.startswith("opentelemetry") for name in sys.modules)
early = snapshot()
assert current_ids() is None and early.carried == ()
block = entry({"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
with block:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    assert snapshot().ids.trace_id == "a" * 32
    with TracerProvider().get_tracer("t").start_as_current_span("x"):
        assert current_ids() is not None
        assert snapshot().ids == current_ids()
        assert early.run(current_ids) is None
assert current_ids() is None
print("fine")
"""


def test_a_library_imported_late_is_found():
    """Snapshots and entries made before OpenTelemetry was imported work after it."""
    found = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, text=True, check=False
    )
    assert "fine\n" == found.stdout, found.stderr
