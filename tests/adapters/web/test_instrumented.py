"""Beside OpenTelemetry's own instrumentation, whose span of a request begins inside ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PROGRAM = str(Path(__file__).with_name("instrumented.py"))


@pytest.mark.parametrize("inbound", ["", f"00-{TRACE}-{SPAN}-01"])
@pytest.mark.parametrize(
    ("by", "first"),
    [("flask", "ours"), ("flask", "theirs"), ("fastapi", "ours"), ("fastapi", "theirs"),
     ("starlette", "ours"), ("starlette", "theirs"), ("django", "theirs")],
)  # fmt: skip
def test_its_span_stays_a_servers(by: str, first: str, inbound: str):
    """In either order it is a server's span, the caller's child if there is one, and of all lines."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM, by, first, inbound],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    spans, lines = json.loads(done.stdout)
    (span,) = spans
    assert ("SERVER", SPAN if inbound else None) == (span["kind"], span["parent"])
    assert not inbound or span["trace_id"] == TRACE
    assert ["handled", "request"] == [line["event"] for line in lines]
    assert [("r-1", span["trace_id"])] * 2 == [(e["request_id"], e["trace_id"]) for e in lines]
    assert span["span_id"] == lines[1]["span_id"]
