"""Variables: any ContextVar travels in snapshots once it was given to :func:`carry_var`."""

from __future__ import annotations

from contextvars import ContextVar

from ctxlog.context.accessors import MISSING, register_accessor
from ctxlog.context.foreign import faithful
from ctxlog.errors import UsageError
from ctxlog.texts import NAME_CHARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
        if not faithful(value):
            message = f"{type(value).__name__} is not one of JSON's types"
            raise TypeError(message)
        return value

    def load(self, data: Any) -> object:
        """Return the value that ``dump`` was given."""
        return data if self._load is None else self._load(data)


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
