"""Unconfigured: events go to stdlib ``logging`` under the logger's name, with their context.

So a library that logs with ctxlog is silent or shown as its host decides. The fields are attributes
of the record, as ``extra=`` would set them, for the host's formatter to show or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.assembly import layers, stack_of
from ctxlog.context.fields import CURRENT
from ctxlog.context.foreign import foreign_values
from ctxlog.context.resource import get_resource
from ctxlog.context.spans import current_ids
from ctxlog.counting import counters
from ctxlog.freezing import freeze_fields
from ctxlog.message import event_of, put_in, shown, text_of
from ctxlog.processors import CallSite, Clean
from ctxlog.stamps import ATTRIBUTE, Call, Stamp, stamp_now
from ctxlog.tracebacks import resolve
from ctxlog.walk import unused

if TYPE_CHECKING:
    import logging

    from ctxlog.context.fields import Fields
    from ctxlog.line import Logger


_clean = Clean()


def hand_over(
    logger: Logger, level: int, event: object, args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    """Give one event to ``logging``, if it is listening at that level. Never raises."""
    try:
        import logging  # here: whoever configures ctxlog may do without

        target = logging.getLogger(logger.name if logger.name != "root" else None)
        if target.isEnabledFor(level):
            target.handle(_record(target, logger, level, event, args, fields))
    except Exception:  # noqa: BLE001 - logging never breaks its host
        counters.add("errors.unconfigured")


def _record(  # noqa: PLR0913 - what a logger passes on
    target: logging.Logger,
    logger: Logger,
    level: int,
    event: object,
    args: tuple[Any, ...],
    fields: dict[str, Any],
) -> logging.LogRecord:
    event = event_of(event, args, fields)
    call = {name: fields.pop(name) for name in names.CALL.intersection(fields)}
    error = resolve(call.get("exc_info"))
    stack = stack_of(call.get("stack_info"))
    frame = CallSite().find(call.get("stacklevel", 1))
    text, given = text_of(event, _clean.value), tuple([shown(arg, _clean.value) for arg in args])
    own = fields
    if given and not _fit(text, given):  # logging would print its own error in place of the line
        given, own = (), {**fields, unused("positional_args", fields): args}
    path, line, function = "(unknown file)", 0, "(unknown function)"
    if frame is not None:
        path, line, function = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
    record = target.makeRecord(
        target.name,
        level,
        path,
        line,
        text,
        given,
        None if error is None else (type(error), error, error.__traceback__),
        function,
        None,
        None if stack is None else f"Stack (most recent call last):\n{stack}",
    )
    attributes = record.__dict__
    before = frozenset(attributes)
    for name, value in fields_of(logger, own).items():
        # not `extra`: it refuses names that a record has, and the event would be lost
        taken = name in attributes or name in _LATER
        attributes[names.moved(name, attributes) if taken else name] = value
    # for a handler of ours: the event itself, which then comes out as the pipeline would write it
    pinned = logger.pinned
    stamp = stamp_now(error) if pinned is None else Stamp(pinned.fields, pinned.ids, None, error)
    repeated = frozenset(attributes) - before
    stamp.call = Call(event, args, freeze_fields(fields, {}), logger.fields, repeated)
    attributes[ATTRIBUTE] = stamp
    return record


def _fit(text: str, given: tuple[Any, ...]) -> bool:
    try:
        put_in(text, given)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - an argument may do anything
        counters.add("errors.arguments")
        return False
    return True


#: What a formatter sets on a record.
_LATER = frozenset({"message", "asctime"})


def fields_of(logger: Logger, fields: dict[str, Any]) -> dict[str, Any]:
    """Return all fields of a call by precedence, ids included, clean."""
    pinned = logger.pinned

    def layered(context: Fields) -> dict[str, Any]:
        return layers(get_resource(), context, logger.fields, _failed, foreign_values())

    if pinned is None:
        context = CURRENT.get().fields
        ids = current_ids() or context.ids
        merged = layered(context)
    else:  # entered: what is read here is another request's
        ids = pinned.ids
        merged = pinned.run(layered, pinned.fields)
    merged.update(fields)
    if ids is not None:
        names.move(merged, names.IDS)
        merged[names.TRACE_ID] = ids.trace_id
        merged[names.SPAN_ID] = ids.span_id
        merged[names.TRACE_FLAGS] = ids.trace_flags
    return _clean.cleaned(merged)


def _failed(step: str, _part: object, _error: Exception) -> None:
    counters.add(f"errors.{step}")
