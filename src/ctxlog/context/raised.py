"""What an exception was raised under travels with it.

The first scope an exception leaves puts its fields on it; a line that logs the exception further
out fills its gaps from them. Control flow takes nothing along: the ends of iterators, cancellation,
an interrupt.
"""

from __future__ import annotations

from ctxlog.context.fields import frame_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ctxlog.context.fields import Fields
    from ctxlog.ids import TraceIds

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


class Raised:
    """The fields and ids an exception was raised under.

    Pickles, for exceptions come back from other processes: what does not pickle goes as its text,
    what is secret as its mask.
    """

    __slots__ = ("ids", "values")

    def __init__(self, values: dict[str, object], ids: TraceIds | None) -> None:
        self.values = values
        self.ids = ids

    def __reduce__(self) -> tuple[Any, ...]:
        from ctxlog.context.border import leaving  # here: no exception that stays needs it

        sent = leaving(self.values)
        return Raised, ({name: _portable(value) for name, value in sent.items()}, self.ids)


def remember(error: BaseException, fields: Fields) -> None:
    """Put ``fields`` on an exception that leaves a scope, unless one further in did."""
    if issubclass(type(error), _FLOW) or not (fields.values or fields.ids):
        return  # not isinstance: __class__ may lie
    held = _held_by(error)
    if _KEY not in held and not cancelled(error):
        held[_KEY] = Raised(fields.values, fields.ids)


def remember_own(error: BaseException, owner: object) -> None:
    """Put the fields of ``owner``'s frame on an exception that leaves it.

    In a context that it was not entered in there is no such frame, and what is current is another's.
    """
    frame = frame_of(owner)
    if frame is not None:
        remember(error, frame.fields)


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
