"""Travel: a snapshot as bytes, as an environment, as a pickle; read without unpickling.

The bytes are one JSON object, ASCII, with its version in front: ids, fields, and what accessors
carry. An accessor whose thing can travel has two more methods:

* ``dump(value, replaced)``: return it as JSON's own types; call ``replaced(name)`` for a part that
  cannot travel and was put as text; raise when nothing of it can;
* ``load(data)``: the value to enter, from what ``dump`` returned; it checks what it is given.

Without them the thing stays behind, is named and counted. Pickles only: its value is then tried as
a pickle of its own, or what its method ``leaving(value)`` returns.

Fields with secret names leave as their mask, see :mod:`ctxlog.context.border`; other variables that
were told to travel do so as they are.
"""

from __future__ import annotations

import os

from ctxlog.context import spans
from ctxlog.context.accessors import MISSING, SPANS, active
from ctxlog.context.border import leaving
from ctxlog.context.fields import Fields
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.freezing import freeze_fields
from ctxlog.ids import TraceIds, format_traceparent, parse_traceparent
from ctxlog.names import REQUEST_ID
from ctxlog.texts import safe_repr
from ctxlog.values import MASK, Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Context
    from typing import Any, Protocol, TypeAlias

    from ctxlog.context.accessors import Accessor, Carried

    class Snapshot(Protocol):
        """What this module needs to know of a snapshot, which builds on it."""

        fields: Fields
        carried: Carried
        everything: Context | None

        @property
        def ids(self) -> TraceIds | None:
            """The ids a line under it has."""
            ...

    #: What arrived: a snapshot's fields, and what accessors carry.
    Arrived: TypeAlias = tuple[Fields, Carried]

VERSION = 1
#: Of a snapshot: fields of 64 KiB are data, not context.
MAX_BYTES = 65_536
#: Of one variable: Linux takes 131,072 for it, Windows 32,767 characters for a whole environment.
ENVIRON_BYTES = 16_384
MIN_BYTES = 1_024
#: Names what could not travel; on every line under the snapshot that arrived.
REPLACED = "context.replaced"
ENVIRON = "CTXLOG_CONTEXT"
TRACEPARENT, TRACESTATE, BAGGAGE = "TRACEPARENT", "TRACESTATE", "BAGGAGE"

_NAMED = 16  # names listed of what was replaced, and characters of each
_NAME = 64
_SHORTENED = (1_024, 64)  # characters of a repr, when the whole is too long
_SCALAR = (str, float, bool, type(None))
_BITS = 13_287  # 4,000 decimal digits; Python refuses to read more than 4,300


class _Replaced:
    """Who could not travel: named in the order met; those of earlier legs are not counted again."""

    __slots__ = ("earlier", "names")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.earlier: frozenset[str] = frozenset()

    def __call__(self, name: str) -> None:
        self.names[name] = None

    def before(self, names: tuple[object, ...]) -> None:
        self.earlier = frozenset(map(str, names))
        self.names.update(dict.fromkeys(map(str, names)))

    def count(self) -> None:
        number = len(self.names.keys() - self.earlier)
        if number:
            counters.add("context.replaced", number)

    def listed(self) -> list[str]:
        shown = [name[:_NAME] for name in list(self.names)[:_NAMED]]
        more = len(self.names) - _NAMED
        return shown if more <= 0 else [*shown, f"<+{more} more>"]


def pack(snapshot: Snapshot, limit: int = MAX_BYTES) -> bytes:
    """Return a snapshot as at most ``limit`` bytes of ASCII."""
    if limit < MIN_BYTES:
        message = f"a snapshot's limit is at least {MIN_BYTES} bytes, not {limit}"
        raise UsageError(message)
    replaced = _Replaced()
    data = _fitted(_body(snapshot, replaced), replaced, limit)
    replaced.count()
    return data


