"""Context: what is bound now, and how it is captured and entered elsewhere.

Standard library only, so that any library may depend on it. One noun a module: ``fields`` (bound
now), ``scope`` (for a block), ``snapshot`` (captured), ``accessors`` (what else travels), ``spans``
(OpenTelemetry's, if loaded), ``foreign`` (structlog's and loguru's), ``forks`` (the child's fresh
start), ``decorate`` (calls and generator steps); and loaded when they are asked for: ``providers``
(read when a line is written), ``resource`` (the process's own), ``variables`` (any given),
``travel`` (to another process).
"""

from __future__ import annotations

from ctxlog.context import accessors, decorate, fields, foreign, forks, scope, snapshot, spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctxlog.context import providers, resource, travel, variables

_LATER = frozenset({"providers", "resource", "travel", "variables"})

__all__ = [
    "accessors",
    "decorate",
    "fields",
    "foreign",
    "forks",
    "providers",
    "resource",
    "scope",
    "snapshot",
    "spans",
    "travel",
    "variables",
]

if not TYPE_CHECKING:  # under it, type checkers would accept every typo

    def __getattr__(name: str) -> object:
        """Load a module that capturing and entering do without."""
        if name not in _LATER:
            raise AttributeError(f"module 'ctxlog.context' has no attribute {name!r}")
        from importlib import import_module

        return import_module(f"ctxlog.context.{name}")
