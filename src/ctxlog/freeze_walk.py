"""Freezing: the walk for what binding keeps of values that are no text or number.

Loaded with the first such value. It is :mod:`ctxlog.walk`'s: no value can break it.

>>> frozen({"at": {3}, "who": [float]})
{'at': (3,), 'who': ("<class 'float'>",)}
"""

from __future__ import annotations

from itertools import islice

from ctxlog.errors import UsageError, uncalled
from ctxlog.objects import mask_parts
from ctxlog.texts import BOUND_CHARS, MASK, NAME_CHARS, cut, mro_of, name_of, type_name
from ctxlog.walk import SHORT, Walk, foreign_pairs, is_mapping, unused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ctxlog.walk import Handler

DEPTH = 16
ITEMS = 256
WORK = 16_384  # one item is 1, 64 characters are 1; else shared references grow without bound


class Freeze(Walk):
    """The walk for what binding keeps."""

    __slots__ = ()

    def __init__(self) -> None:
        self.items = ITEMS
        self.left = WORK
        self.text_limit = BOUND_CHARS
        self.short = SHORT
        self.path = []
        self.is_secret = None
        self.mask = MASK
        self.where = None

    def reader_of(self, kind: type) -> Handler:
        """Return the reader of a type, any type."""
        from ctxlog.readers import reader_of  # here: most containers are dicts and lists

        return reader_of(kind)

    def text(self, value: str) -> str:
        """Cut it."""
        return cut(value, self.afforded(len(value)))

    def integer(self, value: int) -> int:
        """Keep it, however large."""
        return value

    def real(self, value: float) -> float:
        """Keep it, also if it is no number."""
        return value

    def ended(self, out: list[object]) -> tuple[object, ...]:
        """Return what nobody can change."""
        return tuple(out)

    def mask_parts(self, out: dict[str, object]) -> None:
        """Mask a Secret's parts, where names are."""
        mask_parts(out, self.mask)

    def secret(self, value: object) -> object:
        """Keep it: it is a mask wherever it is written."""
        return value

    def deferred(self, value: object, room: int) -> object:
        """Keep it: it is computed for each line."""
        return value


def frozen(value: object) -> object:
    """Return what binding keeps of a value; :func:`ctxlog.freezing.freeze` asks for what is no number.

    Example:
        >>> frozen([1, b"x"])
        (1, 'x')
    """
    return Freeze().safely(value, DEPTH)


def frozen_fields(fields: Any, most: int) -> dict[str, object]:
    """Return fields that came as a mapping of any kind, names made text, at most so many.

    Raises:
        UsageError: when it is no mapping.

    Example:
        >>> frozen_fields({1: "one", "1": "two"}, 8)
        {'1': 'one', '1~2': 'two'}
    """
    out: dict[str, object] = {}
    pairs, size = _pairs(fields, most)
    for key, value in pairs:
        out[unused(name_of(key), out)] = frozen(value)
    if size > len(pairs):
        out[unused("...", out)] = f"<+{size - len(pairs)} more>"
    return out


def _pairs(fields: Any, most: int) -> tuple[list[tuple[object, object]], int]:
    kind = type(fields)
    if any(base is dict for base in mro_of(kind)):  # not `in`: a metaclass's equality may lie
        return list(islice(dict.items(fields), most)), dict.__len__(fields)
    if not is_mapping(kind):
        message = f"fields are given as a mapping or as keywords, not {type_name(kind)}"
        raise UsageError(message + uncalled("scope()", fields))
    try:
        return foreign_pairs(fields, most)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - logging never raises into the application
        text = f"<{type_name(kind)}: items raised {type_name(type(error))}>"
        return [("fields", cut(text, NAME_CHARS))], 1
