"""Callables: one at a time, and no thread waits for ever for another one's call."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

import ctxlog
from benchmarks.faults.child import start
from ctxlog.sinks import call
from ctxlog.sinks.call import CallSink, CoroutineSink
from tests.kit import configured, only_sink, parse_line, parse_lines

log = ctxlog.get_logger(__name__)


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


def test_a_callable_that_joins_a_thread_that_logs(
    original: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    """Each would wait for the other: the thread's line goes to the last resort, and both go on."""
    monkeypatch.setattr(call, "PATIENCE", 0.05)
    lines: list[str] = []

    def joining(event: dict[str, Any]) -> None:
        if not lines:
            lines.append(event["event"])
            thread = threading.Thread(target=lambda: log.info("from the thread"))
            thread.start()
            thread.join(60)
            assert not thread.is_alive()
        else:
            lines.append(event["event"])

    with configured(sinks=[{"target": joining, "renderer": "event"}]):
        log.info("outer")
        log.info("after")
        assert {"written": 2, "failed": 1} == only_sink().counts()
    assert ["outer", "after"] == lines
    assert "from the thread" in original.getvalue()
    assert "another thread's call has not returned for 0.05 s" in original.getvalue()


def test_calls_that_take_their_turns_wait_for_each_other(monkeypatch: pytest.MonkeyPatch):
    """However many threads wait, together longer than one may: what moves on is waited for."""
    monkeypatch.setattr(call, "PATIENCE", 5.0)
    busy, most = [0], [0]
    lines: list[str] = []

    def slow(line: str) -> None:
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        threading.Event().wait(0.01)
        lines.append(line)
        busy[0] -= 1

    sink = CallSink(slow)
    threads = [threading.Thread(target=sink.write, args=(str(n),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == most[0]
    assert {str(n) for n in range(20)} == set(lines)
    assert {"written": 20, "failed": 0} == sink.counts()


def test_the_patience_is_with_one_call(monkeypatch: pytest.MonkeyPatch):
    """A call that began while a thread waited is given its own time: only one that stays fails."""
    monkeypatch.setattr(call, "PATIENCE", 0.05)
    entered, opened, lines = threading.Event(), threading.Event(), list[str]()

    def stuck(line: str) -> None:
        entered.set()
        opened.wait(60)
        lines.append(line)

    sink = CallSink(stuck)
    thread = threading.Thread(target=sink.write, args=("stuck",))
    thread.start()
    assert entered.wait(60)
    for _ in range(2):  # the second does not wait at all
        with pytest.raises(TimeoutError):
            sink.write("late")
    assert sink.hold(0.0) is None
    opened.set()
    thread.join()
    sink.write("free again")
    assert ["stuck", "free again"] == lines


@pytest.mark.asyncio
@pytest.mark.timeout(20)
async def test_draining_waits_for_a_call_that_has_just_returned():
    """A call whose end the loop has not told yet does not keep ``drain`` from letting it."""
    got: list[str] = []

    async def take(line: str) -> None:
        got.append(line)

    sink = CoroutineSink(take)
    sink.write("a\n")
    await asyncio.sleep(0)  # it has run; who waits for its end is told in the loop's next round
    assert ["a"] == got
    await sink.drain()
    assert sink.flush(0)


# -- coroutine functions whose loop ends -----------------------------------------------------------


@pytest.mark.parametrize("begun", [True, False])
def test_a_call_that_the_loops_end_cancels(original: io.StringIO, begun: bool):
    """``asyncio.run`` cancels what it finds: the line is counted, and goes to the last resort."""

    async def never(_: str) -> None:
        await asyncio.Event().wait()

    async def work() -> CoroutineSink:
        ctxlog.configure(sinks=[never], renderer="json", stdlib=False)
        ctxlog.get_logger("shop").info("cancelled")
        if begun:
            await asyncio.sleep(0)
        made = only_sink()
        assert isinstance(made, CoroutineSink)
        return made

    sink = asyncio.run(work())
    assert (0, 1) == (sink.written, sink.failed)
    assert ctxlog.shutdown()
    event = parse_line(original.getvalue().encode())
    assert ("cancelled", True) == (event["event"], "CancelledError" in event["ctxlog.errors"][0])


def test_a_call_that_swallows_its_cancellation_is_written(original: io.StringIO):
    """It has dealt with the line after all."""

    async def stubborn(_: str) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def work() -> CoroutineSink:
        made = CoroutineSink(stubborn)
        made.write("x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return made

    sink = asyncio.run(work())
    assert (1, 0, "") == (sink.written, sink.failed, original.getvalue())


def test_a_loop_that_is_closed_before_it_has_run_again(original: io.StringIO):
    """While it may run again the line waits; once it is closed the line goes to the last resort."""
    written: list[str] = []

    async def target(line: str) -> None:
        written.append(line)

    async def make() -> CoroutineSink:
        return CoroutineSink(target)

    loop = asyncio.new_event_loop()
    sink = loop.run_until_complete(make())
    sink.write("first\n")
    assert not sink.flush(60)  # at once: nobody runs it
    loop.run_until_complete(sink.drain())
    loop.run_until_complete(asyncio.sleep(0))
    assert sink.flush(0)
    sink.write("second\n")
    loop.close()
    assert sink.stop(0)
    assert (["first"], 1, 1) == (written, sink.written, sink.failed)
    assert original.getvalue().startswith("second\n")


def test_no_more_calls_are_under_way_than_the_loops_that_live_have(
    original: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    """Lines for a loop that was closed make room for those of the next."""
    monkeypatch.setattr(call, "MAX_TASKS", 1)

    async def target(_: str) -> None: ...

    async def make() -> CoroutineSink:
        return CoroutineSink(target)

    loop = asyncio.new_event_loop()
    sink = loop.run_until_complete(make())
    sink.write("lost\n")
    loop.close()

    async def work() -> None:
        sink.write("written\n")
        await sink.drain()

    asyncio.run(work())
    assert (1, 1) == (sink.written, sink.failed)
    assert original.getvalue().startswith("lost\n")


EXIT = """
import atexit
atexit.register(lambda: log.info("later"))  # runs after what the library registers
import asyncio, ctxlog
async def target(line): ...
async def main():
    ctxlog.configure(sinks=[target], renderer="json", uncaught=False)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
log = ctxlog.get_logger("shop")
log.info("waits")
"""


def test_the_interpreter_ends_before_the_loop_has_run():
    """What waits for it goes to the last resort; so does what comes even later."""
    process = start(EXIT)
    out, err = process.communicate(timeout=60)
    assert (0, "") == (process.returncode, out)
    events = parse_lines(err.encode())
    assert ["waits", "later"] == [event["event"] for event in events]
    assert all("loop" in event["ctxlog.errors"][0] for event in events)
