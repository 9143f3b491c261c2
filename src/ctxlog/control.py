"""Control: levels as the process runs, and debug lines of one object or namespace.

By call, from a file that is watched (a mounted ConfigMap), or from that file at a signal:

>>> import ctxlog
>>> ctxlog.configure(sinks=[])
>>> apply(
...     {"level": "warning", "levels": {"kopf": "error"}, "debug": {"objects": ["Pod/shop/db-0"]}}
... )
>>> ctxlog.get_logger("kopf.objects").get_effective_level(), reset()
(10, None)
>>> ctxlog.shutdown()
True
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import CURRENT
from ctxlog.counting import counters
from ctxlog.errors import UsageError, choices
from ctxlog.levels import parse
from ctxlog.logger import get_logger
from ctxlog.runtime import runtime
from ctxlog.signals import act_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.pipeline import Pipeline

KEYS = ("level", "levels", "debug")
DEBUG_KEYS = ("objects", "namespaces", "loggers")
#: Bytes of a control file that are read.
MAX_BYTES = 65_536

_log = get_logger("ctxlog.control")


class _Debugged:
    """Which lines are debugged: those of an object or a namespace that is named."""

    def __init__(self, objects: frozenset[str], namespaces: frozenset[str]) -> None:
        self._objects = objects
        self._namespaces = namespaces

    def __call__(self, source: Any) -> bool:
        """Say it of a logger or a record, under the context it is used in. Never raises."""
        try:
            return self._is_meant(source)
        except TypeError:  # a name that cannot be hashed is nobody's
            return False

    def _is_meant(self, source: Any) -> bool:
        own = getattr(source, "__dict__", None)
        if own is not None and "k8s.object.ref" in own:
            return self._has(own)
        pinned = getattr(source, "pinned", None)
        fields = CURRENT.get().fields if pinned is None else pinned.fields
        bound = getattr(source, "fields", None)
        return self._has(fields.values) or (bound is not None and self._has(bound.values))

    def _has(self, fields: Mapping[str, Any]) -> bool:
        namespace = fields.get("k8s.object.namespace")
        if namespace is not None and namespace in self._namespaces:
            return True
        ref = fields.get("k8s.object.ref")
        if ref is not None and ref in self._objects:
            return True
        name = fields.get("k8s.object.name")
        if name is None:
            return False
        return (name if namespace is None else f"{namespace}/{name}") in self._objects


class _Baseline:
    """What was configured, to go back to what the control does not mention."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.configured: object = None
        self.level = 0
        self.levels: dict[str, int] = {}
        self.watchers: list[Watcher] = []


_base = _Baseline()


def apply(settings: Mapping[str, Any]) -> None:
    """Let levels hold as given; what is not mentioned is as ``configure`` set it.

    Args:
        settings: ``level``: the global one. ``levels``: by logger name. ``debug``: whose lines are
            written from debug on, whatever the levels: ``objects`` (``"Kind/namespace/name"``,
            ``"namespace/name"``), ``namespaces``; and ``loggers``, the names of standard library
            loggers that are to be debugged with them (ctxlog's own all are).

    Raises:
        UsageError: nothing is configured, or a setting cannot be what it should be; then nothing
            has changed.
    """
    level, levels, chosen, loggers = _read(settings)
    with _base.lock, runtime.lock:
        pipeline = runtime.pipeline
        if pipeline is None:
            raise UsageError("nothing is configured yet: call ctxlog.configure(...) before control")
        if not _is_ours(pipeline):
            _base.level, _base.levels = runtime.levels()
        _base.configured = pipeline.resource
        base = _base.level if level is None else level
        by_name = {**_base.levels, **levels}
        runtime.set_levels(base, by_name, chosen)
        if "ctxlog.adapters.logging.bridge" in sys.modules:
            from ctxlog.adapters.logging.choosing import choose

            choose(base, by_name, loggers, chosen)


def reset() -> None:
    """Go back to the levels that ``configure`` set."""
    if runtime.pipeline is not None:
        apply({})


