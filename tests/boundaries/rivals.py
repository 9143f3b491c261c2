"""Rivals' lanes: what people use today."""

from __future__ import annotations

import contextlib
import queue
from typing import TYPE_CHECKING, Any

from tests.boundaries.lane import NOTHING, Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Structlog(Lane):
    """structlog's contextvars."""

    name = "structlog contextvars"

    @contextlib.contextmanager
    def bind(self, value: Any) -> Generator[None]:
        """With bound_contextvars."""
        from structlog.contextvars import bound_contextvars

        with bound_contextvars(request=value):
            yield

    def bind_loose(self, value: Any) -> None:
        """With bind_contextvars."""
        from structlog.contextvars import bind_contextvars

        bind_contextvars(request=value)

    def read(self) -> Any:
        """With merge_contextvars, as its processor chain does."""
        from structlog.contextvars import merge_contextvars

        return merge_contextvars(None, "info", {}).get("request", NOTHING)

    def bind_process(self, value: Any) -> None:
        """With bind_contextvars, at the start."""
        from structlog.contextvars import bind_contextvars

        bind_contextvars(service=value)

    def read_process(self) -> Any:
        """With merge_contextvars."""
        from structlog.contextvars import merge_contextvars

        return merge_contextvars(None, "info", {}).get("service", NOTHING)

    def entry(self, value: Any) -> Any:
        """With clear_contextvars first, as its documentation says."""
        from structlog.contextvars import clear_contextvars

        clear_contextvars()
        return self.bind(value)

    def request(self, name: str | None) -> Any:
        """With clear_contextvars first in any case."""
        from structlog.contextvars import clear_contextvars

        clear_contextvars()
        return super().request(name)


class Loguru(Lane):
    """loguru's contextualize."""

    name = "loguru contextualize"

    def bind(self, value: Any) -> Any:
        """With contextualize."""
        from loguru import logger

        return logger.contextualize(request=value)

    def bind_loose(self, value: Any) -> None:
        """Entered and never left: it has nothing else."""
        self.bind(value).__enter__()

    def read(self) -> Any:
        """By logging a line."""
        from loguru import logger

        lines: list[Any] = []
        sink = logger.add(lines.append, format="{message}")
        try:
            logger.info("probe")
        finally:
            logger.remove(sink)
        return lines[-1].record["extra"].get("request", NOTHING)

    @contextlib.contextmanager
    def listener(self) -> Generator[Callable[[], Any]]:
        """With a queue of its own."""
        from loguru import logger

        made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        sink = logger.add(made.put, filter=lambda line: line["message"] == "queued", enqueue=True)

        def crossing() -> Any:
            logger.info("queued")
            return made.get(timeout=10).record["extra"].get("request", NOTHING)

        try:
            yield crossing
        finally:
            logger.remove(sink)

    @contextlib.contextmanager
    def background(self, out: Any) -> Generator[Callable[[str], Any]]:
        """With a queue of its own."""
        from loguru import logger

        sink = logger.add(out, format="{message}", enqueue=True)
        try:
            yield logger.info
        finally:
            logger.remove(sink)

    def start(self) -> None:
        """No lines on the terminal."""
        from loguru import logger

        logger.remove()


class OpenTelemetry(Lane):
    """OpenTelemetry's context, with its threading instrumentation."""

    name = "OpenTelemetry threading"

    def start(self) -> None:
        """Instrument."""
        from opentelemetry.instrumentation.threading import ThreadingInstrumentor

        ThreadingInstrumentor().instrument()

    @contextlib.contextmanager
    def bind(self, value: Any) -> Generator[None]:
        """With a value of its context, as a span is."""
        from opentelemetry import context

        token = context.attach(context.set_value("request", value))
        try:
            yield
        finally:
            context.detach(token)

    def bind_loose(self, value: Any) -> None:
        """Attached and never detached."""
        from opentelemetry import context

        context.attach(context.set_value("request", value))

    def read(self) -> Any:
        """From its current context."""
        from opentelemetry import context

        return context.get_value("request") or NOTHING

    @contextlib.contextmanager
    def background(self, out: Any) -> Generator[Callable[[str], Any]]:
        """With its batching processor."""
        from opentelemetry._logs import LogRecord
        from opentelemetry.sdk._logs import LoggerProvider, export

        provider = LoggerProvider()
        exporter = export.ConsoleLogRecordExporter(out)
        provider.add_log_record_processor(
            export.BatchLogRecordProcessor(exporter, schedule_delay_millis=50)
        )
        logger = provider.get_logger("boundaries")
        try:
            yield lambda text: logger.emit(LogRecord(body=text))
        finally:
            provider.shutdown()

    def capture(self) -> Callable[..., Any]:
        """Its context, attached for a call."""
        from opentelemetry import context

        taken = context.get_current()

        def run(function: Any) -> Any:
            token = context.attach(taken)
            try:
                return function()
            finally:
                context.detach(token)

        return run

    @contextlib.contextmanager
    def entry(self, value: Any) -> Generator[None]:
        """From an empty context, as its server instrumentations start."""
        from opentelemetry import context

        empty = context.Context()
        token = context.attach(context.set_value("request", value, empty) if value else empty)
        try:
            yield
        finally:
            context.detach(token)

    def request(self, name: str | None) -> Any:
        """From an empty context in any case."""
        return self.entry(name)
