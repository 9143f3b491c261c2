"""Pipeline: what fails costs its step; the line still goes out, says what failed, and is counted."""

from __future__ import annotations

import io
import json
import re
import sys
from types import MappingProxyType
from typing import Any

import pytest
import structlog
from hypothesis import given

import ctxlog
from ctxlog.context.providers import add_provider, remove_provider
from ctxlog.limits import Limits
from ctxlog.line import Line
from ctxlog.message import interpolate
from ctxlog.pipeline import MAX_NESTING, LoggerName, Pipeline
from ctxlog.processors import Clean
from ctxlog.renderers.console import ConsoleRenderer
from ctxlog.renderers.json import JsonRenderer
from ctxlog.renderers.logfmt import LogfmtRenderer
from ctxlog.sinks import last_resort
from ctxlog.sinks.sink import Sink
from ctxlog.sinks.stream import StreamSink
from ctxlog.stamps import stamp_now
from ctxlog.tracebacks import describe
from tests.kit import ACTIVE, Written, configured, moved, parse_line
from tests.strategies import CONTROLS, HOSTILE, BoomError, OddText, anything, relaxed

ERRORS = "ctxlog.errors"


def boom(*_: Any) -> Any:
    """Raise."""
    raise BoomError("no")


class Boom:
    """Raises when called, and is called nothing."""

    def __getattr__(self, name: str) -> Any:
        if name == "__qualname__":
            raise BoomError(name)
        raise AttributeError(name)

    __call__ = boom


@pytest.fixture
def original(monkeypatch):
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


# -- processors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("processor", "said"), [
    (boom, "processor boom: BoomError: no"),
    (Boom(), "processor ?: BoomError: no"),
    (lambda _, __, ___: None, "it returned NoneType, not the event"),
    (lambda _, __, ___: "text", "a renderer goes to configure(renderer=...)"),
    (lambda _, __, ___: 3, "it returned int"),
])  # fmt: skip
def test_a_processor_that_fails_is_named(processor, said):
    """A processor that raises or returns no event is passed over and named on the line."""
    with (
        moved("errors.processor", "slow_path") as by,
        configured(processors=[processor]) as written,
        ctxlog.scope(a=1),
    ):
        ctxlog.get_logger("shop").info("e", b=2)
    event = written.event
    assert said in event[ERRORS][0]
    assert ("e", 1, 2) == (event["event"], event["a"], event["b"])
    assert {"errors.processor": 1, "slow_path": 1} == by


def _clear(_: Any, __: str, event: Any) -> Any:
    event.clear()
    return event


@pytest.mark.parametrize("renderer", ["json", "logfmt", "console"])
@pytest.mark.parametrize("empties", [_clear, lambda _, __, ___: {}])
def test_a_processor_that_empties_the_event_is_named(empties, renderer):
    """What would be an empty line says what was logged, and which processor left nothing of it."""
    with (
        moved("errors.processor") as by,
        configured(processors=[empties], renderer=renderer) as written,
    ):
        ctxlog.get_logger("shop").info("%d paid", 3, b=2)
    text = written.getvalue().decode()
    assert "3 paid" in text
    assert "shop" in text
    assert "it left nothing of the event" in text
    assert {"errors.processor": 1} == by


def test_the_processors_after_a_failure_run():
    """One that fails costs itself only."""

    def tag(_: Any, __: str, event: Any) -> Any:
        return {**event, "tag": 1}

    with configured(processors=[boom, tag, boom]) as written:
        ctxlog.get_logger("shop").info("e")
    assert 1 == written.event["tag"]
    assert 2 == len(written.event[ERRORS])


def test_a_processor_may_return_any_mapping():
    """A mapping that is no dict is an event too."""
    with configured(processors=[lambda _, __, event: MappingProxyType(event)]) as written:
        ctxlog.get_logger("shop").info("e")
    assert ERRORS not in written.event


def test_a_processor_drops_an_event():
    """Structlog's ``DropEvent`` drops the event, and a counter tells."""

    def drop(_: Any, __: str, ___: Any) -> Any:
        raise structlog.DropEvent

    with configured(processors=[drop]) as written, moved("dropped.processor") as by:
        ctxlog.get_logger("shop").info("e")
    assert b"" == written.getvalue()
    assert {"dropped.processor": 1} == by


