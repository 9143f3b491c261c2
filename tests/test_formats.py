"""Formats of trace headers: as OpenTelemetry's own propagators read and write them."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import ctxlog
from ctxlog import formats
from ctxlog.context.spans import ids_in, remote_context
from ctxlog.errors import UsageError
from ctxlog.ids import TraceIds, valid_span_id, valid_trace_id
from tests.kit import configured, moved
from tests.strategies import anything, relaxed, texts

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
IDS = TraceIds(TRACE, SPAN, "01")
PARENT = f"00-{TRACE}-{SPAN}-01"
OWN: dict[str, Any] = {
    "tracecontext": TraceContextTextMapPropagator(),
    "b3": B3SingleFormat(),
    "b3multi": B3MultiFormat(),
    "jaeger": JaegerPropagator(),
}
TRACER = TracerProvider().get_tracer("tests")

ids = st.builds(
    TraceIds,
    st.integers(1, 2**128 - 1).map("{:032x}".format),
    st.integers(1, 2**64 - 1).map("{:016x}".format),
    st.sampled_from(["00", "01"]),
)


@relaxed
@given(ids, st.sampled_from(sorted(OWN)))
def test_what_opentelemetry_writes_is_read(sent: TraceIds, name: str):
    """Each format, by its own library, arrives here as the same ids."""
    headers: dict[str, str] = {}
    OWN[name].inject(headers, remote_context(sent))
    assert sent == formats.read({key.lower(): value for key, value in headers.items()})


@relaxed
@given(ids, st.sampled_from(sorted(OWN)))
def test_what_is_written_is_read_by_opentelemetry_and_by_us(sent: TraceIds, name: str):
    """Each format arrives at its own library, and here, as the same ids."""
    headers = dict(formats.WRITERS[name](sent))
    assert sent == ids_in(OWN[name].extract(headers, context.Context()))
    assert sent == formats.read(headers)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"b3": f"{TRACE}-{SPAN}"}, "01"),
        ({"b3": f"{TRACE}-{SPAN}-0"}, "00"),
        ({"b3": f"{TRACE}-{SPAN}-d-{SPAN}"}, "01"),
        ({"b3": f"{TRACE.upper()}-{SPAN.upper()}-1"}, "01"),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}, "00"),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "true"}, "01"),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"}, "01"),
        ({"uber-trace-id": f"{TRACE}:{SPAN}:0:1"}, "01"),
        ({"uber-trace-id": f"{TRACE}%3A{SPAN}%3a0%3A00"}, "00"),
        ({"uber-trace-id": f"{TRACE}:f067aa0ba902b7:{SPAN}:3"}, "01"),
    ],
)
def test_the_forms_that_are_allowed(headers: dict[str, str], expected: str):
    """Sampling undecided, debug, upper case, escaped colons, zeros left out."""
    assert TraceIds(TRACE, SPAN, expected) == formats.read(headers)


def test_a_short_trace_id_is_filled_up():
    """64 bits stand in the last digits, as OpenTelemetry puts them."""
    short = TRACE[16:]
    expected = TraceIds("0" * 16 + short, SPAN, "01")
    for headers in ({"b3": f"{short}-{SPAN}-1"}, {"uber-trace-id": f"{short}:{SPAN}:0:1"}):
        assert expected == formats.read(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"b3": "0"},
        {"b3": f"{TRACE}-{SPAN}-1-{SPAN}-x"},
        {"b3": f"{TRACE[:20]}-{SPAN}-1"},
        {"b3": f"{TRACE}-{SPAN[:8]}-1"},
        {"b3": f"{'0' * 32}-{SPAN}-1"},
        {"b3": f"{TRACE}-{'g' * 16}-1"},
        {"x-b3-traceid": TRACE},
        {"x-b3-traceid": TRACE, "x-b3-spanid": "0" * 16},
        {"uber-trace-id": f"{TRACE}:{SPAN}:0"},
        {"uber-trace-id": f"{TRACE}:{SPAN}:0:x"},
        {"uber-trace-id": f"{TRACE}:{SPAN}:0:001"},
        {"uber-trace-id": f"{TRACE}0:{SPAN}:0:1"},
        {"uber-trace-id": f":{SPAN}:0:1"},
    ],
)
def test_what_is_not_valid_is_as_if_it_were_not_there(headers: dict[str, str]):
    """Lengths, alphabets and zeros are checked."""
    assert None is formats.read(headers)


def test_formats_are_tried_in_order():
    """W3C before B3, Jaeger and X-Trace-ID; an invalid one leaves it to the next."""
    other = "a" * 32
    headers = {
        "traceparent": PARENT,
        "b3": f"{other}-{SPAN}-1",
        "x-b3-traceid": "b" * 32,
        "x-b3-spanid": SPAN,
        "uber-trace-id": f"{'c' * 32}:{SPAN}:0:1",
        "x-trace-id": "d" * 32,
    }
    seen = []
    for name in ("traceparent", "b3", "x-b3-traceid", "uber-trace-id", "x-trace-id"):
        found = formats.read(headers)
        assert found is not None
        seen.append(found.trace_id[0])
        headers[name] = "nonsense"
    assert ["4", "a", "b", "c", "d"] == seen
    assert None is formats.read(headers)


# -- carriers -------------------------------------------------------------------------------------


def use(monkeypatch: pytest.MonkeyPatch, propagator: Any) -> None:
    """Make this OpenTelemetry's propagator for a test."""
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", propagator)


