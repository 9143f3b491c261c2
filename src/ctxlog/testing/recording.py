"""Recording: every event of every door, first-hand, whatever is configured or was bound before.

Nothing is rendered: what was said, where, and the context of that moment are kept by reference.
An event is made of it when somebody asks (:mod:`ctxlog.testing.events`). Levels hold: what is below
its logger's level was not written.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from threading import RLock, current_thread, local
from time import time_ns
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.logging.records import extra_of, level_of, stamp_of
from ctxlog.context.fields import CURRENT, Fields
from ctxlog.context.foreign import foreign_values
from ctxlog.context.resource import get_resource
from ctxlog.context.spans import current_ids
from ctxlog.counting import counters
from ctxlog.freezing import freeze_fields
from ctxlog.levels import name_of
from ctxlog.loading import forget, when_loaded
from ctxlog.message import event_of
from ctxlog.pipeline import Pipeline
from ctxlog.propagation.patching import Patch
from ctxlog.runtime import runtime
from ctxlog.stamps import Stamp, stamp_now
from ctxlog.testing.crossings import ORIGIN, Crossing, task_now
from ctxlog.testing.places import Place, application
from ctxlog.testing.shown import remember
from ctxlog.testing.unseen import Unseen
from ctxlog.tracebacks import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.line import Line
    from ctxlog.redact import Redaction

    Listener = Callable[["Record"], object]

_STRUCTLOG, _LOGURU = "structlog._base", "loguru"


class Record:
    """What was said, where, and under what."""

    __slots__ = ("_thread", "args", "at_ns", "bound", "door", "event", "fields", "level",
                 "level_text", "logger", "operation", "origin", "place", "redaction", "resource", "stamp",
                 "task")  # fmt: skip

    def __init__(  # noqa: PLR0913 - all that is known of a line
        self,
        door: str,
        logger: str,
        level: int,
        event: object,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        bound: Fields | None,
        stamp: Stamp,
        place: Place | None,
        level_text: str | None = None,
    ) -> None:
        self.door = door
        self.logger = logger
        self.level = level
        self.event = event
        self.args = args
        self.fields = fields
        self.bound = bound
        context = stamp.context
        self.operation: str | None = None
        if context.operation is not None:  # what holds an operation keeps it from being abandoned
            self.operation = getattr(getattr(context.operation, "work", None), "name", None)
            own = Fields(context.values, context.ids)
            stamp = Stamp(own, stamp.ids, stamp.provided, stamp.error)
        self.stamp = stamp
        self.place = place
        self.level_text = level_text
        self.at_ns = time_ns()
        self._thread = current_thread()
        self.task: str | None = task_now()
        self.origin: Crossing | None = ORIGIN.get()
        self.resource = get_resource()
        #: What masks on the line itself; ``None``: nothing is configured.
        self.redaction: Redaction | None = getattr(runtime.pipeline, "redaction", None)

    @property
    def thread(self) -> str:
        """The name of the thread that wrote it."""
        return self._thread.name

    def value(self, name: str) -> object:
        """Return the value of a field on this line, ``None`` when it has none."""
        if name in self.fields:
            return self.fields[name]
        stamp = self.stamp
        for values in (self.bound.values if self.bound else None, stamp.context.values,
                       stamp.provided, self.resource):  # fmt: skip
            if values and name in values:
                return values[name]
        return getattr(stamp.ids, name, None) if name in ("trace_id", "span_id") else None

    @property
    def has_context(self) -> bool:
        """Whether anything was bound where it was written."""
        return bool(self.stamp.context.values or self.stamp.ids or self.stamp.provided)


class _Busy(local):
    on = False


_busy = _Busy()
_lock = RLock()
_listeners: tuple[Listener, ...] = ()
_asking: tuple[Listener, ...] = ()  # of these, those for whom providers are asked


def listen(listener: Listener, *, providers: bool = True) -> None:
    """Tell ``listener`` of every event from now on, on the thread that logs it.

    Args:
        listener: called with each; it must be quick.
        providers: ask the providers for it, once more than the line itself does.
    """
    global _asking, _listeners  # noqa: PLW0603 - swapped whole: a line sees the old or the new
    with _lock:
        if providers:
            _asking = (*_asking, listener)
        first, _listeners = not _listeners, (*_listeners, listener)
        if first:
            _open()


def unlisten(listener: Listener) -> None:
    """Tell it no more; with the last one every door is as it was."""
    global _asking, _listeners  # noqa: PLW0603 - as above
    with _lock:
        _asking = tuple(known for known in _asking if known != listener)
        left = tuple(known for known in _listeners if known != listener)
        last, _listeners = bool(_listeners) and not left, left
        if last:
            _close()


def _tell(record: Record) -> None:
    for listener in _listeners:
        listener(record)


def _copied(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as they are now, as far as no foreign code has to run for it."""
    copy = dict(fields)
    if not _CHANGING.isdisjoint(map(type, copy.values())):
        for name, value in fields.items():
            if type(value) in _CHANGING:
                copy[name] = value.copy()
    if "exc_info" in copy:
        copy["exc_info"] = resolve(copy["exc_info"])
    return copy


