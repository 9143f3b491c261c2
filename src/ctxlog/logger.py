"""Logger: late-bound, typed, with the methods of structlog's filtering logger.

A logger made at import holds a name and its own fields, nothing of the configuration: what
``configure`` or ``set_level`` change later holds for every logger there is. Below its level a
method costs a comparison and ``return None``.
"""

from __future__ import annotations

import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ctxlog.assembly import stack_of
from ctxlog.context.fields import Fields, policy
from ctxlog.context.snapshot import Snapshot
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.freezing import freeze_fields
from ctxlog.levels import ERROR, parse
from ctxlog.processors import CALLER, CallSite
from ctxlog.runtime import Channel, runtime
from ctxlog.tracebacks import resolve
from ctxlog.walk import unused

if TYPE_CHECKING:
    from collections.abc import Mapping

_runtime = runtime


class BoundLogger:
    """A named logger with fields of its own, which stand above the context's.

    Made by :func:`get_logger`. Events take ``%`` arguments, as in :mod:`logging`; one dict serves
    ``%(name)s``. Three field names have a meaning: ``exc_info``, ``stack_info``, ``stacklevel``.
    The methods with an ``a`` in front do the work in the loop's default executor.

    Attributes:
        name: the logger's name.
        fields: the logger's own fields, ``None`` without any.
        pinned: the snapshot lines are written under, see :meth:`using`.
    """

    __slots__ = ("_channel", "fields", "name", "pinned")

    def __init__(
        self, channel: Channel, fields: Fields | None = None, pinned: Snapshot | None = None
    ) -> None:
        self._channel = channel
        self.name = channel.name
        self.fields = fields
        self.pinned = pinned

    # -- making other loggers -------------------------------------------------------------------

    def bind(self, fields: Mapping[str, object] | None = None, /, **more: object) -> BoundLogger:
        """Return a logger with these fields on top of its own.

        Raises:
            UsageError: ``fields`` is not a mapping.

        Example:
            >>> get_logger("shop").bind(cart=7).bind({"user.id": 3}).fields.values
            {'cart': 7, 'user.id': 3}
        """
        own = {} if self.fields is None else self.fields.values
        return BoundLogger(
            self._channel, Fields({**own, **freeze_fields(fields, more)}), self.pinned
        )

    def new(self, fields: Mapping[str, object] | None = None, /, **more: object) -> BoundLogger:
        """Return a logger with these fields instead of its own.

        Example:
            >>> get_logger("shop").bind(cart=7).new(user=3).fields.values
            {'user': 3}
        """
        return BoundLogger(self._channel, Fields(freeze_fields(fields, more)), self.pinned)

    def unbind(self, *keys: str) -> BoundLogger:
        """Return a logger without these fields.

        Raises:
            KeyError: one of them is not bound, as structlog does.
        """
        own = {} if self.fields is None else self.fields.values
        for key in keys:
            if key not in own:
                raise KeyError(key)
        return self.try_unbind(*keys)

    def try_unbind(self, *keys: str) -> BoundLogger:
        """Return a logger without these fields; one that is not bound is no error."""
        own = {} if self.fields is None else self.fields.values
        left = {name: value for name, value in own.items() if name not in keys}
        return BoundLogger(self._channel, Fields(left) if left else None, self.pinned)

    def using(self, snapshot: Snapshot) -> BoundLogger:
        """Return a logger whose lines carry ``snapshot``'s context, wherever they are written.

        Raises:
            UsageError: ``snapshot`` is no snapshot.

        Example:
            >>> from ctxlog.context.scope import scope
            >>> from ctxlog.context.snapshot import snapshot
            >>> with scope(request_id="r-1"):
            ...     taken = snapshot()
            >>> get_logger("shop").using(taken).pinned is taken
            True
        """
        given: object = snapshot  # the caller may not be type-checked
        if not isinstance(given, Snapshot):
            raise UsageError(f"using() takes a snapshot, not {type(given).__name__}")
        return BoundLogger(self._channel, self.fields, snapshot)

    def __copy__(self) -> BoundLogger:
        return self  # it never changes

    def __deepcopy__(self, memo: object) -> BoundLogger:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        own = None if self.fields is None else self.fields.values
        return _remade, (self.name, own, self.pinned)

    def __repr__(self) -> str:
        own = "" if self.fields is None else f" {', '.join(self.fields.values)}"
        return f"<logger {self.name}{own}>"

    # -- levels ---------------------------------------------------------------------------------

    def is_enabled_for(self, level: int | str) -> bool:
        """Return whether a line of this level would be written.

        Raises:
            UsageError: the level is unknown.
        """
        number = level if type(level) is int else parse(level)
        if _runtime.pipeline is None:
            import logging

            return logging.getLogger(self.name).isEnabledFor(number)
        return number >= self._channel.threshold

    def get_effective_level(self) -> int:
        """Return the number of the lowest level that is written."""
        if _runtime.pipeline is None:
            import logging

            return logging.getLogger(self.name).getEffectiveLevel()
        return self._channel.threshold

    # -- lines ----------------------------------------------------------------------------------
    # The numbers are spelled out: a name costs a look-up on every disabled line.

    def debug(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``debug``."""
        if self._channel.threshold > 10:  # noqa: PLR2004 - see above
            return None
        return _runtime.emit(self, 10, event, args, fields)

    def info(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``info``."""
        if self._channel.threshold > 20:  # noqa: PLR2004 - see above
            return None
        return _runtime.emit(self, 20, event, args, fields)

    def warning(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``warning``."""
        if self._channel.threshold > 30:  # noqa: PLR2004 - see above
            return None
        return _runtime.emit(self, 30, event, args, fields)

    def error(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``error``."""
        if self._channel.threshold > 40:  # noqa: PLR2004 - see above
            return None
        return _runtime.emit(self, 40, event, args, fields)

    def critical(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``critical``."""
        if self._channel.threshold > 50:  # noqa: PLR2004 - see above
            return None
        return _runtime.emit(self, 50, event, args, fields)

    def log(self, level: int | str, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at a level given by number or name.

        A level that is unknown does not raise: the line goes out at ``error`` and says so.

        Raises:
            UsageError: the level is unknown, and ``strict`` is set.
        """
        number = level if type(level) is int else _number(level, fields)
        if self._channel.threshold > number:
            return None
        return _runtime.emit(self, number, event, args, fields)

    def exception(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``error`` with the exception being handled."""
        fields.setdefault("exc_info", True)
        return self.error(event, *args, **fields)

    warn = warning
    err = error
    fatal = critical
    msg = info

    # -- lines, from coroutines -----------------------------------------------------------------

    async def alog(
        self, level: int | str, event: object = None, /, *args: Any, **fields: Any
    ) -> None:
        """Write a line at a level given by number or name, in the loop's default executor.

        An unknown level is taken as in :meth:`log`. Without an executor that takes work (the loop
        is shutting down) the line is written at once.
        """
        number = level if type(level) is int else _number(level, fields)
        if self._channel.threshold > number:
            return
        # what belongs to this place is looked up here; over there it is another
        if fields.get("exc_info"):
            fields["exc_info"] = resolve(fields["exc_info"])
        if fields.get("stack_info"):
            fields["stack_info"] = stack_of(fields["stack_info"])
        token = CALLER.set(CallSite().find(fields.get("stacklevel", 1)))
        try:
            context = copy_context()
        finally:
            CALLER.reset(token)

        def write() -> None:
            context.run(_runtime.emit, self, number, event, args, fields)

        import asyncio  # here: who uses no coroutines does not load it

        try:
            written = asyncio.get_running_loop().run_in_executor(None, write)
        except RuntimeError:
            write()
        else:
            await written

    async def adebug(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``debug`` in the loop's default executor."""
        await self.alog(10, event, *args, **fields)

    async def ainfo(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``info`` in the loop's default executor."""
        await self.alog(20, event, *args, **fields)

    async def awarning(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``warning`` in the loop's default executor."""
        await self.alog(30, event, *args, **fields)

    async def aerror(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``error`` in the loop's default executor."""
        await self.alog(40, event, *args, **fields)

    async def acritical(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``critical`` in the loop's default executor."""
        await self.alog(50, event, *args, **fields)

    async def aexception(self, event: object = None, /, *args: Any, **fields: Any) -> None:
        """Write a line at level ``error`` with the exception being handled."""
        fields.setdefault("exc_info", sys.exception())
        await self.alog(40, event, *args, **fields)

    awarn = awarning
    afatal = acritical
    amsg = ainfo


def _number(level: object, fields: dict[str, Any]) -> int:
    try:
        return parse(level)
    except UsageError as error:
        if policy.strict:
            raise
        counters.add("errors.level")
        fields[unused("level_error", fields)] = str(error)
        return ERROR


def _remade(name: str, fields: Mapping[str, object] | None, pinned: Snapshot | None) -> BoundLogger:
    made = get_logger(name, fields)
    return made if pinned is None else made.using(pinned)


def get_logger(
    name: str | None = None, fields: Mapping[str, object] | None = None, /, **more: object
) -> BoundLogger:
    """Return a logger; call it at import, before ``configure``: nothing is fixed by it.

    Args:
        name: usually ``__name__``; levels go by its longest dotted prefix. ``None`` is ``"root"``.
        fields: the logger's own fields; they stand above the context's.
        more: fields by keyword.

    Raises:
        UsageError: the name is no text, or ``fields`` no mapping.

    Example:
        >>> get_logger("shop.cart", component="cart")
        <logger shop.cart component>
    """
    if name is not None and not isinstance(name, str):
        raise UsageError(f"a logger's name is text, not {type(name).__name__}")
    own = freeze_fields(fields, more)
    text = str.__str__(name) if name else "root"  # a subclass may hash as it likes
    return BoundLogger(runtime.channel(text), Fields(own) if own else None)
