"""Reconcile: a piece of an operator's work, on one object, without a framework.

>>> from ctxlog.context.fields import get_context
>>> with reconcile("shop/db-0", kind="Pod", reason="resync"):
...     get_context()["k8s.object.ref"]
'Pod/shop/db-0'
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ctxlog.context.accessors import enter_carried, leave_carried
from ctxlog.context.fields import CURRENT, Frame
from ctxlog.entries import entry
from ctxlog.errors import UsageError, shown
from ctxlog.freezing import freeze, freeze_fields
from ctxlog.ids import new_request_id
from ctxlog.kubernetes.identity import identify
from ctxlog.operations import operation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from ctxlog.carriers import Carrier
    from ctxlog.context.accessors import Carried
    from ctxlog.context.fields import Fields
    from ctxlog.context.snapshot import Snapshot
    from ctxlog.ids import TraceIds

RECONCILE_ID = "reconcile_id"
HANDLER = "handler"
REASON = "reason"
RETRY = "retry"
#: The event of a closing line.
EVENT = "reconcile"


def new_reconcile_id() -> str:
    """Return a new id of one run on one object.

    Example:
        >>> len(new_reconcile_id())
        32
    """
    return new_request_id()


def logger_of(given: object, calling: Mapping[str, object]) -> str:
    """Return a closing line's logger: the one that is given, else the calling module's.

    Raises:
        UsageError: it is no name.

    Example:
        >>> logger_of(None, {"__name__": "operator.scaling"})
        'operator.scaling'
    """
    name = given or calling.get("__name__") or "root"
    if not isinstance(name, str):
        raise UsageError(f"logger takes a logger's name, not {shown(given)}")
    return name


class Unit(operation):
    """An operation that is an entry too: it begins under fields of its own, with what they carry."""

    __slots__ = ()

    def under(self, below: Fields) -> tuple[Fields, Carried]:
        """Return what it begins under."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        frame = CURRENT.get()
        fields, carried = self.under(frame.fields)
        undo = enter_carried(carried)
        mine = self._begin(fields)
        span = None if self._work is None else self._work.span
        if span is not None:
            undo = (*undo, *span.enter())
        CURRENT.set(Frame(mine, frame, self, undo))
        return self

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Begin, for a generator whose steps run in it."""
        fields, carried = self.under(below)
        undo = enter_carried(carried)
        try:
            mine = self._begin(fields)
        finally:
            leave_carried(undo)
        span = None if self._work is None else self._work.span
        return mine, carried if span is None else span.carried(carried)


class reconcile(Unit):  # noqa: N801 - reads as a function, as entry and operation do
    """Run a block as one reconcile: an entry with the object's identity, closed by one line.

    Nothing of what was bound before shows in it, nothing bound in it stays. Its closing line is the
    event ``reconcile``, with ``outcome``, ``duration_s`` and what was annotated. ``with`` it in
    coroutines too; each block needs one of its own.

    Args:
        thing: the object, in any shape that :func:`~ctxlog.kubernetes.identity.identify` takes.
        fields: more fields; names that cannot be keywords.
        kind: the object's kind, where the thing does not say: for ``"namespace/name"`` keys.
        handler: what handles it, by name.
        reason: why it runs: ``"create"``, ``"resync"``, an event's type.
        retry: which retry this is, 0 for the first run.
        carrier: headers or a snapshot whose ids are continued.
        link: where this work comes from without being part of it.
        logger: the closing line's logger; default is the calling module.
        more: fields by keyword.

    Raises:
        UsageError: fields that are no mapping, a carrier, link or logger of another type.

    Example:
        >>> from ctxlog.testing import capture
        >>> with capture() as lines:
        ...     with reconcile({"metadata": {"name": "db"}}, handler="scale", retry=0):
        ...         pass
        >>> line = lines.one(event="reconcile")
        >>> line["k8s.object.name"], line["handler"], line["outcome"]
        ('db', 'scale', 'success')
    """

    __slots__ = ("_entry",)

    def __init__(  # noqa: PLR0913 - what a reconcile is known by, each by name
        self,
        thing: object = None,
        fields: Mapping[str, object] | None = None,
        /,
        *,
        kind: str | None = None,
        handler: str | None = None,
        reason: str | None = None,
        retry: int | None = None,
        carrier: Carrier | Snapshot | None = None,
        link: Snapshot | TraceIds | None = None,
        logger: str | None = None,
        **more: object,
    ) -> None:
        self._fill(EVENT, logger_of(logger, sys._getframe(1).f_globals))  # noqa: SLF001
        known = identify(thing, kind=kind)
        known[RECONCILE_ID] = new_reconcile_id()
        if handler is not None:
            known[HANDLER] = freeze(handler)
        if reason is not None:
            known[REASON] = freeze(reason)
        if retry is not None:
            known[RETRY] = freeze(retry)
        if fields is not None or more:
            known.update(freeze_fields(fields, more))
        self._entry = entry.of(known, carrier, link)

    def under(self, below: Fields) -> tuple[Fields, Carried]:
        """Open the entry."""
        return self._entry.open(below)

    def ended(self, error: BaseException | None) -> None:
        """Write the closing line, and tell who watches that the entry has ended after it."""
        super().ended(error)
        self._entry.ended(error)

    def _again(self) -> Self:
        fresh = super()._again()
        fresh._entry = self._entry.again(**{RECONCILE_ID: new_reconcile_id()})  # noqa: SLF001 - its own class
        return fresh

    def __repr__(self) -> str:
        return f"<reconcile {self._entry!r}>"
