"""JSON: one event, one line, always valid; written by orjson."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.plain import plain
from ctxlog.schemas import OTEL, Schema

if TYPE_CHECKING:
    from collections.abc import MutableMapping

dumps = orjson.dumps

DEL = 0x7F
# The lead bytes of what has to be escaped: C1 is C2 80..C2 9F, U+2028/2029 are E2 80 A8/A9.
_LEAD_C1 = 0xC2
_LEAD_SEPARATOR = 0xE2


def escape(data: bytes) -> bytes:
    r"""Escape DEL, C1, U+2028 and U+2029 in JSON text; orjson has escaped C0.

    Terminals and line-splitting readers act on them.

    Example:
        >>> escape('{"a":"x\x85y"}'.encode())
        b'{"a":"x\\u0085y"}'
    """
    if DEL in data:
        data = data.replace(b"\x7f", b"\\u007f")
    if _LEAD_SEPARATOR in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
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
        """Render any event, whatever its values are."""
        event = plain(dict(event_dict), self._limits)
        if not isinstance(event, dict):  # only a limit of depth 0 could do that
            event = {"event": event}
        return self.render(event)

    def render(self, event: dict[str, Any]) -> bytes:
        """Render an event that the pipeline has made plain."""
        return encode(event if self._rename is None else self._rename(event))
