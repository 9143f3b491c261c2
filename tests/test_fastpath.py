"""Fast path: the same line as by the full way, whatever is logged, and nothing joined twice."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ctxlog
from ctxlog import encoder
from ctxlog.context.fields import Fields
from ctxlog.context.providers import add_provider, remove_provider
from ctxlog.context.snapshot import Snapshot
from ctxlog.ids import TraceIds
from ctxlog.limits import Limits
from ctxlog.names import HEAD, IDS, MOVED
from ctxlog.redact import Redaction
from tests.kit import Written, configured, moved, parse_line
from tests.strategies import CONTROLS, HOSTILE, anything, events, names, relaxed, texts

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def through(_: Any, __: str, event: Any) -> Any:
    """Be a processor, so that a line takes the full way."""
    return event


def both(log: Any, *, exact: bool = True, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what ``log()`` writes by the fast path and by the full way, less the stamp.

    The full way is taken twice: the first line's names are all looked at, the second may be encoded
    as it is. It must be the same one, if the values are (``exact``).
    """
    with configured(**options) as written:
        log()
    fast = written.event
    with configured(processors=[through], **options) as written:
        log()
        log()
    first, full = written.events
    for event in (fast, first, full):
        del event["timestamp"]
    made_anew = {"request_id": full["request_id"]} if "request_id" in full else {}
    assert first.keys() == full.keys()
    assert not exact or {**first, **made_anew} == full
    return fast, full


def ordinary(event: dict[Any, Any]) -> dict[str, Any]:
    """Return the fields that can be keywords, without those that have a meaning in a call."""
    return {
        key: value
        for key, value in event.items()
        if type(key) is str and key not in {"exc_info", "stack_info", "stacklevel"}
    }


@relaxed
@given(
    event=texts(),
    call=events(),
    own=events(),
    context=events(),
    resource=events(),
    ids=st.booleans(),
)
@example(event="e", call={"fields.level": 1}, own={}, context={"level": 2}, resource={}, ids=False)
@example(event="e", call={}, own={"level": 1}, context={"fields.level": 2}, resource={}, ids=True)
@example(event="e", call={"trace_id": 1}, own={}, context={"trace_id": 2}, resource={}, ids=True)
@example(event="e", call={"a": 1}, own={"a": 2}, context={"a": 3}, resource={"a": 4}, ids=True)
def test_both_ways_write_the_same(event, call, own, context, resource, ids):
    """Any event: one valid line by either way, and the two are equal."""

    def log() -> None:
        logger = ctxlog.get_logger("shop", own)
        if not ids:
            with ctxlog.scope(context):
                logger.info(event, **ordinary(call))
        else:
            with ctxlog.entry(PARENT), ctxlog.scope(context):
                logger.info(event, **ordinary(call))

    fast, full = both(log, resource=resource)
    fast.pop("request_id", None)
    full.pop("request_id", None)  # made anew by each entry
    assert full == fast


@relaxed
@given(anything(), anything())
def test_any_event_and_argument_is_one_line(event, argument):
    """An event or argument that is no text, and raises or lies, is one line by either way."""
    fast, full = both(
        lambda: ctxlog.get_logger("shop").info(event, argument, value=argument), exact=False
    )
    assert full.keys() == fast.keys()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_anywhere(name):
    """A hostile value in the call, logger, context and resource is one line by either way."""
    make = HOSTILE[name]

    def log() -> None:
        with ctxlog.scope({"bound": make()}):
            ctxlog.get_logger("shop", {"own": make()}).info(
                "e", value=make(), nested={"a": [make()]}
            )

    fast, full = both(log, exact=False, resource={"process": make()})
    assert full.keys() == fast.keys()


@relaxed
@given(names(), names())
def test_any_name_is_one_line(name, nested):
    """Any name, also nested, is on the line once by either way."""
    fields = ordinary({name: {nested: 1, "pairs": [(nested, "v")]}})
    fast, full = both(lambda: ctxlog.get_logger("shop").info("e", **fields))
    assert full == fast


@pytest.mark.parametrize("limits", [
    Limits(value_bytes=1), Limits(value_bytes=64), Limits(depth=1), Limits(items=1),
    Limits(items=2, depth=2, line_bytes=1024), Limits(line_bytes=1024),
])  # fmt: skip
@pytest.mark.parametrize("value", [
    {"a": {"b": {"c": 1}}}, [[1, 2], [3, 4, 5]], "x" * 2000, list(range(300)), "é" * 40, 1.5,
    {"k" * 300: 1, "": 2},
])  # fmt: skip
def test_limits_are_the_same(limits, value):
    """Small limits cut alike by either way, and the head and ids stay whole."""

    def log() -> None:
        with ctxlog.entry(PARENT, request_id="r-1", big=value):
            ctxlog.get_logger("shop").info("e" * 100, value=value)

    fast, full = both(log, limits=limits)
    assert full == fast
    assert ("info", "shop", TRACE, SPAN, "r-1") == (
        fast["level"], fast["logger"], fast["trace_id"], fast["span_id"], fast["request_id"]
    )  # fmt: skip