def test_a_processor_changes_its_own_copy():
    """Nested values of the context, the logger and the resource are a copy for each line."""

    def change(_: Any, __: str, event: Any) -> Any:
        for name in ("context", "logger_own", "process"):
            event[name]["list"].append("changed")
        return event

    nested = {"list": [1]}
    with (
        configured(processors=[change], resource={"process": nested}) as written,
        ctxlog.scope(context=nested),
    ):
        log = ctxlog.get_logger("shop", logger_own=nested)
        log.info("a")
        log.info("b")
        assert {"context": {"list": [1]}} == ctxlog.get_context()
    assert [[1, "changed"]] * 2 == [event["context"]["list"] for event in written.events]
    assert [[1, "changed"]] * 2 == [event["process"]["list"] for event in written.events]


def test_a_processor_deletes_the_head():
    """One that takes the head away leaves a valid line of what is left."""

    def clear(_: Any, __: str, event: Any) -> Any:
        for name in ("timestamp", "level", "logger", "event"):
            del event[name]
        return event

    with configured(processors=[clear]) as written:
        ctxlog.get_logger("shop").info("e", n=1)
    assert {"n": 1} == written.event


def test_a_processor_adds_odd_keys():
    """Keys that are no exact text are made text."""

    def odd(_: Any, __: str, event: Any) -> Any:
        return {**event, 3: 1, OddText("k"): 2, "\udc80": 3, "x" * 999: 4, "": 5}

    with configured(processors=[odd]) as written:
        ctxlog.get_logger("shop").info("e")
    assert {"3", "k", "\\udc80", "<empty>"} <= written.event.keys()


class SameText(str):
    """A text that orjson takes for no key."""

    __slots__ = ()


def test_a_key_that_only_looks_like_text():
    """A key that equals a known name and is no exact text does not break the line."""

    def odd(_: Any, __: str, event: Any) -> Any:
        known = event.pop("known")
        return {**event, SameText("known"): known}

    with configured(processors=[odd]) as written, moved("errors.renderer") as by:
        for _ in range(2):
            ctxlog.get_logger("shop").info("e", known=1)
    assert [1, 1] == [event["known"] for event in written.events]
    assert {"errors.renderer": 0} == by


def test_a_processor_that_logs():
    """A processor that logs is not called for ever: its lines nest so deep, then go out bare."""
    log = ctxlog.get_logger("shop")

    def talk(_: Any, __: str, event: Any) -> Any:
        log.info("inner", password="hunter2")
        return event

    with (
        configured(processors=[talk]) as written,
        moved("errors.recursion") as by,
        ctxlog.entry(a=1),
    ):
        log.info("outer")
    names = [event["event"] for event in written.events]
    assert ["inner"] * MAX_NESTING + ["outer"] == names
    assert {"errors.recursion": 1} == by
    assert "too deep" in written.events[0][ERRORS][0]
    assert 1 == written.events[0]["a"]
    assert written.events[0]["trace_id"]
    assert b"hunter2" not in written.getvalue()


def test_a_line_from_elsewhere_that_is_too_deep():
    """It goes out bare under the context it was written in, not the one it is made in."""
    with ctxlog.entry(of="there"):
        stamp = stamp_now()

    def talk(_: Any, __: str, event: Any) -> Any:
        line = Line("shop", 20, "inner", (), {}, None)
        line.written_at(stamp)
        pipeline.process(line)
        return event

    written = Written()
    pipeline = Pipeline(sinks=(StreamSink(written),), processors=(talk,))
    with moved("errors.recursion") as by, ctxlog.entry(of="here"):
        pipeline.process(Line("shop", 20, "outer", (), {}, None))
    assert ["there"] * MAX_NESTING + ["here"] == [event["of"] for event in written.events]
    assert stamp.ids is not None
    assert stamp.ids.trace_id == written.events[0]["trace_id"]
    assert {"errors.recursion": 1} == by


@pytest.mark.parametrize("processors", [None, [lambda _, __, event: event]])
@pytest.mark.parametrize("how", ["repr", "argument", "lazy", "context"])
def test_values_that_log_themselves(how, processors):
    """A value that logs itself when it is looked at ends, without raising and without loss."""
    log = ctxlog.get_logger("shop")

    class Talks:
        def __repr__(self) -> str:
            again()
            return "talks"

    def again() -> str:
        if how == "argument":
            log.info("%s", Talks())
        elif how == "lazy":
            log.info("e", value=ctxlog.lazy(again))
        elif how == "context":
            log.info("e")
        else:
            log.info("e", value=Talks())
        return "value"

    with (
        configured(processors=processors) as written,
        moved("dropped.recursion") as by,
        ctxlog.scope({"late": ctxlog.lazy(again)} if how == "context" else None),
    ):
        again()
    assert 2 <= len(written.events) <= 3 * MAX_NESTING
    assert by["dropped.recursion"] >= 1


