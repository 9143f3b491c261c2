"""structlog: ``structlog.get_logger()`` writes through our pipeline.

``configure(structlog="auto")`` takes structlog over if nobody has configured it. An application
that has ends its chain in ours instead, with :func:`deliver` as the last processor::

    structlog.configure(
        processors=[mine, ctxlog.adapters.structlog.deliver],
        logger_factory=ctxlog.adapters.structlog.LoggerFactory(),
    )

or keeps its own renderer and takes the context along with :func:`add_context`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from ctxlog import names
from ctxlog.levels import NUMBERS
from ctxlog.line import Line
from ctxlog.runtime import runtime
from ctxlog.stamps import stamp_now

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

DOOR = "structlog"
#: Where :class:`Filtering` keeps arguments on their way.
_ARGS = "_ctxlog_args"
_OURS = frozenset({"_record", "_from_structlog", "_logger", "_name"})  # ProcessorFormatter's marks


class Named:
    """What structlog wraps: a logger's name. Its methods take finished text of other renderers."""

    fields = None
    pinned = None

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<structlog's {self.name}>"

    def msg(self, event: object = None, *args: Any, **fields: Any) -> None:
        """Write what a chain of other processors has made: its line is the event."""
        self._write(20, event, args, fields)

    log = info = msg

    def debug(self, event: object = None, *args: Any, **fields: Any) -> None:
        """Write at level ``debug``."""
        self._write(10, event, args, fields)

    def warning(self, event: object = None, *args: Any, **fields: Any) -> None:
        """Write at level ``warning``."""
        self._write(30, event, args, fields)

    def error(self, event: object = None, *args: Any, **fields: Any) -> None:
        """Write at level ``error``."""
        self._write(40, event, args, fields)

    def critical(self, event: object = None, *args: Any, **fields: Any) -> None:
        """Write at level ``critical``."""
        self._write(50, event, args, fields)

    warn = warning
    failure = err = exception = error
    fatal = critical

    def _write(
        self, level: int, event: object, args: tuple[Any, ...], fields: dict[str, Any]
    ) -> None:
        if isinstance(event, bytes | bytearray):
            event = bytes(event).decode("utf-8", "backslashreplace")
        if level >= runtime.threshold(self.name):
            runtime.emit(self, level, event, args, fields)


class LoggerFactory:
    """For ``structlog.configure(logger_factory=…)``: loggers that write into our pipeline.

    ``structlog.get_logger("shop")`` has that name; without one it is the calling module's.
    """

    def __call__(self, *args: Any) -> Named:
        """Return a logger of the name that ``get_logger`` was given."""
        if args and isinstance(args[0], str):
            return Named(args[0])
        frame: Any = sys._getframe(1)  # noqa: SLF001 - structlog's own factory does the same
        while frame is not None and _is_inside(frame.f_globals.get("__name__") or ""):
            frame = frame.f_back
        return Named("root" if frame is None else frame.f_globals.get("__name__") or "root")


def _is_inside(module: str) -> bool:
    return module == __name__ or module.partition(".")[0] == "structlog"