def injected() -> dict[str, str]:
    """What goes out here."""
    headers: dict[str, str] = {}
    ctxlog.inject(headers)
    return headers


SHAPES: dict[str, Any] = {
    "mapping": dict,
    "upper case": lambda pairs: {name.upper(): value for name, value in pairs},
    "byte pairs": lambda pairs: [(name.encode(), value.encode()) for name, value in pairs],
    "pairs": list,
    "grpc metadata": tuple,
    "wsgi": lambda pairs: {
        "REQUEST_METHOD": "GET",
        "wsgi.version": (1, 0),
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in pairs},
    },
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(OWN))
def test_every_format_over_every_carrier(shape: str, name: str):
    """Ids and the request id come out of each shape that headers have."""
    carrier = SHAPES[shape]([*formats.WRITERS[name](IDS), ("x-request-id", "r-1")])
    with ctxlog.entry(carrier):
        taken = ctxlog.snapshot()
    assert (IDS, "r-1") == (taken.ids, taken.values()["request_id"])


@pytest.mark.parametrize("kind", ["headers", "wsgi", "environ"])
def test_what_is_injected_is_extracted(kind: Any):
    """In each spelling of names, in every format at once, and into pairs."""
    carriers: list[Any] = [{}, []]
    with configured(propagators=["tracecontext", "b3", "b3multi", "jaeger"]):
        for carrier in carriers:
            with ctxlog.entry({"traceparent": PARENT, "x-request-id": "r-1"}):
                ctxlog.inject(carrier, kind=kind)
                ctxlog.inject(carrier, kind=kind)
            assert 7 == len(carrier)
            taken = ctxlog.extract(carrier, kind=kind)
            assert (IDS, {"request_id": "r-1"}) == (taken.ids, taken.values())
    assert {"headers": "b3", "wsgi": "HTTP_B3", "environ": "B3"}[kind] in carriers[0]


def test_the_processs_environment_is_a_carrier(monkeypatch: pytest.MonkeyPatch):
    """``os.environ`` is known by its type; names there are upper-case with underscores."""
    monkeypatch.setenv("TRACEPARENT", PARENT)
    monkeypatch.setenv("X_REQUEST_ID", "r-1")
    taken = ctxlog.extract(os.environ)
    assert (IDS, {"request_id": "r-1"}) == (taken.ids, taken.values())


