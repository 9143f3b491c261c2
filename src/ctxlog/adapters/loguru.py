"""loguru, both ways: its records into our pipeline, our events into its sinks.

``loguru.logger.add(ctxlog.adapters.loguru.sink, format="{message}")`` hands its records over, with
``bind``, ``contextualize`` and the context of whoever logged, also with ``enqueue=True``.
``ctxlog.add_sink(ctxlog.adapters.loguru.LoguruSink())`` writes our events with loguru. What came in
by one does not go out by the other.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from threading import RLock
from typing import TYPE_CHECKING, Any

from loguru import logger as _logger

from ctxlog import names
from ctxlog.context.fields import Fields
from ctxlog.context.snapshot import Snapshot
from ctxlog.errors import UsageError
from ctxlog.levels import NAMES, parse
from ctxlog.line import Line
from ctxlog.runtime import runtime
from ctxlog.sinks.sink import Sink
from ctxlog.stamps import ATTRIBUTE, NOWHERE, Stamp, received, stamp_now
from ctxlog.texts import safe_str
from ctxlog.tracebacks import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

DOOR = "loguru"
#: The key of loguru's record that says that we wrote it.
_OURS = "_ctxlog_wrote"
#: Whether this context is inside our sink: what an unconfigured line comes back as is dropped.
_INSIDE: ContextVar[bool] = ContextVar("ctxlog_inside_loguru", default=False)
_USUAL = frozenset({10, 20, 30, 40, 50})


class _Patcher:
    """loguru's patcher: it runs where a line is logged, and stamps the record there."""

    def __init__(self) -> None:
        self.before: Callable[[Any], None] | None = None
        self.lock = RLock()
        self.installed = False

    def __call__(self, record: Any) -> None:
        if self.before is not None:
            self.before(record)
        error = record.get("exception")
        record[ATTRIBUTE] = stamp_now(None if error is None else resolve(tuple(error)))

    def install(self) -> None:
        """Stamp from now on, after the patcher that was there."""
        with self.lock:
            core: Any = _core()
            if core is None or core.patcher is self:
                return
            self.before = core.patcher
            _logger.configure(patcher=self)
            self.installed = True

    def uninstall(self) -> None:
        """Put back the patcher that was there, if ours is still the one."""
        with self.lock:
            core: Any = _core()
            if core is not None and core.patcher is self:
                core.patcher = self.before
            self.installed = False


def _core() -> Any:
    return getattr(_logger, "_core", None)


class _Sink:
    """What ``logger.add`` takes. It looks at ``write``, and then records begin to be stamped."""

    name = "ctxlog"

    @property
    def write(self) -> Callable[[Any], None]:
        """Take one of loguru's messages."""
        patcher.install()
        return take

    def stop(self) -> None:
        """Stop stamping: loguru calls this when the sink is removed."""
        patcher.uninstall()

    def __repr__(self) -> str:
        return "<ctxlog's sink for loguru>"


patcher = _Patcher()
#: For ``loguru.logger.add``.
sink: Any = _Sink()


def take(message: Any) -> None:
    """Hand one of loguru's messages to our pipeline, or to ``logging`` while there is none."""
    record: dict[str, Any] = message.record
    if record.get(_OURS) or _INSIDE.get():
        return
    sent = record.get(ATTRIBUTE)
    if sent is not None:
        stamp = received(sent)
    else:  # another logger of loguru's than the usual one
        stamp = stamp_now() if record["thread"].id == threading.get_ident() else NOWHERE
    fields = dict(record["extra"])
    error = record["exception"]
    if stamp.error is not None:
        fields["exc_info"] = stamp.error
    elif error is not None and error.value is not None and not _described(stamp):
        fields["exc_info"] = error.value
    level = record["level"]
    name = record["name"] or "root"
    pipeline = runtime.pipeline
    token = _INSIDE.set(True)
    try:
        if pipeline is None:
            runtime.unconfigured(_Pinned(name, stamp), level.no, record["message"], (), fields)
        elif level.no >= runtime.threshold(name):
            if pipeline.callsite is not None:
                fields.setdefault("code.file.path", record["file"].path)
                fields.setdefault("code.line.number", record["line"])
                fields.setdefault("code.function.name", f"{name}.{record['function']}")
            text = NAMES[level.no] if level.no in _USUAL else level.name.lower()
            line = Line(name, level.no, record["message"], (), fields, None)
            line.method = line.level_text = text
            line.stamp_ns = round(record["time"].timestamp() * 1e6) * 1_000
            line.door = DOOR
            line.written_at(stamp)
            pipeline.process(line)
    finally:
        _INSIDE.reset(token)


def _described(stamp: Stamp) -> bool:
    return "exception.type" in stamp.context.values  # a queue has pickled it: the text came along


class _Pinned:
    """A logger for one line, under the context that the line was logged in."""

    fields = None

    def __init__(self, name: str, stamp: Stamp) -> None:
        self.name = name
        self.pinned = Snapshot(Fields(stamp.context.values, stamp.ids))


class LoguruSink(Sink):
    """Events to loguru: message, level, time, logger name, and the fields as ``extra``.

    Args:
        logger: one of loguru's; default is the usual one.
        options: level and filter, see :class:`~ctxlog.sinks.sink.Sink`.
    """

    kind = "loguru"
    wants_event = True
    door = DOOR

    def __init__(self, logger: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.logger = _logger if logger is None else logger

    def _write(self, line: Any) -> None:
        event = line  # `wants_event`
        fields = {name: value for name, value in event.items() if name not in _HEAD}
        level = str(event.get(names.LEVEL, "info"))
        try:
            self.logger.level(level.upper())
            known: str | int = level.upper()
        except ValueError:
            known = _number(level)

        def patch(record: Any) -> None:
            record[_OURS] = True
            record["name"] = str(event.get(names.LOGGER, "root"))
            record["extra"].update(fields)
            for key, name in (("function", "code.function.name"), ("line", "code.line.number")):
                if name in fields:
                    record[key] = fields[name]
            try:
                record["time"] = type(record["time"]).fromisoformat(event[names.TIMESTAMP])
            except (KeyError, TypeError, ValueError):  # a processor took it; then it is now
                return

        self.logger.patch(patch).log(known, "{}", safe_str(event.get(names.EVENT, ""), 1 << 20))


_HEAD = frozenset({names.TIMESTAMP, names.LEVEL, names.LOGGER, names.EVENT})


def _number(level: str) -> int:
    try:
        return parse(level)
    except UsageError:  # a level of another library's
        return 20
