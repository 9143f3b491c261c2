"""Health: all counters as one line, and a self-test of every sink of the running configuration.

>>> from ctxlog.wiring import configure, shutdown
>>> def full(line):
...     raise OSError("the disk is full")
>>> configure(sinks=[full])
>>> for result in selftest():
...     print(result)
failed: call full: OSError: the disk is full
>>> shutdown()
True
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxlog.clock import text_of
from ctxlog.errors import UsageError, seconds
from ctxlog.levels import INFO
from ctxlog.line import Line
from ctxlog.names import EVENT, LEVEL, LOGGER, TIMESTAMP
from ctxlog.runtime import runtime
from ctxlog.sinks.last_resort import said
from ctxlog.sinks.stopping import start_aside
from ctxlog.wiring import flush, shutdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.pipeline import Pipeline
    from ctxlog.sinks.sink import Sink

#: The event that the self-test writes.
SELFTEST = "ctxlog selftest"
#: The event of the line with all counters.
COUNTERS = "ctxlog counters"
#: Counters of lines that may have arrived, or not.
_UNSURE = frozenset({"unknown", "unconfirmed"})


class SinkResult(NamedTuple):
    """What the self-test found of one sink.

    Attributes:
        id: the sink's id.
        name: its kind and target.
        error: what went wrong, ``None`` when its line was written.
    """

    id: int
    name: str
    error: str | None

    @property
    def ok(self) -> bool:
        """Whether the line was written."""
        return self.error is None

    def __str__(self) -> str:
        return f"ok: {self.name}" if self.error is None else f"failed: {self.error}"


def selftest(timeout: float = 5.0) -> list[SinkResult]:
    """Write one line to every sink of the running configuration, and say what failed.

    The line goes straight to the sink, past its level and filter, through its queue if it has one.

    Args:
        timeout: seconds to wait for each sink.

    Raises:
        UsageError: nothing is configured yet, or a timeout that is no number of seconds.
    """
    seconds("timeout", timeout)
    pipeline = runtime.pipeline
    if pipeline is None:
        raise UsageError("nothing is configured yet: call ctxlog.configure(...) before selftest")
    return [
        SinkResult(sink.id, sink.name, _error_of(pipeline, sink, timeout))
        for sink in pipeline.sinks
    ]


def _error_of(pipeline: Pipeline, sink: Sink, timeout: float) -> str | None:
    found: list[str | None] = []
    writer = Thread(
        target=lambda: found.append(_try(pipeline, sink, timeout)),
        name="ctxlog selftest",
        daemon=True,
    )
    end = monotonic() + timeout
    writer.start()
    writer.join(max(0.0, end - monotonic()) + 0.1)  # what keeps its time by itself comes first
    return found[0] if found else f"{sink.name}: it did not take a line within {timeout:g} s"


def _try(pipeline: Pipeline, sink: Sink, timeout: float) -> str | None:
    target = getattr(sink, "inner", sink)
    event: dict[str, Any] = {
        TIMESTAMP: text_of(time_ns()), LEVEL: "info", LOGGER: "ctxlog", EVENT: SELFTEST,
    }  # fmt: skip
    try:
        line: Any = event
        if not sink.wants_event:
            renderer = pipeline.output.json if sink.renderer is None else sink.renderer
            line = pipeline.output.render(renderer, event, "info")
        before = sink.counts()
        sink.write(line)
        if target is sink:
            return None
        if not sink.flush(timeout):
            return f"{sink.name}: the line was not written within {timeout:g} s"
        after = sink.counts()
    except Exception as error:  # noqa: BLE001 - that is what is asked for
        return said(sink.name, error)
    lost = [
        f"{name} {number - before.get(name, 0)}"
        for name, number in after.items()
        if (name in _UNSURE or name.startswith("dropped.")) and number > before.get(name, 0)
    ]
    return f"{sink.name}: {', '.join(lost)}" if lost else None


def log_counters() -> dict[str, int]:
    """Write all counters as one line, through every sink, and return them.

    Example:
        >>> from ctxlog.testing import capture
        >>> with capture() as lines:
        ...     read = log_counters()
        >>> lines.one(event="ctxlog counters")["slow_path"] == read["slow_path"]
        True
    """
    read = runtime.counters()
    pipeline = runtime.pipeline
    if pipeline is not None:
        pipeline.process(Line("ctxlog", INFO, COUNTERS, (), dict(read), None))
    return read


async def aflush(timeout: float | None = None) -> bool:  # noqa: ASYNC109 - what is left is counted
    """Do what ``flush`` does, while the loop goes on."""
    return await _aside(flush, timeout)


async def ashutdown(timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the same
    """Do what ``shutdown`` does, while the loop goes on: the last thing of an application.

    Coroutine sinks run on the loop: only while it goes on can their calls end.
    """
    return await _aside(shutdown, timeout)


async def _aside(
    function: Callable[[float | None], bool],
    timeout: float | None,  # noqa: ASYNC109 - the same
) -> bool:
    """Call it on a thread of its own: the loop's may all be at work, or stuck."""
    found: Future[bool] = Future()
    found.set_running_or_notify_cancel()  # from here on it cannot be called off

    def run() -> None:
        try:
            found.set_result(function(timeout))
        except BaseException as error:  # noqa: BLE001 - whoever awaits gets it
            found.set_exception(error)

    if start_aside(copy_context().run, "aside", run) is None:
        return function(timeout)
    return await asyncio.wrap_future(found)
