"""Burst: of an event that repeats, the first ones and then every so-manyth."""

from __future__ import annotations

import os
from collections import OrderedDict
from itertools import count
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ctxlog import names
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.sampling.rates import drop, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

#: Events that are told apart.
MAX_EVENTS = 4_096
#: Characters that are kept of what an event is known by; of a longer one a number tells the rest.
KEY_CHARS = 512
_bursts: WeakSet[Burst] = WeakSet()


class Burst:
    """Of each event write the first ``first`` in a second, then every ``every``-th.

    An event is known by its logger, level and text, so the text is a constant, data goes into
    fields. Up to 4,096 of them are told apart; beyond, the one not seen for longest starts anew.

    Args:
        first: how many of each are written at once.
        every: after them every so-manyth; ``None``: none.
        seconds: how long a count lasts.
        keep: what is written in any case; default is nothing but what the counts allow.
        clock: seconds that never go back, for tests.

    Raises:
        UsageError: an argument is no number above 0.

    Example:
        >>> from ctxlog import get_logger
        >>> from ctxlog.testing import capture
        >>> with capture(processors=(Burst(2, 3, clock=lambda: 0.0),)) as lines:
        ...     for number in range(9):
        ...         get_logger("shop").info("again", n=number)
        >>> [line["n"] for line in lines]
        [0, 1, 4, 7]
    """

    def __init__(
        self,
        first: int,
        every: int | None = None,
        *,
        seconds: float = 1.0,
        keep: Callable[[Mapping[str, Any]], bool] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._first = number_of("first", first)
        self._every = None if every is None else number_of("every", every)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise UsageError(f"seconds takes a number above 0, not {seconds!r:.80}")
        self._seconds = seconds
        self.keep = keep
        self._clock = clock
        self._seen: OrderedDict[tuple[object, ...], tuple[float, count[int]]] = OrderedDict()
        self._lock = RLock()  # what interrupts this thread may log
        _bursts.add(self)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event, or drop it."""
        return self.decide(logger, event_dict, self.keep)

    def decide(
        self,
        logger: Any,
        event: MutableMapping[str, Any],
        keep: Callable[[Mapping[str, Any]], bool] | None,
        bound: int | None = None,
    ) -> MutableMapping[str, Any]:
        """Return the event, or drop it unless ``keep`` says so; there is no rate to bound."""
        key = tuple(_known_by(event.get(name)) for name in (names.LOGGER, names.LEVEL, names.EVENT))
        now = self._clock()
        with self._lock:
            seen = self._seen.pop(key, None)
            if seen is None or now - seen[0] >= self._seconds:
                seen = (now, count(1))
            self._seen[key] = seen
            if len(self._seen) > MAX_EVENTS:
                self._seen.popitem(last=False)
            number = next(seen[1])
        over = number - self._first
        if over <= 0 or (self._every is not None and over % self._every == 0):
            return event
        if keep is not None and keep(event):
            return event
        counters.add("dropped.burst")
        raise drop()


def _known_by(value: object) -> str:
    text = str(value)
    return text if len(text) <= KEY_CHARS else f"{text[:KEY_CHARS]}{hash(text)}"


def _in_child() -> None:
    for burst in list(_bursts):
        burst._lock = RLock()  # noqa: SLF001 - another thread of the parent's may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