def deliver(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> Any:
    """Hand an event to our pipeline; the last processor of a structlog chain.

    What structlog's own processors have added arrives as it should: ``level``, ``logger`` and an
    ISO or epoch ``timestamp`` are the line's own, text of ``format_exc_info`` is its stack trace.

    Raises:
        structlog.DropEvent: always: the line is written, nothing is left to do.
    """
    fields = dict(event_dict)
    for mark in _OURS.intersection(fields):
        del fields[mark]
    name = _name(fields, "logger") or _name(fields, "logger_name")
    if name is None:
        name = getattr(logger, "name", None)
        name = name if isinstance(name, str) else "root"
    level, text = _level(method_name, fields)
    if level < runtime.threshold(name):
        raise structlog.DropEvent
    event = fields.pop(names.EVENT, None)
    args = fields.pop(_ARGS, ())
    stamp_ns = _stamp(fields)
    if issubclass(type(fields.get("exception")), str):
        fields["exception.stacktrace"] = fields.pop("exception")
    if issubclass(type(fields.get("stack")), str):
        fields["stack_info"] = fields.pop("stack")
    pipeline = runtime.pipeline
    if pipeline is None or (stamp_ns is None and text is None):
        target = logger if type(logger) is Named and logger.name == name else Named(name)
        runtime.emit(target, level, event, args, fields)
    else:
        line = Line(name, level, event, args, fields, None)
        line.method, line.stamp_ns, line.level_text, line.door = method_name, stamp_ns, text, DOOR
        pipeline.process(line)
    raise structlog.DropEvent


def _name(fields: dict[str, Any], key: str) -> str | None:
    """Take a logger's name out of the fields; what is no name stays, as any field."""
    given = fields.get(key)
    if not issubclass(type(given), str) or not given:
        return None
    del fields[key]
    return str.__str__(given)


def _level(method_name: str, fields: dict[str, Any]) -> tuple[int, str | None]:
    """Return a level's number, and its name where that is another than ours."""
    given = fields.get("level")
    number = NUMBERS.get(method_name, 20)
    if type(given) is str and given.lower() in NUMBERS:
        del fields["level"]
        number = NUMBERS[given.lower()]
    if type(fields.get("level_number")) is int:  # of structlog's add_log_level_number
        del fields["level_number"]
    return number or 20, None


def _stamp(fields: dict[str, Any]) -> int | None:
    given = fields.get(names.TIMESTAMP)
    at = None
    if type(given) is float or type(given) is int:
        at = given
    elif type(given) is str:
        try:
            parsed = datetime.fromisoformat(given)
        except ValueError:
            return None  # it shows as fields.timestamp
        at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if at is None or not 0 <= at < 1 << 37:
        return None
    del fields[names.TIMESTAMP]
    return round(at * 1e6) * 1_000


_CHAIN = [deliver]


def add_context(_: Any, __: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add what is bound, and the ids, for a chain that renders by itself; a processor.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     add_context(None, "info", {"event": "x"})
        {'event': 'x', 'request_id': 'r-1'}
    """
    stamp = stamp_now()
    if stamp.ids is not None:
        event_dict[names.TRACE_ID] = stamp.ids.trace_id
        event_dict[names.SPAN_ID] = stamp.ids.span_id
        event_dict[names.TRACE_FLAGS] = stamp.ids.trace_flags
    for fields in (stamp.context.values, stamp.provided or {}):
        for name, value in fields.items():
            event_dict.setdefault(name, value)
    return event_dict


_Base: Any = structlog.make_filtering_bound_logger(0)


def _method(name: str) -> Callable[..., Any]:
    wrapped = getattr(_Base, name)

    def call(self: Any, event: Any, *args: Any, **fields: Any) -> Any:
        if args:
            if self._processors != _CHAIN:  # somebody's own read the text
                return wrapped(self, event, *args, **fields)
            fields[_ARGS] = args
        return self._proxy_to_logger(name, event, **fields)

    call.__name__ = name
    return call


def _around(name: str) -> Callable[..., Any]:
    wrapped = getattr(_Base, name)
    before = 2 if name.endswith("log") else 1  # a level, and the event

    def call(self: Any, *args: Any, **fields: Any) -> Any:
        if len(args) > before and self._processors == _CHAIN:
            args, fields[_ARGS] = args[:before], args[before:]
        return wrapped(self, *args, **fields)

    call.__name__ = name
    return call


class Filtering(_Base):  # type: ignore[misc]
    """structlog's filtering logger, whose ``%`` arguments the pipeline puts in: it masks secrets."""

    debug, info, warning = _method("debug"), _method("info"), _method("warning")
    error, critical, log = _method("error"), _method("critical"), _around("log")
    warn, msg, fatal = warning, info, critical
    adebug, ainfo, awarning = _around("adebug"), _around("ainfo"), _around("awarning")
    aerror, acritical, alog = _around("aerror"), _around("acritical"), _around("alog")
    awarn, amsg, afatal = awarning, ainfo, acritical


def take_over(*, always: bool = False) -> bool:
    """Configure structlog to write through our pipeline; ``False`` if somebody else has."""
    if structlog.is_configured() and not always and not _is_ours():
        return False
    structlog.configure(
        processors=[deliver],
        wrapper_class=Filtering,
        context_class=dict,
        logger_factory=LoggerFactory(),
        cache_logger_on_first_use=False,  # late-bound: what is configured later holds
    )
    return True


def give_back() -> None:
    """Reset structlog, if it is still ours."""
    if _is_ours():
        structlog.reset_defaults()


def _is_ours() -> bool:
    return (
        structlog.is_configured()
        and isinstance(structlog.get_config()["logger_factory"], LoggerFactory)
        and structlog.get_config()["processors"] == [deliver]
    )
