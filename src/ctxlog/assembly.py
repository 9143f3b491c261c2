"""Assembly: an event's fields from all layers, the stronger over the weaker, each name once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.context.providers import foreign_providers, providers
from ctxlog.context.raised import raised_under
from ctxlog.counting import counters
from ctxlog.processors import stack_text
from ctxlog.texts import bytes_text, safe_str
from ctxlog.values import freeze_fields
from ctxlog.walk import is_mapping, unused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.context.fields import Fields

    #: Told of a step that failed: its kind, the part, the error.
    Failed = Callable[[str, object, Exception], None]
    #: Makes the value under a name plain.
    ValueOf = Callable[[str, Any], Any]

#: Characters of an event that is no text.
TEXT = 4_096
_CONTAINERS = (dict, list, tuple, set, frozenset)


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


def text_of(event: Any, value_of: ValueOf) -> str:
    """Return an event as text; one that is no text is capped, and a container's secrets masked.

    Args:
        event: anything.
        value_of: makes a value plain (:meth:`ctxlog.processors.Clean.value`).

    Example:
        >>> from ctxlog.processors import Clean
        >>> [text_of(event, Clean().value) for event in ("paid", b"paid", {"token": 1})]
        ['paid', 'paid', "{'token': '[redacted]'}"]
    """
    kind = type(event)
    if kind is str:
        text: str = event
        return text
    if issubclass(kind, str):
        return str.__str__(event)  # not isinstance: __class__ may lie
    if kind is bytes:
        return bytes_text(event, TEXT)
    return safe_str(shown(event, value_of), TEXT)


def shown(value: Any, value_of: ValueOf) -> Any:
    """Return what may be printed: a container's own text may have no end, and shows secrets.

    Example:
        >>> from ctxlog.processors import Clean
        >>> shown({"token": "t"}, Clean().value), shown(3, Clean().value)
        ({'token': '[redacted]'}, 3)
    """
    kind = type(value)
    if kind is str or kind is int or value is None:  # not `in`: a metaclass's hash may raise
        return value
    if issubclass(kind, _CONTAINERS) or is_mapping(kind):
        return value_of("", value)
    return value


def interpolate(event: object, args: tuple[Any, ...], value_of: ValueOf) -> str:
    """Return ``event % args`` as logging and structlog do; a mapping alone serves ``%(name)s``.

    Raises:
        Exception: whatever ``%`` and the arguments raise.

    Example:
        >>> from ctxlog.processors import Clean
        >>> interpolate("%d of %s", (3, "bob"), Clean().value)
        '3 of bob'
    """
    text = text_of(event, value_of)
    given = tuple([shown(arg, value_of) for arg in args])
    if len(given) == 1 and type(given[0]) is dict and given[0]:
        return text % given[0]
    return text % given


def message(event: object, args: tuple[Any, ...], fields: dict[str, Any], value_of: ValueOf) -> str:
    """Return the event's text; arguments that do not fit it become the field ``positional_args``."""
    if args:
        try:
            return interpolate(event, args, value_of)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - an argument may do anything; it must not be lost
            counters.add("errors.arguments")
            fields[unused("positional_args", fields)] = args
    return text_of(event, value_of)


def stack_of(asked: object) -> str | None:
    """Return what ``stack_info`` asks for: a text is one already."""
    if isinstance(asked, str):
        return asked or None
    return stack_text() if asked else None


_ID_NAMES = (names.TRACE_ID, names.SPAN_ID, names.TRACE_FLAGS)


def add_raised(event: dict[str, Any], error: BaseException) -> None:
    """Fill gaps from the fields an exception was raised under; conflicts get a name of their own."""
    for raised in raised_under(error):
        found: dict[str, Any] = dict(raised.values)
        if raised.ids is not None:
            ids = (raised.ids.trace_id, raised.ids.span_id, raised.ids.trace_flags)
            if names.TRACE_ID not in event:
                event.update(zip(_ID_NAMES, ids, strict=True))
            elif event[names.TRACE_ID] != raised.ids.trace_id:
                found.update(zip(_ID_NAMES, ids, strict=True))
        for name, value in found.items():
            if name in names.HEAD or (name in event and not _same(event[name], value)):
                event.setdefault(f"exception.fields.{name}", value)
            else:
                event.setdefault(name, value)


def _same(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a value of the application's may compare as it likes
        return False
