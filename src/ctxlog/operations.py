"""Operations: a unit of work with a name, and one closing line with all that was annotated in it."""

from __future__ import annotations

import sys
from _thread import RLock
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ctxlog import names
from ctxlog.context.accessors import capture
from ctxlog.context.decorate import decorate
from ctxlog.context.fields import CURRENT, Fields, Frame, frame_of, leave, trim
from ctxlog.context.raised import cancelled, remember_own
from ctxlog.context.snapshot import Snapshot
from ctxlog.counting import counters
from ctxlog.errors import UsageError, seconds, uncalled
from ctxlog.freezing import freeze_fields
from ctxlog.levels import ERROR, INFO, WARNING
from ctxlog.logger import get_logger
from ctxlog.tracing import open_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, ParamSpec, Self, TypeVar

    from ctxlog.context.accessors import Carried
    from ctxlog.logger import BoundLogger
    from ctxlog.tracing import OperationSpan

    P = ParamSpec("P")
    R = TypeVar("R")

#: Names of a closing line's own; an annotation of such a name moves to ``fields.<name>``.
_OURS = frozenset({"outcome", "duration_s"}) | names.CALL
SUCCESS, FAILED, CANCELLED, ABANDONED = "success", "error", "cancelled", "abandoned"
_NO_FIELDS: dict[str, object] = {}

#: Names that one operation's annotations may have; more are counted and left out.
MAX_ANNOTATIONS = 1_024


class Work:
    """One run of an operation; whatever carries its context holds it, and may annotate it."""

    __slots__ = ("__weakref__", "_annotated", "_lock", "deadline", "ended", "facts", "finished",
                 "logger", "name", "span", "started", "under")  # fmt: skip

    def __init__(self, name: str, logger: str, deadline: float | None) -> None:
        self.name = name
        self.logger = logger
        self.deadline = deadline
        self.started = monotonic()
        self.finished: float | None = None  # when its duration ended, if before its last line
        self.facts: dict[str, object] = {}  # what the closing line says below what was annotated
        self.ended = False
        self.under: Fields | None = None
        self.span: OperationSpan | None = None
        self._annotated: dict[str, object] = {}
        self._lock = RLock()  # a signal handler or finaliser may annotate what it interrupts

    def annotate(self, fields: dict[str, object]) -> None:
        """Add fields to the closing line."""
        with self._lock:
            if not self.ended:
                annotated = self._annotated
                for name, value in fields.items():
                    if len(annotated) < MAX_ANNOTATIONS or name in annotated:
                        annotated[name] = value
                    else:
                        counters.add("annotate.overflow")
            late = self.ended  # also if what came in between ended it
        if late:
            counters.add("annotate.late")

    def end(self, outcome: str, error: BaseException | None, level: int) -> None:
        """Write the closing line, once."""
        with self._lock:
            if self.ended:
                return
            self.ended = True
            annotated = self._annotated
        fields: dict[str, Any] = self.facts
        if annotated:
            annotated = dict(annotated)
            for name in _OURS.intersection(annotated):
                annotated[names.moved(name, annotated)] = annotated.pop(name)
            fields = {**fields, **annotated}
        fields["outcome"] = outcome
        fields["duration_s"] = round((self.finished or monotonic()) - self.started, 6)
        if error is not None:
            fields["exc_info"] = error
        try:
            self.write(level, fields)
        finally:
            if self.span is not None:
                self.span.end(outcome, error)

    def drop(self) -> None:
        """End it without a closing line: nothing was done."""
        self.ended = True
        if self.span is not None:
            self.span.end(CANCELLED, None)

    def write(self, level: int, fields: dict[str, Any]) -> None:
        """Write the closing line."""
        logger = _loggers.get(self.logger) or _logger(self.logger)
        logger.log(level, self.name, **fields)


_loggers: dict[str, BoundLogger] = {}


