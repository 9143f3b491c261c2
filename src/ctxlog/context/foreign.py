"""Other libraries' contexts: they show on every door's lines and travel in snapshots.

That is what is bound with ``structlog.contextvars`` and with loguru's ``contextualize``. Nothing is imported here. structlog keeps one ContextVar a name in a registry of its own; that is
read, not all ContextVars. ``track()`` puts a registry in its place that marks the contexts in which
it was used, so that a line elsewhere costs one look, however many names there are.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from ctxlog.context.accessors import MISSING, register_accessor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Values: TypeAlias = dict[str, object]

STRUCTLOG = "structlog.contextvars"
LOGURU = "loguru._logger"
_PREFIX = "structlog_"
_modules = sys.modules

#: Whether structlog's registry was used in this context; known only where it is tracked.
_USED: ContextVar[bool] = ContextVar("ctxlog_structlog_used", default=False)


used = _USED.get


class Tracking:
    """Whether structlog's registry marks the contexts that use it; asked at every capture."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = False


TRACKING = Tracking()


class Tracked(dict[str, "ContextVar[Any]"]):
    """structlog's registry, marking each context that binds through it."""

    def __getitem__(self, key: str) -> ContextVar[Any]:
        """Return the variable of a name; who asks is about to set it."""
        var = dict.__getitem__(self, key)
        if not used():
            _use()
        return var

    def __setitem__(self, key: str, var: ContextVar[Any]) -> None:
        """Add a name; who does is about to set it."""
        dict.__setitem__(self, key, var)
        _use()


def _use() -> None:
    _USED.set(True)


def track() -> bool:
    """Mark from now on in which contexts structlog's registry is used; ``False`` without it.

    What a context that runs already has bound before is found where this is called, else not.
    """
    module = _modules.get(STRUCTLOG)
    registry = getattr(module, "_CONTEXT_VARS", None)
    if not isinstance(registry, dict):
        return False
    if type(registry) is not Tracked:
        TRACKING.on = True
        module._CONTEXT_VARS = Tracked(registry)  # type: ignore[union-attr] # noqa: SLF001 - its own
    if _structlog_values(registry):
        _use()
    return True


def foreign_checks() -> tuple[Callable[[], object], ...]:
    """Return what tells, quickly, that another library may have bound something in a context.

    One for each library that is loaded; structlog's registry is tracked from here on.
    """
    checks: list[Callable[[], object]] = []
    if track():
        checks.append(_USED.get)
    var = getattr(_modules.get(LOGURU), "context", None)
    if isinstance(var, ContextVar):
        try:  # not suppress: contextlib takes 2 ms of a start
            var.get()
            checks.append(var.get)
        except LookupError:  # it has a default
            pass
    return tuple(checks)


def foreign_values() -> Values | None:
    """Return what other libraries have bound in this context; ``None`` when nothing is.

    Example:
        >>> foreign_values() is None
        True
    """
    found: Values | None = None
    if STRUCTLOG in _modules:
        found = _structlog_values()
    if LOGURU in _modules:
        var = getattr(_modules[LOGURU], "context", None)
        if isinstance(var, ContextVar):
            bound = var.get(None)
            if bound:
                found = {**(found or {}), **bound}
    return found


def _structlog_values(registry: Any = None) -> Values | None:
    if registry is None:
        registry = getattr(_modules.get(STRUCTLOG), "_CONTEXT_VARS", None)
        if not registry or (type(registry) is Tracked and not used()):
            return None
    found = {}
    for name, var in tuple(registry.items()):
        value = var.get(...)
        if value is not ...:
            found[name.removeprefix(_PREFIX)] = value
    return found or None


class LoguruAccessor:
    """What is bound with loguru's ``contextualize``; missing means that nothing is."""

    name = "loguru"

    def _var(self) -> ContextVar[Any] | None:
        var = getattr(_modules.get(LOGURU), "context", None)
        return var if isinstance(var, ContextVar) else None

    def capture(self) -> Any:
        """Return what is bound now, :data:`MISSING` when nothing is."""
        var = self._var()
        return MISSING if var is None else (var.get(None) or MISSING)

    def enter(self, value: Any) -> Any:
        """Bind exactly ``value`` and return what to go back to."""
        var = self._var()
        if var is None:
            return None
        before = var.get(None) or {}
        if value is not MISSING or before:
            var.set({} if value is MISSING else value)
        return before

    def leave(self, before: Any) -> None:
        """Bind what was bound before."""
        var = self._var()
        if before is not None and var is not None and var.get(None) is not before:
            var.set(before)


register_accessor(LoguruAccessor(), when_loaded=LOGURU)
