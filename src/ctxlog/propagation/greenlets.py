"""Greenlets: each starts in an empty context; here it gets what was current when it was made.

>>> from greenlet import greenlet
>>> from ctxlog.context.fields import get_context
>>> from ctxlog.context.scope import scope
>>> with scope(a=1):
...     light = carry(greenlet(get_context))
>>> light.switch()
{'a': 1}

gevent: ``carry(gevent.spawn(handle))``, or :func:`spawn`. Its thread pool is an executor for
:func:`ctxlog.propagation.wrap_executor`.
"""

from __future__ import annotations

from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ctxlog.context.snapshot import snapshot
from ctxlog.propagation.jobs import fill

if TYPE_CHECKING:
    from typing import TypeVar

    Light = TypeVar("Light")


def carry(light: Light) -> Light:
    """Let a greenlet that has not started yet run under the context of now; returns it.

    One that has started, or was given a context already, stays as it is.
    """
    given: Any = light
    fresh = given.gr_frame is None and not given.dead  # also of the one that runs now
    if fresh and given.gr_context is None and given is not import_module("greenlet").getcurrent():
        given.gr_context = fill(Context(), snapshot())
    return light


def spawn(function: Any, *args: Any, **kwargs: Any) -> Any:
    """:func:`gevent.spawn` under the context of now."""
    gevent = import_module("gevent")

    return carry(gevent.spawn(function, *args, **kwargs))


def spawn_later(seconds: float, function: Any, *args: Any, **kwargs: Any) -> Any:
    """:func:`gevent.spawn_later` under the context of now."""
    gevent = import_module("gevent")

    return carry(gevent.spawn_later(seconds, function, *args, **kwargs))
