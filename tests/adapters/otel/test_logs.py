"""Lines to a collector: what a record says, what never gets lost, who accounts for what."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import _logs, context, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import TracerProvider

import ctxlog
from ctxlog.adapters.otel import records
from ctxlog.adapters.otel.sink import OtelSink
from ctxlog.errors import CtxlogWarning, UsageError
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_options import QueueOptions
from tests.adapters.otel.accounting import wait_for
from tests.adapters.otel.receiver import (
    Received,
    attributes_of,
    environment,
    receiver,
    value_of,
)
from tests.kit import moved, only_sink
from tests.strategies import HOSTILE, anything, names, relaxed, texts

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

TRACER = TracerProvider().get_tracer("tests")
ROOT = Path(__file__).parents[3]


class Kept(InMemoryLogRecordExporter):
    """An exporter that keeps what it gets, and can be stopped in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.going = Event()
        self.going.set()
        self.inside = Event()
        self.result: Any = LogRecordExportResult.SUCCESS

    def export(self, batch: Sequence[Any]) -> Any:
        """Keep a batch."""
        self.inside.set()
        assert self.going.wait(60)
        super().export(batch)
        return self.result

    @property
    def records(self) -> list[Any]:
        """The records that were exported."""
        return [record.log_record for record in self.get_finished_logs()]

    @property
    def record(self) -> Any:
        """The only one."""
        (record,) = self.records
        return record


@contextmanager
def exported(**options: Any) -> Generator[Kept]:
    """Configure lines to an exporter in memory; at the block's end they are there."""
    kept = Kept()
    otlp = {"exporter": kept, **options.pop("otlp", {})}
    ctxlog.configure(level=0, sinks=[], otlp=otlp, **options)
    try:
        yield kept
    finally:
        kept.going.set()
        assert ctxlog.shutdown(60)


def log(name: str = "shop") -> ctxlog.BoundLogger:
    """A logger."""
    return ctxlog.get_logger(name)


# -- a record -------------------------------------------------------------------------------------


def test_an_event_is_a_record():
    """Body, attributes, scope, severity, times, event name and resource are each in their place."""
    with exported(resource={"service.name": "shop", "team": "a"}) as kept, ctxlog.entry() as _:
        log("shop.cart").warning("paid %d", 3, items=[1, {"a": None}], event_name="cart.paid")
        ids = ctxlog.snapshot().ids
    full: Any = kept.get_finished_logs()[0]
    record, attributes = full.log_record, dict(full.log_record.attributes)
    assert ids is not None
    assert "paid 3" == record.body
    assert "cart.paid" == record.event_name
    assert (13, "warning") == (record.severity_number.value, record.severity_text)
    assert "shop.cart" == full.instrumentation_scope.name
    assert (int(ids.trace_id, 16), int(ids.span_id, 16)) == (record.trace_id, record.span_id)
    assert {"request_id", "items"} == set(attributes)
    assert (1, {"a": None}) == attributes["items"]
    assert 0 <= record.observed_timestamp - record.timestamp < 60e9
    assert ("shop", "a") == tuple(full.resource.attributes[n] for n in ("service.name", "team"))


@pytest.mark.parametrize(
    ("level", "number", "text"),
    [(5, 1, "trace"), (10, 5, "debug"), (20, 9, "info"), (25, 11, "notice"), (30, 13, "warning"),
     (35, 15, "level 35"), (40, 17, "error"), (50, 21, "critical"), (70, 24, "level 70")],
)  # fmt: skip
def test_levels_are_severities(level: int, number: int, text: str):
    """Custom levels lie between the known ones, by their number, and keep their text."""
    with exported() as kept:
        log().log(level, "x")
    assert (number, text) == (kept.record.severity_number.value, kept.record.severity_text)


def test_an_exception_is_rendered_once_as_attributes():
    """Type, message and stack are attributes; the record holds no exception to render again."""
    with exported() as kept:
        try:
            raise ValueError("x")
        except ValueError:
            log().exception("failed")
    attributes = kept.record.attributes
    assert ("ValueError", "x") == (attributes["exception.type"], attributes["exception.message"])
    assert "raise ValueError" in attributes["exception.stacktrace"]
    assert kept.record.exception is None


