"""Reconcile: a piece of an operator's work, on one object, without a framework.

>>> from ctxlog.context.fields import get_context
>>> with reconcile("shop/db-0", kind="Pod", reason="resync"):
...     get_context()["k8s.object.ref"]
'Pod/shop/db-0'
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING

from ctxlog.entries import entry
from ctxlog.kubernetes.identity import identify
from ctxlog.operations import operation
from ctxlog.values import freeze_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from ctxlog.carriers import Carrier
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
        36
    """
    return str(uuid.uuid4())


class reconcile:  # noqa: N801 - reads as a function, as entry and operation do
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
        UsageError: fields that are no mapping, a carrier or link of another type.

    Example:
        >>> from ctxlog.testing import capture
        >>> with capture() as lines:
        ...     with reconcile({"metadata": {"name": "db"}}, handler="scale", retry=0):
        ...         pass
        >>> line = lines.one(event="reconcile")
        >>> line["k8s.object.name"], line["handler"], line["outcome"]
        ('db', 'scale', 'success')
    """

    __slots__ = ("_entry", "_operation")

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
        known = identify(thing, kind=kind)
        known[RECONCILE_ID] = new_reconcile_id()
        for name, value in ((HANDLER, handler), (REASON, reason), (RETRY, retry)):
            if value is not None:
                known[name] = value
        known.update(freeze_fields(fields, more))
        self._entry = entry(carrier, known, link=link)
        self._operation = Unit(EVENT).named(
            logger or sys._getframe(1).f_globals.get("__name__") or "root"  # noqa: SLF001
        )

    def __enter__(self) -> Self:
        self._entry.__enter__()
        self._operation.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._operation.__exit__(kind, error, traceback)
        self._entry.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<reconcile {self._entry!r}>"


class Unit(operation):
    """An operation whose logger is told, rather than found."""

    __slots__ = ()

    def named(self, logger: str) -> Self:
        """Set the logger of the closing line."""
        self._logger = logger
        return self
