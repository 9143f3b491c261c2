"""Report: a test's lines for people, grouped by the operation they were written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxlog.testing.events import event_of
from ctxlog.texts import safe_repr, safe_str

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxlog.testing.events import Event
    from ctxlog.testing.recording import Record

#: Lines shown, the last of the test.
MAX_LINES = 200
_VALUE, _EVENT = 200, 500
_HEAD = frozenset({"timestamp", "level", "logger", "event", "trace_id", "span_id", "trace_flags"})
_STACK = "exception.stacktrace"


def report(records: Sequence[Record], dropped: int = 0) -> str:
    """Return the lines as text: one group an operation (else a request), in order of its first.

    Example:
        >>> report([])
        ''
    """
    shown = list(records)[-MAX_LINES:]
    left_out = dropped + len(records) - len(shown)
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in shown:
        groups.setdefault(_group(record), []).append(record)
    lines = [f"… {left_out} earlier lines"] if left_out else []
    single = len(groups) == 1 and ("", "") in groups
    for (operation, request), members in groups.items():
        if not single:
            head = " ".join(filter(None, (operation, request))) or "no operation, no request_id"
            lines.append(f"-- {head}")
        lines.extend(_told(members))
    return "\n".join(lines)


def _group(record: Record) -> tuple[str, str]:
    name: object = record.operation
    if name is None and "outcome" in record.fields and "duration_s" in record.fields:
        name = record.event  # its closing line, which is written outside
    request = record.value("request_id")
    return (
        f"operation {name}" if isinstance(name, str) else "",
        "" if request is None else f"request_id={safe_repr(request, _VALUE)}",
    )


def _told(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        event = event_of(record)
        yield _line(event)
        stack = event.get(_STACK)
        if isinstance(stack, str):
            yield from (f"      {line}" for line in stack.rstrip().splitlines()[-8:])


def _line(event: Event) -> str:
    time = str(event.get("timestamp", ""))[11:23]
    text = safe_str(event.get("event", ""), _EVENT)
    fields = " ".join(
        f"{name}={safe_repr(value, _VALUE)}"
        for name, value in event.items()
        if name not in _HEAD and name not in (_STACK, "request_id")
    )
    by = "" if event.thread == "MainThread" else f" [{event.thread}]"
    at = f" ({event.place.at})" if event.place else ""
    level, logger = event.get("level"), event.get("logger")
    said = " ".join(filter(None, (text, fields)))
    return f"   {time} {level!s:8} {logger}{by}: {said}{at}"
