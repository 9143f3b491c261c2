"""Variables: other people's ContextVars that travel in snapshots, each by its accessor.

structlog's own registry travels as soon as structlog is loaded; any other ContextVar once it was
given to :func:`carry_var`.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from ctxlog.context.accessors import MISSING, register_accessor
from ctxlog.context.fields import thaw
from ctxlog.context.foreign import STRUCTLOG, TRACKING, used
from ctxlog.errors import UsageError
from ctxlog.texts import NAME_CHARS
from ctxlog.values import SCALARS, freeze_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class VarAccessor:
    """How one ContextVar travels."""

    __slots__ = ("_dump", "_load", "_missing", "_var", "name")

    def __init__(
        self,
        var: ContextVar[Any],
        name: str,
        missing: object,
        dump: Callable[[Any], object] | None,
        load: Callable[[Any], object] | None,
    ) -> None:
        self.name = name
        self._var, self._missing, self._dump, self._load = var, missing, dump, load

    def capture(self) -> Any:
        """Return its value, or :data:`MISSING` where it was never set."""
        return self._var.get(MISSING)

    def enter(self, value: Any) -> Any:
        """Set it; for :data:`MISSING` to what stands for missing, unless it was never set here."""
        before = self._var.get(MISSING)
        if value is not MISSING:
            self._var.set(value)
        elif before is not MISSING:
            self._var.set(self._missing)
        return before

    def leave(self, before: Any) -> None:
        """Set it to what was there before."""
        if before is not MISSING:
            self._var.set(before)
        elif self._var.get(MISSING) is not MISSING:  # set in the block: it cannot be unset
            self._var.set(self._missing)

    def dump(self, value: Any, _replaced: Callable[[str], None]) -> object:
        """Return the value if JSON gives the same back; an error otherwise: it stays behind."""
        if self._dump is not None:
            return self._dump(value)
        if not _faithful(value):
            message = f"{type(value).__name__} is not one of JSON's types"
            raise TypeError(message)
        return value

    def load(self, data: Any) -> object:
        """Return the value that ``dump`` was given."""
        return data if self._load is None else self._load(data)


def _faithful(value: Any, depth: int = 16) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return True
    if depth and kind is list:
        return all(_faithful(item, depth - 1) for item in value)
    if depth and kind is dict:
        return all(type(name) is str and _faithful(value[name], depth - 1) for name in value)
    return False


def carry_var(
    var: ContextVar[Any],
    *,
    name: str | None = None,
    missing: object = None,
    dump: Callable[[Any], object] | None = None,
    load: Callable[[Any], object] | None = None,
) -> None:
    """Let a ContextVar travel in every snapshot from now on.

    Args:
        var: the variable.
        name: what it is called on the wire, its own name by default; the same in each process.
        missing: what it is set to where nothing was captured, for a ContextVar cannot be unset.
        dump: makes JSON's own types of a value, for other processes; without it a value of these
            types travels as it is, and any other only in a pickle.
        load: makes a value of what ``dump`` returned; it checks what it is given.

    Raises:
        UsageError: ``var`` is no ContextVar, or ``name`` no text of 1 to 256 characters.

    Example:
        >>> from ctxlog.context.accessors import unregister_accessor
        >>> from ctxlog.context.snapshot import snapshot
        >>> tenant = ContextVar("tenant", default="nobody")
        >>> carry_var(tenant)
        >>> token = tenant.set("acme")
        >>> taken = snapshot()
        >>> tenant.reset(token)
        >>> taken.run(tenant.get), tenant.get()
        ('acme', 'nobody')
        >>> unregister_accessor("tenant")
    """
    if not isinstance(var, ContextVar):
        message = f"carry_var takes a ContextVar, not {type(var).__name__}"
        raise UsageError(message)
    name = var.name if name is None else name
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARS:
        message = f"a variable's name is text of 1 to {NAME_CHARS} characters"
        raise UsageError(message)
    register_accessor(VarAccessor(var, name, missing, dump, load))


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
        for key, item in value.items():
            if type(item) not in SCALARS and not _faithful(item):
                replaced(f"{self.name}.{key.removeprefix(_PREFIX)}")
        return {key: _jsonable(item) for key, item in freeze_fields(value, {}).items()}

    def load(self, data: Any) -> Any:
        """Return what was bound; values that are no text, number or container are refused."""
        fields = freeze_fields(data, {})
        bound = {key: thaw(item) for key, item in fields.items() if key.startswith(_PREFIX)}
        return bound or MISSING


_PREFIX = "structlog_"
_modules = sys.modules


def _jsonable(value: Any) -> object:
    if type(value) is tuple:
        return [_jsonable(item) for item in value]
    if type(value) is dict:
        return {name: _jsonable(item) for name, item in value.items()}
    return value if type(value) in SCALARS else repr(value)  # a secret's repr is a mask


def _registry() -> dict[str, ContextVar[Any]]:
    """Return structlog's registry; not kept, for :func:`~ctxlog.context.foreign.track` swaps it."""
    found: Any = getattr(_modules.get(STRUCTLOG), "_CONTEXT_VARS", None)
    return found if isinstance(found, dict) else {}


def _set(bound: Mapping[str, object]) -> None:
    registry = _registry()
    for key, var in list(registry.items()):
        if key not in bound and var.get(...) is not ...:
            var.set(...)
    fresh = {key.removeprefix(_PREFIX): item for key, item in bound.items() if key not in registry}
    if fresh:
        _modules[STRUCTLOG].bind_contextvars(**fresh)
    for key, item in bound.items():
        registry[key].set(item)


register_accessor(StructlogAccessor(), when_loaded=STRUCTLOG)
