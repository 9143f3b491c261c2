"""Debugged: the objects and namespaces whose lines are all wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import CURRENT
from ctxlog.stamps import ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Mapping


class Debugged:
    """Which lines are debugged: those of an object or a namespace that is named.

    Args:
        objects: ``"Kind/namespace/name"`` or ``"namespace/name"``.
        namespaces: all objects of these.

    Example:
        >>> debugged = Debugged(frozenset({"Pod/shop/db-0"}), frozenset())
        >>> debugged.has({"k8s.object.ref": "Pod/shop/db-0"}), debugged.has({})
        (True, False)
    """

    def __init__(self, objects: frozenset[str], namespaces: frozenset[str]) -> None:
        self._objects = objects
        self._namespaces = namespaces

    def __call__(self, source: Any) -> bool:
        """Say it of a logger or a record, under the context it is used in. Never raises."""
        own = getattr(source, "__dict__", None)
        if own is not None and "k8s.object.ref" in own:
            return self.has(own)
        pinned = getattr(source, "pinned", None)
        stamped = None if own is None else getattr(own.get(ATTRIBUTE), "context", None)
        if stamped is not None:  # a record that is handled elsewhere than it was made
            return self.has(stamped.values)
        fields = CURRENT.get().fields if pinned is None else pinned.fields
        bound = getattr(source, "fields", None)
        return self.has(fields.values) or (bound is not None and self.has(bound.values))

    def has(self, fields: Mapping[str, Any]) -> bool:
        """Say it of a line's fields. Never raises."""
        try:
            return self._has(fields)
        except TypeError:  # a name that cannot be hashed is nobody's
            return False

    def _has(self, fields: Mapping[str, Any]) -> bool:
        namespace = fields.get("k8s.object.namespace")
        if namespace is not None and namespace in self._namespaces:
            return True
        ref = fields.get("k8s.object.ref")
        if ref is not None and ref in self._objects:
            return True
        name = fields.get("k8s.object.name")
        if name is None:
            return False
        return (name if namespace is None else f"{namespace}/{name}") in self._objects
