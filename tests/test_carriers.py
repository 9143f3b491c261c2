"""Carriers: in and out, and whatever a stranger sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from ctxlog.carriers import MAX_HEADERS, MAX_LENGTH, extract, inject, wire
from ctxlog.context import spans
from ctxlog.context.fields import get_context
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import Snapshot
from ctxlog.counting import counters
from ctxlog.entries import entry
from ctxlog.errors import UsageError
from ctxlog.ids import TraceIds, parse_traceparent, valid_request_id
from tests.strategies import relaxed

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = TraceIds("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")

hex_digits = st.sampled_from("0123456789abcdef")
trace_ids = st.text(hex_digits, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
span_ids = st.text(hex_digits, min_size=16, max_size=16).filter(lambda text: text.strip("0"))
request_ids = st.text(
    st.sampled_from("abcXYZ0189._:/+=@-"), min_size=1, max_size=128
)  # what valid_request_id lets in


# -- in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "carrier",
    [
        {"traceparent": PARENT, "x-request-id": "r-1"},
        {"Traceparent": f"  {PARENT}\t", "X-REQUEST-ID": " r-1 "},
        {b"traceparent": PARENT.encode(), b"x-request-id": b"r-1"},
        [("traceparent", PARENT), ("x-request-id", "r-1")],
        [[b"traceparent", PARENT.encode()], [b"x-request-id", b"r-1"]],
        (pair for pair in [("traceparent", PARENT), ("x-request-id", "r-1")]),
        MappingProxyType({"traceparent": PARENT, "x-request-id": "r-1"}),
        [("x-request-id", "r-1"), ("traceparent", PARENT), ("traceparent", PARENT)],
    ],
)
def test_every_shape_of_carrier_is_read(carrier: Any):
    """Mappings and pairs, text and bytes, in any case, with spaces around the values."""
    taken = extract(carrier)
    assert (IDS, {"request_id": "r-1"}) == (taken.ids, taken.values())


def test_a_list_that_comes_in_pieces_is_one():
    """W3C lets a proxy split ``tracestate`` and ``baggage``; as long as they may be, no longer."""
    pieces = [("tracestate", "a=1"), ("TraceState", "b=2"), ("baggage", "x=1"), ("baggage", "y=2")]
    flood = [("baggage", f"k{number}={'v' * 300}") for number in range(40)]
    taken = extract([("traceparent", PARENT), *pieces])
    span = trace.get_current_span(dict(taken.carried)[spans.ACCESSOR]).get_span_context()
    assert {"a": "1", "b": "2"} == dict(span.trace_state)
    wire.set(baggage={"x": "x", "y": "y", "k9": "early", "k39": "late"})
    try:
        assert {"x": "1", "y": "2"} == extract(pieces).values()
        assert ["early"] == list(extract(flood).values())
    finally:
        wire.set()


def test_nothing_says_nothing():
    """No carrier, or an empty one, gives an empty snapshot."""
    nothing: tuple[Any, ...] = (None, {}, [], ())
    for carrier in nothing:
        taken = extract(carrier)
        assert (None, {}) == (taken.ids, taken.values())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", IDS.trace_id),
        ("4bf92f3577b34da6a3ce929d0e0e4736", IDS.trace_id),
        ("0" * 32, None), ("4bf92f35", None), ("g" * 32, None), ("", None),
    ],
)  # fmt: skip
def test_a_trace_id_alone_is_given_a_span(value, expected):
    """X-Trace-ID names no span: one is made, unsampled; an invalid one is none."""
    ids = extract({"X-Trace-ID": value}).ids
    assert expected == (ids and ids.trace_id)
    assert ids is None or (16 == len(ids.span_id) and "00" == ids.trace_flags)


def test_traceparent_comes_before_x_trace_id():
    """The standard header wins; where it is invalid the other is read."""
    other = "a" * 32
    assert IDS == extract({"traceparent": PARENT, "x-trace-id": other}).ids
    ids = extract({"traceparent": "nonsense", "x-trace-id": other}).ids
    assert ids is not None
    assert other == ids.trace_id


@pytest.mark.parametrize("name", ["traceparent", "x-request-id", "x-trace-id"])
def test_a_name_that_comes_twice_is_none(name):
    """Two values contradict each other: neither is taken."""
    values = {"traceparent": [PARENT, PARENT.replace("4b", "5b")]}.get(name, ["a" * 32, "b" * 32])
    taken = extract([(name, values[0]), (name.upper(), values[1])])
    assert (None, {}) == (taken.ids, taken.values())


class Failing(Mapping[str, str]):
    """A mapping that raises at whatever it is asked."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("iter")

    def __len__(self) -> int:
        raise RuntimeError("len")


