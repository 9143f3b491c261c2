"""Targets: the sink that a stream, a path, a callable or a handler stands for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ctxlog.context.decorate import COROUTINE, kind_of
from ctxlog.errors import UsageError, choices, shown
from ctxlog.levels import parse
from ctxlog.options import RENDERERS, instance, known
from ctxlog.sinks.file import FileSink
from ctxlog.sinks.sink import Sink
from ctxlog.sinks.stream import StreamSink
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctxlog.limits import Limits
    from ctxlog.schemas import Schema

SINK = ("target", "renderer", "level", "filter", "queue")


def targets(sinks: Iterable[Any] | None) -> list[Any]:
    """Return the targets that ``configure(sinks=…)`` was given.

    Raises:
        UsageError: it is one target, not several: a path or a file is iterable too.
    """
    if sinks is None:
        return []
    one = isinstance(sinks, str | bytes | os.PathLike) or hasattr(sinks, "write")
    if one or is_mapping(type(sinks)) or not hasattr(sinks, "__iter__"):
        raise UsageError(
            f"sinks takes several targets, as in sinks=[...], not one {type(sinks).__name__}"
        )
    return list(sinks)


def sink_of(target: Any, renderer: Any, limits: Limits, schema: Schema) -> Sink:
    """Return the sink for a target, or for a mapping of ``add_sink``'s arguments."""
    if not is_mapping(type(target)):
        return sink(target, renderer=renderer, limits=limits, schema=schema)
    given = dict(target)
    for name in given:
        if name not in SINK:
            raise choices("sink option", name, SINK)
    if "target" not in given:
        raise UsageError(f"a sink given as a mapping needs a 'target'; it takes {', '.join(SINK)}")
    return sink(
        given["target"],
        renderer=given.get("renderer", renderer),
        limits=limits,
        schema=schema,
        level=given.get("level", 0),
        accept=given.get("filter"),
        queue=given.get("queue"),
    )


def sink(  # noqa: PLR0913 - what a sink may be given, each by name
    target: Any,
    *,
    renderer: Any,
    limits: Limits,
    schema: Schema,
    level: int | str = 0,
    accept: Any = None,
    queue: Any = None,
) -> Sink:
    """Return the sink for one target, behind its queue if it has one; opens it if it is a path."""
    if queue is None or queue is False:
        return _direct(target, renderer, limits, schema, level, accept)
    from ctxlog.sinks.queue_options import QueueOptions  # here: whoever has none loads none

    options = QueueOptions.of(queue)
    direct = _direct(target, renderer, limits, schema, level, accept)
    if options.policy == "drop-below-level-first":
        from ctxlog.sinks.queue_levels import LevelQueueSink

        return LevelQueueSink(direct, options)
    from ctxlog.sinks.queue import QueueSink

    return QueueSink(direct, options)


def _direct(  # noqa: PLR0913 - the same
    target: Any, renderer: Any, limits: Limits, schema: Schema, level: int | str, accept: Any
) -> Sink:
    given: dict[str, Any] = {"level": parse(level), "accept": predicate(accept)}
    foreign = _foreign_sink(target, given)
    if foreign is not None:
        return foreign
    instance("a sink", target)
    is_stream = target is None or hasattr(target, "write")
    path: str | os.PathLike[str] | None = None
    if not is_stream and isinstance(target, str | os.PathLike):
        path = target
    if not is_stream and path is None and not callable(target):
        raise UsageError(
            "a sink is a stream, a path, a callable or a coroutine function,"
            f" not {type(target).__name__}"
        )
    if is_text(renderer, "event"):
        if is_stream or path is not None:
            raise UsageError("renderer='event' is for callables: a stream or a file takes text")
        made = _call_sink(target, given)
        made.wants_event = True
        return made
    given["renderer"] = renderer_of(renderer, target, limits, schema)
    if is_stream:
        return StreamSink(target, **given)
    return _call_sink(target, given) if path is None else FileSink(path, **given)


def predicate(given: Any) -> Any:
    """Return the filter that was given."""
    if given is not None and (not callable(given) or kind_of(given) is COROUTINE):
        what = "a coroutine function" if callable(given) else type(given).__name__
        raise UsageError(f"filter takes a function of an event that returns a bool, not {what}")
    return given


def is_text(given: object, text: str) -> bool:
    """Say whether a text was given; an object of the caller's is not asked whether it equals it."""
    return isinstance(given, str) and given == text


def stream(given: Any) -> Any:
    """Return the stream that ``configure(stream=…)`` was given."""
    instance("stream", given)
    if given is not None and not callable(getattr(given, "write", None)):
        raise UsageError(
            f"stream takes a file object, not {shown(given)}; a path or a callable goes to sinks=[...]"
        )
    return given


def _call_sink(target: Any, given: dict[str, Any]) -> Sink:
    from ctxlog.sinks.call import CallSink, CoroutineSink  # here: they load asyncio

    return (CoroutineSink if kind_of(target) is COROUTINE else CallSink)(target, **given)


def _foreign_sink(target: Any, given: dict[str, Any]) -> Sink | None:
    """Return the sink that another library's object is, or stands for."""
    if isinstance(target, Sink):
        target.level = max(target.level, given["level"])
        if given["accept"] is not None:
            target.accept = given["accept"]
        return target
    logging = sys.modules.get("logging")
    if logging is not None and isinstance(target, logging.Handler):
        from ctxlog.sinks.handler import HandlerSink  # here: it loads logging

        return HandlerSink(target, **given)
    return None


def renderer_of(renderer: Any, target: Any, limits: Limits, schema: Schema) -> Any:
    """Return the renderer's object; ``None`` stands for the pipeline's own JSON."""
    known("renderer", renderer, RENDERERS)
    if callable(renderer):
        return renderer
    if renderer == "auto":
        renderer = "console" if _is_terminal(target) else "json"
    if renderer == "console":
        from ctxlog.renderers.console import ConsoleRenderer  # here: structlog loads rich

        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return ConsoleRenderer(colors=_is_terminal(target) and not plain, limits=limits)
    if renderer == "logfmt":
        from ctxlog.renderers.logfmt import LogfmtRenderer  # here: it loads structlog

        return LogfmtRenderer(limits, schema)
    return None


def _is_terminal(target: Any) -> bool:
    stream = sys.stderr if target is None else target
    try:
        return bool(stream.isatty())
    except Exception:  # noqa: BLE001 - closed, or no such method: no terminal
        return False