@relaxed
@given(anything())
def test_a_processor_may_return_anything(value):
    """Whatever a processor returns, one line goes out."""
    with configured(processors=[lambda _, __, ___: value]) as written:
        ctxlog.get_logger("shop").info("e")
    assert 1 == len(written.events)


# -- renderers and filters ------------------------------------------------------------------------


@pytest.mark.parametrize(("renderer", "said"), [
    (boom, "renderer boom: BoomError: no"),
    (lambda _, __, ___: None, "it returned NoneType"),
    (lambda _, __, ___: 3, "it returned int"),
    (lambda _, __, ___: "", "it returned an empty line"),
    (lambda _, __, ___: b" \r\n", "it returned an empty line"),
    (Boom(), "renderer ?"),
])  # fmt: skip
def test_a_renderer_that_fails_is_replaced(renderer, said):
    """A renderer that raises or returns no line is replaced by JSON that says so."""
    with configured(renderer=renderer) as written, moved("errors.renderer") as by:
        ctxlog.get_logger("shop").info("e", a=1)
    assert said in written.event[ERRORS][0]
    assert 1 == written.event["a"]
    assert {"errors.renderer": 1} == by


def test_a_failing_renderer_costs_its_own_sink():
    """The other sinks' lines know nothing of it."""
    other = Written()
    with configured(renderer=boom, sinks=[{"target": other, "renderer": "json"}], stream=Written()):
        ctxlog.get_logger("shop").info("e")
    assert ERRORS not in other.event


@pytest.mark.parametrize("make", [str, str.encode])
def test_a_foreign_renderer_forges_no_line(make):
    """Line breaks of a foreign renderer continue the line, indented."""
    with configured(renderer=lambda _, __, event: make(event["event"] + "\n")) as written:
        ctxlog.get_logger("shop").info('a\n{"event":"forged"}')
    assert b'a\n    {"event":"forged"}\n' == written.getvalue()


