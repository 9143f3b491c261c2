"""Files: a control file that is watched, such as a mounted ConfigMap, and read again at a signal."""

from __future__ import annotations

import json
import os
import stat
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ctxlog.control.applying import apply
from ctxlog.control.settings import read
from ctxlog.counting import counters
from ctxlog.errors import UsageError, seconds, shown
from ctxlog.logger import get_logger
from ctxlog.propagation.detached import run_detached
from ctxlog.runtime import runtime
from ctxlog.signals import act_on

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes of a control file that are read.
MAX_BYTES = 65_536

_log = get_logger("ctxlog.control")
_lock = threading.RLock()  # what interrupts a watch or a stop may do either
_watchers: list[Watcher] = []


class Watcher:
    """A control file that is read again whenever it has changed; made by :func:`watch`.

    Attributes:
        path: the file.
        error: why its present content does not hold; ``None``: it does.
    """

    def __init__(self, path: str | os.PathLike[str], interval: float) -> None:
        self.path = os.fspath(path)
        self.error: str | None = None
        self._interval = interval
        self._seen: bytes | None = None
        self._seen_good = False
        self._holds_for: Any = None
        self._good: dict[str, Any] | None = None
        self._wake: SimpleQueue[None] = SimpleQueue()  # the one thing a signal handler may touch
        self._stopped = False
        self._lock = threading.RLock()  # what it logs, or a signal handler, may ask for a check
        self._thread = threading.Thread(target=self._run, name="ctxlog control", daemon=True)

    def check(self) -> None:
        """Read the file now, if it has changed. Never raises: the last good state stays."""
        with self._lock:
            try:
                self._check()
            except Exception as error:  # noqa: BLE001 - said below; the next check comes
                self._bad(f"{type(error).__name__}: {error}")

    def _check(self) -> None:
        try:
            data = _content(self.path)
        except OSError as error:
            self._seen, self._seen_good = None, False
            self._bad(f"{type(error).__name__}: {error.strerror}")
            self._keep()
            return
        if data != self._seen:
            self._seen, self._seen_good = data, False
            try:
                if len(data) > MAX_BYTES:
                    raise UsageError(f"it has more than {MAX_BYTES:,} bytes")
                settings = _parsed(data)
                read(settings)
            except (ValueError, TypeError, RecursionError) as error:
                self._bad(str(error))
            else:
                self._good = settings
                self._seen_good = True
                self._holds_for = None
        self._keep()

    def _keep(self) -> None:
        """Let the last good state hold, also for a configuration that came meanwhile."""
        pipeline = runtime.pipeline
        if pipeline is None and self._seen_good:
            self.error = None  # it will hold for what is configured
        if self._good is None or pipeline is None or self._holds_for is pipeline.resource:
            return
        apply(self._good)
        self._holds_for = pipeline.resource
        if self._seen_good:
            self.error = None
            _log.info("control file applied", path=self.path, settings=self._good)

    def _bad(self, why: str) -> None:
        if why != self.error:
            counters.add("errors.control")
            self.error = why
            _log.warning(
                "control file cannot be used: what held before still does",
                path=self.path,
                error=why,
            )

    def stop(self) -> None:
        """Watch no more; the levels stay as they are."""
        self._stopped = True
        self._wake.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        with _lock:
            if self in _watchers:
                _watchers.remove(self)

    def wake(self) -> None:
        """Let the watching thread read the file soon; for signal handlers."""
        if self._wake.empty():
            self._wake.put(None)

    def renew_lock(self) -> None:
        """Make the lock anew, in a forked child."""
        self._lock = threading.RLock()

    def start(self) -> None:
        """Begin to watch, with nothing of the context of whoever says so."""
        run_detached(self._thread.start)

    def _run(self) -> None:
        while not self._stopped:
            with suppress(Empty):
                self._wake.get(timeout=self._interval)
            if not self._stopped:
                self.check()

    def __repr__(self) -> str:
        return f"<watching {self.path}>"


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:  # most likely it is YAML
        raise UsageError(f"it is no JSON: {error}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of a name that is there twice, one would be dropped in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise UsageError(f"{shown(name)} is there twice in one object")
            seen.add(name)
    return found


def _content(path: str) -> bytes:
    """Return what a regular file holds, at most one byte more than it may have. Never waits."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - as it was given
        raise OSError(0, "it is no regular file")
    # a FIFO may have taken its place since: then opening does not wait for somebody to write
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no regular file")
        return file.read(MAX_BYTES + 1) or b""


def watch(path: str | os.PathLike[str], *, interval: float = 5.0) -> Watcher:
    """Let a file of JSON set the levels: now, and whenever it changes.

    What it holds is what :func:`apply` takes. Its content is compared, so the swapped symlinks of a
    mounted ConfigMap are seen. A file that is bad, or gone, or no regular file, keeps the last good
    state and says so. A forked child has the levels of its parent, and watches if it says so itself.

    Args:
        path: the file.
        interval: seconds between two looks.

    Returns:
        The watcher; its ``stop()`` ends it.

    Raises:
        UsageError: ``path`` is no path, or ``interval`` no number of seconds above 0.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise UsageError(f"watch takes the path of a file, not {type(path).__name__}")
    watcher = Watcher(path, seconds("interval", interval, zero=False))
    watcher.check()
    with _lock:
        _watchers.append(watcher)
    watcher.start()
    return watcher


def reload_on(number: int) -> Callable[[], None]:
    """Read every watched file again when a signal comes, such as ``signal.SIGUSR1``; chained.

    Returns:
        A callable that puts the handler from before back.

    Raises:
        UsageError: not in the main thread, or no such signal.
    """

    def wake() -> None:
        for watcher in tuple(_watchers):
            watcher.wake()

    return act_on(number, wake)


def _in_child() -> None:
    """Watch nothing in a forked child: the threads that did are the parent's."""
    global _lock  # noqa: PLW0603 - whoever held it does not exist here
    _lock = threading.RLock()
    for watcher in _watchers:
        watcher.renew_lock()
    _watchers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
