"""Snapshots leave the process: bytes, environment, pickle."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from ctxlog import Secret, Snapshot, bind_context, entry, get_context, lazy, scope, snapshot
from ctxlog.context.accessors import unregister_accessor
from ctxlog.context.border import leaving
from ctxlog.context.fields import Fields
from ctxlog.context.travel import MAX_BYTES, REPLACED
from ctxlog.context.variables import carry_var
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.freezing import freeze_fields
from tests.strategies import examples

TENANT: ContextVar[object] = ContextVar("tenant")
TRACER = TracerProvider().get_tracer("test")


@pytest.fixture
def tenant():
    """A ContextVar that travels."""
    carry_var(TENANT)
    yield TENANT
    unregister_accessor("tenant")


def taken(**fields: object) -> Snapshot:
    """A snapshot with these fields."""
    with scope(fields):
        return snapshot()


def test_fields_and_ids_come_back_from_bytes():
    """What to_bytes wrote, from_bytes reads: normalised values and all three ids."""
    with entry({"x-request-id": "r-1"}, n=1, x=1.5, none=None, deep={"a": [1, {"b": "ü\ud800"}]}):
        here, arrived = snapshot(), Snapshot.from_bytes(snapshot().to_bytes())
    assert here.values() == arrived.values()
    assert here.ids == arrived.ids


def _hides(fields: Any) -> bool:
    told: list[str] = []
    leaving(freeze_fields(fields, {}), told.append)
    return bool(told)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner),
            max_leaves=8,
        ),
    ).filter(lambda fields: REPLACED not in fields and not _hides(fields))
)
@settings(max_examples=examples(100))
def test_any_plain_fields_come_back_equal(fields):
    """Every normalised plain value is the same after bytes and after a pickle."""
    here = taken(first=0, **{name: value for name, value in fields.items() if name != "first"})
    assert here.values() == Snapshot.from_bytes(here.to_bytes()).values()
    assert here.values() == pickle.loads(pickle.dumps(here)).values()


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(max_examples=examples(200))
def test_nonsense_is_refused_with_a_usage_error(data):
    """Bytes that are no snapshot raise UsageError, nothing else."""
    with pytest.raises(UsageError):
        Snapshot.from_bytes(data)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"v": 2, "fields": {}, "carried": {}},
        {"v": 1},
        {"v": 1, "fields": [], "carried": {}},
        {"v": 1, "fields": {}, "carried": 3},
    ],
)
def test_a_body_of_another_shape_is_refused(body):
    """Another version or a missing part is refused and said."""
    with pytest.raises(UsageError):
        Snapshot.from_bytes(json.dumps(body).encode())


@pytest.mark.parametrize("ids", [None, 3, ["a"], ["0" * 32, "0" * 16, "01"], [1, 2, 3], ["x"] * 9])
def test_forged_ids_are_as_if_absent(ids):
    """Ids that are not valid are left out; the fields stay."""
    body = {"v": 1, "fields": {"a": 1}, "carried": {"opentelemetry": ids}, "ids": ids}
    arrived = Snapshot.from_bytes(json.dumps(body).encode())
    assert (None, {"a": 1}) == (arrived.ids, arrived.values())


def test_reading_is_limited():
    """More bytes than a snapshot has are not even parsed; text is no bytes."""
    with pytest.raises(UsageError, match="at most"):
        Snapshot.from_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match="takes bytes"):
        Snapshot.from_bytes("{}")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1024"):
        taken().to_bytes(limit=10)


def test_what_cannot_travel_is_named_replaced_and_counted():
    """A secret goes as its mask, a lazy value and an endless number as text; the names are listed."""
    before = counters["context.replaced"]
    here = taken(
        key=Secret("k-123"), later=lazy(lambda: 1), deep={"a": (Secret("x"),)}, huge=1 << 20_000
    )
    data = here.to_bytes()
    arrived = Snapshot.from_bytes(data).values()
    assert b"k-123" not in data
    assert ("[redacted]", {"a": ["[redacted]"]}) == (arrived["key"], arrived["deep"])
    assert str(arrived["later"]).startswith("lazy(")
    assert str(arrived["huge"]).startswith("0x1000")
    assert ["key", "later", "deep", "huge"] == arrived[REPLACED]
    assert 4 == counters["context.replaced"] - before
    again = Snapshot.from_bytes(Snapshot.from_bytes(data).to_bytes()).values()
    assert arrived[REPLACED] == again[REPLACED]


@given(
    st.lists(st.integers(0, 30_000), max_size=12), st.integers(0, 800), st.integers(1_024, 65_536)
)
@settings(max_examples=examples(60), deadline=None)
def test_the_limit_holds_whatever_is_bound(sizes, many, limit):
    """Any fields fit any limit; the ids and the request's id are always among them."""
    with entry({"x-request-id": "r-1"}):
        bind_context({f"{i}" * 3: "\u2028" * size for i, size in enumerate(sizes)})
        bind_context({f"f{i}": i for i in range(many)})
        here = snapshot()
    data = here.to_bytes(limit=limit)
    arrived = Snapshot.from_bytes(data)
    assert len(data) <= limit
    assert (here.ids, "r-1") == (arrived.ids, arrived.values()["request_id"])
    if len(here.values()) != len(arrived.values()) or here.values() != arrived.values():
        assert arrived.values()[REPLACED]


