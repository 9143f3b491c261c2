"""Wrapped: a callable under captured context, whenever and wherever it is called."""

from __future__ import annotations

import sys
from contextvars import copy_context

from ctxlog.context.accessors import TABLE, capture, replace_carried
from ctxlog.context.captured import RUN, Captured, SnapshotScope, context_of, remember_here
from ctxlog.context.decorate import COROUTINE, PLAIN, decorate, hides_coroutine, kind_of
from ctxlog.context.fields import CURRENT, Frame
from ctxlog.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context
    from typing import Any

    from ctxlog.context.accessors import Carried

_current = CURRENT.get
_set_current = CURRENT.set
_modules = sys.modules


def _called(
    frame: Frame, carried: Carried, target: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Call ``target`` in a copy of a context: what is set here is never left, the copy ends."""
    _set_current(frame)
    if carried or len(_modules) != TABLE.quiet:
        replace_carried(carried)
    try:
        return target(*args, **kwargs)
    except BaseException as error:
        remember_here(error)
        raise


class Wrapped:
    """A callable under a snapshot; it compares and hashes as the function it wraps.

    It has the attributes of that function, binds to instances as it does, and is wrapped when a
    bound one is looked up.
    """

    __slots__ = ("__weakref__", "__wrapped__", "_carried", "_frame", "_target")

    def __init__(
        self,
        function: Callable[..., Any],
        target: Callable[..., Any],
        frame: Frame,
        carried: Carried,
    ) -> None:
        self.__wrapped__ = function
        self._target = target
        self._frame = frame
        self._carried = carried

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it under the snapshot."""
        context = copy_context()  # by its name: a dump of who does what finds it on the stack
        return context.run(_called, self._frame, self._carried, self._target, args, kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        bind = getattr(type(self.__wrapped__), "__get__", None)
        if bind is None:  # a builtin, a partial, an object: no method
            return self
        bound = bind(self.__wrapped__, instance, owner)
        return under(bound, self.captured())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Wrapped):
            other = other.__wrapped__
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __getattr__(self, name: str) -> Any:
        if name in Wrapped.__slots__:  # not there yet: it is being copied
            raise AttributeError(name)
        try:
            return getattr(self.__wrapped__, name)
        except AttributeError:
            # inspect tells the kind of a callable that is no function by these, if it has them all
            if name in _FUNCTION and self._target is not self.__wrapped__:
                return getattr(self._target, name)
            raise

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        from ctxlog.context import travel

        return _rewrapped, (self.__wrapped__, *travel.pickled(self.captured()))

    def captured(self) -> Captured:
        """Return what it runs under."""
        return Captured(self._frame.fields, self._carried)

    def __repr__(self) -> str:
        return f"<{self.__wrapped__!r} under <snapshot {', '.join(self._frame.fields.values)}>>"


_FUNCTION = frozenset({"__name__", "__code__", "__defaults__", "__kwdefaults__", "__annotations__"})


class WrappedCoroutine(Wrapped):
    """A coroutine function under a snapshot: its body runs there, not only the call."""

    __slots__ = ()

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call and await it under the snapshot."""
        return await self._target(*args, **kwargs)


class WrappedWhole(Wrapped):
    """A function under a snapshot of everything: each call in a copy of that whole context."""

    __slots__ = ("_everything",)

    _everything: Context

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it under the snapshot."""
        run = context_of(self.captured()).run
        try:
            return run(self._target, *args, **kwargs)
        except BaseException as error:
            run(remember_here, error)
            raise

    def captured(self) -> Captured:
        """Return what it runs under."""
        return Captured(self._frame.fields, self._carried, self._everything)


def run_under(frame: Frame, carried: Carried, function: Callable[[], Any]) -> Any:
    """Call ``function`` in a copy of the context of here with these replaced: a job, unwrapped.

    With nothing carried this is a fifth faster than going through :func:`_called`.
    """
    context = copy_context()  # by its name, as in Wrapped
    context.run(_set_current, frame)
    if carried or len(_modules) != TABLE.quiet:
        context.run(replace_carried, carried)  # never left: the copy ends with the call
    try:
        return context.run(function)
    except BaseException as error:
        context.run(remember_here, error)
        raise


def run_bare(frame: Frame, function: Callable[[], Any]) -> Any:
    """Call ``function`` as :func:`run_under` does where nothing was carried when it was handed on.

    The commonest job by far: an argument and a look at the modules less, a tenth of its time. What
    was loaded since then was never entered in a worker: its jobs run in copies.
    """
    context = copy_context()  # by its name, as in Wrapped
    context.run(_set_current, frame)
    if not TABLE.quiet:  # somebody has registered or woken since
        context.run(replace_carried, ())
    try:
        return context.run(function)
    except BaseException as error:
        context.run(remember_here, error)
        raise


def alone(frame: Frame) -> Frame:
    """Return a frame's fields in a frame without what is below, the same for all its jobs."""
    frame.alone = Frame(frame.fields, None, RUN)
    return frame.alone


def under_now(function: Callable[..., Any]) -> Wrapped:
    """Return ``function`` under the context of now, whatever kind it is: only the call itself.

    Raises:
        UsageError: ``function`` cannot be called.
    """
    if not callable(function):
        message = f"a job is a callable, not {type(function).__name__}"
        raise UsageError(message)
    return Wrapped(function, function, Frame(_current().fields, None, RUN), capture())


def _rewrapped(
    function: Callable[..., Any], data: bytes, parts: Mapping[str, bytes]
) -> Callable[..., Any]:
    from ctxlog.context import travel

    wrapped: Callable[..., Any] = under(function, Captured(*travel.arrived(data, parts)))
    return wrapped


def under(function: Any, captured: Captured) -> Any:
    """Return ``function`` under what was captured: each call, step, or body of it.

    Raises:
        UsageError: ``function`` cannot be called.
    """
    if not callable(function):
        message = f"wrap takes a callable, not {type(function).__name__}"
        raise UsageError(message)
    kind = kind_of(function)
    frame, carried = Frame(captured.fields, None, RUN), captured.carried
    if kind is PLAIN and captured.everything is not None:
        whole = WrappedWhole(function, function, frame, carried)
        whole._everything = captured.everything  # noqa: SLF001 - its own class
        return whole
    if kind is PLAIN and not hides_coroutine(function):
        return Wrapped(function, function, frame, carried)
    target = decorate(function, lambda: SnapshotScope(captured))
    return (WrappedCoroutine if kind is COROUTINE else Wrapped)(function, target, frame, carried)
