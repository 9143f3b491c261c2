"""Options: how the arguments of ``configure`` and ``add_sink``, and the environment, are read."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from ctxlog.context.decorate import COROUTINE, kind_of
from ctxlog.errors import CtxlogWarning, UsageError, choices, shown, yes_or_no
from ctxlog.formats import WRITERS
from ctxlog.levels import INFO, parse
from ctxlog.redact import Redaction
from ctxlog.sinks.file import FileSink
from ctxlog.sinks.sink import Sink
from ctxlog.sinks.stream import StreamSink
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxlog.limits import Limits
    from ctxlog.schemas import Schema
    from ctxlog.types import Processor

RENDERERS = ("auto", "json", "console", "logfmt")
SINK = ("target", "renderer", "level", "filter", "queue")
_WARN_DEPTH = 4  # whoever called configure


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
        target.accept = given["accept"] or target.accept
        return target
    logging = sys.modules.get("logging")
    if logging is not None and isinstance(target, logging.Handler):
        from ctxlog.sinks.handler import HandlerSink  # here: it loads logging

        return HandlerSink(target, **given)
    return None


def renderer_of(renderer: Any, target: Any, limits: Limits, schema: Schema) -> Any:
    """Return the renderer's object; ``None`` stands for the pipeline's own JSON."""
    _known("renderer", renderer, RENDERERS)
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


def _known(what: str, given: Any, allowed: tuple[str, ...]) -> None:
    if what == "renderer" and callable(given):
        if kind_of(given) is COROUTINE:
            raise UsageError("renderer is a coroutine function; it is not awaited")
        if isinstance(given, type):
            raise UsageError(
                f"renderer is the class {given.__name__}, not an instance; write {given.__name__}()"
            )
        return
    if not isinstance(given, str) or given not in allowed:
        raise choices(what, given, allowed)


def _is_terminal(target: Any) -> bool:
    stream = sys.stderr if target is None else target
    try:
        return bool(stream.isatty())
    except Exception:  # noqa: BLE001 - closed, or no such method: no terminal
        return False


def option(what: str, given: Any, allowed: tuple[str, ...], default: str) -> Any:
    """Return a named choice: the argument, else ``CTXLOG_<WHAT>``, else the default."""
    if given is not None:
        _known(what, given, allowed)
        return given
    variable = f"CTXLOG_{what.upper()}"
    text = os.environ.get(variable, "").strip().lower()
    if not text:
        return default
    if text not in allowed:
        _warn(variable, text, f"one of {', '.join(allowed)}")
        return default
    return text


def base_level(given: int | str | None) -> int:
    """Return the global level: the argument, else ``CTXLOG_LEVEL``, else ``info``."""
    if given is not None:
        return parse(given)
    text = os.environ.get("CTXLOG_LEVEL", "").strip()
    try:
        return parse(text) if text else INFO
    except UsageError as error:
        _warn("CTXLOG_LEVEL", text, str(error))
        return INFO


def named_levels(given: Mapping[str, int | str] | None) -> dict[str, int]:
    """Return levels by logger name: the argument over ``CTXLOG_LEVELS``."""
    found: dict[str, int] = {}
    bad: list[str] = []
    text = os.environ.get("CTXLOG_LEVELS", "").strip()
    for pair in text.split(",") if text else ():
        name, _, level = (part.strip() for part in pair.partition("="))
        try:
            if name or level:
                found[_logger_name(name)] = parse(level)
        except UsageError:
            bad.append(pair.strip())
    if bad:
        _warn("CTXLOG_LEVELS", ", ".join(bad), "pairs such as kopf=warning,httpx=error")
    if given is None:
        return found
    if not is_mapping(type(given)):
        raise UsageError(
            f"levels takes a mapping of logger names to levels, not {type(given).__name__}"
        )
    return {**found, **{_logger_name(name): parse(level) for name, level in given.items()}}


def _logger_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise UsageError(f"levels are by logger name, a text, not {shown(name)}")
    return name


def strictness(given: bool | None) -> bool:  # noqa: FBT001 - the argument's own value
    """Return whether failures raise: the argument, else ``CTXLOG_STRICT``, else not."""
    if given is not None:
        return yes_or_no("strict", given)
    text = os.environ.get("CTXLOG_STRICT", "").strip().lower()
    if text in {"", "0", "false", "no", "off"}:
        return False
    if text not in {"1", "true", "yes", "on"}:
        _warn("CTXLOG_STRICT", text, "1 or 0")
        return False
    return True


def environment_resource() -> dict[str, object]:
    """Return the resource that OpenTelemetry's variables tell.

    ``OTEL_RESOURCE_ATTRIBUTES`` holds pairs such as ``service.version=2,team=a%20b``;
    ``OTEL_SERVICE_NAME`` wins over its ``service.name``.
    """
    found: dict[str, object] = {}
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").strip()
    if text:
        from urllib.parse import unquote

        for pair in text.split(","):
            name, equals, value = (part.strip() for part in pair.partition("="))
            if name and equals:
                found[unquote(name)] = unquote(value)
    service = os.environ.get("OTEL_SERVICE_NAME", "").strip()
    if service:
        found["service.name"] = service
    return found


def propagators(given: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the formats that ``configure(propagators=…)`` names, checked."""
    if given is None:
        return None
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"propagators takes several names, not {type(given).__name__}")
    chosen = tuple(given)
    for name in chosen:
        if name not in WRITERS:
            raise choices("propagator", name, WRITERS)
    return chosen or ("none",)