FOREIGN: dict[str, Any] = {
    "key-value": structlog.processors.KeyValueRenderer(key_order=["event"], repr_native_str=False),
    "logfmt": structlog.processors.LogfmtRenderer(),
    "console": structlog.dev.ConsoleRenderer(colors=False),
    "coloured": structlog.dev.ConsoleRenderer(colors=True),
    "bytes": lambda _, __, event: f"{event['event']}|{event}|{[*event.values()]}".encode(),
    "text": lambda _, __, event: "|".join(f"{name}:{value}" for name, value in event.items()),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("place", ["event", "value", "name", "logger", "bound", "nested"])
def test_no_foreign_renderer_lets_a_control_character_through(name: str, place: str):
    """What it writes itself stays, colours and line breaks; what acts in a value is escaped."""
    evil = CONTROLS.replace("\n", "").replace("\t", "").replace("\0", "") + "\x1b[31m"
    with configured(renderer=FOREIGN[name]) as written:
        log = ctxlog.get_logger(evil if place == "logger" else "shop")
        log = log.bind({"bound": evil}) if place == "bound" else log
        fields: dict[str, dict[str, Any]] = {
            "value": {"v": evil}, "name": {"a" + evil: 1}, "nested": {"n": {evil: [evil]}},
        }  # fmt: skip
        log.info(evil if place == "event" else "e", **fields.get(place, {}))
    text = written.getvalue().decode()
    assert text.endswith("\n")
    if name == "coloured":
        assert "\x1b[31m" not in text
        text = re.sub("\x1b\\[[0-9]*m", "", text)
    assert set() == ACTIVE & set(text[:-1])


def test_a_foreign_renderers_json_stays_json_and_says_what_was_logged():
    """Its own escapes are left alone; what it leaves raw is escaped as JSON knows it."""
    renderer = structlog.processors.JSONRenderer(
        serializer=lambda event, **_: json.dumps(event, ensure_ascii=False)
    )
    with configured(renderer=renderer) as written:
        ctxlog.get_logger("shop").info("e", value=CONTROLS)
    assert CONTROLS == written.event["value"]


@pytest.mark.parametrize("made", ["a\r\n", b"a\r\n", "a\n", b"a", b"\xff\x9b\r"])
def test_the_end_of_a_foreign_renderers_line_is_ours(made: Any):
    """Its line break, if it writes one, is not doubled; bytes that are no text stay as they are."""
    with configured(renderer=lambda *_: made) as written:
        ctxlog.get_logger("shop").info("e")
    assert (b"a\n" if b"\xff" != made[:1] else b"\xff\x9b\r\n") == written.getvalue()


def test_a_foreign_renderer_gets_a_copy():
    """What a renderer changes, other sinks do not see."""

    def change(_: Any, __: str, event: Any) -> str:
        event["nested"]["a"] = event["event"] = "changed"
        return "x"

    seen: list[Any] = []
    with configured(
        renderer=change, stream=Written(), sinks=[{"target": seen.append, "renderer": "event"}]
    ):
        ctxlog.get_logger("shop").info("e", nested={"a": 1})
    assert ("e", {"a": 1}) == (seen[0]["event"], seen[0]["nested"])


def test_a_foreign_renderers_surrogates():
    """A lone surrogate in a foreign renderer's text is written as its escape."""
    with configured(renderer=lambda _, __, ___: "a\udc80") as written:
        ctxlog.get_logger("shop").info("e")
    assert b"a\\udc80\n" == written.getvalue()


@pytest.mark.parametrize("renderer", [
    "logfmt", "console", lambda _, __, event: repr(event), lambda _, __, ___: "é" * 5000,
])  # fmt: skip
def test_no_line_is_longer_than_its_limit(renderer):
    """Every renderer's line fits, whatever it makes of an event."""
    with configured(renderer=renderer, limits=Limits(line_bytes=1024)) as written:
        ctxlog.get_logger("shop").info("e" * 500, a="é\x00" * 700, b=["\\" * 99] * 30)
    assert len(written.getvalue()) <= 1025


def test_an_exact_fit_is_not_cut():
    """A line of exactly the limit stays whole; one byte more is cut."""
    with configured(limits=Limits(line_bytes=1024)) as written:
        log = ctxlog.get_logger("s")
        log.info("e", a="")
        room = 1024 - (len(written.getvalue()) - 1)
        log.info("e", a="x" * room)
        log.info("e", a="x" * (room + 1))
    _, exact, cut = written.events
    assert ("x" * room, False) == (exact["a"], "truncated" in exact)
    assert ["a"] == cut["truncated"]


def test_a_filter_that_fails_lets_the_line_through():
    """It is said on the line, for every sink, and counted."""
    first, second = Written(), Written()
    with (
        configured(sinks=[first, {"target": second, "filter": boom}]),
        moved("errors.filter") as by,
    ):
        ctxlog.get_logger("shop").info("e")
    for stream in (first, second):
        assert ["filter of stream Written: BoomError: no"] == stream.event[ERRORS]
    assert {"errors.filter": 1} == by


def test_a_filter_changes_nothing():
    """What a filter does to its event does not show."""

    def change(event: Any) -> bool:
        event.clear()
        return True

    written = Written()
    with configured(sinks=[{"target": written, "filter": change}]):
        ctxlog.get_logger("shop").info("e")
    assert "e" == written.event["event"]


def test_each_sink_has_its_own():
    """Renderer, level and filter are each sink's own; two of one renderer share its line."""
    loud, chosen, text = Written(), Written(), Written()
    events: list[Any] = []
    with configured(
        sinks=[
            {"target": loud, "level": "error"},
            {"target": chosen, "filter": lambda event: event.get("n") == 1},
            {"target": text, "renderer": "logfmt"},
            {"target": events.append, "renderer": "event", "level": 30},
        ]
    ):
        log = ctxlog.get_logger("shop")
        log.info("a", n=1)
        log.error("b", n=2)
    assert ["b"] == [event["event"] for event in loud.events]
    assert ["a"] == [event["event"] for event in chosen.events]
    assert [b"event=a" in line for line in text.getvalue().splitlines()] == [True, False]
    assert ["b"] == [event["event"] for event in events]


# -- sinks that fail --------------------------------------------------------------------------------


class FailingSink(Sink):
    """Raises for each line."""

    def _write(self, line: Any) -> None:
        raise OSError("gone \udc80\x1b")


@pytest.mark.parametrize("processors", [(), (lambda _, __, event: event,)])
def test_a_sink_that_fails(original, processors):
    """The line goes to the original standard error and the other sinks, and says what failed."""
    written = Written()
    from ctxlog.fastpath import build

    failing = FailingSink()
    emit = build(Pipeline(sinks=(failing, StreamSink(written)), processors=processors))
    with moved("errors.sink", "last_resort", "lost") as by:
        emit(ctxlog.get_logger("shop"), 20, "e", (), {"a": 1})
    assert ERRORS not in written.event
    event = parse_line(original.getvalue().encode())
    assert (["sink #0: OSError: gone \\udc80\x1b"], 1) == (event[ERRORS], event["a"])
    assert {"errors.sink": 1, "last_resort": 1, "lost": 0} == by
    assert (1, 0) == (failing.failed, failing.written)


class Empty(list[Any]):
    """Is false, and can be called."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __call__(self, *_: Any) -> Any:
        """Give the answer, whatever it is called with."""
        return self._answer


@pytest.mark.parametrize("processors", [None, [lambda _, __, event: event]])
def test_a_renderer_and_a_filter_that_are_false(processors):
    """They are used all the same: a sink's parts are not asked for their truth."""
    written = Written()
    with configured(written, renderer=Empty("drawn"), processors=processors):
        ctxlog.get_logger("shop").info("e")
    assert b"drawn\n" == written.getvalue()
    kept: list[Any] = []
    with configured(sinks=[{"target": kept.append, "filter": Empty(False)}], processors=processors):
        ctxlog.get_logger("shop").info("e")
    assert [] == kept


@pytest.mark.parametrize("renderer", ["json", "logfmt", "event"])
def test_a_call_sink_that_fails(original, renderer):
    """Whatever its renderer, its line arrives as JSON that says what failed."""
    with configured(sinks=[{"target": boom, "renderer": renderer}]):
        ctxlog.get_logger("shop").info("e", a=1)
    assert ["call boom: BoomError: no"] == parse_line(original.getvalue().encode())[ERRORS]


def test_the_last_resort_fails_too(monkeypatch):
    """With nowhere left to go a line is counted as lost."""
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "__stderr__", stream)
        with configured(sinks=[boom]), moved("lost") as by:
            ctxlog.get_logger("shop").info("e")
        assert {"lost": 1} == by
    with moved("lost") as by:
        last_resort.rescue("sink", b"{}\n", OSError(), None, {"bad": object()})
    assert {"lost": 1} == by


