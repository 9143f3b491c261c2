"""Queue by levels: when it is full, what matters less makes room for what matters more.

Two lanes, each in the order of its lines, and a number on each line: what is written is in the
order in which it was logged.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counted
from ctxlog.levels import parse
from ctxlog.sinks.native import get_ident
from ctxlog.sinks.queue import QueueSink

if TYPE_CHECKING:
    from collections.abc import Callable


class LevelQueueSink(QueueSink):
    """A queue that drops lines below a level first: the policy ``drop-below-level-first``."""

    wants_level = True

    def _begin(self) -> None:
        self._high: deque[tuple[int, Any]] = deque()
        self._number = count()
        self._taken: list[tuple[deque[tuple[int, Any]], int]] = []  # of the batch in hand
        self._level = parse(self.options.level)
        super()._begin()

    def write_at(self, line: Any, level: int) -> None:
        """Write one line of a level."""
        self.__dict__["write"](line, level)

    def _waiting(self) -> int:
        return len(self._queue) + len(self._high)

    def _hot_write(self) -> Callable[..., None]:
        low, high, number = self._queue, self._high, self._number
        add_low, add_high = low.append, high.append
        full, wake, border = self._full, self._wake, self._level

        def write(line: Any, level: int = 0) -> None:
            if len(low) + len(high) >= self.room or (self.inside and get_ident() == self.inside):
                full(line, level)
                return
            if level < border:
                add_low((next(number), line))
            else:
                add_high((next(number), line))
            if len(low) + len(high) >= self.wake_at:
                wake()

        return write

    def _add(self, line: Any, level: int) -> None:
        lane = self._queue if level < self._level else self._high
        lane.append((next(self._number), line))

    def _pop(self) -> Any:
        low, high = self._queue, self._high
        with self.guard:  # what is first in both must not change in between
            lane = low if low and (not high or low[0][0] < high[0][0]) else high
            number, line = lane.popleft()
            if not self._left:
                self._taken = []
            self._taken.append((lane, number))
        return line

    def _put_back(self, number: int) -> None:
        if not number:
            return
        for line, (lane, its) in zip(
            reversed(self._batch[-number:]), reversed(self._taken[-number:]), strict=True
        ):
            lane.appendleft((its, line))

    def _clear(self) -> None:
        self._queue.clear()
        self._high.clear()

    def _make_room(self, level: int) -> str | None:
        if level >= self._level:
            try:
                self._queue.popleft()
            except IndexError:  # nothing waits but what matters
                return None
            return "level"
        return None

    # what is dropped from the middle says nothing of what came before it: numbers do

    def _ticket(self) -> int:
        return counted(self._number)

    def _passed(self, ticket: int) -> bool:
        while True:
            try:
                waiting = [lane[0][0] for lane in (self._queue, self._high) if lane]
                if self._left:
                    waiting.append(self._taken[0][1])
            except IndexError:  # what interrupted this has waited, and let go of the guard
                continue
            return not waiting or min(waiting) >= ticket
