"""Carriers: what a context travels on. Headers in, headers out.

Read and written: W3C ``traceparent``, ``X-Request-ID``, ``X-Trace-ID``. Whatever comes in is
checked, else as if it were not there: a stranger's header must not forge a line or grow it.

A carrier is a mapping of names to values, or a list of pairs, names and values ``str`` or
``bytes``. Names are compared without case.
"""

from __future__ import annotations

from ctxlog.context.fields import CURRENT, EMPTY, Fields
from ctxlog.context.snapshot import Snapshot
from ctxlog.context.spans import ACCESSOR, current_ids, remote_context
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.ids import (
    TraceIds,
    format_traceparent,
    new_span_id,
    parse_traceparent,
    valid_request_id,
    valid_trace_id,
)
from ctxlog.names import REQUEST_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping
    from typing import Any, TypeAlias

    Pairs: TypeAlias = "list[tuple[str, str]] | list[tuple[bytes, bytes]]"
    Carrier: TypeAlias = "Mapping[Any, Any] | Iterable[tuple[Any, Any]]"

TRACEPARENT = "traceparent"
X_REQUEST_ID = "x-request-id"
X_TRACE_ID = "x-trace-id"
_FLAGS = 0x03  # sampled, random: what version 00 of traceparent knows
_READ = frozenset({TRACEPARENT, X_REQUEST_ID, X_TRACE_ID})
_READ_BYTES = frozenset(name.encode() for name in _READ)
_REQUEST_ID_BYTES = X_REQUEST_ID.encode()
_NOTHING = Snapshot(EMPTY)
#: Headers looked at, and characters of each: a flood of them costs no more.
MAX_HEADERS = 1_000
MAX_LENGTH = 512


def extract(carrier: Carrier | None) -> Snapshot:
    """Read ids from a carrier; what is missing or invalid is left out.

    Returns:
        A snapshot with the ids and, if there was a valid one, ``request_id``. Give it to
        :func:`ctxlog.entry`, or enter it as it is.

    Raises:
        UsageError: ``carrier`` is neither a mapping nor pairs.

    Example:
        >>> taken = extract({"X-Request-ID": "r-1", "traceparent": "nonsense"})
        >>> taken.values(), taken.ids
        ({'request_id': 'r-1'}, None)
    """
    found = _read(carrier)
    fields: dict[str, object] = {}
    request_id = found.get(X_REQUEST_ID, "")
    if valid_request_id(request_id):
        fields[REQUEST_ID] = request_id
    ids = _trace_of(found)
    if ids is None:
        return Snapshot(Fields(fields))
    context = remote_context(ids)
    carried = () if context is None else ((ACCESSOR, context),)
    return Snapshot(Fields(fields, ids), carried)


def for_entry(headers: Iterable[Any]) -> Snapshot:
    """Read ids from a request's headers as ASGI has them: pairs of bytes, the names lower-case.

    What :func:`extract` does, for a server's own headers, of which there are many and few are ours;
    but the request id is left for the entry to check, which does so with any.

    Example:
        >>> for_entry([(b"accept", b"*/*"), (b"x-request-id", b"r-1")]).values()
        {'request_id': 'r-1'}
    """
    known = _READ_BYTES
    found = [pair for pair in headers if pair[0] in known]
    if not found:
        return _NOTHING
    if len(found) == 1 and found[0][0] == _REQUEST_ID_BYTES:  # what most of them are
        return Snapshot(Fields({REQUEST_ID: _text(found[0][1]).strip(" \t")}))
    return extract(found)