def test_the_failed_stream_is_not_tried_again(original):
    """When the original standard error itself failed, the line is not written to it twice."""
    with moved("lost", "last_resort") as by:
        assert not last_resort.write(b"x\n", avoid=original)
        last_resort.rescue("sink", b"logfmt line\n", OSError("e"), None)
        last_resort.rescue("sink", object(), OSError("e"), None)
    assert {"lost": 1, "last_resort": 2} == by
    assert "logfmt line\nsink: OSError: e\n" == original.getvalue()


def test_notes_are_kept_whatever_they_are():
    """A processor may have put anything under the name of the notes."""
    assert {"ctxlog.errors": [3, "x"]} == last_resort.noted({"ctxlog.errors": 3}, "x")
    with configured(processors=[lambda _, __, e: {**e, ERRORS: 3}], renderer=boom) as written:
        ctxlog.get_logger("shop").info("e")
    assert 3 == written.event[ERRORS][0]


# -- strict -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"processors": [boom]}, {"renderer": boom}, {"sinks": [boom]},
    {"sinks": [{"target": print, "filter": boom}]},
    {"processors": [lambda _, __, ___: None]},
])  # fmt: skip
def test_strict_raises(options):
    """In ``strict`` what is guarded otherwise raises."""
    with configured(strict=True, **options), pytest.raises((BoomError, TypeError)):
        ctxlog.get_logger("shop").info("e")


# -- the chain itself ---------------------------------------------------------------------------------


def test_a_provider_that_fails_is_named():
    """Its fields are missing, the line says why, the others' are there."""

    def fine() -> dict[str, object]:
        return {"shard": 3}

    def nothing() -> None:
        return None

    for provider in (boom, fine, nothing):
        add_provider(provider)
    try:
        with configured() as written, moved("errors.provider") as by:
            ctxlog.get_logger("shop").info("e", level=1)
    finally:
        for provider in (boom, fine, nothing):
            remove_provider(provider)
    assert ["provider boom: BoomError: no"] == written.event[ERRORS]
    assert (3, 1) == (written.event["shard"], written.event["fields.level"])
    assert {"errors.provider": 1} == by


