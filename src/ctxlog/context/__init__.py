"""Context: what is bound now, and how it is captured and entered elsewhere.

Standard library only, so that any library may depend on it. One noun a module: ``fields`` (bound
now), ``scope`` (for a block), ``snapshot`` (captured), ``accessors`` (what else travels),
``providers`` (read when a line is written), ``resource`` (the process's own), ``spans``
(OpenTelemetry's, if loaded), ``variables`` (structlog's, and any given), ``travel`` (to another
process; loaded when something goes), ``forks`` (the child's fresh start), ``decorate`` (calls and generator steps).
"""

from __future__ import annotations

from ctxlog.context import (
    accessors,
    decorate,
    fields,
    forks,
    providers,
    resource,
    scope,
    snapshot,
    spans,
    variables,
)

__all__ = [
    "accessors",
    "decorate",
    "fields",
    "forks",
    "providers",
    "resource",
    "scope",
    "snapshot",
    "spans",
    "variables",
]
