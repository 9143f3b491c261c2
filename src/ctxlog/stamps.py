"""Stamp: what was current where a line was written, for a line that is made elsewhere.

It rides on another library's record (``record._ctxlog``) through its queues and threads. It pickles
to builtins alone, so that whoever receives the record needs no ctxlog to read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.context.border import leaving
from ctxlog.context.fields import CURRENT, EMPTY, Fields
from ctxlog.context.foreign import foreign_values
from ctxlog.context.providers import foreign_providers, providers
from ctxlog.context.spans import current_ids
from ctxlog.counting import counters
from ctxlog.freezing import freeze_fields
from ctxlog.ids import TraceIds, valid_span_id, valid_trace_id
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The attribute of a record, the key of loguru's, that holds the stamp.
ATTRIBUTE = "_ctxlog"


class Call:
    """A call of ctxlog's own logger, on a record of the standard library's."""

    __slots__ = ("args", "bound", "event", "fields", "names")

    def __init__(
        self,
        event: object,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        bound: Fields | None,
        names: frozenset[str],
    ) -> None:
        self.event = event
        self.args = args
        self.fields = fields
        self.bound = bound
        self.names = names  # the record's attributes that repeat what is here


class Stamp:
    """The context of one line: fields, ids, what providers and other libraries' contexts said.

    ``error`` is the exception being logged: a queue's handler may turn it into text. ``call`` is
    set when the line came from ctxlog's own logger.
    """

    __slots__ = ("call", "context", "error", "ids", "provided")

    def __init__(
        self,
        context: Fields,
        ids: TraceIds | None,
        provided: Mapping[str, object] | None = None,
        error: BaseException | None = None,
        call: Call | None = None,
    ) -> None:
        self.context = context
        self.ids = ids
        self.provided = provided
        self.error = error
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        fields: dict[str, object] = {**(self.provided or {}), **self.context.values}
        if self.call is not None:
            if self.call.bound is not None:
                fields.update(self.call.bound.values)
            fields.update(self.call.fields)
        sent: dict[str, object] = {"fields": plain(leaving(fields), DEFAULT_LIMITS)}
        if self.ids is not None:
            sent["ids"] = [self.ids.trace_id, self.ids.span_id, self.ids.trace_flags]
        if self.error is not None:
            from ctxlog.tracebacks import describe

            sent["exception"] = describe(self.error)
        return dict, (sent,)


#: For a record that was made elsewhere and says nothing of its context.
NOWHERE = Stamp(EMPTY, None)


def stamp_now(error: BaseException | None = None) -> Stamp:
    """Return what is current here and now.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     stamp_now().context.values
        {'request_id': 'r-1'}
    """
    context = CURRENT.get().fields
    return Stamp(context, current_ids() or context.ids, provided_now(), error)


def provided_now() -> dict[str, object] | None:
    """Return what providers and other libraries' contexts say here; ``None`` for nothing."""
    found = foreign_values()
    own, foreign = providers(), foreign_providers()
    if found is None and not own and not foreign:
        return None
    merged: dict[str, object] = freeze_fields(found, {})
    for provider in (*foreign, *own):
        try:
            merged.update(freeze_fields(provider(), {}))
        except Exception:  # noqa: BLE001 - a provider must not break somebody's record
            counters.add("errors.provider")
    return merged


def received(sent: object) -> Stamp:
    """Return the stamp that a pickled one has become, checked: it may come from anywhere.

    Example:
        >>> import pickle
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     sent = pickle.loads(pickle.dumps(stamp_now()))
        >>> sent, received(sent).context.values
        ({'fields': {'request_id': 'r-1'}}, {'request_id': 'r-1'})
    """
    if isinstance(sent, Stamp):
        return sent
    if not isinstance(sent, dict):
        return NOWHERE
    fields = sent.get("fields")
    ids = sent.get("ids")
    found = None
    if isinstance(ids, list) and len(ids) == 3 and all(isinstance(part, str) for part in ids):  # noqa: PLR2004 - an id each
        flags = ids[2] if len(ids[2]) == 2 and ids[2].isalnum() else "00"  # noqa: PLR2004
        if valid_trace_id(ids[0]) and valid_span_id(ids[1]):
            found = TraceIds(ids[0], ids[1], flags)
    values = freeze_fields(fields if isinstance(fields, dict) else None, {})
    described = sent.get("exception")
    if isinstance(described, dict):
        values = {**freeze_fields(described, {}), **values}
    return Stamp(Fields(values, found), found)
