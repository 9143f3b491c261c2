"""Limits: what they accept, and that a line that is cut always fits."""

from __future__ import annotations

import pickle
import re
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxlog.errors import UsageError
from ctxlog.limits import DEFAULT_LIMITS, OPTIONS, TRUNCATED, Limits, fit
from ctxlog.renderers.json import encode
from tests.strategies import CONTROLS, plain_events, plain_values, relaxed

KEEP = frozenset(
    {"timestamp", "level", "event", "logger", "trace_id", "span_id", "trace_flags", "request_id"}
)
IDS = {
    "timestamp": "2026-11-21T10:03:12.123456Z",
    "level": "critical",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "trace_flags": "01",
    "request_id": "r" * 128,
}
LEAST = Limits(line_bytes=1024)


def fitted(event: dict[str, Any], limits: Limits = LEAST) -> dict[str, Any]:
    """Return the event cut to its limits, its size taken from our own rendering."""
    return fit(event, len(encode(event)), limits, KEEP)


def large_events() -> st.SearchStrategy[dict[str, Any]]:
    """Make plain events, most of them too large for the smallest line."""
    text = st.builds(
        lambda text, times: text * times,
        st.text(st.sampled_from(CONTROLS + '"\\aé\U0001f600'), min_size=1, max_size=4),
        st.integers(0, 3000),
    )
    return st.builds(
        lambda event, more, many: {**event, **more, **{f"n{n}": n for n in range(many)}},
        plain_events(),
        st.dictionaries(st.one_of(st.sampled_from(sorted(KEEP)), text), text, max_size=8),
        st.integers(0, 200),
    )


@relaxed
@given(large_events(), st.integers(1024, 5000))
@example({"truncated": ["x" * 5000] * 10, "a" * 2000: "b"}, 1024)
@example(dict.fromkeys(KEEP, "\x7f" * 5000), 1024)
@example({f"{n}" * 100: CONTROLS * 100 for n in range(100)}, 1024)
def test_what_is_cut_always_fits(event: dict[str, Any], line_bytes: int):
    """Whatever the event, its line fits, is valid JSON, and names only what was there."""
    out = fitted(event, Limits(line_bytes=line_bytes))
    line = encode(out)
    assert len(line) <= line_bytes
    assert len(orjson.dumps(out)) <= line_bytes
    assert out == orjson.loads(line)
    assert set(out) <= {*event, TRUNCATED, "fields.truncated", "fields.truncated~2"}


@relaxed
@given(large_events(), st.text(max_size=20_000))
@example({"truncated": ["0" * 464], **{f"n{n}": n for n in range(14)}}, "")
def test_ids_are_kept(event: dict[str, Any], text: str):
    """Ids, time and level are whole on the smallest line, whatever the message and fields are."""
    text = text.encode("utf-8", "replace").decode()
    out = fitted({**event, **IDS, "event": text, "logger": text})
    assert IDS == {name: out.get(name) for name in IDS}
    assert {"event", "logger"} <= set(out)


@relaxed
@given(large_events())
def test_the_order_is_kept(event: dict[str, Any]):
    """Fields stay in their order, and ``truncated`` comes last."""
    out = fitted(event)
    names = [name for name in event if name in out and name != TRUNCATED]
    assert names == [name for name in out if name in event and name != TRUNCATED]
    assert TRUNCATED == list(out)[-1]


@relaxed
@given(plain_values())
def test_the_event_is_not_changed(value: Any):
    """What is given stays as it was."""
    event = {"a": value, "b": ["x" * 2000]}
    before = orjson.dumps(event)
    fitted(event)
    assert before == orjson.dumps(event)


def test_the_largest_are_cut_first():
    """Small fields stay whole while a large one is cut."""
    out = fitted({"event": "e", "small": "s" * 50, "large": "l" * 5000, "n": 3})
    assert ("e", "s" * 50, 3, ["large"]) == (out["event"], out["small"], out["n"], out[TRUNCATED])
    kept, _, gone = out["large"].partition("…[+")
    assert (5000, " bytes]") == (len(kept) + int(gone[:-7]), gone[-7:])
    assert len(kept) > 500


