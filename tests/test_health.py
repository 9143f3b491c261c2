"""Health: what is counted, on request, and sinks that are tried."""

from __future__ import annotations

import json
from threading import Event
from typing import TYPE_CHECKING

import pytest

import ctxlog
from ctxlog.errors import UsageError
from ctxlog.health import selftest

if TYPE_CHECKING:
    from pathlib import Path


def test_the_selftest_tries_every_sink(tmp_path: Path):
    """Each sink gets one line, past its level, filter and queue; what failed is said."""
    opened = Event()
    lines: list[str] = []

    def broken(_: str) -> None:
        raise OSError("the disk is full")

    ctxlog.configure(
        sinks=[
            tmp_path / "good.log",
            {"target": lines.append, "level": "critical", "queue": True},
            {"target": broken, "filter": lambda _: False},
            {"target": broken, "queue": {"retries": 0}},
            {"target": lambda _: opened.wait(60), "queue": {"stop_seconds": 0}},
            lambda _: opened.wait(60),
        ]
    )
    try:
        said = [str(result) for result in selftest(0.2)]
    finally:
        opened.set()
        ctxlog.shutdown(60)
    assert [True, True, False, False, False, False] == [one.startswith("ok: ") for one in said]
    assert "OSError: the disk is full" in said[2]
    assert "dropped.failed 1" in said[3]
    assert "was not written within 0.2 s" in said[4]
    assert "did not take a line within 0.2 s" in said[5]
    assert "ctxlog selftest" == json.loads(lines[0])["event"]


def test_no_selftest_without_a_configuration():
    """There is nothing to try yet, and it says what to call first."""
    ctxlog.shutdown()
    with pytest.raises(UsageError, match=r"call ctxlog\.configure"):
        selftest()


def test_all_counters_are_one_line():
    """On request the counters are written through every sink; they are returned in any case."""
    lines: list[str] = []
    ctxlog.configure(sinks=[lines.append])
    read = ctxlog.log_counters()
    ctxlog.shutdown()
    (line,) = [json.loads(line) for line in lines]
    assert "ctxlog counters" == line["event"]
    assert read.items() <= line.items()
    assert ctxlog.log_counters()["slow_path"] >= read["slow_path"]
