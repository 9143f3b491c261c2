"""Limits: how large a value and a line may be, and how a line that is larger is cut.

>>> small = Limits(line_bytes=1024)
>>> event = {"event": "read", "request_id": "r-1", "body": "x" * 5000}
>>> short = fit(event, 5100, small, frozenset({"event", "request_id"}))
>>> short["request_id"], short["body"][-14:], short["truncated"]
('r-1', '…[+4191 bytes]', ['body'])
"""

from __future__ import annotations

from bisect import bisect_right

from ctxlog.errors import UsageError, choices
from ctxlog.texts import safe_repr
from ctxlog.walk import unused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never, NoReturn

OPTIONS = ("value_bytes", "line_bytes", "depth", "items")
LEAST_LINE = 1024  # the ids and reserved names fit into it
MOST_DEPTH = 100  # orjson itself stops at 254

TRUNCATED = "truncated"
_MARK = 64  # bytes that the longest mark takes as a value, quotes included
_LEAST_ROOM = 256

# What JSON makes of a character, where it makes more of it: as our renderer does it.
_ESCAPES = dict.fromkeys((*range(32), *range(127, 160)), "\\u0000")
_ESCAPES |= dict.fromkeys((*range(0x2028, 0x202F), *range(0x2066, 0x206A)), "\\u0000")
_ESCAPES |= {ord(char): "\\n" for char in '\b\t\n\f\r"\\'}


class Limits:
    """How much of a value and of a line is written; the rest is cut where it can be seen.

    Args:
        value_bytes: of one text, in bytes of UTF-8.
        line_bytes: of one line; at least 1,024.
        depth: levels of containers in a value; at most 100.
        items: entries of one container.

    Raises:
        UsageError: for an unknown option, or a number out of its range.

    Example:
        >>> Limits(depth=4)
        Limits(value_bytes=16384, line_bytes=131072, depth=4, items=256)
    """

    __slots__ = OPTIONS

    value_bytes: int
    line_bytes: int
    depth: int
    items: int

    def __init__(
        self,
        *,
        value_bytes: int = 16_384,
        line_bytes: int = 131_072,
        depth: int = 16,
        items: int = 256,
        **unknown: Never,
    ) -> None:
        for name in unknown:
            raise choices("limit", name, OPTIONS)
        put = object.__setattr__
        put(self, "value_bytes", _checked("value_bytes", value_bytes))
        put(self, "line_bytes", _checked("line_bytes", line_bytes, least=LEAST_LINE))
        put(self, "depth", _checked("depth", depth, most=MOST_DEPTH))
        put(self, "items", _checked("items", items))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        message = f"Limits are immutable: make others to change {name!r}"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def _parts(self) -> tuple[int, int, int, int]:
        return self.value_bytes, self.line_bytes, self.depth, self.items

    def __eq__(self, other: object) -> bool:
        return self._parts() == other._parts() if type(other) is Limits else NotImplemented

    def __hash__(self) -> int:
        return hash(self._parts())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, self._parts()

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={getattr(self, name)}" for name in OPTIONS)
        return f"Limits({parts})"


def _rebuilt(value_bytes: int, line_bytes: int, depth: int, items: int) -> Limits:
    return Limits(value_bytes=value_bytes, line_bytes=line_bytes, depth=depth, items=items)


def _checked(name: str, number: object, least: int = 1, most: int | None = None) -> int:
    if type(number) is int and number >= least and (most is None or number <= most):
        return number
    bounds = f"from {least} to {most}" if most is not None else f"of {least} or more"
    shown = safe_repr(number, 40)
    message = f"{name} takes a whole number {bounds}, not {shown}; limits are {', '.join(OPTIONS)}"
    raise UsageError(message)


DEFAULT_LIMITS = Limits()


