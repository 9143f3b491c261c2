"""Values that stand for others until a line is written: :class:`Secret` and :func:`lazy`.

>>> f"{Secret('x')}", lazy(lambda: 2).resolve()
('[redacted]', 2)
"""

from __future__ import annotations

from ctxlog.errors import UsageError
from ctxlog.texts import MASK, NAME_CHARS, safe_repr, safe_str, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["MASK", "SCALARS", "Lazy", "Secret", "lazy"]

SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})


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
