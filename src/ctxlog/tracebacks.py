"""Exceptions as data: type, message, causes, groups, notes, and one rendering of the traceback.

>>> try:
...     1 / 0
... except ZeroDivisionError as error:
...     fields = describe(error)
>>> fields["exception.type"], fields["exception.message"]
('ZeroDivisionError', 'division by zero')
"""

from __future__ import annotations

import sys

from ctxlog.context.border import border
from ctxlog.freeze_walk import frozen
from ctxlog.parts import error_text, may_show
from ctxlog.redact import frozen_masked
from ctxlog.texts import (
    REPR_CHARS,
    encodable,
    mro_of,
    safe_repr,
    safe_str,
    type_path,
    without_middle,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from traceback import StackSummary, TracebackException
    from types import TracebackType
    from typing import Any

FRAMES = 100  # of each traceback, the last ones
STACK_BYTES = 16_000  # a little less than a value may have by default
MESSAGE_CHARS = 4096
CAUSES = 16
GROUP_DEPTH = 8
GROUP_MEMBERS = 64  # of all groups together
NOTES = 16
PARTS = 100  # exceptions, causes and members together, that Python is asked to print
FRAME_TEXTS = 1_024  # texts of frames remembered,
FRAME_CHARS = 1_000  # none longer
BRIEF_FRAMES = 10  # of each traceback when there are more

_LINKS = {
    "cause": "\nThe above exception was the direct cause of the following exception:\n\n",
    "context": "\nDuring handling of the above exception, another exception occurred:\n\n",
}

_HEADER = "Traceback (most recent call last):\n"

# BaseException's own: an exception's class may override them, with anything.
_OWN = ("__cause__", "__context__", "__suppress_context__", "__traceback__", "exceptions")
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_context_hidden = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_members_of = BaseExceptionGroup.__dict__["exceptions"].__get__


def resolve(exc_info: object) -> BaseException | None:
    """Return the exception that an ``exc_info`` argument means, or None.

    An exception is itself; of a ``(type, value, traceback)`` tuple it is the value; anything else
    that is true means the one being handled, as :mod:`logging` and structlog read it.

    Example:
        >>> resolve(ValueError("x")), resolve((None, None, None)), resolve(True), resolve(0)
        (ValueError('x'), None, None, None)
    """
    kind = type(exc_info)
    if exc_info is True:
        return sys.exception()
    if issubclass(kind, BaseException):
        return exc_info  # type: ignore[return-value]
    if issubclass(kind, tuple):
        parts: tuple[object, ...] = tuple(tuple.__iter__(exc_info))  # type: ignore[arg-type]
        value = parts[1] if len(parts) > 1 else None
        # not isinstance: __class__ may lie
        return value if issubclass(type(value), BaseException) else None  # type: ignore[return-value]
    try:
        return sys.exception() if exc_info else None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - its truth is not ours to mend
        return None


def told(event: Mapping[str, Any], value_bytes: int = STACK_BYTES) -> dict[str, Any]:
    """Return a copy of an event with the fields of its ``exc_info`` in that one's place.

    Args:
        event: names to values.
        value_bytes: what a value may have.

    Example:
        >>> told({"event": "e", "exc_info": ValueError("no")})["exception.message"]
        'no'
    """
    given = dict(event)
    error = resolve(given.pop("exc_info", None))
    if error is not None:
        given.update(describe(error, bytes_limit=min(STACK_BYTES, value_bytes)))
    return given


def shows_arguments(exc: BaseException) -> bool:
    """Say whether Python would print what an exception, or one it comes from, was raised with.

    Example:
        >>> shows_arguments(ValueError("no")), shows_arguments(ValueError({"a": 1}))
        (False, True)
    """
    parts = _parts(exc)
    return parts is None or any(map(may_show, parts))


def describe(
    exc: BaseException, *, frames_limit: int = FRAMES, bytes_limit: int = STACK_BYTES
) -> dict[str, object]:
    """Return the fields of an exception, by the names of OpenTelemetry's semantic conventions.

    Always ``exception.type`` (fully qualified), ``exception.message``, ``exception.stacktrace`` (as
    Python prints it) and ``error.type``; when there are some also ``exception.causes`` (nearest
    first, each ``type``, ``message`` and ``kind``: ``cause`` or ``context``), ``exception.group``
    (each ``type``, ``message`` and, for a group in the group, ``exceptions``) and
    ``exception.notes``. All is bounded, visibly. Never raises.

    Args:
        exc: the exception.
        frames_limit: frames of each traceback; the last ones are kept.
        bytes_limit: of the stacktrace in UTF-8; its middle is left out.

    Example:
        >>> error = ValueError("no")
        >>> error.add_note("try yes")
        >>> describe(error)["exception.notes"]
        ['try yes']
    """
    name = type_path(type(exc))
    fields: dict[str, object] = {
        "exception.type": name,
        "exception.message": encodable(_said(exc, MESSAGE_CHARS)),
        "exception.stacktrace": "",
        "error.type": name,
    }
    try:
        causes: list[tuple[BaseException, str]] = []
        parts: list[BaseException] | None = [exc]
        notes = _notes_of(exc)
        if notes:
            fields["exception.notes"] = _notes(notes)
        is_group = issubclass(type(exc), BaseExceptionGroup)
        if is_group:
            fields["exception.group"] = _members(exc, [GROUP_MEMBERS], GROUP_DEPTH)
        if is_group or not (_cause_of(exc) is None and _context_of(exc) is None):
            causes = list(_causes(exc, PARTS))
            if causes:
                fields["exception.causes"] = _listed(causes)
            parts = _parts(exc)
        elif _is_odd(exc):
            parts = None
        text = None if parts is None else _printed(exc, parts, frames_limit)
        if text is None:
            text = _printed_briefly(exc, causes, min(frames_limit, BRIEF_FRAMES))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as failure:  # noqa: BLE001 - an exception must not break its line
        why = type_path(type(failure))
        text = f"{name}: {fields['exception.message']}\n[no traceback: {why}]"
    fields["exception.stacktrace"] = without_middle(text, bytes_limit)
    return fields


def _causes(exc: BaseException, most: int) -> Iterator[tuple[BaseException, str]]:
    """Yield what an exception comes from, as Python prints it, nearest first and each once."""
    seen = {id(exc)}
    current: BaseException | None = exc
    while current is not None and most > 0:
        kind, source = "cause", _cause_of(current)
        if source is None and not _context_hidden(current):
            kind, source = "context", _context_of(current)
        if source is None or id(source) in seen:
            return
        seen.add(id(source))
        yield source, kind
        current = source
        most -= 1


def _listed(causes: list[tuple[BaseException, str]]) -> list[object]:
    listed: list[object] = [{**_brief(exc), "kind": kind} for exc, kind in causes[:CAUSES]]
    if len(causes) > CAUSES:
        listed.append(_more(len(causes) - CAUSES, len(causes) == PARTS))
    return listed


def _members(group: BaseException, left: list[int], depth: int) -> list[object]:
    members = _members_of(group)
    listed: list[object] = []
    for member in members:
        if left[0] <= 0:
            listed.append(_more(len(members) - len(listed)))
            break
        left[0] -= 1
        entry: dict[str, object] = dict(_brief(member))
        if issubclass(type(member), BaseExceptionGroup):
            deeper = depth > 1
            entry["exceptions"] = _members(member, left, depth - 1) if deeper else "<depth>"
        listed.append(entry)
    return listed


def _brief(exc: BaseException) -> dict[str, str]:
    return {"type": type_path(type(exc)), "message": encodable(_said(exc))}


def _said(exc: BaseException, limit: int = REPR_CHARS) -> str:
    return error_text(exc, limit, frozen, _masked)


def _masked(args: tuple[object, ...]) -> object:
    redaction = border.redaction
    return frozen_masked(args, redaction.is_secret, redaction.mask)


def _more(count: int, at_least: bool = False) -> str:  # noqa: FBT001, FBT002 - one word of the mark
    return f"<+{count} or more>" if at_least else f"<+{count} more>"


def _notes_of(exc: BaseException) -> object:
    """Return an exception's notes, ``None`` without any; a text that says so if it hides them."""
    try:
        notes: object = getattr(exc, "__notes__", None) or None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as failure:  # noqa: BLE001 - an exception must not break its line
        return f"<notes: unreadable, {type_path(type(failure))}>"
    return notes


def _notes(notes: object) -> list[str]:
    if type(notes) is not list:  # add_note makes a list; this was set by hand
        return [encodable(safe_repr(notes))]
    listed = [encodable(safe_str(note)) for note in notes[:NOTES]]
    return [*listed, _more(len(notes) - NOTES)] if len(notes) > NOTES else listed


def _printed(exc: BaseException, parts: list[BaseException], frames: int) -> str | None:
    """Return what Python prints; ``None`` if it cannot: it asks the exception for more than we do."""
    import traceback  # here: no line without an exception pays for it

    if len(parts) > 4:  # noqa: PLR2004 - all together no more than four long ones
        frames = max(frames * 4 // len(parts), BRIEF_FRAMES)
    long = any([_longer(_traceback_of(part), frames) for part in parts])  # noqa: C419 - faster
    limit = -frames if long else None  # negative: the last ones
    try:
        printed = traceback.TracebackException(
            type(exc), exc, _traceback_of(exc), limit=limit, compact=True
        )
        if any(map(may_show, parts)):
            _mask(printed, exc)
        lines = _chained(printed) or printed.format()
        text = "".join(lines).removesuffix("\n")
    except Exception:  # noqa: BLE001 - a property raises, or a SyntaxError's line number is a text
        return None
    return f"[the last {frames} frames of each traceback]\n{text}" if long else text


def _mask(printed: Any, exc: BaseException | None) -> None:
    """Put what may be shown of an exception, and of those it comes from, in place of its text."""
    if exc is None or printed is None:
        return
    if may_show(exc):
        printed._str = _said(exc, MESSAGE_CHARS)  # noqa: SLF001 - there is no other way to say it
    _mask(printed.__cause__, _cause_of(exc))
    _mask(printed.__context__, _context_of(exc))
    if printed.exceptions is not None:
        for inner, member in zip(printed.exceptions, _members_of(exc), strict=False):
            _mask(inner, member)


def _chained(printed: TracebackException) -> list[str]:
    """Return what ``format()`` does, without its indenting; nothing if there is a group."""
    chain = []
    current: TracebackException | None = printed
    link = ""
    while current is not None:
        if current.exceptions is not None:
            return []
        chain.append((current, link))
        if current.__cause__ is not None:
            current, link = current.__cause__, _LINKS["cause"]
        elif not current.__suppress_context__:
            current, link = current.__context__, _LINKS["context"]
        else:
            current = None
    lines: list[str] = []
    for part, link in reversed(chain):
        if part.stack:
            lines.append(_HEADER)
            lines += _remembering()(part.stack).format()
        lines += part.format_exception_only()
        lines.append(link)
    return lines


def _remembering() -> type[StackSummary]:
    """Return a ``StackSummary`` that formats a frame's text once a place in the code.

    To find what its carets point at, Python compiles the line again each time: half of an
    exception's cost, paid by each line of a storm of equal errors.
    """
    if _Remembering:
        return _Remembering[0]
    from traceback import FrameSummary, StackSummary

    class Remembering(StackSummary):
        def format_frame_summary(self, frame_summary: FrameSummary, **options: Any) -> str:
            place = (
                frame_summary.filename, frame_summary.lineno, frame_summary.end_lineno,
                frame_summary.colno, frame_summary.end_colno,
                frame_summary.name, frame_summary.line,
            )  # fmt: skip
            text = _frame_texts.get(place)
            if text is None:
                text = super().format_frame_summary(frame_summary, **options)
                # several lines are told apart by their first alone; locals are never the same
                alone = frame_summary.lineno == frame_summary.end_lineno
                if alone and not frame_summary.locals and len(text) <= FRAME_CHARS:
                    if len(_frame_texts) >= FRAME_TEXTS:
                        _frame_texts.clear()
                    _frame_texts[place] = text
            return text

    _Remembering.append(Remembering)
    return Remembering


_Remembering: list[type[StackSummary]] = []  # made with the first exception: it needs traceback
_frame_texts: dict[tuple[object, ...], str] = {}


def _parts(exc: BaseException) -> list[BaseException] | None:
    """Return all that Python would print with an exception; None if that is too much, or odd.

    Python prints a cause once, and a member of groups as often as it is one: groups that share
    their members have no end.
    """
    parts = [exc]
    seen = {id(exc)}
    for part in parts:  # grows meanwhile
        if _is_odd(part):
            return None
        if issubclass(type(part), BaseExceptionGroup):
            members = _members_of(part)[: PARTS + 1]
            seen.update(map(id, members))
            parts += members
        for source in (_cause_of(part), _context_of(part)):
            if source is not None and id(source) not in seen:
                seen.add(id(source))
                parts.append(source)
        if len(parts) > PARTS:
            return None
    return parts


def _is_odd(exc: BaseException) -> bool:
    notes = _notes_of(exc)
    if notes is not None and (type(notes) is not list or len(notes) > NOTES):
        return True
    return any(  # what is written in C is as it should be
        base.__flags__ & _HEAP_TYPE and not base.__dict__.keys().isdisjoint(_OWN)
        for base in mro_of(type(exc))
    )


def _longer(traceback: TracebackType | None, frames: int) -> bool:
    while traceback is not None and frames >= 0:
        traceback = traceback.tb_next
        frames -= 1
    return frames < 0


def _printed_briefly(
    exc: BaseException, causes: list[tuple[BaseException, str]], frames: int
) -> str:
    from traceback import format_tb

    kept = causes[:CAUSES]
    blocks = []
    if len(causes) > CAUSES:
        blocks.append(f"{_more(len(causes) - CAUSES, len(causes) == PARTS)}\n")
    chain: list[tuple[BaseException, Any]] = [(exc, None), *kept]
    for at in range(len(chain) - 1, -1, -1):
        part = chain[at][0]
        traceback = _traceback_of(part)
        if traceback is not None:
            blocks.append(f"Traceback (most recent call last, {frames} frames):\n")
            blocks += format_tb(traceback, limit=-frames)
        brief = _brief(part)
        blocks.append(f"{brief['type']}: {brief['message']}\n")
        if issubclass(type(part), BaseExceptionGroup):
            blocks.append(f"  [{len(_members_of(part))} exceptions in this group]\n")
        if at > 0:
            blocks.append(_LINKS[chain[at][1]])
    return "".join(blocks).removesuffix("\n")
