"""Carriers: what a context travels on. Headers in, headers out.

Read are W3C ``traceparent``, B3 in one header and in several, Jaeger, ``X-Trace-ID``, in that order,
and ``X-Request-ID``; written what ``configure(propagators=…)`` or ``OTEL_PROPAGATORS`` say. Whatever
comes in is checked, else as if it were not there: a stranger's header must not forge a line or grow
it.

A carrier is a mapping of names to values, or a list of pairs (gRPC metadata, ASGI, Kafka), names
and values ``str`` or ``bytes``; a WSGI environ; ``os.environ``. Names are compared without case.
"""

from __future__ import annotations

import os
import sys

from ctxlog import formats
from ctxlog.context.fields import CURRENT, EMPTY, Fields
from ctxlog.context.snapshot import Snapshot
from ctxlog.context.spans import ACCESSOR, current_ids, remote_context
from ctxlog.counting import counters
from ctxlog.errors import UsageError, choices, uncalled
from ctxlog.formats import BAGGAGE, TRACESTATE, WRITERS
from ctxlog.ids import TraceIds, valid_request_id
from ctxlog.names import REQUEST_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping
    from typing import Any, Literal, TypeAlias

    Pairs: TypeAlias = "list[tuple[str, str]] | list[tuple[bytes, bytes]]"
    Carrier: TypeAlias = "Mapping[Any, Any] | Iterable[tuple[Any, Any]]"
    Kind: TypeAlias = Literal["headers", "wsgi", "environ"]

X_REQUEST_ID = "x-request-id"
KINDS = ("headers", "wsgi", "environ")
_READ = formats.HEADERS | {X_REQUEST_ID, TRACESTATE, BAGGAGE}
_READ_BYTES = frozenset(name.encode() for name in _READ)
_REQUEST_ID_BYTES = X_REQUEST_ID.encode()
_NOTHING = Snapshot(EMPTY)
#: Headers looked at, and characters of each: a flood of them costs no more.
MAX_HEADERS = 1_000
MAX_LENGTH = 512
MAX_BAGGAGE = 8_192
_MAX_SAME = 8
_LISTS = frozenset({TRACESTATE, BAGGAGE})
_MAX_FOUND = {BAGGAGE: MAX_BAGGAGE}


class Wire:
    """What is configured of the wire.

    Attributes:
        formats: what is written; ``None``: what ``OTEL_PROPAGATORS`` says.
        baggage: members of baggage that become fields, and what these are called.
    """

    __slots__ = ("baggage", "formats")

    def __init__(self) -> None:
        self.set()

    def set(
        self, formats: tuple[str, ...] | None = None, baggage: Mapping[str, str] | None = None
    ) -> None:
        """Replace what is configured."""
        self.formats = formats
        self.baggage = dict(baggage or {})


wire = Wire()


def extract(carrier: Carrier | None, *, kind: Kind | None = None) -> Snapshot:
    """Read ids from a carrier; what is missing or invalid is left out.

    Args:
        carrier: headers.
        kind: how names are spelt: ``"headers"`` as they are, ``"wsgi"`` as ``HTTP_X_REQUEST_ID``,
            ``"environ"`` as ``X_REQUEST_ID``. Default: told by the carrier; a copy of an
            environment looks like any mapping.

    Returns:
        A snapshot with the ids and, if there was a valid one, ``request_id``; and what
        ``configure(baggage=…)`` allows. Give it to :func:`ctxlog.entry`, or enter it as it is.

    Raises:
        UsageError: ``carrier`` is neither a mapping nor pairs, or the kind is unknown.

    Example:
        >>> taken = extract({"X-Request-ID": "r-1", "traceparent": "nonsense"})
        >>> taken.values(), taken.ids
        ({'request_id': 'r-1'}, None)
    """
    found = _read(carrier, _kind_of(carrier, kind))
    fields: dict[str, object] = {}
    if wire.baggage and BAGGAGE in found:
        fields.update(formats.read_baggage(found[BAGGAGE], wire.baggage))
        if not valid_request_id(fields.get(REQUEST_ID, "")):
            fields.pop(REQUEST_ID, None)  # a member may be called that: checked as any
    request_id = found.get(X_REQUEST_ID, "")
    if valid_request_id(request_id):
        fields[REQUEST_ID] = request_id
    ids = formats.read(found)
    if ids is None:
        return Snapshot(Fields(fields))
    context = remote_context(ids, found.get(TRACESTATE, ""))
    if context is not None and BAGGAGE in found:
        context = _with_baggage(context, found[BAGGAGE])
    carried = () if context is None else ((ACCESSOR, context),)
    return Snapshot(Fields(fields, ids), carried)


def _with_baggage(context: Any, text: str) -> Any:
    """Return the context with a caller's baggage, for whoever passes it on, if that is loaded."""
    propagation = sys.modules.get("opentelemetry.baggage.propagation")
    if propagation is None or BAGGAGE not in (wire.formats or formats.named()):
        return context
    try:
        return propagation.W3CBaggagePropagator().extract({BAGGAGE: text}, context)
    except Exception:  # noqa: BLE001 - a stranger's header
        counters.add("errors.carrier")
        return context


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


