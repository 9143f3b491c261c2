"""Tracing: a trace goes on through an annotation, if asked for."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypeVar

from ctxlog.carriers import inject
from ctxlog.errors import UsageError

Thing = TypeVar("Thing")

#: The annotation that :func:`put_trace` writes, unless told otherwise.
ANNOTATION = "ctxlog.dev/traceparent"


def put_trace(body: Thing, annotation: str = ANNOTATION) -> Thing:
    """Write the current ``traceparent`` into an object's annotations, before it is created.

    An operator that was installed with ``trace_annotation`` continues it when it sees the object.
    Without ids of the context nothing is written.

    Args:
        body: a dict, or a client library's object with ``metadata``.
        annotation: its name.

    Returns:
        The same object.

    Raises:
        UsageError: it is neither, or its metadata is none.

    Example:
        >>> from ctxlog.entries import entry
        >>> with entry({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}):
        ...     put_trace({"kind": "Pod"})["metadata"]["annotations"][ANNOTATION]
        '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01'
    """
    headers: dict[str, str] = {}
    inject(headers)
    value = headers.get("traceparent")
    if isinstance(body, MutableMapping):
        if value is not None:
            _write(body, ("metadata", "annotations"), annotation, value)
        return body
    model: Any = body
    metadata = getattr(model, "metadata", None)
    if isinstance(metadata, MutableMapping):  # an object that wraps a manifest
        if value is not None:
            _write(metadata, ("annotations",), annotation, value)
        return body
    if metadata is None or not hasattr(metadata, "annotations"):
        raise UsageError(f"put_trace takes an object with metadata, not {type(body).__name__}")
    if value is not None:
        metadata.annotations = {**(metadata.annotations or {}), annotation: value}
    return body


def _write(inside: Any, parts: tuple[str, ...], annotation: str, value: str) -> None:
    for name in parts:
        if inside.get(name) is None:  # a manifest may say `annotations:`, and nothing
            inside[name] = {}
        inside = inside[name]
        if not isinstance(inside, MutableMapping):
            kind = type(inside).__name__
            raise UsageError(f"put_trace takes an object whose {name} is a mapping, not {kind}")
    inside[annotation] = value
