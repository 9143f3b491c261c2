"""Wrappers: what stands in for private functions of kopf. Each is guarded by itself.

=====================================  ============================================================
``processing.process_resource_event``  an event's whole handling: an entry, with kopf's own lines
``execution.execute_handler_once``     one handler with what kopf says of it: an entry, or its share
                                       of the event's
``invocation.invoke``                  the handler's function: the closing line, and the entry if
                                       the one above is missing
``daemons._runner``                    a daemon's or timer's life: a new root, linked
``daemons.stop_daemon``                what kopf says of one as the operator stops or pauses
``admission.serve_admission_request``  the answer to an admission request: an entry, with its ids
=====================================  ============================================================

Whatever goes wrong on our side, kopf's function is called as if we were not there.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ctxlog.adapters.kopf import posting, root
from ctxlog.adapters.kopf.processes import settings_for
from ctxlog.adapters.kopf.units import (
    GONE,
    Cycle,
    Handling,
    Review,
    entry_of_daemon,
    handling_of,
)
from ctxlog.context.fields import CURRENT
from ctxlog.context.snapshot import Snapshot, snapshot
from ctxlog.counting import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager

    from ctxlog.adapters.kopf.state import State

    Original = Callable[..., Coroutine[Any, Any, Any]]

#: What a daemon or timer that runs is under, by its task.
_lives: WeakKeyDictionary[Any, Snapshot] = WeakKeyDictionary()


def _made(make: Callable[..., Any], *args: Any) -> AbstractContextManager[Any]:
    """Return the block that ``make`` returns; one that does nothing if it cannot be made."""
    try:
        block: AbstractContextManager[Any] = make(*args)
    except Exception:  # noqa: BLE001 - an operator must not stop because of its lines
        counters.add("errors.kopf")
        return nullcontext()
    return block


def _tell(handling: Handling, error: BaseException) -> None:
    try:
        handling.failed(error)
    except Exception:  # noqa: BLE001 - it must not replace the handler's own
        counters.add("errors.kopf")


def around_event(original: Original, state: State) -> Original:
    """Wrap the handling of one event."""

    async def process_resource_event(*args: Any, **kwargs: Any) -> Any:
        if not state.active:
            return await original(*args, **kwargs)
        posting.remember(kwargs.get("event_queue"))
        block: Any = _made(Cycle, kwargs.get("raw_event"), kwargs.get("resource"), state.annotation)
        try:
            with block:
                return await original(*args, **kwargs)
        finally:
            block.body = GONE  # daemons, tasks and timers hold the block, some of them for months

    return process_resource_event


def around_handler(original: Original, state: State) -> Original:
    """Wrap one handler, with what kopf logs of it."""

    async def execute_handler_once(*args: Any, **kwargs: Any) -> Any:
        if not state.active:
            return await original(*args, **kwargs)
        retry = getattr(kwargs.get("state"), "retries", None)
        cause, handler = kwargs.get("cause"), kwargs.get("handler")
        with _made(handling_of, cause, handler, retry, state.annotation) as handling:
            outcome = await original(*args, **kwargs)
            if handling is not None:
                handling.outcome = outcome
            return outcome

    return execute_handler_once


def around_function(original: Original, state: State) -> Original:
    """Wrap the call of a handler's function."""

    async def invoke(fn: Any, *args: Any, **kwargs: Any) -> Any:
        if not state.active:
            return await original(fn, *args, **kwargs)
        root.keep()
        cause = kwargs.get("kwargsrc")
        if "settings" in kwargs:
            kwargs["settings"] = settings_for(kwargs["settings"], cause)
        handling = CURRENT.get().owner
        if type(handling) is not Handling or handling.running:
            if state.handlers:  # it could not be made
                return await original(fn, *args, **kwargs)
            handler = None if state.handler_var is None else state.handler_var.get(None)
            retry = (kwargs.get("kwargs") or {}).get("retry")
            with _made(handling_of, cause, handler, retry, state.annotation) as made:
                return await (original if made is None else invoke)(fn, *args, **kwargs)
        handling.running = True
        try:
            result = await original(fn, *args, **kwargs)
        except BaseException as error:
            _tell(handling, error)
            raise
        handling.returned()
        return result

    return invoke


def around_daemon(original: Original, state: State) -> Original:
    """Wrap the life of a daemon or timer."""

    async def runner(*args: Any, **kwargs: Any) -> Any:
        if not state.active:
            return await original(*args, **kwargs)
        with _made(entry_of_daemon, kwargs.get("cause"), kwargs.get("handler")):
            task = asyncio.current_task()
            if task is not None:
                _lives[task] = snapshot()
            return await original(*args, **kwargs)

    return runner


def around_stop(original: Original, state: State) -> Original:
    """Wrap the stopping of a daemon by what handles no event: its own context holds there."""

    async def stop_daemon(*args: Any, **kwargs: Any) -> Any:
        task = getattr(kwargs.get("daemon"), "task", None)
        life = _lives.get(task) if isinstance(task, asyncio.Task) else None
        if not state.active or life is None:
            return await original(*args, **kwargs)
        with life.scope():
            return await original(*args, **kwargs)

    return stop_daemon


def around_review(original: Original, state: State) -> Original:
    """Wrap the answer to one admission request."""

    async def serve_admission_request(request: Any, *args: Any, **kwargs: Any) -> Any:
        if not state.active:
            return await original(request, *args, **kwargs)
        with _made(Review, request, kwargs.get("headers")):
            return await original(request, *args, **kwargs)

    return serve_admission_request
