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
from ctxlog.assembly import Assembler
from ctxlog.clock import Clock
from ctxlog.context.fields import CURRENT, thaw
from ctxlog.context.providers import foreign_providers, providers
from ctxlog.counting import counted, counters
from ctxlog.freezing import freeze_fields
from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.message import text_of
from ctxlog.names import ERRORS, EVENT
from ctxlog.output import Output, called
from ctxlog.processors import CallSite, Clean
from ctxlog.redact import Redaction
from ctxlog.schemas import OTEL, Schema
from ctxlog.sinks.last_resort import said
from ctxlog.texts import name_of
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.line import Line
    from ctxlog.sinks.sink import Sink
    from ctxlog.types import Processor

#: Lines written while making a line (a ``__repr__`` or a processor that logs) nest this deep.
MAX_NESTING = 3
_MAX_NAMED = 1_024
_CLOCK = Clock()  # one for all configurations: stamps must not go back at a new one
_FULL = count()
_count_full = _FULL.__next__


class _Depth:
    """How many lines a thread is making, one inside the other."""

    def __init__(self) -> None:
        self.depth = 0


class _Nesting(local):
    """Each thread's own: one look-up a line, where its attributes would be looked up each time."""

    def __init__(self) -> None:
        self.here = _Depth()


NESTING = _Nesting()


def full_lines() -> int:
    """Return how many lines of this process took the full way."""
    return counted(_FULL)


class LoggerName:
    """What processors are given as the logger: its name, as structlog's own ask for it."""

    __slots__ = ("name",)
    #: What a processor asks to hold can be written later: see :mod:`ctxlog.sampling`.
    holds = True
    #: What structlog's ``filter_by_level`` asks: levels have been looked at before the chain.
    disabled = False

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<logger {self.name}>"

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Say that a line of this level is written."""
        return True

    def getEffectiveLevel(self) -> int:  # noqa: N802 - logging's name
        """Return the lowest level there is."""
        return 0


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

    def process(self, line: Line) -> None:
        """Take one line through the chain to every sink. Never raises unless ``strict``."""
        nesting = NESTING.here
        depth = nesting.depth
        try:
            nesting.depth = depth + 1
            _count_full()
            if depth >= MAX_NESTING:
                self._too_deep(line, depth)
                return
            self.assemble(line)
            self._finish(line)
        except Exception as error:
            if self.strict:
                raise
            self._rescue(line, error)
        finally:
            nesting.depth = depth

    def _finish(self, line: Line, start: int = 0) -> None:
        """Take an assembled line through the processors from ``start`` on, and to every sink."""
        if self.processors and not self._through_processors(line, start):
            return
        event = line.event
        if "exc_info" in event:
            self._render_exception(line)
        if line.notes:
            event[ERRORS] = line.notes
        if not self.output.put(event, line.level, line.door):
            self.deliver(self.clean(event), line.level, line.method, line.door)

    def _through_processors(self, line: Line, start: int) -> bool:
        """Give the event to the user's processors; false: it is dropped, or held."""
        event, method, logger = line.event, line.method, line.logger
        named = self._named.get(logger)
        if named is None:
            if len(self._named) >= _MAX_NAMED:
                self._named.clear()
            named = self._named[logger] = LoggerName(logger)
        place, text = start, event.get(EVENT)
        for processor in self.processors[start:] if start else self.processors:
            place += 1
            try:
                result: Any = processor(named, method, event)
                event = result if type(result) is dict else _event_of(result)
                if not event:
                    event = self._head(line, text_of(text, self.cleaner.value))
                    raise ValueError("it left nothing of the event")  # noqa: TRY301 - as above
            except BaseException as error:
                if _is_drop(error):  # it is no Exception
                    return False
                keep = getattr(error, "keep", None) if type(error).__name__ == "Held" else None
                if keep is not None:
                    line.event = event
                    keep(self._holding(line, place))
                    return False
                if not isinstance(error, Exception):
                    raise
                self._failed("processor", processor, error, line)
        line.event = event
        return True

    def _holding(self, line: Line, place: int) -> Callable[[], None]:
        """Return what takes a line up again that a processor holds."""
        if "exc_info" in line.event:
            self._render_exception(line)
        held, kept, latest = freeze_fields(line.event, {}), line.emptied(), self._latest

        def write() -> None:
            kept.event = {name: thaw(value) for name, value in held.items()}
            latest[0]._resume(kept, place)  # noqa: SLF001 - one of its own kind

        return write

    def _resume(self, line: Line, place: int) -> None:
        """Take up a line that a processor held. Never raises unless ``strict``."""
        try:
            self._finish(line, place)
        except Exception:
            if self.strict:
                raise
            counters.add("lost")

    # -- when something fails -----------------------------------------------------------------

    def _failed(self, step: str, part: object, error: Exception, line: Line) -> None:
        if self.strict:
            raise error
        counters.add(f"errors.{step}")
        line.notes.append(said(f"{step} {called(part)}", error))

    def _too_deep(self, line: Line, depth: int) -> None:
        if depth > MAX_NESTING:  # making the bare line logs too
            counters.add("dropped.recursion")
            return
        counters.add("errors.recursion")
        self._write_bare(line, RecursionError("a line logged while making a line, too deep"))

    def _rescue(self, line: Line, error: Exception) -> None:
        try:
            counters.add("errors.pipeline")
            self._write_bare(line, error)
        except Exception:  # noqa: BLE001 - no stack or memory is left; the counter tells
            counters.add("lost")

    def _write_bare(self, line: Line, error: Exception) -> None:
        """Write what needs no chain: head, ids, resource, context, the logger's and the call's fields."""
        if line.context is None:
            line.context = CURRENT.get().fields
            line.ids = line.context.ids
        own = {} if line.bound is None else line.bound.values
        # as exact text: a name whose comparison raises may be what failed
        given = {name_of(name): value for name, value in line.given().items()}
        rest = {**self.resource, **line.context.values, **own, **given}
        names.move(rest, names.RESERVED_BESIDE_IDS)
        line.stamp_ns = None  # what was given may be what failed
        event = {**self._head(line, text_of(line.said, self.cleaner.value)), **rest}
        event[ERRORS] = [said("pipeline", error)]
        self.deliver(self.cleaner.cleaned(event), line.level, "")


def _event_of(result: Any) -> dict[str, Any]:
    """Return what a processor returned as an event, if it is a mapping."""
    if is_mapping(type(result)):
        return dict(result)
    hint = "; a renderer goes to configure(renderer=...)" if isinstance(result, str | bytes) else ""
    raise TypeError(f"it returned {type(result).__name__}, not the event{hint}")


def _is_drop(error: BaseException) -> bool:
    """Say whether a processor asks to drop the event, and count that unless it did."""
    structlog = sys.modules.get("structlog")
    if structlog is None or not isinstance(error, structlog.DropEvent):
        return False
    sampling = sys.modules.get("ctxlog.sampling.rates")
    if sampling is None or not sampling.is_counted(error):
        counters.add("dropped.processor")
    return True
