"""Fields: the names and values bound now. One ContextVar, holding a chain of frames.

A frame is immutable: binding replaces it, leaving a scope goes back to its parent. A leaving scope
looks for its *own* frame in the chain that is current where it leaves; when it is not there (an
abandoned generator, a foreign task), nothing changes and the counter ``context.foreign_exit``
moves. No token is ever reset, so nothing raises.
"""

from __future__ import annotations

from contextvars import ContextVar

from ctxlog.context.accessors import leave_carried
from ctxlog.counting import counters
from ctxlog.freezing import freeze_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from ctxlog.context.accessors import Undo
    from ctxlog.ids import TraceIds

    class Operation(Protocol):
        """The unit of work that annotations go to, from wherever its context has travelled."""

        deadline: float | None

        def annotate(self, fields: dict[str, object]) -> None:
            """Add fields to its closing line."""


class Fields:
    """An immutable mapping of names to normalised values, the ids and the operation of the work.

    ``encoded`` is a cache slot for the pipeline: the fields are encoded once, not once a line.
    """

    __slots__ = ("encoded", "ids", "operation", "values")

    def __init__(
        self,
        values: dict[str, object],
        ids: TraceIds | None = None,
        operation: Operation | None = None,
    ) -> None:
        self.values = values
        self.ids = ids
        self.operation = operation
        self.encoded: tuple[Any, ...] | None = None

    def with_values(self, more: dict[str, object]) -> Fields:
        """Return new fields: these, with ``more`` on top."""
        return Fields({**self.values, **more}, self.ids, self.operation)


class Frame:
    """One link of the chain: fields, the frame below, who pushed it, what leaving it undoes.

    ``alone`` is a cache slot: the same fields with nothing below, for jobs that are handed on.
    """

    __slots__ = ("alone", "fields", "owner", "parent", "undo")

    def __init__(
        self, fields: Fields, parent: Frame | None, owner: object, undo: Undo = ()
    ) -> None:
        self.fields = fields
        self.parent = parent
        self.owner = owner
        self.undo = undo
        self.alone: Frame | None = None


class Left(tuple[()]):
    """What leaving a scope's frame undoes, once it has been left: nothing, as before."""

    __slots__ = ()


#: A block that begins above a frame with this is in a copy of one that has ended.
LEFT = Left()
EMPTY = Fields({})
ROOT = Frame(EMPTY, None, None)
CURRENT: ContextVar[Frame] = ContextVar("ctxlog", default=ROOT)

#: Frames of a chain before all but the innermost half of them, and the outermost, are let go of:
#: more than calls nest by default, for the blocks of a recursion are left again.
MAX_FRAMES = 2_048


#: Told what is bound, by ``bind_context``, a scope or an entry: spans that carry fields.
BOUND: list[Callable[[dict[str, object]], None]] = []


def tell_bound(fields: dict[str, object]) -> None:
    """Tell everyone in :data:`BOUND`; one that raises is counted."""
    for told in BOUND:
        try:
            told(fields)
        except Exception:  # noqa: BLE001 - binding must not fail for it
            counters.add("errors.bound")


class Policy:
    """What misuse of the context does; ``configure(strict=…)`` sets it."""

    __slots__ = ("strict",)

    def __init__(self) -> None:
        self.strict = False


policy = Policy()


def leave(owner: object) -> bool:
    """Go back to the parent of ``owner``'s frame; ``False`` when it is not in this chain.

    Frames above it go too, each with what it undoes: their owners left out of order, or never.
    """
    frame = CURRENT.get()
    if frame.owner is not owner:  # nearly always it is the innermost
        own = _uncover(owner)
        if own is None:
            counters.add("context.foreign_exit")
            return False
        frame = own
    if frame.undo:
        leave_carried(frame.undo)
    CURRENT.set(frame.parent or ROOT)
    return True


