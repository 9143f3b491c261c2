"""Jobs: a callable under the context of whoever handed it in. What the other modules build on."""

from __future__ import annotations

from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from ctxlog.context.accessors import enter_carried
from ctxlog.context.fields import CURRENT, ROOT, Frame
from ctxlog.context.wrapped import Wrapped, run_bare, run_under, under_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from typing import TypeVar

    from ctxlog.context.captured import Captured

    Function = TypeVar("Function", bound=Callable[..., Any])

#: Whose threads and processes serve many pieces of work: they never start under one of them.
MACHINERY = (
    "concurrent.futures.",
    "ctxlog.sinks.",
    "joblib.externals.loky.",
    "logging.handlers",
    "loky.",
    "multiprocessing.",
    "opentelemetry.sdk.",
    "sentry_sdk.",
)
#: What a process pool's map makes a partial of, its function first: the standard library's, loky's.
_CHUNK = "_process_chunk"


def job(function: Function) -> Function:
    """Return ``function`` under the context of now; one that has its context already, as it is.

    Each call runs in a copy of the context it is called in, with what is carried replaced. It
    pickles if ``function`` does.

    Raises:
        UsageError: ``function`` cannot be called.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> with scope(a=1):
        ...     later = job(get_context)
        >>> later(), job(later) is later
        ({'a': 1}, True)
    """
    given: Any = function
    kind = type(given)
    if kind is FunctionType:  # nearly always
        return function if given in (run_under, run_bare) else cast("Function", under_now(given))
    if isinstance(given, Wrapped):
        return function
    if kind is partial and given.args and getattr(given.func, "__name__", None) == _CHUNK:
        mapped, *rest = given.args  # each item a job of its own, not all of them one
        return cast("Function", partial(given.func, job(mapped), *rest, **given.keywords))
    return cast("Function", under_now(given))


def enter(snapshot: Captured) -> None:
    """Make ``snapshot`` current for good: for the start of a thread or a process of its own."""
    CURRENT.set(Frame(snapshot.fields, None, snapshot))
    enter_carried(snapshot.carried)


def start_empty() -> None:
    """Make nothing current for good: a worker may have inherited the first submitter's context."""
    CURRENT.set(ROOT)
    enter_carried(())


def fill(context: Context, snapshot: Captured) -> Context:
    """Enter ``snapshot`` in ``context`` and return it."""
    context.run(enter, snapshot)
    return context


def is_machinery(worker: Any) -> bool:
    """Whether a thread or process belongs to a pool, a listener or an exporter.

    Told by the module of its target, else of its class.
    """
    target = getattr(worker, "_target", None)
    module = getattr(target, "__module__", None) or type(worker).__module__
    return isinstance(module, str) and module.startswith(MACHINERY)


class Initializer:
    """A pool's initializer that starts the worker with nothing current; it pickles."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object] | None) -> None:
        self._function = function

    def __call__(self, *args: Any) -> None:
        """Start empty, then do what was asked."""
        start_empty()
        if self._function is not None:
            self._function(*args)
