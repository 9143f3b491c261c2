"""Notices: the one line in which a queue says what it dropped, in its own sink's format."""

from __future__ import annotations

import sys
from select import select
from time import time_ns
from typing import TYPE_CHECKING, Any

from ctxlog.clock import text_of
from ctxlog.counting import counters
from ctxlog.levels import WARNING
from ctxlog.levels import name_of as level_name
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.names import EVENT, LEVEL, LOGGER, TIMESTAMP
from ctxlog.plain import plain
from ctxlog.renderers.foreign import drawn
from ctxlog.renderers.json import JsonRenderer
from ctxlog.sinks import last_resort
from ctxlog.sinks.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

DROPPED = "ctxlog.dropped"
RESTARTED = "ctxlog.writer_restarted"
_json = JsonRenderer()


def line_for(
    sink: Sink,
    dropped: Mapping[str, int],
    death: str | None = None,
    resource: Mapping[str, object] | None = None,
) -> Any:
    r"""Return a finished line, or an event where the sink takes events.

    Args:
        sink: whose renderer is used.
        dropped: numbers by counter: ``dropped.full``, ``unknown``.
        death: what its writer died of.
        resource: fields of the process.

    Example:
        >>> from ctxlog.sinks.stream import StreamSink
        >>> line_for(StreamSink(), {"dropped.full": 3})[-68:]
        b'"event":"lines dropped","ctxlog.dropped":3,"ctxlog.dropped.full":3}\n'
    """
    event: dict[str, Any] = {
        TIMESTAMP: text_of(time_ns()),
        LEVEL: level_name(WARNING),
        LOGGER: "ctxlog",
        EVENT: "lines dropped" if dropped else "log writer restarted",
    }
    fields = plain(resource or {}, DEFAULT_LIMITS)
    if isinstance(fields, dict):
        event.update((name, value) for name, value in fields.items() if name not in event)
    if dropped:
        event[DROPPED] = sum(dropped.values())
        for name, number in dropped.items():
            event[f"{DROPPED}.{name.removeprefix('dropped.')}"] = number
    if death is not None:
        event[RESTARTED] = death
    if sink.wants_event:
        return event
    line = _rendered(sink, event)
    return line + b"\n" if isinstance(line, bytes) else f"{line}\n"


def _rendered(sink: Sink, event: dict[str, Any]) -> bytes | str:
    """Return the notice in its sink's format; as JSON where that fails: it must be said."""
    renderer: Any = _json if sink.renderer is None else sink.renderer
    own = getattr(renderer, "render", None)
    try:
        line: bytes | str = own(event) if own is not None else drawn(renderer, event, "warning")
    except Exception as error:  # noqa: BLE001 - as on any line of the sink's
        counters.add("errors.renderer")
        return _json.render(last_resort.noted(event, last_resort.said("renderer", error)))
    return line


def say_lost(dropped: Mapping[str, int]) -> None:
    """Say on the last resort what was not written, unless that would have to wait as well.

    A sink that is stuck may write to the same pipe.
    """
    stream = sys.__stderr__
    last_resort.write(line_for(Sink(), dropped), None if _has_room(stream) else stream)


def _has_room(stream: Any) -> bool:
    try:
        return bool(select([], [stream], [], 0)[1])
    except (OSError, TypeError, ValueError):  # no file of the system's, or none that can be asked
        return True