def inject(carrier: MutableMapping[str, str] | Pairs) -> None:
    """Write the current ids into a carrier: ``traceparent`` and ``x-request-id``.

    Names are lower-case, which HTTP allows and gRPC wants. What is there already under these names,
    in any case, is replaced: a receiver takes a name that comes twice for none. Pairs are written
    as bytes if the list holds bytes.

    Raises:
        UsageError: ``carrier`` is neither a mutable mapping nor a list.

    Example:
        >>> from ctxlog.entries import entry
        >>> headers = {}
        >>> with entry({"x-request-id": "r-1"}):
        ...     inject(headers)
        >>> headers["x-request-id"], len(headers["traceparent"])
        ('r-1', 55)
    """
    headers = _headers()
    if isinstance(carrier, list):
        _inject_pairs(carrier, headers)
    elif hasattr(carrier, "__setitem__") and not isinstance(carrier, bytearray):
        for name, value in headers:
            for other in _same_names(carrier, name):
                del carrier[other]
            carrier[name] = value
    else:
        message = f"inject takes a mutable mapping or a list, not {type(carrier).__name__}"
        raise UsageError(message)


def _inject_pairs(pairs: list[Any], headers: list[tuple[str, str]]) -> None:
    written = {name for name, _ in headers}
    first = pairs[0] if pairs else None
    as_bytes = isinstance(first, tuple | list) and bool(first) and isinstance(first[0], bytes)
    pairs[:] = [
        pair
        for pair in pairs
        if not (isinstance(pair, tuple | list) and pair and _text(pair[0]).lower() in written)
    ]
    for name, value in headers:
        pairs.append((name.encode(), value.encode()) if as_bytes else (name, value))


def _same_names(carrier: Any, name: str) -> list[str]:
    """Return the keys of a mapping that are this name in other letters."""
    if not hasattr(carrier, "keys"):
        return []
    return [
        key
        for key in list(carrier.keys())
        if isinstance(key, str) and key != name and key.lower() == name
    ]


def _headers() -> list[tuple[str, str]]:
    fields = CURRENT.get().fields
    headers = []
    ids = current_ids() or fields.ids
    if ids is not None:
        known = int(ids.trace_flags, 16) & _FLAGS  # W3C: what one does not know is sent as zero
        headers.append((TRACEPARENT, format_traceparent(ids.trace_id, ids.span_id, f"{known:02x}")))
    request_id = fields.values.get(REQUEST_ID)
    if type(request_id) is int:
        request_id = str(request_id)
    if isinstance(request_id, str) and valid_request_id(request_id):
        headers.append((X_REQUEST_ID, request_id))
    return headers


def _trace_of(found: dict[str, str]) -> TraceIds | None:
    parsed = parse_traceparent(found.get(TRACEPARENT, ""))
    if parsed is not None:
        return TraceIds(*parsed)
    trace_id = found.get(X_TRACE_ID, "").lower().replace("-", "")
    if valid_trace_id(trace_id):  # it names no span: one is made, so that the ids stay a unit
        return TraceIds(trace_id, new_span_id(), "00")
    return None


def _read(carrier: Carrier | None) -> dict[str, str]:
    """Return the known headers, names lower-case, as text; without those that contradict."""
    if carrier is None:
        return {}
    pairs = _pairs(carrier)
    found: dict[str, str] = {}
    doubtful = set()
    for _ in range(MAX_HEADERS):
        try:
            name, value = next(pairs)
            key = _text(name).lower()
            if key in _READ:
                text = _text(value).strip(" \t")
                if found.setdefault(key, text) != text:
                    doubtful.add(key)  # W3C: a traceparent that comes twice is none
        except StopIteration:
            break
        except Exception:  # noqa: BLE001, S112 - a stranger's header may be anything
            continue
    return {name: value for name, value in found.items() if name not in doubtful}


def _pairs(carrier: Carrier) -> Iterator[tuple[Any, Any]]:
    try:
        items = getattr(carrier, "items", None)
        if items is not None or not isinstance(carrier, str | bytes | bytearray):
            return iter(items() if items is not None else carrier)
    except TypeError:
        pass
    except Exception:  # noqa: BLE001 - a mapping that fails is one that says nothing
        counters.add("errors.carrier")
        return iter(())
    message = f"a carrier is a mapping or pairs, not {type(carrier).__name__}"
    raise UsageError(message)


def _text(value: object) -> str:
    """Return a header's text; one too long for any that is read is none at all."""
    if isinstance(value, bytes) and len(value) <= MAX_LENGTH:
        return value.decode("latin-1")
    return value if isinstance(value, str) and len(value) <= MAX_LENGTH else ""