def _body(snapshot: Snapshot, replaced: _Replaced) -> dict[str, Any]:
    fields: dict[str, object] = {}
    for name, value in leaving(snapshot.fields.values, replaced).items():
        if name == REPLACED and type(value) is tuple:  # of the leg before this one
            replaced.before(value)
        else:
            fields[name] = _portable(name, value, replaced)
    carried: dict[str, object] = {}
    for accessor, value in snapshot.carried:
        if value is not MISSING:
            try:
                carried[accessor.name] = accessor.dump(value, replaced)  # type: ignore[attr-defined]
            except Exception:  # noqa: BLE001 - it has no dump, or its value cannot be dumped
                replaced(accessor.name)
    if snapshot.everything is not None:
        replaced("everything")
    ids = snapshot.ids
    body: dict[str, Any] = {"v": VERSION, "fields": fields, "carried": carried}
    if ids is not None:
        body["ids"] = [ids.trace_id, ids.span_id, ids.trace_flags]
    return body


def _portable(name: str, value: Any, replaced: _Replaced) -> object:
    """Return a normalised value as JSON's own types."""
    kind = type(value)
    if kind in _SCALAR or (kind is int and value.bit_length() <= _BITS):
        return value
    if kind is tuple:
        return [_portable(name, item, replaced) for item in value]
    if kind is dict:
        return {key: _portable(name, item, replaced) for key, item in value.items()}
    replaced(name)
    if kind is Secret:
        return MASK
    return hex(value)[: _SHORTENED[0]] if kind is int else safe_repr(value)