_CHANGING = frozenset({list, dict, set})


def _stamp_here() -> Stamp:
    """Return what is current here; providers are the application's code, and asked if wanted."""
    if _asking:
        return stamp_now()
    context = CURRENT.get().fields
    found = foreign_values()
    return Stamp(context, current_ids() or context.ids, freeze_fields(found, {}) if found else None)


# ---- ctxlog's own loggers, and what arrives at the pipeline by no other door


def _around_emit(emit: Callable[..., None]) -> Callable[..., None]:
    def recorded(
        logger: Any, level: int, event: object, args: tuple[Any, ...], fields: dict[str, Any]
    ) -> None:
        if _busy.on:
            emit(logger, level, event, args, fields)
            return
        _busy.on = True  # what is read here may log by itself
        event = event_of(event, args, fields)
        try:
            pinned = logger.pinned
            stamp = _stamp_here() if pinned is None else Stamp(pinned.fields, pinned.ids)
            frame = application(sys._getframe(2))  # noqa: SLF001 - logging does the same
            place = None if frame is None else Place(frame)
            _tell(Record("ctxlog", logger.name, level, event, args,
                         _copied(fields) if fields else fields, logger.fields, stamp, place))  # fmt: skip
        except Exception:  # noqa: BLE001 - who watches must not change what is watched
            counters.add("errors.recording")
        try:
            emit(logger, level, event, args, fields)
        finally:
            _busy.on = False

    return recorded


def _process(original: Any, pipeline: Pipeline, line: Line) -> Any:
    # the other doors are watched where the line is written, not where it arrives
    if not _busy.on and line.door is None and pipeline is runtime.pipeline:
        with suppress(Exception):  # as above
            stamp = line.stamp or _stamp_here()
            _tell(Record("file", line.logger, line.level, line.said, line.args,
                         _copied(line.fields), line.bound, stamp, Place.here(2),
                         line.level_text))  # fmt: skip
    return original(pipeline, line)


# ---- logging


def _before_logging(_logger: Any, record: logging.LogRecord) -> bool:
    if _busy.on:
        return False
    _busy.on = True
    try:
        stamp = stamp_of(record) or _stamp_here()
        extra = extra_of(record)
        if record.exc_info:
            extra["exc_info"] = record.exc_info
        arguments = record.args if isinstance(record.args, tuple) else (record.args,)
        place = _place_of(record.pathname, record.lineno)
        _tell(Record("logging", record.name, record.levelno, record.msg, arguments or (),
                     _copied(extra), None, stamp, place, level_of(record)))  # fmt: skip
    except Exception:  # noqa: BLE001 - as above
        counters.add("errors.recording")
    return True


def _done(was_first: object) -> None:
    if was_first:
        _busy.on = False


def _place_of(path: str, line: int) -> Place | None:
    """Return the place that another library found, which may have been told to look further up."""
    frame = application(sys._getframe(2))  # noqa: SLF001 - as above
    while frame is not None:
        if frame.f_code.co_filename == path and frame.f_lineno == line:
            return Place(frame)
        frame = frame.f_back
    return Place.here(3)


