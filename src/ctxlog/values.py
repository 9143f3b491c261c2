"""Normalise values: what binding keeps (:func:`freeze`). A renderer gets :mod:`ctxlog.plain` ones.

Texts and numbers are told here. All else goes through one walk that no value can break, loaded with
the first such value: :mod:`ctxlog.freezing`.

>>> freeze({"at": {3}, "who": Secret("x")})
{'at': (3,), 'who': [redacted]}
"""

from __future__ import annotations

from ctxlog.texts import MASK, NAME_CHARS, name_of, safe_repr, safe_str, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

__all__ = [
    "MASK",
    "SCALARS",
    "Lazy",
    "Secret",
    "freeze",
    "freeze_fields",
    "lazy",
    "name_of",
    "safe_repr",
    "safe_str",
]

SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})

FIELDS = 1024  # of one mapping of fields
EASY_CHARS = 65_536  # of a text that is kept whole


class Secret:
    """A value that prints as a mask wherever it is written; :meth:`reveal` gives it back.

    Equal by value; always hashable; refuses to be pickled, since it would leave in clear.

    Example:
        >>> key = Secret("k-123")
        >>> f"{key}", [key], key.reveal(), key == Secret("k-123")
        ('[redacted]', [[redacted]], 'k-123', True)
    """

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK  # whatever the spec: it was meant for the value

    def __eq__(self, other: object) -> bool:
        return bool(self._value == other._value) if type(other) is Secret else NotImplemented

    def __hash__(self) -> int:
        try:
            return hash((Secret, self._value))
        except Exception:  # noqa: BLE001 - equal ones still have equal hashes
            return hash(Secret)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        message = "a Secret is not pickled: it would be sent in clear; send reveal() if you mean it"
        raise TypeError(message)


class Lazy:
    """A value computed if and when a line is written; made by :func:`lazy`."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def resolve(self) -> object:
        """Compute the value; a function that raises gives a text that says so.

        Example:
            >>> lazy(lambda: 1 / 0).resolve()
            '<lazy raised ZeroDivisionError: division by zero>'
        """
        try:
            return self._function()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it goes on the line
            return f"<lazy raised {type_name(type(error))}: {safe_str(error, NAME_CHARS)}>"

    def __repr__(self) -> str:
        return f"lazy({safe_repr(self._function, NAME_CHARS)})"


def lazy(function: Callable[[], object]) -> Lazy:
    """Defer a costly value: computed once for each line it is on, never for a disabled level.

    Raises:
        UsageError: when it cannot be called.

    Example:
        >>> lazy(lambda: sum(range(10))).resolve()
        45
    """
    given: object = function  # the caller may not be type-checked
    if not callable(given):
        message = f"lazy() takes a function of no arguments, not {type_name(type(given))}"
        from ctxlog.errors import UsageError  # here: only whoever errs pays for the import

        raise UsageError(message)
    return Lazy(function)


def freeze(value: object) -> object:
    """Return what binding keeps of a value: it is as the value is now, and pins nothing.

    Scalars stay (a text over 65,536 characters is cut), :class:`Secret` and :class:`Lazy` too.
    Sequences and sets become tuples; mappings, dataclass instances and named tuples dicts with
    text keys (a dataclass's ``repr=False`` fields stay out, as in its own repr). Dates, UUIDs,
    paths, decimals and bytes become text, an enum member its value, an exception
    ``"Type: message"``; anything else its capped ``repr``. Depth, items and cycles are cut
    visibly. Never raises.

    Example:
        >>> freeze([1, {"a": b"x"}, float])
        (1, {'a': 'x'}, "<class 'float'>")
    """
    kind = type(value)
    if kind is str:
        return value if len(value) <= EASY_CHARS else _walked(value)  # type: ignore[arg-type]
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
        from ctxlog.freezing import frozen
    except Exception as error:  # noqa: BLE001 - see above
        return _unreadable(value, error)
    return frozen(value)


def _walked_fields(fields: Mapping[Any, object]) -> dict[str, object]:
    try:
        from ctxlog.freezing import frozen_fields
    except Exception as error:  # noqa: BLE001 - see above
        return {"fields": _unreadable(fields, error)}
    return frozen_fields(fields, FIELDS)


def _unreadable(value: object, error: Exception) -> str:
    return f"<{type_name(type(value))}: unreadable, {type_name(type(error))}>"
