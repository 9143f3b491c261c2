"""Factory: records stamped where they are made, so that they may be handled anywhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ctxlog.stamps import ATTRIBUTE, stamp_now
from ctxlog.tracebacks import resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Stamping:
    """A record factory in front of another one; see :func:`stamp_records`."""

    def __init__(self, before: Callable[..., logging.LogRecord]) -> None:
        self.before = before
        self.active = True

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Make a record as the factory before does, and stamp it."""
        record = self.before(*args, **kwargs)
        # `makeLogRecord` asks for a record without a name: it was made elsewhere
        if self.active and record.name is not None and ATTRIBUTE not in record.__dict__:
            try:
                error = resolve(record.exc_info) if record.exc_info else None
                record.__dict__[ATTRIBUTE] = stamp_now(error)
            except Exception:  # noqa: BLE001 - a record without a stamp is better than none
                return record
        return record


class Undo:
    """What :func:`stamp_records` returns: call it, or leave the block, to undo it."""

    def __init__(self, factory: Stamping) -> None:
        self._factory = factory

    def __call__(self) -> None:
        """Take the factory out if it is outermost, else make it do nothing."""
        self._factory.active = False
        if logging.getLogRecordFactory() is self._factory:
            logging.setLogRecordFactory(self._factory.before)

    def __enter__(self) -> Undo:  # noqa: PYI034 - nobody subclasses it
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self()


def stamp_records() -> Undo:
    """Stamp every ``logging`` record with the context in which it is made.

    Then records that are handled on another thread or in another process (``QueueHandler``,
    sockets) keep their context, whoever's queue it is. What is added is one attribute with a
    leading underscore that pickles to builtins. The factory that was there still makes the records;
    records from ``logging.makeLogRecord`` (received from elsewhere) are left alone. Calling it
    twice is no error.

    Returns:
        what undoes it, by a call or as a context manager.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> undo = stamp_records()
        >>> with scope(request_id="r-1"):
        ...     record = logging.getLogRecordFactory()("shop", 20, "", 0, "x", (), None)
        >>> record._ctxlog.context.values
        {'request_id': 'r-1'}
        >>> undo()
    """
    known = logging.getLogRecordFactory()
    if isinstance(known, Stamping) and known.active:
        return Undo(known)
    factory = Stamping(known)
    logging.setLogRecordFactory(factory)
    return Undo(factory)
