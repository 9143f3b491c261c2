"""Hook: a callable told of events (an alert, a push), off the path of the code that logs.

It runs on a thread of its own, under the context that emitted the event, with the time that
operation has left. It may be slow, raise, hang or log: nobody waits for it, and what it logs does
not come back to it. One that hangs keeps its thread; after two of them the hook is disabled.

Each event ends in one counter: ``written`` (the hook returned), ``failed`` (it raised, or the event
could not wait: the queue was full, the hook disabled), ``unknown`` (it had not returned when it was
given up), ``dropped.stopped`` and ``dropped.closed`` (it waited when a stop's time was over, or came
later); ``depth`` is what waits.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.context.snapshot import Snapshot, snapshot
from ctxlog.counting import Counters, counters
from ctxlog.sinks import exits, last_resort, notices
from ctxlog.sinks.inside import INSIDE
from ctxlog.sinks.native import Condition, RLock, thread
from ctxlog.sinks.sink import Sink
from ctxlog.texts import safe_str

if TYPE_CHECKING:
    from collections.abc import Callable

#: Events waiting for one hook; past it the newest are dropped and counted.
MAX_WAITING = 1_000
#: Seconds after which a call counts as hanging, unless the hook says otherwise.
TIMEOUT = 30.0
#: Hanging calls after which a hook is disabled.
MAX_HANGING = 2
#: Seconds an idle worker waits for more before it ends.
IDLE = 5.0
#: Seconds that a flush waits before it looks again, see :mod:`ctxlog.sinks.queue`.
LOOK_AGAIN = 0.05
#: Seconds for what waits when the interpreter exits or another configuration takes over.
STOP = 5.0


class _Call:
    """One worker's current call: when it began, and whether it was given up."""

    __slots__ = ("began", "given_up")

    def __init__(self) -> None:
        self.began: float | None = None
        self.given_up = False