# ---- structlog


def _before_structlog(
    logger: Any, method: str, event: object = None, /, *args: Any, **fields: Any
) -> bool:
    if _busy.on:
        return False
    _busy.on = True
    try:
        wrapped = getattr(logger, "_logger", None)
        name = getattr(wrapped, "name", None)
        level = _METHODS.get(method, 20)
        event = event_of(event, args, fields)
        merged = {**dict(getattr(logger, "_context", {})), **fields}
        _tell(Record("structlog", name if isinstance(name, str) else "root", level, event, args,
                     _copied(merged), None, _stamp_here(), Place.here(3), name_of(level)))  # fmt: skip
    except Exception:  # noqa: BLE001 - as above
        counters.add("errors.recording")
    return True


_METHODS = {
    "debug": 10, "info": 20, "msg": 20, "warning": 30, "warn": 30,
    "error": 40, "err": 40, "exception": 40, "critical": 50, "fatal": 50,
}  # fmt: skip
_unseen: dict[str, Unseen] = {}


def _open_structlog() -> None:
    if _STRUCTLOG not in _unseen and _listeners:
        base = sys.modules[_STRUCTLOG].BoundLoggerBase
        # structlog's docs give this method to wrappers, its underscore notwithstanding
        _unseen[_STRUCTLOG] = Unseen(
            base, "_proxy_to_logger", "structlog", _before_structlog, _done
        )


# ---- loguru

_loguru: list[Any] = []  # the id of our sink, the patch of its removal


def _take_loguru(message: Any) -> None:
    if _busy.on:  # logging's, sent on to loguru
        return
    try:
        _tell(_of_loguru(message.record))
    except Exception:  # noqa: BLE001 - as above
        counters.add("errors.recording")


def _of_loguru(record: Any) -> Record:
    fields = _copied(dict(record["extra"]))
    if record["exception"] is not None:
        fields["exc_info"] = record["exception"].value
    level = record["level"]
    place = _place_of(record["file"].path, record["line"])
    return Record("loguru", record["name"] or "root", level.no, record["message"], (), fields,
                  None, _stamp_here(), place, level.name.lower())  # fmt: skip


def _add_loguru() -> None:
    sink = sys.modules[_LOGURU].logger.add(_take_loguru, level=0, format="{message}", catch=True)
    _loguru[:1] = [sink]


def _removed_loguru(original: Any, logger: Any, handler_id: Any = None) -> Any:
    done = original(logger, handler_id)
    if handler_id is None:  # everybody's, ours too
        _add_loguru()
    return done


def _open_loguru() -> None:
    if _loguru or not _listeners:
        return
    _add_loguru()
    patch = Patch(type(sys.modules[_LOGURU].logger), "remove", _removed_loguru)
    patch.apply()
    _loguru.append(patch)


def _close_loguru() -> None:
    if _loguru:
        sink, patch = _loguru
        patch.remove()
        with suppress(ValueError):  # gone already
            sys.modules[_LOGURU].logger.remove(sink)
        _loguru.clear()


# ---- all of them

_pipeline = Patch(Pipeline, "process", _process)


def _made(original: Any, pipeline: Pipeline, *args: Any, **more: Any) -> None:
    original(pipeline, *args, **more)
    remember(pipeline.redaction)  # also when it is gone before anything is told


_making = Patch(Pipeline, "__init__", _made)


def _open() -> None:
    runtime.watch(_around_emit)
    _pipeline.apply()
    _making.apply()
    _unseen["logging"] = Unseen(logging.Logger, "callHandlers", "logging", _before_logging, _done)
    when_loaded(_STRUCTLOG, _open_structlog)
    when_loaded(_LOGURU, _open_loguru)


def _close() -> None:
    forget(_open_structlog)
    forget(_open_loguru)
    _close_loguru()
    while _unseen:
        _unseen.popitem()[1].remove()
    _pipeline.remove()
    _making.remove()
    runtime.watch(None)
