"""Formats: how trace ids stand in headers. W3C, B3 in one header and in several, Jaeger, X-Trace-ID.

Every reader gets the headers by lower-case name and returns valid ids or ``None``: what comes in is
a stranger's. All are read, whatever is written.

>>> read({"b3": "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"})
TraceIds('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', '01')
"""

from __future__ import annotations

import os

from ctxlog.ids import (
    SPAN_ID_DIGITS,
    TRACE_ID_DIGITS,
    TraceIds,
    format_traceparent,
    new_span_id,
    parse_traceparent,
    valid_span_id,
    valid_trace_id,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Reader: TypeAlias = Callable[[Mapping[str, str]], TraceIds | None]
    Writer: TypeAlias = Callable[[TraceIds], list[tuple[str, str]]]

TRACEPARENT, TRACESTATE, BAGGAGE = "traceparent", "tracestate", "baggage"
X_TRACE_ID = "x-trace-id"
B3 = "b3"
B3_TRACE, B3_SPAN, B3_SAMPLED, B3_FLAGS = (
    "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags",
)  # fmt: skip
JAEGER = "uber-trace-id"
#: Every header with ids of a trace.
HEADERS = frozenset({
    TRACEPARENT, B3, B3_TRACE, B3_SPAN, B3_SAMPLED, B3_FLAGS, JAEGER, X_TRACE_ID,
})  # fmt: skip

_FLAGS = 0x03  # sampled, random: what version 00 of traceparent knows
_SAMPLED = 0x01
_YES = frozenset({"1", "true", "d"})
_SHORT_DIGITS = 16  # of a 64-bit trace id, which stands in the last digits of a long one
_B3_PARTS, _JAEGER_PARTS = 4, 4
#: Members of a baggage header that are read, and characters of a value that becomes a field.
BAGGAGE_MEMBERS = 64
BAGGAGE_CHARS = 256


def read(headers: Mapping[str, str]) -> TraceIds | None:
    """Return the ids of the first format that has valid ones."""
    for reader in READERS:
        ids = reader(headers)
        if ids is not None:
            return ids
    return None


def _w3c(headers: Mapping[str, str]) -> TraceIds | None:
    parsed = parse_traceparent(headers.get(TRACEPARENT, ""))
    return None if parsed is None else TraceIds(*parsed)


def _b3(headers: Mapping[str, str]) -> TraceIds | None:
    parts = headers.get(B3, "").split("-")
    if not 2 <= len(parts) <= _B3_PARTS:  # noqa: PLR2004 - a lone "0" decides without ids
        return None
    sampled = parts[2].lower() if len(parts) > 2 else "1"  # noqa: PLR2004 - undecided: as OpenTelemetry has it
    return _ids(parts[0], parts[1], sampled=sampled in _YES, exact=True)


def _b3_multi(headers: Mapping[str, str]) -> TraceIds | None:
    sampled = headers.get(B3_SAMPLED, "").lower() in _YES or headers.get(B3_FLAGS) == "1"
    return _ids(headers.get(B3_TRACE, ""), headers.get(B3_SPAN, ""), sampled=sampled, exact=True)


def _jaeger(headers: Mapping[str, str]) -> TraceIds | None:
    parts = headers.get(JAEGER, "").replace("%3A", ":").replace("%3a", ":").split(":")
    if len(parts) != _JAEGER_PARTS or not 1 <= len(parts[3]) <= 2:  # noqa: PLR2004 - one byte
        return None
    try:
        flags = int(parts[3], 16)
    except ValueError:
        return None
    return _ids(parts[0], parts[1], sampled=bool(flags & _SAMPLED), exact=False)


def _x_trace_id(headers: Mapping[str, str]) -> TraceIds | None:
    trace_id = headers.get(X_TRACE_ID, "").lower().replace("-", "")
    if valid_trace_id(trace_id):  # it names no span: one is made, so that the ids stay a unit
        return TraceIds(trace_id, new_span_id(), "00")
    return None


def _ids(trace_id: str, span_id: str, *, sampled: bool, exact: bool) -> TraceIds | None:
    """Return ids filled up with zeros; ``exact``: only from the lengths that B3 knows."""
    if exact and (
        len(trace_id) not in {_SHORT_DIGITS, TRACE_ID_DIGITS} or len(span_id) != SPAN_ID_DIGITS
    ):
        return None
    if not trace_id or not span_id:
        return None
    trace_id = trace_id.lower().rjust(TRACE_ID_DIGITS, "0")
    span_id = span_id.lower().rjust(SPAN_ID_DIGITS, "0")
    if not (valid_trace_id(trace_id) and valid_span_id(span_id)):
        return None
    return TraceIds(trace_id, span_id, "01" if sampled else "00")


READERS: tuple[Reader, ...] = (_w3c, _b3, _b3_multi, _jaeger, _x_trace_id)


def _is_sampled(ids: TraceIds) -> bool:
    return bool(int(ids.trace_flags, 16) & _SAMPLED)


def _write_w3c(ids: TraceIds) -> list[tuple[str, str]]:
    known = int(ids.trace_flags, 16) & _FLAGS  # W3C: what one does not know is sent as zero
    return [(TRACEPARENT, format_traceparent(ids.trace_id, ids.span_id, f"{known:02x}"))]


def _write_b3(ids: TraceIds) -> list[tuple[str, str]]:
    return [(B3, f"{ids.trace_id}-{ids.span_id}-{int(_is_sampled(ids))}")]


def _write_b3_multi(ids: TraceIds) -> list[tuple[str, str]]:
    sampled = str(int(_is_sampled(ids)))
    return [(B3_TRACE, ids.trace_id), (B3_SPAN, ids.span_id), (B3_SAMPLED, sampled)]


def _write_jaeger(ids: TraceIds) -> list[tuple[str, str]]:
    return [(JAEGER, f"{ids.trace_id}:{ids.span_id}:0:{int(_is_sampled(ids))}")]


def _write_nothing(_: TraceIds) -> list[tuple[str, str]]:
    return []


#: What writes each format, by the names of ``OTEL_PROPAGATORS``.
WRITERS: dict[str, Writer] = {
    "tracecontext": _write_w3c,
    "b3": _write_b3,
    "b3multi": _write_b3_multi,
    "jaeger": _write_jaeger,
    "baggage": _write_nothing,  # OpenTelemetry's own has it
    "none": _write_nothing,
}
DEFAULT = ("tracecontext", "baggage")


def named() -> tuple[str, ...]:
    """Return the formats that ``OTEL_PROPAGATORS`` names.

    Example:
        >>> named()
        ('tracecontext', 'baggage')
    """
    text = os.environ.get("OTEL_PROPAGATORS")
    if text is None:
        return DEFAULT
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def read_baggage(text: str, wanted: Mapping[str, str]) -> dict[str, object]:
    """Return the members of a ``baggage`` header that are wanted, by the names they are to have.

    Example:
        >>> read_baggage("tier=gold%20plus;ttl=1,secret=x", {"tier": "user_tier"})
        {'user_tier': 'gold plus'}
    """
    from urllib.parse import unquote  # here: whoever allows no baggage does not load it

    found: dict[str, object] = {}
    for member in text.split(",", BAGGAGE_MEMBERS)[:BAGGAGE_MEMBERS]:
        name, equals, value = member.partition(";")[0].partition("=")
        field = wanted.get(unquote(name.strip()))
        if equals and field is not None:
            found.setdefault(field, unquote(value.strip())[:BAGGAGE_CHARS])
    return found
