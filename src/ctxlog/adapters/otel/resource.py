"""Resource: what the process is, by OpenTelemetry's variables and SDK; the same in lines and spans."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ctxlog.context.resource import get_resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.resources import Resource

#: What the SDK says of itself, and when nobody told it a name: no fields of a line.
_ITS_OWN = ("telemetry.",)
UNKNOWN = "unknown_service"


def of_sdk() -> dict[str, Any]:
    """Return the resource of the tracer provider that the application set, as a line's fields.

    Example:
        >>> of_sdk()
        {}
    """
    if "opentelemetry.sdk.trace" not in sys.modules:
        return {}
    from opentelemetry import trace

    resource = getattr(trace.get_tracer_provider(), "resource", None)
    found: dict[str, Any] = dict(getattr(resource, "attributes", None) or {})
    return {
        name: list(value) if type(value) is tuple else value
        for name, value in found.items()
        if not name.startswith(_ITS_OWN)
        and not (name == "service.name" and str(value).startswith(UNKNOWN))
    }


def resource(fields: Mapping[str, object] | None = None) -> Resource:
    """Return the resource of lines as the SDK's, for a tracer or meter provider of your own.

    Args:
        fields: what the process is; default is what its lines say.

    What was detected from the environment, with what ``configure(resource=…)`` said on top.

    Example:
        >>> resource().attributes["telemetry.sdk.language"]
        'python'
    """
    from opentelemetry.sdk.resources import Resource

    return Resource.create(
        {
            name: value
            for name, value in (get_resource() if fields is None else fields).items()
            if isinstance(value, str | bool | int | float | list | tuple)
        }
    )
