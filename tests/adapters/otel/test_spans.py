"""Spans that carry the context, and entries and operations that agree with them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

import ctxlog
from ctxlog.adapters.otel.spans import EntryIds, SpanFields, SpanSink
from ctxlog.context import fields
from ctxlog.errors import UsageError
from ctxlog.kubernetes.reconcile import reconcile
from ctxlog.testing import capture
from tests.kit import configured, moved
from tests.strategies import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Generator

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Traced:
    """A tracer provider, and the spans that ended."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    @property
    def spans(self) -> list[Any]:
        """The spans that ended, in that order."""
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> Any:
        """The only one of a name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    """A tracer provider that is the global one."""
    made = Traced()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.provider)
    monkeypatch.setattr(trace, "get_tracer", lambda name, *_: made.provider.get_tracer(name))
    return made


@contextmanager
def carrying(traced: Traced, *names: Any) -> Generator[None]:
    """Put chosen fields on spans for a block."""
    processor: Any = SpanFields(*names)
    traced.provider.add_span_processor(processor)
    try:
        yield
    finally:
        processor.shutdown()
    assert processor._bound not in fields.BOUND


# -- fields on spans ------------------------------------------------------------------------------


def test_secrets_inside_a_chosen_field():
    """What is secret in a mapping is masked on the span, as it is in lines."""
    provider = TracerProvider()
    fields = SpanFields(["user"])
    provider.add_span_processor(fields)
    tracer = provider.get_tracer("tests")
    user = {"name": "n", "password": "hunter2"}
    with ctxlog.scope(user=user), tracer.start_as_current_span("a") as span:
        found: Any = span
        assert "hunter2" not in str(found.attributes["user"])
    fields.shutdown()


def test_chosen_fields_are_on_spans_that_start_below_them(traced: Traced):
    """By their own names or others; the rest, and secrets, are not."""
    with carrying(traced, {"tenant": "app.tenant", "n": "n", "password": "password"}):
        with ctxlog.entry(tenant="t-1", other=1, password="hunter2"):
            with ctxlog.scope(n=(1, 2)), traced.tracer.start_as_current_span("a"):
                pass
    assert {"app.tenant": "t-1", "n": (1, 2)} == dict(traced.span("a").attributes)


@pytest.mark.parametrize("way", ["bind_context", "scope", "entry"])
def test_chosen_fields_are_on_the_current_span_when_they_are_bound(traced: Traced, way: str):
    """Whatever binds them, below the span."""
    with carrying(traced, ["tenant"]), traced.tracer.start_as_current_span("a"), ctxlog.scope():
        if way == "bind_context":
            ctxlog.bind_context(tenant="t-1", other=2)
        elif way == "scope":
            with ctxlog.scope(tenant="t-1"):
                pass
        else:
            with ctxlog.entry(tenant="t-1"):
                pass
    assert {"tenant": "t-1"} == dict(traced.span("a").attributes)


def test_no_other_requests_field_is_on_a_span(traced: Traced):
    """Two threads with a span each: every span has its own."""

    def work(number: int) -> None:
        with ctxlog.entry(tenant=number):
            for _ in range(50):
                with traced.tracer.start_as_current_span(str(number)):
                    ctxlog.bind_context(tenant=number)

    with carrying(traced, ["tenant"]):
        threads = [Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 200 == sum(span.name == str(span.attributes["tenant"]) for span in traced.spans)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_value_harms_no_span(traced: Traced, name: str):
    """It is on the span as something that every exporter takes, or not at all."""
    with carrying(traced, ["value"]), ctxlog.scope(value=HOSTILE[name]()):
        with traced.tracer.start_as_current_span("a"):
            pass
    value = traced.span("a").attributes.get("value")
    kinds = {type(item) for item in value} if isinstance(value, tuple) else {type(value)}
    assert len(kinds) <= 1
    assert kinds <= {str, int, float, bool, type(None)}


@pytest.mark.parametrize("given", ["tenant", 3, [1], {"a": ""}])
def test_misuse_says_what_is_taken(given: Any):
    """Fields are chosen by names."""
    with pytest.raises(UsageError, match="fields are chosen"):
        SpanFields(given)


# -- lines and exceptions on spans -----------------------------------------------------------------


def test_a_logged_exception_is_on_the_span_with_its_status(traced: Traced):
    """As an event, redacted like the line; below error it sets no status."""
    with configured(sinks=[SpanSink()]):
        with traced.tracer.start_as_current_span("warned"):
            ctxlog.get_logger("s").warning("retry", exc_info=ValueError("a"))
        with traced.tracer.start_as_current_span("failed"):
            ctxlog.get_logger("s").error("gave up", exc_info=ValueError("b"))
            ctxlog.get_logger("s").error("no exception")
    warned, failed = traced.span("warned"), traced.span("failed")
    assert [StatusCode.UNSET, StatusCode.ERROR] == [s.status.status_code for s in (warned, failed)]
    (event,) = failed.events
    assert ("exception", "ValueError") == (event.name, event.attributes["exception.type"])
    assert "b" == failed.status.description


def test_lines_are_events_if_asked_on_their_own_span_alone(traced: Traced):
    """With their fields, clean and redacted; a line of a pinned snapshot is another's."""
    with configured(sinks=[SpanSink(lines=True, level="info")]):
        taken = ctxlog.snapshot()
        with traced.tracer.start_as_current_span("a"):
            ctxlog.get_logger("s").debug("too low")
            ctxlog.get_logger("s").info("paid", amount=3, password="hunter2", deep={"a": None})
            ctxlog.get_logger("s").using(taken).info("elsewhere")
        ctxlog.get_logger("s").info("outside")
    (event,) = traced.span("a").events
    expected = {
        "level": "info",
        "logger": "s",
        "amount": 3,
        "password": "[redacted]",
        "deep": '{"a":null}',
    }
    assert ("paid", expected) == (event.name, dict(event.attributes))


