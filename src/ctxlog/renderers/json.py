"""JSON: one event, one line, always valid; written by orjson."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.plain import plain
from ctxlog.schemas import OTEL, Schema
from ctxlog.tracebacks import told

if TYPE_CHECKING:
    from collections.abc import MutableMapping

dumps = orjson.dumps

DEL = 0x7F
# What has to be escaped in UTF-8: C1 is C2 80..C2 9F; separators and overrides (ACTIVE) begin with E2.
_LEAD_C1 = 0xC2
_LEAD_ACTIVE = 0xE2
_ACTIVE = re.compile(rb"\xe2(?:\x80[\xa8-\xae]|\x81[\xa6-\xa9])")


def escape(data: bytes) -> bytes:
    r"""Escape DEL, C1, U+2028, U+2029 and bidirectional overrides in JSON text.

    Terminals and line-splitting readers act on them. orjson has escaped C0.

    Example:
        >>> escape('{"a":"x\x85y"}'.encode())
        b'{"a":"x\\u0085y"}'
    """
    if DEL in data:
        data = data.replace(b"\x7f", b"\\u007f")
    if _LEAD_ACTIVE in data and _ACTIVE.search(data):
        data = _ACTIVE.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), data)
    if _LEAD_C1 in data:
        for last in range(0x80, 0xA0):
            code = bytes((_LEAD_C1, last))
            if code in data:
                data = data.replace(code, b"\\u%04x" % last)
    return data


def encode(event: dict[str, Any]) -> bytes:
    """Encode an event whose values are plain (:func:`ctxlog.plain.plain`).

    Example:
        >>> encode({"event": "accepted", "items": 3})
        b'{"event":"accepted","items":3}'
    """
    data = dumps(event)
    return data if data.isascii() and DEL not in data else escape(data)


class JsonRenderer:
    """Event to one line of JSON, for our pipeline and for structlog's chain.

    Example:
        >>> JsonRenderer()(None, "info", {"event": "accepted", "items": {3}})
        b'{"event":"accepted","items":[3]}'
    """

    name = "json"

    def __init__(self, limits: Limits = DEFAULT_LIMITS, schema: Schema = OTEL) -> None:
        self._limits = limits
        self._rename = schema.rename if schema.renames else None

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> bytes:
        """Render any event, whatever its values are; an ``exc_info`` as its fields."""
        event = plain(told(event_dict, self._limits.value_bytes), self._limits)
        if not isinstance(event, dict):  # only a limit of depth 0 could do that
            event = {"event": event}
        return self.render(event)

    def render(self, event: dict[str, Any]) -> bytes:
        """Render an event that the pipeline has made plain."""
        return encode(event if self._rename is None else self._rename(event))
