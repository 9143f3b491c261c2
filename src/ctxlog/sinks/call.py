"""Call sinks: a function or a coroutine function that is handed each line."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters
from ctxlog.sinks import exits, last_resort
from ctxlog.sinks.inside import INSIDE
from ctxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

#: Calls of one coroutine sink under way at once; past it lines go to the last resort.
MAX_TASKS = 10_000
#: Seconds that another thread's call of a callable may take before a line no longer waits for it.
PATIENCE = 5.0
#: Seconds for calls under way when the interpreter exits or another configuration takes over.
STOP = 5.0
_POLL = 0.002  # seconds between looks at calls that another thread's loop has under way


class CallSink(Sink):
    """Lines to a callable, one at a time, on the thread that logs.

    It gets the line as text without its newline, or the event (a dict of its own) with
    ``renderer="event"``. What is logged while it runs on the same thread does not come back to it:
    that line is counted as ``dropped.reentrant`` here and goes to the other sinks.

    A thread waits for another one's call, but not for one that has been under way for
    :data:`PATIENCE` seconds: it may itself be waiting for this very thread (a callable that joins a
    thread that logs). The line then fails here, and goes to the last resort.
    """

    kind = "call"

    def __init__(self, target: Callable[[Any], object], **options: Any) -> None:
        super().__init__(**options)
        self.target = target
        self._began: float | None = None
        self.acquire = self._acquire_in_time

    def _acquire_in_time(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as a lock's
        if not blocking or timeout >= 0:  # a fork says how long it waits
            return self._lock.acquire(blocking, timeout)
        while True:
            began = self._began
            if self._lock.acquire(timeout=_left(began)):
                return True
            if self._began == began:
                raise TimeoutError(f"another thread's call has not returned for {PATIENCE:g} s")

    @property
    def name(self) -> str:
        """The callable's own name."""
        return f"call {getattr(self.target, '__qualname__', type(self.target).__name__)}"

    def _postpone(self, line: Any) -> None:
        if self._is_inside():
            counters.add("dropped.reentrant")
        else:  # another greenlet's
            super()._postpone(line)

    def _write(self, line: Any) -> None:
        self._began = monotonic()
        try:
            self.target(_for_people(line))
        finally:
            self._began = None


def _left(began: float | None) -> float:
    return PATIENCE if began is None else max(0.0, began + PATIENCE - monotonic())


class CoroutineSink(Sink):
    """Lines to a coroutine function, each awaited in a task of its own, begun in the order logged.

    The task runs on the loop that is running where the line is logged, else on the loop that was
    running when the sink was added; it has the context of the line. What the coroutine function
    logs does not come back to it. A line whose task is cancelled, or whose loop is closed before it
    has run, goes to the last resort: ``asyncio.run`` cancels what it finds at its end.
    """

    kind = "coroutine"
    keeps_time = True
    keeps_lines = True
    stop_seconds: float | None = STOP

    def __init__(
        self, target: Callable[[Any], Coroutine[Any, Any, object]], **options: Any
    ) -> None:
        super().__init__(**options)
        self.target = target
        self._loop = _running_loop()
        self._tasks: set[Any] = set()  # the loop keeps weak references only
        # each line under way and its loop, by a key of its own: single steps, that need no lock
        self._under_way: dict[object, tuple[Any, asyncio.AbstractEventLoop]] = {}
        exits.stop_at_exit(self)

    @property
    def name(self) -> str:
        """The coroutine function's own name."""
        return f"coroutine {getattr(self.target, '__qualname__', type(self.target).__name__)}"

    def write(self, line: Any) -> None:
        """Start the coroutine function with one line; waits for nothing.

        Raises:
            RuntimeError: no loop is running for it, or too many calls are under way.
        """
        if self in INSIDE.get():
            counters.add("dropped.reentrant")
            return
        here = _running_loop()
        loop = here or self._loop
        if loop is None or loop.is_closed() or (exits.is_over() and not loop.is_running()):
            raise RuntimeError("no event loop is running for it")
        if len(self._under_way) >= MAX_TASKS:
            self._give_up()
            if len(self._under_way) >= MAX_TASKS:
                raise RuntimeError(f"{MAX_TASKS} calls are under way")
        key = object()
        self._under_way[key] = line, loop
        try:
            if here is not None:
                self._start(key)
            else:
                loop.call_soon_threadsafe(self._start, key)
        except BaseException:
            self._under_way.pop(key, None)
            raise

    def _start(self, key: object) -> None:
        line, loop = self._under_way.get(key, (None, None))
        if loop is not None:  # it has not been given up
            task = loop.create_task(self._call(line))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, key))

    async def _call(self, line: Any) -> None:
        INSIDE.set((*INSIDE.get(), self))  # the task's own context: gone with it
        await self.target(_for_people(line))

    def _ended(self, key: object, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = (
            asyncio.CancelledError("its task was cancelled")
            if task.cancelled()
            else task.exception()
        )
        line, loop = self._under_way.pop(key, (None, None))
        if loop is None:  # it was given up, and counted
            return
        if error is None:
            self.count()
        else:
            self._failed_with(line, error)

    def _failed_with(self, line: Any, error: BaseException) -> None:
        self.count_failure()  # nobody awaits it
        last_resort.rescue(self.name, line, error, None)

    def _give_up(self) -> None:
        """Take lines to the last resort whose loop will not run again."""
        for key, (line, loop) in self._under_way.copy().items():
            dead = loop.is_closed() or (exits.is_ending() and not loop.is_running())
            if dead and self._under_way.pop(key, None) is not None:
                self._failed_with(line, RuntimeError("its event loop has ended"))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every call under way is done, if that can be waited for here.

        On the loop that runs them it cannot, nor when that loop is not running: then it says at
        once whether all are done. ``await`` :meth:`drain` there.
        """
        end = None if timeout is None else monotonic() + timeout
        while self._under_way:
            self._give_up()
            running = any(loop.is_running() for _, loop in self._under_way.copy().values())
            if _running_loop() is not None or not running:
                return not self._under_way
            if end is not None and monotonic() >= end:
                return False
            sleep(_POLL)
        return True

    async def drain(self) -> None:
        """Wait until every call that has begun is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # from Python 3.12 on it returns at once if all have ended

    def renew_lock(self) -> None:
        """In a forked child: the calls under way are the parent's."""
        super().renew_lock()
        self._under_way = {}
        self._tasks = set()
        exits.forget(self)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _for_people(line: Any) -> Any:
    if isinstance(line, bytes):
        line = line.decode()
    return line.removesuffix("\n") if isinstance(line, str) else line
