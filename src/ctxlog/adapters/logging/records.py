"""Records: a ``logging.LogRecord`` to what the pipeline takes, and the short way to its line.

The short way (:func:`encoder_of`) is for what most records are: text, perhaps ``%`` arguments and
``extra``, written where they are handled. Everything else takes the pipeline's full way.
"""

from __future__ import annotations

import logging
import os
import sys
import threading  # whole: gevent may replace its get_ident later, and logging asks that one
from contextlib import suppress
from math import floor
from time import gmtime
from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.context.fields import CURRENT
from ctxlog.context.foreign import foreign_checks, foreign_values
from ctxlog.context.spans import current_ids
from ctxlog.fastpath import suits
from ctxlog.levels import name_of as level_name
from ctxlog.line import Line
from ctxlog.ordinary import SIMPLE, WALKED, ordinary
from ctxlog.renderers.json import DEL, dumps, escape
from ctxlog.stamps import ATTRIBUTE, NOWHERE, Stamp, received
from ctxlog.tracebacks import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.encoder import Encoder
    from ctxlog.pipeline import Pipeline

DOOR = "logging"
#: A fresh record's own attributes, in the order in which it sets them.
STANDARD = tuple(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
#: What formatters leave behind, and what uvicorn has for its own: the message, with colours.
_LATER = frozenset({"message", "asctime", "color_message"})
_OWN = frozenset(STANDARD) | _LATER
#: What OpenTelemetry's instrumentation of logging puts on each record. Where the line is written
#: under the context it was logged in, it says so itself: ``trace_id``, ``span_id``, the resource.
_OTEL = frozenset({"otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName"})
_OWN_HERE, _LATER_HERE = _OWN | _OTEL, _LATER | _OTEL
#: The attribute of a record that names attributes which are no fields: what a library keeps there
#: for itself, told by that library's adapter.
HIDDEN = "_ctxlog_hidden"
_DIGITS = [b"%03d" % number for number in range(1_000)]
_TRACEBACK = "\nTraceback (most recent call last):\n"
LAST_MICRO = 0.9999995  # from here on a part of a second rounds to a whole one
MAX_HEADS = 1_024
MAX_LEVELS = 64

_pid = os.getpid()


def _renew_pid() -> None:
    global _pid  # noqa: PLW0603 - asked once a process, not once a record
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_pid)


def is_here(record: logging.LogRecord) -> bool:
    """Return whether a record was made where we are: only then what is current here is its own."""
    return record.thread in (None, threading.get_ident()) and record.process in (None, _pid)


def stamp_of(record: logging.LogRecord) -> Stamp | None:
    """Return what was current where the record was made; ``None`` when that is here and now."""
    sent = record.__dict__.get(ATTRIBUTE)
    if sent is not None:
        return received(sent)
    return None if is_here(record) else NOWHERE


def extra_of(record: logging.LogRecord, own: frozenset[str] = _OWN) -> dict[Any, Any]:
    """Return what ``extra=``, a filter or a factory has added; names with ``_`` stay out."""
    hidden = record.__dict__.get(HIDDEN, ())
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in own
        and not (isinstance(name, str) and name.startswith("_"))
        and name not in hidden
    }


def level_of(record: logging.LogRecord) -> str:
    """Return the level's name: ours for the usual numbers, else what the application calls it."""
    number, name = record.levelno, record.levelname
    if not isinstance(name, str) or name.startswith("Level ") or number in _USUAL:
        return level_name(number)
    return name.lower()


_USUAL = frozenset({10, 20, 30, 40, 50})


def ns_of(record: logging.LogRecord) -> int | None:
    """Return when the record was made, in ns since the epoch, to the microsecond."""
    created = record.created
    if not isinstance(created, int | float) or created - created != 0:  # a number, and no end
        return None
    second = floor(created)
    return second * 1_000_000_000 + int((created - second) * 1e6 + 0.5) * 1_000


