"""Every exception and warning of ctxlog, and how misuse is worded.

::

    Exception
    └── CtxlogError            anything that ctxlog raises itself
        └── UsageError         misuse of the API; also a TypeError and a ValueError
    UserWarning
    └── CtxlogWarning          something is wrong, and work goes on

>>> print(choices("renderer", "jsn", ["auto", "console", "json"]))
unknown renderer 'jsn': did you mean 'json'? Known: auto, console, json
"""

from __future__ import annotations

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