def test_a_span_arrives_as_a_remote_parent():
    """OpenTelemetry's context travels as ids: in the child the span is a remote one."""
    with TRACER.start_as_current_span("outer") as span:
        data = snapshot().to_bytes()
    seen = Snapshot.from_bytes(data).run(trace.get_current_span).get_span_context()
    assert (span.get_span_context().trace_id, True) == (seen.trace_id, seen.is_remote)
    assert span.get_span_context().span_id == seen.span_id


def test_structlogs_own_variables_arrive():
    """What structlog.contextvars holds travels too, and nothing else of it shows."""
    bind_contextvars(user="u-1", odd=object())
    arrived = Snapshot.from_bytes(snapshot().to_bytes())
    clear_contextvars()
    bind_contextvars(stale=1)
    seen = arrived.run(get_contextvars)
    assert {"user", "odd"} == set(seen)
    assert ("u-1", ["structlog.odd"]) == (seen["user"], arrived.values()[REPLACED])
    assert {"stale": 1} == get_contextvars()


def test_a_structlog_name_unknown_here_is_bound_on_arrival():
    """A name that this process never bound is bound all the same."""
    body = {"v": 1, "fields": {}, "carried": {"structlog": {"structlog_never_seen": [1], "x": 2}}}
    arrived = Snapshot.from_bytes(json.dumps(body).encode())
    assert {"never_seen": [1]} == arrived.run(get_contextvars)


def test_a_registered_variable_arrives(tenant):
    """A ContextVar of JSON's types travels as bytes; any other only in a pickle."""
    tenant.set({"id": 7})
    assert {"id": 7} == Snapshot.from_bytes(snapshot().to_bytes()).run(tenant.get)
    assert {"id": 7} == pickle.loads(pickle.dumps(snapshot())).run(tenant.get)
    tenant.set((1, 2))
    arrived = Snapshot.from_bytes(snapshot().to_bytes())
    assert ["tenant"] == arrived.values()[REPLACED]
    assert (1, 2) == pickle.loads(pickle.dumps(snapshot())).run(tenant.get)
    assert {} == pickle.loads(pickle.dumps(snapshot())).values()


def test_a_variable_that_no_pickle_holds_stays_behind(tenant):
    """A value that cannot be pickled is named; the rest arrives."""
    tenant.set(lambda: 1)
    with scope(a=1):
        arrived = pickle.loads(pickle.dumps(snapshot()))
    assert {"a": 1, REPLACED: ["tenant"]} == arrived.values()


def test_a_variable_nobody_knows_here_is_counted(tenant):
    """Where its accessor is not registered the variable is left out and counted."""
    tenant.set("acme")
    data, pickled = snapshot().to_bytes(), pickle.dumps(snapshot())
    tenant.set((1,))
    only_pickled = pickle.dumps(snapshot())
    unregister_accessor("tenant")
    before = counters["context.not_entered"]
    Snapshot.from_bytes(data)
    pickle.loads(pickled)
    pickle.loads(only_pickled)
    assert 3 == counters["context.not_entered"] - before


