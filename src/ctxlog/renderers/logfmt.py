"""logfmt: ``key=value`` pairs on one line, quoted by structlog's renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structlog.processors import LogfmtRenderer as _StructlogLogfmt

from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.renderers.escaping import escape_text
from ctxlog.renderers.json import encode
from ctxlog.schemas import OTEL, Schema
from ctxlog.values import plain
from ctxlog.walk import unused

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_KEY_BREAKERS = str.maketrans(dict.fromkeys(' ="', "_"))


class LogfmtRenderer:
    r"""Event to one line of logfmt; nested values are JSON text.

    Example:
        >>> LogfmtRenderer()(None, "info", {"event": "two words", "n": 1, "list": [1, 2]})
        'event="two words" n=1 list=[1,2]'
    """

    name = "logfmt"

    def __init__(self, limits: Limits = DEFAULT_LIMITS, schema: Schema = OTEL) -> None:
        self._limits = limits
        self._rename = schema.rename
        self._logfmt = _StructlogLogfmt(bool_as_flag=False)

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> str:
        """Render any event, whatever its values are."""
        event = plain(dict(event_dict), self._limits)
        return self.render(event if isinstance(event, dict) else {"event": event})

    def render(self, event: dict[str, Any]) -> str:
        """Render an event that the pipeline has made plain."""
        pairs: dict[str, Any] = {}
        for name, value in self._rename(event).items():
            key = _key(name)
            pairs[unused(key, pairs) if key in pairs else key] = _value(value)
        return str(self._logfmt(None, "", pairs))


def _key(name: str) -> str:
    return escape_text(name).translate(_KEY_BREAKERS) or "_"


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, dict | list):
        return encode({"v": value})[5:-1].decode()
    return value
