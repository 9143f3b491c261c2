"""Executors: what is submitted runs under the context of whoever submitted it.

>>> from ctxlog.context.fields import get_context
>>> from ctxlog.context.scope import scope
>>> with ThreadPoolExecutor() as pool, scope(request_id="r-1"):
...     pool.submit(get_context).result()
{'request_id': 'r-1'}
"""

from __future__ import annotations

import sys
from concurrent import futures
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxlog.context.accessors import TABLE, capture
from ctxlog.context.fields import CURRENT
from ctxlog.context.wrapped import Wrapped, alone, run_bare, run_under
from ctxlog.errors import UsageError
from ctxlog.propagation.jobs import Initializer, job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


_Plain = futures.ThreadPoolExecutor
_current = CURRENT.get
_modules = sys.modules


class ContextExecutor(futures.Executor):
    """An executor in front of another one; made by :func:`wrap_executor`.

    What it does not know itself it asks the other one for.
    """

    def __init__(self, executor: futures.Executor) -> None:
        self.wrapped = executor

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[R]:
        """Submit a call of ``fn`` under the context of now."""
        return self.wrapped.submit(job(fn), *args, **kwargs)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **options: Any,
    ) -> Iterator[R]:
        """Call ``fn`` for each set of arguments, all under the context of now."""
        return self.wrapped.map(
            job(fn), *iterables, timeout=timeout, chunksize=chunksize, **options
        )

    def shutdown(self, *args: Any, **options: Any) -> None:
        """Shut the other executor down."""
        self.wrapped.shutdown(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "wrapped":  # half made, or being unpickled
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def __repr__(self) -> str:
        return f"<{self.wrapped!r} with context>"


def wrap_executor(executor: Any) -> ContextExecutor:
    """Return an executor whose jobs run under their submitter's context, in ``executor``.

    Any executor: of threads, processes (also loky's, Dask's: the job pickles with its context),
    gevent's. ``loop.set_default_executor`` takes only a ``ThreadPoolExecutor``: give it
    :class:`ThreadPoolExecutor` of this module.

    Raises:
        UsageError: it has no ``submit``.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> pool = wrap_executor(futures.ThreadPoolExecutor(1))
        >>> with pool, scope(a=1):
        ...     list(pool.map(lambda n: (n, get_context()), [7]))
        [(7, {'a': 1})]
    """
    if isinstance(executor, ContextExecutor):
        return executor
    if not callable(getattr(executor, "submit", None)):
        message = f"wrap_executor takes an executor, not {type(executor).__name__}: no submit()"
        raise UsageError(message)
    return ContextExecutor(executor)


class ThreadPoolExecutor(_Plain):
    """:class:`concurrent.futures.ThreadPoolExecutor`, jobs under their submitter's context."""

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(
            max_workers, thread_name_prefix, Initializer(initializer), initargs, **options
        )

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[R]:
        """Submit a call of ``fn`` under the context of now."""
        if args or kwargs:
            if type(fn) is Wrapped:  # it has its context: a mapped function
                return _Plain.submit(self, fn, *args, **kwargs)
            fn = partial(fn, *args, **kwargs) if callable(fn) else job(fn)
        elif not callable(fn):
            job(fn)  # says what is wrong
        # as job(fn), in half the time: no wrapper, no super(), no call that can be spared
        frame = _current()
        if len(_modules) == TABLE.quiet:
            return _Plain.submit(self, run_bare, frame.alone or alone(frame), fn)
        return _Plain.submit(self, run_under, frame.alone or alone(frame), capture(), fn)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **options: Any,
    ) -> Iterator[R]:
        """Call ``fn`` for each set of arguments, all under the context of now."""
        return super().map(job(fn), *iterables, timeout=timeout, chunksize=chunksize, **options)


class ProcessPoolExecutor(futures.ProcessPoolExecutor):
    """:class:`concurrent.futures.ProcessPoolExecutor`, jobs under their submitter's context.

    With every start method: the context is pickled with the job. What cannot travel is replaced,
    named on the lines (``context.replaced``) and counted; the job runs.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(max_workers, mp_context, Initializer(initializer), initargs, **options)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[R]:
        """Submit a call of ``fn`` under the context of now."""
        return super().submit(job(fn), *args, **kwargs)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **options: Any,
    ) -> Iterator[R]:
        """Call ``fn`` for each set of arguments, all under the context of now."""
        return super().map(job(fn), *iterables, timeout=timeout, chunksize=chunksize, **options)
