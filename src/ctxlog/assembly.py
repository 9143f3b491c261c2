"""Assembly: an event out of its parts: head, ids, fields from all layers, each name once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.clock import AHEAD
from ctxlog.clock import text_of as stamp_of
from ctxlog.context.fields import CURRENT, thaw
from ctxlog.context.foreign import foreign_values
from ctxlog.context.providers import foreign_providers, providers
from ctxlog.context.raised import raised_under
from ctxlog.context.spans import current_ids
from ctxlog.freezing import freeze_fields
from ctxlog.levels import NAMES as LEVEL_NAMES
from ctxlog.levels import name_of as level_name
from ctxlog.message import message
from ctxlog.names import (
    CALL,
    EVENT,
    LEVEL,
    LOGGER,
    REQUEST_ID,
    SPAN_ID,
    TIMESTAMP,
    TRACE_FLAGS,
    TRACE_ID,
)
from ctxlog.processors import stack_text
from ctxlog.texts import without_middle
from ctxlog.tracebacks import STACK_BYTES, describe, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from ctxlog.clock import Clock
    from ctxlog.context.fields import Fields
    from ctxlog.line import Line
    from ctxlog.processors import CallSite, Clean
    from ctxlog.types import Processor

    #: Bound fields on top of what lies below them: that (by identity), whether all names are free,
    #: both as one, and the names of containers.
    Layer: TypeAlias = tuple[dict[str, Any], bool, dict[str, Any], tuple[str, ...]]
    #: Told of a step that failed: its kind, the part, the error.
    Failed = Callable[[str, object, Exception], None]

_FROZEN = frozenset({dict, tuple})
_NOTHING: dict[str, Any] = {}
_NO_LAYER: Layer = (_NOTHING, True, _NOTHING, ())
_free = names.RESERVED_BESIDE_IDS.isdisjoint


def layers(  # noqa: PLR0913 - a layer each
    resource: dict[str, object],
    context: Fields,
    bound: Fields | None,
    failed: Failed,
    foreign: Mapping[str, object] | None = None,
    provided: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Return what stands below a call's own fields.

    From weak to strong: foreign contexts, the resource, providers, the context, the logger.
    ``foreign`` is bound in other libraries' contexts. ``provided`` is what they and the providers
    said where the line was written; ``None``: that is here.
    """
    merged: dict[str, Any] = freeze_fields(foreign, {})
    if provided is not None:
        merged.update(provided)
    else:
        for provider in foreign_providers():
            _read(provider, merged, failed)
    merged.update(resource)
    if provided is None:
        for provider in providers():
            _read(provider, merged, failed)
    merged.update(context.values)
    if bound is not None:
        merged.update(bound.values)
    return merged


def _read(
    provider: Callable[[], Mapping[str, object] | None], merged: dict[str, Any], failed: Failed
) -> None:
    try:
        found = provider()
        if found:
            merged.update(freeze_fields(found, {}))
    except Exception as error:  # noqa: BLE001 - a guarded step
        failed("provider", provider, error)


def stack_of(asked: object) -> str | None:
    """Return what ``stack_info`` asks for: a text is one already."""
    if isinstance(asked, str):
        return asked or None
    return stack_text() if asked else None


_ID_NAMES = (names.TRACE_ID, names.SPAN_ID, names.TRACE_FLAGS)


def add_raised(event: dict[str, Any], error: BaseException) -> None:
    """Fill gaps from the fields an exception was raised under; conflicts get a name of their own.

    So does everything that it was raised with in another piece of work: one exception may be shared
    by many (the failure of a future that several requests await), and their fields must not be.
    """
    for raised in raised_under(error):
        found: dict[str, Any] = dict(raised.values)
        elsewhere = raised.shared or _differs(event, REQUEST_ID, found.get(REQUEST_ID))
        if raised.ids is not None:
            ids = (raised.ids.trace_id, raised.ids.span_id, raised.ids.trace_flags)
            if _differs(event, TRACE_ID, raised.ids.trace_id):
                elsewhere = True
            if TRACE_ID not in event and not elsewhere:
                event.update(zip(_ID_NAMES, ids, strict=True))
            elif elsewhere:
                found.update(zip(_ID_NAMES, ids, strict=True))
        for name, value in found.items():
            if name in event and _same(event[name], value):
                continue
            if elsewhere or name in names.HEAD or name in event:
                event.setdefault(f"exception.fields.{name}", value)
            else:
                event.setdefault(name, value)


def _differs(event: dict[str, Any], name: str, value: object) -> bool:
    return value is not None and name in event and not _same(event[name], value)


