"""Detached: work that outlives the request that started it.

A pool, a client or a worker task made lazily by the first request would keep that request's ids
(and whatever else its context holds) for ever. Two things make it right:

* start it with :func:`run_detached`: it begins with nothing;
* let each piece of its work be an entry of its own, ``entry(link=…)``: new ids, and the line says
  what it is linked to.

>>> import ctxlog
>>> def work():
...     return ctxlog.get_context()
>>> with ctxlog.scope(request_id="r-1"):
...     run_detached(work)
{}
"""

from __future__ import annotations

from contextvars import Context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


def run_detached(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function`` in an empty context: no fields, no span, nobody's variables.

    What it starts (threads, tasks, timers, pools) starts from there, also under
    :func:`~ctxlog.propagation.install`. Nothing of the caller's context is kept alive by it. A
    coroutine it returns runs there, too, whoever awaits it.

    Example:
        >>> import asyncio
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> async def worker():
        ...     return get_context()
        >>> async def request():
        ...     with scope(request_id="r-1"):
        ...         return await run_detached(asyncio.create_task, worker())
        >>> asyncio.run(request())
        {}
    """
    context = Context()
    result: Any = context.run(function, *args, **kwargs)
    if type(result) is CoroutineType:  # its body has yet to run
        result = _awaited(_Inside(context, result))
    return cast("R", result)


class _Inside:
    """A coroutine whose every step runs in a context of its own, in whatever loop awaits it."""

    __slots__ = ("_context", "_coroutine")

    def __init__(self, context: Context, coroutine: CoroutineType[Any, Any, Any]) -> None:
        self._context = context
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        run, coroutine = self._context.run, self._coroutine
        step: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                waited = run(step, value)
            except StopIteration as stop:
                return stop.value
            finally:
                value = None  # an exception kept here would keep this frame, and so itself
            try:
                step, value = coroutine.send, (yield waited)
            except GeneratorExit:
                run(coroutine.close)
                raise
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's, cancellation too
                step, value = coroutine.throw, error


async def _awaited(inside: _Inside) -> Any:
    return await inside