def test_the_chain_itself_fails(monkeypatch):
    """What nobody thought of leaves a bare line: ids, resource, context and the call's fields."""
    monkeypatch.setattr(Pipeline, "assemble", boom)
    with (
        configured(processors=[lambda _, __, event: event], resource={"r": 1, "a": 0}) as written,
        moved("errors.pipeline") as by,
        ctxlog.entry(a=1, level=2),
    ):
        ctxlog.get_logger("shop", c=3, b=0).error("e", b=2, token="hunter2")
    event = written.event
    assert 3 == event["c"]
    assert ("error", 1, 2, 2) == (event["level"], event["a"], event["b"], event["fields.level"])
    assert 1 == event["r"]
    assert "[redacted]" == event["token"]
    assert event["trace_id"]
    assert ["pipeline: BoomError: no"] == event[ERRORS]
    assert {"errors.pipeline": 1} == by


def test_the_bare_line_fails_too(monkeypatch):
    """When even that fails the line is counted as lost, and nothing raises."""
    monkeypatch.setattr(Pipeline, "assemble", boom)
    monkeypatch.setattr(Pipeline, "_head", boom)
    with configured(processors=[lambda _, __, event: event]) as written, moved("lost") as by:
        ctxlog.get_logger("shop").info("e")
    assert b"" == written.getvalue()
    assert {"lost": 1} == by


def test_ids_that_cannot_be_read(monkeypatch):
    """OpenTelemetry raising costs the ids of the span, not the line."""
    monkeypatch.setattr("ctxlog.assembly.current_ids", boom)
    monkeypatch.setattr("ctxlog.fastpath.current_ids", boom)
    with configured() as written, ctxlog.entry(a=1):
        ctxlog.get_logger("shop").info("e")
    assert (1, True) == (written.event["a"], "trace_id" in written.event)


def test_at_the_end_of_the_stack():
    """A line logged with hardly any stack left raises nothing of ours, and later lines work."""
    log = ctxlog.get_logger("shop")

    def down() -> None:
        log.info("deep", value=object())
        down()

    with configured() as written:
        with pytest.raises(RecursionError):
            down()
        log.info("after")
    assert "after" == written.events[-1]["event"]


def test_process_takes_what_another_door_knows():
    """A stamp, a context, ids, a method's name and notes may come from elsewhere."""
    methods: list[str] = []

    def see(logger: Any, method: str, event: Any) -> Any:
        methods.append(f"{logger!r} {method}")
        return event

    written = Written()
    pipeline = Pipeline(sinks=(StreamSink(written),), processors=(see,))
    with ctxlog.entry(a=1):
        taken = ctxlog.snapshot()
    line = Line("shop", 33, "e", (), {}, None)
    line.context, line.ids, line.method = taken.fields, taken.ids, "m"
    line.stamp_ns = 1_500_000_000
    line.notes.append("door: x")
    pipeline.process(line)
    event = written.event
    assert ("1970-01-01T00:00:01.500000Z", "level 33") == (event["timestamp"], event["level"])
    assert (1, ["door: x"]) == (event["a"], event[ERRORS])
    assert ["<logger shop> m"] == methods


def test_logger_names_are_kept_bounded(monkeypatch):
    """What processors get as the logger is kept for so many names."""
    monkeypatch.setattr("ctxlog.pipeline._MAX_NAMED", 2)
    with configured(processors=[structlog.stdlib.add_logger_name]) as written:
        for n in range(5):
            ctxlog.get_logger(f"l{n}").info("e")
    assert [f"l{n}" for n in range(5)] == [event["logger"] for event in written.events]
    assert "x" == LoggerName("x").name


# -- exceptions -----------------------------------------------------------------------------------------


def failure() -> BaseException:
    """Return an exception that was raised, with a cause."""
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("no") from cause
    except ValueError as error:
        return error


@pytest.mark.parametrize("how", ["true", "instance", "tuple", "method"])
def test_exceptions_are_data(how):
    """Type, message, cause and traceback, however the exception is given."""
    with configured() as written:
        log = ctxlog.get_logger("shop")
        try:
            raise failure()
        except ValueError as error:
            if how == "method":
                log.exception("e")
            else:
                given = {"true": True, "instance": error, "tuple": sys.exc_info()}[how]
                log.error("e", exc_info=given)  # noqa: TRY400 - one of the ways
    event = written.event
    assert ("ValueError", "no") == (event["exception.type"], event["exception.message"])
    assert "ValueError" == event["error.type"]
    assert [{"type": "KeyError", "message": "'cause'", "kind": "cause"}] == event[
        "exception.causes"
    ]
    assert "Traceback" in event["exception.stacktrace"]
    assert "exc_info" not in event


def test_groups_are_data():
    """Each exception of a group is on the line."""
    with configured() as written:
        group = ExceptionGroup("two", [ValueError("a"), TypeError("b")])
        ctxlog.get_logger("shop").error("e", exc_info=group)
    assert ["ValueError", "TypeError"] == [
        each["type"] for each in written.event["exception.group"]
    ]