class Lying(str):
    """A text whose methods return nonsense."""

    __slots__ = ()

    def lower(self) -> Any:
        """Return no text."""
        return None

    def strip(self, chars: str | None = None, /) -> Any:
        """Raise."""
        raise RuntimeError(chars)


@pytest.mark.parametrize(
    "carrier",
    [
        {"x-request-id": "r\r\nSet-Cookie: a=b", "traceparent": PARENT + "\r\nx: y"},
        {"x-request-id": "r" * 1_000_000, "traceparent": PARENT + " " * 1_000_000},
        {"x-request-id": b"\xff\xfe\x00", b"traceparent": b"\xff" * 55},
        {"x-request-id": None, "traceparent": 5, 7: 8, None: None, (): ()},
        {"x-request-id": ["r-1", "r-2"], "traceparent": {"a": 1}},
        [("x-request-id",), 5, None, ("a", "b", "c"), "ab", ("traceparent", Lying(PARENT))],
        [(Lying("x-request-id"), "r-1"), (b"x-request-id", object())],
        {"x-request-id": "a" * (MAX_LENGTH + 1), "x-trace-id": "a" * 32 + " " * MAX_LENGTH},
        {"traceparent": PARENT.upper(), "x-request-id": "\u202er"},
        {"traceparent": "00-" + "0" * 32 + "-" + "b" * 16 + "-01"},
        {"traceparent": "ff" + PARENT[2:]}, {"traceparent": PARENT + "-00"},
    ],
)  # fmt: skip
def test_what_a_stranger_sends_is_checked(carrier):
    """Nothing raises, and nothing invalid comes through."""
    taken = extract(carrier)
    assert (None, {}) == (taken.ids, taken.values())


class FailingAtOnce(Failing):
    """One that raises before it gives anything."""

    def items(self) -> Any:
        """Raise."""
        raise RuntimeError("items")


@pytest.mark.parametrize(("carrier", "counted"), [(Failing(), 0), (FailingAtOnce(), 1)])
def test_a_mapping_that_fails_says_nothing(carrier, counted):
    """One that raises is passed over, and an entry is opened all the same."""
    before = counters["errors.carrier"]
    with entry(carrier):
        assert 32 == len(get_context()["request_id"])  # type: ignore[arg-type]
    assert before + counted == counters["errors.carrier"]


def test_a_flood_is_cut():
    """Only so many headers are looked at, and an endless carrier ends."""

    def endless() -> Iterator[tuple[str, str]]:
        while True:
            yield "x", "y"

    assert {} == extract(endless()).values()
    flood = [("x", "y")] * MAX_HEADERS
    assert {} == extract([*flood, ("x-request-id", "r")]).values()
    assert {"request_id": "r"} == extract([*flood[1:], ("x-request-id", "r")]).values()


@pytest.mark.parametrize("carrier", ["text", b"bytes", bytearray(b"x"), 5, object(), print])
def test_what_is_no_carrier_is_misuse(carrier):
    """The error says what is taken."""
    with pytest.raises(UsageError, match="a carrier is a mapping or pairs"):
        extract(carrier)


def test_items_that_is_no_method_is_misuse():
    """An object whose items cannot be called is no mapping."""

    class Odd:
        items = 5

    with pytest.raises(UsageError):
        extract(Odd())  # type: ignore[arg-type]


@relaxed
@given(
    st.dictionaries(
        st.sampled_from(["traceparent", "X-Request-ID", b"x-trace-id", "other"]),
        st.one_of(st.text(), st.binary(), st.none(), st.integers(), trace_ids, request_ids),
    )
)
def test_whatever_comes_in_is_valid_or_absent(carrier):
    """Any carrier gives valid ids or none, and raises nothing."""
    taken = extract(carrier)
    request_id = taken.values().get("request_id")
    assert request_id is None or valid_request_id(request_id)
    ids = taken.ids
    assert ids is None or parse_traceparent(f"00-{ids.trace_id}-{ids.span_id}-{ids.trace_flags}")


