"""Events: what was logged, as data, each with where and under what it was logged."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import thaw
from ctxlog.line import Line
from ctxlog.pipeline import Pipeline
from ctxlog.sinks.call import CallSink
from ctxlog.testing.lines import Lines
from ctxlog.testing.recording import listen, unlisten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from ctxlog.testing.places import Place
    from ctxlog.testing.recording import Record

#: Lines kept of one test; the oldest go first, counted.
MAX_LINES = 20_000


class Event(dict[str, Any]):
    """One event: the names and values its line has; and what is known of it beside them.

    Attributes:
        context: what was bound where it was logged.
        door: the library it was logged with: ``ctxlog``, ``logging``, ``structlog``, ``loguru``,
            ``file``.
        thread: the thread's name.
        task: the asyncio or trio task's name, ``None`` outside any.
        place: the line of code: ``file``, ``line``, ``function``; ``None`` if it is not known.
    """

    __slots__ = ("context", "door", "place", "task", "thread")

    def __init__(self, line: Mapping[str, Any], record: Record) -> None:
        super().__init__(line)
        self.context: dict[str, Any] = {
            name: thaw(value) for name, value in record.stamp.context.values.items()
        }
        self.door = record.door
        self.thread = record.thread
        self.task = record.task
        self.place: Place | None = record.place


class Found(Lines):
    """Events that a query found; a failure tells where each was logged."""

    def _told(self, line: Any) -> str:
        told = " ".join(f"{name}={value!r}" for name, value in line.items() if name != "timestamp")
        by = f", task {line.task}" if line.task else ""
        return f"{line.place}: {told} ({line.door}, thread {line.thread}{by})"

    def _nothing(self) -> str:
        level = logging.getLogger().level
        if level <= logging.INFO:
            return super()._nothing()
        return (
            f"{super()._nothing()}; the root logger is at {logging.getLevelName(level)}, what is below"
            " its logger's level is not written: pytest's log_level lowers the root's"
        )


class Events:
    """The events of every door, in the order they were logged; more come in as they are logged.

    A sequence of :class:`Event`. Levels hold: what is below its logger's level is not written, and
    not here. Processors of the application's have not run; secrets are masked, limits kept.

    Example:
        >>> import logging
        >>> from ctxlog.context.scope import scope
        >>> with Events() as events, scope(request_id="r-1"):
        ...     logging.getLogger("shop").warning("sold %d", 3)
        >>> event = events.one(event="sold 3")
        >>> event["request_id"], event.door, event.context
        ('r-1', 'logging', {'request_id': 'r-1'})
    """

    def __init__(self, most: int = MAX_LINES) -> None:
        self.records: deque[Record] = deque(maxlen=most)
        self.dropped = 0
        self._made: dict[int, Event] = {}

    def take(self, record: Record) -> None:
        """Keep one more."""
        if len(self.records) == self.records.maxlen:
            self.dropped += 1
            self._made.pop(id(self.records[0]), None)
        self.records.append(record)

    def clear(self) -> None:
        """Forget what came in so far."""
        self.records.clear()
        self._made.clear()
        self.dropped = 0

    def __enter__(self) -> Self:
        listen(self.take)
        return self

    def __exit__(self, *_: object) -> None:
        unlisten(self.take)

    def all(self) -> Found:
        """Return those there are now."""
        found = Found()
        for record in list(self.records):
            event = self._made.get(id(record))
            if event is None:
                event = self._made[id(record)] = event_of(record)
            found.append(event)
        return found

    def where(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> Found:
        """Return those that have these fields; values as :meth:`Lines.where` takes them."""
        return self.all().where(fields, **wanted)

    def one(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> Event:
        """Return the only one that has these fields.

        Raises:
            AssertionError: none has, or several; it shows the nearest and why they do not match.
        """
        __tracebackhide__ = True
        event: Event = self.all().one(fields, **wanted)
        return event

    def assert_any(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> None:
        """Assert that at least one has these fields."""
        __tracebackhide__ = True
        self.all().assert_any(fields, **wanted)

    def assert_none(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> None:
        """Assert that none has these fields."""
        __tracebackhide__ = True
        self.all().assert_none(fields, **wanted)

    def assert_all_have(self, *names: str) -> None:
        """Assert that all have these fields, and that there are any."""
        __tracebackhide__ = True
        self.all().assert_all_have(*names)

    def assert_order(self, *events: str) -> None:
        """Assert that these events were logged in this order; others may stand between."""
        __tracebackhide__ = True
        self.all().assert_order(*events)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.all())  # type: ignore[arg-type] # a list of dicts to who reads types

    def __getitem__(self, index: int) -> Event:
        event: Event = self.all()[index]  # type: ignore[assignment] # as above
        return event

    def __repr__(self) -> str:
        return f"<{len(self)} events>"


def event_of(record: Record) -> Event:
    """Return the event of what was recorded: its line's names and values."""
    made: list[Any] = []
    sink = CallSink(made.append)
    sink.wants_event = True
    line = Line(
        record.logger, record.level, record.event, record.args, dict(record.fields), record.bound
    )
    line.stamp_ns, line.level_text = record.at_ns, record.level_text
    line.written_at(record.stamp)
    pipeline = Pipeline(sinks=(sink,), resource=record.resource, redaction=record.redaction)
    pipeline.process(line)
    return Event(made[0] if made else {}, record)
