"""Handler sink: events to a ``logging.Handler``, such as a rotating file, syslog or a queue."""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from typing import Any

from ctxlog import names
from ctxlog.errors import UsageError
from ctxlog.levels import parse
from ctxlog.renderers.json import JsonRenderer
from ctxlog.sinks.sink import Sink

_HEAD = frozenset({names.TIMESTAMP, names.LEVEL, names.LOGGER, names.EVENT})


class HandlerSink(Sink):
    """Events to a handler of ``logging``: its level, filters and lock hold.

    Without a formatter of its own it gets the finished line as the record's message; with one, the
    event as the message and the fields as the record's attributes, as ``extra`` sets them. A
    handler that is on a logger too does not get back what came in through ``logging``.

    Args:
        handler: where records go; never closed by us.
        renderer: makes the line; default is JSON.
        options: level and filter, see :class:`~ctxlog.sinks.sink.Sink`.
    """

    kind = "handler"
    wants_event = True
    keeps_lines = True

    def __init__(self, handler: logging.Handler, *, renderer: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.handler = handler
        self._share_lock()
        self._draw = JsonRenderer() if renderer is None else renderer
        self.door = "logging" if _is_on_a_logger(handler) else None

    def _share_lock(self) -> None:
        """Wait for the handler's own lock alone: with two, threads could hold one each for ever.

        One writes here and wants the handler; another comes by a logger, holds the handler, and
        what that logs (a client of HTTP, say) comes here.
        """
        lock: Any = self.handler.lock
        if hasattr(lock, "_is_owned") and hasattr(lock, "_at_fork_reinit"):
            self._lock = lock
            self.acquire, self.release, self.is_owned = lock.acquire, lock.release, lock._is_owned  # noqa: SLF001 - as Sink does

    @property
    def name(self) -> str:
        """The handler's own name, or its class."""
        return f"handler {self.handler.get_name() or type(self.handler).__name__}"

    def _write(self, line: Any) -> None:
        event: dict[str, Any] = line  # `wants_event`
        record = record_of(event)
        handler = self.handler
        if record.levelno < handler.level:
            return
        if handler.formatter is None and not type(handler).__module__.startswith("ctxlog."):
            drawn = self._draw(None, event.get(names.LEVEL, "info"), dict(event))
            record.msg = drawn.decode() if isinstance(drawn, bytes) else drawn
        self._handle(record)

    def _handle(self, record: logging.LogRecord) -> None:
        """Have it handled, and raise what the handler would print as a traceback, if it can.

        Raises:
            Exception: what the handler failed with.
        """
        handler = self.handler
        said = handler.handleError
        own = getattr(said, "__func__", None) is not logging.Handler.handleError
        if handler.lock is not self._lock:  # others may be in it now
            handler.handle(record)
            return
        failed: list[BaseException] = []

        def hear(record: logging.LogRecord) -> None:
            error = sys.exc_info()[1]
            if error is not None:
                failed.append(error)
            if own:  # it closes a socket, for one
                said(record)

        kept = vars(handler).get("handleError")
        handler.handleError = hear  # type: ignore[method-assign]
        try:
            handler.handle(record)
        finally:
            if kept is None:
                del handler.handleError
            else:
                handler.handleError = kept  # type: ignore[method-assign]
        if failed:
            raise failed[0]

    def flush(self, timeout: float | None = None) -> bool:
        """Flush the handler."""
        self.handler.flush()
        return super().flush(timeout)


def record_of(event: dict[str, Any]) -> logging.LogRecord:
    """Return the record that says what an event says; fields are its attributes.

    Example:
        >>> record = record_of({"level": "warning", "event": "low", "logger": "shop", "left": 3})
        >>> record.levelname, record.getMessage(), record.name, record.left
        ('WARNING', 'low', 'shop', 3)
    """
    try:
        level = parse(event.get(names.LEVEL, "info"))
    except UsageError:  # a level of another library's
        level = logging.INFO
    record = logging.LogRecord(
        str(event.get(names.LOGGER, "root")),
        level,
        str(event.get("code.file.path", "")),
        int(event.get("code.line.number") or 0),
        str(event.get(names.EVENT, "")),
        (),
        None,
        event.get("code.function.name"),
    )
    try:
        at = datetime.fromisoformat(event[names.TIMESTAMP])
        record.created = at.timestamp()
        record.msecs = at.microsecond // 1_000
    except (KeyError, TypeError, ValueError):  # a processor took it; then it is now
        pass
    own = record.__dict__
    for name, value in event.items():
        if name not in _HEAD:
            own[
                names.moved(name, own) if name in own or name in {"message", "asctime"} else name
            ] = value
    return record


def _is_on_a_logger(handler: logging.Handler) -> bool:
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    return any(handler in getattr(logger, "handlers", ()) for logger in known)
