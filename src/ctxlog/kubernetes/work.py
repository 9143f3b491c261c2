"""Work: a queue of keys to reconcile, each of which remembers who put it.

As the one that controllers in Go have: a key that waits is there once; one that is being worked on
and is put again waits until that work is done. Safe between threads.

>>> from ctxlog.context.fields import get_context
>>> from ctxlog.entries import entry
>>> queue = WorkQueue(kind="Pod")
>>> with entry({"x-request-id": "r-1"}):
...     queue.add("shop/db-0")
>>> with queue.get() as key:
...     key, get_context()["link.request_id"], get_context()["k8s.object.ref"]
('shop/db-0', 'r-1', 'Pod/shop/db-0')
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.context.snapshot import snapshot
from ctxlog.kubernetes.reconcile import logger_of, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

    from ctxlog.context.snapshot import Snapshot


#: Keys whose failures in a row are counted: objects that fail once and are gone must not add up.
MAX_FAILURES = 65_536


class QueueClosed(Exception):  # noqa: N818 - as asyncio.QueueEmpty is called
    """The queue was closed, and nothing is left in it."""


class _Waiting:
    """A key that waits: who put it first, and how often it was put."""

    __slots__ = ("origin", "puts")

    def __init__(self, origin: Snapshot) -> None:
        self.origin = origin
        self.puts = 1


class Work:
    """A key that was taken: ``with`` it, it is a reconcile linked to who put it.

    Leaving the block says that it is done; an exception counts as a failed try, and goes on.

    Attributes:
        key: what was put.
        origin: the context it was put under.
        retry: how often it has failed in a row.
        puts: how often it was put while it waited.
    """

    __slots__ = ("_queue", "_running", "key", "origin", "puts", "retry")

    def __init__(self, queue: WorkQueue, key: Any, waiting: _Waiting, retry: int) -> None:
        self._queue = queue
        self._running: reconcile | None = None
        self.key = key
        self.origin = waiting.origin
        self.puts = waiting.puts
        self.retry = retry

    def __enter__(self) -> Any:
        queue = self._queue
        more: dict[str, object] = {} if self.puts == 1 else {"puts": self.puts}
        self._running = reconcile(
            self.key,
            more,
            kind=queue.kind,
            handler=queue.handler,
            retry=self.retry,
            link=self.origin,
            logger=queue.logger,
        )
        try:
            self._running.__enter__()
        except BaseException:  # by Ctrl-C: nobody leaves what was not entered
            queue.ended(self, failed=True)
            raise
        return self.key

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running, self._running = self._running, None
        try:
            if running is not None:
                running.__exit__(kind, error, traceback)
        finally:
            self._queue.ended(self, failed=error is not None)

    def __repr__(self) -> str:
        return f"<work on {self.key!r}>"


class WorkQueue:
    """Keys to reconcile, for any number of workers; see the module.

    Args:
        kind: the kind of the objects that the keys name.
        handler: what works on them, by name.
        logger: the closing lines' logger; default is the calling module.

    Raises:
        UsageError: ``logger`` is no name.
    """

    def __init__(
        self, *, kind: str | None = None, handler: str | None = None, logger: str | None = None
    ) -> None:
        self.kind = kind
        self.handler = handler
        self.logger = logger_of(logger, sys._getframe(1).f_globals)  # noqa: SLF001
        self._ready: deque[Hashable] = deque()
        self._waiting: dict[Hashable, _Waiting] = {}
        self._working: dict[Hashable, Work] = {}
        self._failures: dict[Hashable, int] = {}
        self._lock = threading.RLock()  # a signal's handler may put a key
        self._idle: list[Callable[[], object]] = []  # who came last, first: its caches are warm
        self._closed = False

    def add(self, key: Hashable) -> None:
        """Put a key, under the context of now; no effect once the queue is closed."""
        origin = snapshot()
        with self._lock:
            if self._closed:
                return
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.puts += 1
                return
            self._waiting[key] = _Waiting(origin)
            if key not in self._working:
                self._ready.append(key)
                self._tell()

    def get(self, timeout: float | None = None) -> Work:
        """Take the key that has waited longest.

        Args:
            timeout: seconds to wait at the most.

        Raises:
            TimeoutError: none came in time.
            QueueClosed: there is none, and none will come.
        """
        ends = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                work = self._take()
                if work is not None:
                    return work
                if ends is not None and monotonic() >= ends:
                    raise TimeoutError(f"no work within {timeout} s")
                woken = threading.Lock()  # one a wait: who was woken late is not woken twice
                woken.acquire()
                wake = woken.release
                self._idle.append(wake)
            left = -1 if ends is None else max(0.0, min(ends - monotonic(), threading.TIMEOUT_MAX))
            gone = True  # by Ctrl-C
            try:
                woken.acquire(timeout=left)
                gone = False
            finally:
                self._back(wake, gone=gone)

    async def aget(self) -> Work:
        """Take a key from a coroutine; keys may be put from any thread.

        Raises:
            QueueClosed: there is none, and none will come.
        """
        while True:
            with self._lock:
                work = self._take()
                if work is not None:
                    return work
                woken = asyncio.Event()
                wake = partial(_wake_in, asyncio.get_running_loop(), woken)
                self._idle.append(wake)
            gone = True  # cancelled
            try:
                await woken.wait()
                gone = False
            finally:
                self._back(wake, gone=gone)

    def done(self, key: Hashable, *, failed: bool = False) -> None:
        """Say that the work on a key has ended, before its block is left; else that says it.

        A key that is not being worked on stays as it is.
        """
        with self._lock:
            work = self._working.get(key)
            if work is not None:
                self.ended(work, failed=failed)

    def ended(self, work: Work, *, failed: bool) -> None:
        """Count how work has ended, once, and let its key be taken again."""
        key = work.key
        with self._lock:
            if self._working.get(key) is not work:
                return  # so it was said before, and another worker may have the key by now
            del self._working[key]
            failures = self._failures.pop(key, 0)
            if failed:
                self._failures[key] = failures + 1
                if len(self._failures) > MAX_FAILURES:
                    del self._failures[next(iter(self._failures))]
            if key in self._waiting:
                self._ready.append(key)
                self._tell()

    def forget(self, key: Hashable) -> None:
        """Count no failures of a key any more: its object is gone."""
        with self._lock:
            self._failures.pop(key, None)

    def close(self) -> None:
        """Take no more keys; workers get what waits, then :class:`QueueClosed`."""
        with self._lock:
            self._closed = True
            self._tell_all()

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)

    def _take(self) -> Work | None:
        if self._ready:
            key = self._ready.popleft()
            waiting = self._waiting.pop(key)
            work = self._working[key] = Work(self, key, waiting, self._failures.get(key, 0))
            if self._closed and not self._waiting:
                self._tell_all()  # none will come
            return work
        if self._closed and not self._waiting:
            raise QueueClosed("the queue is closed")
        return None

    def _tell(self) -> None:
        """Wake one who waits, for one key: all of them would only run into each other."""
        while self._idle and self._idle.pop()():
            pass  # that one is gone, or may be

    def _tell_all(self) -> None:
        while self._idle:
            self._idle.pop()()

    def _back(self, wake: Callable[[], object], *, gone: bool = False) -> None:
        """Wait no more; for one who was woken and is ``gone`` without looking, wake another."""
        with self._lock:
            try:
                self._idle.remove(wake)
            except ValueError:
                if gone and self._ready:
                    self._tell()


def _wake_in(loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> bool:
    """Wake a coroutine; true if its loop does not run: another one is to be woken too."""
    try:
        loop.call_soon_threadsafe(woken.set)
    except RuntimeError:  # it was closed
        return True
    return not loop.is_running()
