"""Loading: do something once a module has been imported, without importing it.

``configure`` reaches libraries that the application loads later: structlog, asyncio.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from threading import RLock
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec

_waiting: dict[str, list[Callable[[], object]]] = {}
_lock = RLock()


def when_loaded(module: str, callback: Callable[[], object]) -> None:
    """Call ``callback`` when ``module`` has been imported: now, or once it is. It may not raise.

    Example:
        >>> when_loaded("sys", lambda: print("there"))
        there
    """
    with _lock:
        if module in sys.modules and _is_complete(module):
            _call(callback)
            return
        _waiting.setdefault(module, []).append(callback)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)


def forget(callback: Callable[[], object]) -> None:
    """Wait no more with ``callback``; an unknown one is no error."""
    with _lock:
        for module, callbacks in list(_waiting.items()):
            left = [known for known in callbacks if known != callback]
            if left:
                _waiting[module] = left
            else:
                del _waiting[module]
        if not _waiting and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


def _is_complete(module: str) -> bool:
    spec = getattr(sys.modules[module], "__spec__", None)
    return not getattr(spec, "_initializing", False)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:  # noqa: BLE001 - an import must not fail because of us
        counters.add("errors.loading")


class _Finder:
    """Finds what the others find, and adds our step after its execution."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        with _lock:
            callbacks = _waiting.pop(name, None)
            if callbacks is None:
                return None
            if not _waiting and self in sys.meta_path:
                sys.meta_path.remove(self)
        spec = find_spec(name)  # `name` waits no more: this does not come back here
        loader = None if spec is None else spec.loader
        execute = getattr(loader, "exec_module", None)
        if spec is None or execute is None:
            with _lock:  # not there, or not in a way we know: perhaps later
                _waiting.setdefault(name, []).extend(callbacks)
                if self not in sys.meta_path:
                    sys.meta_path.insert(0, self)
            return None
        standing_in: Any = _Loader(loader, callbacks)
        spec.loader = standing_in
        return spec


class _Loader:
    """A module's own loader, and our step after it."""

    def __init__(self, loader: Any, callbacks: list[Callable[[], object]]) -> None:
        self._loader = loader
        self._callbacks = callbacks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        for callback in self._callbacks:
            _call(callback)


_finder: Any = _Finder()
