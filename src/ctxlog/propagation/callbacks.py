"""Callbacks: called later, elsewhere, under the context they were registered in.

:func:`ctxlog.wrap` is the way for most: ``signal.signal(SIGTERM, wrap(stop))``,
``atexit.register(wrap(close))``, ``weakref.finalize(thing, wrap(gone))``. What it returns equals
what it wraps, so ``atexit.unregister(close)`` finds it. asyncio captures the context for callbacks
by itself. Here is what needs more than that.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any

from ctxlog.context.decorate import decorate
from ctxlog.context.fields import EMPTY
from ctxlog.context.snapshot import Snapshot, snapshot
from ctxlog.context.wrapped import Wrapped
from ctxlog.propagation.jobs import fill, job

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from contextvars import Context
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


def add_done_callback(future: Any, function: Callable[[Any], object]) -> None:
    """Have ``function`` called with a future once it is done, under the context of now.

    For ``concurrent.futures``, whose callbacks run in the worker; asyncio's need no help.

    Example:
        >>> from concurrent.futures import Future
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> future = Future()
        >>> with scope(a=1):
        ...     add_done_callback(future, lambda done: print(get_context()))
        >>> future.set_result(None)
        {'a': 1}
    """
    future.add_done_callback(job(function))


def call_soon_threadsafe(
    loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: Any
) -> asyncio.Handle:
    """Have ``function`` called by a loop of another thread, under the context of now.

    The loop would copy *all* of this thread's variables, and keep them until then.
    """
    return loop.call_soon_threadsafe(job(function), *args)


def run_coroutine_threadsafe(
    coroutine: Coroutine[Any, Any, R], loop: asyncio.AbstractEventLoop
) -> Future[R]:
    """Run a coroutine as a task of a loop of another thread, under the context of now.

    A copy of *all* variables of this thread goes along, as asyncio does it.
    """
    import asyncio

    return asyncio.run_coroutine_threadsafe(coroutine, loop)


def as_function(function: Callable[P, R]) -> Callable[P, R]:
    """Return ``function`` under the context of now as a true function.

    For registries that take nothing else (pluggy looks with :func:`inspect.isroutine`) or know
    their receivers by identity (blinker: keep what this returns, to disconnect it). Its signature,
    name and marks are those of ``function``.

    Example:
        >>> import inspect
        >>> def hook(config): ...
        >>> inspect.isroutine(as_function(hook)), str(inspect.signature(as_function(hook)))
        (True, '(config)')
    """
    if isinstance(function, Wrapped):
        wrapped = function

        @wraps(function.__wrapped__)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            result: R = wrapped(*args, **kwargs)
            return result

        return called
    return decorate(function, snapshot().scope, only_call=True)


def failed_context(context: dict[str, Any]) -> Context:
    """Return a copy of the context in which the work that a loop reports failed, else an empty one.

    Args:
        context: what asyncio tells an exception handler.
    """
    known = None
    failed: Any = context.get("task") or context.get("future")
    if hasattr(failed, "get_context"):  # from Python 3.12
        known = failed.get_context()
    elif "handle" in context:
        known = getattr(context["handle"], "_context", None)
    return fill(copy_context(), Snapshot(EMPTY)) if known is None else known.copy()


def exception_handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle what nobody caught in a loop: ``loop.set_exception_handler(exception_handler)``.

    The loop's default handler runs under the context of the task or callback that failed; where
    that is not known (a task, before Python 3.12), under none rather than under whichever request
    the garbage collector ran in.
    """
    failed_context(context).run(loop.default_exception_handler, context)
