"""OpenTelemetry: what a line to a collector costs its caller, beside the SDK and its instrumentations.

    python -m benchmarks.otel                  # the tables
    python -m benchmarks.otel --write          # and into docs/reference/opentelemetry.md
    python -m benchmarks.otel --rounds 5
    python -m benchmarks.otel --delivery       # and what becomes of 100,000 lines

Each lane emits a line with five fields, in bursts that fit every queue, to an exporter that throws
away; between bursts everything is drained, untimed. All lanes take turns in each round, shuffled,
and ratios are taken within a round. ``sustained`` is the wall clock of a longer run to its flush:
what background threads take is in it.
"""

from __future__ import annotations

import argparse
import contextvars
import gc
import json
import logging
import platform
import random
import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.trace import TracerProvider

import ctxlog
from benchmarks.measure import ratios, spread
from ctxlog.adapters.otel.sink import OtelSink
from ctxlog.context.spans import current_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "opentelemetry.md"
BEGIN = "<!-- figures: begin; written by `python -m benchmarks.otel --write` -->"
END = "<!-- figures: end -->"
BURST = 400  # below every batch: no other thread works meanwhile
LONG = 20_000
CONTEXTS = 64
DELIVERED = (
    "100,000 lines from 8 threads, as fast as they can, to a receiver that stalls for 2 s and then"
    " cuts off every connection once (`python -m tests.adapters.otel.accounting grpc 100000 2`):"
)
SDK = "the SDK's own `Logger.emit`"
FIELDS: dict[str, Any] = {
    "customer": "c-1", "items": 3, "amount": 12.5, "paid": True, "route": "/cart/{id}",
}  # fmt: skip


class Nowhere:
    """An exporter that throws away."""

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
        """Take a batch."""
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Nothing is held."""
        return True

    def shutdown(self) -> None:
        """Nothing is open."""


class Lane:
    """One way of emitting a line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.emit: Callable[[], object] = lambda: None
        self.drain: Callable[[], object] = lambda: None
        self.close: Callable[[], object] = lambda: None


def provider(queue: int = 2_048) -> LoggerProvider:
    """Return the SDK's provider with its batch processor."""
    made = LoggerProvider(shutdown_on_exit=False)
    exporter: Any = Nowhere()
    made.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=queue))
    return made


def by_sdk() -> Lane:
    """The SDK's own way, with the values as they are."""
    lane, made = Lane(SDK), provider()
    logger = made.get_logger("shop")

    def emit() -> None:
        logger.emit(
            severity_number=SeverityNumber.INFO,
            severity_text="info",
            body="accepted",
            attributes=FIELDS,
        )

    lane.emit, lane.drain, lane.close = emit, made.force_flush, made.shutdown
    return lane


def by_ctxlog() -> Lane:
    """``configure(otlp=True)``."""
    lane = Lane("ctxlog, `otlp=True`")
    ctxlog.configure(sinks=[], stdlib=False, structlog=False, otlp={"exporter": Nowhere()})
    return _of_ctxlog(lane)


def by_ctxlog_direct() -> Lane:
    """A sink without a queue, to a provider of the application's own."""
    lane = Lane("ctxlog, `OtelSink`, no queue")
    ctxlog.configure(sinks=[OtelSink(provider())], stdlib=False, structlog=False)
    return _of_ctxlog(lane)


def _of_ctxlog(lane: Lane) -> Lane:
    log = ctxlog.get_logger("shop")

    def emit() -> None:
        log.info("accepted", **FIELDS)

    lane.emit, lane.drain, lane.close = emit, ctxlog.flush, ctxlog.shutdown
    return lane


