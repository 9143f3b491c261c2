"""Ids: made, checked, read and written."""

from __future__ import annotations

import copy
import os
import pickle
import string
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxlog import ids
from ctxlog.ids import (
    TraceIds,
    format_traceparent,
    new_request_id,
    new_span_id,
    new_trace,
    new_trace_id,
    parse_traceparent,
    valid_request_id,
    valid_span_id,
    valid_trace_id,
)
from tests.strategies import anything, relaxed, texts

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_new_ids_are_valid_and_differ():
    """Many ids are all valid and all different."""
    traces = {new_trace_id() for _ in range(2000)}
    spans = {new_span_id() for _ in range(2000)}
    assert (2000, 2000) == (len(traces), len(spans))
    whole = [new_trace() for _ in range(2000)]
    assert 2000 == len({ids.trace_id for ids in whole}) == len({ids.span_id for ids in whole})
    assert all(map(valid_trace_id, traces | {ids.trace_id for ids in whole}))
    assert all(map(valid_span_id, spans))


def test_request_ids_are_uuids_of_version_4():
    """A request id is a random UUID, and valid where it comes in again."""
    for _ in range(200):
        text = new_request_id()
        read = uuid.UUID(text)
        assert (4, uuid.RFC_4122, text) == (read.version, read.variant, read.hex)
        assert valid_request_id(text)


def test_threads_never_share_an_id():
    """Eight threads making ids at once make different ones."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [new_span_id() for _ in range(1000)], range(8)))
    assert 8000 == len({span for spans in made for span in spans})


def test_zero_ids_are_never_made(monkeypatch: pytest.MonkeyPatch):
    """A chunk of zeros from the operating system is left out."""
    monkeypatch.setattr(ids, "_pool", [])
    size = ids._CHUNKS * 8
    data = bytes(size - 8) + b"\x01" * 8
    monkeypatch.setattr(os, "urandom", lambda _: data)
    assert ["01" * 8] * 3 == [new_span_id() for _ in range(3)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_other_ids():
    """A child does not repeat what its parent makes."""
    new_trace()  # the pools are filled
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        made = (new_trace().span_id for _ in range(50))
        os.write(writer, " ".join([*made, *(new_span_id() for _ in range(50))]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        theirs = set(stream.read().split())
    os.waitpid(child, 0)
    ours = {new_span_id() for _ in range(500)} | {new_trace().span_id for _ in range(100)}
    assert (100, set()) == (len(theirs), ours & theirs)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (True, "r-1"),
        (True, "a" * 128),
        (True, string.ascii_letters + string.digits + "._:/+=@-"),
        (False, "a" * 129),
        (False, ""),
        (False, "a b"),
        (False, "a\r\nforged: 1"),
        (False, "a\n"),
        (False, "é"),
        (False, "\u0661"),  # a digit, but not one of these
        (False, b"r-1"),
        (False, None),
    ],
)
def test_valid_request_id(expected: bool, text: object):
    """A request id from outside has 1 to 128 characters of a small alphabet."""
    assert expected is valid_request_id(text)


@pytest.mark.parametrize("text", [TRACE.upper(), "0" * 32, TRACE[:-1], TRACE + "0", "g" * 32, 3])
def test_invalid_trace_ids(text: object):
    """A trace id has 32 lower-case hex digits that are not all zero."""
    assert not valid_trace_id(text)


@pytest.mark.parametrize("text", [SPAN.upper(), "0" * 16, SPAN[:-1], SPAN + "0", "g" * 16, None])
def test_invalid_span_ids(text: object):
    """A span id has 16 lower-case hex digits that are not all zero."""
    assert not valid_span_id(text)


@relaxed
@given(anything())
def test_checks_take_anything(value: object):
    """No value makes a check raise."""
    for check in (valid_request_id, valid_trace_id, valid_span_id):
        assert check(value) in (True, False)
    assert parse_traceparent(value) is None or isinstance(value, str)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("01", f"00-{TRACE}-{SPAN}-01"),
        ("03", f"00-{TRACE}-{SPAN}-03"),
        ("ff", f"00-{TRACE}-{SPAN}-ff"),
        ("01", f" \t00-{TRACE}-{SPAN}-01 "),
        ("01", f"01-{TRACE}-{SPAN}-01"),
        ("01", f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
        ("01", f"cc-{TRACE}-{SPAN}-01-"),
    ],
)
def test_valid_traceparents(flags: str, text: str):
    """A traceparent is read as W3C tells, a later version's by its first four parts."""
    assert (TRACE, SPAN, flags) == parse_traceparent(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0g",
        f"0G-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00_{TRACE}-{SPAN}-01",
        f"00-{TRACE}_{SPAN}-01",
        f"00-{TRACE}-{SPAN}_01",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 5000}",
        f"00-{TRACE}-{SPAN}-01\n",
        b"00",
        None,
    ],
)
def test_invalid_traceparents(text: object):
    """What is not exactly a traceparent is none."""
    assert parse_traceparent(text) is None


@relaxed
@given(
    st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 255).map(lambda flags: f"{flags:02x}"),
)
def test_traceparent_round_trip(trace_id: str, span_id: str, flags: str):
    """What is written is read again as it was."""
    parts = (trace_id, span_id, flags)
    assert parts == parse_traceparent(format_traceparent(*parts))


@relaxed
@given(texts(max_size=70))
def test_what_is_read_is_valid(text: str):
    """Any text gives nothing or ids that are valid."""
    found = parse_traceparent(text)
    assert found is None or (valid_trace_id(found[0]) and valid_span_id(found[1]))


def test_trace_ids_are_a_value():
    """Trace ids compare and hash by value, whatever a renderer has kept with them."""
    one, other = TraceIds(TRACE, SPAN, "01"), TraceIds(TRACE, SPAN, "01")
    one.encoded = b"kept"
    assert one == other
    assert hash(one) == hash(other)
    assert one != TraceIds(TRACE, SPAN, "00")
    assert one != (TRACE, SPAN, "01")
    assert f"TraceIds({TRACE!r}, {SPAN!r}, '01')" == repr(one)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_trace_ids_pickle_without_what_a_renderer_kept(protocol: int):
    """A pickled copy is equal, and empty where a renderer keeps bytes."""
    one = TraceIds(TRACE, SPAN)
    one.encoded = b"kept"
    for again in (pickle.loads(pickle.dumps(one, protocol)), copy.copy(one)):
        assert (one, None) == (again, again.encoded)


def test_trace_ids_are_immutable():
    """Nothing but the renderer's place can be changed."""
    one = TraceIds(TRACE, SPAN)
    with pytest.raises(AttributeError, match="immutable"):
        one.trace_id = TRACE
    with pytest.raises(AttributeError, match="immutable"):
        del one.span_id
    with pytest.raises(AttributeError):
        one.other = 1


def test_no_costly_module_is_imported():
    """Neither ``re`` nor ``random`` nor ``uuid`` is imported for ids."""
    script = "import sys; before = set(sys.modules); import ctxlog.ids; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert set() == set(done.stdout.split()) & {"re", "random", "uuid", "typing", "dataclasses"}