def test_what_the_resource_says_is_no_attribute():
    """A field of the process is in the resource alone, unless the line says something else."""
    with exported(resource={"region": "eu"}) as kept:
        log().info("same")
        log().info("other", region="us")
    assert [None, "us"] == [record.attributes.get("region") for record in kept.records]


def test_an_event_name_that_is_no_text_is_an_attribute():
    """Anything else would lose the whole batch."""
    with exported() as kept:
        log().info("x", event_name=3)
    assert (None, 3) == (kept.record.event_name, kept.record.attributes["event_name"])


def test_more_attributes_than_the_sdk_takes_go_into_one(monkeypatch: pytest.MonkeyPatch):
    """Nothing is dropped by the SDK's limit, and it warns of nothing."""
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "4")
    with exported() as kept:
        log().info("x", **{f"f{number}": number for number in range(6)})
    attributes = dict(kept.record.attributes)
    assert ["f0", "f1", "f2", records.SURPLUS] == list(attributes)
    assert {"f3": 3, "f4": 4, "f5": 5} == json.loads(attributes[records.SURPLUS])


def test_containers_too_deep_for_a_decoder_are_text():
    """A protobuf message nests a hundred times at the most; what is deeper goes as JSON."""
    value: Any = 1
    for _ in range(40):
        value = {"a": [value]}
    fit = records.attributes({"deep": value}, {}, None)["deep"]
    depth = 0
    while type(fit) is not str:
        fit, depth = (fit["a"] if type(fit) is dict else fit[0]), depth + 1
    assert records.DEPTH == depth
    assert 1 == fit.count("1")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-24T22:00:00.000001Z", 1795557600000001000),
        ("2026-11-24T22:00:00.999999Z", 1795557600999999000),
        ("2026-11-24T23:00:01.5+01:00", 1795557601500000000),
        ("1969-12-31T23:59:59.000000Z", -1000000000),
    ],
)
def test_a_timestamp_is_nanoseconds(stamp: str, expected: int):
    """The event's own time, not that of its emission."""
    assert [expected] * 2 == [records.nanoseconds(stamp) for _ in range(2)]


@pytest.mark.parametrize("stamp", [None, "", "soon", 3, "2026-11-24T22:00:00.00000xZ", [1]])
def test_what_is_no_timestamp_is_now(stamp: Any):
    """A processor may have taken it out, or put anything there."""
    assert records.nanoseconds(stamp) > 1_700_000_000 * 10**9


# -- the context ----------------------------------------------------------------------------------


def test_the_context_is_that_of_the_call_also_when_it_was_queued():
    """A processor of somebody else's sees the span and the baggage of the line, on the writer's thread."""
    seen: list[tuple[str, int, object]] = []

    class Sees:
        def on_emit(self, log_record: Any) -> None:
            record = log_record.log_record
            span = trace.get_current_span(record.context).get_span_context()
            seen.append((record.body, span.span_id, context.get_value("tenant", record.context)))

        def shutdown(self) -> None: ...
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

        def enabled(self, **_: Any) -> bool:
            return True

    with exported() as kept:
        only_sink().inner.provider.add_log_record_processor(Sees())  # type: ignore[attr-defined]
        kept.going.clear()
        with TRACER.start_as_current_span("a") as span:
            token = context.attach(context.set_value("tenant", "t-1"))
            log().info("in")
            context.detach(token)
        log().info("out")
        kept.going.set()
    assert [("in", span.get_span_context().span_id, "t-1"), ("out", 0, None)] == seen
    assert [span.get_span_context().trace_id, 0] == [record.trace_id for record in kept.records]


def test_a_line_written_elsewhere_has_its_own_ids():
    """Of a pinned snapshot, and of an entry without any span, the ids are the line's."""
    with exported() as kept:
        with ctxlog.entry(trace="new"):
            taken = ctxlog.snapshot()
        with TRACER.start_as_current_span("other"):
            log().using(taken).info("pinned")
            log().using(ctxlog.extract({})).info("nowhere")
    assert taken.ids is not None
    assert [int(taken.ids.trace_id, 16), 0] == [record.trace_id for record in kept.records]


# -- loops and doubles ----------------------------------------------------------------------------


