"""Backlog: the lines that wait behind a queue, and the one counter that each of them ends in.

Every line that was given to a queue ends in exactly one of these:

* ``written``: the sink took it;
* ``dropped.<why>``: ``full``, ``oldest``, ``level``, ``deadline`` by policy, ``failed`` by the sink
  (it went to the last resort), ``stopped`` at the end of a stop's time, ``closed`` after it,
  ``reentrant`` logged by the sink itself while it wrote;
* ``unknown``: the sink had it when it was given up: it may or may not be out;
* ``depth``: not yet.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.counting import Counters, counters
from ctxlog.sinks import exits, last_resort
from ctxlog.sinks.native import Condition, RLock, allocate_lock
from ctxlog.sinks.queue_options import QueueOptions
from ctxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.sinks.native import Thread


class Backlog(Sink):
    """Lines that wait for ``inner``; what they wait for is :class:`~ctxlog.sinks.writer.Writer`."""

    kind = "queue"
    keeps_time = True

    def __init__(
        self,
        inner: Sink,
        options: QueueOptions | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(level=inner.level, renderer=inner.renderer, accept=inner.accept)
        self.wants_event = inner.wants_event
        self.copies = inner.copies
        self.take = inner.take  # type: ignore[method-assign] # by the thread that logs
        self.door = inner.door
        self.inner = inner
        self.options = options or QueueOptions()
        self.clock = clock
        self.stop_seconds: float | None = self.options.stop_seconds
        self._queue: deque[Any] = deque()
        self._life = 0  # of which writer: one that was given up sees that it is not its own
        self._closing = self._closed = self._stuck = False
        self._begin()

    def _begin(self) -> None:
        """Start from nothing: a new queue, or a forked child's copy of one."""
        self.tally = Counters()
        self.settled = 0  # written, by the writer alone
        self._batch: list[Any] = []
        self._left = 0  # lines of it that are not settled yet
        self._hand = 0  # those of them that the sink is being given
        self._alive = False
        self._starting = 0  # the thread that starts the writer now
        self._thread: Thread | None = None
        self._noticing = False
        self._urgent = 0  # callers of flush
        self._patience = self.options.retries
        self._told: dict[str, int] = {}
        self._notice_after = 0.0
        self._mute = False  # the last notice failed, and there is no time for another
        self._death: str | None = None
        self.inside = 0  # the thread that is inside the sink
        # owned again by a signal handler or finaliser that comes in between; entered itself, as a
        # condition's own `with` runs Python code after it: Ctrl-C there would leave it held
        self.guard = RLock()
        self.changed = Condition(self.guard)
        self._bell = allocate_lock()
        self._bell.acquire()
        self._open_doors()

    def _open_doors(self) -> None:
        self.room = 0 if self._closing else self.options.size
        self.wake_at = 0 if self._closing else 1

    # -- what it says of itself -----------------------------------------------------------------

    @property
    def name(self) -> str:
        """The sink behind it."""
        return f"queue to {self.inner.name}"

    @property
    def target_stream(self) -> object:
        """The stream of the sink behind it."""
        return self.inner.target_stream

    @property
    def written(self) -> int:
        """How many lines the sink took."""
        return super().written + self.settled

    @property
    def depth(self) -> int:
        """How many lines wait or are being written."""
        return self._waiting() + self._left

    def counts(self) -> dict[str, int]:
        """Return every counter of the queue by name."""
        with self.guard:
            tally = self.tally.read()
            return {
                "written": self.written,
                "failed": tally.get("dropped.failed", 0),
                "depth": self.depth,
                "retried": tally.pop("retried", 0),
                "unknown": tally.pop("unknown", 0),
                **tally,
            }

    def count_failure(self) -> None:
        """Count one line that was not written, by the thread that logged it."""
        self.tally.add("dropped.failed")

    # -- the lines that wait (another order of them: ctxlog.sinks.queue_levels) -------------------

    def _waiting(self) -> int:
        return len(self._queue)

    def _add(self, line: Any, level: int) -> None:
        self._queue.append(line)

    def _pop(self) -> Any:
        """Return the next line; raises IndexError when there is none."""
        return self._queue.popleft()

    def _clear(self) -> None:
        self._queue.clear()

    def _give_up(self) -> int:
        """Take out what waits and return how many lines that were.

        One by one: a call takes no lock, and a line may come between a count and a clearing.
        """
        number = 0
        try:
            while True:
                self._pop()
                number += 1
        except IndexError:
            return number

    def _make_room(self, level: int) -> str | None:
        """Drop a line that waits, and return why; ``None`` when the line that comes has to go."""
        if self.options.policy != "drop-oldest":
            return None
        try:
            self._queue.popleft()
        except IndexError:  # all that it holds is being written
            return None
        return "oldest"

    def _ticket(self) -> int:
        """Return what has to be :meth:`_passed` for all that waits now to be out."""
        return self._gone() + self.depth

    def _passed(self, ticket: int) -> bool:
        return self._gone() >= ticket

    def _gone(self) -> int:
        """How many lines have left the queue, one way or another."""
        gone = ("unknown", "dropped.failed", "dropped.oldest", "dropped.stopped")
        return self.written + sum(self.tally[name] for name in gone)

    # -- where lines end --------------------------------------------------------------------------

    def _drop(self, why: str, number: int = 1) -> None:
        if number:
            self.tally.add(f"dropped.{why}", number)
            counters.add(f"dropped.{why}", number)

    def _count_unknown(self) -> int:
        """Give up the batch: what the sink has in hand is unknown. Return how many others it has."""
        hand, rest = self._hand, self._left - self._hand
        if hand:
            self.tally.add("unknown", hand)
            counters.add("unknown", hand)
        self._left = self._hand = 0
        return rest

    def _late(self, line: Any) -> None:
        """Write a line that came after the end; the writer is gone."""
        if self._stuck:
            self._drop("closed")
            return
        self.inner.write(line)
        self.count()

    def _late_all(self) -> None:
        while True:
            try:
                line = self._pop()
            except IndexError:
                return
            try:
                self._late(line)
            except Exception as error:  # noqa: BLE001 - somebody else's line, perhaps
                self._drop("failed")
                last_resort.rescue(self.name, line, error, self.target_stream)

    # -- fork ---------------------------------------------------------------------------------------

    def hold(self, timeout: float) -> Callable[[], object] | None:
        """A fork waits for nothing here: what the child has is thrown away."""
        return None

    def renew_lock(self) -> None:
        """Start from nothing in a forked child: what waits is the parent's to write."""
        super().renew_lock()
        self._clear()
        self._life += 1
        self._begin()
        exits.forget(self)
