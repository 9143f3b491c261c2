"""Threads: the target, or an overridden ``run``, runs under the context of whoever called start().

>>> from ctxlog.context.fields import get_context
>>> from ctxlog.context.scope import scope
>>> with scope(request_id="r-1"):
...     thread = Thread(target=lambda: print(get_context()))
...     thread.start()
...     thread.join()
{'request_id': 'r-1'}

The context is the thread's to its end: ``threading.excepthook`` sees it too.
"""

from __future__ import annotations

import threading
from types import MethodType
from typing import Any

from ctxlog.context.accessors import capture
from ctxlog.context.fields import CURRENT
from ctxlog.context.snapshot import Snapshot
from ctxlog.propagation.jobs import enter

_KEY = "_ctxlog_carried"


def carry(thread: threading.Thread, snapshot: Snapshot | None = None) -> None:
    """Let a thread that is about to be started run under ``snapshot``, or the context of now.

    Once is enough: a second call changes nothing.
    """
    state = thread.__dict__
    if _KEY in state or thread.ident is not None:
        return
    if snapshot is None:
        snapshot = Snapshot(CURRENT.get().fields, capture())
    state[_KEY] = (snapshot, state.get("run"))
    # A bound method, as `run` is without us: Sentry takes its __func__ and calls that.
    thread.run = MethodType(_run, thread)  # type: ignore[method-assign]


def refused(thread: threading.Thread) -> None:
    """Undo :func:`carry` if a thread has not started: whoever tries again may be somebody else."""
    if thread.ident is not None:
        return
    state = thread.__dict__
    _, inner = state.pop(_KEY, (None, None))
    if getattr(state.get("run"), "__func__", None) is _run:
        del state["run"]
        if inner is not None:
            state["run"] = inner


def _run(thread: threading.Thread) -> None:
    state = thread.__dict__
    snapshot, inner = state.pop(_KEY)
    if getattr(state.get("run"), "__func__", None) is _run:
        del state["run"]  # it held the thread
    enter(snapshot)
    if inner is not None:  # somebody else's, on the instance
        inner()
    else:
        type(thread).run(thread)


class Thread(threading.Thread):
    """:class:`threading.Thread` that runs under the context of ``start()``."""

    def start(self) -> None:
        """Start the thread under the context of now."""
        carry(self)
        try:
            super().start()
        except Exception:  # not an interrupt: then it has started
            refused(self)
            raise


class Timer(threading.Timer):
    """:class:`threading.Timer` whose function runs under the context of ``start()``.

    One that arms itself again is work of its own each time: see
    :func:`ctxlog.propagation.run_detached` and ``entry(link=…)``.
    """

    def start(self) -> None:
        """Start the timer under the context of now."""
        carry(self)
        try:
            super().start()
        except Exception:  # not an interrupt: then it has started
            refused(self)
            raise


def start_new_thread(function: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> int:
    """:func:`_thread.start_new_thread` under the context of now; returns the thread's identifier.

    Example:
        >>> done = threading.Event()
        >>> _ = start_new_thread(done.set)
        >>> done.wait(10)
        True
    """
    import _thread

    from ctxlog.propagation.jobs import job

    return _thread.start_new_thread(job(function), args, kwargs or {})