@pytest.mark.parametrize("nothing", [None, False, True, (None, None, None), 0])
def test_no_exception(nothing):
    """``exc_info`` without an exception leaves nothing on the line."""
    with configured() as written:
        ctxlog.get_logger("shop").error("e", exc_info=nothing)
    assert {"timestamp", "level", "logger", "event"} == written.event.keys()


def test_fields_called_as_an_exceptions_move():
    """A field of the same name as one of the exception's is not lost."""
    with configured() as written:
        ctxlog.get_logger("shop").error("e", exc_info=failure(), **{"error.type": "mine"})
    assert ("mine", "ValueError") == (
        written.event["fields.error.type"], written.event["error.type"]
    )  # fmt: skip


def test_an_exception_is_rendered_once(monkeypatch):
    """Several sinks and renderers share one rendering of the traceback."""
    calls: list[BaseException] = []

    def describing(error: BaseException, **options: Any) -> dict[str, object]:
        calls.append(error)
        return describe(error, **options)

    monkeypatch.setattr("ctxlog.assembly.describe", describing)
    with configured(sinks=[Written(), {"target": Written(), "renderer": "logfmt"}, Written()]):
        ctxlog.get_logger("shop").error("e", exc_info=failure())
    assert 1 == len(calls)


def test_a_traceback_that_cannot_be_made(monkeypatch):
    """The exception's type stays, and the line says what failed."""
    monkeypatch.setattr("ctxlog.assembly.describe", boom)
    with configured() as written:
        ctxlog.get_logger("shop").error("e", exc_info=failure())
    assert "ValueError" == written.event["exception.type"]
    assert "traceback boom" in written.event[ERRORS][0]


def test_stack_info():
    """``stack_info`` puts the caller's stack, or the text given, on the line."""
    with configured() as written:
        log = ctxlog.get_logger("shop")
        log.info("e", stack_info=True)
        log.info("e", stack_info="given", **{"code.stacktrace": "mine"})
        log.info("e", stack_info=False)
    real, given, none = written.events
    assert "test_stack_info" in real["code.stacktrace"].splitlines()[-2]
    assert ("given", "mine") == (given["code.stacktrace"], given["fields.code.stacktrace"])
    assert "code.stacktrace" not in none


def test_callsite():
    """File, line and function of the call; ``stacklevel`` skips, fields given by hand stay."""

    def helper() -> None:
        ctxlog.get_logger("shop").info("e", stacklevel=2)

    with configured(callsite=True) as written:
        ctxlog.get_logger("shop").info("e")
        line = sys._getframe().f_lineno - 1
        helper()
        ctxlog.get_logger("shop").info("e", stacklevel="x", **{"code.line.number": 7})
        ctxlog.get_logger("shop").info("e", stacklevel=10_000)
    first, above, given, none = written.events
    assert (__file__, line) == (first["code.file.path"], first["code.line.number"])
    assert f"{__name__}.test_callsite" == first["code.function.name"]
    assert f"{__name__}.test_callsite" == above["code.function.name"]
    assert 7 == given["code.line.number"]
    assert "code.line.number" not in none


def test_interpolate_asks_a_mapping_alone():
    """A single argument that is no mapping is used as it is; containers' secrets are masked."""
    value_of = Clean().value
    assert "[1]" == interpolate("%s", ([1],), value_of)
    assert "{'token': '[redacted]'}" == interpolate("%s", ({"token": "t"},), value_of)


@pytest.mark.parametrize("fields", [{}, {"odd": object()}], ids=["fast", "full"])
def test_a_lazy_argument_and_event_are_computed(fields: dict[str, Any]):
    """As fields are: what a lazy value gives is written, its secrets masked; what it raises is said."""
    made = ctxlog.lazy(lambda: {"token": "t", "n": 6 * 7})
    endless = ctxlog.lazy(lambda: endless)
    with configured() as written:
        log = ctxlog.get_logger("shop")
        log.info("%s of %d", made, ctxlog.lazy(lambda: 6 * 7), **fields)
        log.info(made, **fields)
        log.info("%s", ctxlog.lazy(boom), **fields)
        log.info("%s", endless, **fields)
    told = [event["event"] for event in written.events]
    masked = "{'token': '[redacted]', 'n': 42}"
    assert [f"{masked} of 42", masked, "<lazy raised BoomError: no>"] == told[:3]
    assert "lazy(" in told[3]


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"recursive text"}))
def test_hostile_events_and_arguments(name):
    """An event, or an argument, whose text has no end or shows secrets is one line, soon."""
    with configured() as written:
        ctxlog.get_logger("shop").info(HOSTILE[name]())
        ctxlog.get_logger("shop").info("%s", HOSTILE[name]())
    assert 2 == len(written.events)