def by_structlog() -> Lane:
    """OpenTelemetry's instrumentation of structlog, after what structlog's users have before it."""
    import structlog
    from opentelemetry.instrumentation.structlog import StructlogProcessor

    lane, made = Lane("opentelemetry-instrumentation-structlog"), provider()
    theirs: Any = StructlogProcessor
    logger = structlog.wrap_logger(
        None,
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            theirs(logger_provider=made),
            _drop,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind()

    def emit() -> None:
        logger.info("accepted", **FIELDS)

    lane.emit, lane.drain, lane.close = emit, made.force_flush, made.shutdown
    return lane


def _drop(*_: Any) -> Any:
    import structlog

    raise structlog.DropEvent


def by_logging() -> Lane:
    """OpenTelemetry's handler for the standard library."""
    from opentelemetry.instrumentation.logging.handler import LoggingHandler

    lane, made = Lane("opentelemetry-instrumentation-logging"), provider()
    logger = logging.Logger("shop", logging.INFO)  # noqa: LOG001 - nobody else's handlers on it
    logger.addHandler(LoggingHandler(logger_provider=made))

    def emit() -> None:
        logger.info("accepted", extra=FIELDS)

    lane.emit, lane.drain, lane.close = emit, made.force_flush, made.shutdown
    return lane


LANES: tuple[Callable[[], Lane], ...] = (
    by_sdk, by_ctxlog, by_ctxlog_direct, by_structlog, by_logging,
)  # fmt: skip


def burst(make: Callable[[], Lane], rounds: int) -> tuple[str, list[float], list[float]]:
    """Return ns a line of one lane, on the caller's own CPU, and sustained, round by round."""
    lane = make()
    caller: list[float] = []
    sustained: list[float] = []
    try:
        for number in range(-2, rounds):
            emit = lane.emit
            gc.collect()
            begun = thread_time_ns()
            for _ in range(BURST):
                emit()
            taken = thread_time_ns() - begun
            lane.drain()
            if number >= 0:
                caller.append(taken / BURST)
        begun = perf_counter_ns()
        for _ in range(LONG // 1_000):
            for _ in range(1_000):
                lane.emit()
            lane.drain()
        sustained.append((perf_counter_ns() - begun) / LONG)
    finally:
        lane.close()
    return lane.name, caller, sustained


def lines(rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return the samples of every lane: caller's CPU and sustained."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    shuffled = random.Random(6)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("shop").start_span("request")
    token = context.attach(trace.set_span_in_context(span))
    gc.disable()
    try:
        for _ in range(max(1, rounds // 5)):
            order = list(LANES)
            shuffled.shuffle(order)
            for make in order:
                name, caller, sustained = burst(make, 5)
                kept = found.setdefault(name, ([], []))
                kept[0].append(spread(caller).median)
                kept[1].extend(sustained)
    finally:
        gc.enable()
        context.detach(token)
        span.end()
    ranked = sorted(found, key=lambda name: spread(found[name][0]).median)
    return {name: found[name] for name in ranked}


def ids(rounds: int) -> float:
    """Return what a hit of the span's ids costs, in ns, with 64 contexts taking turns."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    contexts = []
    spans = [tracer.start_span("x") for _ in range(CONTEXTS)]
    for span in spans:
        one = contextvars.copy_context()
        one.run(context.attach, trace.set_span_in_context(span))
        one.run(current_ids)
        contexts.append(one)
    runs = [one.run for one in contexts]

    def timed(call: Callable[[], object]) -> float:
        begun = perf_counter_ns()
        for _ in range(200):
            for run in runs:
                run(call)
        return (perf_counter_ns() - begun) / (200 * CONTEXTS)

    def nothing() -> None:
        return None

    samples = [timed(current_ids) - timed(nothing) for _ in range(max(5, rounds))]
    for span in spans:
        span.end()
    return spread(samples).median


def table(found: dict[str, tuple[list[float], list[float]]], hit: float) -> str:
    """Return the figures as Markdown."""
    base = found[SDK]
    rows = ["| a line with five fields, in a span | caller, ns | of the SDK's | sustained, ns |", "|---|---|---|---|"]  # fmt: skip
    for name, (caller, sustained) in found.items():
        ratio = spread(ratios(caller, base[0]))
        rows.append(
            f"| {name} | {spread(caller).median:,.0f} | {ratio.median:.2f}"
            f" | {spread(sustained).median:,.0f} |"
        )
    python = f"CPython {platform.python_version()}, {platform.system()}."
    said = f"The ids of the current span, on a hit, with {CONTEXTS} contexts taking turns: {hit:.0f} ns a line."
    return "\n".join([python, "", *rows, "", said])


def delivery() -> str:
    """Return what became of a hundred thousand lines, by protocol, as Markdown."""
    rows = [
        "| protocol | logged | acknowledged | dropped | unconfirmed | received, each once | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for protocol in ("grpc", "http/protobuf"):
        ran = subprocess.run(  # noqa: S603 - ours
            [sys.executable, "-m", "tests.adapters.otel.accounting", protocol, "100000", "2"],
            check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        said = json.loads(ran.stdout)
        assert said["logged"] == said["acknowledged"] + said["dropped"] + said["unconfirmed"]
        names = ("logged", "acknowledged", "dropped", "unconfirmed", "received")
        figures = " | ".join(f"{said[name]:,}" for name in names)
        rows.append(f"| {protocol} | {figures} | {said['seconds']} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write where asked."""
    parser = argparse.ArgumentParser("benchmarks.otel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--delivery", action="store_true", help="and 100,000 lines to a receiver")
    parser.add_argument("--write", action="store_true", help="into docs/reference/opentelemetry.md")
    options = parser.parse_args(arguments)
    text = table(lines(options.rounds), ids(options.rounds))
    if options.delivery or options.write:
        text += f"\n\n{DELIVERED}\n\n{delivery()}"
    print(text)
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