def test_what_opentelemetry_itself_logs_does_not_go_round():
    """Its own loggers, and anything said during an export, go to the other sinks alone."""
    lines: list[str] = []
    with exported() as kept:
        ctxlog.add_sink(lambda event: lines.append(event["event"]), renderer="event")
        logging.getLogger("opentelemetry.attributes").warning("loop")
        logging.getLogger("opentelemetry").warning("loop too")
        logging.getLogger("opentelemetryx").warning("somebody else")
        token = context.attach(context.set_value("suppress_instrumentation", True))
        logging.getLogger("urllib3").warning("exporting")
        context.detach(token)
    assert ["somebody else"] == [record.body for record in kept.records]
    assert ["loop", "loop too", "somebody else", "exporting"] == lines


def test_beside_opentelemetrys_own_handler_no_line_is_exported_twice():
    """While it is on the root logger, it exports what came by ``logging``; ours is the rest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from opentelemetry.sdk._logs import LoggingHandler

        handler = LoggingHandler(logger_provider=LoggerProvider(shutdown_on_exit=False))
    with exported() as kept:
        logging.getLogger("lib").warning("one")
        logging.getLogger().addHandler(handler)
        try:
            logging.getLogger("lib").warning("two")
            log().warning("three")
        finally:
            logging.getLogger().removeHandler(handler)
        logging.getLogger("lib").warning("four")
    assert ["one", "three", "four"] == [record.body for record in kept.records]


# -- hostile values -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collector() -> Iterator[Received]:
    """A collector over HTTP, and lines that go there."""
    with receiver("http/protobuf") as (received, proxy), pytest.MonkeyPatch.context() as patch:
        for name, value in environment("http/protobuf", proxy.port).items():
            patch.setenv(name, value)
        yield received


@contextmanager
def sending() -> Generator[None]:
    """Send lines to the collector."""
    ctxlog.configure(level=0, sinks=[], stdlib=False, otlp=True)
    try:
        yield
    finally:
        assert ctxlog.shutdown(60)


def arrived(received: Received) -> list[Any]:
    """Take what has arrived."""
    found = [record for record, _, _ in received.records()]
    received.requests["logs"].clear()
    return found


def test_not_one_record_is_lost_to_a_hostile_neighbour(collector: Received):
    """Every hostile value, as a field, an event, an argument and a name: all lines arrive, decoded."""
    with sending(), moved("errors.sink", "lost") as by:
        for number, (name, make) in enumerate(HOSTILE.items()):
            log().info("before", n=number)
            log().info("field", n=number, value=make(), event_name=make())
            log(name).info(make(), n=number)
            log().info("an argument: %s", make(), n=number)
            log().bind(more={"value": [make()]}).info("bound", n=number)
    got = arrived(collector)
    assert dict.fromkeys(range(len(HOSTILE)), 5) == {
        number: sum(attributes_of(record)["n"] == number for record in got)
        for number in range(len(HOSTILE))
    }
    assert {"errors.sink": 0, "lost": 0} == by


def test_anything_arrives(collector: Received):
    """Whatever is logged, under whatever name, by whatever logger: it arrives with its neighbours."""
    with sending():

        @relaxed
        @given(st.dictionaries(names(), anything(), max_size=4), texts(), texts(max_size=20))
        def arrives(fields: dict[str, Any], event: str, name: str) -> None:
            log().info("before")
            log(name).info(event, fields=fields)
            ctxlog.get_logger(name, fields).info("bound")
            log().info("after")
            assert ctxlog.flush(60)
            bodies = [value_of(record.body) for record in arrived(collector)]
            assert 4 == len(bodies)  # those of one scope stand together
            assert {"before", "bound", "after"} <= set(bodies)

        arrives()


# -- delivery -------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_account_is_exact(protocol: str):
    """Eight threads, a receiver that stalls and is cut off: logged is acknowledged, dropped, unconfirmed."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.adapters.otel.accounting", protocol, "4000", "0"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert 0 == ran.returncode, ran.stderr
    said = json.loads(ran.stdout)
    assert said["logged"] == said["acknowledged"] + said["dropped"] + said["unconfirmed"]
    assert said["acknowledged"] <= said["received"] <= said["acknowledged"] + said["unconfirmed"]
    assert 0 == said["waiting"]
    assert said["dropped"] > 0
    assert said["acknowledged"] > 0


