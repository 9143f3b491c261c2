"""Scope: a block, or a call of a decorated function, in which fields are bound."""

from __future__ import annotations

from ctxlog.context.accessors import capture
from ctxlog.context.fields import BOUND, CURRENT, LEFT, ROOT, Fields, Frame, leave, tell_bound, trim
from ctxlog.context.raised import remember_own
from ctxlog.freezing import freeze_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import ParamSpec, Self, TypeVar

    from ctxlog.context.accessors import Carried

    P = ParamSpec("P")
    R = TypeVar("R")

_current = CURRENT.get
_set_current = CURRENT.set


class scope:  # noqa: N801 - reads as a function, like contextlib.suppress
    """Bind fields for a ``with`` block, or for each call of what it decorates.

    Decorates functions, coroutine functions, generators and async generators; every call gets a
    scope of its own. A generator's scope opens with its first step, on what is bound there. Its
    steps run in frames of their own: what it binds lasts to its next step and never reaches
    whoever consumes it.

    Args:
        fields: names that cannot be keywords, such as ``{"k8s.object.name": "db"}``.
        more: fields by keyword; they win over ``fields``.

    Raises:
        UsageError: ``fields`` is not a mapping, or what it decorates cannot be called.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> with scope(request_id="r-1"):
        ...     get_context()
        {'request_id': 'r-1'}
        >>> @scope(job="nightly")
        ... def work():
        ...     return get_context()
        >>> work(), get_context()
        ({'job': 'nightly'}, {})
    """

    __slots__ = ("_bound",)

    def __init__(self, fields: Mapping[str, object] | None = None, /, **more: object) -> None:
        self._bound = freeze_fields(fields, more)

    def __enter__(self) -> Self:
        frame = _current()
        if frame.undo is LEFT:  # a copy of a block that has ended: there may be many below it
            trim(frame)
        below = frame.fields
        values = below.values
        values = values | self._bound if values else self._bound
        _set_current(Frame(Fields(values, below.ids, below.operation), frame, self))
        if BOUND:
            tell_bound(self._bound)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        frame = _current()
        if error is not None:
            remember_own(error, self)
        if frame.owner is self:  # as leave() would, without the call
            frame.undo = LEFT
            _set_current(frame.parent or ROOT)
        else:
            leave(self)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call of it runs in a block like this one."""
        from ctxlog.context.decorate import decorate  # here: most scopes are blocks

        return decorate(function, self._again)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Return what a generator's frame holds above ``below``; the rest is carried as it is."""
        return below.with_values(self._bound), capture()

    def _again(self) -> scope:
        kind = type(self)
        fresh = kind.__new__(kind)
        fresh._bound = self._bound  # noqa: SLF001 - one of its own kind
        return fresh

    def __repr__(self) -> str:
        return f"<scope {', '.join(self._bound)}>"
