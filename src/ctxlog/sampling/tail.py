"""Tail: what a request logs is written once it is known that it ended badly."""

from __future__ import annotations

import os
from collections import deque
from threading import Lock
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
    """What is held of one request, and how many entries of it are open."""

    __slots__ = ("bad", "entries", "held")

    def __init__(self) -> None:
        self.bad = False
        self.entries = 1
        self.held: deque[Callable[[], None]] = deque()


class Tail:
    """Hold a request's lines, and write them only if it ends badly.

    A request is an :func:`ctxlog.entry`; it is known by its ``request_id``. Its lines wait until
    one comes that ``keep`` says to keep: then all of them are written, in order, with their own
    times, and the rest of the request at once. So they are when an exception leaves the entry. If
    it ends well, they are dropped. Lines outside an entry are written as they come. What is held
    when the configuration goes is written.

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
        self._lock = Lock()
        self._closed = False
        self.held = 0
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

    def hold(self, request: _Request, write: Callable[[], None]) -> None:
        """Hold one line, as the function that writes it."""
        with self._lock:
            if not request.bad and request.entries:
                full = self.held >= self._in_all
                if len(request.held) >= self._per_request or (full and request.held):
                    request.held.popleft()
                    self.held -= 1
                    counters.add("dropped.tail_full")
                elif full:
                    counters.add("dropped.tail_full")
                    return
                request.held.append(write)
                self.held += 1
                return
        write()  # it was released, or has ended, meanwhile

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
                request.entries += 1
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
            request.entries -= 1
            if request.entries > 0:
                return
            self._requests.pop(request_id, None)
            number = len(request.held)
            request.held.clear()
            self.held -= number
        if number:
            counters.add("dropped.tail", number)

    def _release(self, request: _Request) -> None:
        with self._lock:
            request.bad = True
            held, request.held = request.held, deque()
            self.held -= len(held)
        for write in held:
            write()

    def _forget(self) -> None:
        """Begin anew in a forked child: what is held is the parent's to write."""
        self._lock = Lock()
        self._requests = {}
        self.held = 0

    def close(self) -> None:
        """Write what is held, and hold nothing more: nobody knows how these requests will end."""
        unwatch(self)
        with self._lock:
            self._closed = True
        for request in list(self._requests.values()):
            self._release(request)
        self._requests = {}


class Held(BaseException):
    """Raised to the pipeline: hold this line; :meth:`keep` takes what writes it."""

    def __init__(self, tail: Tail, request: _Request) -> None:
        super().__init__()
        self._tail = tail
        self._request = request

    def keep(self, write: Callable[[], None]) -> None:
        """Hold the line, as the function that writes it."""
        self._tail.hold(self._request, write)


def close_all(processors: Iterable[object], staying: Iterable[object] = ()) -> None:
    """Close the samplers among a configuration's processors that are not in the next one."""
    kept = {id(processor) for processor in staying}
    for processor in processors:
        if isinstance(processor, Tail) and id(processor) not in kept:
            processor.close()


def _in_child() -> None:
    for tail in list(_tails):
        tail._forget()  # noqa: SLF001 - its own class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
