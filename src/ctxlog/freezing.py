"""Freezing: what binding keeps of a value. A renderer gets :mod:`ctxlog.plain` ones.

Texts and numbers are told here. All else goes through one walk that no value can break, loaded with
the first such value: :mod:`ctxlog.freeze_walk`.

>>> from ctxlog.values import Secret
>>> freeze({"at": {3}, "who": Secret("x")})
{'at': (3,), 'who': [redacted]}
"""

from __future__ import annotations

from ctxlog.texts import BOUND_CHARS, NAME_CHARS, name_of, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FIELDS = 1024  # of one mapping of fields


def freeze(value: object) -> object:
    """Return what binding keeps of a value: it is as the value is now, and pins nothing.

    Scalars stay (a text over 65,536 characters is cut), :class:`Secret` and :class:`Lazy` too.
    Sequences and sets become tuples; mappings, instances of dataclasses, attrs and pydantic,
    namespaces and named tuples dicts with text keys (``repr=False`` fields stay out, as in their
    own repr). Dates, UUIDs, paths, decimals and bytes become text, an enum member its value, an
    exception ``"Type: message"``; anything else its capped ``repr``. Depth, items and cycles are
    cut visibly. Never raises.

    Example:
        >>> freeze([1, {"a": b"x"}, float])
        (1, {'a': 'x'}, "<class 'float'>")
    """
    kind = type(value)
    if kind is str:
        return value if len(value) <= BOUND_CHARS else _walked(value)  # type: ignore[arg-type]
    if kind is int or value is None or kind is bool or kind is float:
        return value
    return _walked(value)


def freeze_fields(
    fields: Mapping[Any, object] | None, more: dict[str, object]
) -> dict[str, object]:
    """Return both as one new dict of frozen values, names made text; ``more`` wins.

    Raises:
        UsageError: when ``fields`` is no mapping.

    Example:
        >>> freeze_fields({"a": 1, 2: [3]}, {"a": 4})
        {'a': 4, '2': (3,)}
    """
    out: dict[str, object] = {}
    if fields is not None:
        pairs = list(fields.items()) if type(fields) is dict and len(fields) <= FIELDS else None
        if pairs is not None and all(_is_easy(key) for key, _ in pairs):
            out = {key: freeze(value) for key, value in pairs}
        else:
            out = _walked_fields(fields)
    for key, value in more.items():
        # as _is_easy and freeze, without the calls
        easy = type(key) is str and 0 < len(key) <= NAME_CHARS and key.isascii()
        kind = type(value)
        if value is None or kind is int or kind is bool or kind is float:
            out[key if easy else name_of(key)] = value
        else:
            out[key if easy else name_of(key)] = freeze(value)
    return out


def _is_easy(key: object) -> bool:
    """Say whether a key is a field's name as it is."""
    return type(key) is str and 0 < len(key) <= NAME_CHARS and key.isascii()


# The walk is imported here: most bind texts and numbers. It cannot be any more by a finaliser that
# the interpreter calls as it ends: what is bound there reads as what the walk could not read.


def _walked(value: object) -> object:
    try:
        from ctxlog.freeze_walk import frozen
    except Exception as error:  # noqa: BLE001 - see above
        return unreadable(value, error)
    return frozen(value)


def _walked_fields(fields: Mapping[Any, object]) -> dict[str, object]:
    try:
        from ctxlog.freeze_walk import frozen_fields
    except Exception as error:  # noqa: BLE001 - see above
        return {"fields": unreadable(fields, error)}
    return frozen_fields(fields, FIELDS)