def process(pipeline: Pipeline, record: logging.LogRecord) -> None:
    """Take a record through the pipeline's full way."""
    stamp = stamp_of(record)
    event, args, fields = _said(record, _OWN if stamp is NOWHERE else _OWN_HERE)
    bound = None
    if stamp is not None and stamp.call is not None:
        call = stamp.call
        event, args, bound = call.event, call.args, call.bound
        left = {name: value for name, value in fields.items() if name not in call.names}
        fields = {**left, **call.fields}
    error = _error_of(record, stamp)
    if error is not None:
        fields["exc_info"] = error
        if type(event) is str:  # a QueueHandler has put the traceback into the text
            event = event.partition(_TRACEBACK)[0] if _TRACEBACK in event else event
    elif record.exc_text:
        fields["exception.stacktrace"] = record.exc_text
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    if pipeline.callsite is not None and record.pathname:
        fields["code.file.path"] = record.pathname
        fields["code.line.number"] = record.lineno
        fields["code.function.name"] = record.funcName
    level = level_of(record)
    line = Line(record.name or "root", record.levelno, event, args, fields, bound)
    line.method = line.level_text = level
    line.stamp_ns, line.door = ns_of(record), DOOR
    line.written_at(stamp)
    pipeline.process(line)


def _said(
    record: logging.LogRecord, own: frozenset[str]
) -> tuple[object, tuple[Any, ...], dict[Any, Any]]:
    """Return a record's message, its arguments and its fields."""
    fields = extra_of(record, own)
    message: object = record.msg
    if type(message) is dict:  # python-json-logger's way, and structlog's wrap_for_formatter
        if "_name" in record.__dict__ and "_logger" in record.__dict__:
            message = _without_head(message, record)
        fields = {**message, **fields}
        for name in (names.EVENT, "message", "msg"):
            if name in fields:
                return fields.pop(name), (), fields
        return "", (), fields
    args: Any = record.args
    if type(record) is not logging.LogRecord:  # a factory's own class may format otherwise
        with suppress(Exception):  # then as a plain record: the arguments show beside the text
            return record.getMessage(), (), fields
    if not args:
        return message, (), fields
    return message, args if isinstance(args, tuple) else (args,), fields


def _without_head(event: dict[Any, Any], record: logging.LogRecord) -> dict[Any, Any]:
    """Return what structlog hands to its formatter without what the record says as well.

    Its ``exception`` is the text of a traceback: once is enough.
    """
    event = dict(event)
    for name, said in ((names.LEVEL, level_of(record)), (names.LOGGER, record.name)):
        if type(event.get(name)) is str and event[name].lower() == said.lower():
            del event[name]
    text = event.get("exception")
    if type(text) is str:
        del event["exception"]
        if not record.exc_info:
            event["exception.stacktrace"] = text
    return event


def _error_of(record: logging.LogRecord, stamp: Stamp | None) -> BaseException | None:
    error = resolve(record.exc_info) if record.exc_info else None
    return error if error is not None or stamp is None else stamp.error


def encoder_of(pipeline: Pipeline, encoder: Encoder) -> Callable[[logging.LogRecord], bytes | None]:
    """Return a function from a record to its line of JSON; ``None`` from it means the full way."""
    if not suits(pipeline):
        return _never
    return _joining(pipeline, encoder)


def _never(_: logging.LogRecord) -> None:
    return None


