"""Telemetry: what ``configure`` takes from OpenTelemetry, loaded only where it is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ctxlog.errors import UsageError
from ctxlog.freezing import freeze_fields
from ctxlog.options import environment_resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxlog.sinks.sink import Sink


def told_resource() -> dict[str, object]:
    """Return the resource that the environment tells, over that of the application's tracer."""
    told = environment_resource()
    if "opentelemetry.sdk.trace" not in sys.modules:
        return told
    from ctxlog.adapters.otel.resource import of_sdk  # here: what it needs is loaded already

    return {**freeze_fields(of_sdk(), {}), **told}


def otlp_sinks(otlp: object, resource: Mapping[str, object]) -> list[Sink]:
    """Return the sink of ``configure(otlp=…)``, if the environment wants one.

    Raises:
        UsageError: an option cannot be what it should be, or the extra ``otel`` is missing.
    """
    try:
        from ctxlog.adapters.otel.setup import open_sink  # here: it loads the SDK
    except ImportError as error:
        raise UsageError(
            f"configure(otlp=...) needs the extra: pip install 'ctxlog[otel]' ({error})"
        ) from error
    sink = open_sink(otlp, resource)
    return [] if sink is None else [sink]
