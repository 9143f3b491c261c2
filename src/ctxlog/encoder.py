"""Encoder: what the fast path encodes once and joins often, and what it must look at per line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.ids import keep_encoded
from ctxlog.levels import name_of as level_name
from ctxlog.message import interpolate
from ctxlog.objects import BESIDE_KIND, KIND, may_be_one
from ctxlog.ordinary import SIMPLE
from ctxlog.pipeline import NESTING
from ctxlog.renderers.json import DEL, dumps, encode
from ctxlog.values import SCALARS, Lazy

if TYPE_CHECKING:
    from typing import TypeAlias

    from ctxlog.context.fields import Fields
    from ctxlog.ids import TraceIds
    from ctxlog.pipeline import Pipeline

    #: The names known to collide with nothing, the names below them, whether these are plain (as
    #: they stand they may go into any line), and on which side of an object this shape is.
    Shape: TypeAlias = tuple[set[str], frozenset[str], bool, dict[str, bool]]

#: Call field names that were checked once and need no second look, per set of names below them.
MAX_KNOWN_NAMES = 1_024
MAX_SHAPES = 256
#: Loggers whose heads are kept; dynamic names must not grow memory.
MAX_HEADS = 1_024
MAX_LEVELS = 16

_IDS = f',"{names.TRACE_ID}":"%b","{names.SPAN_ID}":"%b","{names.TRACE_FLAGS}":"%b"'.encode()
#: Types of values that are computed when a line is written: they cannot be encoded before.
_LATE = frozenset({Lazy})
_EASY = SCALARS - {float, int}


class Encoder:
    """What is encoded once and joined often, for one configuration."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.limits = pipeline.limits
        self.resource = pipeline.resource
        self.schema = pipeline.schema
        self.as_they_are = not pipeline.schema.renames
        self.cleaner = pipeline.cleaner
        self.room = min(self.limits.value_bytes, self.limits.line_bytes // 2)
        self.shapes: dict[frozenset[str], Shape] = {}
        self.heads: dict[int, dict[str, bytes]] = {}

    def head(self, logger: str, level: int) -> bytes:
        """Return what stands between the stamp and the event's text."""
        head = self.head_of(logger, level_name(level))
        heads = self.heads.setdefault(level, {})
        if len(heads) >= MAX_HEADS or len(self.heads) > MAX_LEVELS:
            self.heads.clear()
        else:
            heads[logger] = head
        return head

    def head_of(self, logger: str, level: str) -> bytes:
        """Encode a level's name and a logger's."""
        values = {
            names.LEVEL: self.cleaner.value(names.LEVEL, level),
            names.LOGGER: self.cleaner.value(names.LOGGER, logger),
        }
        data = encode(self.schema.rename(values))
        return b"," + data[1:-1] + b',"' + self.schema.called(names.EVENT).encode() + b'":'

    def known_over(self, below: frozenset[str]) -> Shape:
        """Return the call names known to collide with nothing ``below``, and what is below.

        One set for all contexts with the same names, so that a look at it is the whole check.
        """
        shape = self.shapes.get(below)
        if shape is None:
            if len(self.shapes) >= MAX_SHAPES:
                self.shapes.clear()
            shape = self.shapes[below] = (set(), below, self._are_plain(below), {})
        return shape

    def _are_plain(self, below: frozenset[str]) -> bool:
        return (
            self.as_they_are
            and not self.cleaner.redaction.patterns
            and not may_be_one(below)
            and names.RESERVED_BESIDE_IDS.isdisjoint(below)
            and names.RESERVED_BESIDE_IDS.isdisjoint(self.resource)
            and all(map(self.cleaner.fits, (*self.resource, *below)))
        )

    def learn(self, fields: dict[str, Any], shape: Shape) -> list[str] | None:
        """Check the names of call fields and return those bound below too.

        ``None`` when a name needs the full way.
        """
        known, below, _, _ = shape
        twice = []
        for name in fields:
            if name in known:
                continue
            if (
                _moves(name)
                or name in self.resource
                or name in self.schema.reserved
                or not self.cleaner.fits(name)
                or ((name == KIND or name in BESIDE_KIND) and not _fits_beside(name, shape))
            ):
                return None
            if name in below:
                twice.append(name)
                continue
            if len(known) >= MAX_KNOWN_NAMES:
                known.clear()
            known.add(name)
        return twice

    def without(
        self, twice: list[str], context: Fields, bound: Fields | None, *, has_ids: bool
    ) -> bytes | None:
        """Encode what stands below the call's fields, less the names the call binds again."""
        values = {**self.resource, **context.values}
        if bound is not None:
            values.update(bound.values)
        for name in twice:
            del values[name]
        return self._fragment(values, has_ids=has_ids)

    def context(self, fields: Fields) -> tuple[Any, ...]:
        """Encode a context with the resource below it, twice: beside ids, and without.

        ``(owner, with_ids, without_ids, shape)``; both ``None`` when values are read per line.
        """
        values = {**self.resource, **fields.values} if self.resource else fields.values
        below = frozenset(fields.values)
        shape = self.shapes.get(below) or self.known_over(below)
        with_ids = without = self._as_it_is(values) if shape[2] else None
        if with_ids is None and _LATE.isdisjoint(map(type, values.values())):
            with_ids = without = self._fragment(values, has_ids=True)
            if not names.IDS.isdisjoint(values):
                without = self._fragment(values, has_ids=False)
        entry = (self, with_ids, without, shape)
        fields.encoded = entry
        return entry

    def _as_it_is(self, values: dict[str, Any]) -> bytes | None:
        """Encode values under plain names, if they are short, simple and ASCII: most contexts are.

        Half the time of :meth:`_fragment`: their JSON tells at once that no value is too long.
        """
        if not SIMPLE.issuperset(map(type, values.values())):
            return None
        try:
            data = dumps(values)
        except TypeError:  # 2**64, a lone surrogate
            return None
        if len(data) > self.room or not data.isascii() or DEL in data:
            return None
        return b"," + data[1:-1] if values else b""

    def bound(self, fields: Fields, below: Shape) -> tuple[Any, ...]:
        """Encode a logger's own fields on one shape of context.

        ``(owner, fragment, shape below, shape of both)``; no fragment: it needs the full way.
        """
        values = fields.values
        fragment = None
        if (
            below[1].isdisjoint(values)
            and not may_be_one(below[1].union(values))
            and self.resource.keys().isdisjoint(values)
            and not any(map(_moves, values))
            and _LATE.isdisjoint(map(type, values.values()))
        ):
            fragment = self._fragment(values, has_ids=False)
        entry = (self, fragment, below, self.known_over(below[1].union(values)))
        fields.encoded = entry
        return entry

    def _fragment(self, values: dict[str, Any], *, has_ids: bool) -> bytes | None:
        reserved = names.RESERVED_BESIDE_IDS if has_ids else names.RESERVED
        if not reserved.isdisjoint(values):
            values = dict(values)
            names.move(values, reserved)
        data = encode(self.schema.rename(self.cleaner.clean(values)))
        if len(data) > self.limits.line_bytes // 2:
            return None
        return b"" if data == b"{}" else b"," + data[1:-1]

    def ids(self, ids: TraceIds) -> bytes:
        """Encode the ids; kept on them, for they are the same for a whole piece of work."""
        trace_id, span_id, flags = ids.trace_id, ids.span_id, ids.trace_flags
        if self.as_they_are and (text := trace_id + span_id + flags).isalnum() and text.isascii():
            # each entry comes by: a third of the time
            fragment = _IDS % (trace_id.encode(), span_id.encode(), flags.encode())
            keep_encoded(ids, (self, fragment))
            return fragment
        values: dict[str, Any] = {
            names.TRACE_ID: trace_id,
            names.SPAN_ID: span_id,
            names.TRACE_FLAGS: flags,
        }
        data = encode(self.schema.rename(values))
        fragment = b"," + data[1:-1]
        keep_encoded(ids, (self, fragment))
        return fragment

    def values(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return call fields with every value plain.

        Raises:
            RecursionError: a line is being made already; the full way bounds how deep that goes.
        """
        value_of = self.cleaner.value
        with _one_line():
            return {
                name: value if type(value) in _EASY else value_of(name, value)
                for name, value in fields.items()
            }

    def said(self, event: str, args: tuple[Any, ...]) -> str:
        """Return ``event % args``.

        Raises:
            Exception: the arguments do not fit, or raise; or, as in :meth:`values`, they log.
        """
        if SCALARS.issuperset(map(type, args)):
            return event % args
        with _one_line():
            try:
                return interpolate(event, args, self.cleaner.value)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                raise ValueError from error  # the full way says it on the line

    @staticmethod
    def resolved(fields: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Return call fields as they were, but what was computed stays: once a line is enough."""
        if _LATE.isdisjoint(map(type, fields.values())):
            return fields
        return {
            name: values[name] if type(fields[name]) in _LATE else fields[name] for name in fields
        }


def encoder_for(pipeline: Pipeline) -> Encoder:
    """Return the one encoder of a configuration: ways into it share what they have encoded."""
    encoder: Encoder | None = pipeline.encoder
    if encoder is None:
        encoder = pipeline.encoder = Encoder(pipeline)
    return encoder


class _one_line:  # noqa: N801 - reads as what it does
    """Make one line at a time on this thread: values may log when they are looked at."""

    def __enter__(self) -> None:
        if NESTING.here.depth:
            raise RecursionError
        NESTING.here.depth = 1

    def __exit__(self, *details: object) -> None:
        NESTING.here.depth = 0


def _fits_beside(name: str, shape: Shape) -> bool:
    """Return whether a name may be known: ``kind`` and ``data`` never both, for it may be a Secret.

    Which of the two is said once a shape, in one step: threads learn at the same time.
    """
    _, below, _, side = shape
    others = BESIDE_KIND if name == KIND else {KIND}
    return others.isdisjoint(below) and side.setdefault("is a kind's", name == KIND) == (
        name == KIND
    )


def _moves(name: str) -> bool:
    """Return whether a name is reserved on some line, or is one that those move to."""
    return name in names.RESERVED_BESIDE_IDS or name.startswith(names.MOVED)