def trim(frame: Frame) -> None:
    """Shorten a chain that is longer than blocks nest: called where a piece of work begins.

    A callback that arms itself again inside its block, a task that starts the next one in its own:
    each begins in a copy of the block of the one before, which nobody will leave there. Without an
    end to it the first one's fields would be kept as long as the last one runs.
    """
    if frame.undo is LEFT:
        frame.undo = ()  # once is enough for all that begins in this copy
    depth, kept, outermost = 0, frame, frame
    while frame.parent is not None:
        outermost = frame
        depth += 1
        if depth == MAX_FRAMES // 2:
            kept = frame
        frame = frame.parent
    if depth > MAX_FRAMES:
        kept.parent = outermost


def back_to(frame: Frame) -> bool:
    """Take ``frame`` as it was at first: what its owner's block has bound since then goes.

    ``False`` when its owner has no frame in this chain.
    """
    if _uncover(frame.owner) is None:
        return False
    CURRENT.set(frame)
    return True


def _uncover(owner: object) -> Frame | None:
    """Return ``owner``'s frame, what frames above it entered undone; ``None`` if it has none."""
    top = frame = CURRENT.get()
    while frame.owner is not owner:
        if frame.parent is None:
            return None
        frame = frame.parent
    while top is not frame:
        if top.undo:
            leave_carried(top.undo)
        top = top.parent or ROOT
    return frame


def frame_of(owner: object) -> Frame | None:
    """Return ``owner``'s frame in the current chain, if it is there."""
    frame: Frame | None = CURRENT.get()
    while frame is not None and frame.owner is not owner:
        frame = frame.parent
    return frame


def replace(fields: Fields) -> None:
    """Give the innermost frame other fields: what binding does."""
    frame = CURRENT.get()
    CURRENT.set(Frame(fields, frame.parent, frame.owner, frame.undo))


def bind_context(fields: Mapping[str, object] | None = None, /, **more: object) -> None:
    """Bind fields to the innermost scope; they go when it is left.

    Values are normalised now (:func:`ctxlog.freezing.freeze`): what is changed later does not show.

    Raises:
        UsageError: ``fields`` is not a mapping; or no scope is open and ``strict`` is set.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     bind_context({"k8s.object.name": "db"}, attempt=2)
        ...     get_context()
        {'request_id': 'r-1', 'k8s.object.name': 'db', 'attempt': 2}
    """
    frame = CURRENT.get()
    if frame.owner is None and policy.strict:
        message = (
            "bind_context() outside any scope would stay for the life of this context;"
            " open one with ctxlog.scope(...) or ctxlog.entry(...)"
        )
        from ctxlog.errors import UsageError  # here: only whoever errs pays for the import

        raise UsageError(message)
    bound = freeze_fields(fields, more)  # may run foreign code: the frame is looked up after it
    replace(CURRENT.get().fields.with_values(bound))
    if BOUND:
        tell_bound(bound)


def unbind_context(*names: str) -> None:
    """Take fields out of the innermost scope; a name that is not bound is no error.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(a=1, b=2):
        ...     unbind_context("a", "never")
        ...     get_context()
        {'b': 2}
    """
    fields = CURRENT.get().fields
    left = {name: value for name, value in fields.values.items() if name not in names}
    if len(left) != len(fields.values):
        replace(Fields(left, fields.ids, fields.operation))


def clear_context() -> None:
    """Empty the context, ids of the entry included, for the rest of the innermost scope.

    The resource stays, and so do the ids of a current OpenTelemetry span: it is not ours to end.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(a=1):
        ...     clear_context()
        ...     get_context()
        {}
    """
    fields = CURRENT.get().fields
    if fields is not EMPTY:
        replace(EMPTY if fields.operation is None else Fields({}, None, fields.operation))


def get_context() -> dict[str, object]:
    """Return a copy of the fields bound now, without the resource.

    Example:
        >>> get_context()
        {}
    """
    return {name: thaw(value) for name, value in CURRENT.get().fields.values.items()}


def thaw(value: object) -> object:
    """Copy a normalised value, so that whoever changes it changes only the copy.

    Example:
        >>> thaw({"a": (1, {"b": 2})})
        {'a': [1, {'b': 2}]}
    """
    if type(value) is dict:
        return {name: thaw(item) for name, item in value.items()}
    if type(value) is tuple:
        return [thaw(item) for item in value]
    return value
