r"""logfmt: ``key=value`` pairs on one line, each value to be read back as it was.

A value that holds a space of any kind, a quote, ``=``, a backslash or a control character is
quoted; within the quotes a backslash is escaped too, so that a line break and the two characters
``\n`` differ. (What structlog's renderer and others leave bare does not tell them apart.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.plain import plain
from ctxlog.renderers.escaping import escape_text
from ctxlog.renderers.json import encode
from ctxlog.schemas import OTEL, Schema
from ctxlog.tracebacks import told
from ctxlog.walk import unused

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
_KEY_BREAKERS = str.maketrans(dict.fromkeys(f'{_SPACES}="', "_"))
_QUOTED = {ord("\\"): r"\\", ord('"'): r"\""}


class LogfmtRenderer:
    r"""Event to one line of logfmt; nested values are JSON text, ``None`` is nothing.

    Example:
        >>> LogfmtRenderer()(None, "info", {"event": "two words", "n": 1, "list": [1, 2]})
        'event="two words" n=1 list=[1,2]'
    """

    name = "logfmt"

    def __init__(self, limits: Limits = DEFAULT_LIMITS, schema: Schema = OTEL) -> None:
        self._limits = limits
        self._rename = schema.rename

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> str:
        """Render any event, whatever its values are; an ``exc_info`` as its fields."""
        event = plain(told(event_dict, self._limits.value_bytes), self._limits)
        return self.render(event if isinstance(event, dict) else {"event": event})

    def render(self, event: dict[str, Any]) -> str:
        """Render an event that the pipeline has made plain."""
        pairs: dict[str, Any] = {}
        for name, value in self._rename(event).items():
            key = _key(name)
            pairs[unused(key, pairs) if key in pairs else key] = _value(value)
        return " ".join([f"{key}={value}" for key, value in pairs.items()])


def _key(name: str) -> str:
    return escape_text(name).translate(_KEY_BREAKERS) or "_"


def _value(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    text = encode({"v": value})[5:-1].decode() if isinstance(value, dict | list) else str(value)
    escaped = escape_text(text)
    # split: a reader may take any of Unicode's spaces for the end of a value
    if text.split() == [text] == [escaped] and not ("=" in text or '"' in text or "\\" in text):
        return text
    return f'"{escape_text(text.translate(_QUOTED))}"'
