"""Metrics of lines, of drops and errors, and of chosen events."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import ctxlog
from ctxlog.adapters.otel.metrics import OVERFLOW, Count, LineMetrics, Measure, observe
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from tests.kit import configured, moved
from tests.strategies import HOSTILE


class Read:
    """A meter, and what its instruments say."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.meter = MeterProvider([self._reader], shutdown_on_exit=False).get_meter("tests")

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Each metric's points: labels, and the value or the sum."""
        data: Any = self._reader.get_metrics_data()
        return {
            metric.name: [
                (dict(point.attributes), point.value if hasattr(point, "value") else point.sum)
                for point in metric.data.data_points
            ]
            for metric in data.resource_metrics[0].scope_metrics[0].metrics
        }


def test_lines_are_counted_by_level_and_logger():
    """Each line once, whatever it says."""
    read = Read()
    with configured(sinks=[LineMetrics(meter=read.meter)]):
        for _ in range(3):
            ctxlog.get_logger("a").info("x")
        ctxlog.get_logger("b").error("y")
    expected = [({"level": "info", "logger": "a"}, 3), ({"level": "error", "logger": "b"}, 1)]
    assert expected == read.points()["ctxlog.lines"]


def test_chosen_events_are_counted_and_measured():
    """With allow-listed labels only, by the names they are to have."""
    read = Read()
    events: list[Count | Measure] = [
        Count("requests", "answered", labels={"http.route": "route"}),
        Measure("seconds", "answered", "duration_s", labels=["http.route"], unit="s"),
    ]
    with configured(sinks=[LineMetrics(events, meter=read.meter)]):
        log = ctxlog.get_logger("a")
        for seconds in (1, 0.5):
            log.info(
                "answered", {"a": 1}, user="u", duration_s=seconds, **{"http.route": "/c/{id}"}
            )
        log.info("answered", duration_s="soon")
        log.info("else", duration_s=3)
    points = read.points()
    assert [({"route": "/c/{id}"}, 2), ({}, 1)] == points["requests"]
    assert [({"http.route": "/c/{id}"}, 1.5)] == points["seconds"]


def test_an_operation_is_measured():
    """Its closing line is an event like others."""
    read = Read()
    events = [Measure("job.seconds", "import", "duration_s", labels=["outcome"])]
    with configured(sinks=[LineMetrics(events, meter=read.meter)]), ctxlog.operation("import"):
        pass
    ((labels, seconds),) = read.points()["job.seconds"]
    assert {"outcome": "success"} == labels
    assert 0 <= seconds < 60


def test_cardinality_is_bounded():
    """What has no room is one, and counted; long values are cut."""
    read = Read()
    count = Count("n", "x", labels=["user"], most=3)
    with configured(sinks=[LineMetrics([count], meter=read.meter, most=2)]):
        with moved("otel.metric_overflow") as by:
            for number in range(10):
                ctxlog.get_logger(f"logger {number}").info("x", user=f"{number}" * 1_000)
    points = read.points()
    assert [120, 120, 120] == [len(labels["user"]) for labels, _ in points["n"][:3]]
    assert (OVERFLOW, 7) == points["n"][3]
    assert (OVERFLOW, 8) == points["ctxlog.lines"][2]
    assert {"otel.metric_overflow": 15} == by


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_label_is_a_label(name: str):
    """Any value is cut text."""
    read = Read()
    with configured(sinks=[LineMetrics([Count("n", "x", labels=["v"])], meter=read.meter)]):
        with moved("errors.sink") as by:
            ctxlog.get_logger("a").info("x", v=HOSTILE[name]())
    assert [1] == [value for _, value in read.points()["n"]]
    assert {"errors.sink": 0} == by


def test_our_own_counters_are_observed():
    """Drops and errors by reason, and each sink's lines, as they are when they are read."""
    read = Read()
    observe(read.meter)
    counters.add("dropped.sampled", 2)
    counters.add("errors.renderer")
    with configured():
        ctxlog.get_logger("a").info("x")
        points = read.points()
    known = ctxlog.counters()
    by = {labels["reason"]: value for labels, value in points["ctxlog.dropped"]}
    assert (known["dropped.sampled"], known.get("lost", 0)) == (by["sampled"], by["lost"])
    errors = {labels["reason"]: value for labels, value in points["ctxlog.errors"]}
    assert known["errors.renderer"] == errors["renderer"]
    assert 1 in [value for labels, value in points["ctxlog.sink.lines"] if labels["outcome"] == "written"]  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda: Count("", "x"),
        lambda: Count("n", 3),  # type: ignore[arg-type]
        lambda: Count("n", "x", labels="user"),
        lambda: Count("n", "x", most=0),
        lambda: Measure("n", "x", ""),
        lambda: LineMetrics(["x"]),  # type: ignore[list-item]
    ],
)
def test_misuse_says_what_is_taken(make):
    """A bad argument is an error at once."""
    with pytest.raises(UsageError):
        make()
