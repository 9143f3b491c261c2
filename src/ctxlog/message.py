"""Message: the text of an event, whatever was given as one, its ``%`` arguments put in."""

from __future__ import annotations

from collections import UserList, deque
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.names import EVENT
from ctxlog.objects import is_model
from ctxlog.parts import error_text, may_show, parts_of
from ctxlog.plain import plain
from ctxlog.texts import bytes_text, mro_of, safe_str
from ctxlog.values import Lazy
from ctxlog.walk import is_mapping, unused

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Makes the value under a name plain.
    ValueOf = Callable[[str, Any], Any]

#: Characters of an event that is no text.
TEXT = 4_096
#: Lazy values that give a lazy value, one after the other: it may be itself.
LAZY = 4
_CONTAINERS: tuple[type, ...] = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    deque,
    type({}.values()),
    type({}.items()),
)


def event_of(event: object, args: tuple[Any, ...], fields: dict[str, Any]) -> object:
    """Return what a call says: without a positional event its field ``event``, as structlog does.

    That one is taken out of ``fields``.

    Example:
        >>> event_of(None, (), {"event": "paid"}), event_of("paid", (), {"event": "mine"})
        ('paid', 'paid')
    """
    if event is not None or args or not fields:
        return event
    try:
        return fields.pop(EVENT, None)
    except Exception:  # noqa: BLE001 - a name whose comparison raises; it is dealt with further on
        return event


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

    A lazy value is computed. An object that shows its parts keeps its own text, unless one of them
    is secret.

    Example:
        >>> from ctxlog.processors import Clean
        >>> shown({"token": "t"}, Clean().value), shown(3, Clean().value)
        ({'token': '[redacted]'}, 3)
    """
    kind = type(value)
    if kind is str or kind is int or value is None:  # not `in`: a metaclass's hash may raise
        return value
    if kind is Lazy:
        value = _computed(value)
        kind = type(value)
    if issubclass(kind, _CONTAINERS) or is_mapping(kind) or is_model(kind):
        return value_of("", value)
    if any(base is UserList for base in mro_of(kind)):  # an ABC: asking it runs others' code
        return value_of("", value)
    if issubclass(kind, BaseException):
        return _error(value, value_of) if may_show(value) else value
    if parts_of(value) is not None:
        masked = value_of("", value)
        return value if masked == plain(value, DEFAULT_LIMITS) else masked
    return value


def _error(error: BaseException, value_of: ValueOf) -> str:
    return error_text(error, TEXT, lambda args: plain(args, DEFAULT_LIMITS), partial(value_of, ""))


def _computed(value: Any) -> Any:
    for _ in range(LAZY):
        if type(value) is not Lazy:
            break
        value = value.resolve()
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
    return put_in(text, tuple([shown(arg, value_of) for arg in args]))


def put_in(text: str, given: tuple[Any, ...]) -> str:
    """Return ``text % given``; a mapping alone serves ``%(name)s``.

    Raises:
        Exception: whatever ``%`` and the arguments raise.

    Example:
        >>> put_in("%(n)d", ({"n": 3},))
        '3'
    """
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
