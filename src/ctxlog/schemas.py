"""Schemas: the names every line has, in the vocabulary of where it is read.

Inside the pipeline an event has the names of ``otel``; another schema is a rename while a line is
rendered, as JSON or logfmt. The console, callable renderers and sinks that take events see ``otel``.

>>> SCHEMAS["ecs"].rename({"level": "info", "event": "accepted", "message": "mine"})
{'log.level': 'info', 'message': 'accepted', 'fields.message': 'mine'}
"""

from __future__ import annotations

from ctxlog import names
from ctxlog.errors import UsageError
from ctxlog.levels import NAMES, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

#: What a renamed line may be longer by: limits are checked before the rename.
OVERHEAD = 512


class Schema:
    """What the names every line has are called by one reader, and how it wants their values.

    Args:
        name: what ``configure(schema=…)`` calls it.
        called: our names to theirs; a name that is missing stays.
        values: our names to functions that make the value theirs.

    Attributes:
        reserved: names with a meaning here; a field called so moves to ``fields.<name>``.
        renames: whether it changes anything.
    """

    __slots__ = ("_called", "_opened", "_targets", "_values", "name", "renames", "reserved")

    def __init__(
        self,
        name: str,
        called: Mapping[str, str] | None = None,
        values: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.name = name
        self._called = dict(called or {})
        self._values = dict(values or {})
        self._targets = frozenset(self._called.values()) - self._called.keys()
        self.renames = bool(self._called)
        self._opened = ("", b"")
        self.reserved = self._targets.union(self._called)

    def called(self, name: str) -> str:
        """Return what a name of ours is called.

        Example:
            >>> SCHEMAS["gcp"].called("timestamp"), SCHEMAS["gcp"].called("shop")
            ('time', 'shop')
        """
        return self._called.get(name, name)

    def rename(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event under this schema's names; itself when nothing changes.

        Example:
            >>> SCHEMAS["gcp"].rename({"level": "trace", "request_id": "r-1"})
            {'severity': 'DEBUG', 'labels.request_id': 'r-1'}
        """
        called = self._called
        if not called:
            return event
        values, targets = self._values, self._targets
        renamed: dict[str, Any] = {}
        for name, value in event.items():
            new = called.get(name)
            if new is not None:
                renamed[new] = values[name](value) if name in values else value
            elif name in targets:
                renamed[names.moved(name, event)] = value
            else:
                renamed[name] = value
        return renamed

    def opening(self, text: str) -> bytes:
        """Return what a line of JSON begins with, up to the seconds of its stamp.

        Example:
            >>> SCHEMAS["ecs"].opening("1970-01-01T00:00:00.")
            b'{"@timestamp":"1970-01-01T00:00:00.'
        """
        known = self._opened
        if known[0] != text:
            opened = f'{{"{self.called(names.TIMESTAMP)}":"{text}'.encode()
            known = self._opened = (text, opened)
        return known[1]

    def __repr__(self) -> str:
        return f"<schema {self.name}>"


#: The severities that Google Cloud knows; anything else would be shown as DEFAULT.
_SEVERITIES = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (25, "NOTICE"), (20, "INFO"))


def _severity(level: Any) -> str:
    if not isinstance(level, str):
        return "DEFAULT"
    upper = level.upper()
    if upper in _KNOWN:
        return upper
    try:
        number = parse(level.removeprefix("level "))
    except UsageError:  # a name that nobody told logging
        return "DEFAULT"
    return next((name for least, name in _SEVERITIES if number >= least), "DEBUG")


_KNOWN = frozenset(name.upper() for name in NAMES.values() if name != "trace")


def _sampled(flags: Any) -> Any:
    try:
        return bool(int(flags, 16) & 1)
    except (TypeError, ValueError):  # a field of the user's, outside any trace
        return flags


OTEL = Schema("otel")
ECS = Schema(
    "ecs",
    {
        names.TIMESTAMP: "@timestamp",
        names.LEVEL: "log.level",
        names.EVENT: "message",
        names.LOGGER: "log.logger",
        names.TRACE_ID: "trace.id",
        names.SPAN_ID: "span.id",
        names.REQUEST_ID: "http.request.id",
    },
)
GCP = Schema(
    "gcp",
    {
        names.TIMESTAMP: "time",
        names.LEVEL: "severity",
        names.EVENT: "message",
        names.TRACE_ID: "logging.googleapis.com/trace",
        names.SPAN_ID: "logging.googleapis.com/spanId",
        names.TRACE_FLAGS: "logging.googleapis.com/trace_sampled",
        names.REQUEST_ID: "labels.request_id",
    },
    {names.LEVEL: _severity, names.TRACE_FLAGS: _sampled},
)
DATADOG = Schema(
    "datadog",
    {
        names.LEVEL: "status",
        names.EVENT: "message",
        names.LOGGER: "logger.name",
        names.TRACE_ID: "dd.trace_id",
        names.SPAN_ID: "dd.span_id",
        names.REQUEST_ID: "http.request_id",
    },
)
SCHEMAS: dict[str, Schema] = {schema.name: schema for schema in (OTEL, ECS, GCP, DATADOG)}
