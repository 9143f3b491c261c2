"""Signals: leave nothing in queues on SIGTERM, and open files anew on SIGHUP.

Both chain to what was there before. Nothing is installed unless one of them is called.

>>> undo = drain_on(signal.SIGTERM, timeout=2.0)
>>> undo()
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from ctxlog.errors import UsageError, seconds
from ctxlog.runtime import runtime
from ctxlog.wiring import flush, shutdown

if TYPE_CHECKING:
    from collections.abc import Callable


def drain_on(number: int = signal.SIGTERM, *, timeout: float = 5.0) -> Callable[[], None]:
    """Write what is queued when a signal comes, then let it do what it did before.

    A handler that was there is called first: what it logs is written too, also if it raises. Where
    there was none, logging is shut down and the process ends by that signal, as it would have.

    Args:
        number: the signal.
        timeout: seconds that may take; what is left then is counted.

    Returns:
        A callable that puts the handler from before back, unless another one was put over ours.

    Raises:
        UsageError: not in the main thread, or no such signal: the interpreter allows no handler;
            or a timeout that is no number of seconds.
    """

    def handle(caught: int, frame: Any) -> None:
        before = state["before"]
        if callable(before):
            try:
                before(caught, frame)
            finally:
                flush(timeout)
        elif before == signal.SIG_DFL:
            shutdown(timeout)
            signal.signal(caught, signal.SIG_DFL)
            os.kill(os.getpid(), caught)
        else:
            flush(timeout)

    seconds("timeout", timeout)
    state = {"before": _install(number, handle)}
    return _undo(number, handle, state["before"])


def reopen_on(number: int | None = None) -> Callable[[], None]:
    """Open all log files anew when a signal comes, then call the handler that was there.

    Args:
        number: the signal; default is SIGHUP, which logrotate's ``postrotate`` sends.

    Returns:
        A callable that puts the handler from before back, unless another one was put over ours.

    Raises:
        UsageError: as for :func:`drain_on`; or there is no SIGHUP here.
    """
    number = getattr(signal, "SIGHUP", None) if number is None else number
    if number is None:
        raise UsageError("there is no SIGHUP here: say which signal is to reopen the files")

    return act_on(number, reopen)


def act_on(number: int, action: Callable[[], object]) -> Callable[[], None]:
    """Do something when a signal comes, then call the handler that was there.

    Args:
        number: the signal.
        action: what to do; short, for it interrupts whatever runs.

    Returns:
        A callable that puts the handler from before back, unless another one was put over ours.

    Raises:
        UsageError: as for :func:`drain_on`.
    """

    def handle(caught: int, frame: Any) -> None:
        action()
        if callable(before):
            before(caught, frame)

    before = _install(number, handle)
    return _undo(number, handle, before)


def reopen() -> int:
    """Open all log files anew, after they were moved; return how many there are."""
    pipeline = runtime.pipeline
    number = 0
    for sink in () if pipeline is None else pipeline.sinks:
        reopen_it = getattr(getattr(sink, "inner", sink), "reopen", None)
        if reopen_it is not None:
            reopen_it()
            number += 1
    return number


def _install(number: int, handle: Callable[[int, Any], None]) -> Any:
    try:
        return signal.signal(number, handle)
    except (ValueError, OSError, TypeError) as error:
        raise UsageError(f"no handler for signal {number!r} can be set here: {error}") from error


def _undo(number: int, handle: Callable[[int, Any], None], before: Any) -> Callable[[], None]:
    def undo() -> None:
        if signal.getsignal(number) is handle:
            signal.signal(number, signal.SIG_DFL if before is None else before)

    return undo