def inject(carrier: MutableMapping[str, str] | Pairs, *, kind: Kind | None = None) -> None:
    """Write the current ids into a carrier: ``x-request-id``, and the trace's by format.

    The formats are those of ``configure(propagators=…)``, else of ``OTEL_PROPAGATORS``, else W3C's
    ``traceparent``. If the application has loaded OpenTelemetry's propagators, they add what is
    theirs: ``tracestate``, ``baggage``, other formats.

    Names are lower-case, which HTTP allows and gRPC wants. What is there already under these names,
    in any case, is replaced: a receiver takes a name that comes twice for none. Pairs are written
    as bytes if the list holds bytes.

    Args:
        carrier: where to write.
        kind: how names are spelt, see :func:`extract`.

    Raises:
        UsageError: ``carrier`` is neither a mutable mapping nor a list, or the kind is unknown.

    Example:
        >>> from ctxlog.entries import entry
        >>> headers = {}
        >>> with entry({"x-request-id": "r-1"}):
        ...     inject(headers)
        >>> headers["x-request-id"], len(headers["traceparent"])
        ('r-1', 55)
    """
    spelt = _kind_of(carrier, kind)
    headers = _headers()
    if spelt != KINDS[0]:
        prefix = "HTTP_" if spelt == "wsgi" else ""
        headers = [(prefix + name.upper().replace("-", "_"), value) for name, value in headers]
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


def _kind_of(carrier: object, given: object) -> str:
    if given is not None:
        if given not in KINDS:
            raise choices("kind", given, KINDS)
        return str(given)
    if isinstance(carrier, type(os.environ)):
        return "environ"
    if type(carrier) is dict and "REQUEST_METHOD" in carrier and "wsgi.version" in carrier:
        return "wsgi"
    return "headers"


def _inject_pairs(pairs: list[Any], headers: list[tuple[str, str]]) -> None:
    written = {name.lower() for name, _ in headers}
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
        if isinstance(key, str) and key != name and key.lower() == name.lower()
    ]


def _headers() -> list[tuple[str, str]]:
    fields = CURRENT.get().fields
    headers: dict[str, str] = {}
    spanned = current_ids()
    ids = spanned or fields.ids
    if ids is not None:
        for name in wire.formats or formats.named():
            writer = WRITERS.get(name)
            if writer is not None:
                headers.update(writer(ids))
    for name, value in _by_opentelemetry(ids if spanned is None else None).items():
        headers.setdefault(name, value)
    request_id = fields.values.get(REQUEST_ID)
    if type(request_id) is int:
        request_id = str(request_id)
    if isinstance(request_id, str) and valid_request_id(request_id):
        headers[X_REQUEST_ID] = request_id
    return list(headers.items())


def _by_opentelemetry(ids: TraceIds | None) -> dict[str, str]:
    """Return what OpenTelemetry's propagators write, if the application loaded them.

    Args:
        ids: of an entry that is no span of theirs.
    """
    propagate = sys.modules.get("opentelemetry.propagate")
    if not hasattr(propagate, "inject") or wire.formats == ("none",):
        return {}
    found: dict[str, str] = {}
    try:
        propagate.inject(found, None if ids is None else remote_context(ids))  # type: ignore[union-attr] # it has inject
    except Exception:  # noqa: BLE001 - somebody's own propagator: the others' headers still go
        counters.add("errors.carrier")
    wanted = wire.formats or formats.named()
    theirs = {TRACESTATE: "tracecontext" in wanted, BAGGAGE: "baggage" in wanted}
    return {
        name.lower(): value
        for name, value in found.items()
        if isinstance(name, str) and isinstance(value, str)
        if theirs.get(name.lower(), name.lower() not in _READ)
    }


def _read(carrier: Carrier | None, kind: str) -> dict[str, str]:
    """Return the known headers, names lower-case, as text; without those that contradict."""
    if carrier is None:
        return {}
    pairs = _pairs(carrier)
    found: dict[str, str] = {}
    doubtful = set()
    for _ in range(MAX_HEADERS):
        try:
            name, value = next(pairs)
            key = _header(_text(name), kind)
            if key not in _READ:
                continue
            several = value if type(value) is list else (value,)  # gRPC's Metadata has lists
            for one in several[:_MAX_SAME]:
                text = _text(one, _MAX_FOUND.get(key, MAX_LENGTH)).strip(" \t")
                if found.setdefault(key, text) == text:
                    continue
                if key not in _LISTS:
                    doubtful.add(key)  # W3C: a traceparent that comes twice is none
                elif len(found[key]) + len(text) < MAX_BAGGAGE:
                    found[key] = f"{found[key]},{text}"  # one list that came in pieces
        except StopIteration:
            break
        except Exception:  # noqa: BLE001, S112 - a stranger's header may be anything
            continue
    return {name: value for name, value in found.items() if name not in doubtful}


def _header(name: str, kind: str) -> str:
    """Return a header's name, lower-case, from how it is spelt; ``""`` for what is no header."""
    if kind == "headers":
        return name.lower()
    if kind == "wsgi":
        if not name.startswith("HTTP_"):
            return ""
        name = name[5:]
    return name.lower().replace("_", "-") if name.isupper() else ""


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
    raise UsageError(message + uncalled("entry()", carrier))


def _text(value: object, most: int = MAX_LENGTH) -> str:
    """Return a header's text; one too long for any that is read is none at all."""
    if isinstance(value, bytes) and len(value) <= most:
        return value.decode("latin-1")
    return value if isinstance(value, str) and len(value) <= most else ""
