"""Sink: what every place a line can go has in common."""

from __future__ import annotations

import sys
from collections import deque
from itertools import count
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counted, counters
from ctxlog.sinks import forking, last_resort
from ctxlog.sinks.native import let_greenlets_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from ctxlog.sinks.native import Thread
    from ctxlog.types import Renderer

#: Lines a sink keeps for itself while it is being re-entered on one thread.
PENDING_MAX = 1_000
#: How often lines that came while others that had waited were written are written, too.
PENDING_TURNS = 3
#: Seconds that a greenlet waits for another one's write.
PATIENCE = 5.0


class Sink:
    """Where lines go.

    ``write`` is called with a finished line, newline included, or with the event itself when
    ``wants_event`` is true. It may raise: the pipeline guards it. One line at a time: a lock is
    held around :meth:`_write`. A line logged *by* the sink, or by a signal handler or ``__del__``
    that interrupts it on the same thread, waits until the running write is done.

    Args:
        level: the lowest level written here.
        renderer: makes the lines; ``None`` is the pipeline's own JSON.
        accept: called with the event; the line is written here if it returns true.
    """

    #: Shown in counters and errors.
    kind = "sink"
    #: Given the event (a dict) instead of a rendered line.
    wants_event = False
    #: Its :meth:`take` copies the event by itself, as far as it keeps it.
    copies = False
    #: Given the level's number beside the line.
    wants_level = False
    #: Several lines may be given at once, joined, up to so many bytes: the target takes them whole
    #: or not at all. 0: one by one.
    chunk_bytes = 0
    #: ``flush`` and ``stop`` return within their timeout by themselves.
    keeps_time = False
    #: A line that was written may not be out: only a flush says so, behind a queue, too.
    keeps_lines = False
    #: Seconds to be stopped in when another configuration takes over; ``None``: as it takes.
    stop_seconds: float | None = None
    #: It was closed: what it opened has been given back.
    is_closed = False
    #: The thread that flushes it, or did so last, where a flush may not keep its time by itself.
    aside: Thread | None = None
    #: Lines written by a thread of the sink's own.
    settled = 0
    #: The library it writes to: events that came in by that door do not go out by it again.
    door: str | None = None

    def __init__(
        self,
        *,
        level: int = 0,
        renderer: Renderer | None = None,
        accept: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        self.id = 0
        self.level = level
        self.renderer = renderer
        self.accept = accept
        self.direct = count()  # lines written by whoever logged them
        self.count = self.direct.__next__
        self._failed = count()
        self.busy = False
        self.torn = False
        self.pending: deque[Any] = deque()
        self._lock = RLock()
        self.acquire = self._lock.acquire
        self.release = self._lock.release
        # as threading.Condition uses it; there is no public way to ask
        self.is_owned: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        forking.track(self)

    @property
    def name(self) -> str:
        """What the sink is called in errors: kind and target."""
        return f"{self.kind} #{self.id}"

    @property
    def written(self) -> int:
        """How many lines were written."""
        return counted(self.direct)

    @property
    def target_stream(self) -> object:
        """The stream lines go to now, ``None`` when it is no stream: no other way to it is tried."""
        return None

    def take(self, event: dict[str, Any], level: int) -> dict[str, Any] | None:
        """Return the event as it is to be written, if it ``wants_event``; ``None``: not here.

        Called on the thread that logs, with a dict of its own.
        """
        return event

    def write(self, line: Any) -> None:
        """Write one line; waits for the lock and for the target."""
        self.write_generally(line)

    def write_at(self, line: Any, level: int) -> None:
        """Write one line of a level."""
        self.write(line)

    def write_generally(self, line: Any) -> None:
        """Write one line, whatever is going on."""
        mine = False
        try:  # around the lock too: Ctrl-C right after it would leave it held for good
            self.acquire()  # bound methods: `with lock` takes twice as long on 3.13
            if self.busy and not self._waits_for_greenlet():
                self._postpone(line)
            else:
                mine = self.busy = True
                try:
                    self._write(line)
                    self.count()
                finally:
                    self.write_pending()
        except BaseException:
            if self.is_owned():  # not if interrupted while it waited
                if mine:
                    self.busy = False
                self.release()
            raise
        if mine:
            self.busy = False
        self.release()  # no call before it: Ctrl-C comes after one

    def between_lines(self, act: Callable[[], object], timeout: float = -1) -> bool:
        """Do something while no line is being written; after the write that this interrupts.

        Args:
            act: what to do; what it logs is written after it.
            timeout: seconds to wait for another thread's write, negative: as long as it takes.

        Returns:
            Whether it was done, or will be by the write that this has interrupted.
        """
        mine = False
        try:  # as in `write_generally`
            if not self._lock.acquire(timeout=timeout):
                return False
            if self.busy:
                if act not in self.pending:
                    self.pending.append(act)
            else:
                mine = self.busy = True
                try:
                    act()
                finally:
                    self.write_pending()
        except BaseException:
            if self.is_owned():
                if mine:
                    self.busy = False
                self.release()
            raise
        if mine:
            self.busy = False
        self.release()
        return True

    def _waits_for_greenlet(self) -> bool:
        """Wait for another greenlet's write, if it is one: the lock does not tell them apart.

        Unless gevent had patched when the lock was made. False: what is under way is not over.
        """
        if "gevent" not in sys.modules or self._is_inside():
            return False
        end = monotonic() + PATIENCE
        while self.busy:
            if monotonic() >= end or not let_greenlets_run():
                return False
        return True

    def _is_inside(self) -> bool:
        """Whether the write under way is one that this call is made in: it is on its stack."""
        frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the way to walk a stack
        while frame is not None and _is_ours(frame):  # this call itself
            frame = frame.f_back
        while frame is not None:
            if _is_ours(frame):
                own = frame.f_locals
                if own.get("self") is self or own.get("sink") is self:
                    return True
            frame = frame.f_back
        return False

    def _postpone(self, line: Any) -> None:
        if len(self.pending) >= PENDING_MAX:
            self.count_failure()
            counters.add("dropped.reentrant")
            return
        self.pending.append(line)

    def write_pending(self) -> None:
        """Write the lines that came meanwhile; nobody else hears of their failure."""
        last, written = len(self.pending), 0
        turns = PENDING_TURNS
        while self.pending:
            line = self.pending.popleft()
            if callable(line):  # from `between_lines`
                line()
                continue
            if written == last:  # what follows came while these were written
                last, turns = written + len(self.pending) + 1, turns - 1
            written += 1
            if turns == 0:  # the target logs for each line it is given: that has no end
                self.count_failure()
                counters.add("dropped.reentrant")
                continue
            try:
                self._write(line)
                self.count()
            except Exception as error:  # noqa: BLE001 - the line under way must not pay for it
                self.count_failure()
                last_resort.rescue(self.name, line, error, self.target_stream)

    def _write(self, line: Any) -> None:
        raise NotImplementedError

    def _write_whole(self, write: Callable[[Any], Any], data: bytes) -> None:
        """Write all of ``data`` with a ``write`` that may take only a part of it.

        If it stops in the middle of a line, the next line begins on a line of its own.
        """
        if self.torn:
            if write(b"\n") != 1:
                raise BlockingIOError("the target is full")
            self.torn = False
        self.write_rest(write, data, 0)

    def write_rest(self, write: Callable[[Any], Any], data: bytes, taken: int) -> None:
        """Write what follows the first ``taken`` bytes of ``data``."""
        taken = max(taken, 0)
        try:
            while taken < len(data):
                more = write(data[taken:])
                if not more or more < 0:
                    raise BlockingIOError("the target is full")  # noqa: TRY301 - the mark below
                taken += more
        except BaseException:
            self.torn = taken > 0 and not self._cut_off(data[:taken])
            raise

    def _cut_off(self, part: bytes) -> bool:
        """Take the first part of a line out again; whether that could be done."""
        return False

    @property
    def failed(self) -> int:
        """How many lines were not written here."""
        return counted(self._failed)

    def count_failure(self) -> None:
        """Count one line that was not written here; takes no lock, for somebody may keep it."""
        next(self._failed)

    def flush(self, timeout: float | None = None) -> bool:
        """Push out what is buffered; ``True`` when all of it is out.

        It is not where this has interrupted a write that later lines wait for.
        """
        return not self.pending

    def hurry(self, *, on: bool) -> None:
        """Begin with what a flush or a stop will wait for: others are waited for first."""

    def close(self) -> None:
        """Give back what the sink itself opened. A line written later still arrives."""

    def stop(self, timeout: float | None = None) -> bool:
        """Finish what is under way, for good; whether that was done in ``timeout`` seconds."""
        return self.flush(timeout)

    def counts(self) -> dict[str, int]:
        """Return the sink's own counters by name."""
        return {"written": self.written, "failed": self.failed}

    def hold(self, timeout: float) -> Callable[[], object] | None:
        """Take the lock for a fork; return what releases it, ``None`` if that takes longer."""
        return self.release if self.acquire(timeout=timeout) else None

    def renew_lock(self) -> None:
        """Make the lock anew in a forked child, where its owner may not exist.

        The same object, as :mod:`logging` does it: its methods are held in closures. A fork in the
        middle of this thread's own write (a callable that forks): the child comes to its end, too.
        """
        lock: Any = self._lock
        mine = 0
        if self.is_owned():
            mine = lock._release_save()[0] - 1  # noqa: SLF001 - less the one of `hold`
        lock._at_fork_reinit()  # noqa: SLF001
        for _ in range(mine):
            lock.acquire()
        self.busy = self.busy and mine > 0
        self.pending.clear()


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("ctxlog.sinks.")
