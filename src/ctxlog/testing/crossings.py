"""Crossings: where work was handed to another thread, task or queue, noted while it is watched.

Only while somebody watches: the places are patched on request and put back. What is noted travels
with the work in a ContextVar of its own, so that a line knows the way it came. What the program
binds is neither read for it nor changed.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, copy_context
from threading import Lock
from types import MethodType
from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import CURRENT, Fields
from ctxlog.propagation.jobs import is_machinery
from ctxlog.propagation.patching import Patch
from ctxlog.propagation.queues import Handed
from ctxlog.testing.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    Original = Callable[..., Any]

THREAD, SUBMIT, CALLBACK, TASK, QUEUE = "thread", "submit", "callback", "task", "queue"
#: Steps that are remembered of the way a piece of work has come.
MAX_STEPS = 100
#: Items of one queue that are remembered; one put later than that has no crossing.
MAX_ITEMS = 10_000
_KEY = "_ctxlog_crossing"


class Crossing:
    """One handing-over: what kind, what was called, where, and what was bound there.

    Attributes:
        kind: ``"thread"``, ``"submit"``, ``"callback"``, ``"queue"``; ``"task"`` for what a loop
            takes, context and all.
        name: what was called: ``"ThreadPoolExecutor.submit"``.
        what: what was handed over, in words.
        place: where.
        fields: what was bound there.
        opened: the place where that was bound, if it is known.
        parent: the way the work had come until then.
        taker: for an item of a queue, the way that who took it had come.
    """

    __slots__ = ("fields", "kind", "name", "opened", "parent", "place", "steps", "taker", "what")

    def __init__(self, kind: str, name: str, what: object, depth: int = 3) -> None:
        frame = CURRENT.get()
        self.kind = kind
        self.name = name
        self.what = _named(what)
        self.place = Place.here(depth)
        fields = frame.fields
        if fields.operation is not None:  # what holds an operation keeps it from being abandoned
            fields = Fields(fields.values, fields.ids)
        self.fields: Fields = fields
        self.opened: Place | None = getattr(getattr(frame, "opened", None), "place", None)
        parent = ORIGIN.get()
        self.steps: int = 0 if parent is None else parent.steps + 1
        if self.steps >= MAX_STEPS:  # a job that submits itself again, for ever
            parent, self.steps = None, 0
        self.parent: Crossing | None = parent
        self.taker: Crossing | None = None

    def value(self, name: str) -> object:
        """Return what was bound under a name where the work was handed over."""
        if name in self.fields.values:
            return self.fields.values[name]
        return getattr(self.fields.ids, name, None) if name in ("trace_id", "span_id") else None


#: The way the work that runs here has come.
ORIGIN: ContextVar[Crossing | None] = ContextVar("ctxlog_origin", default=None)


def _named(what: object) -> str:
    for _ in range(10):
        inner = getattr(what, "__wrapped__", None) or getattr(what, "func", None)
        if inner is None:
            break
        what = inner
    name = getattr(what, "__name__", None)
    return name if isinstance(name, str) else type(what).__name__


def task_now() -> str | None:
    """Return the name of the asyncio or trio task that runs here, if one does."""
    asyncio = sys.modules.get("asyncio.events")
    if asyncio is not None:
        loop = asyncio._get_running_loop()  # noqa: SLF001 - `current_task` raises without a loop
        if loop is not None:
            task = sys.modules["asyncio.tasks"].current_task(loop)
            return None if task is None else str(task.get_name())
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return str(trio.lowlevel.current_task().name)
        except (AttributeError, RuntimeError):  # half loaded; no loop runs here
            return None
    return None


class Carried:
    """A callable that remembers where it was handed over; it compares as what it calls."""

    __slots__ = ("__weakref__", "__wrapped__", "_crossing")

    def __init__(self, function: Any, crossing: Crossing) -> None:
        self.__wrapped__ = function
        self._crossing = crossing

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it, knowing the way."""
        token = ORIGIN.set(self._crossing)
        try:
            return self.__wrapped__(*args, **kwargs)
        finally:
            ORIGIN.reset(token)

    def __getattr__(self, name: str) -> Any:
        if name in Carried.__slots__:
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == getattr(other, "__wrapped__", other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)


def _thread_start(original: Original, thread: Any, *args: Any, **kwargs: Any) -> Any:
    if not is_machinery(thread) and thread.ident is None and _KEY not in thread.__dict__:
        what = getattr(thread, "_target", None) or getattr(thread, "function", None) or thread
        name = f"{type(thread).__name__}.start"
        thread.__dict__[_KEY] = (Crossing(THREAD, name, what), thread.__dict__.get("run"))
        thread.run = MethodType(_run, thread)
    return original(thread, *args, **kwargs)


def _run(thread: Any) -> None:
    state = thread.__dict__
    crossing, inner = state.pop(_KEY)
    ORIGIN.set(crossing)
    if getattr(state.get("run"), "__func__", None) is _run:
        if inner is None:
            del state["run"]
        else:
            state["run"] = inner
    if inner is None:
        type(thread).run(thread)
    else:  # somebody else's, on the instance
        inner()


