"""Testing: what is logged in a block, as data, and failures that show the nearest line."""

from __future__ import annotations

import pytest

import ctxlog
from ctxlog.context.fields import policy
from ctxlog.context.resource import set_resource
from ctxlog.errors import UsageError
from ctxlog.runtime import runtime
from ctxlog.testing import Lines, capture
from tests.kit import configured


def test_capture_puts_everything_back():
    """Pipeline, levels and strictness are as before the block, also when it raises."""
    with configured(level="error", levels={"a": 10}) as written:
        before = (runtime.pipeline, runtime.levels(), policy.strict)
        with pytest.raises(ZeroDivisionError), capture(strict=True) as lines:
            ctxlog.get_logger("shop").debug("e", nested={"a": 1})
            _ = 1 / 0
        assert before == (runtime.pipeline, runtime.levels(), policy.strict)
        ctxlog.get_logger("shop").error("after")
    assert {"a": 1} == lines.one(event="e")["nested"]
    assert "after" == written.event["event"]


def test_capture_takes_a_level_and_processors():
    """Only from that level on, through these processors, with the resource."""
    set_resource({"service.name": "shop"})
    try:
        with capture("warning", processors=(lambda _, __, event: {**event, "tag": 1},)) as lines:
            ctxlog.get_logger("shop").info("no")
            ctxlog.get_logger("shop").warning("yes")
    finally:
        set_resource()
    assert ("yes", 1, "shop") == tuple(lines.one()[key] for key in ("event", "tag", "service.name"))
    with pytest.raises(UsageError), capture("loud"):
        pass


def test_one_shows_the_nearest():
    """A failure names the lines that are nearest and why they are not it."""
    lines = Lines([{"event": "a", "n": 1}, {"event": "b"}, {"event": "c"}, {"event": "d"}])
    with pytest.raises(AssertionError) as caught:
        lines.one(event="a", n=2)
    assert "0 lines of 4 match" in str(caught.value)
    assert "n is 1, not 2" in str(caught.value)
    with pytest.raises(AssertionError, match="nothing was logged"):
        Lines().one(event="a")


def test_all_have():
    """Every line has the fields, and there are lines."""
    lines = Lines([{"a": 1}, {"a": 2, "b": 1}])
    lines.assert_all_have("a")
    with pytest.raises(AssertionError, match="1 of 2 lines have no b"):
        lines.assert_all_have("a", "b")
    with pytest.raises(AssertionError, match="nothing was logged"):
        Lines().assert_all_have("a")
