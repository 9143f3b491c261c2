"""Queue: bounded, with a writer thread of its own, in front of any sink.

A call appends its line and returns; it never waits for the sink. What becomes of a line is in
:mod:`ctxlog.sinks.backlog`, the thread that writes it in :mod:`ctxlog.sinks.writer`; here is what
calls do, and how it is flushed and stopped.

Nothing runs until the first line; nobody wakes while nothing is logged. The hot path takes no
lock: ``deque.append`` is one step, and the two thresholds it is compared with are plain numbers
(``room``: from there on the queue is full; ``wake_at``: from there on the writer has to be rung).
The first line of a burst rings, under the guard; those after it need not until the writer has looked.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.sinks import exits
from ctxlog.sinks.native import get_ident
from ctxlog.sinks.stopping import in_time
from ctxlog.sinks.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.sinks.queue_options import QueueOptions
    from ctxlog.sinks.sink import Sink


#: A flush or a stop waits no longer without looking again. What interrupts it between its look and
#: its wait, and waits for the queue itself, lets go of the guard: the change may come before the wait.
LOOK_AGAIN = 0.05


class QueueSink(Writer):
    """A bounded queue and its writer in front of ``inner``, which only the writer calls.

    Args:
        inner: any sink; its level, filter and renderer become the queue's.
        options: see :class:`~ctxlog.sinks.queue_options.QueueOptions`.
        clock: monotonic seconds, what deadlines are counted by.
    """

    def __init__(
        self,
        inner: Sink,
        options: QueueOptions | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(inner, options, clock=clock)
        self.__dict__["write"] = self._hot_write()
        exits.stop_at_exit(self)  # now: in the middle of the exit it is too late to ask for it
        if exits.is_over():
            self.stop(0.0)  # its lines are written directly

    def _hot_write(self) -> Callable[..., None]:
        queue, append = self._queue, self._queue.append
        full, wake = self._full, self._wake

        def write(line: Any, _: int = 0) -> None:
            if len(queue) >= self.room or (self.inside and get_ident() == self.inside):
                full(line)
                return
            append(line)
            if len(queue) >= self.wake_at:
                wake()

        return write

    def _full(self, line: Any, level: int = 0) -> None:
        """Take a line when the queue is full, closing, closed, or written into by its own sink."""
        me = get_ident()
        if me == self.inside:
            self._drop("reentrant")
            return
        with self.guard:
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

    # -- flush, stop ------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that waits now is written or counted, and flush the sink.

        Args:
            timeout: seconds to wait at the most, ``None``: as long as it takes.

        Returns:
            Whether it is; the sink itself, asking from inside, is told ``False`` at once.
        """
        if get_ident() == self._writer():
            return False
        end = None if timeout is None else self.clock() + timeout
        return self._wait_for_writer(end) and self._flush_sink(end)

    def _flush_sink(self, end: float | None) -> bool:
        if not self.inner.keeps_lines:
            return True
        until = None if end is None else monotonic() + max(0.0, end - self.clock())
        return in_time(self.inner, self.inner.flush, "errors.flush", until)

    def _wait_for_writer(self, end: float | None) -> bool:
        with self.guard:
            ticket = self._ticket()
            self._urgent += 1
            try:
                while not self._passed(ticket) and not self._closed:
                    self._ring()
                    if not self._wait(end):
                        return False
                return self._passed(ticket)
            finally:
                self._urgent -= 1

    def hurry(self, *, on: bool) -> None:
        """Linger no more, until told that there is no hurry."""
        with self.guard:
            self._urgent += 1 if on else -1
            if on and self.depth:
                self._ring()

    def stop(self, timeout: float | None = None) -> bool:
        """Write what waits, then end the writer; past ``timeout`` seconds count what is left.

        Lines in the sink's hands then count as ``unknown``, those that wait as ``dropped.stopped``.
        A line that comes later is written directly, or counted as ``dropped.closed`` if the sink
        did not return.

        Returns:
            Whether all lines were written in time.
        """
        end = None if timeout is None else self.clock() + timeout
        with self.guard:
            if self._closed:
                return not self._stuck
            self._closing = True
            self._open_doors()
            self.changed.notify_all()
            if not self._idle():
                self._ring()
            done = True
            while done and not self._idle() and not self._closed:
                done = self._wait(end)
            if not self._closed:
                self._close_queue()
            while done and self._alive and get_ident() != self._writer():
                done = self._wait(end)
        self._late_all()
        self._say_rest()
        return done and not self._stuck and self._flush_sink(end)

    def _idle(self) -> bool:
        return not (self.depth or self._noticing or self._owes_notice())

    def _wait(self, end: float | None) -> bool:
        """Wait for a change until ``end``; whether there is time left."""
        left = LOOK_AGAIN if end is None else end - self.clock()
        # nor for itself, or for a writer that is being started by what this call has interrupted
        if left <= 0 or get_ident() in (self._starting, self._writer()):
            return False
        self.changed.wait(min(left, LOOK_AGAIN))
        return True

    def _close_queue(self) -> None:
        """End it, the guard held: what was not written is counted."""
        self._closed = True
        self._life += 1
        self._stuck = bool(self._hand or self._noticing)
        self._drop("stopped", self._count_unknown() + self._give_up())
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
