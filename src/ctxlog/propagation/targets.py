"""Targets: what :func:`ctxlog.propagation.install` patches, group by group, and how."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import EMPTY
from ctxlog.context.snapshot import Snapshot
from ctxlog.context.wrapped import Wrapped, under_now
from ctxlog.propagation import callbacks, pools, processes, threads
from ctxlog.propagation import greenlets as lights
from ctxlog.propagation.jobs import is_machinery, job
from ctxlog.propagation.patching import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

    Original = Callable[..., Any]

_NOTHING = Snapshot(EMPTY)
_INTERNAL = ("asyncio.", "concurrent.futures.")  # their own callbacks pass results on, no more


def _thread_start(original: Original, thread: Any, *args: Any, **kwargs: Any) -> Any:
    threads.carry(thread, _NOTHING if is_machinery(thread) else None)
    try:
        return original(thread, *args, **kwargs)
    except Exception:  # not an interrupt: then it has started
        threads.refused(thread)
        raise


def _submit(original: Original, executor: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    return original(executor, job(fn), *args, **kwargs)


def _run_in_executor(original: Original, loop: Any, executor: Any, func: Any, *args: Any) -> Any:
    return original(loop, executor, job(func), *args)


def _add_done_callback(original: Original, future: Any, fn: Any) -> Any:
    module = getattr(fn, "__module__", None)
    internal = isinstance(module, str) and module.startswith(_INTERNAL)
    return original(future, fn if internal else job(fn))


def _pool_method(name: str) -> Original:
    def around(original: Original, pool: Any, func: Any, *args: Any, **options: Any) -> Any:
        arguments = pools.carried(name, func, args, options)
        return original(pool, *arguments, **options)

    return around


def _process_start(original: Original, process: Any) -> Any:
    given = processes.carry(process)
    try:
        return original(process)
    finally:
        if given:
            process.__dict__.pop(processes.KEY, None)


def _process_bootstrap(original: Original, process: Any, *args: Any, **kwargs: Any) -> Any:
    processes.board(process)
    return original(process, *args, **kwargs)


class _Handler(Wrapped):
    """A signal handler that the patch wrapped; whoever asks for it gets the bare one."""

    __slots__ = ()

    def __init__(self, handler: Any) -> None:
        now = under_now(handler)
        super().__init__(handler, handler, now._frame, now._carried)  # noqa: SLF001 - a Wrapped too


def _signal(original: Original, number: Any, handler: Any) -> Any:
    import signal

    known = isinstance(handler, int | Wrapped) or handler is signal.default_int_handler
    if callable(handler) and not known:
        handler = _Handler(handler)
    return _bare(original(number, handler))


def _getsignal(original: Original, number: Any) -> Any:
    return _bare(original(number))  # asyncio asks whether its own handler is still there


def _bare(handler: Any) -> Any:
    return handler.__wrapped__ if type(handler) is _Handler else handler


def _register(original: Original, func: Any, /, *args: Any, **kwargs: Any) -> Any:
    original(job(func), *args, **kwargs)
    return func  # atexit.register decorates


def _finalize(
    original: Original, finalizer: Any, obj: Any, func: Any, /, *args: Any, **kwargs: Any
) -> Any:
    return original(finalizer, obj, job(func), *args, **kwargs)


def _spawn(original: Original, *args: Any, **kwargs: Any) -> Any:
    return lights.carry(original(*args, **kwargs))


def _start_light(original: Original, group: Any, light: Any, *args: Any, **kwargs: Any) -> Any:
    return original(group, lights.carry(light), *args, **kwargs)


def _call_exception_handler(original: Original, loop: Any, context: dict[str, Any]) -> Any:
    return callbacks.failed_context(context).run(original, loop, context)


def _threads() -> list[Patch]:
    import threading

    # The timer too: OpenTelemetry gives it a `start` of its own, around the Thread.start of then.
    return [
        Patch(threading.Thread, "start", _thread_start),
        Patch(threading.Timer, "start", _thread_start),
    ]


def _executors() -> list[Patch]:
    from asyncio.base_events import BaseEventLoop
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    return [
        Patch(ThreadPoolExecutor, "submit", _submit),
        Patch(ProcessPoolExecutor, "submit", _submit),
        Patch(BaseEventLoop, "run_in_executor", _run_in_executor),
    ]


def _futures() -> list[Patch]:
    from concurrent.futures import Future

    return [Patch(Future, "add_done_callback", _add_done_callback)]


def _loops() -> list[Patch]:
    from asyncio.base_events import BaseEventLoop

    return [Patch(BaseEventLoop, "call_exception_handler", _call_exception_handler)]


def _pools() -> list[Patch]:
    from multiprocessing.pool import Pool

    return [Patch(Pool, name, _pool_method(name)) for name in pools.METHODS]


def _processes() -> list[Patch]:
    from multiprocessing.process import BaseProcess

    return [
        Patch(BaseProcess, "start", _process_start),
        Patch(BaseProcess, "_bootstrap", _process_bootstrap),
    ]


def _signals() -> list[Patch]:
    import signal

    return [Patch(signal, "signal", _signal), Patch(signal, "getsignal", _getsignal)]


def _atexit() -> list[Patch]:
    import atexit

    return [Patch(atexit, "register", _register)]


def _finalizers() -> list[Patch]:
    import weakref

    return [Patch(weakref.finalize, "__init__", _finalize)]


def _greenlets() -> list[Patch]:
    if "gevent" not in sys.modules:
        return []
    gevent, pool = sys.modules["gevent"], import_module("gevent.pool")
    threadpool = import_module("gevent.threadpool")
    return [
        *(Patch(gevent, name, _spawn) for name in ("spawn", "spawn_later", "spawn_raw")),
        Patch(pool.Group, "start", _start_light),
        Patch(pool.Pool, "start", _start_light),
        Patch(threadpool.ThreadPool, "spawn", _submit),
        Patch(threadpool.ThreadPoolExecutor, "submit", _submit),
    ]


GROUPS: dict[str, Callable[[], list[Patch]]] = {
    "threads": _threads,
    "executors": _executors,
    "futures": _futures,
    "loops": _loops,
    "pools": _pools,
    "processes": _processes,
    "signals": _signals,
    "atexit": _atexit,
    "finalizers": _finalizers,
    "greenlets": _greenlets,
}
