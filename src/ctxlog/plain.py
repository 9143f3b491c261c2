"""Plain: what a renderer may be given of any value: JSON's own types, within limits, secrets masked.

>>> from ctxlog.limits import DEFAULT_LIMITS
>>> from ctxlog.values import Secret
>>> plain({"at": {3}, "who": Secret("x")}, DEFAULT_LIMITS)
{'at': [3], 'who': '[redacted]'}
"""

from __future__ import annotations

from ctxlog.objects import mask_parts
from ctxlog.readers import reader_of
from ctxlog.texts import kept_of
from ctxlog.values import MASK
from ctxlog.walk import INT_MAX, INT_MIN, SHORT, Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from ctxlog.walk import Handler

    class Bounds(Protocol):
        """What :func:`plain` needs to know; :class:`ctxlog.limits.Limits` has it."""

        @property
        def value_bytes(self) -> int:
            """Bytes of one value."""
            ...

        @property
        def line_bytes(self) -> int:
            """Bytes of one line."""
            ...

        @property
        def depth(self) -> int:
            """Levels of containers."""
            ...

        @property
        def items(self) -> int:
            """Items of one container."""
            ...


_INT_BITS = 13_287  # 4,000 decimal digits; Python itself refuses to write more than 4,300


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

    def mask_parts(self, out: dict[str, object]) -> None:
        mask_parts(out, self.mask)

    def reader_of(self, kind: type) -> Handler:
        return reader_of(kind)

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
