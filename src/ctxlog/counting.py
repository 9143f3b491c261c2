"""Counters: what happened to lines and contexts, by name, exact under threads.

>>> tally = Counters()
>>> tally.add("errors.sink")
>>> tally.add("errors.sink", 2)
>>> tally.read()
{'errors.sink': 3}
"""

from __future__ import annotations

from itertools import count, islice


class Counters:
    """Named counters, exact under threads.

    They hold no lock: a signal handler, a finaliser that runs in the middle of :meth:`add`, or a
    forked child could wait for one for ever. Both steps of an addition are single ones.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, count[int]] = {}

    def add(self, name: str, number: int = 1) -> None:
        """Move the counter ``name`` by ``number``.

        Example:
            >>> tally = Counters()
            >>> tally.add("lines")
            >>> tally["lines"], tally["other"]
            (1, 0)
        """
        counter = self._counts.get(name)
        if counter is None:
            counter = self._counts.setdefault(name, count())
        for _ in islice(counter, number):
            pass

    def __getitem__(self, name: str) -> int:
        counter = self._counts.get(name)
        return 0 if counter is None else counted(counter)

    def read(self) -> dict[str, int]:
        """Return a copy of all counters that have moved."""
        return {name: counted(counter) for name, counter in list(self._counts.items())}


def counted(counter: count[int]) -> int:
    """Return how often an :func:`itertools.count` has moved.

    ``next`` on one is a single step, so hot paths count without a lock; what it says of itself is
    the only way to read it that stays (its pickling goes with Python 3.14).

    Example:
        >>> from itertools import count
        >>> moves = count()
        >>> _ = next(moves)
        >>> counted(moves)
        1
    """
    return int(repr(counter)[6:-1])


#: The process's own counters, shared by every layer.
counters = Counters()