def account() -> dict[str, int]:
    """The only sink's account, by what became of its lines."""
    counts = {
        name.partition(".")[2].partition(".")[2]: number
        for name, number in ctxlog.counters().items()
        if name.startswith("sink.")
    }
    return {
        "acknowledged": counts["acknowledged"],
        "unconfirmed": counts["unconfirmed"] + counts["unknown"],
        "waiting": counts["waiting"] + counts["depth"],
        "dropped": sum(n for name, n in counts.items() if name.startswith("dropped.")),
    }


def closed() -> dict[str, int]:
    """What all accounts that are closed add up to."""
    counts = {
        name.removeprefix("closed."): number
        for name, number in ctxlog.counters().items()
        if name.startswith("closed.")
    }
    return {
        "acknowledged": counts.get("acknowledged", 0),
        "unconfirmed": counts.get("unconfirmed", 0) + counts.get("unknown", 0),
        "waiting": counts.get("waiting", 0) + counts.get("depth", 0),
        "dropped": sum(n for name, n in counts.items() if name.startswith("dropped.")),
    }


def test_a_batch_that_was_refused_is_unconfirmed():
    """The exporter's failure is no loss for certain, and no delivery."""
    with exported() as kept:
        kept.result = LogRecordExportResult.FAILURE
        log().info("x")
        ctxlog.flush(60)
        assert {"acknowledged": 0, "unconfirmed": 1, "waiting": 0, "dropped": 0} == account()


@pytest.mark.parametrize("room", ["2048", "10"])
def test_a_stop_that_runs_out_of_time_accounts_for_every_line(
    room: str, monkeypatch: pytest.MonkeyPatch
):
    """What the exporter has is unconfirmed, what waits is dropped; what returns later changes nothing."""
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", room)
    kept, before, others = Kept(), closed(), set(enumerate_threads())
    queue = {"size": 2_000, "retries": 0}
    with moved("unknown", "otel.unconfirmed", "dropped.stopped", "dropped.full") as by:
        ctxlog.configure(level=0, sinks=[], otlp={"exporter": kept, "queue": queue})
        kept.going.clear()
        log().info("first")
        flushing = Thread(target=ctxlog.flush, args=(60,))
        flushing.start()
        assert kept.inside.wait(60)
        for _ in range(500):
            log().info("x")
        assert not ctxlog.shutdown(0.2)
        told = {name: number - before[name] for name, number in closed().items()}
        kept.going.set()
        flushing.join()
        started = "ctxlog writer"
        wait_for(
            lambda: not any(t.name.startswith(started) for t in {*enumerate_threads()} - others)
        )
    assert 501 == sum(told.values())
    assert (0, 0) == (told["acknowledged"], told["waiting"])
    assert told["unconfirmed"] >= 1
    assert 501 == sum(by.values())  # nothing was counted again when it came back


def test_what_the_sdk_has_no_room_for_waits_in_our_queue(monkeypatch: pytest.MonkeyPatch):
    """The SDK's queue never overflows, where it would drop its oldest unseen."""
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5")
    with exported() as kept:
        kept.going.clear()
        for number in range(200):
            log().info("x", n=number)
        kept.going.set()
    assert list(range(200)) == [record.attributes["n"] for record in kept.records]


def test_others_records_through_the_same_provider_are_in_nobodys_account():
    """They go out beside ours, and are not counted as lines of ours."""
    with exported() as kept:
        provider: Any = only_sink().inner.provider  # type: ignore[attr-defined]
        provider.get_logger("other").emit(body="theirs")
        log().info("ours")
        assert ctxlog.flush(60)
        provider.force_flush()
        assert {"acknowledged": 1, "unconfirmed": 0, "waiting": 0, "dropped": 0} == account()
    assert {"theirs", "ours"} == {record.body for record in kept.records}


def test_a_processor_of_others_that_raises_costs_no_line():
    """It is counted; the line goes out, once."""

    class Broken:
        def on_emit(self, log_record: Any) -> None:
            raise RuntimeError("broken")

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

        def enabled(self, **_: Any) -> bool:
            return True

    with exported() as kept, moved("errors.otel") as by:
        only_sink().inner.provider.add_log_record_processor(Broken())  # type: ignore[attr-defined]
        log().info("x")
        assert ctxlog.flush(60)
    assert ["x"] == [record.body for record in kept.records]
    assert {"errors.otel": 1} == by