def test_a_wsgi_environ_is_read_by_its_headers_alone():
    """What the process's environment put there is no header, nor is what only looks like one."""
    environ = {"REQUEST_METHOD": "GET", "wsgi.version": (1, 0), "TRACEPARENT": PARENT,
               "HTTP_x_request_id": "r-1", "x-request-id": "r-2"}  # fmt: skip
    assert (None, {}) == (ctxlog.extract(environ).ids, ctxlog.extract(environ).values())


def test_grpcs_own_metadata_is_a_carrier():
    """Both of its kinds; in a process of its own, as gRPC does not like to be forked."""
    import subprocess

    code = (
        "import ctxlog, grpc.aio, collections\n"
        f"with ctxlog.entry({{'traceparent': '{PARENT}'}}):\n"
        "    metadata = grpc.aio.Metadata(('a', '1'), ('bin-bin', b'x'))\n"
        "    ctxlog.inject(metadata)\n"
        "print(ctxlog.extract(metadata).ids.trace_id, ctxlog.extract(tuple(metadata)).ids.span_id)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"{TRACE} {SPAN}" == done.stdout.strip(), done.stderr


def test_an_unknown_kind_lists_the_candidates():
    """In both directions."""
    calls: list[Any] = [ctxlog.extract, ctxlog.inject]
    for call in calls:
        wrong: Any = "header"
        with pytest.raises(UsageError, match="did you mean 'headers'"):
            call({}, kind=wrong)


@relaxed
@given(
    st.dictionaries(
        st.one_of(st.sampled_from(sorted(formats.HEADERS | {"baggage", "tracestate"})), texts()),
        st.one_of(texts(), anything(), st.sampled_from(["-", ":", "%3A" * 9, f"{TRACE}-{SPAN}"])),
        max_size=8,
    ),
    st.sampled_from(["headers", "wsgi", "environ"]),
)
def test_hostile_headers_give_valid_ids_or_none(headers: dict[str, Any], kind: Any):
    """Whatever a stranger sends, nothing raises, and what comes out is fit for a line and a header."""
    with configured(baggage=["a", "tier"]):
        spelt = headers
        if kind != "headers":
            prefix = "HTTP_" if kind == "wsgi" else ""
            spelt = {prefix + n.upper().replace("-", "_"): v for n, v in headers.items()}
        for carrier in (spelt, list(spelt.items())):
            taken = ctxlog.extract(carrier, kind=kind)
            if taken.ids is not None:
                assert valid_trace_id(taken.ids.trace_id)
                assert valid_span_id(taken.ids.span_id)
                assert 0 <= int(taken.ids.trace_flags, 16) <= 255
            out: dict[str, str] = {}
            with ctxlog.entry(carrier if kind == "headers" else taken):
                ctxlog.inject(out)
            assert all(value.isprintable() and len(value) < 10_000 for value in out.values())


# -- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, {"traceparent"}),
        ("b3", {"b3"}),
        ("b3multi, tracecontext", {"traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}),
        ("jaeger,xray", {"uber-trace-id"}),
        ("none", set()),
    ],
)
def test_the_environment_says_what_is_written(
    said: str | None, expected: set[str], monkeypatch: pytest.MonkeyPatch
):
    """``OTEL_PROPAGATORS``, as OpenTelemetry reads it; what we do not know we do not write."""
    if said is not None:
        monkeypatch.setenv("OTEL_PROPAGATORS", said)
    use(monkeypatch, CompositePropagator([]))
    headers: dict[str, str] = {}
    with ctxlog.entry({"traceparent": PARENT}):
        ctxlog.inject(headers)
    assert expected == set(headers) - {"x-request-id"}


def test_the_configuration_beats_the_environment(monkeypatch: pytest.MonkeyPatch):
    """And goes with it."""
    monkeypatch.setenv("OTEL_PROPAGATORS", "b3")
    during: dict[str, str] = {}
    after: dict[str, str] = {}
    with ctxlog.entry({"traceparent": PARENT}):
        with configured(propagators=["jaeger"]):
            ctxlog.inject(during)
        ctxlog.inject(after)
    assert {"uber-trace-id", "x-request-id"} == set(during)
    assert {"b3", "x-request-id"} <= set(after)


def test_opentelemetrys_propagators_add_what_is_theirs(monkeypatch: pytest.MonkeyPatch):
    """Baggage, the trace state and formats that are not ours; for an entry that is no span too."""

    class Xray:
        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
            span = trace.get_current_span(context).get_span_context()
            carrier["X-Amzn-Trace-Id"] = f"{span.trace_id:032x}"

    xray: Any = Xray()
    use(monkeypatch, CompositePropagator([OWN["tracecontext"], W3CBaggagePropagator(), xray]))
    sent = {"traceparent": PARENT, "tracestate": "a=1,b=2", "baggage": "tier=gold"}
    with ctxlog.entry(sent):
        headers = injected()
    assert sent == {name: headers[name] for name in sent}
    assert TRACE == headers["x-amzn-trace-id"]
    with configured(propagators=["b3"]), ctxlog.entry(sent):
        headers = injected()
    assert {"b3", "x-request-id", "x-amzn-trace-id"} == set(headers)


def test_a_propagator_that_raises_costs_its_own_headers(monkeypatch: pytest.MonkeyPatch):
    """Ours are written all the same, and it is counted."""

    class Broken:
        def inject(self, *_: Any, **__: Any) -> None:
            raise RuntimeError

    use(monkeypatch, Broken())
    with moved("errors.carrier") as by, ctxlog.entry({"traceparent": PARENT}):
        headers = injected()
    assert PARENT == headers["traceparent"]
    assert {"errors.carrier": 1} == by


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"propagators": "b3"}, "propagators takes several names"),
        ({"propagators": ["b4"]}, "unknown propagator 'b4'. Known: tracecontext, b3"),
        ({"baggage": "tier"}, "baggage takes several names"),
        ({"baggage": [1]}, "baggage names members"),
        ({"baggage": {"a": ""}}, "baggage names members"),
    ],
)
def test_misuse_lists_the_candidates(options: Any, says: str):
    """A bad option is an error at once."""
    with pytest.raises(UsageError, match=says):
        ctxlog.configure(**options)


