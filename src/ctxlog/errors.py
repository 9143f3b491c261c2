"""Every exception and warning of ctxlog, and how misuse is worded.

::

    Exception
    └── CtxlogError            anything that ctxlog raises itself
        └── UsageError         misuse of the API; also a TypeError and a ValueError
    UserWarning
    └── CtxlogWarning          something is wrong, and work goes on
        └── LeakWarning        a test has left something behind

>>> print(choices("renderer", "jsn", ["auto", "console", "json"]))
unknown renderer 'jsn': did you mean 'json'? Known: auto, console, json
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX

from ctxlog.texts import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters of a wrong value that a message repeats.
SHOWN = 80


class CtxlogError(Exception):
    """The root of what ctxlog raises.

    Example:
        >>> issubclass(UsageError, CtxlogError)
        True
    """


class UsageError(CtxlogError, TypeError, ValueError):
    """Misuse of the API: the message says what happened, what to do, and lists the candidates.

    It is a :class:`TypeError` and a :class:`ValueError`, so that whoever guards a call against
    wrong arguments catches it, whichever of the two was expected.

    Example:
        >>> try:
        ...     raise choices("level", "loud", ["debug", "info"])
        ... except ValueError as error:
        ...     print(error)
        unknown level 'loud'. Known: debug, info
    """


class CtxlogWarning(UserWarning):
    """Something is wrong with the configuration or the environment; work goes on without it.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", CtxlogWarning)
    """


class LeakWarning(CtxlogWarning):
    """A test has left something behind: what, where it was opened, and the fix.

    Given by the pytest plugin when ``ctxlog_guard`` is ``warn``.

    Example:
        >>> issubclass(LeakWarning, UserWarning)
        True
    """


def choices(what: str, got: object, candidates: Iterable[str]) -> UsageError:
    """Return (not raise) the error for a name that is none of the known ones.

    Args:
        what: the kind of thing, in the singular: ``"renderer"``.
        got: what was given; a text is repeated, of anything else only the type is named.
        candidates: the names that would have been right, in the order they are to be listed.

    Example:
        >>> print(choices("option", 3, ["width"]))
        unknown option of type int. Known: width
    """
    known = list(dict.fromkeys(candidates))
    if type(got) is not str:
        message = f"unknown {what} of type {type_name(type(got))}"
    else:
        from difflib import get_close_matches  # here: only whoever errs pays for the import

        shown = got if len(got) <= SHOWN else f"{got[:SHOWN]}…"
        message = f"unknown {what} {shown!r}"
        close = get_close_matches(shown.lower(), known, n=1)
        if close:
            return UsageError(f"{message}: did you mean {close[0]!r}? Known: {', '.join(known)}")
    return UsageError(f"{message}. Known: {', '.join(known)}")


def uncalled(decorator: str, given: object) -> str:
    """Return what to add to a message when a function was given: a decorator was not called.

    Example:
        >>> uncalled("scope()", print), uncalled("scope()", 3)
        ('; a decorator takes parentheses: @ctxlog.scope()', '')
    """
    if type(given).__name__ not in {"function", "builtin_function_or_method", "method"}:
        return ""
    return f"; a decorator takes parentheses: @ctxlog.{decorator}"


def yes_or_no(what: str, given: object) -> bool:
    """Return what was given if it is ``True`` or ``False``.

    Raises:
        UsageError: it is anything else: ``"no"`` would be true.

    Example:
        >>> yes_or_no("strict", True)
        True
    """
    if type(given) is not bool:
        raise UsageError(f"{what} takes True or False, not {shown(given)}")
    return given


def seconds(what: str, given: object, *, zero: bool = True) -> float:
    """Return what was given if it is a number of seconds that can be waited for.

    Args:
        what: the option.
        given: by the caller.
        zero: whether it may be 0.

    Raises:
        UsageError: it is no number, or one that cannot be waited for.

    Example:
        >>> seconds("timeout", 2.5)
        2.5
    """
    number = given if isinstance(given, int | float) and type(given) is not bool else -1
    if 0 <= number <= TIMEOUT_MAX and (number or zero):
        return number
    raise UsageError(
        f"{what} takes seconds {'from' if zero else 'above'} 0, at most {TIMEOUT_MAX:.0f},"
        f" not {shown(given)}"
    )


def shown(given: object) -> str:
    """Return how a wrong value is named: a text or number as it is, of others only the type.

    Example:
        >>> shown("no"), shown([])
        ("'no'", 'list')
    """
    if type(given) in (str, int, float, bool, type(None)):
        text = repr(given)
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return type_name(type(given))
