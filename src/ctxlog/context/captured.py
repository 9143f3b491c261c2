"""Captured: what a snapshot holds, and the two ways to enter it: a copy of a context, a block."""

from __future__ import annotations

from contextvars import copy_context

from ctxlog.context.accessors import MISSING, SPANS, active, enter_carried
from ctxlog.context.fields import CURRENT, Fields, Frame, leave
from ctxlog.context.raised import remember, remember_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Context
    from types import TracebackType
    from typing import Self

    from ctxlog.context.accessors import Carried
    from ctxlog.ids import TraceIds

_current = CURRENT.get
_set_current = CURRENT.set
#: Who owns the frame of a call in a copy of the context: nobody leaves it, the copy ends.
RUN = "run"


class Captured:
    """Fields, what accessors carry, and every other variable if that was asked for."""

    __slots__ = ("carried", "everything", "fields")

    def __init__(
        self, fields: Fields, carried: Carried = (), everything: Context | None = None
    ) -> None:
        self.fields = fields
        self.carried = carried
        self.everything = everything

    @property
    def ids(self) -> TraceIds | None:
        """The ids a line under it has: its span's, else those of its entry."""
        for accessor, value in self.carried:
            if accessor.name == SPANS and value is not MISSING:
                from ctxlog.context.spans import (
                    ids_in,  # here: without its library it is not loaded
                )

                return ids_in(value) or self.fields.ids
        return self.fields.ids


def context_of(captured: Captured) -> Context:
    """Return a new context under it: a copy of the one that is current, or of the one captured."""
    everything = captured.everything
    context = copy_context() if everything is None else everything.copy()
    context.run(enter, captured.fields, captured.carried)
    return context


def enter(fields: Fields, carried: Carried) -> None:
    """Make it current for as long as this context lasts: a copy, or a thread of its own."""
    _set_current(Frame(fields, None, RUN))
    if carried or active():
        enter_carried(carried)


def remember_here(error: BaseException) -> None:
    """Put the fields of here on an exception that leaves."""
    remember(error, _current().fields)


class SnapshotScope:
    """A block under what was captured; what was there before comes back."""

    __slots__ = ("_captured",)

    def __init__(self, captured: Captured) -> None:
        self._captured = captured

    def __enter__(self) -> Self:
        undo = enter_carried(self._captured.carried)
        _set_current(Frame(self._captured.fields, _current(), self, undo))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            remember_own(error, self)
        leave(self)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Return what is captured: it replaces ``below``."""
        return self._captured.fields, self._captured.carried
