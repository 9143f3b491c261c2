"""Metrics: lines by level and logger, drops and errors of ours, and numbers made of chosen events.

>>> Count("orders", "order placed", labels=["http.route"])
<count orders of 'order placed'>
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from ctxlog import names
from ctxlog.adapters.otel.spans import chosen
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.levels import parse
from ctxlog.runtime import runtime
from ctxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter

#: The label of what has no room any more, by the specification of metrics.
OVERFLOW = {"otel.metric.overflow": True}
#: Combinations of labels that one metric tells apart.
MOST = 200
#: Characters of a label's value.
LABEL = 120
_SCOPE = "ctxlog"
_STEPS = ("dropped", "errors")


class _Labelled:
    """What a metric is made of: an event, and the labels that it may have."""

    kind = ""

    def __init__(  # noqa: PLR0913 - what an instrument has, each by name
        self,
        name: str,
        event: str,
        *,
        labels: Iterable[str] | Mapping[str, str] = (),
        unit: str = "",
        description: str = "",
        most: int = MOST,
    ) -> None:
        for what, text in (("name", name), ("event", event)):
            if not isinstance(text, str) or not text:
                raise UsageError(f"a metric's {what} is text, not {text!r:.80}")
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise UsageError(f"most takes a whole number from 1, not {most!r:.80}")
        self.name = name
        self.event = event
        self.unit = unit
        self.description = description
        self._labels = chosen(labels)
        self._most = most
        self._seen: set[tuple[Any, ...]] = set()
        self._instrument: Any = None
        self._places = count()  # one step takes a place: nothing to wait for, nothing to fork

    def labels_of(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the labels of one event; past the bound, those of the rest."""
        values = tuple(_label(event.get(name)) for name in self._labels)
        if values not in self._seen:
            if next(self._places) >= self._most:
                counters.add("otel.metric_overflow")
                return dict(OVERFLOW)
            self._seen.add(values)
        labels = zip(self._labels.values(), values, strict=True)
        return {to: value for to, value in labels if value is not None}

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} of {self.event!r}>"


def _label(value: object) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    return str(value)[:LABEL]


class Count(_Labelled):
    """How often an event was logged.

    Args:
        name: the metric's.
        event: the event's text: a constant.
        labels: fields that become labels, by an allow-list; a mapping gives them other names. Take
            route templates, not paths: ``http.route``.
        unit: of the metric.
        description: of the metric.
        most: combinations of labels that are told apart; the rest is one, ``otel.metric.overflow``.

    Raises:
        UsageError: an argument cannot be what it should be.
    """

    kind = "count"

    def open(self, meter: Meter) -> None:
        """Make the instrument."""
        self._instrument = meter.create_counter(
            self.name, unit=self.unit or "{event}", description=self.description
        )

    def add(self, event: Mapping[str, Any]) -> None:
        """Count one event."""
        self._instrument.add(1, self.labels_of(event))


class Measure(_Labelled):
    """How large a field of an event is, as a histogram; events without the number are left out.

    Args:
        name: the metric's.
        event: the event's text: a constant.
        field: the field with the number, such as ``duration_s`` of an operation.
        options: as for :class:`Count`.

    Raises:
        UsageError: an argument cannot be what it should be.
    """

    kind = "measure"

    def __init__(self, name: str, event: str, field: str, **options: Any) -> None:
        super().__init__(name, event, **options)
        if not isinstance(field, str) or not field:
            raise UsageError(f"a metric's field is text, not {field!r:.80}")
        self.field = field

    def open(self, meter: Meter) -> None:
        """Make the instrument."""
        self._instrument = meter.create_histogram(
            self.name, unit=self.unit, description=self.description
        )

    def add(self, event: Mapping[str, Any]) -> None:
        """Record one event's number."""
        number = event.get(self.field)
        if type(number) in {int, float}:
            self._instrument.record(number, self.labels_of(event))


class LineMetrics(Sink):
    """A sink that counts: lines by level and logger as ``ctxlog.lines``, and what events say.

    Args:
        events: :class:`Count` and :class:`Measure`.
        meter: where the instruments are made; default is the global provider's.
        most: loggers that are told apart; the rest is one.
        options: ``level`` and ``accept``, see :class:`~ctxlog.sinks.sink.Sink`.

    Raises:
        UsageError: ``events`` holds something else.

    Example:
        >>> from opentelemetry.sdk.metrics import MeterProvider
        >>> from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        >>> from ctxlog import configure, get_logger, shutdown
        >>> reader = InMemoryMetricReader()
        >>> meter = MeterProvider([reader]).get_meter("doc")
        >>> configure(sinks=[LineMetrics(meter=meter)])
        >>> get_logger("shop").info("paid")
        >>> lines = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0]
        >>> [(point.value, dict(point.attributes)) for point in lines.data.data_points]
        [(1, {'level': 'info', 'logger': 'shop'})]
        >>> shutdown()
        True
    """

    kind = "metrics"
    wants_event = True
    copies = True

    def __init__(
        self,
        events: Iterable[Count | Measure] = (),
        *,
        meter: Meter | None = None,
        most: int = MOST,
        **options: Any,
    ) -> None:
        super().__init__(level=parse(options.pop("level", 0)), **options)
        made = metrics.get_meter(_SCOPE) if meter is None else meter
        labels = {names.LEVEL: "level", names.LOGGER: "logger"}
        self._lines = Count("ctxlog.lines", "*", labels=labels, unit="{line}", most=most,
                            description="lines that were logged")  # fmt: skip
        self._lines.open(made)
        self._events: dict[str, list[Count | Measure]] = {}
        for one in events:
            given: object = one
            if not isinstance(given, Count | Measure):
                raise UsageError(f"events takes Count(...) and Measure(...), not {given!r:.80}")
            one.open(made)
            self._events.setdefault(one.event, []).append(one)

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return "metrics"

    def take(self, event: dict[str, Any], level: int) -> None:
        """Count one event, here and now."""
        self._lines.add(event)
        for one in self._events.get(event.get(names.EVENT, ""), ()):
            one.add(event)
        self.count()

    def write(self, line: Any) -> None:
        """What comes by another way than :meth:`take` is no line."""


def observe(meter: Meter | None = None) -> None:
    """Report our own counters as ``ctxlog.dropped`` and ``ctxlog.errors``, by reason.

    Every sink's drops are in it, those that are closed too.

    Args:
        meter: where the instruments are made; default is the global provider's.
    """
    made = metrics.get_meter(_SCOPE) if meter is None else meter
    for step in _STEPS:

        def read(_: CallbackOptions, step: str = step) -> Iterable[Observation]:
            for name, number in counters.read().items():
                if name.startswith(f"{step}."):
                    yield Observation(number, {"reason": name.partition(".")[2]})
            if step == "dropped":
                yield Observation(counters["lost"], {"reason": "lost"})

        made.create_observable_counter(f"ctxlog.{step}", [read], unit="{line}")

    def sinks(_: CallbackOptions) -> Iterable[Observation]:
        pipeline = runtime.pipeline
        for sink in () if pipeline is None else pipeline.sinks:
            for name in ("written", "failed"):
                number = sink.counts().get(name, 0)
                yield Observation(number, {"sink": sink.name, "outcome": name})

    made.create_observable_gauge("ctxlog.sink.lines", [sinks], unit="{line}")
