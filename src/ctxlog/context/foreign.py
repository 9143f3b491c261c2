"""Other libraries' contexts: they show on every door's lines and travel in snapshots.

That is what is bound with ``structlog.contextvars`` and with loguru's ``contextualize``. Nothing is imported here. structlog keeps one ContextVar a name in a registry of its own; that is
read, not all ContextVars. ``track()`` puts a registry in its place that marks the contexts in which
it was used, so that a line elsewhere costs one look, however many names there are.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from ctxlog.context.accessors import MISSING, register_accessor
from ctxlog.context.fields import thaw
from ctxlog.freezing import freeze_fields
from ctxlog.texts import safe_str
from ctxlog.values import SCALARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
            found[_bound_as(name)] = value
    return found or None


def _bound_as(key: Any) -> str:
    """Return what a key of structlog's registry is bound as; one that is no text, as text."""
    return (key if type(key) is str else safe_str(key)).removeprefix(_PREFIX)


def faithful(value: Any, depth: int = 16) -> bool:
    """Return whether JSON gives a value back as it is.

    Example:
        >>> faithful({"a": [1, None]}), faithful((1,)), faithful({1: 2})
        (True, False, False)
    """
    kind = type(value)
    if kind in SCALARS:
        return True
    if depth and kind is list:
        return all(faithful(item, depth - 1) for item in value)
    if depth and kind is dict:
        return all(type(name) is str and faithful(value[name], depth - 1) for name in value)
    return False


class StructlogAccessor:
    """``structlog.contextvars`` travel in a snapshot; missing means that none is bound."""

    name = "structlog"

    def capture(self) -> Any:
        """Return what is bound, by name; structlog's registry is read, not all variables."""
        if TRACKING.on and not used():
            return MISSING
        registry = _registry()
        found = {}
        for key, var in list(registry.items()):  # other threads bind names that are new
            value = var.get(...)
            if value is not ...:
                found[key] = value
        return found or MISSING

    def enter(self, value: Any) -> Any:
        """Bind ``value`` and nothing else; return what was bound before."""
        if value is MISSING and TRACKING.on and not used():
            return MISSING
        before = self.capture()
        if before is not MISSING or value is not MISSING:
            _set({} if value is MISSING else value)
        return before

    def leave(self, before: Any) -> None:
        """Bind what was bound before and nothing else."""
        if before is not MISSING or not TRACKING.on or used():
            _set({} if before is MISSING else before)

    def dump(self, value: Any, replaced: Callable[[str], None]) -> object:
        """Return what is bound, normalised; what is none of the plain types is named."""
        from ctxlog.context.border import leaving  # here: only what leaves the process needs it

        bound = {_bound_as(key): item for key, item in value.items()}
        for name, item in bound.items():
            if type(item) not in SCALARS and not faithful(item):
                replaced(f"{self.name}.{name}")
        sent = leaving(freeze_fields(bound, {}), lambda name: replaced(f"{self.name}.{name}"))
        return {f"{_PREFIX}{name}": _jsonable(item) for name, item in sent.items()}

    def load(self, data: Any) -> Any:
        """Return what was bound; values that are no text, number or container are refused."""
        fields = freeze_fields(data, {})
        bound = {key: thaw(item) for key, item in fields.items() if key.startswith(_PREFIX)}
        return bound or MISSING


def _jsonable(value: Any) -> object:
    if type(value) is tuple:
        return [_jsonable(item) for item in value]
    if type(value) is dict:
        return {name: _jsonable(item) for name, item in value.items()}
    return value if type(value) in SCALARS else repr(value)  # a secret's repr is a mask


def _registry() -> dict[str, ContextVar[Any]]:
    """Return structlog's registry; not kept, for :func:`track` swaps it."""
    found: Any = getattr(_modules.get(STRUCTLOG), "_CONTEXT_VARS", None)
    return found if isinstance(found, dict) else {}


def _set(bound: Mapping[str, object]) -> None:
    registry = _registry()
    for key, var in list(registry.items()):
        if key not in bound and var.get(...) is not ...:
            var.set(...)
    fresh = {_bound_as(key): item for key, item in bound.items() if key not in registry}
    if fresh:
        _modules[STRUCTLOG].bind_contextvars(**fresh)
    for key, item in bound.items():
        registry[key if key in registry else f"{_PREFIX}{_bound_as(key)}"].set(item)


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

    def leaving(self, value: Any) -> Any:
        """Return what a pickle may hold of it: secrets are masked."""
        from ctxlog.context.border import leaving

        return leaving(value)


register_accessor(StructlogAccessor(), when_loaded=STRUCTLOG)
register_accessor(LoguruAccessor(), when_loaded=LOGURU)
