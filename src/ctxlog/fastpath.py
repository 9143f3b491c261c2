"""Fast path: the pipeline's ordinary case as one function, built once per configuration.

Why it exists, measured (docs/reference/benchmarks.md): the same chain as a dict through functions
takes about twice as long. A line is joined from parts that were encoded before: its head per
logger and level, its context per mapping, its second. What joining past the dict would skip is
checked here: names bound twice, reserved and secret names, nested values, control characters,
limits. Whatever does not pass goes the full way, with the same result.
"""

from __future__ import annotations

import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.context.fields import CURRENT
from ctxlog.context.foreign import foreign_checks, foreign_values
from ctxlog.context.providers import foreign_providers, providers
from ctxlog.context.spans import current_ids
from ctxlog.encoder import encoder_for
from ctxlog.line import Line
from ctxlog.message import event_of
from ctxlog.ordinary import SIMPLE, WALKED, ordinary
from ctxlog.renderers.json import DEL, dumps, escape
from ctxlog.sinks.last_resort import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.line import Logger
    from ctxlog.pipeline import Pipeline


_DIGITS = [b"%03d" % number for number in range(1_000)]


def suits(pipeline: Pipeline) -> bool:
    """Return whether a configuration can use the fast path at all."""
    return not (
        pipeline.processors
        or pipeline.callsite
        or pipeline.strict
        or pipeline.redaction.patterns
        or any(map(pipeline.redaction.is_secret, names.HEAD | names.IDS))
        or providers()
        or foreign_providers()
        or not pipeline.output.takes_json
    )


def build(pipeline: Pipeline) -> Callable[..., None]:
    """Return ``emit(logger, level, event, args, fields)`` for one configuration."""
    process = pipeline.process
    read = bool(providers() or foreign_providers())

    def full(logger: Logger, level: int, event: object, args: tuple[Any, ...], fields: Any) -> None:
        pinned = logger.pinned
        if event is None:
            event = event_of(event, args, fields)
        line = Line(logger.name, level, event, args, fields, logger.fields)
        if pinned is None:
            return process(line)
        line.context = pinned.fields
        try:
            line.ids = pinned.ids
        except Exception as error:  # noqa: BLE001 - OpenTelemetry's own; the line still goes out
            line.ids = pinned.fields.ids
            line.notes.append(said("ids", error))
        if read:  # what is read for the line is another request's, here
            return pinned.run(process, line)
        return process(line)

    return _joining(pipeline, full) if suits(pipeline) else full


def _joining(  # noqa: C901, PLR0915 - one function on purpose: a call costs as much as a step
    pipeline: Pipeline, full: Callable[..., None]
) -> Callable[..., None]:
    encoder = encoder_for(pipeline)
    # Every name below is local to the closure: a global costs twice as much to look up.
    current = CURRENT.get
    clock = pipeline.clock
    advance = clock.advance
    heads = encoder.heads
    value_room = pipeline.limits.value_bytes
    line_room = pipeline.limits.line_bytes
    targets = tuple(
        (sink.level, sink.write, sink) for sink in pipeline.sinks if not sink.wants_level
    )
    levelled = tuple(sink for sink in pipeline.sinks if sink.wants_level)
    sink_failed = pipeline.output.sink_failed
    digits = _DIGITS
    simple, walked = SIMPLE, WALKED
    cleaner = encoder.cleaner
    depth = cleaner.depth
    join = b"".join
    modules, otel = sys.modules, "opentelemetry.trace"
    # of libraries that are loaded; whoever configured builds this anew when another one is
    foreign = foreign_checks() if pipeline.reads_foreign else ()
    opening = pipeline.schema.opening if pipeline.schema.renames else None

    def emit(  # noqa: C901, PLR0911, PLR0912, PLR0915 - see above
        logger: Logger, level: int, event: object, args: tuple[Any, ...], fields: Any
    ) -> None:
        try:
            context = current().fields
            bound = logger.fields
            if logger.pinned is not None or type(event) is not str:
                return full(logger, level, event, args, fields)
            if foreign:
                for bound_there in foreign:
                    if bound_there() and foreign_values():
                        return full(logger, level, event, args, fields)
            said = event
            if args:
                said = encoder.said(event, args)
            encoded = context.encoded
            if encoded is None or encoded[0] is not encoder:
                encoded = encoder.context(context)
            ids = (current_ids() if otel in modules else None) or context.ids
            if ids is None:
                ids_part = b""
                context_part = encoded[2]
            else:
                context_part = encoded[1]
                encoded_ids = ids.encoded
                if encoded_ids is not None and encoded_ids[0] is encoder:
                    ids_part = encoded_ids[1]
                else:
                    ids_part = encoder.ids(ids)
            if context_part is None:
                return full(logger, level, said, (), fields)
            shape = encoded[3]
            if bound is not None:
                encoded = bound.encoded
                if encoded is None or encoded[0] is not encoder or encoded[2] is not shape:
                    encoded = encoder.bound(bound, shape)
                if encoded[1] is None:
                    return full(logger, level, said, (), fields)
                context_part += encoded[1]
                shape = encoded[3]
            text = dumps(said)
            if fields:
                if not shape[0].issuperset(fields):
                    twice = encoder.learn(fields, shape)
                    if twice:
                        context_part = encoder.without(
                            twice, context, bound, has_ids=ids is not None
                        )
                    if twice is None or context_part is None:
                        return full(logger, level, said, (), fields)
                for value in fields.values():
                    kind = type(value)
                    if kind not in simple and (
                        kind not in walked or not ordinary(value, cleaner, depth)
                    ):
                        values = encoder.values(fields)
                        tail = dumps(values)
                        fields = encoder.resolved(fields, values)  # for the full way
                        break
                else:
                    tail = dumps(fields)
                if len(tail) > value_room:
                    return full(logger, level, said, (), fields)
                if not tail.isascii() or DEL in tail:
                    tail = escape(tail)
                tail = tail[1:]
                comma = b","
            else:
                tail = b"}"
                comma = b""
            if not text.isascii() or DEL in text:
                text = escape(text)
            try:
                head = heads[level][logger.name]
            except KeyError:
                head = encoder.head(logger.name, level)
            tick = clock.tick
            now = monotonic_ns()
            if now >= tick.end:
                tick = advance(now)
                now = max(now, tick.start)  # another thread may have been ahead
            micro = tick.base + (now - tick.start) // tick.divisor
            line = join((
                tick.opening if opening is None else opening(tick.text), digits[micro // 1000], digits[micro % 1000], tick.closing,
                head, text, ids_part, context_part, comma, tail, b"\n",
            ))  # fmt: skip
            if len(line) > line_room or len(text) > value_room:
                return full(logger, level, said, (), fields)
        except Exception:  # noqa: BLE001 - whatever it was, the full way says it on the line
            return full(logger, level, event, args, fields)
        for threshold, write, sink in targets:
            if level >= threshold:
                try:
                    write(line)
                except Exception as error:  # noqa: BLE001 - the other sinks still get the line
                    sink_failed(sink, line, error)
        if levelled:
            for sink in levelled:
                if level >= sink.level:
                    try:
                        sink.write_at(line, level)
                    except Exception as error:  # noqa: BLE001 - the same
                        sink_failed(sink, line, error)
        return None

    return emit
