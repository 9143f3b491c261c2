"""Pipeline: the chain an event goes through, built once per configuration, guarded at every step.

Two ways lead through it, with the same result. The *fast* one (:mod:`ctxlog.fastpath`), for events
that need no chain, joins what was encoded before. Everything else takes the *full* one, here: a
dict through the chain. It moves the counter ``slow_path``.

Each step may fail: that costs the step. The line still goes out, names what failed under
``ctxlog.errors``, and a counter moves.
"""

from __future__ import annotations

import sys
from copy import copy
from itertools import count
from threading import local
from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.assembly import Assembler, is_nested, text_of
from ctxlog.clock import Clock
from ctxlog.context.fields import CURRENT, Fields, thaw
from ctxlog.context.providers import foreign_providers, providers
from ctxlog.context.spans import current_ids
from ctxlog.counting import counted, counters
from ctxlog.levels import NAMES as LEVEL_NAMES
from ctxlog.levels import name_of as level_name
from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.names import (
    ERRORS,
    LEVEL,
)
from ctxlog.output import Output, called
from ctxlog.processors import CallSite, Clean
from ctxlog.redact import Redaction
from ctxlog.schemas import OTEL, Schema
from ctxlog.sinks.last_resort import said
from ctxlog.values import freeze_fields
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.ids import TraceIds
    from ctxlog.sinks.sink import Sink
    from ctxlog.stamps import Stamp
    from ctxlog.types import Processor

#: Lines written while making a line (a ``__repr__`` or a processor that logs) nest this deep.
MAX_NESTING = 3
_MAX_NAMED = 1_024
_CLOCK = Clock()  # one for all configurations: stamps must not go back at a new one
_FULL = count()
_count_full = _FULL.__next__


class _Nesting(local):
    depth = 0


#: How many lines this thread is making, one inside the other.
NESTING = _Nesting()


def full_lines() -> int:
    """Return how many lines of this process took the full way."""
    return counted(_FULL)


class LoggerName:
    """What processors are given as the logger: its name, as structlog's own ask for it."""

    __slots__ = ("name",)
    #: What a processor asks to hold can be written later: see :mod:`ctxlog.sampling`.
    holds = True

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<logger {self.name}>"


