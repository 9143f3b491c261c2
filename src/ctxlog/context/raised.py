"""What an exception was raised under travels with it.

The first scope an exception leaves puts its fields on it; a line that logs the exception further
out fills its gaps from them. Control flow takes nothing along: the ends of iterators, cancellation,
an interrupt.

One exception object may be raised by many: a failed connection gives the same one to every request
that waits for it, a module keeps one for all. So each context keeps what the last one that left a
scope in it was raised under *there*; and one that left scopes of several pieces of work fills no
gaps elsewhere.
"""

from __future__ import annotations

from contextvars import ContextVar
from itertools import islice

from ctxlog.context.fields import CURRENT, frame_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ctxlog.context.fields import Fields, Frame
    from ctxlog.ids import TraceIds

    #: Owners of blocks, and what is bound there.
    Around = tuple[tuple[object, dict[str, object]], ...]
    #: What an exception holds, what it was raised under here (``None``: the same), whose blocks
    #: it has yet to leave.
    Left = tuple["Raised | None", "Raised | None", Around]

_REQUEST_ID = "request_id"  # ctxlog.names', which is not loaded for it
_KEY = "__ctxlog_raised__"
_FLOW = (StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt)
# BaseException's own: an exception's class may override them, with anything.
_held_by = BaseException.__dict__["__dict__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_context_hidden = BaseException.__dict__["__suppress_context__"].__get__
_members_of = BaseExceptionGroup.__dict__["exceptions"].__get__
#: asyncio's, concurrent.futures', anyio's and trio's, gevent's; by name, so that none is loaded for it.
_CANCELLED = frozenset({"CancelledError", "Cancelled", "GreenletExit", "GeneratorExit"})
#: Causes and contexts looked at behind one exception.
MAX_CHAIN = 10
#: Blocks around one that an exception leaves, as far as they are known again.
MAX_BLOCKS = 64
#: Members of a group that are looked at.
MAX_MEMBERS = 64
_LEFT: ContextVar[Left] = ContextVar("ctxlog_left", default=(None, None, ()))


class Raised:
    """The fields and ids an exception was raised under.

    Pickles, for exceptions come back from other processes: what does not pickle goes as its text,
    what is secret as its mask.

    Attributes:
        shared: it has left scopes of other work, too: whose line logs it is not known.
    """

    __slots__ = ("ids", "shared", "values")

    def __init__(self, values: dict[str, object], ids: TraceIds | None) -> None:
        self.values = values
        self.ids = ids
        self.shared = False

    def __reduce__(self) -> tuple[Any, ...]:
        from ctxlog.context.border import leaving  # here: no exception that stays needs it

        sent = leaving(self.values)
        return Raised, ({name: _portable(value) for name, value in sent.items()}, self.ids)


def remember(error: BaseException, fields: Fields, frame: Frame | None = None) -> None:
    """Put ``fields`` on an exception that leaves a scope, unless one further in did.

    Args:
        error: the exception.
        fields: what it is raised under.
        frame: the scope's; by default what is current.
    """
    if issubclass(type(error), _FLOW) or not (fields.values or fields.ids):
        return  # not isinstance: __class__ may lie
    held = _held_by(error)
    first = held.get(_KEY)
    known, here, around = _LEFT.get()
    frame = frame or CURRENT.get()
    inside = frame.fields is not fields  # of a block that is not in this chain
    if not isinstance(first, Raised):
        if cancelled(error):
            return
        first = held[_KEY] = Raised(fields.values, fields.ids)
        here = None
        if issubclass(type(error), BaseExceptionGroup):
            _remember_members(error, first)
    else:
        if known is first and not inside:
            for number, (owner, values) in enumerate(around):
                # on its way out; one object may have blocks of many requests
                if owner is frame.owner and values is fields.values:
                    _LEFT.set((first, here, around[number + 1 :]))
                    return
        # it comes from elsewhere (a job, another's future), or is raised here once more
        same = _is_same_work(first, fields)
        first.shared = first.shared or not same
        here = None if same and known is not first else Raised(fields.values, fields.ids)
    _LEFT.set((first, here, _owners(frame if inside else frame.parent)))


def _remember_members(group: BaseException, raised: Raised) -> None:
    """Put it on a group's members, too: what handles a part of it makes a new group of the rest."""
    for member in islice(leaves(group), MAX_MEMBERS):
        held = _held_by(member)
        if _KEY not in held and not issubclass(type(member), _FLOW) and not cancelled(member):
            held[_KEY] = Raised(raised.values, raised.ids)


def _shared_by_members(group: BaseException) -> Raised | None:
    """Return what all members of a group were raised under; ``None`` when it is not known of each."""
    members = [_held_by(member).get(_KEY) for member in islice(leaves(group), MAX_MEMBERS + 1)]
    known = [raised for raised in members if isinstance(raised, Raised) and not raised.shared]
    if not known or len(known) < len(members) or len(known) > MAX_MEMBERS:
        return None
    one, *others = known
    values = one.values
    for other in others:
        values = {
            n: v for n, v in values.items() if n in other.values and _same(v, other.values[n])
        }
    ids = one.ids if all(other.ids == one.ids for other in others) else None
    return Raised(values, ids)


def _same(one: object, other: object) -> bool:
    try:
        return bool(one is other or one == other)
    except Exception:  # noqa: BLE001 - a value of the application's may compare as it likes
        return False


def _owners(frame: Frame | None) -> Around:
    """Return whose blocks a frame is in, its own first: none of them is kept open by it."""
    owners: list[tuple[object, dict[str, object]]] = []
    while frame is not None and frame.owner is not None and len(owners) < MAX_BLOCKS:
        owners.append((frame.owner, frame.fields.values))
        frame = frame.parent
    return tuple(owners)


def _is_same_work(raised: Raised, fields: Fields) -> bool:
    """Say whether it is: by the trace and the request, else nothing bound speaks against it."""
    names: Iterable[str] = raised.values
    if raised.ids is not None and fields.ids is not None:
        if raised.ids.trace_id != fields.ids.trace_id:
            return False
        names = (_REQUEST_ID,)
    return all(
        _same(fields.values[name], raised.values[name])
        for name in names
        if name in raised.values and name in fields.values
    )


def remember_own(error: BaseException, owner: object) -> None:
    """Put the fields of ``owner``'s frame on an exception that leaves it.

    In a context that it was not entered in there is no such frame, and what is current is another's.
    """
    frame = frame_of(owner)
    if frame is not None:
        remember(error, frame.fields, frame)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in a group of them, however deep, each once; any other itself."""
    waiting = [error]
    seen = set()  # groups may share members, and then have more paths than anybody could walk
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if issubclass(type(one), BaseExceptionGroup):
            waiting.extend(_members_of(one))
        else:
            yield one


def cancelled(error: BaseException) -> bool:
    """Return whether this is cancellation, and nothing else: also in a group of a task group's.

    Example:
        >>> from asyncio import CancelledError
        >>> cancelled(CancelledError()), cancelled(BaseExceptionGroup("", [CancelledError()]))
        (True, True)
    """
    return all(
        not _CANCELLED.isdisjoint(kind.__name__ for kind in type(one).__mro__)
        for one in leaves(error)
    )


def raised_under(error: BaseException) -> Iterator[Raised]:
    """Yield what an exception and then its causes were raised under, the outermost first.

    Of one that was raised elsewhere before it comes first what it was raised under here.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> try:
        ...     with scope(job=7):
        ...         raise ValueError("bad")
        ... except ValueError as error:
        ...     [raised.values for raised in raised_under(error)]
        [{'job': 7}]
    """
    at: BaseException | None = error
    for _ in range(MAX_CHAIN):
        if at is None:
            return
        raised = _held_by(at).get(_KEY)
        if isinstance(raised, Raised):
            known, here, _ = _LEFT.get()
            if known is raised:
                yield here or Raised(raised.values, raised.ids)  # here it is not another's
            if known is not raised or here is not None:
                yield raised
        elif issubclass(type(at), BaseExceptionGroup):
            raised = _shared_by_members(at)
            if raised is not None:
                yield raised
        cause = _cause_of(at)
        at = cause if cause is not None or _context_hidden(at) else _context_of(at)


def _portable(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: _portable(item) for name, item in value.items()}
    if kind is tuple:
        return tuple(_portable(item) for item in value)
    return value if value is None or kind in (str, int, float, bool) else str(value)
