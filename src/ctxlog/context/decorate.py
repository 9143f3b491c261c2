"""Decorating: each call of a function in a scope of its own, each step of a generator in its frame.

The kinds are told apart by code flags, as :mod:`inspect` does, without importing it.
"""

from __future__ import annotations

import sys
from contextvars import copy_context

from ctxlog.context.accessors import capture, enter_carried, leave_carried
from ctxlog.context.collector import COLLECTOR
from ctxlog.context.fields import CURRENT, Frame, leave
from ctxlog.context.raised import remember
from ctxlog.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from types import FunctionType as FunctionType  # noqa: PLC0414 - others take it from here
    from types import TracebackType
    from typing import Any, ParamSpec, Protocol, Self, TypeVar

    from ctxlog.context.accessors import Carried, Undo
    from ctxlog.context.fields import Fields

    P = ParamSpec("P")
    R = TypeVar("R")

    class Enterable(Protocol):
        """What a call is run in, made anew for each call: a scope, an entry, a snapshot's scope."""

        def __enter__(self) -> object: ...
        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
            /,
        ) -> object: ...
        def open(self, below: Fields) -> tuple[Fields, Carried]:
            """Return what its frame holds above ``below``, and what else is current there."""
            ...


if not TYPE_CHECKING:  # `types` costs a tenth of the whole import
    FunctionType = type(lambda: None)

# CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR of CPython's code flags
_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200
SPECIAL = _GENERATOR | _COROUTINE | _ITERABLE_COROUTINE | _ASYNC_GENERATOR

PLAIN, GENERATOR, COROUTINE, ASYNC_GENERATOR = "plain", "generator", "coroutine", "async generator"


def kind_of(function: object) -> str:
    """Return what calling ``function`` gives: one of the four kinds above.

    Example:
        >>> async def handler(): ...
        >>> kind_of(handler), kind_of(print)
        ('coroutine', 'plain')
    """
    if type(function) is FunctionType:
        flags = function.__code__.co_flags & SPECIAL
        if not flags:  # most callbacks
            return COROUTINE if function.__dict__ and _is_marked(function) else PLAIN
    else:
        try:
            flags = _flags_of(function)
            if not flags:
                return COROUTINE if _is_marked(function) else PLAIN
        except Exception:  # noqa: BLE001 - an object may raise at any attribute; it can be called
            return PLAIN
    if flags & (_COROUTINE | _ITERABLE_COROUTINE):
        return COROUTINE
    return ASYNC_GENERATOR if flags & _ASYNC_GENERATOR else GENERATOR


