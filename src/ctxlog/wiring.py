"""Wiring: ``configure`` and what changes at run time; the only place that puts parts together."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog import options as read
from ctxlog.carriers import wire
from ctxlog.context.border import border
from ctxlog.context.fields import policy
from ctxlog.context.resource import set_resource
from ctxlog.doors import close_doors, open_doors, set_stdlib_level
from ctxlog.errors import UsageError, choices, seconds, shown, yes_or_no
from ctxlog.levels import INFO, parse
from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.pipeline import Pipeline
from ctxlog.runtime import runtime
from ctxlog.schemas import SCHEMAS
from ctxlog.sinks import exits
from ctxlog.sinks.stopping import close_all, flush_all, replace_all, within
from ctxlog.telemetry import otlp_sinks, told_resource
from ctxlog.values import freeze_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Literal, Never

    from ctxlog.redact import Redaction
    from ctxlog.sinks.queue_options import QueueOptions
    from ctxlog.sinks.sink import Sink
    from ctxlog.types import Processor, Renderer

CONFIGURE = (
    "level", "levels", "renderer", "stream", "sinks", "processors", "resource", "schema",
    "otlp", "propagators", "baggage", "callsite", "stdlib", "structlog", "warnings", "uncaught", "redact", "limits", "strict",
)  # fmt: skip
ADD_SINK = ("renderer", "level", "filter", "queue")
ADD_HOOK = ("level", "filter", "timeout")


def configure(  # noqa: C901, PLR0913 - the front door's contract: every option by name
    *,
    level: int | str | None = None,
    levels: Mapping[str, int | str] | None = None,
    renderer: str | Renderer | None = None,
    stream: Any = None,
    sinks: Iterable[Any] | None = None,
    processors: Iterable[Processor] | None = None,
    resource: Mapping[str, object] | None = None,
    schema: str | None = None,
    otlp: bool | Mapping[str, Any] = False,
    propagators: Iterable[str] | None = None,
    baggage: Iterable[str] | Mapping[str, str] | None = None,
    callsite: bool = False,
    stdlib: bool = True,
    structlog: bool | Literal["auto"] = "auto",
    warnings: bool = True,
    uncaught: bool = True,
    redact: Redaction | bool = True,
    limits: Limits = DEFAULT_LIMITS,
    strict: bool | None = None,
    **unknown: Never,
) -> None:
    r"""Configure the process's logging. Only an application calls this; libraries just log.

    The configuration is swapped in one assignment; a second call replaces the first and closes
    what the first opened. For ``level``, ``levels``, ``renderer``, ``schema`` and ``strict`` an
    argument beats the environment (``CTXLOG_LEVEL``, ``CTXLOG_LEVELS="kopf=warning,httpx=error"``,
    ``CTXLOG_RENDERER``, ``CTXLOG_SCHEMA``, ``CTXLOG_STRICT``), which beats the default. A bad
    variable is one warning.

    Args:
        level: the lowest level written; default ``"info"``.
        levels: levels by logger name, the longest dotted prefix wins.
        renderer: ``"auto"`` (coloured for people on a terminal, JSON lines elsewhere), ``"json"``,
            ``"console"``, ``"logfmt"``, or a callable with a processor's signature that returns
            bytes or text.
        stream: where lines go; default is standard error, looked up when a line is written.
        sinks: targets instead of ``stream``, or beside it if both are given; each is what
            :func:`add_sink` takes, or a mapping of its arguments (``{"target": …, "level": …}``).
        processors: callables with structlog's signature, run in order before redaction.
        resource: fields of the process, such as ``{"service.name": "shop"}``.
        schema: what the names on every line are called in JSON and logfmt: ``"otel"``, ``"ecs"``,
            ``"gcp"`` or ``"datadog"``.
        otlp: send lines to a collector too, as the ``OTEL_*`` variables say; ``True``, or a mapping
            of ``level``, ``filter``, ``queue``, ``flush_level``, ``flush_seconds``, ``exporter``.
            Needs the extra ``otel``.
        propagators: formats that ``inject`` writes: ``"tracecontext"``, ``"b3"``, ``"b3multi"``,
            ``"jaeger"``, ``"baggage"``, ``"none"``; default is what ``OTEL_PROPAGATORS`` says. All
            are read.
        baggage: members of an inbound ``baggage`` header that become fields of an ``entry``: their
            names, or a mapping of them to the fields' names.
        callsite: add file, line and function of each call.
        stdlib: take in what is logged with :mod:`logging`, from the root logger, beside the
            handlers that are there; ``level`` and ``levels`` hold for its loggers too. What a
            :class:`ctxlog.Handler` writes is not written twice.
        structlog: ``"auto"``: ``structlog.get_logger()`` writes here unless somebody configured
            structlog; ``True``: whoever did; ``False``: structlog is left alone, and what is bound
            with ``structlog.contextvars`` not read.
        warnings: take in what :mod:`warnings` shows.
        uncaught: take in exceptions that nobody caught: of the main thread, threads, asyncio, and
            unraisable ones. Hooks that were set are still called.
        redact: well-known secret names (``True``), your own :class:`~ctxlog.redact.Redaction`, or
            ``False`` for none.
        limits: bytes a value and a line, depth and items.
        strict: raise what the pipeline would otherwise guard, and refuse to bind outside a scope:
            for tests.
        unknown: none: a wrong name is answered with the right ones.

    Raises:
        UsageError: an argument cannot be what it should be; it lists the candidates.

    Example:
        >>> import io
        >>> out = io.StringIO()
        >>> configure(renderer="json", stream=out)
        >>> from ctxlog import get_logger
        >>> get_logger("shop").info("accepted", items=3)
        >>> out.getvalue()[-46:]
        '"logger":"shop","event":"accepted","items":3}\n'
        >>> shutdown()
        True
    """
    for name in unknown:
        raise choices("option", name, CONFIGURE)
    base = read.base_level(level)
    by_name = read.named_levels(levels)
    strictly = read.strictness(strict)
    chosen = read.option("renderer", renderer, read.RENDERERS, "auto")
    named = SCHEMAS[read.option("schema", schema, tuple(SCHEMAS), "otel")]
    if type(structlog) is not bool and (type(structlog) is not str or structlog != "auto"):
        raise UsageError(f"structlog takes 'auto', True or False, not {shown(structlog)}")
    chain = read.processor_chain(processors)
    if not isinstance(limits, Limits):
        raise UsageError(f"limits takes ctxlog.limits.Limits(...), not {type(limits).__name__}")
    redaction = read.redaction(redact)
    for name, given in (("stdlib", stdlib), ("warnings", warnings), ("uncaught", uncaught)):
        yes_or_no(name, given)
    yes_or_no("callsite", callsite)
    written, allowed = read.propagators(propagators), read.baggage(baggage)
    fields = {**told_resource(), **freeze_fields(resource, {})}
    opened: list[Sink] = []
    try:
        if sinks is None or stream is not None:
            opened.append(
                read.sink(read.stream(stream), renderer=chosen, limits=limits, schema=named)
            )
        for target in read.targets(sinks):
            opened.append(read.sink_of(target, chosen, limits, named))  # noqa: PERF401 - one may fail
        if otlp is not False:
            opened.extend(otlp_sinks(otlp, fields))
        pipeline = Pipeline(
            sinks=tuple(runtime.adopt(sink) for sink in opened),
            processors=chain,
            redaction=redaction,
            limits=limits,
            schema=named,
            resource=fields,
            callsite=callsite,
            strict=strictly,
            reads_foreign=structlog is not False,
        )
        with runtime.lock:
            before = runtime.pipeline
            runtime.install(pipeline, base, by_name)
            policy.strict = strictly
            set_resource(fields)
            wire.set(written, allowed)
            border.set(redaction)
            open_doors(
                level=base,
                levels=by_name,
                stdlib=stdlib,
                structlog=structlog,
                warned=warnings,
                uncaught=uncaught,
            )
    except BaseException:  # nothing has changed; what was opened for it goes
        replace_all(opened)
        raise
    if "ctxlog.sampling.tail" in sys.modules:
        exits.call_first(_close_samplers_at_exit)
    if before is not None:
        _close_samplers(before.configured, chain)
        replace_all(before.sinks)


def _close_samplers(processors: Iterable[Processor], staying: Iterable[Processor] = ()) -> None:
    """Write what tail sampling holds, before the sinks go."""
    sampling = sys.modules.get("ctxlog.sampling.tail")
    if sampling is not None:
        sampling.close_all(processors, staying)


def _close_samplers_until(end: float | None, processors: Iterable[Processor]) -> bool:
    """Do the same, but wait for a sink until then at the most; what is held still is dropped."""
    sampling = sys.modules.get("ctxlog.sampling.tail")
    if sampling is None or not sampling.any_held(processors):
        _close_samplers(processors)
        return True
    done = within(lambda: _close_samplers(processors), end)
    if not done:
        sampling.give_up_all(processors)
    return done


def _close_samplers_at_exit() -> None:
    if runtime.pipeline is not None:
        _close_samplers(runtime.pipeline.configured)


def add_sink(
    target: Any,
    *,
    renderer: str | Renderer | None = None,
    level: int | str = 0,
    filter: Callable[[Mapping[str, Any]], bool] | None = None,  # noqa: A002 - loguru's word
    queue: QueueOptions | Mapping[str, Any] | str | bool | None = None,
    **unknown: Never,
) -> int:
    """Add a sink to the running configuration and return its id for :func:`remove_sink`.

    Args:
        target: a stream (text or binary), a path, a callable, a coroutine function, or a
            ``logging.Handler``.
        renderer: as in :func:`configure`, or ``"event"``: callables get the event, a dict of their
            own. Default: ``"auto"``, decided by this sink's own stream.
        level: the sink's own lowest level.
        filter: called with the event; the line is written here if it returns true.
        queue: a bounded queue with a writer thread of its own in front of the sink: ``True``, a
            policy's name, or :class:`~ctxlog.sinks.queue_options.QueueOptions`, also as a mapping.
        unknown: none: a wrong name is answered with the right ones.

    Raises:
        UsageError: nothing is configured yet, or an argument cannot be what it should be.
        OSError: a path cannot be opened.

    Example:
        >>> lines = []
        >>> configure(level="info", sinks=[])
        >>> added = add_sink(lines.append, level="error", renderer="event")
        >>> from ctxlog import get_logger
        >>> get_logger("shop").info("quiet")
        >>> get_logger("shop").error("loud")
        >>> [line["event"] for line in lines]
        ['loud']
        >>> remove_sink(added)
        >>> shutdown()
        True
    """
    for name in unknown:
        raise choices("option", name, ADD_SINK)
    pipeline = runtime.pipeline
    if pipeline is None:
        raise UsageError("nothing is configured yet: call ctxlog.configure(...) before add_sink")
    if target is None:
        raise UsageError(
            "add_sink takes a stream, a path, a callable or a coroutine function, not None"
        )
    sink = read.sink(
        target,
        renderer="auto" if renderer is None else renderer,
        limits=pipeline.limits,
        schema=pipeline.schema,
        level=level,
        accept=filter,
        queue=queue,
    )
    identity = runtime.add_sink(sink)
    if identity is None:  # shut down meanwhile
        replace_all([sink])
        raise UsageError("ctxlog was shut down while the sink was being added")
    return identity


def add_hook(
    target: Callable[[dict[str, Any]], object],
    *,
    level: int | str = "error",
    filter: Callable[[Mapping[str, Any]], bool] | None = None,  # noqa: A002 - as in add_sink
    timeout: float = 30.0,
    **unknown: Never,
) -> int:
    """Call a function for events, an alert or a push, off the path of the code that logs.

    It runs on a thread of its own under the context that emitted the event, where
    :func:`ctxlog.time_left` tells what that operation has left. It may be slow, raise, hang or log:
    nobody waits for it, and what it logs does not come back to it.

    Args:
        target: called with the event, a dict of its own.
        level: the lowest level it is told of.
        filter: called with the event; the hook is told if it returns true.
        timeout: seconds after which a call counts as hanging: it keeps its thread, the next event
            gets another; after two the hook is disabled, and that is said.
        unknown: none: a wrong name is answered with the right ones.

    Returns:
        An id for :func:`remove_sink`.

    Raises:
        UsageError: nothing is configured yet, or an argument cannot be what it should be.

    Example:
        >>> told = []
        >>> configure(sinks=[])
        >>> added = add_hook(told.append)
        >>> from ctxlog import get_logger
        >>> get_logger("shop").error("the till is stuck")
        >>> flush(5), told[0]["event"]
        (True, 'the till is stuck')
        >>> shutdown()
        True
    """
    for name in unknown:
        raise choices("option", name, ADD_HOOK)
    if not callable(target):
        raise UsageError(f"add_hook takes a callable, not {type(target).__name__}")
    accept, patience = read.predicate(filter), seconds("timeout", timeout, zero=False)
    from ctxlog.sinks.hook import HookSink

    sink = HookSink(target, timeout=patience, level=parse(level), accept=accept)
    identity = None if runtime.pipeline is None else runtime.add_sink(sink)
    if identity is None:
        raise UsageError("nothing is configured: call ctxlog.configure(...) before add_hook")
    return identity


def remove_sink(sink: int) -> None:
    """Take a sink out of the running configuration, and close what it opened.

    Raises:
        UsageError: there is no sink of that id; it lists those there are.
    """
    removed = runtime.remove_sink(sink)
    if removed is None:
        known = [] if runtime.pipeline is None else [str(s.id) for s in runtime.pipeline.sinks]
        raise choices("sink id", sink, known)
    replace_all([removed])


def set_level(name: str | None, level: int | str) -> None:
    """Set the level of a logger and everything below it; ``None`` sets the global one.

    Raises:
        UsageError: the level is unknown, and it lists the candidates; or nothing is configured
            yet: stdlib ``logging`` decides then.

    Example:
        >>> configure(sinks=[])
        >>> set_level("kopf", "warning")
        >>> set_level(None, "debug")
        >>> from ctxlog import get_logger
        >>> get_logger("kopf.objects").is_enabled_for("info"), get_logger("x").is_enabled_for(10)
        (False, True)
        >>> shutdown()
        True
    """
    if name is not None and not isinstance(name, str):
        raise UsageError(f"set_level takes a logger's name or None, not {type(name).__name__}")
    number = parse(level)
    if runtime.pipeline is None:
        raise UsageError("nothing is configured yet: configure(level=..., levels=...) sets levels")
    runtime.set_level(name or None, number)
    set_stdlib_level(name or None, number)


def flush(timeout: float | None = None) -> bool:
    """Push out what sinks have buffered; ``True`` when all of it is out.

    Args:
        timeout: seconds to wait at the most, ``None`` as long as it takes.

    Raises:
        UsageError: a timeout that is no number of seconds.
    """
    if timeout is not None:
        seconds("timeout", timeout)
    return flush_all(() if runtime.pipeline is None else runtime.pipeline.sinks, timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Flush and close what ``configure`` opened; events go to stdlib ``logging`` again.

    Returns:
        Whether everything was written within ``timeout`` seconds.

    Raises:
        UsageError: a timeout that is no number of seconds; nothing has changed.
    """
    if timeout is not None:
        seconds("timeout", timeout)
    with runtime.lock:
        before = runtime.pipeline
        runtime.install(None, INFO, {})
        policy.strict = False
        set_resource()
        wire.set()
        border.set()
        close_doors()
    if before is None:
        return True
    end = None if timeout is None else monotonic() + timeout
    released = _close_samplers_until(end, before.configured)
    left = None if end is None else max(0.0, end - monotonic())
    return close_all(before.sinks, left) and released


def counters() -> dict[str, int]:
    """Return what happened to lines and contexts so far, by name.

    ``slow_path`` counts lines that took the full way through the chain, ``errors.<step>`` what
    failed, ``dropped.<why>`` and ``lost`` what was not written, ``sink.<id>.written`` and
    ``.failed`` each sink's lines, ``context.foreign_exit`` scopes that were left elsewhere.

    Example:
        >>> "slow_path" in counters()
        True
    """
    return runtime.counters()
