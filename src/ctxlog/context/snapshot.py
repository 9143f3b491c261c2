"""Snapshot: an immutable capture of the context, entered anywhere, by many threads at once."""

from __future__ import annotations

from contextvars import copy_context

import ctxlog.context.foreign  # noqa: F401 # pyright: ignore[reportUnusedImport] - its accessors travel
from ctxlog.context import spans
from ctxlog.context.accessors import MISSING, active, capture, enter_carried
from ctxlog.context.decorate import COROUTINE, PLAIN, decorate, kind_of
from ctxlog.context.fields import CURRENT, Fields, Frame, leave, thaw
from ctxlog.context.raised import remember
from ctxlog.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context
    from types import TracebackType
    from typing import Any, ParamSpec, Self, TypeVar

    from ctxlog.context.accessors import Carried
    from ctxlog.ids import TraceIds

    P = ParamSpec("P")
    R = TypeVar("R")

_current = CURRENT.get
_set_current = CURRENT.set
#: Who owns the frame of a call in a copy of the context: nobody leaves it, the copy ends.
_RUN = "run"


class Snapshot:
    """What was current when it was taken: fields, ids, and what accessors carry.

    It never changes, so one may be entered by any number of threads and tasks at once. Entering
    *replaces* what is current there with what it carries; other ContextVars are left alone.

    It pickles, and travels as bytes or in an environment; see :mod:`ctxlog.context.travel`.
    """

    __slots__ = ("carried", "everything", "fields")

    def __init__(
        self, fields: Fields, carried: Carried = (), everything: Context | None = None
    ) -> None:
        self.fields = fields
        self.carried = carried
        self.everything = everything

    def values(self) -> dict[str, object]:
        """Return a copy of the captured fields.

        Example:
            >>> from ctxlog.context.scope import scope
            >>> with scope(a=1):
            ...     snapshot().values()
            {'a': 1}
        """
        return {name: thaw(value) for name, value in self.fields.values.items()}

    @property
    def ids(self) -> TraceIds | None:
        """The ids a line under this snapshot has: its span's, else those of its entry."""
        for accessor, value in self.carried:
            if accessor.name == spans.NAME and value is not MISSING:
                return spans.ids_in(value) or self.fields.ids
        return self.fields.ids

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
        if kind_of(function) is not PLAIN:
            return decorate(function, self.scope)(*args, **kwargs)
        run = self.context().run
        try:
            return run(function, *args, **kwargs)
        except BaseException as error:
            run(_remember, error)
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
        context = copy_context() if self.everything is None else self.everything.copy()
        context.run(_set_current, Frame(self.fields, None, _RUN))
        context.run(enter_carried, self.carried)
        return context

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
        wrapped: Callable[P, R] = _wrapped(function, self.fields, self.carried, self.everything)
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


class SnapshotScope:
    """A block under a snapshot; what was there before comes back."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __enter__(self) -> Self:
        undo = enter_carried(self._snapshot.carried)
        CURRENT.set(Frame(self._snapshot.fields, CURRENT.get(), self, undo))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            remember(error, _current().fields)
        leave(self)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Return what is captured: it replaces ``below``."""
        return self._snapshot.fields, self._snapshot.carried


class Wrapped:
    """A callable under a snapshot; it compares and hashes as the function it wraps.

    It has the attributes of that function, binds to instances as it does, and is wrapped when a
    bound one is looked up.
    """

    __slots__ = ("__weakref__", "__wrapped__", "_carried", "_frame", "_target")

    def __init__(
        self,
        function: Callable[..., Any],
        target: Callable[..., Any],
        frame: Frame,
        carried: Carried,
    ) -> None:
        self.__wrapped__ = function
        self._target = target
        self._frame = frame
        self._carried = carried

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it under the snapshot."""
        run = copy_context().run
        run(_set_current, self._frame)
        if self._carried or active():
            run(enter_carried, self._carried)  # never left: the copy ends with the call
        try:
            return run(self._target, *args, **kwargs)
        except BaseException as error:
            run(_remember, error)
            raise

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        bind = getattr(type(self.__wrapped__), "__get__", None)
        if bind is None:  # a builtin, a partial, an object: no method
            return self
        bound = bind(self.__wrapped__, instance, owner)
        return _wrapped(bound, self._frame.fields, self._carried)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Wrapped):
            other = other.__wrapped__
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __getattr__(self, name: str) -> Any:
        if name in Wrapped.__slots__:  # not there yet: it is being copied
            raise AttributeError(name)
        try:
            return getattr(self.__wrapped__, name)
        except AttributeError:
            # inspect tells the kind of a callable that is no function by these, if it has them all
            if name in _FUNCTION and self._target is not self.__wrapped__:
                return getattr(self._target, name)
            raise

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return _rewrapped, (Snapshot(self._frame.fields, self._carried), self.__wrapped__)

    def __repr__(self) -> str:
        return f"<{self.__wrapped__!r} under {Snapshot(self._frame.fields)!r}>"


_FUNCTION = frozenset({"__name__", "__code__", "__defaults__", "__kwdefaults__", "__annotations__"})


class WrappedCoroutine(Wrapped):
    """A coroutine function under a snapshot: its body runs there, not only the call."""

    __slots__ = ()

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call and await it under the snapshot."""
        return await self._target(*args, **kwargs)


class WrappedWhole(Wrapped):
    """A function under a snapshot of everything: each call in a copy of that whole context."""

    __slots__ = ("_everything",)

    _everything: Context

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it under the snapshot."""
        taken = Snapshot(self._frame.fields, self._carried, self._everything)
        run = taken.context().run
        try:
            return run(self._target, *args, **kwargs)
        except BaseException as error:
            run(_remember, error)
            raise

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        taken = Snapshot(self._frame.fields, self._carried, self._everything)
        return _rewrapped, (taken, self.__wrapped__)


def under_now(function: Callable[..., Any]) -> Wrapped:
    """Return ``function`` under the context of now, whatever kind it is: only the call itself.

    Raises:
        UsageError: ``function`` cannot be called.
    """
    if not callable(function):
        message = f"a job is a callable, not {type(function).__name__}"
        raise UsageError(message)
    return Wrapped(function, function, Frame(_current().fields, None, _RUN), capture())


def _arrived(data: bytes, parts: Mapping[str, bytes]) -> Snapshot:
    from ctxlog.context import travel

    return Snapshot(*travel.arrived(data, parts))


def _rewrapped(taken: Snapshot, function: Callable[..., Any]) -> Callable[..., Any]:
    return taken.wrap(function)  # when unpickled


def _wrapped(
    function: Any, fields: Fields, carried: Carried, everything: Context | None = None
) -> Any:
    if not callable(function):
        message = f"wrap takes a callable, not {type(function).__name__}"
        raise UsageError(message)
    kind = kind_of(function)
    if kind is PLAIN and everything is not None:
        whole = WrappedWhole(function, function, Frame(fields, None, _RUN), carried)
        whole._everything = everything  # noqa: SLF001 - its own class
        return whole
    if kind is PLAIN:
        return Wrapped(function, function, Frame(fields, None, _RUN), carried)
    target = decorate(function, Snapshot(fields, carried).scope)
    make = WrappedCoroutine if kind is COROUTINE else Wrapped
    return make(function, target, Frame(fields, None, _RUN), carried)


def _remember(error: BaseException) -> None:
    remember(error, _current().fields)


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
    wrapped: Callable[P, R] = _wrapped(function, _current().fields, capture())
    return wrapped