# -- out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [True, False])
@pytest.mark.parametrize("shape", ["mapping", "pairs", "bytes"])
@relaxed
@given(trace_ids, span_ids, st.sampled_from(["00", "01", "02", "03"]), request_ids)
def test_what_is_sent_is_what_was_received(library, shape, trace_id, span_id, flags, request_id):
    """Ids go through entry and inject unchanged, with OpenTelemetry and without."""
    sent = {"traceparent": f"00-{trace_id}-{span_id}-{flags}", "x-request-id": request_id}
    known, modules = spans._library, spans._modules
    carrier: Any = {"mapping": {}, "pairs": [], "bytes": [(b"a", b"b")]}[shape]
    try:
        if not library:
            spans._library, spans._modules = None, {}
        with entry(sent):
            inject(carrier)
    finally:
        spans._library, spans._modules = known, modules
    taken = extract(carrier)
    assert TraceIds(trace_id, span_id, flags) == taken.ids
    assert {"request_id": request_id} == taken.values()


def test_outside_an_entry_nothing_is_sent():
    """Nothing is invented: without ids nothing is written."""
    headers: dict[str, str] = {}
    inject(headers)
    assert {} == headers


def test_the_current_span_is_sent():
    """Within a span the receiver continues that span, in one unit with its trace."""
    headers: dict[str, str] = {}
    tracer = TracerProvider().get_tracer("tests")
    with entry({"traceparent": PARENT}), tracer.start_as_current_span("x") as span:
        inject(headers)
    about = span.get_span_context()
    expected = f"00-{trace.format_trace_id(about.trace_id)}-{trace.format_span_id(about.span_id)}"
    assert headers["traceparent"].startswith(expected)


def test_unknown_flags_are_sent_as_zero():
    """Of the flags only those of version 00 go on, as W3C has it."""
    headers: dict[str, str] = {}
    with entry({"traceparent": PARENT[:-2] + "ff"}):
        inject(headers)
    assert PARENT[:-2] + "03" == headers["traceparent"]


@pytest.mark.parametrize(
    ("bound", "sent"), [("r-1", "r-1"), (7, "7"), ("a b", None), (None, None), (True, None)]
)
def test_only_a_usable_request_id_is_sent(bound, sent):
    """What the receiver would not take is not sent."""
    headers: dict[str, str] = {}
    with scope(request_id=bound):
        inject(headers)
    assert sent == headers.get("x-request-id")


def test_what_was_there_is_replaced():
    """In any case and any shape a name is there once afterwards; other headers stay."""
    mapping = {
        "Traceparent": "old",
        "X-Request-Id": "old",
        "x-request-id": "old",
        "Other": "x",
        5: 6,
    }
    pairs: Any = [(b"TraceParent", b"old"), [b"x-request-id", b"old"], (b"o", b"x"), (), 5]
    with entry({"traceparent": PARENT, "x-request-id": "r-1"}):
        inject(mapping)  # type: ignore[arg-type]
        inject(pairs)
    assert {"Other": "x", 5: 6, "traceparent": PARENT, "x-request-id": "r-1"} == mapping
    assert [
        (b"o", b"x"), (), 5, (b"traceparent", PARENT.encode()), (b"x-request-id", b"r-1"),
    ] == pairs  # fmt: skip


def test_a_carrier_that_can_only_be_set_is_set():
    """A writer without keys, as some libraries have, is enough."""

    class Writer:
        def __init__(self) -> None:
            self.written: dict[str, str] = {}

        def __setitem__(self, name: str, value: str) -> None:
            self.written[name] = value

    writer: Any = Writer()
    with entry({"x-request-id": "r-1"}):
        inject(writer)
    assert "r-1" == writer.written["x-request-id"]


@pytest.mark.parametrize("carrier", [(), "text", None, bytearray(), MappingProxyType({})])
def test_what_cannot_be_written_is_misuse(carrier):
    """The error says what is taken."""
    with pytest.raises(UsageError, match="inject takes"):
        inject(carrier)


def test_an_extracted_snapshot_can_be_entered_as_it_is():
    """Its ids and request id are current, and nothing else of where it is entered."""
    taken = extract({"traceparent": PARENT, "x-request-id": "r-1"})
    assert isinstance(taken, Snapshot)
    with scope(other=1), taken.scope():
        assert {"request_id": "r-1"} == get_context()
        headers: dict[str, str] = {}
        inject(headers)
    assert PARENT == headers["traceparent"]
