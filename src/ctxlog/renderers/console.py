"""Console: for people, through structlog's console renderer; coloured on request.

A request's lines begin with its id, in a colour of its own; what only machines join on comes last,
dimmed: ids, and the parts of an object's key. Events are padded, so that fields begin in one column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

from structlog import dev

from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.names import (
    EVENT,
    LEVEL,
    LOGGER,
    REQUEST_ID,
    SPAN_ID,
    TIMESTAMP,
    TRACE_FLAGS,
    TRACE_ID,
    moved,
)
from ctxlog.plain import plain
from ctxlog.renderers.escaping import escape_text
from ctxlog.tracebacks import told

if TYPE_CHECKING:
    from collections.abc import MutableMapping

#: Texts of several lines: they follow the event on lines of their own, indented.
_BLOCKS = ("code.stacktrace", "stack", "exception.stacktrace", "exception")
#: Names that structlog's renderer would write as they are, on lines that look like events.
_SPECIAL = frozenset({"stack", "exception", "exc_info", "stack_info"})


#: What stands last: for joining lines, not for reading.
_LAST = (
    "reconcile_id", "link.request_id", "link.trace_id", "link.span_id",
    TRACE_ID, SPAN_ID, TRACE_FLAGS,
)  # fmt: skip
#: What an object's key says too, or no reader asks for: last as well, where there is the key.
_KEY = "k8s.object.ref"
_OBJECT = tuple(
    f"k8s.object.{part}"
    for part in ("kind", "namespace", "name", "uid", "api_version", "resource_version")
)
_FAINT = frozenset({*_LAST, *_OBJECT, REQUEST_ID})
_EVENT_WIDTH = 30
_LEVEL_WIDTH = 8
#: The column of requests; no field is called so, for control characters are escaped.
_TAGGED = "\0tag"
#: Characters of a request id at the beginning of a line; a longer one is whole at its end.
_TAG = 8
#: Bright colours that no level has: a request keeps one.
_TAG_COLOURS = tuple(f"\x1b[{code}m" for code in (36, 35, 34, 96, 95, 94))


class ConsoleRenderer:
    """Event to a readable line; a traceback follows on indented lines.

    Args:
        colors: write ANSI colours.

    Example:
        >>> print(ConsoleRenderer(colors=False)(None, "info", {"event": "accepted", "items": 3}))
        accepted                       items=3
    """

    name = "console"

    def __init__(self, *, colors: bool = False, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._colors = colors
        self._tagged = False
        self._console = dev.ConsoleRenderer(
            columns=_columns(colors=colors),
            sort_keys=False,
            exception_formatter=dev.plain_traceback,  # one with locals would show secrets
        )

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> str:
        """Render any event, whatever its values are; an ``exc_info`` as its traceback."""
        event = plain(told(event_dict, self._limits.value_bytes), self._limits)
        return self.render(event if isinstance(event, dict) else {EVENT: event})

    def render(self, event: dict[str, Any]) -> str:
        """Render an event that the pipeline has made plain."""
        shown, event = self._tagged_and_ordered(event)
        blocks: list[str] = []
        for name, value in event.items():
            if name in _BLOCKS and isinstance(value, str) and "\n" in value:
                blocks += [f"    {escape_text(part)}" for part in value.split("\n") if part]
                continue
            key = escape_text(name)
            if key in _SPECIAL or (key in shown and key != name):
                key = moved(key, shown)
            shown[key] = _value(value)
        for name in (TIMESTAMP, LEVEL, LOGGER, EVENT):  # structlog lays these out first
            if name in shown:
                shown[name] = str(shown[name])
        if blocks:
            shown["exception"] = "\n".join(blocks)
        return str(self._console(None, "", shown))

    def _tagged_and_ordered(self, event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a request's line begins with, and the event with its ids last."""
        shown: dict[str, Any] = {}
        names = (*_OBJECT, *_LAST) if _KEY in event else _LAST
        last = {name: event[name] for name in names if name in event}
        request_id = event.get(REQUEST_ID)
        if isinstance(request_id, str):
            shown[_TAGGED] = self._tag(escape_text(request_id))
            self._tagged = True
            if len(request_id) > _TAG:
                last = {REQUEST_ID: request_id, **last}
        elif self._tagged:  # events stay in their column
            shown[_TAGGED] = " " * _TAG
        if last or isinstance(request_id, str):
            kept = {name: v for name, v in event.items() if name not in last and name != REQUEST_ID}
            if not isinstance(request_id, str) and REQUEST_ID in event:
                kept[REQUEST_ID] = request_id
            event = {**kept, **last}
        return shown, event

    def _tag(self, request_id: str) -> str:
        text = request_id[:_TAG].ljust(_TAG)
        if not self._colors:
            return text
        colour = _TAG_COLOURS[crc32(request_id.encode()) % len(_TAG_COLOURS)]
        return f"{colour}{text}\x1b[0m"


def _columns(*, colors: bool) -> list[dev.Column]:
    bright, dim, reset = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if colors else ("", "", "")
    cyan, magenta = ("\x1b[36m", "\x1b[35m") if colors else ("", "")
    pairs = dev.KeyValueColumnFormatter(cyan, magenta, reset, str_or_repr)
    faint = dev.KeyValueColumnFormatter(dim, dim, reset, str_or_repr)

    def pair(key: str, value: object) -> str:
        return (faint if key in _FAINT else pairs)(key, value)

    def value(style: str, width: int = 0, before: str = "", after: str = "") -> Any:
        return dev.KeyValueColumnFormatter(
            None, style, reset, str, width=width, prefix=before, postfix=after
        )

    levels = dev.ConsoleRenderer.get_default_level_styles(colors)
    if colors:
        levels = {**levels, "trace": dim, "notice": levels["info"]}
    return [
        dev.Column("", pair),
        dev.Column(TIMESTAMP, value(dim)),
        dev.Column(LEVEL, dev.LogLevelColumnFormatter(levels, reset, width=_LEVEL_WIDTH)),
        dev.Column(_TAGGED, value("")),
        dev.Column(EVENT, value(bright, _EVENT_WIDTH)),
        dev.Column(LOGGER, value(dim, 0, "[", "]")),
    ]


def str_or_repr(value: Any) -> str:
    """Return a value as a console shows it: quoted where its end would be in doubt.

    Example:
        >>> str_or_repr("bob"), str_or_repr("two words"), str_or_repr(3)
        ('bob', "'two words'", '3')
    """
    if isinstance(value, str):
        return value if value and set(value).isdisjoint(" \t=\r\n\"'") else repr(value)
    return repr(value)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, dict):
        return {escape_text(name): _value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value