def test_errors_are_flushed_at_once():
    """When the call returns the error has been sent; a lesser line is not waited for."""
    with exported(otlp={"flush_level": "error", "flush_seconds": 60}) as kept:
        log().info("later")
        log().error("now")
        assert ["later", "now"] == [record.body for record in kept.records]


def test_a_flush_on_errors_is_bounded_in_time():
    """A receiver that hangs holds up one error for so long, and then none for a while."""
    with exported(otlp={"flush_level": "error", "flush_seconds": 0.05}) as kept:
        kept.going.clear()
        with moved("otel.flush_late") as by:
            for _ in range(20):
                log().error("x")
        kept.going.set()
    assert {"otel.flush_late": 1} == by
    assert 20 == len(kept.records)


def test_the_selftest_asks_the_receiver():
    """It is well if the receiver acknowledged its line, and not if it refused."""
    with exported() as kept:
        assert [True] == [result.ok for result in ctxlog.selftest(60)]
        kept.result = LogRecordExportResult.FAILURE
        (result,) = ctxlog.selftest(60)
    assert not result.ok
    assert "unconfirmed 1" in str(result)


def test_a_notice_of_drops_is_in_nobodys_account():
    """It arrives, and the sum of what was logged stays what it is."""
    with exported(otlp={"queue": {"size": 10, "retries": 0}}) as kept:
        kept.going.clear()
        log().info("first")
        flushing = Thread(target=ctxlog.flush, args=(60,))
        flushing.start()
        assert kept.inside.wait(60)
        for _ in range(3_000):
            log().info("x")
        kept.going.set()
        flushing.join()
        wait_for(lambda: ctxlog.flush(60) and "lines dropped" in {r.body for r in kept.records})
        told = account()
    assert 3_001 == sum(told.values())
    assert told["dropped"] > 0


def test_a_logger_that_a_processor_made_something_else_is_a_scope_all_the_same():
    """The line goes out, to the other sinks too."""
    lines: list[Any] = []

    def spoil(logger: Any, method_name: str, event_dict: Any) -> Any:
        event_dict["logger"] = 7
        return event_dict

    with exported(processors=[spoil]) as kept:
        ctxlog.add_sink(lines.append, renderer="event")
        log().info("x")
    assert (["x"], 1) == ([record.body for record in kept.records], len(lines))


def test_a_second_configure_closes_the_first():
    """What was logged before goes to the first exporter, the rest to the second."""
    with exported() as first:
        log().info("one")
        with exported() as second:
            log().info("two")
    assert ["one"] == [record.body for record in first.records]
    assert ["two"] == [record.body for record in second.records]


def test_a_late_line_is_counted():
    """A line written into a sink that was shut down is dropped, and nobody waits for it."""
    with exported() as kept:
        sink = only_sink()
        log().info("in time")
    with moved("dropped.stopped") as by:
        sink.write(sink.take({"event": "late", "logger": "x", "level": "info"}, 20))
    assert ["in time"] == [record.body for record in kept.records]
    assert {"dropped.stopped": 1} == by


# -- options, the environment, others' providers ----------------------------------------------------