@pytest.mark.parametrize("redaction", [
    Redaction(also=["trace_id", "logger", "event"]),
    Redaction(mask="***"), Redaction(allow=["page.token"]), Redaction(patterns=["sk-[a-z]+"]),
    False,
])  # fmt: skip
def test_redaction_is_the_same(redaction):
    """Masks, allowed paths and patterns hold alike by either way."""

    def log() -> None:
        with ctxlog.entry(PARENT, request_id="r-1", session={"token": "t"}, key="sk-abc"):
            ctxlog.get_logger("shop", cookie="c").info(
                "sk-abc", page={"token": "next"}, deep=[{"password": "p"}, ["cookie", "c"]]
            )

    fast, full = both(log, redact=redaction)
    assert full == fast


def test_a_secret_object_without_its_kind_is_masked_whatever_the_names():
    """An item of a list of Secrets is told by its other parts, also where these are no secret names."""
    item = {"string_data": None, "data": {"p": "hunter2"}}

    def log() -> None:
        ctxlog.get_logger("shop").info("e", item=item)

    fast, full = both(log, redact=Redaction(names=["pin"]))
    assert full == fast
    assert {"string_data": "[redacted]", "data": "[redacted]"} == fast["item"]


def test_patterns_are_masked_in_ordinary_values():
    """Texts that need no other look are still searched for what a pattern matches."""

    def log() -> None:
        ctxlog.get_logger("shop").info("used sk-abc", key="sk-abc", count=1)

    fast, full = both(log, redact=Redaction(patterns=["sk-[a-z]+"]))
    assert full == fast
    assert ("used [redacted]", "[redacted]", 1) == (full["event"], full["key"], full["count"])


@pytest.mark.parametrize("value", ["x" * 20_000, "é" * 20_000, "\x7f" * 5_000, 2**64, -(2**63) - 1])
def test_the_second_line_looks_at_values_too(value):
    """Names that are known to be safe do not make a long text or a large number pass."""

    def log() -> None:
        ctxlog.get_logger("shop").info("e", value=value)

    fast, full = both(log)
    assert full == fast


@pytest.mark.parametrize("where", ["call", "logger", "context", "resource", "nested", "pair"])
def test_secrets_are_masked(where):
    """A secret is masked wherever it stands."""
    secret: dict[str, Any] = {"client-secret": "hunter2"}
    call: dict[str, Any] = {
        "call": secret, "nested": {"a": [{"b": secret}]}, "pair": {"headers": [["Cookie", "hunter2"]]},
    }.get(where, {})  # fmt: skip

    def log() -> None:
        with ctxlog.scope(secret if where == "context" else None):
            ctxlog.get_logger("shop", secret if where == "logger" else None).info("e", **call)

    fast, full = both(log, resource=secret if where == "resource" else None)
    assert full == fast
    assert "hunter2" not in str(fast)
    assert "[redacted]" in str(fast)


@pytest.mark.parametrize("name", sorted(HEAD | IDS))
@pytest.mark.parametrize("where", ["call", "logger", "context", "resource"])
def test_reserved_names_move(name, where):
    """A field of a reserved name is on the line as ``fields.<name>``."""
    field = {name: "mine"}

    def log() -> None:
        with ctxlog.entry(PARENT), ctxlog.scope(field if where == "context" else None):
            logger = ctxlog.get_logger("shop", field if where == "logger" else None)
            logger.info("e", **(field if where == "call" else {}))

    for event in both(log, resource=field if where == "resource" else None):
        assert "mine" == event[MOVED + name]
        assert TRACE == event["trace_id"]


@pytest.mark.parametrize("where", ["logger", "context", "resource"])
def test_call_names_bound_move_too(where):
    """``exc_info`` bound to anything else than a call is a field like another."""
    field = {"exc_info": True}

    def log() -> None:
        with ctxlog.scope(field if where == "context" else None):
            ctxlog.get_logger("s", field if where == "logger" else None).info("e")

    for event in both(log, resource=field if where == "resource" else None):
        assert True is event["fields.exc_info"]


