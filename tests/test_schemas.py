"""Schemas: the same event under the names of other vocabularies."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from hypothesis import given

import ctxlog
from ctxlog.limits import Limits
from ctxlog.schemas import SCHEMAS
from tests.strategies import events, relaxed

NAMES = {
    "otel": ("timestamp", "level", "event", "logger", "trace_id", "span_id", "request_id"),
    "ecs": ("@timestamp", "log.level", "message", "log.logger", "trace.id", "span.id",
            "http.request.id"),
    "gcp": ("time", "severity", "message", "logger", "logging.googleapis.com/trace",
            "logging.googleapis.com/spanId", "labels.request_id"),
    "datadog": ("timestamp", "status", "message", "logger.name", "dd.trace_id", "dd.span_id",
                "http.request_id"),
}  # fmt: skip


def written(schema: str, **fields: Any) -> tuple[dict[str, Any], int]:
    """Return the line of a call in a schema, and how many lines took the full way."""
    out = io.BytesIO()
    before = ctxlog.counters()["slow_path"]
    ctxlog.configure(stream=out, renderer="json", schema=schema)
    with ctxlog.entry({"x-request-id": "r-1"}):
        ctxlog.get_logger("shop").info("accepted", **fields)
    ctxlog.shutdown()
    return json.loads(out.getvalue()), ctxlog.counters()["slow_path"] - before


@pytest.mark.parametrize("schema", sorted(NAMES))
@pytest.mark.parametrize("fields", [{"n": 1}, {"n": {1}}], ids=["fast", "full"])
def test_the_names_of_each(schema: str, fields: dict[str, Any]):
    """Every name of the table is there, with its value, on both ways; ours are not."""
    line, _ = written(schema, **fields)
    names = NAMES[schema]
    assert set(names) <= set(line)
    assert ("accepted", "shop", "r-1") == (line[names[2]], line[names[3]], line[names[6]])
    assert not set(NAMES["otel"]) - set(names) & set(line)


@pytest.mark.parametrize("schema", sorted(NAMES))
def test_the_fast_path_serves_every_schema(schema: str):
    """An ordinary line takes no full way, whatever its names are."""
    assert 0 == written(schema, n=1)[1]


@pytest.mark.parametrize("schema", ["ecs", "gcp", "datadog"])
def test_a_field_of_a_name_that_is_theirs_moves(schema: str):
    """A call's, a logger's or a context's ``message`` does not overwrite the message."""
    out = io.BytesIO()
    ctxlog.configure(stream=out, renderer="json", schema=schema)
    log = ctxlog.get_logger("shop")
    log.info("accepted", message="mine")
    log.bind(message="mine").info("accepted")
    with ctxlog.scope(message="mine"):
        log.info("accepted")
    ctxlog.shutdown()
    for line in map(json.loads, out.getvalue().splitlines()):
        assert ("accepted", "mine") == (line["message"], line["fields.message"])


def test_google_clouds_values():
    """Severities are those it knows, ``trace_sampled`` is a truth value."""
    out = io.BytesIO()
    ctxlog.configure(stream=out, renderer="json", schema="gcp", level="trace")
    log = ctxlog.get_logger("shop")
    for level in ("trace", "debug", "notice", 33, 45, "critical"):
        log.log(level, "x")
    with ctxlog.entry({"traceparent": f"00-{'a' * 32}-{'b' * 16}-03"}):
        log.info("x")
    ctxlog.shutdown()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    expected = ["DEBUG", "DEBUG", "NOTICE", "WARNING", "ERROR", "CRITICAL", "INFO"]
    assert expected == [line["severity"] for line in lines]
    assert lines[-1]["logging.googleapis.com/trace_sampled"] is True
    rename = SCHEMAS["gcp"].rename
    assert "DEFAULT" == rename({"level": "unheard of"})["severity"]
    assert "DEFAULT" == rename({"level": 3})["severity"]
    odd = rename({"trace_flags": "zz"})
    assert "zz" == odd["logging.googleapis.com/trace_sampled"]


def test_ids_are_renamed_again_after_reconfiguring():
    """A piece of work that outlives a configuration has its ids under the new names."""
    with ctxlog.entry({"x-request-id": "r-1"}):
        for schema in ("otel", "ecs", "otel"):
            out = io.BytesIO()
            ctxlog.configure(stream=out, renderer="json", schema=schema)
            ctxlog.get_logger("shop").info("x")
            assert set(NAMES[schema]) <= set(json.loads(out.getvalue()))
    ctxlog.shutdown()


def test_logfmt_is_renamed_and_the_console_and_events_are_not():
    """JSON and logfmt have the schema's names; people and sinks for events have ours."""
    out, console = io.StringIO(), io.StringIO()
    got: list[dict[str, Any]] = []
    ctxlog.configure(
        schema="ecs",
        sinks=[
            {"target": out, "renderer": "logfmt"},
            {"target": console, "renderer": "console"},
            {"target": got.append, "renderer": "event"},
        ],
    )
    ctxlog.get_logger("shop").info("accepted")
    ctxlog.shutdown()
    assert "message=accepted" in out.getvalue()
    assert "accepted" in console.getvalue()
    assert "accepted" == got[0]["event"]


def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch):
    """``CTXLOG_SCHEMA`` is the schema where no argument is."""
    monkeypatch.setenv("CTXLOG_SCHEMA", "datadog")
    out = io.BytesIO()
    ctxlog.configure(stream=out, renderer="json")
    ctxlog.get_logger("shop").info("x")
    ctxlog.shutdown()
    assert "status" in json.loads(out.getvalue())


@relaxed
@given(event=events())
@pytest.mark.parametrize("schema", ["ecs", "gcp", "datadog"])
def test_both_ways_agree_and_lines_fit(schema: str, event: dict[Any, Any]):
    """By our logger and through logging, any event is one valid line within its limit."""
    out = io.BytesIO()
    limits = Limits(line_bytes=4_096)
    ctxlog.configure(stream=out, renderer="json", schema=schema, limits=limits)
    try:
        ctxlog.get_logger("shop").bind(event).info("x")
        logging.getLogger("doors.schema").error("x")
    finally:
        ctxlog.shutdown()
    lines = out.getvalue().splitlines()
    assert 2 == len(lines)
    for line in lines:
        assert "message" in json.loads(line)
        assert len(line) < limits.line_bytes + 1
