"""Through ``logging``: ctxlog.Handler beside python-json-logger's orjson formatter."""

from __future__ import annotations

import io
import logging
from importlib.util import find_spec
from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import ctxlog
from benchmarks.contender import Contender
from benchmarks.contenders.ctxlog import Ctxlog
from benchmarks.scenarios import LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.contender import Event
    from benchmarks.scenarios import Case, Group

if find_spec("pythonjsonlogger") is None:
    raise ModuleNotFoundError("pythonjsonlogger", name="pythonjsonlogger")


def three(log: Any, times: int) -> None:
    """Pass fields as `logging` takes them."""
    for _ in repeat(None, times):
        log.info("accepted", extra={"items": 3, "user": "bob", "ok": True})


class _ThroughStdlib(Contender):
    """A logger of `logging` with one handler that writes text and flushes."""

    bodies: ClassVar = {"stdlib_three": three}

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Keep a text stream over the binary one."""
        self._text = io.TextIOWrapper(stream, "utf-8", write_through=True)

    def __del__(self) -> None:
        text = getattr(self, "_text", None)
        if text is not None:
            try:  # noqa: SIM105 - at the interpreter's end no import is left to suppress with
                text.detach()
            except ValueError:  # the harness has closed the binary stream, which is its own
                pass

    def logger(self, case: Case) -> logging.Logger:
        """Return a logger of its own."""
        log = logging.Logger(LOGGER, logging.INFO)  # noqa: LOG001  none that others share
        log.addHandler(self.handler())
        return log

    def handler(self) -> logging.Handler:
        """Return the handler."""
        raise NotImplementedError


class Handler(_ThroughStdlib):
    """``ctxlog.Handler``: the context is bound, nothing else is set up."""

    name = "ctxlog.Handler"

    def __init__(self) -> None:
        self._own = Ctxlog()

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Be in a process that has configured nothing: the handler would use that."""
        ctxlog.shutdown()
        super().open(stream, group)

    def handler(self) -> logging.Handler:
        """Return ours."""
        return ctxlog.Handler(self._text, renderer="json")

    def enter(self, fields: Mapping[str, object]) -> None:
        """Bind in this context."""
        self._own.enter(fields)

    def slow_lines(self) -> int:
        """Read ctxlog's own counter."""
        return self._own.slow_lines()


class JsonLogger(_ThroughStdlib):
    """python-json-logger's orjson formatter, with a filter that adds what is bound."""

    name = "python-json-logger"

    def __init__(self) -> None:
        self._fields: dict[str, object] = {}

    def handler(self) -> logging.Handler:
        """Return a StreamHandler with its formatter and the filter."""
        from pythonjsonlogger.orjson import (
            OrjsonFormatter,
        )  # here: it is loaded where it is measured

        handler = logging.StreamHandler(self._text)
        handler.setFormatter(
            OrjsonFormatter(
                "%(levelname)s %(name)s %(message)s",
                timestamp=True,
                rename_fields={"levelname": "level", "name": "logger", "message": "event"},
            )
        )
        fields = self._fields

        def bound(record: logging.LogRecord) -> bool:
            record.__dict__.update(fields)
            return True

        handler.addFilter(bound)
        return handler

    def enter(self, fields: Mapping[str, object]) -> None:
        """Keep what the filter adds."""
        self._fields.update(fields)

    def common(self, event: Event) -> Event:
        """Levels are upper case there."""
        return {**event, "level": str(event["level"]).lower()}


CONTENDERS = (Handler, JsonLogger)
