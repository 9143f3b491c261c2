"""Processes: the child runs under the context of whoever called start(), whatever the method.

A fork's child starts from the resource (:mod:`ctxlog.context.forks`), a spawned one knows nothing:
both get their context explicitly, pickled where needed. For a subprocess that is not Python's
:mod:`multiprocessing`, see :func:`environ`.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.context as contexts
from typing import TYPE_CHECKING, Any

from ctxlog.context.snapshot import snapshot
from ctxlog.errors import choices
from ctxlog.propagation.jobs import enter, is_machinery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.process import BaseProcess

    from ctxlog.context.snapshot import Snapshot

KEY = "_ctxlog_carried"


class Passenger:
    """A snapshot in a process object: it is entered where the child unpickles it."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def __reduce__(self) -> tuple[Any, ...]:
        return _board, (self.snapshot,)


def _board(taken: Snapshot) -> Passenger:
    enter(taken)  # process objects are unpickled in one place only: at the child's start
    return Passenger(taken)


def carry(process: BaseProcess) -> bool:
    """Let a process about to be started run under the context of now; whether it was given one.

    A pool's worker is not: it serves many.
    """
    state = process.__dict__
    if KEY in state or is_machinery(process):
        return False
    state[KEY] = Passenger(snapshot())
    return True


def board(process: BaseProcess) -> None:
    """In the child: enter what the process object brought along."""
    passenger = process.__dict__.pop(KEY, None)
    if passenger is not None:
        enter(passenger.snapshot)


class _Carries:
    """A process class whose child runs under the context of ``start()``."""

    def start(self: Any) -> None:
        """Start the child under the context of now."""
        carry(self)
        try:
            super().start()  # type: ignore[misc] # a mixin's
        finally:
            self.__dict__.pop(KEY, None)

    def _bootstrap(self: Any, *args: Any, **options: Any) -> Any:
        board(self)
        return super()._bootstrap(*args, **options)  # type: ignore[misc] # a mixin's


class Process(_Carries, multiprocessing.Process):
    """:class:`multiprocessing.Process` whose child runs under the context of ``start()``."""


class SpawnProcess(_Carries, contexts.SpawnProcess):
    """The same, always spawned."""


class SpawnContext(contexts.SpawnContext):
    """:mod:`multiprocessing` with start method ``spawn`` and our ``Process``."""

    Process = SpawnProcess


_CONTEXTS: dict[str, Any] = {"spawn": SpawnContext}

if hasattr(contexts, "ForkContext"):  # not on Windows

    class ForkProcess(_Carries, contexts.ForkProcess):
        """The same, always forked."""

    class ForkServerProcess(_Carries, contexts.ForkServerProcess):
        """The same, always forked by the server process."""

    class ForkContext(contexts.ForkContext):
        """:mod:`multiprocessing` with start method ``fork`` and our ``Process``."""

        Process = ForkProcess

    class ForkServerContext(contexts.ForkServerContext):
        """:mod:`multiprocessing` with start method ``forkserver`` and our ``Process``."""

        Process = ForkServerProcess

    _CONTEXTS.update(fork=ForkContext, forkserver=ForkServerContext)


def get_context(method: str | None = None) -> Any:
    """Return what :func:`multiprocessing.get_context` does, its ``Process`` being ours.

    Raises:
        UsageError: there is no such start method here.

    Example:
        >>> get_context("spawn").Process is SpawnProcess
        True
    """
    name = multiprocessing.get_start_method() if method is None else method
    if name not in _CONTEXTS:
        raise choices("start method", name, sorted(_CONTEXTS))
    return _CONTEXTS[name]()


def environ(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a subprocess: ``base`` (``os.environ``) and the context of now.

    Example:
        >>> from ctxlog.entries import entry
        >>> with entry():
        ...     sorted(environ({"HOME": "/"}))
        ['CTXLOG_CONTEXT', 'HOME', 'TRACEPARENT']
    """
    return snapshot().to_environ(base)