def test_others_sinks_get_the_line_too(traced: Traced):
    """A span is a place more, not instead."""
    lines: list[Any] = []
    with configured(sinks=[SpanSink(lines=True), {"target": lines.append, "renderer": "event"}]):
        with traced.tracer.start_as_current_span("a"):
            ctxlog.get_logger("s").info("x", n=1)
    assert [1] == [line["n"] for line in lines]


# -- entries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", [None, EntryIds()])
def test_a_span_begun_in_an_entry_is_of_its_trace(generator: Any, monkeypatch: pytest.MonkeyPatch):
    """Lines before, in and after the span have one trace id, also without a carrier."""
    made = Traced(id_generator=generator)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.provider)
    with capture() as lines, ctxlog.entry():
        log = ctxlog.get_logger("s")
        log.info("before")
        with made.tracer.start_as_current_span("a") as span:
            log.info("in")
        log.info("after")
    assert 1 == len({line["trace_id"] for line in lines})
    assert f"{span.get_span_context().trace_id:032x}" == lines[0]["trace_id"]
    assert f"{span.get_span_context().span_id:016x}" == lines[1]["span_id"]
    assert lines[0]["span_id"] == lines[2]["span_id"] != lines[1]["span_id"]
    assert (generator is None) is (made.span("a").parent is not None)


def test_a_carriers_span_is_the_parent(traced: Traced):
    """As OpenTelemetry's own propagation would have it."""
    with ctxlog.entry({"traceparent": PARENT}), traced.tracer.start_as_current_span("a"):
        pass
    assert 0x00F067AA0BA902B7 == traced.span("a").parent.span_id


@pytest.mark.parametrize("generator", [None, EntryIds()])
def test_the_sampler_decides_of_an_entrys_spans_as_of_a_root(
    generator: Any, monkeypatch: pytest.MonkeyPatch
):
    """Neither all nor none are sampled because the entry made the ids."""
    made = Traced(sampler=ParentBased(TraceIdRatioBased(0.5)), id_generator=generator)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.provider)
    expected = []
    for _ in range(64):
        with ctxlog.entry():
            ids = ctxlog.snapshot().ids
            assert ids is not None
            if int(ids.trace_id[16:], 16) < 2**63:
                expected.append(int(ids.trace_id, 16))
            with made.tracer.start_as_current_span("a"):
                pass
    assert expected == [span.context.trace_id for span in made.spans]
    assert expected  # of 64 halves, one at least


def test_a_sampler_that_raises_costs_nothing(monkeypatch: pytest.MonkeyPatch):
    """The entry is opened all the same, and it is counted."""

    class Broken:
        sampler = property(lambda _: 1 / 0)

    monkeypatch.setattr(trace, "get_tracer_provider", Broken)
    with moved("errors.span") as by, ctxlog.entry():
        assert ctxlog.snapshot().ids is not None
    assert {"errors.span": 1} == by


def test_an_id_generator_asks_its_inner_one_outside_an_entry():
    """And is random without."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    for generator in (EntryIds(), EntryIds(RandomIdGenerator())):
        assert 2 == len({generator.generate_trace_id() for _ in range(2)})
        assert 2 == len({generator.generate_span_id() for _ in range(2)})


# -- operations -----------------------------------------------------------------------------------


def test_an_operation_is_a_span_where_a_tracer_is_configured(traced: Traced):
    """Its lines, the closing one included, have the span's ids; nested ones nest."""
    with capture() as lines, ctxlog.entry(), ctxlog.operation("outer"):
        ctxlog.get_logger("s").info("in outer")
        with ctxlog.operation("inner"):
            ctxlog.get_logger("s").info("in inner")
        ctxlog.get_logger("s").info("in outer again")
    outer, inner = traced.span("outer"), traced.span("inner")
    assert outer.context.span_id == inner.parent.span_id
    ids = {line["event"]: line["span_id"] for line in lines}
    for name, span in (("outer", outer), ("inner", inner)):
        assert f"{span.context.span_id:016x}" == ids[name] == ids[f"in {name}"]
    assert ids["outer"] == ids["in outer again"]
    assert 1 == len({line["trace_id"] for line in lines})
    assert "tests.adapters.otel.test_spans" == outer.instrumentation_scope.name


