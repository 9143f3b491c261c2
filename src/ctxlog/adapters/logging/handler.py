"""Handler: a drop-in for ``logging.StreamHandler`` whose lines are the pipeline's."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO
from weakref import WeakValueDictionary

from ctxlog import targets
from ctxlog.adapters.logging.chain import Chain, current
from ctxlog.adapters.logging.formatter import Formatter, named_in, with_context
from ctxlog.errors import choices
from ctxlog.levels import parse
from ctxlog.runtime import runtime
from ctxlog.sinks.stream import is_binary, real

if TYPE_CHECKING:
    from typing import Never

    _Base = logging.StreamHandler[TextIO]
else:
    _Base = logging.StreamHandler

#: The attribute of a record that says where it has been written; it pickles, and means nothing
#: in another process.
SEEN = "_ctxlog_seen"
#: Every handler of ours that lives, and what is in front of them all.
_living: WeakValueDictionary[int, Handler] = WeakValueDictionary()
_narrow: list[logging.Filter] = []
_RETURNS_RECORD = sys.version_info >= (3, 12)
_HERE = int.from_bytes(os.urandom(7), "big") | 1


class Handler(_Base):
    """Write records as the pipeline's lines: context, ids and fields of each, redacted, bounded.

    Everything that ``logging.StreamHandler`` does holds: levels, filters, ``setFormatter`` (a text
    formatter keeps its format, and can show ``%(request_id)s``), ``terminator``, ``setStream``,
    ``handleError``, ``flush``, ``close``. Unconfigured it uses the default chain, once
    ``configure`` was called its processors, redaction, limits and resource. A record that another
    ``ctxlog.Handler`` has written to the same stream in the same shape is not written twice.

    Args:
        stream: text or binary; ``None`` is standard error, looked up when a line is written.
        level: the lowest level written, by number or name.
        renderer: ``"auto"`` (for people on a terminal, JSON elsewhere), ``"json"``, ``"console"``,
            ``"logfmt"`` or a callable.
        schema: as in ``configure``; default is the configured one.
        unknown: none: a wrong name is answered with the right ones.

    Raises:
        UsageError: an unknown level, renderer or schema, or a stream without ``write``.

    Example:
        >>> import io
        >>> log, out = logging.getLogger("doc.handler"), io.StringIO()
        >>> log.addHandler(Handler(out))
        >>> log.warning("low on %s", "ink", extra={"left": 3})
        >>> out.getvalue()[-54:-1]
        '"logger":"doc.handler","event":"low on ink","left":3}'
        >>> log.handlers.clear()
    """

    def __init__(
        self,
        stream: Any = None,
        *,
        level: int | str = logging.NOTSET,
        renderer: Any = "auto",
        schema: str | None = None,
        **unknown: Never,
    ) -> None:
        for name in unknown:
            raise choices("Handler option", name, ("stream", "level", "renderer", "schema"))
        targets.stream(stream)
        number = parse(level)
        self._chain = Chain("auto" if renderer is None else renderer, schema)
        self.stream = stream  # pyright: ignore[reportIncompatibleVariableOverride]
        # StreamHandler's would fix sys.stderr; last: logging closes what it knows, made or not
        logging.Handler.__init__(self, number)
        self._shape = hash((_HERE, str(renderer), schema))
        self._formats = type(self).format is not Handler.format
        self._flushes = type(self).flush is not logging.StreamHandler.flush
        self._overrides = (
            type(self).filter is not logging.Handler.filter
            or type(self).acquire is not logging.Handler.acquire
            or type(self).release is not logging.Handler.release
        )
        self._named: tuple[Any, tuple[str, ...]] = (None, ())
        _living[id(self)] = self  # first: who narrows meanwhile sees us, or we its filter
        for one in tuple(_narrow):
            self.addFilter(one)

    @property
    def stream(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Where lines go now."""
        return sys.stderr if self._stream is None else self._stream

    @stream.setter
    def stream(self, stream: Any) -> None:
        self._stream = stream
        self._binary = stream is not None and is_binary(stream)
        self._aimed: tuple[Any, tuple[int, ...], bool] = (None, (), False)
        self._chain.aim(stream)

    def handle(self, record: logging.LogRecord) -> Any:
        """Write a record that the filters let through, one at a time."""
        if self.filters or self._overrides:
            return super().handle(record)
        lock = self.lock
        if lock is None:
            self.emit(record)
        else:
            lock.acquire()
            try:
                self.emit(record)
            finally:
                lock.release()
        return record if _RETURNS_RECORD else True

    def emit(self, record: logging.LogRecord) -> None:  # noqa: C901, PLR0912 - a call costs a step
        """Write a record; what goes wrong goes to :meth:`handleError`."""
        try:
            stream = self._stream
            if stream is None:
                stream = real(sys.stderr)
            known, mark, short = self._aimed
            if known is not stream or self.formatter is not None:
                mark, short = self._aim(stream)
            own = record.__dict__
            if SEEN in own:
                if mark[0] in own[SEEN]:
                    return
                mark = (*own[SEEN], *mark)
            line: bytes | str | None
            if self.formatter is not None or self._formats:
                line = self.format(record) + self.terminator
            else:
                chain = self._chain
                if chain.base is not runtime.pipeline or chain.state is not current.state:
                    chain.renew()
                line = chain.fast(record) or chain.full(record)
                if line is None:  # a processor has dropped it
                    own[SEEN] = mark
                    return
                if self.terminator != "\n":
                    text = line.decode() if isinstance(line, bytes) else line
                    line = text[:-1] + self.terminator
            own[SEEN] = mark
            if short and type(line) is bytes:
                stream.write(line.decode())
                stream.flush()
            else:
                self._write(stream, line)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as logging does
            self.handleError(record)

    def _aim(self, stream: Any) -> tuple[tuple[int, ...], bool]:
        """Look at a stream once.

        What is returned: the mark of what was written to it in this handler's shape, and whether it
        takes text as it is and can be flushed.
        """
        mark = (id(stream) ^ self._shape ^ id(self.formatter),)
        utf8 = str(getattr(stream, "encoding", None)).lower() in ("utf-8", "utf8", "none")
        short = utf8 and hasattr(stream, "flush") and not (self._binary or self._flushes)
        self._aimed = (stream, mark, short)
        return mark, short

    def _write(self, stream: Any, line: bytes | str) -> None:
        if self._binary:
            stream.write(line if isinstance(line, bytes) else line.encode())
        else:
            text = line.decode() if isinstance(line, bytes) else line
            try:
                stream.write(text)
            except UnicodeEncodeError:  # an ASCII terminal: better escaped than lost
                stream.write(text.encode("ascii", "backslashreplace").decode())
        if self._flushes:
            self.flush()
        else:
            flush = getattr(stream, "flush", None)
            if flush is not None:
                flush()

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text, without the terminator."""
        formatter = self.formatter
        if formatter is None:
            line = self._chain.line_of(record)
            text = line.decode() if isinstance(line, bytes) else line or ""
            return text.removesuffix("\n")
        if isinstance(formatter, Formatter):
            return formatter.format(record)
        if self._named[0] is not formatter:
            self._named = (formatter, named_in(formatter))
        return formatter.format(with_context(record, self._named[1]))

    def __repr__(self) -> str:
        name = getattr(self.stream, "name", "")
        return f"<{type(self).__name__} {name} ({logging.getLevelName(self.level)})>"


def narrow(chosen: logging.Filter) -> None:
    """Put a filter in front of every handler of ours, also those to come."""
    _narrow.append(chosen)
    for handler in _all():
        handler.addFilter(chosen)


def widen(chosen: logging.Filter) -> None:
    """Take a filter away from wherever :func:`narrow` has put it."""
    _narrow.remove(chosen)
    for handler in _all():
        handler.removeFilter(chosen)


def _all() -> list[Handler]:
    return [found for one in _living.valuerefs() if (found := one()) is not None]


def will_write(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Return whether a handler is, or leads to, a :class:`Handler` that will write a record."""
    if record.levelno < handler.level or not _leads(handler):
        return False
    return not handler.filters or bool(handler.filter(record))


def _leads(handler: object) -> bool:
    if isinstance(handler, Handler):
        return True
    target = getattr(handler, "target", None)  # MemoryHandler
    if isinstance(target, logging.Handler):
        return _leads(target)
    listener = getattr(handler, "listener", None)  # QueueHandler, from 3.12 and dictConfig
    return any(_leads(one) for one in getattr(listener, "handlers", None) or ())
