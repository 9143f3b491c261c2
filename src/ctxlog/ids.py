"""Ids: made, checked, and read from and written to a W3C ``traceparent``.

>>> ids = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
>>> ids
('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', '01')
>>> format_traceparent(*ids)
'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRACE_ID_DIGITS = 32
SPAN_ID_DIGITS = 16
REQUEST_ID_CHARS = 128
TRACEPARENT_CHARS = 55

_HEX = "0123456789abcdef"
_REQUEST_ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/+=@-"
_CHUNKS = 256
_UUIDS = 64
_TRACES = 32

# Made many at a time: what runs once an event takes three times as long as what runs in a row.
# Sixteen hex digits each, from the operating system; popping from a list is atomic.
_pool: list[str] = []
_request_ids: list[str] = []
_traces: list[TraceIds] = []


def _chunks(number: int, digits: int) -> list[str]:
    text = os.urandom(number * digits // 2).hex()
    return [text[at : at + digits] for at in range(0, len(text), digits)]


def _refill() -> str:
    fresh = [chunk for chunk in _chunks(_CHUNKS, SPAN_ID_DIGITS) if chunk.strip("0")]
    last = fresh.pop()  # not through the pool: another thread could take it first
    _pool.extend(fresh)
    return last


def _refill_request_ids() -> str:
    fresh = [
        f"{text[:12]}4{text[13:16]}{'89ab'[int(text[16], 16) & 3]}{text[17:]}"
        for text in _chunks(_UUIDS, TRACE_ID_DIGITS)
    ]
    last = fresh.pop()
    _request_ids.extend(fresh)
    return last


def _refill_traces() -> TraceIds:
    fresh = [TraceIds(new_trace_id(), new_span_id()) for _ in range(_TRACES)]
    last = fresh.pop()
    _traces.extend(fresh)
    return last


def _forget() -> None:
    _pool.clear()
    _request_ids.clear()
    _traces.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # else parent and child make the same ids


def new_span_id() -> str:
    """Return a random span id: 16 lower-case hex digits, not all zero.

    Example:
        >>> valid_span_id(new_span_id())
        True
    """
    try:
        return _pool.pop()
    except IndexError:
        return _refill()


def new_trace_id() -> str:
    """Return a random trace id: 32 lower-case hex digits, not all zero.

    Example:
        >>> valid_trace_id(new_trace_id())
        True
    """
    return new_span_id() + new_span_id()


def new_request_id() -> str:
    """Return a random request id: a version 4 UUID (RFC 9562) as 32 hex digits.

    Example:
        >>> len(new_request_id()), new_request_id()[12]
        (32, '4')
    """
    try:
        return _request_ids.pop()
    except IndexError:
        return _refill_request_ids()


def new_trace() -> TraceIds:
    """Return the ids of a new trace that nobody samples, with a span of its own.

    Example:
        >>> ids = new_trace()
        >>> valid_trace_id(ids.trace_id), valid_span_id(ids.span_id), ids.trace_flags
        (True, True, '00')
    """
    try:
        return _traces.pop()
    except IndexError:
        return _refill_traces()


def valid_request_id(text: object) -> bool:
    """Say whether a request id from outside may be used: 1 to 128 of ``A-Za-z0-9._:/+=@-``.

    Example:
        >>> valid_request_id("r-1"), valid_request_id("r 1"), valid_request_id("")
        (True, False, False)
    """
    return type(text) is str and 1 <= len(text) <= REQUEST_ID_CHARS and not text.strip(_REQUEST_ID)


def valid_trace_id(text: object) -> bool:
    """Say whether this is a W3C trace id: 32 lower-case hex digits, not all zero.

    Example:
        >>> valid_trace_id("4bf92f3577b34da6a3ce929d0e0e4736"), valid_trace_id("0" * 32)
        (True, False)
    """
    return _valid_hex(text, TRACE_ID_DIGITS)


def valid_span_id(text: object) -> bool:
    """Say whether this is a W3C span id (parent id): 16 lower-case hex digits, not all zero.

    Example:
        >>> valid_span_id("00f067aa0ba902b7"), valid_span_id("00F067AA0BA902B7")
        (True, False)
    """
    return _valid_hex(text, SPAN_ID_DIGITS)


def _valid_hex(text: object, digits: int) -> bool:
    return (
        type(text) is str and len(text) == digits and not text.strip(_HEX) and text.strip("0") != ""
    )


def parse_traceparent(text: object) -> tuple[str, str, str] | None:
    """Read a ``traceparent`` as W3C Trace Context (level 2) tells; None when it is not valid.

    Spaces and tabs around it are dropped, as HTTP allows them there. A version above ``00`` is read
    by its first four parts.

    Returns:
        trace id (32 hex), span id (16 hex) and flags (2 hex, kept as sent), or None.

    Example:
        >>> parse_traceparent("00-" + "0" * 32 + "-00f067aa0ba902b7-01") is None
        True
    """
    if type(text) is not str or len(text) > TRACEPARENT_CHARS * 20:
        return None
    text = text.strip(" \t")
    version, trace_id, span_id, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if len(text) > TRACEPARENT_CHARS:
        if version == "00" or text[TRACEPARENT_CHARS] != "-":
            return None
    elif len(text) < TRACEPARENT_CHARS:
        return None
    if (
        version == "ff"
        or (version + flags).strip(_HEX)
        or text[2] + text[35] + text[52] != "---"
        or not valid_trace_id(trace_id)
        or not valid_span_id(span_id)
    ):
        return None
    return trace_id, span_id, flags


def format_traceparent(trace_id: str, span_id: str, flags: str = "00") -> str:
    """Write a ``traceparent`` of version 00 from valid parts.

    Example:
        >>> format_traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'
    """
    return f"00-{trace_id}-{span_id}-{flags}"


class TraceIds:
    """The three ids of a trace as one immutable value: equal by value, hashable, pickles.

    ``encoded`` is a place for a renderer to keep these ids as it writes them. It is None at first,
    may be set, and is no part of the value.

    Example:
        >>> ids = TraceIds("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")
        >>> ids.trace_flags
        '01'
    """

    __slots__ = ("encoded", "span_id", "trace_flags", "trace_id")

    trace_id: str
    span_id: str
    trace_flags: str
    encoded: Any

    def __init__(self, trace_id: str, span_id: str, trace_flags: str = "00") -> None:
        # the slots themselves: half the time of `object.__setattr__`
        _put_trace_id(self, trace_id)
        _put_span_id(self, span_id)
        _put_trace_flags(self, trace_flags)
        _put_encoded(self, None)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "encoded":
            message = f"{type(self).__name__} is immutable: make another one to change {name!r}"
            raise AttributeError(message)
        _put_encoded(self, value)

    def __delattr__(self, name: str) -> None:
        message = f"{type(self).__name__} is immutable: {name!r} cannot be deleted"
        raise AttributeError(message)

    def __eq__(self, other: object) -> bool:
        if type(other) is not TraceIds:
            return NotImplemented
        return (
            self.trace_id == other.trace_id
            and self.span_id == other.span_id
            and self.trace_flags == other.trace_flags
        )

    def __hash__(self) -> int:
        return hash((self.trace_id, self.span_id, self.trace_flags))

    def __reduce__(self) -> tuple[type[TraceIds], tuple[str, str, str]]:
        return TraceIds, (self.trace_id, self.span_id, self.trace_flags)

    def __repr__(self) -> str:
        return f"TraceIds({self.trace_id!r}, {self.span_id!r}, {self.trace_flags!r})"


_put_trace_id = vars(TraceIds)["trace_id"].__set__
_put_span_id = vars(TraceIds)["span_id"].__set__
_put_trace_flags = vars(TraceIds)["trace_flags"].__set__
_put_encoded = vars(TraceIds)["encoded"].__set__
#: Keep the ids as a renderer writes them: by the slot itself, as each entry comes by.
keep_encoded = _put_encoded