def test_what_leaves_an_operation_is_on_its_span(traced: Traced):
    """An error with its status; a cancellation is none."""
    with capture():
        with pytest.raises(ValueError, match="x"), ctxlog.operation("failed"):
            raise ValueError("x")
        with ctxlog.operation("fine"):
            pass
    failed, fine = traced.span("failed"), traced.span("fine")
    assert StatusCode.ERROR is failed.status.status_code
    assert "ValueError" == failed.events[0].attributes["exception.type"]
    assert (StatusCode.UNSET, "success") == (
        fine.status.status_code, fine.attributes["ctxlog.outcome"],
    )  # fmt: skip


def test_a_decorated_generator_is_one_span_that_its_consumer_does_not_see(traced: Traced):
    """Its steps run in it; between them the consumer's span is current."""

    @ctxlog.operation("steps")
    def steps():
        for _ in range(2):
            ctxlog.get_logger("s").info("step")
            yield

    with capture() as lines, traced.tracer.start_as_current_span("consumer"):
        for _ in steps():
            ctxlog.get_logger("s").info("consumed")
    by = {name: {line["span_id"] for line in lines if line["event"] == name}
          for name in ("step", "consumed", "steps")}  # fmt: skip
    span = f"{traced.span('steps').context.span_id:016x}"
    assert {span} == by["step"] == by["steps"]
    assert {f"{traced.span('consumer').context.span_id:016x}"} == by["consumed"]


def test_an_abandoned_operation_ends_its_span(traced: Traced):
    """When nothing holds it any more."""

    @ctxlog.operation("left")
    def left():
        yield 1
        yield 2

    with capture():
        generator = left()
        next(generator)
        del generator
    assert traced.span("left").attributes["ctxlog.outcome"] in {"abandoned", "success"}


def test_without_a_tracer_an_operation_has_no_span():
    """Its lines have the entry's ids."""
    with capture() as lines, ctxlog.entry(), ctxlog.operation("plain"):
        ids = ctxlog.snapshot().ids
    assert ids is not None
    assert ids.span_id == lines.one(event="plain")["span_id"]


def test_an_unsampled_operation_has_ids_too(monkeypatch: pytest.MonkeyPatch):
    """A span that nobody records has ids all the same."""
    made = Traced(sampler=ALWAYS_OFF)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.provider)
    monkeypatch.setattr(trace, "get_tracer", lambda name, *_: made.provider.get_tracer(name))
    with capture() as lines, ctxlog.operation("a"):
        pass
    assert [] == made.spans
    assert not int(lines.one(event="a")["trace_flags"], 16) & 1


def test_a_tracer_that_raises_costs_the_span_alone(monkeypatch: pytest.MonkeyPatch):
    """The operation runs, and it is counted."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: sys)
    monkeypatch.setattr(trace, "get_tracer", lambda *_: 1 / 0)
    with moved("errors.span") as by, capture() as lines, ctxlog.operation("a"):
        pass
    assert 1 == len(lines.where(event="a"))
    assert {"errors.span": 1} == by


# -- reconciles -----------------------------------------------------------------------------------


def test_a_reconciles_span_is_current_in_it(traced: Traced):
    """Spans below are its children, lines have its ids, and what was around it is back after it."""
    log = ctxlog.get_logger("operator")
    with traced.tracer.start_as_current_span("around"), capture() as lines:
        around = trace.get_current_span()
        with reconcile("shop/db", kind="Pod", carrier={"traceparent": PARENT}):
            log.info("in")
            with traced.tracer.start_as_current_span("call"):
                pass
        assert trace.get_current_span() is around
    mine, call = traced.span("reconcile"), traced.span("call")
    assert f"{mine.context.span_id:016x}" == lines.one(event="in")["span_id"]
    assert f"{mine.context.span_id:016x}" == lines.one(event="reconcile")["span_id"]
    assert mine.context.span_id == call.parent.span_id


def test_a_reconcile_with_a_carrier_continues_it_in_a_span(traced: Traced):
    """Without a live span around it, the caller's is the parent; also of a decorated generator's."""

    @reconcile("shop/db", kind="Pod", carrier={"traceparent": PARENT})
    def steps() -> Generator[int]:
        with traced.tracer.start_as_current_span("call"):
            yield 1

    assert [1] == list(steps())
    with reconcile("shop/db", kind="Pod", carrier={"traceparent": PARENT}):
        pass
    first, second = [span for span in traced.spans if span.name == "reconcile"]
    assert {PARENT.split("-")[2]} == {f"{one.parent.span_id:016x}" for one in (first, second)}
    assert first.context.span_id == traced.span("call").parent.span_id
