"""Exits: queues are emptied when the interpreter ends, and when a child of multiprocessing does.

The writers are daemon threads: the interpreter does not wait for them, it calls us. That is after
all other threads have ended, and before the writers are frozen. Children that ``multiprocessing``
forks leave without any ``atexit`` (until Python 3.14): there it is a finaliser of its own.
"""

from __future__ import annotations

import atexit
import sys
from time import monotonic
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from ctxlog.counting import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Seconds at the exit for what has no queue beside it that says how long.
STOP = 5.0


class Stoppable(Protocol):
    """A queue, or what holds lines like one, as far as it concerns us."""

    stop_seconds: float | None

    def stop(self, timeout: float | None = None) -> bool:
        """Empty it; whether that was done in time."""
        ...


_queues: WeakSet[Stoppable] = WeakSet()
_first: list[Callable[[float], object]] = []
_armed: dict[str, bool] = {}
#: Last of what multiprocessing runs: other finalisers may log.
_PRIORITY = -1_000


class _Anchor:
    """What multiprocessing holds weakly, to call us in its children."""


_anchor = _Anchor()


def stop_at_exit(queue: Stoppable) -> None:
    """Have a queue emptied when this process ends."""
    _queues.add(queue)
    _arm()


def call_first(function: Callable[[float], object]) -> None:
    """Have a function called before the queues are emptied: it may still write.

    It is given the seconds that it may take; the queues have theirs after it.
    """
    if function not in _first:
        _first.append(function)
    _arm()


def _arm() -> None:
    if "atexit" not in _armed:
        _armed["atexit"] = True
        atexit.register(_end)
    util = sys.modules.get("multiprocessing.util")
    if util is not None and "multiprocessing" not in _armed:
        _armed["multiprocessing"] = True
        util.register_after_fork(_anchor, _in_a_child)  # it has forgotten finalisers made before
        _in_a_child()


def _in_a_child(_: object = None) -> None:
    from multiprocessing import parent_process, util

    if parent_process() is not None:
        util.Finalize(None, _end, exitpriority=_PRIORITY)


def forget(queue: Stoppable) -> None:
    """Leave a queue out, in a forked child: until its own writer starts there."""
    _queues.discard(queue)
    _armed.pop("multiprocessing", None)


def is_over() -> bool:
    """Whether all queues were emptied for the exit: one that is made now would never be."""
    return "over" in _armed


def is_ending() -> bool:
    """Whether this process ends: what has not run by now never will."""
    return "ending" in _armed


def _end() -> None:
    _armed["ending"] = True
    stop_all()
    _armed["over"] = True


def longest(stop_seconds: Iterable[float | None]) -> float:
    """Return the most of the seconds that queues have; what they have by themselves if none has."""
    return max((seconds or 0.0 for seconds in stop_seconds), default=0.0) or STOP


def stop_all() -> None:
    """Stop every queue, all within the longest ``stop_seconds`` among them."""
    first = longest(queue.stop_seconds for queue in list(_queues))
    for function in _first:
        try:
            function(first)
        except Exception:  # noqa: BLE001 - the queues must be emptied all the same
            counters.add("errors.exit")
    queues = [(queue, queue.stop_seconds or 0.0) for queue in list(_queues)]
    end = monotonic() + max((seconds for _, seconds in queues), default=0.0)
    for queue, seconds in queues:
        try:
            queue.stop(min(seconds, max(0.0, end - monotonic())))
        except KeyboardInterrupt:  # given up by hand: it is counted; the others have their time
            queue.stop(0.0)