def _submit(original: Original, executor: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    crossing = Crossing(SUBMIT, f"{type(executor).__name__}.submit", fn)
    return original(executor, Carried(fn, crossing), *args, **kwargs)


def _add_done_callback(original: Original, future: Any, fn: Any) -> Any:
    module = getattr(fn, "__module__", None)
    if isinstance(module, str) and module.startswith(("asyncio.", "concurrent.futures.")):
        return original(future, fn)  # they pass results on, no more
    crossing = Crossing(CALLBACK, f"{type(future).__name__}.add_done_callback", fn)
    return original(future, Carried(fn, crossing))


def _create_task(original: Original, loop: Any, coro: Any, **options: Any) -> Any:
    if options.get("context") is None:
        context = options["context"] = copy_context()  # as the loop would
        context.run(ORIGIN.set, Crossing(TASK, "create_task", coro))
    return original(loop, coro, **options)


def _call_soon_threadsafe(
    original: Original, loop: Any, callback: Any, *args: Any, **options: Any
) -> Any:
    if options.get("context") is None and not _is_internal(callback):
        context = options["context"] = copy_context()
        context.run(ORIGIN.set, Crossing(TASK, "call_soon_threadsafe", callback))
    return original(loop, callback, *args, **options)


def _is_internal(callback: Any) -> bool:
    module = getattr(callback, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in ("asyncio", "concurrent")


def _pool_apply(original: Original, pool: Any, func: Any, *args: Any, **options: Any) -> Any:
    from multiprocessing.pool import ThreadPool

    if isinstance(pool, ThreadPool):  # what goes to a process would have to be pickled
        func = Carried(func, Crossing(SUBMIT, "ThreadPool.apply_async", func))
    return original(pool, func, *args, **options)


class _Waiting:
    """Items that are in queues, and who put them; told apart by identity, first in first out."""

    def __init__(self) -> None:
        self._items: dict[tuple[int, int], list[Crossing]] = {}
        self._lock = Lock()
        self._count = 0

    def put(self, queue: Any, item: object, crossing: Crossing) -> None:
        with self._lock:
            if self._count < MAX_ITEMS:
                self._count += 1
                self._items.setdefault((id(queue), id(item)), []).append(crossing)

    def got(self, queue: Any, item: object) -> Crossing | None:
        key = (id(queue), id(item.item if isinstance(item, Handed) else item))
        with self._lock:
            crossings = self._items.get(key)
            if not crossings:
                return None
            self._count -= 1
            found = crossings.pop(0)
            if not crossings:
                del self._items[key]
            return found

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
            self._count = 0


_waiting = _Waiting()


def _put(original: Original, queue: Any, item: Any, *args: Any, **options: Any) -> Any:
    if item is not None:  # most often: stop
        crossing = Crossing(QUEUE, f"{type(queue).__name__}.put", item)
        _waiting.put(queue, item.item if isinstance(item, Handed) else item, crossing)
    try:
        return original(queue, item, *args, **options)
    except BaseException:  # full, or cancelled: it is not in there
        _waiting.got(queue, item)
        raise


def _get(original: Original, queue: Any, *args: Any, **options: Any) -> Any:
    item = original(queue, *args, **options)
    crossing = _waiting.got(queue, item)
    if crossing is not None:
        before = ORIGIN.get()
        while before is not None and before.taker is not None:  # its work before this item
            before = before.taker
        crossing.taker = before
        ORIGIN.set(crossing)
    return item


def _patches() -> list[Patch]:
    import asyncio
    import queue
    import threading
    from asyncio.base_events import BaseEventLoop
    from concurrent.futures import Future, ThreadPoolExecutor

    pools = sys.modules.get("multiprocessing.pool")  # who has not loaded it makes none
    return [
        Patch(threading.Thread, "start", _thread_start),
        Patch(ThreadPoolExecutor, "submit", _submit),
        Patch(Future, "add_done_callback", _add_done_callback),
        Patch(BaseEventLoop, "create_task", _create_task),
        Patch(BaseEventLoop, "call_soon_threadsafe", _call_soon_threadsafe),
        *([] if pools is None else [Patch(pools.Pool, "apply_async", _pool_apply)]),
        Patch(queue.Queue, "put", _put),
        Patch(queue.Queue, "get", _get),
        Patch(asyncio.Queue, "put_nowait", _put),
        Patch(asyncio.Queue, "get_nowait", _get),
    ]


_watching: list[Patch] = []


def watch() -> None:
    """Note crossings from now on; twice is once."""
    if not _watching:
        _watching.extend(_patches())
        for patch in _watching:
            patch.apply()


def unwatch() -> None:
    """Put back what :func:`watch` has patched."""
    while _watching:
        _watching.pop().remove()
    _waiting.clear()
