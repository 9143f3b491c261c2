"""Delivery: what becomes of each record after it was handed to the SDK, counted exactly.

The SDK's batch processor drops its oldest records when it is full, unseen. So what goes into it is
paced here: it never holds more than it takes, and each record of ours is counted once:
acknowledged by the receiver, unconfirmed, dropped, or still waiting.
"""

from __future__ import annotations

from threading import Condition, RLock, local
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters
from ctxlog.sinks import forking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MARK = "_ctxlog_record"
#: Seconds between looks at whether a waiting emitter may go on.
_POLL = 0.5


class Emitting(local):
    """What this thread is emitting: a line of ours, and whether it may wait for room."""

    ours = False
    patient = False
    admitted = False  # the record was taken in


EMITTING = Emitting()


class Ledger:
    """The account of one exporter: every record of ours in exactly one place.

    Args:
        size: records that the batch processor holds at the most.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._begin()
        forking.track(self)

    def _begin(self) -> None:
        self.guard = RLock()
        self.changed = Condition(self.guard)
        self.held = 0  # all that the batch processor holds, other libraries' records included
        self.waiting = 0  # ours among them
        self.sending = 0  # ours in the exporter's hands
        self.acknowledged = 0
        self.unconfirmed = 0
        self.full = 0
        self.stopped = 0
        self.ending = False  # nothing is taken in any more
        self.closed = False  # nor does anything go out
        self.given_up = False  # the queue in front has counted what its writer has in hand
        self.in_hand = False  # what its writer has in hand is in this account already

    def admit(self) -> bool:
        """Take one record in, if it is open and there is room; else count it, if it is ours."""
        emitting = EMITTING
        with self.guard:
            while emitting.patient and self.held >= self.size:
                if self.given_up or self.ending:
                    return False  # counted by the queue
                self.changed.wait(_POLL)
            if emitting.patient and self.given_up:
                return False
            if self.ending or self.held >= self.size:
                if emitting.ours:
                    self._count_drop()
                return False
            self.held += 1
            self.waiting += emitting.ours
            emitting.admitted = True
            self.in_hand = self.in_hand or emitting.patient
            return True

    def _count_drop(self) -> None:
        if self.ending:
            self.stopped += 1
            counters.add("dropped.stopped")
        else:
            self.full += 1
            counters.add("dropped.full")

    def begin(self, number: int, ours: int) -> bool:
        """A batch goes out; ``False``: not any more."""
        with self.guard:
            if self.closed:
                return False
            self.held -= number
            self.waiting -= ours
            self.sending += ours
            self.changed.notify_all()
            return True

    def end(self, ours: int, *, acknowledged: bool) -> None:
        """A batch has come back."""
        with self.guard:
            if self.closed:
                return
            self.sending -= ours
            if acknowledged:
                self.acknowledged += ours
            else:
                self.unconfirmed += ours
                counters.add("otel.unconfirmed", ours)
            self.changed.notify_all()

    def close(self) -> None:
        """Nothing goes out any more: what waits is dropped, what is being sent is unconfirmed."""
        with self.guard:
            if self.closed:
                return
            self.closed = self.ending = True
            self.unconfirmed += self.sending
            self.stopped += self.waiting
            if self.sending:
                counters.add("otel.unconfirmed", self.sending)
            if self.waiting:
                counters.add("dropped.stopped", self.waiting)
            self.sending = self.waiting = self.held = 0
            self.changed.notify_all()

    def ticket(self) -> int:
        """Return what has to be :meth:`passed` for all that is here now to be out."""
        with self.guard:
            return self._settled() + self.waiting + self.sending

    def passed(self, ticket: int) -> bool:
        """Say whether all that was here when the ticket was made has been answered, or dropped."""
        with self.guard:
            return self._settled() >= ticket

    def _settled(self) -> int:
        return self.acknowledged + self.unconfirmed

    def end_admission(self) -> None:
        """Take nothing in any more."""
        with self.guard:
            self.ending = True
            self.changed.notify_all()

    def counts(self) -> dict[str, int]:
        """Return the account by name."""
        with self.guard:
            return {
                "acknowledged": self.acknowledged,
                "unconfirmed": self.unconfirmed,
                "waiting": self.waiting + self.sending,
                "dropped.full": self.full,
                "dropped.stopped": self.stopped,
            }

    def hold(self, timeout: float) -> Callable[[], object] | None:
        """Take the lock for a fork."""
        return self.changed.release if self.changed.acquire(timeout=timeout) else None

    def renew_lock(self) -> None:
        """Start from nothing in a forked child: what waits is the parent's to send."""
        self._begin()


class Paced:
    """A log record processor in front of the SDK's batch processor, which it never lets overflow."""

    def __init__(self, inner: Any, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    def on_emit(self, log_record: Any) -> None:
        """Hand a record on if there is room."""
        if self._ledger.admit():
            if EMITTING.ours:
                setattr(log_record.log_record, _MARK, True)
            self._inner.on_emit(log_record)

    def enabled(self, **_: Any) -> bool:
        """Say that a record would be taken."""
        return True

    def shutdown(self) -> None:
        """Send what waits, and stop."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return bool(self._inner.force_flush(timeout_millis))


class Accounted:
    """An exporter that says what became of each batch."""

    def __init__(self, inner: Any, ledger: Ledger, failure: Any) -> None:
        self._inner = inner
        self._ledger = ledger
        self._failure = failure

    def export(self, batch: Sequence[Any]) -> Any:
        """Send a batch; whatever is not acknowledged is unconfirmed: it may have arrived."""
        ours = sum(getattr(record.log_record, _MARK, False) for record in batch)
        if not self._ledger.begin(len(batch), ours):
            return self._failure
        result, acknowledged = self._failure, False
        try:
            result = self._inner.export(batch)
            acknowledged = result.name == "SUCCESS"
        finally:
            self._ledger.end(ours, acknowledged=acknowledged)
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return bool(self._inner.force_flush(timeout_millis))

    def shutdown(self) -> None:
        """Shut the exporter down: that also ends its waiting between two attempts."""
        self._inner.shutdown()
