"""structlog, tuned as its performance page says: orjson, BytesLogger, filtering, cached."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import orjson
import structlog
from opentelemetry.trace import get_current_span
from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars
from structlog.tracebacks import ExceptionDictTransformer

from benchmarks.contender import Contender, traceback_in_common
from benchmarks.scenarios import LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict

    from benchmarks.contender import Event, Processor
    from benchmarks.scenarios import Case, Group

_NUMERIC_INFO = 20

FIRST_LINE = """
import orjson, structlog
from structlog.contextvars import merge_contextvars
structlog.configure(
    processors=[merge_contextvars, structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(serializer=orjson.dumps)],
    wrapper_class=structlog.make_filtering_bound_logger(20), context_class=dict,
    logger_factory=structlog.BytesLoggerFactory(stream), cache_logger_on_first_use=True)
structlog.get_logger("bench").info("accepted", items=3, user="bob", ok=True)
"""


def add_ids(_: Any, __: str, event: EventDict) -> EventDict:
    """Add the span's ids, as structlog's documentation shows."""
    span = get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = format(span.trace_id, "032x")
        event["span_id"] = format(span.span_id, "016x")
        event["trace_flags"] = format(span.trace_flags, "02x")
    return event


def scope(_: Any, times: int) -> None:
    """Go in and out."""
    for _ in repeat(None, times):
        with bound_contextvars(request_id="r-1", user="bob"):
            pass


def scope_and_line(log: Any, times: int) -> None:
    """Do what a short request does."""
    for _ in repeat(None, times):
        with bound_contextvars(request_id="r-1", tenant="acme", region="eu", attempt=1):
            log.info("accepted", items=3, user="bob", ok=True)


class Structlog(Contender):
    """The logger that ``structlog.get_logger()`` gives a module, cached on its first use."""

    name = "structlog"
    bodies: ClassVar = {"scope": scope, "scope_line": scope_and_line}
    first_line = FIRST_LINE
    exceptions: Processor = staticmethod(structlog.processors.format_exc_info)

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Configure what this process writes with."""
        structlog.configure(
            processors=[
                merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.processors.add_log_level,
                *((add_ids,) if group.spans else ()),
                *((self.exceptions,) if group.exceptions else ()),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                *group.processors,
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_NUMERIC_INFO),
            context_class=dict,
            logger_factory=structlog.BytesLoggerFactory(stream),
            cache_logger_on_first_use=True,
        )

    def logger(self, case: Case) -> Any:
        """Return the logger of a module."""
        log = structlog.get_logger(LOGGER)
        log.bind()  # the first use: what is configured now is what this logger keeps
        return log.bind(**case.bound) if case.bound else log

    def enter(self, fields: Mapping[str, object]) -> None:
        """Bind in this context."""
        bind_contextvars(**fields)

    def common(self, event: Event) -> Event:
        """Put the exception under the common names."""
        text = event.pop("exception", None)
        if text is None:
            return event
        kind, _, message = text.splitlines()[-1].partition(": ")
        return {**event, **traceback_in_common(kind, message, text.count('\n  File "'))}


class Again(Structlog):
    """The same once more: it shows by how much the harness errs."""

    name = "structlog again"
    first_line = ""


class Local(Structlog):
    """A logger that was bound, which saves the proxy: what structlog advises for hot loops."""

    name = "structlog bound"
    first_line = ""

    def logger(self, case: Case) -> Any:
        """Return the logger of a module."""
        return structlog.get_logger(LOGGER).bind(**case.bound)


class Dicts(Structlog):
    """Exceptions as structured data: ``dict_tracebacks``, without the locals we do not write."""

    name = "structlog dicts"
    first_line = ""
    exceptions = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))

    def common(self, event: Event) -> Event:
        """Put the exception under the common names."""
        found = event.pop("exception")[0]
        shape = traceback_in_common(found["exc_type"], found["exc_value"], len(found["frames"]))
        return {**event, **shape}


CONTENDERS = (Structlog, Again, Local, Dicts)