def _same(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a value of the application's may compare as it likes
        return False


class Assembler:
    """Puts an event together from what a call gives and what is current; a part of the pipeline."""

    resource: dict[str, object]
    processors: tuple[Processor, ...]
    callsite: CallSite | None
    clock: Clock
    reads_foreign: bool
    cleaner: Clean
    #: Nothing has to be asked or moved, but perhaps for this one line.
    _simple: bool

    def _failed(self, step: str, part: object, error: Exception, line: Line) -> None:
        raise NotImplementedError

    def assemble(self, line: Line) -> None:
        """Make the line's event: the head, ids, then fields by precedence."""
        context = line.context
        if context is None:
            context = CURRENT.get().fields
            line.ids = current_ids() or context.ids
            line.context = context  # last: with what failed before, the bare line looks for itself
        text, fields = line.said, line.fields
        if type(text) is not str or line.args:
            text = message(text, line.args, fields, self.cleaner.value)
        event = line.event = self._head(line, text)
        call, free = _NOTHING, _free(fields)
        if not free:
            call = {name: fields.pop(name) for name in CALL.intersection(fields)}
            free = _free(fields)
        if free and self._simple and self._laid(line, context):
            event.update(fields)
        else:
            event.update(self._layered(line, context))
        if call or self.callsite is not None:
            self._add_call(event, call)
        if line.level_text is not None:
            event[LEVEL] = line.level_text

    def _laid(self, line: Line, context: Fields) -> bool:
        """Put what is below the call's fields into the event, unless anything is asked or moved."""
        stamp, bound = line.stamp, line.bound
        if stamp is not None:
            if stamp.provided:
                return False
        elif self.reads_foreign and foreign_values():
            return False
        below = self._layer(context, self.resource)
        above = _NO_LAYER if bound is None else self._layer(bound, _NOTHING)
        if not (below[1] and above[1]):
            return False
        event = line.event
        event.update(below[2])
        for name in below[3]:
            event[name] = thaw(event[name])
        if bound is not None:
            event.update(above[2])
            for name in above[3]:
                event[name] = thaw(event[name])
        return True

    def _layer(self, fields: Fields, below: dict[str, Any]) -> Layer:
        """Look at what is bound, with what lies below it: once, not for each line, if it can be.

        With processors the fast path leaves the slot on the fields to us.
        """
        known = fields.encoded
        if known is not None and known[0] is below:
            return known
        values = {**below, **fields.values}
        if not self.processors:
            return (below, _free(values), values, ())
        # they may change what they get; the context must not change
        nested = tuple([name for name, value in values.items() if type(value) in _FROZEN])
        fields.encoded = made = (below, _free(values), values, nested)
        return made

    def _head(self, line: Line, text: str) -> dict[str, Any]:
        ahead = 0
        if line.stamp_ns is None:
            tick, micro = self.clock.now()
            stamp, ahead = f"{tick.text}{micro:06d}Z", tick.ahead_ns
        else:
            stamp = stamp_of(line.stamp_ns)
        level = LEVEL_NAMES.get(line.level) or level_name(line.level)
        if not line.method:
            line.method = level
        head: dict[str, Any] = {
            TIMESTAMP: stamp,
            LEVEL: level,
            LOGGER: line.logger,
            EVENT: text,
        }
        ids = line.ids
        if ids is not None:
            head[TRACE_ID] = ids.trace_id
            head[SPAN_ID] = ids.span_id
            head[TRACE_FLAGS] = ids.trace_flags
        if ahead:
            head[AHEAD] = round(ahead / 1e9, 6)
        return head

    def _layered(self, line: Line, context: Fields) -> dict[str, Any]:
        """Return the fields when providers are to be read, or names move."""

        def failed(step: str, part: object, error: Exception) -> None:
            self._failed(step, part, error, line)

        foreign, provided = None, None
        if line.stamp is not None:
            provided = line.stamp.provided or _NOTHING
        elif self.reads_foreign:
            foreign = foreign_values()
        merged = layers(self.resource, context, line.bound, failed, foreign, provided)
        self._own(merged)
        merged.update(line.fields)
        names.move(merged, names.RESERVED if line.ids is None else names.RESERVED_BESIDE_IDS)
        return merged

    def _own(self, fields: dict[str, Any]) -> None:
        """Copy nested values: processors may change what they get; the context must not change."""
        if self.processors:
            for name, value in fields.items():
                fields[name] = thaw(value)

    def _add_call(self, event: dict[str, Any], call: dict[str, Any]) -> None:
        """Give ``exc_info``, ``stack_info`` and ``stacklevel`` of the call their meaning."""
        error = resolve(call.get("exc_info"))
        if error is not None:
            event["exc_info"] = error
        stack = stack_of(call.get("stack_info"))
        if stack is not None:
            _put(event, {names.STACK: without_middle(stack, self.cleaner.limits.value_bytes)})
        if self.callsite is not None:
            event["stacklevel"] = call.get("stacklevel", 1)
            self.callsite(None, "", event)

    def _render_exception(self, line: Line) -> None:
        event = line.event
        error = resolve(event.pop("exc_info"))
        if error is None:
            return
        try:
            room = min(STACK_BYTES, self.cleaner.limits.value_bytes)
            described = describe(error, bytes_limit=room)
        except Exception as failure:  # noqa: BLE001 - a guarded step
            self._failed("traceback", describe, failure, line)
            described = {"exception.type": type(error).__qualname__}
        _put(event, described)
        add_raised(event, error)


def _put(event: dict[str, Any], described: Mapping[str, object]) -> None:
    """Add what belongs to the line itself; a field of the same name moves."""
    for name in [name for name in described if name in event]:
        event[names.moved(name, event)] = event[name]
    event.update(described)
