"""Ways: what is patched while crossings are watched, and put back.

Of C code only what is looked up by its name can be watched: not ``queue.SimpleQueue``, not a signal.
"""

from __future__ import annotations

import sys
from contextvars import copy_context
from types import MethodType
from typing import TYPE_CHECKING, Any

from ctxlog.loading import forget, when_loaded
from ctxlog.propagation.jobs import is_machinery
from ctxlog.propagation.patching import Patch
from ctxlog.propagation.queues import Handed
from ctxlog.testing import places
from ctxlog.testing.crossings import (
    CALLBACK,
    ORIGIN,
    POOL,
    QUEUE,
    RAW,
    STREAM,
    SUBMIT,
    TASK,
    THREAD,
    Carried,
    Crossing,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Original = Callable[..., Any]

_KEY = "_ctxlog_crossing"
_waiting = Waiting()

# ---- threads, pools, callbacks


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


def _start_new_thread(original: Original, function: Any, *args: Any) -> Any:
    if not callable(function):  # it says so
        return original(function, *args)
    return original(Carried(function, Crossing(RAW, "_thread.start_new_thread", function)), *args)


def _finalize(
    original: Original, finalizer: Any, obj: Any, func: Any, /, *args: Any, **kw: Any
) -> Any:
    if not _is_internal(func):
        func = Carried(func, Crossing(CALLBACK, "weakref.finalize", func))
    return original(finalizer, obj, func, *args, **kw)


# ---- multiprocessing's pools: what goes to a process would have to be pickled, and is left alone


def _pool_method(name: str, first_callback: int) -> Original:
    def around(original: Original, pool: Any, func: Any, *args: Any, **options: Any) -> Any:
        called = {"mapstar": "map", "starmapstar": "starmap"}.get(
            getattr(args[1], "__name__", "") if name == "_map_async" else "", name
        )
        called = f"{type(pool).__name__}.{called}"
        here, after = args[:first_callback], args[first_callback:]
        callbacks = [_callback(called, given) for given in after]
        for option in ("callback", "error_callback"):
            if options.get(option) is not None:
                options[option] = _callback(called, options[option])
        if isinstance(pool, sys.modules["multiprocessing.pool"].ThreadPool):
            func = Carried(func, Crossing(POOL, called, func))
        return original(pool, func, *here, *callbacks, **options)

    return around


def _callback(called: str, function: Any) -> Any:
    return None if function is None else Carried(function, Crossing(CALLBACK, called, function))


# ---- loops


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


# ---- queues, streams


def _put(original: Original, queue: Any, item: Any, *args: Any, **options: Any) -> Any:
    if item is None:  # most often: stop
        return original(queue, item, *args, **options)
    _note(queue, item, QUEUE, f"{type(queue).__name__}.put")
    try:
        return original(queue, item, *args, **options)
    except BaseException:  # full, or cancelled: it is not in there
        _waiting.got(queue, _bare(item))
        raise


def _note(queue: Any, item: Any, kind: str, name: str) -> None:
    _waiting.put(queue, _bare(item), Crossing(kind, name, _bare(item), 4))


def _get(original: Original, queue: Any, *args: Any, **options: Any) -> Any:
    item = original(queue, *args, **options)
    _taken(queue, item)
    return item


def _taken(queue: Any, item: Any) -> None:
    crossing = _waiting.got(queue, _bare(item))
    if crossing is not None:
        before = ORIGIN.get()
        while before is not None and before.kind in (QUEUE, STREAM):  # its work before this item
            before = before.taker
        crossing.taker = before
        ORIGIN.set(crossing)


def _bare(item: Any) -> Any:
    return item.item if isinstance(item, Handed) else item


async def _send(original: Original, stream: Any, item: Any) -> Any:
    _note(stream._state, item, STREAM, f"{type(stream).__name__}.send")  # noqa: SLF001 - what its two ends share
    try:
        return await original(stream, item)
    except BaseException:
        _waiting.got(stream._state, _bare(item))  # noqa: SLF001 - as above
        raise


def _send_nowait(original: Original, stream: Any, item: Any) -> Any:
    if places.is_machinery(sys._getframe(2)):  # noqa: SLF001 - by `send`, which has noted it
        return original(stream, item)
    _note(stream._state, item, STREAM, f"{type(stream).__name__}.send")  # noqa: SLF001 - as above
    try:
        return original(stream, item)
    except BaseException:
        _waiting.got(stream._state, _bare(item))  # noqa: SLF001 - as above
        raise


async def _receive(original: Original, stream: Any) -> Any:
    item = await original(stream)
    _taken(stream._state, item)  # noqa: SLF001 - as above
    return item


def _receive_nowait(original: Original, stream: Any) -> Any:
    item = original(stream)
    if not places.is_machinery(sys._getframe(2)):  # noqa: SLF001 - by `receive`, which notes it
        _taken(stream._state, item)  # noqa: SLF001 - as above
    return item


# ---- all of them


def _always() -> list[Patch]:
    import _thread
    import asyncio
    import queue
    import threading
    import weakref
    from asyncio.base_events import BaseEventLoop
    from concurrent.futures import Future, ThreadPoolExecutor

    return [
        Patch(threading.Thread, "start", _thread_start),
        Patch(_thread, "start_new_thread", _start_new_thread),
        Patch(weakref.finalize, "__init__", _finalize),
        Patch(ThreadPoolExecutor, "submit", _submit),
        Patch(Future, "add_done_callback", _add_done_callback),
        *_of_loop(BaseEventLoop),
        Patch(queue.Queue, "put", _put),
        Patch(queue.Queue, "get", _get),
        Patch(asyncio.Queue, "put_nowait", _put),
        Patch(asyncio.Queue, "get_nowait", _get),
    ]


def _of_loop(loop: Any) -> list[Patch]:
    return [
        Patch(loop, "create_task", _create_task),
        Patch(loop, "call_soon_threadsafe", _call_soon_threadsafe),
    ]


def _of_uvloop() -> list[Patch]:
    return _of_loop(sys.modules["uvloop"].Loop)


def _of_pools() -> list[Patch]:
    pool = sys.modules["multiprocessing.pool"].Pool
    return [
        Patch(pool, "apply_async", _pool_method("apply_async", 2)),
        Patch(pool, "_map_async", _pool_method("_map_async", 3)),
        Patch(pool, "imap", _pool_method("imap", 2)),
        Patch(pool, "imap_unordered", _pool_method("imap_unordered", 2)),
    ]


class _AsyncPatch(Patch):
    """A patch of a coroutine function, which stays one to those who ask."""

    __slots__ = ()

    def _made(self, original: Original, around: Original, switch: list[bool]) -> Original:
        async def replacement(*args: Any, **kwargs: Any) -> Any:
            if switch[0]:
                return await around(original, *args, **kwargs)
            return await original(*args, **kwargs)

        return replacement


def _of_streams(send: Any, receive: Any) -> list[Patch]:
    return [
        _AsyncPatch(send, "send", _send),
        Patch(send, "send_nowait", _send_nowait),
        _AsyncPatch(receive, "receive", _receive),
        Patch(receive, "receive_nowait", _receive_nowait),
    ]


def _of_anyio() -> list[Patch]:
    memory = sys.modules["anyio.streams.memory"]
    return _of_streams(memory.MemoryObjectSendStream, memory.MemoryObjectReceiveStream)


def _of_trio() -> list[Patch]:
    trio = sys.modules["trio"]
    return _of_streams(trio.MemorySendChannel, trio.MemoryReceiveChannel)


class _Later:
    """Patches of a module that may not be loaded yet."""

    def __init__(self, module: str, patches: Callable[[], list[Patch]]) -> None:
        self.module = module
        self._patches = patches

    def apply(self) -> None:
        if _watching:
            _apply(self._patches())


_LATER = tuple(
    _Later(module, patches)
    for module, patches in {
        "multiprocessing.pool": _of_pools,
        "uvloop": _of_uvloop,
        "anyio.streams.memory": _of_anyio,
        "trio": _of_trio,
    }.items()
)
_watching: list[Patch] = []
_owners: dict[int, object] = {}  # a run inside of a run watches, too


def _apply(patches: list[Patch]) -> None:
    for patch in patches:
        _watching.append(patch)
        patch.apply()


def watch(owner: object) -> None:
    """Note crossings from now on, for ``owner``; twice is once."""
    _owners[id(owner)] = owner
    if not _watching:
        _apply(_always())
        for later in _LATER:
            when_loaded(later.module, later.apply)


def unwatch(owner: object) -> None:
    """Watch no more for ``owner``; with the last one all is put back."""
    if _owners.pop(id(owner), None) is None or _owners:
        return
    for later in _LATER:
        forget(later.apply)
    while _watching:
        _watching.pop().remove()
    _waiting.clear()