def _logger(name: str) -> BoundLogger:
    logger = _loggers.get(name)
    if logger is None:
        if len(_loggers) >= MAX_ANNOTATIONS:
            _loggers.clear()
        logger = _loggers[name] = get_logger(name)
    return logger


class operation:  # noqa: N801 - reads as a function, like contextlib.suppress
    """Run a block, or each call of what it decorates, as a named unit of work.

    It is a scope and, where the application has configured an OpenTelemetry tracer, a span of that
    name. When it ends it writes one line: the name as its event, ``outcome``,
    ``duration_s`` (seconds), and everything :func:`annotate` added below it: in functions it
    called, child tasks, worker threads its context travelled to. Level ``info``; ``error`` with
    the exception when one left it. Cancellation is an outcome, not an error. One that is never
    ended is closed when nothing holds it any more: ``outcome`` is ``"abandoned"``.

    Args:
        name: the event of its closing line; a constant.
        fields: fields bound in it; names that cannot be keywords.
        timeout: seconds it has; :func:`time_left` tells hooks and sinks what remains. It is told,
            not enforced.
        more: fields by keyword.

    Raises:
        UsageError: a name that is no text, a timeout that is no number, fields that are no mapping.

    Example:
        >>> from ctxlog.testing import capture
        >>> with capture() as lines:
        ...     with operation("import", source="s3"):
        ...         annotate(rows=3)
        >>> line = lines.one(event="import")
        >>> line["outcome"], line["rows"], line["source"]
        ('success', 3, 's3')
    """

    __slots__ = ("_bound", "_logger", "_name", "_timeout", "_work")

    def __init__(
        self,
        name: str,
        fields: Mapping[str, object] | None = None,
        /,
        *,
        timeout: float | None = None,
        **more: object,
    ) -> None:
        if not isinstance(name, str):
            message = f"an operation's name is text, not {type(name).__name__}"
            raise UsageError(message + uncalled('operation("name")', name))
        logger: str = sys._getframe(1).f_globals.get("__name__") or "root"  # noqa: SLF001
        self._fill(name, logger, freeze_fields(fields, more), _time(timeout))

    def _fill(
        self,
        name: str,
        logger: str,
        bound: dict[str, object] = _NO_FIELDS,
        timeout: float | None = None,
    ) -> None:
        """Set what is checked already: also for what makes many of them."""
        self._name = name
        self._logger = logger
        self._bound = bound
        self._timeout = timeout
        self._work: Work | None = None

    def __enter__(self) -> Self:
        frame = CURRENT.get()
        if frame.parent is not None and frame.parent.parent is not None:
            trim(frame)
        fields = self._begin(frame.fields)
        held: Any = fields.operation  # this run's: another may begin with this object meanwhile
        span = held.work.span
        CURRENT.set(Frame(fields, frame, self, () if span is None else span.enter()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            remember_own(error, self)
        self.ended(error)
        leave(self)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return ``function`` with each call a run of its own."""
        return decorate(function, self._again)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Begin, for a generator whose steps run in this operation."""
        fields = self._begin(below)
        held: Any = fields.operation
        span = held.work.span
        return fields, capture() if span is None else span.carried(capture())

    def ended(self, error: BaseException | None) -> None:
        """Write the closing line, once: of the run whose block is left, else of the last begun."""
        frame = CURRENT.get()
        own = frame if frame.owner is self else frame_of(self)
        held = None if own is None else own.fields.operation
        # one object may have several blocks at once: the frame knows which is left here
        work = held.work if type(held) is Held else self._work
        if work is self._work:
            self._work = None
        if work is None or work.ended or work.under is None:
            return
        outcome, level, shown = self.judge(error)
        if own is frame:  # by far the most often: its fields are what is current
            work.end(outcome, shown, level)
            mine = frame.fields
            below = None if frame.parent is None else frame.parent.fields
            if below is not None and below.values is mine.values and below.ids is mine.ids:
                below.encoded = mine.encoded  # what comes after is under the same
            return
        if own is not None:  # what was bound in the meantime belongs on the closing line too
            work.under = Fields(own.fields.values, own.fields.ids)
        # under its own fields, whatever was bound or left in between
        Snapshot(work.under).run(work.end, outcome, shown, level)

    def judge(self, error: BaseException | None) -> tuple[str, int, BaseException | None]:
        """Return the outcome, the closing line's level, and the exception that it shows."""
        if error is None:
            return SUCCESS, INFO, None
        outcome, level = _outcome(error)
        return outcome, level, error if outcome is FAILED else None

    def _begin(self, below: Fields) -> Fields:
        deadline = None if self._timeout is None else monotonic() + self._timeout
        outer = below.operation
        if outer is not None and outer.deadline is not None:
            deadline = outer.deadline if deadline is None else min(deadline, outer.deadline)
        work = self._work = Work(self._name, self._logger, deadline)
        values = {**below.values, **self._bound} if self._bound else below.values
        work.span = open_span(self._name, self._logger)
        ids = below.ids if work.span is None else work.span.ids
        if values is below.values and ids is below.ids and outer is None:
            work.under = below
        else:
            work.under = Fields(values, ids)  # without the operation: it must not hold itself
        return Fields(values, ids, Held(work))

    def _again(self) -> Self:
        fresh = type(self).__new__(type(self))
        fresh._fill(self._name, self._logger, self._bound, self._timeout)  # noqa: SLF001 - its own class
        return fresh

    def __repr__(self) -> str:
        return f"<operation {self._name}>"


class Held:
    """What contexts hold of a run: when the last of them is gone unended, the run is closed."""

    __slots__ = ("deadline", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.deadline = work.deadline

    def annotate(self, fields: dict[str, object]) -> None:
        """Add fields to the run's closing line."""
        self.work.annotate(fields)

    def __del__(self) -> None:
        work = self.work
        if work.ended or work.under is None:
            return
        try:
            counters.add("operation.abandoned")
            Snapshot(work.under).run(work.end, ABANDONED, None, WARNING)
        except Exception:  # noqa: BLE001 - the interpreter may be half gone
            counters.add("errors.operation")


def annotate(fields: Mapping[str, object] | None = None, /, **more: object) -> None:
    """Add fields to the closing line of the operation this work belongs to; the last one wins.

    Works from child tasks and worker threads, wherever the context travelled. Without an operation,
    or after it has ended, the counter ``annotate.ownerless`` or ``annotate.late`` moves.

    Raises:
        UsageError: ``fields`` is not a mapping.

    Example:
        >>> annotate(rows=3)  # no operation: counted, no error
    """
    frozen = freeze_fields(fields, more)
    current = CURRENT.get().fields.operation
    if current is None:
        counters.add("annotate.ownerless")
    else:
        current.annotate(frozen)


def _time(given: object) -> float | None:
    """Return what an operation has; what is left of somebody's time may be less than nothing."""
    if given is None or (type(given) is float and given == inf):
        return None
    less = isinstance(given, int | float) and given < 0
    return 0.0 if less else seconds("timeout", given)


def time_left() -> float | None:
    """Return the seconds the current operation has left, never below 0; ``None`` without a timeout.

    Example:
        >>> with operation("import", timeout=60):
        ...     59 < time_left() <= 60
        True
    """
    current = CURRENT.get().fields.operation
    if current is None or current.deadline is None:
        return None
    return max(0.0, current.deadline - monotonic())


def _outcome(error: BaseException | None) -> tuple[str, int]:
    kind = type(error)  # not isinstance: __class__ may lie
    if error is None or issubclass(kind, (GeneratorExit, StopIteration, StopAsyncIteration)):
        return SUCCESS, INFO
    if cancelled(error):
        return CANCELLED, INFO
    if issubclass(kind, SystemExit) and not getattr(error, "code", None):
        return SUCCESS, INFO
    return FAILED, ERROR
