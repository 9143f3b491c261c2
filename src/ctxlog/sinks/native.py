"""Native: threads and locks of the system's, also where gevent has put its own in their place.

What writes behind a queue has to go on while a greenlet does not let go, and a lock that it shares
with calls must be of one kind, however late gevent patches: a thread that has become a greenlet
would wait for a lock of the system's, and with it the only thread that there is. So they are taken
here at import, from under gevent if it was first.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_MOMENT = 0.001
_NAMES = ("start_new_thread", "allocate_lock", "RLock", "get_ident")


def _originals() -> Any:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original("_thread", _NAMES)
    return [getattr(_thread, name) for name in _NAMES]


start_new_thread, allocate_lock, RLock, get_ident = _originals()


def let_greenlets_run() -> bool:
    """Let others of this thread run for a moment; false where that cannot be done.

    Example:
        >>> let_greenlets_run()
        False
    """
    gevent = sys.modules.get("gevent")
    if gevent is None or gevent.getcurrent() is gevent.get_hub():
        return False
    gevent.sleep(_MOMENT)
    return True


class Thread(Protocol):
    """A thread, as far as it concerns us."""

    @property
    def ident(self) -> int | None:
        """What :func:`get_ident` says in it; ``None`` before it has started."""

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the interpreter is ending, or may have no more threads.
        """

    def is_alive(self) -> bool:
        """Whether it runs."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""


class _Bare:
    """A thread that :mod:`threading` does not know: there, gevent's greenlets are the threads."""

    def __init__(self, target: Callable[..., object], args: tuple[object, ...]) -> None:
        self.ident: int | None = None
        self._job = target, args
        self._running = allocate_lock()

    def start(self) -> None:
        self._running.acquire()
        try:
            self.ident = start_new_thread(self._run, ())
        except Exception:
            self._running.release()
            raise

    def _run(self) -> None:
        self.ident = get_ident()  # whoever starts it may come to it later
        target, args = self._job
        try:
            target(*args)
        finally:
            self._running.release()

    def is_alive(self) -> bool:
        return bool(self._running.locked())

    def join(self, timeout: float | None = None) -> None:
        if self._running.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            self._running.release()


def thread(target: Callable[..., object], *args: object, name: str) -> Thread:
    """Return a daemon thread that has not started.

    Example:
        >>> said = []
        >>> writer = thread(said.append, "well", name="writer")
        >>> writer.start()
        >>> writer.join()
        >>> said, writer.is_alive()
        (['well'], False)
    """
    if _thread.start_new_thread is start_new_thread:
        return threading.Thread(target=target, args=args, name=name, daemon=True)
    return _Bare(target, args)


class Condition:
    """A condition on an :class:`RLock`, held by whoever calls: its waiters wait as threads do.

    :class:`threading.Condition` makes a lock for each wait, of the kind that there is then.
    """

    def __init__(self, guard: Any) -> None:
        self._guard = guard
        self._waiters: deque[Any] = deque()

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock until :meth:`notify_all` or ``timeout``; whether it was the former."""
        waiter = allocate_lock()
        waiter.acquire()
        self._waiters.append(waiter)
        held = self._guard._release_save()  # noqa: SLF001 - as threading.Condition does
        try:
            return bool(waiter.acquire(timeout=-1 if timeout is None else max(0.0, timeout)))
        finally:
            self._guard._acquire_restore(held)  # noqa: SLF001
            with suppress(ValueError):  # it was notified
                self._waiters.remove(waiter)

    def notify_all(self) -> None:
        """Wake all that wait."""
        try:
            while True:
                self._waiters.popleft().release()
        except IndexError:
            return