class Pipeline(Assembler):
    """One frozen configuration of the chain; :meth:`process` takes any event through it."""

    def __init__(  # noqa: PLR0913 - the parts of a chain, each by name
        self,
        *,
        sinks: tuple[Sink, ...] = (),
        processors: tuple[Processor, ...] = (),
        redaction: Redaction | None = None,
        limits: Limits = DEFAULT_LIMITS,
        schema: Schema = OTEL,
        resource: Mapping[str, object] | None = None,
        callsite: bool = False,
        strict: bool = False,
        clock: Clock = _CLOCK,
        reads_foreign: bool = True,
    ) -> None:
        self.processors = self.configured = processors
        self.redaction = Redaction() if redaction is None else redaction
        self.limits = limits
        self.resource = freeze_fields(resource, {})
        self._nested_resource = is_nested(self.resource)
        self.callsite = CallSite() if callsite else None
        self.strict = strict
        self.clock = clock
        self.schema = schema
        self.reads_foreign = reads_foreign
        self.encoder: Any = None  # what ways into it have encoded; see ctxlog.encoder
        self.cleaner = Clean(self.redaction, limits)
        self.clean = self.cleaner.clean
        self._named: dict[str, LoggerName] = {}
        self._latest = [self]  # shared with what `with_sinks` makes: held lines go to the last one
        self._set_parts(sinks)

    def with_sinks(self, sinks: tuple[Sink, ...]) -> Pipeline:
        """Return the same chain in front of other sinks, and with the providers there are now."""
        other = copy(self)
        other._set_parts(sinks)  # noqa: SLF001 - its own class
        self._latest[0] = other
        return other

    def with_processors(self, processors: tuple[Processor, ...]) -> Pipeline:
        """Return the same chain with other processors; ``configured`` has those it was made with.

        A line that one of them holds goes on behind its place, so they keep their places.
        """
        if processors is self.processors:
            return self
        other = copy(self)
        other.processors = processors
        self._latest[0] = other
        return other

    def _set_parts(self, sinks: tuple[Sink, ...]) -> None:
        """Look up once what every line needs."""
        self.sinks = sinks
        self._simple = not (
            providers()
            or foreign_providers()
            or not names.RESERVED_BESIDE_IDS.isdisjoint(self.resource)
        )
        self.output = Output(sinks, self.cleaner, strict=self.strict, schema=self.schema)
        self.deliver = self.output.deliver

    # -- the full way -------------------------------------------------------------------------

    def process(  # noqa: PLR0913 - all that a front door knows of an event
        self,
        logger: str,
        level: int,
        event: object,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        bound: Fields | None = None,
        context: Fields | None = None,
        ids: TraceIds | None = None,
        *,
        method: str | None = None,
        stamp_ns: int | None = None,
        notes: tuple[str, ...] = (),
        level_text: str | None = None,
        door: str | None = None,
        stamp: Stamp | None = None,
    ) -> None:
        """Take one event through the chain to every sink. Never raises unless ``strict``.

        Args:
            logger: the logger's name.
            level: its number.
            event: the message, before ``%``.
            args: what ``%`` takes.
            fields: the call's own; they are taken over and may be changed.
            bound: the logger's own fields.
            context: what was bound where the line was written; ``None``: what is bound here.
            ids: the ids there; only read beside ``context``.
            method: the name of the method called, for processors; default is the level's name.
            stamp_ns: when it was written, in ns since the epoch; default is now.
            notes: what failed on the way here.
            level_text: what another library calls the level; default is what we call its number.
            door: the library it was written with: sinks of the same ``door`` do not get it back.
            stamp: all that was current where the line was written, when that was elsewhere:
                instead of ``context`` and ``ids``, and providers are not asked here.
        """
        depth = NESTING.depth
        try:
            NESTING.depth = depth + 1
            _count_full()
            if depth >= MAX_NESTING:
                self._too_deep(
                    depth, logger, level, event, {**_given(args), **fields}, context, ids
                )
                return
            if stamp is not None:
                context, ids = stamp.context, stamp.ids
            elif context is None:
                context = CURRENT.get().fields
                ids = current_ids() or context.ids
            said_so = [*notes]
            line = self.assemble(
                logger, level, event, args, fields, bound, context, ids, stamp_ns, said_so, stamp
            )
            if level_text is not None:
                line[LEVEL] = level_text
            name = method or LEVEL_NAMES.get(level) or level_name(level)
            self._finish(line, level, name, logger, said_so, door)
        except Exception as error:
            if self.strict:
                raise
            self._rescue(logger, level, event, {**_given(args), **fields}, context, ids, error)
        finally:
            NESTING.depth = depth

    def _finish(  # noqa: PLR0913 - what is known of a line by now
        self,
        event: dict[str, Any],
        level: int,
        method: str,
        logger: str,
        notes: list[str],
        door: str | None,
        start: int = 0,
    ) -> None:
        """Take an assembled event through the processors from ``start`` on, and to every sink."""
        if self.processors:
            done = self._through_processors(event, level, method, logger, notes, door, start)
            if done is None:
                return
            event = done
        if "exc_info" in event:
            self._render_exception(event, notes)
        if notes:
            event[ERRORS] = notes
        self.deliver(self.clean(event), level, method, door)

    def _holding(  # noqa: PLR0913 - the same
        self,
        event: dict[str, Any],
        level: int,
        method: str,
        logger: str,
        notes: list[str],
        door: str | None,
        place: int,
    ) -> Callable[[], None]:
        """Return what takes a line up again that a processor holds."""
        if "exc_info" in event:
            self._render_exception(event, notes)
        held, latest = freeze_fields(event, {}), self._latest

        def write() -> None:
            line = {name: thaw(value) for name, value in held.items()}
            latest[0]._resume(line, level, method, logger, notes, door, place)  # noqa: SLF001 - one of its own kind

        return write

    def _resume(self, event: dict[str, Any], *rest: Any) -> None:
        """Take up a line that a processor held. Never raises unless ``strict``."""
        try:
            self._finish(event, *rest)
        except Exception:
            if self.strict:
                raise
            counters.add("lost")

    def _through_processors(  # noqa: PLR0913 - the same
        self,
        event: dict[str, Any],
        level: int,
        method: str,
        logger: str,
        notes: list[str],
        door: str | None,
        start: int,
    ) -> dict[str, Any] | None:
        """Return what the user's processors made of an event; ``None``: it is dropped, or held."""
        named = self._named.get(logger)
        if named is None:
            if len(self._named) >= _MAX_NAMED:
                self._named.clear()
            named = self._named[logger] = LoggerName(logger)
        place = start
        for processor in self.processors[start:] if start else self.processors:
            place += 1
            try:
                result: Any = processor(named, method, event)
                if type(result) is dict:
                    event = result
                elif is_mapping(type(result)):
                    event = dict(result)
                else:
                    raise TypeError(_wrong_result(result))  # noqa: TRY301 - said as any other failure
            except BaseException as error:
                if _is_drop(error):  # it is no Exception
                    return None
                keep = getattr(error, "keep", None) if type(error).__name__ == "Held" else None
                if keep is not None:
                    keep(self._holding(event, level, method, logger, notes, door, place))
                    return None
                if not isinstance(error, Exception):
                    raise
                self._failed("processor", processor, error, notes)
        return event

    # -- when something fails -----------------------------------------------------------------

    def _failed(self, step: str, part: object, error: Exception, notes: list[str]) -> None:
        if self.strict:
            raise error
        counters.add(f"errors.{step}")
        notes.append(said(f"{step} {called(part)}", error))

    def _too_deep(  # noqa: PLR0913 - see process
        self,
        depth: int,
        logger: str,
        level: int,
        event: object,
        fields: dict[str, Any],
        context: Fields | None,
        ids: TraceIds | None,
    ) -> None:
        if depth > MAX_NESTING:  # making the bare line logs too
            counters.add("dropped.recursion")
            return
        counters.add("errors.recursion")
        error = RecursionError("a line logged while making a line, too deep")
        self._write_bare(logger, level, event, fields, context, ids, error)

    def _rescue(  # noqa: PLR0913 - see process
        self,
        logger: str,
        level: int,
        event: object,
        fields: dict[str, Any],
        context: Fields | None,
        ids: TraceIds | None,
        error: Exception,
    ) -> None:
        try:
            counters.add("errors.pipeline")
            self._write_bare(logger, level, event, fields, context, ids, error)
        except Exception:  # noqa: BLE001 - no stack or memory is left; the counter tells
            counters.add("lost")

    def _write_bare(  # noqa: PLR0913 - see process
        self,
        logger: str,
        level: int,
        event: object,
        fields: dict[str, Any],
        context: Fields | None,
        ids: TraceIds | None,
        error: Exception,
    ) -> None:
        """Write what can be written without the chain: head, ids, context, the call's fields."""
        if context is None:
            context = CURRENT.get().fields
            ids = context.ids
        rest = {**context.values, **fields}
        names.move(rest, names.RESERVED_BESIDE_IDS)
        line = {**self._head(logger, level, text_of(event, self.cleaner.value), ids, None), **rest}
        line[ERRORS] = [said("pipeline", error)]
        self.deliver(self.cleaner.cleaned(line), level, "")


def _given(args: tuple[Any, ...]) -> dict[str, Any]:
    return {"positional_args": args} if args else {}


def _wrong_result(result: object) -> str:
    hint = "; a renderer goes to configure(renderer=...)" if isinstance(result, str | bytes) else ""
    return f"it returned {type(result).__name__}, not the event{hint}"


def _is_drop(error: BaseException) -> bool:
    """Say whether a processor asks to drop the event, and count that unless it did."""
    structlog = sys.modules.get("structlog")
    if structlog is None or not isinstance(error, structlog.DropEvent):
        return False
    sampling = sys.modules.get("ctxlog.sampling.rates")
    if sampling is None or not sampling.is_counted(error):
        counters.add("dropped.processor")
    return True