def _flags_of(function: object) -> int:
    """Return the code flags of what is no function itself: a method, a partial, an object."""
    target: Any = function
    functools = sys.modules.get("functools")  # nobody can have made a partial without it
    while functools is not None and isinstance(target, functools.partial):
        target = target.func
    code = getattr(target, "__code__", None)
    if code is None:
        call = getattr(type(target), "__call__", None)  # noqa: B004 - its code is wanted
        code = getattr(call, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    return flags & SPECIAL if isinstance(flags, int) else 0


def _is_marked(function: object) -> bool:
    """Say whether a plain function was marked to give a coroutine, in inspect's way or asyncio's.

    Only a library that is loaded can have marked it.
    """
    for module, names in _MARKS.items():
        loaded = sys.modules.get(module)
        for name, mark in names.items():
            if getattr(function, name, None) is getattr(loaded, mark, _NO_MARK):
                return True
    return False


_NO_MARK = object()
_MARKS = {
    # The attribute has one name; what it is set to is called otherwise in 3.12.
    "inspect": {"_is_coroutine_marker": "_is_coroutine_mark"},
    "asyncio.coroutines": {"_is_coroutine": "_is_coroutine"},
}
if sys.version_info < (3, 13):
    _MARKS["inspect"] = {"_is_coroutine_marker": "_is_coroutine_marker"}


def decorate(function: Callable[P, R], make: Callable[[], Enterable]) -> Callable[P, R]:
    """Return ``function`` with each call run in ``make()``, whatever kind of function it is.

    Raises:
        UsageError: ``function`` cannot be called, or is a class, a static or a class method.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> def shout(word):
        ...     return word.upper()
        >>> decorate(shout, lambda: scope(a=1))("hi")
        'HI'
    """
    if not callable(function) or isinstance(function, type | staticmethod | classmethod):
        message = (
            f"a scope decorates functions, coroutine functions and generators,"
            f" not {type(function).__name__}; put it below @staticmethod or @classmethod"
        )
        raise UsageError(message)
    from functools import update_wrapper  # here: `import ctxlog.context` stays small

    wrapper = _WRAPPERS[kind_of(function)](function, make)
    if not hasattr(function, "__name__"):  # a partial, an object: called as what it calls
        wrapper.__name__ = getattr(getattr(function, "func", None), "__name__", "in_scope")
    update_wrapper(wrapper, function)
    return wrapper


def _plain(function: Callable[..., Any], make: Callable[[], Enterable]) -> Callable[..., Any]:
    def in_scope(*args: Any, **kwargs: Any) -> Any:
        with make():
            return function(*args, **kwargs)

    return in_scope


def _coroutine(function: Callable[..., Any], make: Callable[[], Enterable]) -> Callable[..., Any]:
    async def in_scope(*args: Any, **kwargs: Any) -> Any:
        with make():
            return await function(*args, **kwargs)

    return in_scope


def _generator(function: Callable[..., Any], make: Callable[[], Enterable]) -> Callable[..., Any]:
    COLLECTOR.watch()

    def in_scope(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = Steps(make)
        generator = function(*args, **kwargs)
        step: Callable[[Any], Any] = generator.send
        value: Any = None
        try:
            while True:
                try:
                    if COLLECTOR.at_work:  # an abandoned one: its last step leaves this context be
                        item = copy_context().run(_one_step, steps, step, value)
                    else:
                        with steps:
                            item = step(value)
                finally:
                    value = None  # an exception kept here would keep this frame, and so itself
                try:
                    step, value = generator.send, (yield item)
                except BaseException as error:  # noqa: BLE001 - it is the generator's, also its exit
                    step, value = generator.throw, error
        except StopIteration as stop:
            steps.finish(None)
            return stop.value
        except BaseException as error:
            steps.finish(error)
            raise

    return in_scope


def _one_step(steps: Steps, step: Callable[[Any], Any], value: Any) -> Any:
    with steps:
        return step(value)


def _async_generator(
    function: Callable[..., Any], make: Callable[[], Enterable]
) -> Callable[..., Any]:
    async def in_scope(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = Steps(make)
        generator = function(*args, **kwargs)
        step: Callable[[Any], Awaitable[Any]] = _first_step
        value: Any = generator
        try:
            while True:
                try:
                    with steps:
                        item = await step(value)
                finally:
                    value = None  # as above
                try:
                    step, value = generator.asend, (yield item)
                except BaseException as error:  # noqa: BLE001 - it is the generator's, also its exit
                    step, value = generator.athrow, error
        except StopAsyncIteration:
            steps.finish(None)
        except BaseException as error:
            steps.finish(error)
            raise

    return in_scope


def _first_step(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """Return the first step of an async generator that the event loop is not told of.

    The loop closes at shutdown, and finalises, what it was told of: that must be the decorated
    generator, which closes this one in its frames; not both at once, this one in no frame.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


_WRAPPERS = {
    PLAIN: _plain,
    COROUTINE: _coroutine,
    GENERATOR: _generator,
    ASYNC_GENERATOR: _async_generator,
}


class Steps:
    """A block for each step of a generator; between steps the consumer's chain is untouched.

    Each step hangs the generator's own frames on a mark above the consumer's chain of that moment.
    Leaving the mark gives the consumer its chain back, whatever the step entered or left; in a
    foreign context the mark is not found and nothing changes.
    """

    __slots__ = ("_carried", "_mark", "_own", "_scope")

    def __init__(self, make: Callable[[], Enterable]) -> None:
        self._scope = make()
        self._own: list[tuple[Fields, object, Undo]] = []
        self._carried: Carried | None = None

    def __enter__(self) -> Self:
        outer = CURRENT.get()
        if self._carried is None:  # the first step: the scope opens on what the consumer has now
            fields, self._carried = self._scope.open(outer.fields)
            self._own = [(fields, self._scope, ())]
        frame = self._mark = Frame(outer.fields, outer, self, enter_carried(self._carried))
        for fields, owner, undo in self._own:
            frame = Frame(fields, frame, owner, undo)
        CURRENT.set(frame)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            remember(error, CURRENT.get().fields)
        mark, own = self._mark, []
        frame: Frame | None = CURRENT.get()
        while frame is not None and frame is not mark:
            own.append((frame.fields, frame.owner, frame.undo))
            frame = frame.parent
        if frame is None:
            leave(self)  # says that it is not there
            return
        own.reverse()
        self._own = own
        if mark.undo:
            self._carried = capture()
            leave_carried(mark.undo)
        CURRENT.set(mark.parent or frame)

    def finish(self, error: BaseException | None) -> None:
        """Tell what the steps ran in that the generator has ended, if it wants to know."""
        ended = getattr(self._scope, "ended", None)
        if ended is not None:
            ended(error)
