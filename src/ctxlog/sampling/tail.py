"""Tail: what a request logs is written once it is known that it ended badly."""

from __future__ import annotations

import os
from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ctxlog import names
from ctxlog.counting import counters
from ctxlog.entries import unwatch, watch
from ctxlog.ids import valid_trace_id
from ctxlog.levels import WARNING, parse
from ctxlog.sampling.rates import DIGITS, Keep, bound_of, level_of, number_of, rate_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

#: What a request may be known by.
_HASHED = frozenset({str, int})
_tails: WeakSet[Tail] = WeakSet()


class _Request:
    """What is held of one request, and as many ``None`` as entries of it are open."""

    __slots__ = ("bad", "entries", "held")

    def __init__(self) -> None:
        self.bad = False
        self.entries: deque[None] = deque([None])
        self.held: deque[Callable[[], None]] = deque()


class Tail:
    """Hold a request's lines, and write them only if it ends badly.

    A request is an :func:`ctxlog.entry`; it is known by its ``request_id``. Its lines wait until
    one comes that ``keep`` says to keep: then all of them are written, in order, with their own
    times, and the rest of the request at once. So they are when an exception leaves the entry. If
    it ends well, they are dropped. Lines outside an entry are written as they come. What is held
    when the configuration goes is written; what a sink that is stuck does not take in time is dropped.

    For ``configure(processors=[...])``; in a chain of structlog's own it lets everything pass.

    Args:
        level: lines of this level and above are never held.
        keep: what makes a request a bad one; default is ``Keep()``.
        rate: the share of traces whose lines are written in any case, see :class:`Sample`.
        per_request: lines held of one request; past it the oldest is dropped.
        in_all: lines held of all requests; past it one's own oldest, or the new one, is dropped.
        requests: requests watched at once; lines of more are written as they come.

    Raises:
        UsageError: an argument cannot be what it should be.

    Example:
        >>> from ctxlog import entry, get_logger
        >>> from ctxlog.testing import capture
        >>> with capture(processors=(Tail(),)) as lines:
        ...     for status in (200, 500):
        ...         with entry():
        ...             get_logger("shop").info("asked", for_status=status)
        ...             get_logger("shop").info("answered", status=status)
        >>> [line["event"] for line in lines], lines[0]["for_status"]
        (['asked', 'answered'], 500)
    """

    def __init__(  # noqa: PLR0913 - a bound each
        self,
        *,
        level: int | str = WARNING,
        keep: Callable[[Mapping[str, Any]], bool] | None = None,
        rate: float = 0.0,
        per_request: int = 200,
        in_all: int = 10_000,
        requests: int = 10_000,
    ) -> None:
        self._level = parse(level)
        self.keep = Keep() if keep is None else keep
        self.rate = rate_of(rate)
        self._per_request = number_of("per_request", per_request)
        self._in_all = number_of("in_all", in_all)
        self._most = number_of("requests", requests)
        self._requests: dict[object, _Request] = {}
        self._lock = RLock()  # between threads; what interrupts this one may log, and comes in
        self._closed = False
        self._held: deque[None] = deque()  # as long as lines are held, of all requests
        watch(self)
        _tails.add(self)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event, or have the pipeline hand it to :meth:`hold`."""
        return self.decide(logger, event_dict, self.keep, None)

    def decide(
        self,
        logger: Any,
        event: MutableMapping[str, Any],
        keep: Callable[[Mapping[str, Any]], bool] | None,
        bound: int | None,
    ) -> MutableMapping[str, Any]:
        """Return the event, or have it held, under these bounds; ``None``: its own rate."""
        request = self._known(event.get(names.REQUEST_ID)) if self._requests else None
        if request is None or not getattr(logger, "holds", False):
            return event
        if not request.bad and keep is not None and keep(event):
            self._release(request)
        if request.bad or level_of(event) >= self._level:
            return event
        if bound is None:
            bound = bound_of(self.rate) if self.rate else 0
        trace_id = event.get(names.TRACE_ID)
        if (
            bound
            and type(trace_id) is str
            and valid_trace_id(trace_id)
            and int(trace_id[DIGITS:], 16) < bound
        ):
            return event
        raise Held(self, request)

    @property
    def held(self) -> int:
        """How many lines are held, of all requests."""
        return len(self._held)

    def hold(self, request: _Request, write: Callable[[], None]) -> None:
        """Hold one line, as the function that writes it."""
        if request.bad or not request.entries:
            write()  # it was released, or has ended, meanwhile
            return
        with self._lock:
            full = self.held >= self._in_all
            if (full or len(request.held) >= self._per_request) and self._take(request):
                counters.add("dropped.tail_full")
            elif full:
                counters.add("dropped.tail_full")
                return
            self._held.append(None)
            request.held.append(write)
        if request.bad:  # so it is since a moment ago
            self._release(request)
        elif not request.entries:
            self._drop(request)

    def _take(self, request: _Request) -> Callable[[], None] | None:
        """Take out the oldest line held of a request: each is taken once, whoever comes first."""
        try:
            write = request.held.popleft()
        except IndexError:
            return None
        if self._held:  # not in a child that was forked meanwhile
            self._held.pop()
        return write

    def _drop(self, request: _Request) -> int:
        number = 0
        while self._take(request) is not None:
            number += 1
        if number:
            counters.add("dropped.tail", number)
        return number

    def _known(self, request_id: object) -> _Request | None:
        return self._requests.get(request_id) if type(request_id) in _HASHED else None

    def began(self, request_id: object) -> None:
        """Watch a request: an entry has begun."""
        if type(request_id) not in _HASHED:
            return  # an application's own, a mapping: its lines are written as they come
        with self._lock:
            if self._closed:
                return
            request = self._requests.get(request_id)
            if request is not None:
                request.entries.append(None)
            elif len(self._requests) < self._most:
                self._requests[request_id] = _Request()

    def ended(self, request_id: object, *, badly: bool) -> None:
        """Write what is held if the entry ended badly; drop it if it was the last one of it."""
        request = self._known(request_id)
        if request is None:
            return
        if badly:
            self._release(request)
        with self._lock:
            if request.entries:
                request.entries.pop()
            if request.entries:
                return
            if self._requests.get(request_id) is request:
                self._requests.pop(request_id, None)
        if request.bad:
            self._release(request)
        else:
            self._drop(request)

    def _release(self, request: _Request) -> None:
        request.bad = True
        write = self._take(request)
        while write is not None:
            write()
            write = self._take(request)

    def _forget(self) -> None:
        """Begin anew in a forked child: what is held is the parent's to write."""
        self._lock = RLock()
        self._requests = {}
        self._held = deque()

    def close(self) -> None:
        """Write what is held, and hold nothing more: nobody knows how these requests will end."""
        unwatch(self)
        with self._lock:
            self._closed = True
        for request in list(self._requests.values()):
            self._release(request)
        self._requests = {}

    def give_up(self) -> int:
        """Drop, count and return what is held still: a sink keeps :meth:`close` from its end."""
        unwatch(self)
        self._closed = True  # without the lock: it is never false again
        return sum(self._drop(request) for request in list(self._requests.values()))


class Held(BaseException):
    """Raised to the pipeline: hold this line; :meth:`keep` takes what writes it."""

    def __init__(self, tail: Tail, request: _Request) -> None:
        super().__init__()
        self._tail = tail
        self._request = request

    def keep(self, write: Callable[[], None]) -> None:
        """Hold the line, as the function that writes it."""
        self._tail.hold(self._request, write)


def tails(processors: Iterable[object], staying: Iterable[object] = ()) -> list[Tail]:
    """Return the samplers among a configuration's processors that are not in the next one."""
    kept = {id(processor) for processor in staying}
    return [one for one in processors if isinstance(one, Tail) and id(one) not in kept]


def _in_child() -> None:
    for tail in list(_tails):
        tail._forget()  # noqa: SLF001 - its own class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
