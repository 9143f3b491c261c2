"""Entry: a fresh scope where work comes in. It replaces what it finds, it never merges into it."""

from __future__ import annotations

import sys
from weakref import ref

from ctxlog.carriers import extract, wire
from ctxlog.context.accessors import MISSING, enter_carried
from ctxlog.context.decorate import decorate
from ctxlog.context.fields import (
    BOUND,
    CURRENT,
    EMPTY,
    Fields,
    Frame,
    frame_of,
    leave,
    tell_bound,
    trim,
)
from ctxlog.context.raised import remember_own
from ctxlog.context.snapshot import Snapshot
from ctxlog.context.spans import (
    ACCESSOR,
    LOADED,
    ids_in,
    is_remote,
    library,
    live_context,
    own_context,
    remote_context,
)
from ctxlog.errors import UsageError, choices
from ctxlog.freezing import freeze_fields
from ctxlog.ids import TraceIds, new_request_id, new_trace, valid_request_id
from ctxlog.names import REQUEST_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Literal, ParamSpec, Protocol, Self, TypeVar

    from ctxlog.carriers import Carrier
    from ctxlog.context.accessors import Carried

    P = ParamSpec("P")
    R = TypeVar("R")

    class Watcher(Protocol):
        """Who is told of every entry: tail sampling."""

        def began(self, request_id: object) -> None:
            """An entry has begun."""

        def ended(self, request_id: object, *, badly: bool) -> None:
            """It has ended; badly if an exception left it."""


_modules = sys.modules
AUTO, KEEP, NEW = "auto", "keep", "new"
_watchers: tuple[ref[Watcher], ...] = ()  # swapped whole, so that readers need no lock


def watch(watcher: Watcher) -> None:
    """Tell ``watcher`` of every entry from now on, as long as it lives."""
    global _watchers  # noqa: PLW0603 - swapped whole
    _watchers = (*(known for known in _watchers if known() is not None), ref(watcher))


def unwatch(watcher: Watcher) -> None:
    """Tell ``watcher`` nothing more; an unknown one is no error."""
    global _watchers  # noqa: PLW0603 - swapped whole
    _watchers = tuple(known for known in _watchers if known() not in (None, watcher))