def test_a_pickle_of_another_version_gives_an_empty_snapshot(monkeypatch):
    """A job must run: a snapshot that cannot be read is empty, and counted."""
    before = counters["context.unreadable"]
    monkeypatch.setattr("ctxlog.context.travel.VERSION", 9)
    data = pickle.dumps(taken(a=1))
    monkeypatch.undo()
    assert {} == pickle.loads(data).values()
    assert 1 == counters["context.unreadable"] - before


CHILD = """
import ctxlog, json
with ctxlog.entry(ctxlog.Snapshot.from_environ(), step="child"):
    taken = ctxlog.snapshot()
    print(json.dumps([taken.values(), [taken.ids.trace_id, taken.ids.span_id]]))
"""


def test_a_subprocess_continues_the_trace():
    """A child that reads its environment has the parent's request and trace."""
    with entry({"x-request-id": "r-1"}, a=1):
        here = snapshot()
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=here.to_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    values, ids = json.loads(done.stdout)
    assert {"request_id": "r-1", "step": "child"} == values
    assert here.ids is not None
    assert [here.ids.trace_id, here.ids.span_id] == ids


def test_an_environment_of_another_request_is_replaced():
    """Ids that were in the environment before do not reach the child."""
    stale = {"TRACEPARENT": "x", "TRACESTATE": "y", "BAGGAGE": "z", "CTXLOG_CONTEXT": "q", "A": "1"}
    environ = taken().to_environ(stale)
    assert {"A", "CTXLOG_CONTEXT"} == set(environ)


def test_whoever_started_us_last_names_the_trace():
    """A TRACEPARENT set on the way wins over the ids that ctxlog sent."""
    with TRACER.start_as_current_span("outer"), entry(a=1):
        environ = snapshot().to_environ({})
    environ["TRACEPARENT"] = f"00-{'a' * 32}-{'b' * 16}-01"
    arrived = Snapshot.from_environ(environ)
    assert arrived.ids is not None
    assert ("a" * 32, 1) == (arrived.ids.trace_id, arrived.values()["a"])


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "ü"])
def test_a_bad_environment_is_an_empty_snapshot(text):
    """What cannot be read is left out: no crash loop for a variable."""
    arrived = Snapshot.from_environ({"CTXLOG_CONTEXT": text, "TRACEPARENT": "00-bad"})
    assert ({}, None) == (arrived.values(), arrived.ids)


def test_a_full_copy_takes_every_variable_along():
    """everything=True carries all ContextVars; a plain snapshot only what we own."""
    other: ContextVar[str] = ContextVar("other", default="-")
    token = other.set("mine")
    full, plain = snapshot(everything=True), snapshot()
    other.reset(token)
    assert ("mine", "-") == (full.run(other.get), plain.run(other.get))
    assert ("mine", "mine") == (full.context().run(other.get), full.wrap(other.get)())
    assert ["everything"] == pickle.loads(pickle.dumps(full)).values()[REPLACED]


def test_a_wrapped_function_pickles():
    """A wrapped function goes to another process with its snapshot, and still equals itself."""
    with scope(a=1):
        wrapped = snapshot().wrap(get_context)
    arrived = pickle.loads(pickle.dumps(wrapped))
    assert ({"a": 1}, True) == (arrived(), arrived == get_context)


def test_fields_that_lie_about_their_type_are_no_reason_to_fail():
    """A snapshot made by hand of values that are not normalised is packed all the same."""
    data = Snapshot(Fields({"odd": object()})).to_bytes()
    assert ["odd"] == Snapshot.from_bytes(data).values()[REPLACED]


def test_a_function_of_any_kind_goes_to_another_process():
    """A coroutine function that was wrapped is one again where it arrives."""
    import asyncio

    with scope(a=1):
        wrapped = snapshot().wrap(coroutine_function)
    assert {"a": 1} == asyncio.run(pickle.loads(pickle.dumps(wrapped))())


async def coroutine_function() -> dict[str, object]:
    """Say what is bound."""
    return get_context()


def test_what_is_raised_under_a_full_copy_keeps_its_fields():
    """An error in a job under everything is raised as it is."""
    with scope(a=1):
        wrapped = snapshot(everything=True).wrap(int)
    with pytest.raises(ValueError, match="invalid literal"):
        wrapped("x")
    assert 3 == pickle.loads(pickle.dumps(wrapped))("3")