def fit(
    event: Mapping[str, Any],
    size: int,
    limits: Limits,
    keep: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Return a copy of a plain event, cut so that its line has at most ``limits.line_bytes``.

    The largest values are cut first: texts keep their beginning, containers become a mark. What
    does not fit even so is dropped. ``keep`` names what goes first (ids, reserved names); of them
    only a text that is far too long is cut. ``truncated`` lists the names, and counts what it
    cannot list and what was dropped.

    Why it fits: every name and value is counted as the JSON it becomes, escapes, quotes, colon and
    comma included, so that the sum is never less than the line. The room is then given out in parts
    that add up to less than it: an eighth to ``truncated``, up to three quarters of the rest to
    ``keep``. Each field has first what its mark needs, or is dropped; what is left is shared
    equally by those that want more; and a value is cut to its share. If a renderer wrote more than
    JSON takes, the room is less in proportion; should its next line still be too long, call again.

    Args:
        event: names to plain values (:func:`ctxlog.plain.plain`).
        size: bytes of the line as it was rendered.
        limits: what it may have.
        keep: names that come first.

    Example:
        >>> fit({"event": "e", "rows": [["x" * 99] * 20]}, 2050, Limits(line_bytes=1024))
        {'event': 'e', 'rows': '<list of 1, 2045 bytes>', 'truncated': ['rows']}
    """
    given = event.get(TRUNCATED)
    event, earlier = _without_notes(event)
    names = {name: _text_bytes(name) + 2 for name in event}  # a colon and a comma
    values = {name: _bytes(value) for name, value in event.items()}
    total = 2 + sum(names.values()) + sum(values.values())
    if earlier:  # they are not kept as they are, and were in the line all the same
        total += _text_bytes(TRUNCATED) + 2 + _bytes(given)
    room = limits.line_bytes - 2  # the braces
    if size > total:
        room = max(_LEAST_ROOM, room * total // size)
    room -= (notes_room := room // 8)
    first = [name for name in event if name in keep]
    rest = [name for name in event if name not in keep]
    wanted = sum(names[name] + values[name] for name in rest)
    shares = _shares(first, names, values, max(room * 3 // 4, room - wanted))
    used = sum(names[name] + share for name, share in shares.items())
    shares |= _shares(rest, names, values, room - used)
    out: dict[str, Any] = {}
    cut = []
    for name, value in event.items():
        share = shares.get(name)
        if share is None or share < values[name]:
            cut.append(name)
        if share is not None:
            out[name] = value if share >= values[name] else _shortened(value, values[name], share)
    out[TRUNCATED] = _notes([*earlier, *cut], len(event) - len(out), notes_room)
    return out


def _without_notes(event: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    rest = dict(event)
    if TRUNCATED not in rest:
        return rest, []
    notes = rest.pop(TRUNCATED)
    if isinstance(notes, list) and all(isinstance(note, str) for note in notes):
        return rest, notes  # of an earlier call
    rest[unused(f"fields.{TRUNCATED}", rest)] = notes
    return rest, []


def _shares(
    chosen: list[str], names: dict[str, int], values: dict[str, int], room: int
) -> dict[str, int]:
    """Return how many bytes each value may have; a name that is missing is dropped."""
    shares = {}
    for name in sorted(chosen, key=lambda name: names[name] + min(values[name], _MARK)):
        least = min(values[name], _MARK)
        if names[name] + least > room:
            break  # the ones that follow need no less
        shares[name] = least
        room -= names[name] + least
    left = len(shares)
    for name in sorted(shares, key=lambda name: values[name]):
        more = min(values[name] - shares[name], room // left)
        shares[name] += more
        room -= more
        left -= 1
    return shares


def _shortened(value: Any, size: int, room: int) -> str:
    if isinstance(value, dict | list | tuple):
        return f"<{type(value).__name__} of {len(value)}, {size} bytes>"
    if not isinstance(value, str):  # nothing plain; a mark all the same
        return f"<{size} bytes>"
    space = room - _MARK + 32  # the mark of a text takes half of what a container's does
    length = bisect_right(range(len(value) + 1), space, key=lambda n: _text_bytes(value[:n])) - 1
    kept = value[: max(length, 0)]
    gone = len(value.encode("utf-8", "surrogatepass")) - len(kept.encode("utf-8", "surrogatepass"))
    return f"{kept}…[+{gone} bytes]"


def _notes(cut: list[str], dropped: int, room: int) -> list[str]:
    notes: list[str] = []
    room -= len(TRUNCATED) + 6 + 2 * 32  # the field itself, and two counts
    for name in dict.fromkeys(cut):
        room -= _text_bytes(name) + 1
        if room < 0:
            break
        notes.append(name)
    unlisted = len(dict.fromkeys(cut)) - len(notes)
    if unlisted:
        notes.append(f"<+{unlisted} more>")
    if dropped:
        notes.append(f"<{dropped} dropped>")
    return notes


def _text_bytes(text: str) -> int:
    if not text.isprintable() or '"' in text or "\\" in text:
        text = text.translate(_ESCAPES)
    return 2 + (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")))


def _bytes(value: Any) -> int:
    """Return how many bytes of JSON a value takes, at most."""
    if isinstance(value, str):
        return _text_bytes(value)
    if isinstance(value, dict):
        return 2 + sum(_text_bytes(name) + 2 + _bytes(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return 2 + sum(_bytes(item) + 1 for item in value)
    return 5 if value is None or isinstance(value, bool) else len(safe_repr(value))