class entry:  # noqa: N801 - reads as a function, like contextlib.suppress
    """Open a fresh scope for a request, a message, a job: nothing of what was bound before shows.

    ``request_id`` is the carrier's if it is valid, else made. The trace ids are those of a live
    OpenTelemetry span, else the carrier's, else made here (W3C ids, unsampled). Also a decorator,
    of every kind of function: each call is an entry of its own.

    Args:
        carrier: headers as a mapping or pairs, or a :class:`~ctxlog.Snapshot`; its ids are
            continued, its other fields are not.
        fields: fields of this piece of work; names that cannot be keywords.
        link: a snapshot (or ids) this work comes from without being part of it: a worker's, a
            timer's origin. Its ids show as ``link.trace_id``, ``link.span_id``, ``link.request_id``.
        trace: ``"auto"``: as said above; ``"keep"``: OpenTelemetry's context is left as it is;
            ``"new"``: a new trace, whatever came in.
        more: fields by keyword.

    Raises:
        UsageError: an argument of the wrong type, or an unknown ``trace``.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> with scope(stale="yes"), entry({"x-request-id": "r-1"}, job="import"):
        ...     get_context()
        {'request_id': 'r-1', 'job': 'import'}
    """

    __slots__ = ("_bound", "_carrier", "_link", "_trace", "_watched")

    def __init__(
        self,
        carrier: Carrier | Snapshot | None = None,
        fields: Mapping[str, object] | None = None,
        /,
        *,
        link: Snapshot | TraceIds | None = None,
        trace: Literal["auto", "keep", "new"] = "auto",
        **more: object,
    ) -> None:
        if trace not in (AUTO, KEEP, NEW):
            raise choices("trace", trace, (AUTO, KEEP, NEW))
        self._fill(freeze_fields(fields, more), carrier, link, trace)

    @classmethod
    def of(
        cls,
        bound: dict[str, object],
        carrier: Carrier | Snapshot | None = None,
        link: Snapshot | TraceIds | None = None,
        trace: Literal["auto", "keep", "new"] = "auto",
    ) -> Self:
        """Return an entry with fields that are normalised already: for what makes many of them."""
        made = cls.__new__(cls)
        made._fill(bound, carrier, link, trace)  # noqa: SLF001 - its own class
        return made

    def _fill(
        self,
        bound: dict[str, object],
        carrier: Carrier | Snapshot | None,
        link: Snapshot | TraceIds | None,
        trace: Literal["auto", "keep", "new"],
    ) -> None:
        if carrier is None:
            self._carrier = _NOTHING
        else:
            self._carrier = carrier if isinstance(carrier, Snapshot) else extract(carrier)
        self._link = _NO_LINK if link is None else _linked(link)
        self._trace = trace
        self._bound = bound
        self._watched: object = None

    def __enter__(self) -> Self:
        frame = CURRENT.get()
        if frame.parent is not None and frame.parent.parent is not None:
            trim(frame)
        fields, carried = self.open(frame.fields)
        undo = enter_carried(carried)
        if _watchers:  # in the frame: one entry may have several blocks at once
            undo = (*undo, (_WATCHED, fields.values[REQUEST_ID]))
        CURRENT.set(Frame(fields, frame, self, undo))
        if BOUND:
            tell_bound(fields.values)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            remember_own(error, self)
        if _watchers:
            self.ended(error)
        frame = CURRENT.get()
        if frame.owner is self and not frame.undo and frame.parent is not None:
            CURRENT.set(frame.parent)  # as leave() would, without the call
        else:
            leave(self)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call of it runs in a block like this one."""
        return decorate(function, self.again)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Return this entry's fields and what it carries; ``below`` does not show through."""
        inbound = self._carrier
        if (
            inbound is _NOTHING
            and not _watchers
            and not self._link
            and (LOADED not in _modules or library() is None)
        ):
            # by far the most often
            return Fields({REQUEST_ID: new_request_id(), **self._bound}, new_trace()), ()
        values = self._values(inbound)
        if _watchers:
            self._watched = values[REQUEST_ID]
            for watcher in _watchers:
                told = watcher()
                if told is not None:
                    told.began(self._watched)
        context, ids = self._spans(inbound)
        if ids is None:
            ids = new_trace()
            if context is None and library() is not None:
                context, ids = own_context(ids)
        carried: Carried = () if context is None else ((ACCESSOR, context),)
        return Fields(values, ids), carried

    def _values(self, inbound: Snapshot) -> dict[str, object]:
        request_id = inbound.fields.values.get(REQUEST_ID)
        if type(request_id) is not int and not valid_request_id(request_id):
            request_id = new_request_id()
        values = {REQUEST_ID: request_id, **self._link}
        if wire.baggage:  # of a carrier's fields only those that the configuration allows
            allowed = wire.baggage.values()
            values.update(
                (n, v)
                for n, v in inbound.fields.values.items()
                if n in allowed and n != REQUEST_ID  # that one has been checked above
            )
        values.update(self._bound)
        return values

    def ended(self, error: BaseException | None) -> None:
        """Tell who watches that the entry has ended; badly, if an exception left it."""
        request_id, frame = self._watched, frame_of(self)
        for each, before in () if frame is None else frame.undo:
            request_id = before if each is _WATCHED else request_id
        if request_id is self._watched:
            self._watched = None
        if request_id is None:
            return
        kind = type(error)  # not isinstance: __class__ may lie
        badly = issubclass(kind, Exception) and not issubclass(
            kind, (StopIteration, StopAsyncIteration)
        )
        for watcher in _watchers:
            told = watcher()
            if told is not None:
                told.ended(request_id, badly=badly)

    def _spans(self, inbound: Snapshot) -> tuple[object, TraceIds | None]:
        """Return OpenTelemetry's context to enter (``None``: an empty one) and the ids."""
        if self._trace == NEW:
            return None, None
        if inbound is _NOTHING and library() is None:  # nobody has said anything
            return None, None
        context = live_context(keep=self._trace == KEEP)
        if context is not None:
            return context, ids_in(context) or inbound.ids
        for accessor, value in inbound.carried:
            if accessor is ACCESSOR and is_remote(value):  # as it came in, its state with it
                return value, inbound.ids
        ids = inbound.ids
        return (None if ids is None else remote_context(ids)), ids

    def again(self, **other: object) -> Self:
        """Return another such entry; with ``other`` fields, normalised, instead of its own."""
        fresh = type(self).__new__(type(self))
        fresh._bound = {**self._bound, **other}  # noqa: SLF001 - one of its own kind, as below
        fresh._carrier, fresh._link = self._carrier, self._link  # noqa: SLF001
        fresh._trace, fresh._watched = self._trace, None  # noqa: SLF001
        return fresh

    def __repr__(self) -> str:
        return f"<entry {', '.join(self._bound)}>"


_NOTHING = Snapshot(EMPTY)


class _Watched:
    """In what leaving an entry's frame undoes: under which id its watchers know it."""

    name = "watched"

    def capture(self) -> object:
        """Nothing: it is not carried."""
        return MISSING

    def enter(self, value: object) -> object:
        """Nothing is entered."""
        return value

    def leave(self, request_id: object) -> None:
        """Nothing: whoever leaves the block tells its watchers, with what left it."""


_WATCHED = _Watched()

_NO_LINK: dict[str, object] = {}


def _linked(link: Snapshot | TraceIds) -> dict[str, object]:
    if not isinstance(link, TraceIds | Snapshot):
        message = f"link takes a snapshot or trace ids, not {type(link).__name__}"
        raise UsageError(message)
    ids = link if isinstance(link, TraceIds) else link.ids
    found: dict[str, object] = {}
    if ids is not None:
        found["link.trace_id"] = ids.trace_id
        found["link.span_id"] = ids.span_id
    if isinstance(link, Snapshot) and REQUEST_ID in link.fields.values:
        found["link.request_id"] = link.fields.values[REQUEST_ID]
    return found
