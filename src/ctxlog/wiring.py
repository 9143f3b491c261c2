"""Wiring: ``configure``, ``flush`` and ``shutdown``; the only place that puts parts together."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog import options as read
from ctxlog import targets as aim
from ctxlog.carriers import wire
from ctxlog.context.border import border
from ctxlog.context.fields import policy
from ctxlog.context.resource import get_resource, set_resource
from ctxlog.doors import close_doors, kept_doors, open_doors
from ctxlog.errors import choices, seconds, yes_or_no
from ctxlog.freezing import freeze_fields
from ctxlog.levels import INFO
from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.pipeline import Pipeline
from ctxlog.runtime import runtime
from ctxlog.schemas import SCHEMAS
from ctxlog.sinks import exits
from ctxlog.sinks.notices import say_lost
from ctxlog.sinks.stopping import close_all, flush_all, replace_all, within
from ctxlog.telemetry import otlp_sinks, told_resource

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Literal, Never

    from ctxlog.redact import Redaction
    from ctxlog.sinks.sink import Sink
    from ctxlog.types import Processor, Renderer

CONFIGURE = (
    "level", "levels", "renderer", "stream", "sinks", "processors", "resource", "schema",
    "otlp", "propagators", "baggage", "callsite", "stdlib", "structlog", "warnings", "uncaught", "redact", "limits", "strict",
)  # fmt: skip


def configure(  # noqa: PLR0913 - the front door's contract: every option by name
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
    read.take_over(structlog)
    chain = read.processor_chain(processors)
    limits = read.limits(limits)
    redaction = read.redaction(redact)
    for name, given in (("callsite", callsite), ("stdlib", stdlib), ("warnings", warnings),
                        ("uncaught", uncaught)):  # fmt: skip
        yes_or_no(name, given)
    written, allowed = read.propagators(propagators), read.baggage(baggage)
    read.check_environment(propagators)
    fields = {**told_resource(), **freeze_fields(resource, {})}
    opened: list[Sink] = []
    try:
        if sinks is None or stream is not None:
            opened.append(
                aim.sink(aim.stream(stream), renderer=chosen, limits=limits, schema=named)
            )
        for target in aim.targets(sinks):
            opened.append(aim.sink_of(target, chosen, limits, named))  # noqa: PERF401 - one may fail
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
        with runtime.lock, _all_or_nothing():
            before = runtime.pipeline
            runtime.install(pipeline, base, by_name)
            policy.strict = strictly
            set_resource(fields)
            wire.set(written, allowed)
            border.set(redaction)
            open_doors(level=base, levels=by_name, stdlib=stdlib, structlog=structlog,
                       warned=warnings, uncaught=uncaught)  # fmt: skip
    except BaseException:  # nothing has changed; what was opened for it goes
        current = () if runtime.pipeline is None else runtime.pipeline.sinks
        replace_all(sink for sink in opened if sink not in current)
        raise
    if "ctxlog.sampling.tail" in sys.modules:
        exits.call_first(_close_samplers_at_exit)
    if before is not None:
        end = monotonic() + exits.longest(sink.stop_seconds for sink in before.sinks)
        _close_samplers(end, before.configured, chain)
        replace_all(sink for sink in before.sinks if sink not in opened)


@contextmanager
def _all_or_nothing() -> Generator[None]:
    """Put back what is configured now if the block raises: a logger's own ``setLevel`` may."""
    strict, fields, redaction = policy.strict, get_resource(), border.redaction
    formats, baggage = wire.formats, wire.baggage
    kept, doors = runtime.kept(), kept_doors()
    try:
        yield
    except BaseException:
        kept()
        policy.strict = strict
        set_resource(fields)
        wire.set(formats, baggage)
        border.set(redaction)
        with suppress(Exception):  # the one that has just failed
            doors()
        raise


def _close_samplers(
    end: float | None, processors: Iterable[Processor], staying: Iterable[Processor] = ()
) -> bool:
    """Write what tail sampling holds, before the sinks go; whether that was done by then.

    Past that a sink is waited for no more: what is held still is dropped, counted and said.
    """
    sampling = sys.modules.get("ctxlog.sampling.tail")
    if sampling is None:
        return True
    tails = sampling.tails(processors, staying)
    if not any(tail.held for tail in tails):
        end = None  # there is nothing to wait for
    if within(lambda: [tail.close() for tail in tails], end):
        return True
    held = sum(tail.give_up() for tail in tails)
    say_lost({"dropped.tail": held, "unknown": 1})  # and one that the sink has in hand
    return False


def _close_samplers_at_exit(timeout: float) -> None:
    if runtime.pipeline is not None:
        _close_samplers(monotonic() + timeout, runtime.pipeline.configured)


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
    released = _close_samplers(end, before.configured)
    left = None if end is None else max(0.0, end - monotonic())
    return close_all(before.sinks, left) and released
