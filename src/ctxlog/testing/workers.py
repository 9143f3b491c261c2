"""Workers: threads of pools. What a job leaves in one is there for the next job."""

from __future__ import annotations

import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from types import FrameType

_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")


def is_worker(thread: threading.Thread) -> bool:
    """Whether a thread that runs belongs to a pool; one that has ended does not tell."""
    target = getattr(thread, "_target", None)
    return getattr(target, "__module__", None) in _POOLS


def in_job(frame: FrameType | None) -> bool:
    """Whether a worker's stack is at a job, not at its initializer, nor waiting for one.

    Example:
        >>> in_job(sys._getframe())
        False
    """
    return _job_on(frame) is not None


def _job_on(frame: FrameType | None) -> object:
    """Return the job that a stack is at: an item of work, a task of a pool."""
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if module == _POOLS[0] and frame.f_code.co_name == "run":
            return frame.f_locals.get("self")
        if module == _POOLS[1] and frame.f_code.co_name == "worker":
            return frame.f_locals.get("task")
        frame = frame.f_back
    return None


def is_idle(thread: threading.Thread, patience: float) -> bool:
    """Whether a pool's worker has no job: nobody comes back to close what is open there.

    Args:
        thread: any; one that is no worker is not idle.
        patience: seconds for a job that has its result already to be left.
    """
    if not is_worker(thread):
        return False
    end = monotonic() + patience
    while True:
        job = _job_on(sys._current_frames().get(thread.ident or 0))  # noqa: SLF001 - as faulthandler shows
        future = getattr(job, "future", None)
        if job is None:
            return True
        if future is None or not future.done() or monotonic() > end:
            return False
        sleep(0.001)