def test_precedence():
    """The call stands over the logger, the context, providers, the resource and foreign contexts."""

    def own() -> dict[str, object]:
        return dict.fromkeys("abcd", "provider")

    def foreign() -> dict[str, object]:
        return dict.fromkeys("abcdef", "foreign")

    add_provider(own)
    add_provider(foreign, foreign=True)
    try:
        with (
            configured(resource=dict.fromkeys("abcde", "resource")) as written,
            ctxlog.scope(dict.fromkeys("abc", "context")),
        ):
            ctxlog.get_logger("shop", dict.fromkeys("ab", "logger")).info("e", a="call")
    finally:
        remove_provider(own)
        remove_provider(foreign)
    assert ["call", "logger", "context", "provider", "resource", "foreign"] == [
        written.event[name] for name in "abcdef"
    ]


def test_precedence_without_providers():
    """The same order holds on the fast path."""

    def log() -> None:
        with ctxlog.scope(dict.fromkeys("abc", "context")):
            ctxlog.get_logger("shop", dict.fromkeys("ab", "logger")).info("e", a="call")

    for event in both(log, resource=dict.fromkeys("abcd", "resource")):
        assert ["call", "logger", "context", "resource"] == [event[name] for name in "abcd"]


def test_ids_come_as_a_unit():
    """Half of another trace is never mixed into the ids of an entry."""

    def log() -> None:
        with ctxlog.entry(PARENT), ctxlog.scope(span_id="bound"):
            ctxlog.get_logger("shop").info("e", trace_flags="called")

    for event in both(log):
        assert (TRACE, SPAN, "01") == (event["trace_id"], event["span_id"], event["trace_flags"])
        assert ("bound", "called") == (event["fields.span_id"], event["fields.trace_flags"])


def test_ids_without_an_entry_are_fields():
    """Ids bound where there are none stay what they are called."""
    for event in both(lambda: ctxlog.get_logger("shop").info("e", trace_id="mine")):
        assert "mine" == event["trace_id"]


@pytest.mark.parametrize(
    "text", [CONTROLS, "a\r\nb", "\x1b[31m", "\x7f", "\x85", "\u2028", "é\x9b"]
)
def test_control_characters_are_escaped(text):
    """Control characters in the event, a name, a value, the logger's name or the context."""

    def log() -> None:
        with ctxlog.scope({text: text}):
            ctxlog.get_logger(text).info(text, **{f"x{text}": text, "nested": {text: [text]}})

    fast, full = both(log)  # parse_line looks for them
    assert full == fast
    assert text == fast["event"]


@pytest.mark.parametrize(("event", "args", "expected"), [
    ("%d of %s", (3, "bob"), "3 of bob"),
    ("%(n)d", ({"n": 3},), "3"),
    ("plain", ({},), None),
    ("100%", (), "100%"),
    ("%s", (None,), "None"),
    ("%d", ("x",), None),
    ("%s %s", (1,), None),
    ("%s", ({"password": "p"},), None),
])  # fmt: skip
def test_positional_arguments(event, args, expected):
    """``%`` arguments are as in logging; what does not fit is a field."""
    fast, full = both(lambda: ctxlog.get_logger("shop").info(event, *args))
    assert full == fast
    if expected is not None:
        assert expected == fast["event"]


def test_a_secret_argument_is_masked():
    """A ``Secret`` prints as a mask also through ``%``."""
    for event in both(lambda: ctxlog.get_logger("shop").info("%s", ctxlog.Secret("hunter2"))):
        assert "[redacted]" == event["event"]


def test_a_lazy_value_is_computed_once_a_line():
    """A lazy value of the call or the context is computed once for each line."""
    calls: list[int] = []

    def compute() -> int:
        calls.append(1)
        return len(calls)

    with configured() as written, ctxlog.scope(late=ctxlog.lazy(compute)):
        log = ctxlog.get_logger("shop")
        log.info("a")
        log.info("b", late=ctxlog.lazy(compute))
    assert [1, 2] == [event["late"] for event in written.events]


def test_ordinary_lines_are_fast():
    """What applications log every day does not take the full way."""
    with configured(resource={"service.name": "shop"}), moved("slow_path") as by:
        log = ctxlog.get_logger("shop").bind(component="cart")
        with ctxlog.entry(PARENT, tenant="acme"):
            log.info("plain")
            log.info("é %s", "ü", url="https://example.org/?a=b", n=1.5, none=None, ok=True)
            log.info("nested", items={"a": [1, 2], "b": {"c": "d"}}, pairs=[[1, 2]])
            log.info("twice", tenant="other", component="x")
            log.info("hostile", value=object(), number=float("nan"))
    assert {"slow_path": 0} == by