def _joining(  # noqa: C901, PLR0915 - one function on purpose, as in fastpath
    pipeline: Pipeline, encoder: Encoder
) -> Callable[[logging.LogRecord], bytes | None]:
    current = CURRENT.get
    value_room, line_room = pipeline.limits.value_bytes, pipeline.limits.line_bytes
    digits, simple, walked, later, join = _DIGITS, SIMPLE, WALKED, _LATER_HERE, b"".join
    cleaner = encoder.cleaner
    depth = cleaner.depth
    count, last = len(STANDARD), STANDARD[-1]
    modules, otel = sys.modules, "opentelemetry.trace"
    foreign = foreign_checks() if pipeline.reads_foreign else ()
    called = pipeline.schema.called(names.TIMESTAMP)
    heads: dict[str, dict[str, bytes]] = {}
    plain_keys: dict[tuple[str, ...], tuple[str, ...]] = {}  # seen before, and what is shown
    kind, threads = logging.LogRecord, threading
    opened: tuple[float, bytes] = (-1.0, b"")  # a second, and how its lines begin

    def opening(created: float) -> tuple[float, bytes]:
        nonlocal opened
        second = int(created)
        t = gmtime(second)
        text = (
            f'{{"{called}":"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}'
            f"T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}."
        ).encode()
        opened = (float(second), text)
        return opened

    def head_of(record: logging.LogRecord) -> bytes:
        head = encoder.head_of(record.name or "root", level_of(record))
        of_level = heads.setdefault(record.levelname, {})
        if len(of_level) >= MAX_HEADS or len(heads) > MAX_LEVELS:
            heads.clear()
        else:
            of_level[record.name] = head
        return head

    def line_of(  # noqa: C901, PLR0911, PLR0912, PLR0915 - see above
        record: logging.LogRecord,
    ) -> bytes | None:
        try:
            own = record.__dict__
            said = record.msg
            if (
                type(said) is not str
                or record.exc_info
                or record.stack_info
                or record.exc_text
                or type(record) is not kind
            ):
                return None
            stamp = own.get(ATTRIBUTE)
            if stamp is None:
                if record.thread != threads.get_ident() or record.process != _pid:
                    return None
                context = current().fields
                ids = (current_ids() if otel in modules else None) or context.ids
                if foreign:
                    for bound_there in foreign:
                        if bound_there() and foreign_values():
                            return None
            elif type(stamp) is not Stamp or stamp.call or stamp.provided or stamp.error:
                return None
            else:
                context, ids = stamp.context, stamp.ids
            args = record.args
            if args:
                said = encoder.said(said, args if type(args) is tuple else (args,))
            encoded = context.encoded
            if encoded is None or encoded[0] is not encoder:
                encoded = encoder.context(context)
            if ids is None:
                ids_part, context_part = b"", encoded[2]
            else:
                encoded_ids = ids.encoded
                if encoded_ids is not None and encoded_ids[0] is encoder:
                    ids_part = encoded_ids[1]
                else:
                    ids_part = encoder.ids(ids)
                context_part = encoded[1]
            if context_part is None:
                return None
            tail = b"}\n"
            added = len(own) - count
            if added:
                keys = tuple([*own][count - 1 :])
                added_names = plain_keys.get(keys)
                fields, is_simple = {}, True
                if added_names is not None:
                    for name in added_names:  # one loop: a comprehension is a call, and so is map
                        value = fields[name] = own[name]
                        if type(value) not in simple:
                            is_simple = False
                elif keys[0] != last or added < 0:  # nothing comes in between, only out
                    return None
                elif HIDDEN in keys:  # those of one adapter: it hides the same ones each time
                    hidden = own[HIDDEN]
                    shown = tuple([k for k in extra_of(record, _OWN_HERE) if k not in hidden])
                    fields = {name: own[name] for name in shown}
                    is_simple = simple.issuperset(map(type, fields.values()))
                    if len(plain_keys) < MAX_HEADS:
                        plain_keys[keys] = shown
                else:
                    fields = {k: own[k] for k in keys[1:] if k[0] != "_" and k not in later}
                    is_simple = simple.issuperset(map(type, fields.values()))
                    if len(plain_keys) < MAX_HEADS:
                        plain_keys[keys] = tuple(fields)
                if fields:
                    if not encoded[3][0].issuperset(fields):
                        twice = encoder.learn(fields, encoded[3])
                        if twice:
                            context_part = encoder.without(
                                twice, context, None, has_ids=ids is not None
                            )
                        if twice is None or context_part is None:
                            return None
                    if not is_simple:
                        for value in fields.values():
                            its = type(value)
                            if its not in simple and (
                                its not in walked or not ordinary(value, cleaner, depth)
                            ):
                                fields = encoder.values(fields)
                                break
                    data = dumps(fields)
                    if len(data) > value_room:
                        return None
                    if not data.isascii() or DEL in data:
                        data = escape(data)
                    tail = b"," + data[1:] + b"\n"
            text = dumps(said)
            if not text.isascii() or DEL in text:
                text = escape(text)
            try:
                head = heads[record.levelname][record.name]
            except KeyError:
                head = head_of(record)
            second, start = opened
            part = record.created - second
            if not 0.0 <= part < LAST_MICRO:
                second, start = opening(record.created)
                part = record.created - second
                if not 0.0 <= part < LAST_MICRO:  # it rounds into the next second
                    return None
            micro = int(part * 1e6 + 0.5)
            line = join((
                start, digits[micro // 1000], digits[micro % 1000], b'Z"',
                head, text, ids_part, context_part, tail,
            ))  # fmt: skip
        except Exception:  # noqa: BLE001 - whatever it was, the full way says it on the line
            return None
        return line if len(line) <= line_room and len(text) <= value_room else None

    return line_of