def baggage(given: Iterable[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Return the members of baggage that become fields, and what these are called."""
    if given is None:
        return {}
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"baggage takes several names, or a mapping, not {type(given).__name__}")
    names: Any = given
    allowed: dict[Any, Any] = dict(names) if is_mapping(type(given)) else {n: n for n in names}
    for name in (*allowed, *allowed.values()):
        if not isinstance(name, str) or not name:
            raise UsageError(f"baggage names members and fields by text, not {name!r:.80}")
    return allowed


def processor_chain(given: Iterable[Processor] | None) -> tuple[Processor, ...]:
    """Return the user's processors."""
    if given is None:
        return ()
    if callable(given) or isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"processors takes a sequence of callables, not {type(given).__name__}")
    chain = tuple(given)
    for place, processor in enumerate(chain):
        if not callable(processor):
            raise UsageError(
                f"processors[{place}] cannot be called: {shown(processor)};"
                " a processor is a callable (logger, method_name, event_dict) -> event_dict"
            )
        if isinstance(processor, type):
            raise UsageError(
                f"processors[{place}] is the class {processor.__name__}, not an instance;"
                f" write {processor.__name__}()"
            )
        if kind_of(processor) is COROUTINE:
            raise UsageError(f"processors[{place}] is a coroutine function; it is not awaited")
    return tuple(map(_among_ours, chain))


def _among_ours(processor: Processor) -> Processor:
    """Let structlog's processors that look for the caller's frame pass over ours."""
    ignores: Any = getattr(processor, "_additional_ignores", _NO_IGNORES)
    if ignores is _NO_IGNORES or not type(processor).__module__.startswith("structlog."):
        return processor
    from copy import copy

    other: Any = copy(processor)
    other._additional_ignores = [*(ignores or ()), "ctxlog"]  # noqa: SLF001 - no other way in
    return other  # type: ignore[no-any-return] # a copy of what it was


_NO_IGNORES = object()


def redaction(given: Redaction | bool) -> Redaction:  # noqa: FBT001 - the argument's own value
    """Return the redaction that ``configure(redact=…)`` was given."""
    if given is True:
        return Redaction()
    if given is False:
        return Redaction(names=())
    if not isinstance(given, Redaction):
        raise UsageError(
            f"redact takes True, False or ctxlog.redact.Redaction(...), not {shown(given)}"
        )
    return given


def _warn(variable: str, got: str, wanted: str) -> None:
    warnings.warn(f"{variable}={got!r} is ignored: {wanted}", CtxlogWarning, stacklevel=_WARN_DEPTH)
