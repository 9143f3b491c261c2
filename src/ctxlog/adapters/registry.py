"""Registry: a ``contextvars_extras.ContextVarsRegistry`` as a declared source of fields.

Its set variables are on every line, read when the line is written; they travel in snapshots, an
entry starts without them, and what was set before comes back. Variables that merely have a default
are not set, and not shown. Needs the extra ``registry``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.context.accessors import MISSING, register_accessor, unregister_accessor
from ctxlog.context.providers import add_provider, remove_provider
from ctxlog.errors import UsageError, choices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextvars import ContextVar

_sources: dict[type, Source] = {}


def register(registry: object, *, names: Iterable[str] | Mapping[str, str] | None = None) -> None:
    """Show and carry a registry's set variables from now on; registering it again replaces that.

    Args:
        registry: an instance of a subclass of ``contextvars_extras.ContextVarsRegistry``.
        names: the variables meant, default all, also those that are set for the first time later;
            a mapping gives each the name its field has on a line.

    Raises:
        UsageError: ``registry`` is none, the extra is not installed, or a name is not declared.

    Example:
        >>> from contextvars_extras import ContextVarsRegistry
        >>> class Current(ContextVarsRegistry):
        ...     user_id: int
        ...     locale: str = "en"
        >>> current = Current()
        >>> register(current, names={"user_id": "user.id"})
        >>> from ctxlog.context.snapshot import snapshot
        >>> with current(user_id=7):
        ...     taken = snapshot()
        >>> taken.run(lambda: current.user_id)
        7
        >>> unregister(current)
    """
    kind = _kind(registry)
    shown = None if names is None else _shown(kind, names)
    unregister(registry)
    source = _sources[kind] = Source(kind, shown)
    register_accessor(source)
    add_provider(source.read, foreign=True)


def unregister(registry: object) -> None:
    """Show and carry it no more; one that is not registered is no error."""
    source = _sources.pop(type(registry), None)
    if source is not None:
        unregister_accessor(source.name)
        remove_provider(source.read)


class Source:
    """One registry: a provider of its fields, an accessor of its variables.

    All state of a registry is in its class; an instance is only a way to it.
    """

    def __init__(self, kind: type, shown: dict[str, str] | None) -> None:
        self.name = f"registry {kind.__module__}.{kind.__qualname__} {id(kind)}"
        self._kind = kind
        self._shown = shown

    def read(self) -> dict[str, object]:
        """Return the fields: what is set now."""
        shown, found = self._shown, {}
        for name, descriptor in _declared(self._kind):
            if (shown is None or name in shown) and descriptor.is_set():
                found[name if shown is None else shown[name]] = descriptor.get()
        return found

    def capture(self) -> object:
        """Return the variables that are set, each as it is in its ``ContextVar``."""
        return {var: value for var in self._vars() if (value := var.get(MISSING)) is not MISSING}

    def enter(self, value: Any, /) -> object:
        """Set what was captured, and put every other variable back to its default."""
        before = self.capture()
        self.leave({} if value is MISSING else value)
        return before

    def leave(self, before: Any, /) -> None:
        """Set what was set before, and put every other variable back to its default."""
        from contextvars_extras.context_var_ext import RESET_TO_DEFAULT  # type: ignore[import-untyped]

        for var in self._vars():
            value = before.get(var, RESET_TO_DEFAULT)
            if var.get(RESET_TO_DEFAULT) is not value:
                var.set(value)

    def _vars(self) -> Iterator[ContextVar[Any]]:
        shown = self._shown
        for name, descriptor in _declared(self._kind):
            if shown is None or name in shown:
                yield descriptor.context_var


def _kind(registry: object) -> type:
    try:
        from contextvars_extras import ContextVarsRegistry  # type: ignore[import-untyped]
    except ImportError:
        message = (
            "register() takes a contextvars_extras.ContextVarsRegistry, which is not installed:"
            " pip install 'ctxlog[registry]'"
        )
        raise UsageError(message) from None
    if not isinstance(registry, ContextVarsRegistry):
        name = registry.__name__ if isinstance(registry, type) else ""
        what = f"the class {name}; write {name}()" if name else type(registry).__name__
        message = f"register() takes an instance of a ContextVarsRegistry, not {what}"
        raise UsageError(message)
    return type(registry)


def _declared(kind: Any) -> list[tuple[str, Any]]:
    # the library's own table; its functions that save and restore cannot tell unset from default
    return list(kind._registry_var_descriptors.items())  # noqa: SLF001


def _shown(kind: type, names: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(names, str):
        names = (names,)
    items = getattr(names, "items", None)
    shown: dict[str, str] = dict(items()) if items is not None else {name: name for name in names}
    declared = [name for name, _ in _declared(kind)]
    for name in shown:
        if name not in declared:
            raise choices("variable", name, declared)
    return shown
