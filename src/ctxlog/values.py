"""Normalise values: what binding keeps (:func:`freeze`). A renderer gets :mod:`ctxlog.plain` ones.

Both run one walk that no value can break: types are told by ``type(value)``, a hostile method costs
its own value only, and depth, items and text are bounded, visibly.

>>> freeze({"at": {3}, "who": Secret("x")})
{'at': (3,), 'who': [redacted]}
"""

from __future__ import annotations

from itertools import islice

from ctxlog.errors import UsageError
from ctxlog.texts import NAME_CHARS, cut, mro_of, name_of, safe_repr, safe_str, type_name
from ctxlog.walk import HANDLERS, SHORT, Walk, foreign_pairs, is_mapping, unused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final, NoReturn

    from ctxlog.walk import Handler

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

MASK: Final = "[redacted]"
SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})

TEXT_CHARS = 65_536  # of a bound text
DEPTH = 16
ITEMS = 256
FIELDS = 1024  # of one mapping of fields
WORK = 16_384  # one item is 1, 64 characters are 1; else shared references grow without bound


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
        return value if len(value) <= TEXT_CHARS else cut(value, TEXT_CHARS)  # type: ignore[arg-type]
    if kind is int or value is None or kind is bool or kind is float:
        return value
    return Freeze().safely(value, DEPTH)


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
        pairs, size = _field_pairs(fields)
        for key, value in pairs:
            name = name_of(key)
            out[unused(name, out) if name in out else name] = freeze(value)
        if size > len(pairs):
            out[unused("...", out)] = f"<+{size - len(pairs)} more>"
    for key, value in more.items():
        easy = type(key) is str and 0 < len(key) <= NAME_CHARS and key.isascii()
        kind = type(value)
        if value is None or kind is int or kind is bool or kind is float:  # as freeze, but no call
            out[key if easy else name_of(key)] = value
        else:
            out[key if easy else name_of(key)] = freeze(value)
    return out


def _field_pairs(fields: Any) -> tuple[list[tuple[object, object]], int]:
    kind = type(fields)
    if any(base is dict for base in mro_of(kind)):  # not `in`: a metaclass's equality may lie
        return list(islice(dict.items(fields), FIELDS)), dict.__len__(fields)
    if not is_mapping(kind):
        message = f"fields are given as a mapping or as keywords, not {type_name(kind)}"
        raise UsageError(message)
    try:
        return foreign_pairs(fields, FIELDS)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - logging never raises into the application
        text = f"<{type_name(kind)}: items raised {type_name(type(error))}>"
        return [("fields", cut(text, NAME_CHARS))], 1


class Freeze(Walk):
    """The walk for what binding keeps."""

    __slots__ = ()

    def __init__(self) -> None:
        self.items = ITEMS
        self.left = WORK
        self.text_limit = TEXT_CHARS
        self.short = SHORT
        self.path = []
        self.is_secret = None
        self.mask = MASK
        self.where = None

    def reader_of(self, kind: type) -> Handler:
        from ctxlog.readers import reader_of  # here: most bind texts and numbers

        return reader_of(kind)

    def text(self, value: str) -> str:
        return cut(value, self.afforded(len(value)))

    def integer(self, value: int) -> int:
        return value

    def real(self, value: float) -> float:
        return value

    def ended(self, out: list[object]) -> tuple[object, ...]:
        return tuple(out)


def _secret(walk: Walk, value: Secret, _room: int) -> object:
    return value if isinstance(walk, Freeze) else walk.mask


def _lazy(walk: Walk, value: Lazy, room: int) -> object:
    if isinstance(walk, Freeze):
        return value
    return walk.walk(value.resolve(), room - 1) if room > 0 else "<depth>"


HANDLERS[id(Secret)] = _secret
HANDLERS[id(Lazy)] = _lazy
