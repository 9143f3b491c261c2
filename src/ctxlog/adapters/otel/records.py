"""Records: an event as what OpenTelemetry's ``Logger.emit`` takes, fit for every exporter.

One value that an exporter cannot encode loses the whole batch it is in, so nothing goes out of here
but text, bool, float, 64-bit signed int, ``None``, and lists and dicts of these, not too deep.

>>> severity(25), severity(50), severity(5)
(11, 21, 1)
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from time import time_ns
from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.renderers.json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A field of this name is the record's ``EventName``.
EVENT_NAME = "event_name"
#: Attributes past the SDK's limit: it would drop them one by one.
SURPLUS = "ctxlog.surplus"
INT_MAX = 2**63 - 1
#: Levels of containers; a protobuf decoder takes 100 messages one in the other, a level has up to 3.
DEPTH = 20
#: What is no attribute: it has a place of its own in a record.
_HEAD = frozenset({names.TIMESTAMP, names.LEVEL, names.LOGGER, names.EVENT}) | names.IDS
_FINE = frozenset({str, bool, float, type(None)})
_MISSING = object()
_second: tuple[str, int] = ("", 0)


def severity(level: int) -> int:
    """Return the severity number of a level: debug 5, info 9, warn 13, error 17, fatal 21.

    Levels in between are in between, by their number.

    Example:
        >>> [severity(level) for level in (0, 5, 10, 20, 33, 40, 99)]
        [1, 1, 5, 9, 14, 17, 24]
    """
    if level < 10:  # noqa: PLR2004 - debug
        return 1 + max(0, level - 5) * 4 // 5
    return min(24, 5 + (level - 10) * 4 // 10)


def nanoseconds(stamp: object) -> int:
    """Return a line's timestamp in ns since the epoch; now if it has none.

    Example:
        >>> nanoseconds("1970-01-01T00:00:02.000003Z")
        2000003000
    """
    global _second  # noqa: PLW0603 - the last second read: most lines are of the same one
    try:
        text, seconds = _second
        if type(stamp) is str and stamp[:19] == text and len(stamp) == 27:  # noqa: PLR2004 - microseconds and Z
            return seconds + int(stamp[20:26]) * 1_000
        at = datetime.fromisoformat(stamp)  # type: ignore[arg-type]
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        whole = int(at.replace(microsecond=0).timestamp()) * 1_000_000_000
        if type(stamp) is str and stamp.endswith("Z"):
            _second = (stamp[:19], whole)
        return whole + at.microsecond * 1_000
    except (TypeError, ValueError, OverflowError):
        return time_ns()


def attributes(
    event: Mapping[str, Any], resource: Mapping[str, Any], most: int | None
) -> dict[str, Any]:
    """Return an event's attributes: its fields, without what is elsewhere in the record.

    Args:
        event: a clean event.
        resource: what the record's resource says already.
        most: so many at the most; the rest go into one, :data:`SURPLUS`.

    Example:
        >>> attributes({"event": "paid", "amount": 2**64 - 1, "at": "eu"}, {"at": "eu"}, 128)
        {'amount': '18446744073709551615'}
    """
    found: dict[str, Any] = {}
    for name, value in event.items():
        if name in _HEAD:
            continue
        kind = type(value)
        if resource and name in resource and _same(resource[name], value):
            continue
        if kind in _FINE:
            found[name or "<empty>"] = value
        else:
            found[name or "<empty>"] = _fit(value, DEPTH)
    if most is not None and len(found) > most:
        kept = list(found)[: max(0, most - 1)]
        rest = {name: value for name, value in found.items() if name not in set(kept)}
        found = {name: found[name] for name in kept}
        if most > 0:
            found[SURPLUS] = encode(rest).decode()
    return found


def _fit(value: Any, room: int) -> Any:
    kind = type(value)
    if kind in _FINE:
        return value
    if kind is int:
        return value if -INT_MAX - 1 <= value <= INT_MAX else str(value)
    if kind is dict or kind is list:
        if room <= 0:
            return encode({"": value})[4:-1].decode()
        if kind is list:
            return [_fit(item, room - 1) for item in value]
        return {(name or "<empty>"): _fit(item, room - 1) for name, item in value.items()}
    return str(value)


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def attribute_limit() -> int | None:
    """Return how many attributes the SDK lets a record have; ``None``: any number."""
    for variable in ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"):
        text = os.environ.get(variable)
        if text is not None:
            text = text.strip()
            return int(text) if text.isdigit() else None
    return 128
