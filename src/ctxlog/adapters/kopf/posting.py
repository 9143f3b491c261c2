"""Posting: kopf's events for an object from a thread that knows nothing of the operator (kopf#676).

kopf finds the queue of its poster in ContextVars. They travel in our snapshots; in a thread without
one, the queue of the only operator that runs in this process is taken.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ctxlog.context.accessors import unregister_accessor
from ctxlog.context.variables import carry_var
from ctxlog.counting import counters

if TYPE_CHECKING:
    from collections.abc import Callable

#: kopf's variables, and what they are called in a snapshot.
VARIABLES = ("event_queue_loop_var", "event_queue_var", "settings_var")
_queues: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_latest: Callable[[], Any] = type(None)


def remember(queue: Any) -> None:
    """Remember an operator's queue, and the loop that reads it, while it lives."""
    global _latest  # noqa: PLW0603 - asked at each event: nearly always the same
    if queue is None or queue is _latest():
        return
    with suppress(TypeError, RuntimeError):  # another version's may not be held weakly
        _latest = weakref.ref(queue)
        if queue not in _queues:
            _queues[queue] = weakref.ref(asyncio.get_running_loop())


def only() -> tuple[Any, Any] | None:
    """Return the queue and the loop of the operator that runs, if there is exactly one."""
    alive = []
    for queue, loop_of in list(_queues.items()):
        loop = loop_of()
        if loop is not None and not loop.is_closed():
            alive.append((queue, loop))
    return alive[0] if len(alive) == 1 else None


def around_enqueue(original: Callable[..., None], posting: Any) -> Callable[..., None]:
    """Wrap kopf's own function that puts an event into the queue."""

    def enqueue(*args: Any, **kwargs: Any) -> None:
        if posting.event_queue_var.get(None) is not None:
            original(*args, **kwargs)
            return
        found = only()
        if found is None:
            counters.add("kopf.unposted")
            return
        queue, loop = found
        tokens = posting.event_queue_var.set(queue), posting.event_queue_loop_var.set(loop)
        try:
            original(*args, **kwargs)
        finally:
            posting.event_queue_var.reset(tokens[0])
            posting.event_queue_loop_var.reset(tokens[1])

    return enqueue


def carry(posting: Any) -> None:
    """Let kopf's variables travel in snapshots."""
    for name in VARIABLES:
        var = getattr(posting, name, None)
        if var is not None:
            carry_var(var, name=f"kopf.{name}")


def drop() -> None:
    """Let them travel no more."""
    for name in VARIABLES:
        unregister_accessor(f"kopf.{name}")