# -- baggage --------------------------------------------------------------------------------------


def test_baggage_becomes_fields_by_allow_list_alone():
    """By the names it is to have; the rest of it, and all of it by default, is no field."""
    headers = {"baggage": "tier=gold%20plus;ttl=3, tenant = t-1 ,secret=x,request_id=forged"}
    with ctxlog.entry(headers):
        assert {"request_id"} == set(ctxlog.get_context())
    with configured(baggage={"tier": "user_tier", "tenant": "tenant"}):
        with ctxlog.entry(headers, tenant="ours"):
            found = ctxlog.get_context()
    del found["request_id"]
    assert {"user_tier": "gold plus", "tenant": "ours"} == found


def test_baggage_is_bounded():
    """So many members, so many characters each; one header of a megabyte is none."""
    allowed = [f"k{number}" for number in range(100)]
    with configured(baggage=allowed):
        many = ",".join(f"{name}={'v' * 60}" for name in allowed)
        assert 64 == len(ctxlog.extract({"baggage": many}).values())
        long = ctxlog.extract({"baggage": "k1=" + "v" * 5_000}).values()["k1"]
        assert 256 == len(str(long))
        assert {} == ctxlog.extract({"baggage": "k1=" + "v" * 10_000}).values()


def test_a_callers_baggage_is_opentelemetrys_to_pass_on():
    """Under the entry it is in OpenTelemetry's context, if its propagator is loaded and wanted."""
    with ctxlog.entry({"traceparent": PARENT, "baggage": "tier=gold"}):
        assert "gold" == baggage.get_baggage("tier")
    assert None is baggage.get_baggage("tier")
