"""Posting: kopf's events for an object, from wherever they are put, under the context of who put them.

kopf finds the queue of its poster in ContextVars (kopf#676). They travel in our snapshots; in a
thread without one, the queue of the only operator that runs in this process is taken. The poster
works for all objects: an event's reference takes the context through the queue.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import nullcontext, suppress
from contextvars import Token
from typing import TYPE_CHECKING, Any

from ctxlog.context.accessors import MISSING, register_accessor, unregister_accessor
from ctxlog.context.fields import CURRENT
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import snapshot
from ctxlog.counting import counters
from ctxlog.kubernetes.identity import REF, identify

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import ContextVar

    from ctxlog.adapters.kopf.state import State
    from ctxlog.context.snapshot import Snapshot

#: kopf's variables that posting needs.
VARIABLES = ("event_queue_var", "event_queue_loop_var", "settings_var")
_queues: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_ended: weakref.WeakSet[Any] = weakref.WeakSet()
_latest: Callable[[], Any] = type(None)


def remember(queue: Any) -> None:
    """Remember an operator's queue, and the loop that reads it, while it runs."""
    global _latest  # noqa: PLW0603 - asked at each event: nearly always the same
    if queue is None or queue is _latest():
        return
    with suppress(TypeError, RuntimeError):  # another version's may not be held weakly
        _latest = weakref.ref(queue)
        if queue not in _queues and queue not in _ended:
            _queues[queue] = weakref.ref(asyncio.get_running_loop())


def forget(queue: Any) -> None:
    """Forget the queue of an operator that has ended: whatever holds it, nobody reads it."""
    with suppress(TypeError):
        _ended.add(queue)
        _queues.pop(queue, None)


def around_poster(
    original: Callable[..., Coroutine[Any, Any, Any]], state: State
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Wrap what reads an operator's queue for as long as it runs."""

    async def poster(*args: Any, **kwargs: Any) -> Any:
        queue = kwargs.get("event_queue")
        if state.active:
            remember(queue)
        try:
            return await original(*args, **kwargs)
        finally:
            forget(queue)

    return poster


def only() -> tuple[Any, Any] | None:
    """Return the queue and the loop of the operator that runs, if there is exactly one."""
    alive = []
    for queue, loop_of in list(_queues.items()):
        loop = loop_of()
        if loop is not None and not loop.is_closed():
            alive.append((queue, loop))
    return alive[0] if len(alive) == 1 else None


class Reference(dict[str, Any]):
    """A reference to the object that an event is about, with the context of who put the event."""

    __slots__ = ("origin",)

    origin: Snapshot

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy is kopf's own: it is sent

    @classmethod
    def of(cls, ref: Any) -> Reference:
        """Return a reference with the context of here; where that has no object, this is the one."""
        made = cls(ref)
        with nullcontext() if REF in CURRENT.get().fields.values else scope(identify(ref)):
            made.origin = snapshot()
        return made


def around_post(
    original: Callable[..., Coroutine[Any, Any, Any]], state: State
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Wrap the posting of one event."""

    async def post_event(*args: Any, **kwargs: Any) -> Any:
        ref = kwargs.get("ref")
        if not state.active or type(ref) is not Reference:
            return await original(*args, **kwargs)
        with ref.origin.scope():
            return await original(*args, **kwargs)

    return post_event


def around_enqueue(original: Callable[..., None], posting: Any) -> Callable[..., None]:
    """Wrap kopf's own function that puts an event into the queue."""

    def enqueue(*args: Any, **kwargs: Any) -> None:
        if type(kwargs.get("ref")) is dict:
            kwargs["ref"] = Reference.of(kwargs["ref"])
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


class Posting:
    """An accessor: kopf's variables travel in snapshots, and stay where an entry begins.

    They are the operator's, not a piece of work's: a handler finds them as kopf has set them.
    """

    name = "kopf.posting"
    stays = True

    def __init__(self, posting: Any) -> None:
        self._vars: list[ContextVar[Any]] = [getattr(posting, name) for name in VARIABLES]

    def capture(self) -> Any:
        """Return the values, :data:`MISSING` where there is no operator's queue."""
        values = [var.get(None) for var in self._vars]
        return MISSING if values[0] is None else values

    def enter(self, value: Any) -> Any:
        """Set them, and return how each goes back to what it was."""
        values = (None, None, None) if value is MISSING else value
        return [
            (var, var.set(value))
            for var, value in zip(self._vars, values, strict=True)
            if value is not None
        ]

    def leave(self, undo: Any) -> None:
        """Put back what was there, also that there was nothing: another operator may come next."""
        for var, token in undo:
            try:
                var.reset(token)
            except (ValueError, RuntimeError):  # in a copy of where it was entered, or left before
                before = token.old_value
                var.set(None if before is Token.MISSING else before)

    def dump(self, value: Any, replaced: object) -> None:
        """Return nothing: an operator's queue has no place in another process."""

    def load(self, data: object) -> Any:
        """Return that there is none."""
        return MISSING


def carry(posting: Any) -> None:
    """Let kopf's variables travel in snapshots."""
    register_accessor(Posting(posting))


def drop() -> None:
    """Let them travel no more."""
    unregister_accessor(Posting.name)
