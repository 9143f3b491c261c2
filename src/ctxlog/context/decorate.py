"""Decorating: each call of a function in a scope of its own, each step of a generator in its frame.

Generators are in :mod:`ctxlog.context.steps`. The kinds are told apart by code flags, as
:mod:`inspect` does, without importing it.
"""

from __future__ import annotations

import sys

from ctxlog.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType as FunctionType  # noqa: PLC0414 - others take it from here
    from typing import Any, ParamSpec, TypeVar

    from ctxlog.context.steps import Enterable

    P = ParamSpec("P")
    R = TypeVar("R")


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


def hides_coroutine(function: object) -> bool:
    """Say whether a plain function was made of a coroutine function, as :func:`functools.wraps` says.

    What it returns is then nearly always that one's coroutine, whose body has yet to run.
    """
    for _ in range(_DEPTH):
        if type(function) is not FunctionType or not function.__dict__:
            return False
        function = function.__dict__.get("__wrapped__")
        if kind_of(function) is COROUTINE:
            return True
    return False


_DEPTH = 16  # of decorators looked through


def decorate(
    function: Callable[P, R], make: Callable[[], Enterable], *, only_call: bool = False
) -> Callable[P, R]:
    """Return ``function`` with each call run in ``make()``, whatever kind of function it is.

    Raises:
        UsageError: ``function`` cannot be called, or is a class, a static or a class method; or is
            what :func:`contextlib.contextmanager` made: the scope would end before its block begins.

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
    if not only_call and _makes_a_block(function):  # who asks for the call alone gets that
        message = (
            f"a scope above @contextmanager ends before the block begins:"
            f" put it below, on the generator {function.__name__}"
        )
        raise UsageError(message)
    from functools import update_wrapper  # here: `import ctxlog.context` stays small

    kind = kind_of(function)
    if kind is PLAIN and not only_call and hides_coroutine(function):
        from ctxlog.context import steps  # here: few things are

        wrapper = steps.of_call(function, make)
    elif kind is PLAIN:
        wrapper = _plain(function, make)
    elif kind is COROUTINE:
        wrapper = _coroutine(function, make)
    else:
        from ctxlog.context import steps  # here: few things are generators

        wrap = steps.of_generator if kind is GENERATOR else steps.of_async_generator
        wrapper = wrap(function, make)
    if not hasattr(function, "__name__"):  # a partial, an object: called as what it calls
        wrapper.__name__ = getattr(getattr(function, "func", None), "__name__", "in_scope")
    update_wrapper(wrapper, function)
    return wrapper


def _makes_a_block(function: object) -> bool:
    """Say whether contextlib's ``contextmanager`` or ``asynccontextmanager`` has made it."""
    return (
        type(function) is FunctionType
        and function.__code__.co_name == "helper"
        and function.__globals__.get("__name__") == "contextlib"
    )


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
