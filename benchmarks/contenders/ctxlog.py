"""ctxlog, as ``configure()`` leaves it: everything on."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import ctxlog
from benchmarks.contender import Contender, traceback_in_common
from benchmarks.scenarios import BURST, LOGGER, nothing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.contender import Event
    from benchmarks.scenarios import Case, Group

FIRST_LINE = """
import ctxlog
ctxlog.configure(level="info", renderer="json", stream=stream)
ctxlog.get_logger("bench").info("accepted", items=3, user="bob", ok=True)
"""


def snapshot(_: Any, times: int) -> None:
    """Take a snapshot."""
    for _ in repeat(None, times):
        ctxlog.snapshot()


def wrap(_: Any, times: int) -> None:
    """Wrap a callable and call it."""
    for _ in repeat(None, times):
        ctxlog.wrap(nothing)()


def scope(_: Any, times: int) -> None:
    """Go in and out."""
    for _ in repeat(None, times):
        with ctxlog.scope(request_id="r-1", user="bob"):
            pass


def scope_and_line(log: Any, times: int) -> None:
    """Do what a short request does."""
    for _ in repeat(None, times):
        with ctxlog.scope(request_id="r-1", tenant="acme", region="eu", attempt=1):
            log.info("accepted", items=3, user="bob", ok=True)


def drained(log: Any, times: int) -> None:
    """Write into the queue, and wait until it is empty."""
    for _ in repeat(None, times):
        for _ in repeat(None, BURST):
            log.info("accepted", items=3, user="bob", ok=True)
        ctxlog.flush()


class Ctxlog(Contender):
    """The default pipeline; the doors of other libraries are shut."""

    name = "ctxlog"
    bodies: ClassVar = {
        "snapshot": snapshot,
        "wrap": wrap,
        "scope": scope,
        "scope_line": scope_and_line,
    }
    first_line = FIRST_LINE

    def __init__(self) -> None:
        self._open: list[object] = []

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Configure what this process writes with."""
        options: dict[str, Any] = {"processors": group.processors} if group.processors else {}
        # structlog's contextvars are not read: the rival binds dozens in this very process, and
        # marking the contexts that use them would slow its own `bind_contextvars`
        ctxlog.configure(
            level="info", renderer="json", stream=stream, stdlib=False, structlog=False, **options
        )

    def logger(self, case: Case) -> Any:
        """Return the logger of a module."""
        log = ctxlog.get_logger(LOGGER)
        return log.bind(**case.bound) if case.bound else log

    def enter(self, fields: Mapping[str, object]) -> None:
        """Bind in this context."""
        scope = ctxlog.scope(fields)
        scope.__enter__()
        self._open.append(scope)  # kept: one that is collected may leave

    def common(self, event: Event) -> Event:
        """Put the exception under the common names."""
        if "exception.type" not in event:
            return event
        parts = [event.pop(f"exception.{name}") for name in ("type", "message", "stacktrace")]
        event.pop("error.type", None)
        frames = parts[2].count('\n  File "')
        return {**event, **traceback_in_common(parts[0], parts[1], frames)}

    def failures(self) -> int:
        """Add up what the guards have caught."""
        counted = ctxlog.counters().items()
        return sum(number for name, number in counted if name.startswith(("errors.", "dropped.")))

    def slow_lines(self) -> int:
        """Read ctxlog's own counter."""
        return ctxlog.counters().get("slow_path", 0)


class Queued(Ctxlog):
    """With a queue in front of the stream, as ``queue=True`` makes it."""

    name = "ctxlog queue"
    bodies: ClassVar = {"drained": drained}
    first_line = ""

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Configure what this process writes with."""
        ctxlog.configure(
            level="info",
            renderer="json",
            sinks=[{"target": stream, "queue": True}],
            stdlib=False,
            structlog=False,
        )


class Whole(Ctxlog):
    """As ``configure()`` leaves it: every door open, structlog's contextvars read."""

    name = "ctxlog whole"
    bodies: ClassVar = {}
    first_line = ""

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Configure what this process writes with."""
        ctxlog.configure(level="info", renderer="json", stream=stream)


CONTENDERS = (Ctxlog, Queued, Whole)