class HookSink(Sink):
    """Events to a callable, on a thread of its own.

    Args:
        target: called with the event, a dict of its own.
        timeout: seconds a call may take before it counts as hanging.
        options: level and filter, see :class:`~ctxlog.sinks.sink.Sink`.
    """

    kind = "hook"
    wants_event = True
    keeps_time = True
    stop_seconds: float | None = STOP

    def __init__(
        self,
        target: Callable[[dict[str, Any]], object],
        *,
        timeout: float = TIMEOUT,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.target = target
        self.timeout = timeout
        self._closed = False
        self._new_queue()
        exits.stop_at_exit(self)

    @property
    def name(self) -> str:
        """The callable's own name."""
        return f"hook {getattr(self.target, '__qualname__', type(self.target).__name__)}"

    def _new_queue(self) -> None:
        self._waiting: deque[tuple[Snapshot, dict[str, Any]]] = deque()
        self._guard = RLock()
        self._changed = Condition(self._guard)
        self._worker: _Call | None = None
        self._starting = False
        self.tally = Counters()
        self.hanging = 0
        self.disabled = False

    def write(self, line: dict[str, Any]) -> None:
        """Hand an event over: never waits for the hook.

        Raises:
            RuntimeError: no thread can be started for it: the interpreter is ending.
        """
        if self in INSIDE.get():
            counters.add("dropped.reentrant")
            return
        taken = snapshot()
        with self._guard:
            self._give_up_hanging()
            if self._closed:
                self._count("dropped.closed")
                return
            if self.disabled or len(self._waiting) >= MAX_WAITING:
                self.count_failure()
                counters.add("dropped.hook")
                return
            self._waiting.append((taken, line))
            if not self._start_worker():
                self._waiting.pop()
                raise RuntimeError("no thread can be started for it")
            self._changed.notify_all()

    def _count(self, name: str, number: int = 1) -> None:
        if number:
            self.tally.add(name, number)
            counters.add(name, number)

    def _start_worker(self) -> bool:
        """Start a worker if none is at work and something waits; the lock is held."""
        if self._starting:  # this very start was interrupted by what comes in here
            return True
        try:
            self._starting = True  # only then the look: what came before has ended
            return self._worker is not None or not self._waiting or self._start_thread()
        finally:
            self._starting = False

    def _start_thread(self) -> bool:
        exits.stop_at_exit(self)
        call = _Call()
        worker = thread(self._work, call, name=f"ctxlog {self.name}")
        try:
            self._worker = call
            worker.start()
        except BaseException as error:
            self._worker = None  # a Ctrl-C may come when the thread runs: it looks, and ends
            if isinstance(error, RuntimeError):  # the interpreter ends, or may have no more threads
                return False
            raise
        return True

    def _give_up_hanging(self) -> None:
        """Leave a call that takes too long to its thread, and say so; the lock is held."""
        call = self._worker
        began = None if call is None else call.began
        if call is None or began is None or monotonic() - began < self.timeout:
            return
        self._give_up(call)
        self.hanging += 1
        counters.add("hook.hanging")
        said = f"ctxlog: {self.name} has not returned within {self.timeout} s"
        if self.hanging >= MAX_HANGING:
            self.disabled = True
            for _ in self._waiting:
                self.count_failure()
            counters.add("dropped.hook", len(self._waiting))
            self._waiting.clear()
            said += f"; that was {self.hanging} times: it is disabled"
        last_resort.write(said + "\n")
        self._start_worker()

    def _give_up(self, call: _Call) -> None:
        """Leave a call to its thread: whether the hook does what it was asked is not known."""
        call.given_up = True
        self._worker = None
        self._count("unknown")

    def _work(self, call: _Call) -> None:
        INSIDE.set((*INSIDE.get(), self))
        while True:
            with self._guard:
                if self._worker is not call:  # its start was interrupted
                    return
                if not self._waiting and not self._closed:
                    self._changed.wait(IDLE)
                if not self._waiting:
                    self._worker = None
                    self._changed.notify_all()
                    return
                taken, event = self._waiting.popleft()
                call.began = monotonic()
            try:
                taken.run(self.target, event)
            except BaseException as error:  # noqa: BLE001 - a hook harms nobody
                counters.add("errors.hook")
                failed = True
                last_resort.write(
                    f"ctxlog: {self.name} failed: {type(error).__name__}: {safe_str(error, 300)}\n"
                )
            else:
                failed = False
            with self._guard:
                if call.given_up:
                    return  # it came back after all, but another worker has its place
                call.began = None
                if failed:
                    self.count_failure()
                else:
                    self.count()
                self._changed.notify_all()

    @property
    def depth(self) -> int:
        """How many events wait or are being told."""
        call = self._worker
        return len(self._waiting) + (call is not None and call.began is not None)

    def counts(self) -> dict[str, int]:
        """Return every counter of the hook by name."""
        with self._guard:
            return {**super().counts(), "depth": self.depth, **self.tally.read()}

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every event handed over was dealt with; ``True`` if that came to pass.

        The hook itself, asking from inside, is told ``False`` at once.
        """
        if self in INSIDE.get():
            return False
        until = None if timeout is None else monotonic() + timeout
        with self._guard:
            while self.depth:
                if self._starting:  # what this has interrupted: it cannot go on before we have
                    return False
                self._give_up_hanging()
                call = self._worker
                if call is None:
                    if not self._waiting:
                        break
                    if not self._start_worker():
                        return False
                    continue
                now = monotonic()
                if until is not None and now >= until:
                    return False
                began = call.began
                pause = self.timeout if began is None else began + self.timeout - now
                if until is not None:
                    pause = min(pause, until - now)
                self._changed.wait(min(max(pause, 0.001), LOOK_AGAIN))
        return True

    def stop(self, timeout: float | None = None) -> bool:
        """Let the hook be told of what waits, for good; past ``timeout`` seconds count the rest.

        An event that it is being told of then counts as ``unknown``, those that wait as
        ``dropped.stopped``, later ones as ``dropped.closed``.
        """
        done = self.flush(timeout)
        lost: dict[str, int] = {}
        with self._guard:
            self._closed = True
            call = self._worker
            if call is not None and call.began is not None:
                self._give_up(call)
                lost["unknown"] = 1
            if self._waiting:
                lost["dropped.stopped"] = len(self._waiting)
                self._count("dropped.stopped", len(self._waiting))
            self._waiting.clear()
            self._changed.notify_all()
        if lost:
            notices.say_lost(lost)
        return done

    def renew_lock(self) -> None:
        """In a forked child: no worker lives there, and what waited belongs to the parent."""
        super().renew_lock()
        self._new_queue()
        exits.forget(self)