@pytest.mark.parametrize(
    ("otlp", "says"),
    [
        (1, "otlp takes True, False or a mapping"),
        ({"flushlevel": 1}, "did you mean 'flush_level'"),
        ({"filter": 1}, "filter takes a callable"),
        ({"exporter": 1}, "exporter takes a log exporter"),
        ({"flush_seconds": 0}, "flush_seconds takes seconds"),
        ({"level": "loud"}, "unknown level"),
        ({"queue": {"sizes": 3}}, "unknown queue option"),
    ],
)
def test_misuse_lists_what_is_taken(otlp: Any, says: str):
    """A bad option is an error at once, and nothing is configured."""
    with pytest.raises(UsageError, match=says):
        ctxlog.configure(otlp=otlp)


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_LOGS_EXPORTER", "none")]
)
def test_the_environment_may_say_none(variable: str, value: str, monkeypatch: pytest.MonkeyPatch):
    """Then there is no sink, and no error."""
    monkeypatch.setenv(variable, value)
    ctxlog.configure(sinks=[], otlp=True)
    try:
        assert "sink" not in {name.partition(".")[0] for name in ctxlog.counters()}
    finally:
        ctxlog.shutdown()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_LOGS_EXPORTER", "nobody"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "pigeon"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "many"),
    ],
)
def test_a_bad_variable_is_one_warning(variable: str, value: str, monkeypatch: pytest.MonkeyPatch):
    """Never an error: a service starts also with a wrong environment."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf")
    if variable == "OTEL_EXPORTER_OTLP_PROTOCOL":
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL")
    monkeypatch.setenv(variable, value)
    from ctxlog.adapters.otel import setup

    def configure() -> None:
        if variable == "OTEL_EXPORTER_OTLP_PROTOCOL":
            assert "otlp_proto_grpc" == setup._protocol()  # not built: this process may fork
        else:
            ctxlog.configure(sinks=[], otlp=True)

    with pytest.warns(CtxlogWarning, match=variable):
        configure()
    ctxlog.shutdown(5)


def test_a_provider_of_the_applications_own_is_a_sink(monkeypatch: pytest.MonkeyPatch):
    """``OtelSink`` takes a provider, or finds the global one; it is flushed, not shut down."""
    kept = Kept()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    monkeypatch.setattr(_logs, "get_logger_provider", lambda: provider)
    for sink in (OtelSink(provider), OtelSink()):
        ctxlog.configure(sinks=[{"target": sink, "level": "warning"}])
        log().info("quiet")
        log().warning("loud")
        assert ctxlog.shutdown(5)
    assert ["loud", "loud"] == [record.body for record in kept.records]


def test_behind_any_queue_the_context_is_that_of_the_call():
    """A queue of the application's own, before a sink of its own provider."""
    kept = Kept()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    ctxlog.configure(sinks=[{"target": OtelSink(provider), "queue": True}])
    with TRACER.start_as_current_span("a") as span:
        log().log(33, "x")
    assert ctxlog.shutdown(60)
    assert span.get_span_context().span_id == kept.record.span_id
    assert 14 == kept.record.severity_number.value


def test_with_no_provider_a_line_costs_nothing_but_is_no_error():
    """The API's own no-op takes it."""
    ctxlog.configure(sinks=[OtelSink()])
    log().info("x")
    assert ctxlog.shutdown(5)


def test_the_resource_is_the_environments_and_the_arguments(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
):
    """``OTEL_SERVICE_NAME`` beats the attributes, an argument both; lines and records say the same."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=x%20y, region = eu ,bad")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "b")
    lines: list[dict[str, Any]] = []
    with exported(resource={"region": "us"}) as kept:
        ctxlog.add_sink(lines.append, renderer="event")
        log().info("x")
    assert "'bad' is ignored" in str(recwarn.pop(CtxlogWarning).message)
    (full,) = kept.get_finished_logs()
    expected = {"service.name": "b", "team": "x y", "region": "us"}
    assert expected == {name: lines[0].get(name) for name in expected}
    assert expected == {name: full.resource.attributes.get(name) for name in expected}
    assert not set(expected) & set(kept.record.attributes)


def test_the_resource_of_the_tracer_is_that_of_the_lines(monkeypatch: pytest.MonkeyPatch):
    """What the application told the SDK need not be told twice."""
    from opentelemetry.sdk.resources import Resource

    provider = TracerProvider(resource=Resource.create({"service.name": "traced", "a": [1, 2]}))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    lines: list[dict[str, Any]] = []
    with exported() as kept:
        ctxlog.add_sink(lines.append, renderer="event")
        log().info("x")
    assert ("traced", [1, 2]) == (lines[0]["service.name"], lines[0]["a"])
    assert "traced" == kept.get_finished_logs()[0].resource.attributes["service.name"]
    assert not any(name.startswith("telemetry.") for name in lines[0])


def test_a_provider_behind_a_queue_is_flushed():
    """What it batches is out when a flush, or a stop, says so."""
    flushed: list[int] = []

    class Batching(LoggerProvider):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            flushed.append(timeout_millis)
            return True

    queue = QueueSink(OtelSink(Batching()), QueueOptions(batch_seconds=0.0))
    queue.write({"event": "x", "logger": "shop", "level": "info"})
    assert queue.flush(60)
    assert queue.stop(60)
    assert [True, True] == [50_000 < milliseconds <= 60_000 for milliseconds in flushed]