def _dumps(value: object) -> bytes:
    import json  # here: only what leaves the process pays for it

    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _fitted(body: dict[str, Any], replaced: _Replaced, limit: int) -> bytes:
    """Encode, cutting the largest values first; ids and the request's id always stay."""
    data = _noted(body, replaced)
    if len(data) <= limit:
        return data
    parts = (body["fields"], body["carried"])
    for chars in (*_SHORTENED, 0, 0):  # twice: the list of names grows with what is dropped
        sizes = [(len(_dumps(value)), name, part) for part in parts for name, value in part.items()]
        sizes.sort(key=lambda size: size[0], reverse=True)
        excess = len(data) - limit
        for size, name, part in sizes:
            if excess <= 0 or (name == REQUEST_ID and size <= MIN_BYTES // 2) or name == REPLACED:
                continue
            if chars and part is body["fields"]:
                short = safe_repr(part[name], chars)
                if len(_dumps(short)) >= size:
                    continue
                part[name] = short
                excess -= size - len(_dumps(short))
            elif not chars:
                del part[name]
                excess -= size + len(_dumps(name)) + 2
            else:
                continue
            replaced(name)
        data = _noted(body, replaced)
        if len(data) <= limit:
            return data
    left = {
        REQUEST_ID: body["fields"].get(REQUEST_ID),
        REPLACED: [f"<{len(replaced.names)} fields>"],
    }
    if not left[REQUEST_ID] or len(_dumps(left)) > limit // 2:
        del left[REQUEST_ID]
    return _dumps({"v": VERSION, "fields": left, "carried": {}, "ids": body.get("ids")})


def _noted(body: dict[str, Any], replaced: _Replaced) -> bytes:
    if replaced.names:
        body["fields"][REPLACED] = replaced.listed()
    return _dumps(body)


def unpack(data: bytes) -> Arrived:
    """Read what :func:`pack` wrote; see :meth:`Snapshot.from_bytes`."""
    import json

    if not isinstance(data, bytes | bytearray | memoryview):
        message = f"from_bytes takes bytes, not {type(data).__name__}"
        raise UsageError(message)
    if len(data) > MAX_BYTES:
        message = f"a snapshot has at most {MAX_BYTES} bytes, not {len(data)}"
        raise UsageError(message)
    try:
        body = json.loads(bytes(data))
    except (ValueError, RecursionError):
        body = None
    if type(body) is not dict or "v" not in body:
        message = "these bytes are no snapshot: give from_bytes what to_bytes returned"
        raise UsageError(message)
    if body["v"] != VERSION:
        message = f"a snapshot of version {body['v']!r:.20}; this ctxlog reads version {VERSION}"
        raise UsageError(message)
    fields, carried = body.get("fields"), body.get("carried")
    if type(fields) is not dict or type(carried) is not dict:
        message = "a snapshot's fields are missing: give from_bytes what to_bytes returned"
        raise UsageError(message)
    return Fields(freeze_fields(fields, {}), _ids(body.get("ids"))), _loaded(carried)


def _ids(parts: object) -> TraceIds | None:
    if type(parts) is not list or [part for part in parts if type(part) is not str]:
        return None
    parsed = parse_traceparent("-".join(["00", *parts]))
    return None if parsed is None else TraceIds(*parsed)


def _loaded(carried: dict[str, object]) -> Carried:
    known = {accessor.name: accessor for accessor in active()}
    loaded: list[tuple[Accessor, Any]] = []
    for name, data in carried.items():
        accessor = known.get(name)
        if accessor is None:  # its library is not loaded here
            counters.add("context.not_entered")
            continue
        try:
            loaded.append((accessor, accessor.load(data)))  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 - forged or foreign: as if it were not there
            counters.add("context.not_entered")
    return tuple(loaded)


# ---- the environment of a subprocess


def to_environ(snapshot: Snapshot, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of ``environ`` with the snapshot in it; see :meth:`Snapshot.to_environ`."""
    out = dict(os.environ if environ is None else environ)
    for name in (ENVIRON, TRACEPARENT, TRACESTATE, BAGGAGE):
        out.pop(name, None)
    out[ENVIRON] = pack(snapshot, ENVIRON_BYTES).decode("ascii")
    ids = snapshot.ids
    if ids is not None:
        out[TRACEPARENT] = format_traceparent(ids.trace_id, ids.span_id, ids.trace_flags)
    return out


def from_environ(environ: Mapping[str, str] | None = None) -> Arrived:
    """Read an environment; see :meth:`Snapshot.from_environ`.

    A ``TRACEPARENT`` wins over the ids in ``CTXLOG_CONTEXT``: whoever started us last wrote it.
    """
    given = os.environ if environ is None else environ
    text = given.get(ENVIRON)
    fields = Fields({})
    carried: Carried = ()
    if text:
        try:
            fields, carried = unpack(text.encode("ascii"))
        except (UsageError, UnicodeError):
            counters.add("context.unreadable")
    parsed = parse_traceparent(given.get(TRACEPARENT, ""))
    if parsed is None:
        return fields, carried
    ids = TraceIds(*parsed)
    context = spans.remote_context(ids)
    rest = tuple(pair for pair in carried if pair[0].name != SPANS)
    spanned = () if context is None else ((spans.ACCESSOR, context),)
    return Fields(fields.values, ids), (*rest, *spanned)


# ---- pickle


def pickled(snapshot: Snapshot) -> tuple[bytes, dict[str, bytes]]:
    """Return how a snapshot is pickled: as its bytes, and what only a pickle can hold."""
    import pickle

    replaced = _Replaced()
    parts: dict[str, bytes] = {}
    body = _body(snapshot, replaced)
    for accessor, value in snapshot.carried:
        if accessor.name in replaced.names and accessor.name not in body["carried"]:
            try:
                part = pickle.dumps(getattr(accessor, "leaving", _as_it_is)(value))
            except Exception:  # noqa: BLE001, S112 - it was named already
                continue
            if len(part) <= MAX_BYTES:
                parts[accessor.name] = part
                del replaced.names[accessor.name]
    data = _fitted(body, replaced, MAX_BYTES)
    replaced.count()
    return data, parts


def _as_it_is(value: object) -> object:
    return value


def arrived(data: bytes, parts: Mapping[str, bytes]) -> Arrived:
    """Return the snapshot of a pickle; what cannot be read is left out, for the job must run."""
    import pickle

    try:
        fields, carried = unpack(data)
    except UsageError:  # the sender's ctxlog is another one
        counters.add("context.unreadable")
        return Fields({}), ()
    known = {accessor.name: accessor for accessor in active()}
    more: list[tuple[Accessor, Any]] = []
    for name, part in parts.items():
        try:
            more.append((known[name], pickle.loads(part)))  # noqa: S301 - part of a pickle itself
        except Exception:  # noqa: BLE001 - its module may be missing here
            counters.add("context.not_entered")
    return fields, (*carried, *more)
