"""Ordinary: the values that orjson may have as they are, without the walk of :mod:`ctxlog.values`.

Exact scalars, and small containers of them with names that are known to be safe. A look at one
takes a third of the walk, and finds the same: what it is not sure of, the walk has to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.objects import is_secret
from ctxlog.values import SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ctxlog.limits import Limits
    from ctxlog.redact import Redaction

    class Known(Protocol):
        """What is known of names and limits; :class:`ctxlog.processors.Clean` has it."""

        @property
        def safe(self) -> set[str]:
            """Names that need no second look."""
            ...

        @property
        def fits(self) -> Callable[[str], bool]:
            """Looks at a name, and remembers it if it is safe."""
            ...

        @property
        def items(self) -> int:
            """How many items a container may have."""
            ...


#: Nested values up to here are looked through instead of walked: at most 16 ** 3 items.
DEPTH = 3
ITEMS = 16
#: What the walk must have room for, to find the same in such a value: items, and 64 characters each.
WORK = 8_000

#: What orjson may have as it is, and what it may have if :func:`ordinary` says so.
SIMPLE = SCALARS - {float}
WALKED = frozenset({dict, list, tuple, float})
_SEQUENCES = frozenset({list, tuple})


def depth_for(limits: Limits, redaction: Redaction) -> int:
    """Return how deep values may be looked through; 0 where only the walk knows.

    That is where the limits are tight, and where paths of names count.
    """
    roomy = limits.items * 16 + limits.line_bytes // 32 >= WORK
    return min(DEPTH, limits.depth) if roomy and not redaction.paths else 0


def ordinary(value: Any, known: Known, depth: int) -> bool:  # noqa: PLR0911 - one test after the other
    """Return whether a value is small and made of exact dicts, lists and scalars without secrets.

    Args:
        value: of a type in :data:`WALKED`.
        known: what is known of names and limits.
        depth: how many levels of containers it may be.

    Example:
        >>> from ctxlog.processors import Clean
        >>> values = ({"a": [1, 2.5]}, {"token": "t"}, [("cookie", "c")], float("nan"))
        >>> [ordinary(value, Clean(), 3) for value in values]
        [True, False, False, False]
    """
    its = type(value)
    if its is float:
        return bool(value - value == 0.0)
    if not depth or len(value) > known.items:
        return False
    if its is dict:
        safe = known.safe
        if is_secret(value):
            return False
        for name, item in value.items():
            if type(name) is not str or (name not in safe and not known.fits(name)):
                return False
            if type(item) not in SIMPLE and not _deeper(item, known, depth):
                return False
        return True
    for item in value:
        if type(item) not in SIMPLE and (not _deeper(item, known, depth) or _is_pair(item)):
            return False
    return True


def _deeper(value: Any, known: Known, depth: int) -> bool:
    return type(value) in WALKED and ordinary(value, known, depth - 1)


def _is_pair(value: Any) -> bool:
    """Return whether an item may be a name and its value, as headers come."""
    return type(value) in _SEQUENCES and len(value) == 2 and type(value[0]) is str  # noqa: PLR2004