def _is_ours(pipeline: Pipeline) -> bool:
    """Whether levels were set by us for this configuration: adding a sink makes another pipeline."""
    return _base.configured is pipeline.resource


def _read(
    settings: object,
) -> tuple[int | None, dict[str, int], _Debugged | None, tuple[str, ...]]:
    given = _mapping("control settings", settings, KEYS)
    level = parse(given["level"]) if given.get("level") is not None else None
    named = _mapping("levels", given.get("levels") or {}, None)
    levels = {name: parse(value) for name, value in named.items()}
    debug = _mapping("debug", given.get("debug") or {}, DEBUG_KEYS)
    objects, namespaces, loggers = (_names(debug, key) for key in DEBUG_KEYS)
    if not objects and not namespaces:
        return level, levels, None, ()
    return level, levels, _Debugged(frozenset(objects), frozenset(namespaces)), loggers


def _mapping(what: str, value: object, keys: tuple[str, ...] | None) -> dict[str, Any]:
    from collections.abc import Mapping as MappingType

    if not isinstance(value, MappingType):
        raise UsageError(f"{what}: a mapping is needed, not {type(value).__name__}")
    for name in value:
        if not isinstance(name, str):
            raise UsageError(f"{what}: names are text, not {type(name).__name__}")
        if keys is not None and name not in keys:
            raise choices(what, name, keys)
    return dict(value)


def _names(debug: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = debug.get(key) or ()
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise UsageError(f"debug.{key}: a list of names is needed, not {type(value).__name__}")
    for name in value:
        if not isinstance(name, str):
            raise UsageError(f"debug.{key}: names are text, not {type(name).__name__}")
    return tuple(value)


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
        self._holds_for: Any = None
        self._good: dict[str, Any] | None = None
        self._wake = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()
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
            with open(self.path, "rb") as file:  # noqa: PTH123 - as it was given
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            self._seen = None
            self._bad(f"{type(error).__name__}: {error.strerror}")
            self._keep()
            return
        if data != self._seen:
            self._seen = data
            try:
                if len(data) > MAX_BYTES:
                    raise UsageError(f"it has more than {MAX_BYTES:,} bytes")
                settings = json.loads(data)
                _read(settings)
            except (ValueError, TypeError, RecursionError) as error:
                self._bad(str(error))
            else:
                self._good = settings
                self._holds_for = None
                self.error = None
        self._keep(told=self.error is None)

    def _keep(self, *, told: bool = False) -> None:
        """Let the last good state hold, also for a configuration that came meanwhile."""
        pipeline = runtime.pipeline
        if self._good is None or pipeline is None or self._holds_for is pipeline.resource:
            return
        self._holds_for = pipeline.resource
        apply(self._good)
        if told:
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
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        with _base.lock:
            if self in _base.watchers:
                _base.watchers.remove(self)

    def wake(self) -> None:
        """Let the watching thread read the file soon; for signal handlers."""
        self._wake.set()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(self._interval)
            self._wake.clear()
            if not self._stopped:
                self.check()

    def __repr__(self) -> str:
        return f"<watching {self.path}>"


def watch(path: str | os.PathLike[str], *, interval: float = 5.0) -> Watcher:
    """Let a file of JSON set the levels: now, and whenever it changes.

    What it holds is what :func:`apply` takes. Its content is compared, so the swapped symlinks of a
    mounted ConfigMap are seen. A file that is bad, or gone, keeps the last good state and says so.

    Args:
        path: the file.
        interval: seconds between two looks.

    Returns:
        The watcher; its ``stop()`` ends it.

    Raises:
        UsageError: ``interval`` is no number above 0.
    """
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not interval > 0:
        raise UsageError(f"interval takes seconds above 0, not {interval!r}")
    watcher = Watcher(path, interval)
    watcher.check()
    with _base.lock:
        _base.watchers.append(watcher)
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
        for watcher in tuple(_base.watchers):
            watcher.wake()

    return act_on(number, wake)
