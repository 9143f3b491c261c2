"""Queue: bounded, with a writer thread of its own, in front of any sink.

A call appends its line and returns; it never waits for the sink. The writer takes lines in
batches. Every line that was given to :meth:`QueueSink.write` ends in exactly one counter:

* ``written``: the sink took it;
* ``dropped.<why>``: ``full``, ``oldest``, ``level``, ``deadline`` by policy, ``failed`` by the sink
  (it went to the last resort), ``stopped`` at the end of a stop's time, ``closed`` after it,
  ``reentrant`` logged by the sink itself while it wrote;
* ``unknown``: the sink had it when it was given up: it may or may not be out;
* ``depth``: not yet.

Nothing runs until the first line; nobody wakes while nothing is logged. The hot path takes no
lock: ``deque.append`` is one step, and the two thresholds it is compared with are plain numbers
(``room``: from there on the queue is full; ``wake_at``: from there on the writer has to be rung).
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections import deque
from contextvars import Context
from itertools import repeat
from threading import Condition, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.context.resource import get_resource
from ctxlog.counting import Counters, counters
from ctxlog.sinks import exits, last_resort, notices
from ctxlog.sinks.queue_options import QueueOptions
from ctxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = 1 << 62
#: While lines keep being dropped, a notice this often; else as soon as the queue is empty again.
NOTICE_SECONDS = 1.0
#: Reasons of drops that no notice tells: telling would make another.
_UNTOLD = frozenset({"reentrant"})


class QueueSink(Sink):
    """A bounded queue and its writer in front of ``inner``, which only the writer calls.

    Args:
        inner: any sink; its level, filter and renderer become the queue's.
        options: see :class:`~ctxlog.sinks.queue_options.QueueOptions`.
        clock: monotonic seconds, what deadlines are counted by.
    """

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
        self.door = inner.door
        self.inner = inner
        self.options = options or QueueOptions()
        self.clock = clock
        self.stop_seconds: float | None = self.options.stop_seconds
        self._queue: deque[Any] = deque()
        self._life = 0  # of which writer: one that was given up sees that it is not its own
        self._closing = self._closed = self._stuck = False
        self._begin()
        self.__dict__["write"] = self._hot_write()

    def _begin(self) -> None:
        """Start from nothing: a new queue, or a forked child's copy of one."""
        self.tally = Counters()
        self._settled = 0  # written, by the writer alone
        self._batch: list[Any] = []
        self._left = 0  # lines of it that are not settled yet
        self._hand = 0  # those of them that the sink is being given
        self._alive = False
        self._noticing = False
        self._urgent = 0  # callers of flush
        self._patience = self.options.retries
        self._told: dict[str, int] = {}
        self._notice_after = 0.0
        self._death: str | None = None
        self.inside = 0  # the thread that is inside the sink
        self.guard = RLock()  # owned again by a signal handler or finaliser that comes in between
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
        return super().written + self._settled

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

    def _hot_write(self) -> Callable[..., None]:
        queue, append = self._queue, self._queue.append
        full, ring = self._full, self._ring

        def write(line: Any, _: int = 0) -> None:
            if len(queue) >= self.room or get_ident() == self.inside:
                full(line)
                return
            append(line)
            if len(queue) >= self.wake_at:
                ring()

        return write

    def _add(self, line: Any, level: int) -> None:
        self._queue.append(line)

    def _pop(self) -> Any:
        """Return the next line; raises IndexError when there is none."""
        return self._queue.popleft()

    def _clear(self) -> None:
        self._queue.clear()

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

    # -- the calls: what is not the hot path ------------------------------------------------------

    def _drop(self, why: str, number: int = 1) -> None:
        if number:
            self.tally.add(f"dropped.{why}", number)
            counters.add(f"dropped.{why}", number)

    def _full(self, line: Any, level: int = 0) -> None:
        """Take a line when the queue is full, closing, closed, or written into by its own sink."""
        me = get_ident()
        if me == self.inside:
            self._drop("reentrant")
            return
        with self.changed:
            if not self._closed:
                self._take_in(line, level)
                return
        self._late(line)

    def _take_in(self, line: Any, level: int) -> None:
        """Take a line by the policy; the guard is held."""
        end: float | None = None
        while self._waiting() + self._left >= self.options.size and not self._closed:
            if self._closing:
                self._drop("closed")
                return
            self._ring()
            why = self._make_room(level)
            if why is not None:
                self._drop(why)
                continue
            if self.options.policy != "block-until-deadline":
                self._drop("full")
                return
            now = self.clock()
            end = now + self.options.deadline if end is None else end
            if now >= end or get_ident() == self._writer():
                self._drop("deadline")
                return
            self.changed.wait(min(end - now, self.options.deadline))
        if self._closed:
            self._drop("closed")
            return
        self._add(line, level)
        self._ring()

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

    def _ring(self) -> None:
        """Wake the writer; start it if there is none."""
        if self._closed:
            self._late_all()
            return
        if not self._alive:
            self._start()
        try:
            self._bell.release()
        except RuntimeError:  # it has been rung already
            return

    # -- the writer -------------------------------------------------------------------------------

    def _writer(self) -> int | None:
        return self._thread.ident if self._alive else None

    def _start(self) -> None:
        with self.guard:
            if self._alive or self._closed:
                return
            exits.stop_at_exit(self)
            self._resource = get_resource()  # a shutdown forgets it before the last notice
            self._life += 1
            self._alive = True
            # in an empty context: what it writes belongs to no request
            self._thread = Thread(
                target=Context().run,
                args=(self._run, self._life),
                name=f"ctxlog writer {self.id}",
                daemon=True,
            )
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is ending, or may have no more threads
                self._alive = False
            else:
                return
        self._late_all()

    def _run(self, life: int) -> None:
        try:
            while self._life == life and self._turn(life):
                pass
        except BaseException as error:  # noqa: BLE001 - SystemExit in a sink, for one
            self._died(life, error)
        else:
            self._left_off(life)

    def _died(self, life: int, error: BaseException) -> None:
        """Count what the sink had in hand, and start another writer."""
        with self.changed:
            self.inside = 0
            if self._life != life:
                return
            self._put_back(self._count_unknown())
            self._noticing = False
            self._alive = False
            self._death = last_resort.said(self.inner.name, error)
            self._life += 1
            counters.add("queue.writer_died")
            self.tally.add("restarts")
            self._open_doors()
            self.changed.notify_all()
        self._start()

    def _left_off(self, life: int) -> None:
        """Tell those who wait for the writer's end that it has come."""
        with self.changed:
            self.inside = 0
            if self._life in (life, life + 1):
                self._alive = False
                self.changed.notify_all()
            given_up = self._closed and self._stuck
        if given_up:  # nobody else could close it while it was being written to
            self.inner.close()

    def _count_unknown(self) -> int:
        """Give up the batch: what the sink has in hand is unknown. Return how many others it has."""
        hand, rest = self._hand, self._left - self._hand
        if hand:
            self.tally.add("unknown", hand)
            counters.add("unknown", hand)
        self._left = self._hand = 0
        return rest

    def _put_back(self, number: int) -> None:
        """Put the last lines of the batch back to where they came from."""
        if number:
            self._queue.extendleft(reversed(self._batch[-number:]))

    def _turn(self, life: int) -> bool:
        """Wait for lines and write one batch of them; false when the queue is closed."""
        self._set_wake_at(1)
        if not self._waiting():
            self._notice(life)
            if not self._waiting():
                self._bell.acquire()
                return True
        self._linger()
        self._set_wake_at(NEVER)
        batch = self._take(life)
        if batch:
            if self.clock() >= self._notice_after:
                self._notice(life)
            self._deliver(batch, life)
        return True

    def _set_wake_at(self, number: int) -> None:
        with self.guard:
            if not self._closing:
                self.wake_at = number

    def _linger(self) -> None:
        """Wait until a batch is worth writing."""
        options = self.options
        end = self.clock() + options.batch_seconds
        self._set_wake_at(options.batch)
        while not (self._urgent or self._closing) and self._waiting() < options.batch:
            left = end - self.clock()
            if left <= 0 or not self._bell.acquire(timeout=left):
                return

    def _take(self, life: int) -> list[Any]:
        with self.guard:
            if self._life != life:
                return []
            batch = self._batch = []
            append, pop = batch.append, self._pop
            number = min(self._waiting(), self.options.batch)
            for _ in repeat(None, number):
                append(pop())
                self._left += 1
            if not self._closing:
                self.room = self.options.size - self._left
            return batch

    def _deliver(self, batch: list[Any], life: int) -> None:
        """Write a batch: in pieces as large as the target takes whole, or line by line."""
        at, limit = 0, self.inner.chunk_bytes
        while at < len(batch) and self._life == life:
            end = at + 1
            if limit:
                size = len(batch[at])
                while end < len(batch) and size + len(batch[end]) <= limit:
                    size += len(batch[end])
                    end += 1
            self._put(batch[at:end], life)
            at = end

    def _put(self, lines: list[Any], life: int) -> None:
        """Write some lines at once; tried again if that fails, and then one by one."""
        attempt = 0
        while True:
            try:
                self._hand = len(lines)
                self._into_sink(lines[0] if len(lines) == 1 else _joined(lines))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the sink's
                if self._life != life:
                    return
                self._hand = 0
                if attempt < self._patience:
                    self._pause(attempt, life)
                    attempt += 1
                    self.tally.add("retried", len(lines))
                    continue
                self._patience = 0  # as long as nothing gets through, one attempt a line
                if len(lines) == 1:
                    last_resort.rescue(self.name, lines[0], error, self.target_stream)
                    self._settle(len(lines), life, failed=True)
                    return
                for line in lines:
                    self._put([line], life)
                return
            self._patience = self.options.retries
            self._settle(len(lines), life)
            return

    def _into_sink(self, data: Any) -> None:
        self.inside = get_ident()
        try:
            self.inner.write(data)
        finally:
            self.inside = 0

    def _pause(self, attempt: int, life: int) -> None:
        """Wait before another attempt, unless the queue is being stopped."""
        end = self.clock() + self.options.retry_seconds * 2**attempt
        with self.changed:
            while not self._closing and self._life == life:
                left = end - self.clock()
                if left <= 0:
                    return
                self.changed.wait(left)

    def _settle(self, number: int, life: int, *, failed: bool = False) -> None:
        """Move lines from those in hand to those that are done."""
        with self.changed:
            if self._life != life:  # given up: they are counted as unknown
                return
            if failed:
                self._drop("failed", number)
            else:
                self._settled += number
            self._left -= number
            self._hand = 0
            if not self._closing:
                self.room += number
            self.changed.notify_all()

    # -- what the writer says itself --------------------------------------------------------------

    def _notice(self, life: int) -> None:
        """Write one line on what was dropped, and on a writer that died, since the last."""
        dropped = {
            name: number - self._told.get(name, 0)
            for name, number in self.tally.read().items()
            if name == "unknown" or name.startswith("dropped.")
            if name.removeprefix("dropped.") not in _UNTOLD
        }
        dropped = {name: number for name, number in dropped.items() if number}
        death = self._death
        if not dropped and death is None:
            return
        with self.guard:
            if self._life != life:
                return
            self._noticing = True
        try:
            self._into_sink(notices.line_for(self, dropped, death, self._resource))
        except Exception:  # noqa: BLE001 - it is tried again with the next batch
            counters.add("errors.notice")
        else:
            for name, number in dropped.items():
                self._told[name] = self._told.get(name, 0) + number
            self._death = None if self._death is death else self._death
            self.tally.add("notices")
        finally:
            self._notice_after = self.clock() + NOTICE_SECONDS
            with self.changed:
                self._noticing = self._noticing and self._life != life
                self.changed.notify_all()

    # -- flush, stop ------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that waits now is written or counted.

        Args:
            timeout: seconds to wait at the most, ``None``: as long as it takes.

        Returns:
            Whether it is; the sink itself, asking from inside, is told ``False`` at once.
        """
        if get_ident() == self._writer():
            return False
        end = None if timeout is None else self.clock() + timeout
        with self.changed:
            ticket = self._ticket()
            self._urgent += 1
            try:
                while not self._passed(ticket) and not self._closed:
                    left = None if end is None else end - self.clock()
                    if left is not None and left <= 0:
                        return False
                    self._ring()
                    self.changed.wait(left)
                return self._passed(ticket)
            finally:
                self._urgent -= 1

    def stop(self, timeout: float | None = None) -> bool:
        """Write what waits, then end the writer; past ``timeout`` seconds count what is left.

        Lines in the sink's hands then count as ``unknown``, those that wait as ``dropped.stopped``.
        A line that comes later is written directly, or counted as ``dropped.closed`` if the sink
        did not return.

        Returns:
            Whether all lines were written in time.
        """
        end = None if timeout is None else self.clock() + timeout
        with self.changed:
            if self._closed:
                return not self._stuck
            self._closing = True
            self._open_doors()
            self.changed.notify_all()
            if self.depth:
                self._ring()
            in_time = True
            while in_time and not self._idle() and not self._closed:
                in_time = self._wait(end)
            if not self._closed:
                self._close_queue()
            while in_time and self._alive and get_ident() != self._thread.ident:
                in_time = self._wait(end)
        self._late_all()
        return in_time and not self._stuck

    def _idle(self) -> bool:
        return not (self.depth or self._noticing)

    def _wait(self, end: float | None) -> bool:
        """Wait for a change until ``end``; whether there is time left."""
        left = None if end is None else end - self.clock()
        if left is not None and left <= 0:
            return False
        self.changed.wait(left)
        return True

    def _close_queue(self) -> None:
        """End it, the guard held: what was not written is counted."""
        self._closed = True
        self._life += 1
        self._stuck = bool(self._hand or self._noticing)
        self._drop("stopped", self._count_unknown() + self._waiting())
        self._clear()
        self.changed.notify_all()
        if self._alive:
            try:
                self._bell.release()
            except RuntimeError:
                return

    def close(self) -> None:
        """Stop within ``stop_seconds``, and close the sink unless it is stuck."""
        self.stop(self.options.stop_seconds)
        if not self._stuck:
            self.inner.close()

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


def _joined(lines: list[Any]) -> bytes | str:
    try:
        return b"".join(lines)
    except TypeError:  # a renderer that makes text, or now and then JSON because it failed
        return "".join(line.decode() if isinstance(line, bytes) else line for line in lines)
