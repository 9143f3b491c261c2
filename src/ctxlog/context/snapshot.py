"""Snapshot: an immutable capture of the context, entered anywhere, by many threads at once."""

from __future__ import annotations

from contextvars import copy_context

from ctxlog.context.accessors import capture
from ctxlog.context.captured import Captured, SnapshotScope, context_of, remember_here
from ctxlog.context.decorate import (
    PLAIN,
    SPECIAL,
    FunctionType,
    decorate,
    hides_coroutine,
    kind_of,
)
from ctxlog.context.fields import CURRENT, thaw
from ctxlog.context.wrapped import Wrapped, alone, under
from ctxlog.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

_current = CURRENT.get


class Snapshot(Captured):
    """What was current when it was taken: fields, ids, and what accessors carry.

    It never changes, so one may be entered by any number of threads and tasks at once. Entering
    *replaces* what is current there with what it carries; other ContextVars are left alone.

    It pickles, and travels as bytes or in an environment; see :mod:`ctxlog.context.travel`.
    """

    __slots__ = ()

    def values(self) -> dict[str, object]:
        """Return a copy of the captured fields.

        Example:
            >>> from ctxlog.context.scope import scope
            >>> with scope(a=1):
            ...     snapshot().values()
            {'a': 1}
        """
        return {name: thaw(value) for name, value in self.fields.values.items()}

    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function`` under this snapshot, in a copy of the context it is called in.

        What it binds stays in that copy. A coroutine function gives a coroutine that runs under
        the snapshot; a generator function one whose every step does.

        Raises:
            UsageError: ``function`` cannot be called.

        Example:
            >>> from ctxlog.context.fields import get_context
            >>> from ctxlog.context.scope import scope
            >>> with scope(a=1):
            ...     taken = snapshot()
            >>> taken.run(get_context), get_context()
            ({'a': 1}, {})
        """
        if not callable(function):
            message = f"run takes a callable, not {type(function).__name__}"
            raise UsageError(message)
        later = kind_of(function) is not PLAIN
        if later or (self.everything is None and hides_coroutine(function)):
            return decorate(function, self.scope)(*args, **kwargs)
        run = self.context().run
        try:
            return run(function, *args, **kwargs)
        except BaseException as error:
            run(remember_here, error)
            raise

    def context(self) -> Context:
        """Return a new :class:`contextvars.Context` under this snapshot, for APIs that take one.

        It is a copy of the context it is made in, or of the one captured by
        ``snapshot(everything=True)``, with what is carried replaced.

        Example:
            >>> from ctxlog.context.fields import get_context
            >>> from ctxlog.context.scope import scope
            >>> with scope(a=1):
            ...     taken = snapshot()
            >>> taken.context().run(get_context)
            {'a': 1}
        """
        return context_of(self)

    def scope(self) -> SnapshotScope:
        """Return a context manager that makes this snapshot current for a block.

        Example:
            >>> from ctxlog.context.fields import get_context
            >>> with snapshot().scope():
            ...     get_context()
            {}
        """
        return SnapshotScope(self)

    def wrap(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return ``function`` running under this snapshot whenever and wherever it is called.

        Equal and hash-equal to ``function``, so that registries find it again.

        Raises:
            UsageError: ``function`` cannot be called.

        Example:
            >>> callbacks = [snapshot().wrap(print)]
            >>> callbacks.remove(print)
            >>> callbacks
            []
        """
        wrapped: Callable[P, R] = under(function, self)
        return wrapped

    def to_bytes(self, *, limit: int | None = None) -> bytes:
        """Return this snapshot as bytes, at most ``limit`` of them (65,536).

        What cannot travel, or not within the limit, is replaced by its capped ``repr``, named in
        the field ``context.replaced`` and counted.

        Raises:
            UsageError: ``limit`` is below 1,024.

        Example:
            >>> from ctxlog.context.scope import scope
            >>> with scope(a=1):
            ...     sent = snapshot().to_bytes()
            >>> Snapshot.from_bytes(sent).values()
            {'a': 1}
        """
        from ctxlog.context import travel

        return travel.pack(self, travel.MAX_BYTES if limit is None else limit)

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Read what :meth:`to_bytes` wrote. Nothing is unpickled, everything is checked.

        Raises:
            UsageError: ``data`` is no snapshot, of another version, or too long.
        """
        from ctxlog.context import travel

        return cls(*travel.unpack(data))

    def to_environ(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        r"""Return a copy of ``environ`` (``os.environ``) that takes this snapshot to a subprocess.

        It adds ``CTXLOG_CONTEXT`` and ``TRACEPARENT``; what was there under these names, and a
        ``TRACESTATE`` or ``BAGGAGE`` of another trace, is gone.

        Example:
            >>> import subprocess, sys
            >>> from ctxlog.context.scope import scope
            >>> code = "import ctxlog; print(ctxlog.Snapshot.from_environ().values())"
            >>> with scope(job="import"):
            ...     environ = snapshot().to_environ()
            >>> subprocess.run(
            ...     [sys.executable, "-c", code], env=environ, capture_output=True, text=True
            ... ).stdout
            "{'job': 'import'}\n"
        """
        from ctxlog.context import travel

        return travel.to_environ(self, environ)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Snapshot:
        """Read what :meth:`to_environ` wrote, or a bare ``TRACEPARENT``; never raises.

        What is missing or invalid is left out. Give it to :func:`ctxlog.entry`, which continues
        its ids, or enter it as it is.
        """
        from ctxlog.context import travel

        return cls(*travel.from_environ(environ))

    def __copy__(self) -> Snapshot:
        return self

    def __deepcopy__(self, memo: object) -> Snapshot:
        return self

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        from ctxlog.context import travel

        return _arrived, travel.pickled(self)

    def __repr__(self) -> str:
        return f"<snapshot {', '.join(self.fields.values)}>"


def _arrived(data: bytes, parts: Mapping[str, bytes]) -> Snapshot:
    from ctxlog.context import travel

    return Snapshot(*travel.arrived(data, parts))


def snapshot(*, everything: bool = False) -> Snapshot:
    """Capture the context: fields, ids, and what registered accessors carry.

    Args:
        everything: take a copy of *all* ContextVars along. It keeps alive and shares whatever
            other libraries put there (a database session, a scope), so it is not the default.
            A block (:meth:`Snapshot.scope`) and a coroutine function are entered without it;
            give a task :meth:`Snapshot.context`.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     taken = snapshot()
        >>> taken.values()
        {'request_id': 'r-1'}
    """
    everywhere = copy_context() if everything else None
    return Snapshot(_current().fields, capture(), everywhere)


def wrap(function: Callable[P, R]) -> Callable[P, R]:
    """Return ``function`` running under the context of *now*: ``snapshot().wrap(function)``.

    Raises:
        UsageError: ``function`` cannot be called.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     callback = wrap(get_context)
        >>> callback()
        {'request_id': 'r-1'}
    """
    frame = _current()
    wrapped: Callable[P, R]
    # a plain function is told at once: asking kind_of costs a call, going by under() a third more
    if (
        type(function) is FunctionType
        and not function.__code__.co_flags & SPECIAL
        and not function.__dict__
    ):
        wrapped = Wrapped(function, function, frame.alone or alone(frame), capture())
    else:
        wrapped = under(function, Captured(frame.fields, capture()))
    return wrapped
