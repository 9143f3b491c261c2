"""Names: what fields are called on a line, and which names are reserved.

They follow OpenTelemetry's logs data model and semantic conventions: the schema ``otel``;
:mod:`ctxlog.schemas` calls them otherwise where a line is rendered.
"""

from __future__ import annotations

TIMESTAMP = "timestamp"
LEVEL = "level"
LOGGER = "logger"
EVENT = "event"

TRACE_ID = "trace_id"
SPAN_ID = "span_id"
TRACE_FLAGS = "trace_flags"
REQUEST_ID = "request_id"

#: What failed while this line was made.
ERRORS = "ctxlog.errors"
#: The names of fields that were cut to keep the line within its limit.
TRUNCATED = "truncated"
#: The stack at the call, when ``stack_info`` asks for it.
STACK = "code.stacktrace"

#: Names a line has of its own; a field of such a name moves to ``fields.<name>``.
HEAD = frozenset({TIMESTAMP, LEVEL, LOGGER, EVENT, ERRORS, TRUNCATED, "clock_ahead_s"})
#: Reserved only on lines that have ids from a span or an entry: ids come from one source.
IDS = frozenset({TRACE_ID, SPAN_ID, TRACE_FLAGS})
#: Names with a meaning of their own in a logging call; bound to anything else, they move too.
CALL = frozenset({"exc_info", "stack_info", "stacklevel"})
#: Never cut, never dropped to make a line fit.
KEPT = HEAD | IDS | {REQUEST_ID}
#: What no field of a line can be called: without ids, and beside them.
RESERVED = HEAD | CALL
RESERVED_BESIDE_IDS = RESERVED | IDS

MOVED = "fields."


def moved(name: str, taken: dict[str, object]) -> str:
    """Return where a field goes whose name is reserved: ``fields.<name>``, or deeper if taken.

    Example:
        >>> moved("level", {}), moved("level", {"fields.level": 1})
        ('fields.level', 'fields.fields.level')
    """
    name = MOVED + name
    while name in taken:
        name = MOVED + name
    return name


def move(fields: dict[str, object], reserved: frozenset[str]) -> None:
    """Give the fields whose names are reserved the names they move to, in place.

    Example:
        >>> fields = {"level": 3, "items": 1}
        >>> move(fields, RESERVED)
        >>> fields
        {'items': 1, 'fields.level': 3}
    """
    for name in sorted(reserved.intersection(fields)):
        value = fields.pop(name)
        fields[moved(name, fields)] = value