# -- structlog's processors in our chain, ours in structlog's -------------------------------------------


def test_structlogs_processors_run_in_our_chain():
    """What structlog ships does in our chain what it does in its own."""
    from structlog import processors as theirs

    chain = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.stdlib.ExtraAdder(),
        theirs.TimeStamper(fmt="iso", key="at"),
        theirs.CallsiteParameterAdder([
            theirs.CallsiteParameter.FUNC_NAME, theirs.CallsiteParameter.MODULE,
        ]),
        theirs.StackInfoRenderer(),
        theirs.UnicodeDecoder(),
        theirs.dict_tracebacks,
        theirs.EventRenamer("msg"),
        structlog.contextvars.merge_contextvars,
    ]  # fmt: skip
    with configured(processors=chain) as written:
        ctxlog.get_logger("shop").warning("e", raw=b"bytes", exc_info=failure())
    event = written.event
    assert ERRORS not in event
    assert ("e", "warning", "shop") == (event["msg"], event["level"], event["logger"])
    assert ("bytes", "Z") == (event["raw"], event["at"][-1])
    assert "test_structlogs_processors_run_in_our_chain" == event["func_name"]
    assert "ValueError" == event["exception"][0]["exc_type"]


def test_structlogs_filter_by_level_lets_through_what_we_let_through():
    """It asks the logger for its level, which has been looked at before the chain."""
    with configured(processors=[structlog.stdlib.filter_by_level], level="debug") as written:
        ctxlog.get_logger("shop").debug("e")
    assert ("e", False) == (written.event["event"], ERRORS in written.event)
    assert LoggerName("shop").isEnabledFor(10)


def test_format_exc_info_in_our_chain():
    """An exception that a processor has rendered is not rendered again."""
    with configured(processors=[structlog.processors.format_exc_info]) as written:
        ctxlog.get_logger("shop").error("e", exc_info=failure())
    assert "Traceback" in written.event["exception"]
    assert "exception.type" not in written.event


@pytest.mark.parametrize("cleaned", [True, False])
@pytest.mark.parametrize("make", [JsonRenderer, LogfmtRenderer, ConsoleRenderer])
def test_our_renderers_tell_an_exception_in_structlogs_chain(make: Any, cleaned: bool):
    """With or without our cleaning before them; given as ``True``, itself, or a tuple."""
    out = io.BytesIO()
    chain: list[Any] = [*([Clean()] if cleaned else []), make()]
    chain.append(lambda _, __, line: line if isinstance(line, bytes) else line.encode())
    log: Any = structlog.wrap_logger(structlog.BytesLogger(out), processors=chain)
    try:
        raise BoomError("no")
    except BoomError as error:
        for given in (True, error, (type(error), error, error.__traceback__)):
            log.exception("e", exc_info=given)
    log.error("e", exc_info=None)
    text = out.getvalue()
    assert (3, 3) == (text.count(b"exception.type"), text.count(b"raise BoomError("))
    assert b"exc_info" not in text


def test_our_parts_run_in_structlogs_chain():
    """Clean, CallSite and the JSON renderer are processors like any other."""
    from ctxlog.processors import CallSite
    from ctxlog.renderers.json import JsonRenderer

    out = io.BytesIO()
    log = structlog.wrap_logger(
        structlog.BytesLogger(out),
        processors=[CallSite(), Clean(), JsonRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    log.info("e", password="hunter2", at={1}, text="\x1b")
    event = parse_line(out.getvalue())
    assert ("[redacted]", [1], "\x1b") == (event["password"], event["at"], event["text"])
    assert event["code.function.name"].endswith("test_our_parts_run_in_structlogs_chain")


@pytest.mark.parametrize("renderer", ["console", "logfmt"])
def test_our_text_renderers_run_in_structlogs_chain(renderer):
    """Console and logfmt too."""
    from ctxlog.renderers.logfmt import LogfmtRenderer

    out = io.StringIO()
    chosen = ConsoleRenderer() if renderer == "console" else LogfmtRenderer()
    log = structlog.wrap_logger(structlog.PrintLogger(out), processors=[chosen])
    log.info("a\nb", n=1)
    assert 1 == out.getvalue().count("\n")
    assert "n=1" in out.getvalue()