@pytest.mark.parametrize("fields", [
    {"password": "p"}, {"level": 1}, {"é": 1}, {"service.name": "x"}, {"big": 2**80},
    {"text": "x" * 20_000}, {"exc_info": ValueError("x")}, {"": 1}, {"many": ["x" * 600] * 30},
])  # fmt: skip
def test_what_needs_the_full_way_takes_it(fields):
    """What cannot be joined takes the full way, is counted, and is one line."""
    with configured(resource={"service.name": "shop"}) as written, moved("slow_path") as by:
        ctxlog.get_logger("shop").info("e", **fields)
    assert {"slow_path": 1} == by
    assert "e" == written.event["event"]


def test_large_contexts_take_the_full_way():
    """A context, or a logger's fields, of more than half a line is cut to fit."""
    with configured(limits=Limits(line_bytes=1024)) as written:
        big = {f"n{n}": "x" * 100 for n in range(20)}
        ctxlog.get_logger("shop", big).info("e")
        with ctxlog.scope(big):
            ctxlog.get_logger("shop").info("e")
            ctxlog.get_logger("shop").info("e", n1=2)
    for event in written.events:
        assert event["truncated"]
    assert all(len(line) <= 1025 for line in written.getvalue().splitlines(keepends=True))


def test_ids_are_encoded_for_each_configuration():
    """What is kept on ids for one configuration is not used by the next."""
    ids = TraceIds(TRACE, SPAN, "01")
    ids.encoded = (object(), b',"trace_id":"stale"')
    pinned = Snapshot(ctxlog.snapshot().fields)
    assert pinned.ids is None
    with configured() as written, ctxlog.entry(PARENT):
        current = ctxlog.snapshot().ids
        assert current is not None
        current.encoded = (object(), b',"trace_id":"stale"')
        ctxlog.get_logger("shop").info("e")
    assert TRACE == written.event["trace_id"]


def test_caches_are_bounded(monkeypatch):
    """Dynamic logger names, levels, field names and shapes do not grow memory."""
    for limit in ("MAX_HEADS", "MAX_LEVELS", "MAX_SHAPES", "MAX_KNOWN_NAMES"):
        monkeypatch.setattr(encoder, limit, 2)
    with configured() as written:
        for n in range(8):
            with ctxlog.scope({f"c{n}": n}):
                ctxlog.get_logger(f"l{n}").log(n + 1, "e", **{f"f{n}": n})
                ctxlog.get_logger("l").log(1, "e", **{f"f{n}": n, "same": 1})
            ctxlog.get_logger(f"m{n}").info("e", **{f"g{n}": 1})
    assert 24 == len(written.events)


def test_custom_level_names_are_cleaned(monkeypatch: pytest.MonkeyPatch):
    """A level named by the application forges nothing."""
    for table in ("_levelToName", "_nameToLevel"):  # logging has no way to take a name back
        monkeypatch.setattr(logging, table, dict(getattr(logging, table)))
    logging.addLevelName(37, 'q"x\nz')
    fast, full = both(lambda: ctxlog.get_logger("shop").log(37, "e"))
    assert full == fast
    assert 'q"x\nz' == fast["level"]


def test_the_wall_clock_set_back_is_marked_alike(monkeypatch):
    """A stamp ahead of the wall clock says by how much, by either way."""
    from ctxlog import pipeline
    from ctxlog.clock import Clock, Tick

    now = [10_000_000_000]
    clock = Clock(wall=lambda: 5_000_000_000, monotonic=lambda: now[0])
    clock.tick = Tick(0, 1_000_000_000_000, 2_000, 1_234_567_891)
    clock.tick.end = 2**62
    made = []
    for processors in ((), (through,)):
        stream = Written()
        from ctxlog.fastpath import build
        from ctxlog.sinks.stream import StreamSink

        chain = pipeline.Pipeline(sinks=(StreamSink(stream),), processors=processors, clock=clock)
        monkeypatch.setattr("ctxlog.fastpath.monotonic_ns", lambda: now[0])
        build(chain)(ctxlog.get_logger("shop"), 20, "e", (), {})
        made.append(parse_line(stream.getvalue()))
    assert made[0] == made[1]
    assert 1.234568 == made[0]["clock_ahead_s"]


@pytest.mark.parametrize("odd", ['x","y":"z', "é", "", "a\nb"])
def test_ids_that_are_no_ids_forge_nothing(odd: str):
    """Somebody's own ids are written as the text that they are."""
    taken = Snapshot(Fields({}, TraceIds(odd, "b" * 16, "01")))
    written: list[str] = []
    with configured(sinks=[written.append], renderer="json"):
        for _ in range(2):
            taken.run(ctxlog.get_logger("shop").info, "said")
    assert 2 == len(written)
    for event in map(json.loads, written):
        assert (odd, "b" * 16, "01") == (event["trace_id"], event["span_id"], event["trace_flags"])
        assert "y" not in event
