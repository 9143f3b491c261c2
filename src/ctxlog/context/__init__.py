"""Context: what is bound now, and how it is captured and entered elsewhere.

Standard library only, so that any library may depend on it. One noun a module: ``fields`` (bound
now), ``scope`` (for a block), ``accessors`` (what else travels), ``forks`` (the child's fresh
start); and loaded when they are asked for: ``snapshot`` (captured), ``decorate`` (calls and
generator steps), ``providers`` (read when a line is written), ``resource`` (the process's own),
``variables`` (any given), ``travel`` (to another process); or when the libraries are that they
know: ``spans`` (OpenTelemetry's), ``foreign`` (structlog's and loguru's).
"""

from __future__ import annotations

from ctxlog.context import accessors, fields, forks, scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctxlog.context import (
        decorate,
        foreign,
        providers,
        resource,
        snapshot,
        spans,
        travel,
        variables,
    )

_LATER = frozenset(
    {"decorate", "foreign", "providers", "resource", "snapshot", "spans", "travel", "variables"}
)

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

# What is bound with these travels too; whoever loads none of them pays for none of it.
accessors.await_library("structlog", "structlog.contextvars", "ctxlog.context.foreign")
accessors.await_library("loguru", "loguru._logger", "ctxlog.context.foreign")
accessors.await_library(accessors.SPANS, "opentelemetry.trace", "ctxlog.context.spans")

if not TYPE_CHECKING:  # under it, type checkers would accept every typo

    def __getattr__(name: str) -> object:
        """Load a module that binding does without."""
        if name not in _LATER:
            raise AttributeError(f"module 'ctxlog.context' has no attribute {name!r}")
        import sys

        __import__(f"ctxlog.context.{name}")  # importlib is not loaded for it
        return sys.modules[f"ctxlog.context.{name}"]