def test_equal_ones_share_the_room():
    """Two large values are cut to about the same length."""
    out = fitted({"a": "a" * 5000, "b": "b" * 4000})
    assert 2 > abs(len(out["a"]) - len(out["b"]))
    assert ["a", "b"] == out[TRUNCATED]


def test_containers_become_a_mark():
    """A large container is replaced by what it was."""
    out = fitted({"rows": [["x" * 99] * 20], "map": {"k": "v" * 2000}})
    assert "<list of 1, 2045 bytes>" == out["rows"]
    assert "<dict of 1, 2009 bytes>" == out["map"]


def test_too_many_fields_are_dropped_and_counted():
    """When not even marks fit, the rest is dropped: how many, and what is not listed, is said."""
    event = {"event": "e", **{f"field-{number:04}": "x" * 30 for number in range(200)}}
    out = fitted(event)
    dropped = len(event) - len(out) + 1
    assert f"<{dropped} dropped>" == out[TRUNCATED][-1]
    listed = [name for name in out[TRUNCATED] if name in event]
    assert f"<+{dropped - len(listed)} more>" == out[TRUNCATED][-2]
    assert "e" == out["event"]


def test_a_renderer_that_writes_more_gets_less_room():
    """If the line was longer than JSON would be, the room shrinks in proportion."""
    event = {"a": "a" * 3000, "b": "b" * 3000}
    once = fit(event, 6030, LEAST)
    thrice = fit(event, 3 * 6030, LEAST)
    assert len(encode(once)) > 2.5 * len(encode(thrice))
    absurd = fit(event, 10**12, LEAST, KEEP)
    assert len(encode(absurd)) < 300


def test_a_second_call_adds_to_what_the_first_said():
    """Cutting twice keeps the names that were cut first."""
    first = fit({"a": "a" * 3000, "b": "b" * 200}, 3230, Limits(line_bytes=1500))
    second = fitted({**first, "c": "c" * 3000})
    assert ["a"] == first[TRUNCATED]
    assert ["a", "c"] == second[TRUNCATED]


def test_a_field_of_that_name_is_moved():
    """An application's own ``truncated`` is not lost."""
    out = fitted({"truncated": True, "a": "a" * 3000})
    assert (True, ["a"]) == (out["fields.truncated"], out[TRUNCATED])
    out = fitted({"truncated": True, "fields.truncated": 1, "a": "a" * 3000})
    assert (True, 1) == (out["fields.truncated~2"], out["fields.truncated"])


def test_a_value_that_is_not_plain_gets_a_mark():
    """A value that no renderer should see is counted by its text, and marked when cut."""
    out = fit({"a": {1} | set(range(2000))}, 9000, LEAST)
    assert re.fullmatch(r"<\d+ bytes>", out["a"])


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1", None, float("nan")])
@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_numbers_are_misuse(name: str, number: Any):
    """A limit that is no positive whole number is an error that lists the limits."""
    with pytest.raises(UsageError, match=f"{name} takes a whole number .*value_bytes, line_bytes"):
        Limits(**{name: number})


@pytest.mark.parametrize(("name", "number"), [("line_bytes", 1023), ("depth", 101)])
def test_ranges(name: str, number: int):
    """A line has room for the ids, and a value no more levels than JSON can nest."""
    with pytest.raises(UsageError, match=name):
        Limits(**{name: number})  # type: ignore[arg-type]


def test_an_unknown_limit_is_misuse():
    """An unknown option is an error that says which was meant."""
    with pytest.raises(UsageError, match="unknown limit 'dept': did you mean 'depth'"):
        Limits(dept=3)  # type: ignore[arg-type]


def test_limits_are_an_immutable_value():
    """Limits compare, hash and pickle by value, and cannot be changed."""
    one = Limits(depth=3)
    again = pickle.loads(pickle.dumps(one))
    assert (one, hash(one)) == (again, hash(again))
    assert one != DEFAULT_LIMITS
    assert one != 3
    assert "Limits(value_bytes=16384, line_bytes=131072, depth=3, items=256)" == repr(one)
    with pytest.raises(AttributeError, match="immutable"):
        one.depth = 4
    with pytest.raises(AttributeError, match="immutable"):
        del one.depth
