"""Normalise values: what binding keeps (:func:`freeze`), what a renderer gets (:func:`plain`).

Both run one walk that no value can break: types are told by ``type(value)``, a hostile method costs
its own value only, and depth, items and text are bounded, visibly.

>>> freeze({"at": {3}, "who": Secret("x")})
{'at': (3,), 'who': [redacted]}
"""

from __future__ import annotations

from itertools import islice

from ctxlog.errors import UsageError
from ctxlog.texts import NAME_CHARS, cut, kept_of, mro_of, name_of, safe_repr, safe_str, type_name
from ctxlog.walk import HANDLERS, INT_MAX, INT_MIN, SHORT, Walk, foreign_pairs, is_mapping, unused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final, NoReturn, Protocol

    class Bounds(Protocol):
        """What :func:`plain` needs to know; :class:`ctxlog.limits.Limits` has it."""

        @property
        def value_bytes(self) -> int: ...
        @property
        def line_bytes(self) -> int: ...
        @property
        def depth(self) -> int: ...
        @property
        def items(self) -> int: ...


__all__ = [
    "MASK",
    "SCALARS",
    "Lazy",
    "Secret",
    "freeze",
    "freeze_fields",
    "lazy",
    "name_of",
    "plain",
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

_INT_BITS = 13_287  # 4,000 decimal digits; Python itself refuses to write more than 4,300


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
    return _Freeze().safely(value, DEPTH)


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


def plain(
    value: object,
    limits: Bounds,
    is_secret: Callable[[str], bool] | None = None,
    mask: str = MASK,
    where: str | None = None,
) -> Any:
    """Return what a renderer may be given: JSON's own types, within ``limits``.

    Texts hold no lone surrogates and, mark included, at most ``limits.value_bytes`` (if that is 48
    or more); integers
    fit 64 bits, others are text; floats are finite or named; mappings are dicts with text keys.
    A :class:`Secret`, and whatever is under a key for which ``is_secret(key)`` holds, is ``mask``;
    so is the second of a pair in a sequence when the first is such a name (headers). A
    :class:`Lazy` is computed. Never raises.

    Args:
        value: anything.
        limits: what a value may have.
        is_secret: told a key; with ``where`` the dotted path of keys that leads to it.
        mask: what is written for a secret.
        where: the path of this value itself, ``""`` for a whole event.

    Example:
        >>> from ctxlog.limits import DEFAULT_LIMITS
        >>> plain({"a": (2**80, float("nan"))}, DEFAULT_LIMITS)
        {'a': ['1208925819614629174706176', 'NaN']}
    """
    kind = type(value)
    if kind is str:
        return _utf8(value, limits.value_bytes)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value
    if kind is int and INT_MIN <= value <= INT_MAX:  # type: ignore[operator]
        return value
    return _Plain(limits, is_secret, mask, where).safely(value, limits.depth)


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


def _utf8(text: str, limit: int) -> str:
    if text.isascii():
        size = len(text)
        if size <= limit:
            return text
        room = kept_of(limit)
        return f"{text[:room]}…[+{size - room} bytes]"
    data = text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes its escape
    if len(data) <= limit:
        return data.decode("utf-8")
    kept = data[: kept_of(limit)].decode("utf-8", "ignore")  # ignored: part of a character
    return f"{kept}…[+{len(data) - len(kept.encode())} bytes]"


class _Freeze(Walk):
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

    def text(self, value: str) -> str:
        return cut(value, self.afforded(len(value)))

    def integer(self, value: int) -> int:
        return value

    def real(self, value: float) -> float:
        return value

    def ended(self, out: list[object]) -> tuple[object, ...]:
        return tuple(out)


class _Plain(Walk):
    """The walk for what a renderer is given."""

    __slots__ = ()

    def __init__(
        self,
        limits: Bounds,
        is_secret: Callable[[str], bool] | None,
        mask: str,
        where: str | None,
    ) -> None:
        self.items = items = limits.items
        self.left = items * 16 + limits.line_bytes // 32  # a few times what a line can hold
        self.text_limit = limits.value_bytes
        self.short = min(SHORT, limits.value_bytes)
        self.path = []
        self.is_secret = is_secret
        self.mask = mask
        self.where = where

    def text(self, value: str) -> str:
        return _utf8(value, self.afforded(len(value)))

    def integer(self, value: int) -> object:
        if INT_MIN <= value <= INT_MAX:
            return value
        if value.bit_length() <= _INT_BITS:
            try:
                return self.text(str(value))
            except ValueError:  # the interpreter may be set to write fewer digits
                pass
        return self.text(hex(value))

    def real(self, value: float) -> object:
        if value - value == 0.0:  # finite: infinity minus itself is no number
            return value
        if value != value:  # noqa: PLR0124 - only NaN differs from itself
            return "NaN"
        return "Infinity" if value > 0 else "-Infinity"

    def ended(self, out: list[object]) -> list[object]:
        return out


def _secret(walk: Walk, value: Secret, _room: int) -> object:
    return value if type(walk) is _Freeze else walk.mask


def _lazy(walk: Walk, value: Lazy, room: int) -> object:
    if type(walk) is _Freeze:
        return value
    return walk.walk(value.resolve(), room - 1) if room > 0 else "<depth>"


HANDLERS[id(Secret)] = _secret
HANDLERS[id(Lazy)] = _lazy
