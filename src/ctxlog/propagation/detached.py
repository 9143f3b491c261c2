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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


def run_detached(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function`` in an empty context: no fields, no span, nobody's variables.

    What it starts (threads, tasks, timers, pools) starts from there, also under
    :func:`~ctxlog.propagation.install`. Nothing of the caller's context is kept alive by it.

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
    return Context().run(function, *args, **kwargs)
