"""Resource: fields of the process, set once, under everything, never cleared by a request."""

from __future__ import annotations

from ctxlog.context.fields import thaw
from ctxlog.freezing import freeze_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_resource: dict[str, object] = {}


def set_resource(fields: Mapping[str, object] | None = None, /, **more: object) -> None:
    """Replace the process's fields; ``configure(resource=…)`` calls this.

    Raises:
        UsageError: ``fields`` is not a mapping.

    Example:
        >>> set_resource({"service.name": "shop"})
        >>> get_resource()
        {'service.name': 'shop'}
        >>> set_resource()
        >>> get_resource()
        {}
    """
    global _resource  # noqa: PLW0603 - swapped whole
    _resource = freeze_fields(fields, more)


def get_resource() -> dict[str, object]:
    """Return a copy of the process's fields."""
    return {name: thaw(value) for name, value in _resource.items()}
