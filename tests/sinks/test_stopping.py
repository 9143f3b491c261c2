"""Stopping keeps its word: in time, with everything written or counted, however it comes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from benchmarks.faults import backlogs, stops
from benchmarks.faults.child import finish, start
from ctxlog.errors import UsageError
from ctxlog.health import aflush, ashutdown
from ctxlog.runtime import runtime
from ctxlog.sampling import Tail
from ctxlog.signals import drain_on, reopen, reopen_on
from ctxlog.sinks.call import CallSink
from ctxlog.sinks.handler import HandlerSink
from ctxlog.sinks.notices import say_lost
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_options import POLICIES, QueueOptions
from ctxlog.sinks.stopping import close_all, flush_all, replace_all
from tests.sinks.test_queue import LONG, Gate, accounted, blocked, events, queue_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_THREADS = "no thread can be started at the exit of 3.12: held lines are written directly there"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A sink that blocks until the test opens it, at the latest when the test ends."""
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


def test_a_flush_that_runs_out_of_time_says_so(gate: Gate):
    """With a sink that is stuck, ``flush(timeout)`` returns ``False`` and nothing is lost."""
    queue = blocked(gate)
    assert not queue.flush(0.01)
    assert 1 == queue.depth
    gate.opened.set()
    assert queue.flush(LONG)
    assert queue.stop(LONG)


def test_a_stop_that_runs_out_of_time_counts(gate: Gate):
    """What the sink has in hand is unknown, what waited is dropped; both are counted."""
    queue = blocked(gate, size=10)
    for _ in range(3):
        queue.write("x\n")
    assert not queue.stop(0.01)
    counts = queue.counts()
    assert (1, 3) == (counts["unknown"], counts["dropped.stopped"])
    assert 4 == accounted(counts)
    queue.write("late\n")
    assert 1 == queue.counts()["dropped.closed"]
    assert not queue.stop(LONG)
    assert queue.flush(LONG)


def test_a_flush_reaches_what_is_behind_a_queue():
    """What a handler keeps back is pushed out, and what a coroutine function has in hand awaited."""
    out = io.StringIO()
    keeping = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(out))
    lines: list[str] = []

    async def slowly(line: str) -> None:
        await asyncio.sleep(0.01)
        lines.append(line)

    async def serve() -> None:
        sinks = [{"target": target, "queue": {"batch_seconds": 0}} for target in (keeping, slowly)]
        ctxlog.configure(sinks=sinks, renderer="json", stdlib=False)
        log = ctxlog.get_logger("shop")
        log.info("one")
        assert await asyncio.to_thread(ctxlog.flush, LONG)
        assert (1, 1) == (out.getvalue().count("one"), len(lines))
        log.info("two")
        assert await asyncio.to_thread(ctxlog.shutdown, LONG)
        assert (1, 2) == (out.getvalue().count("two"), len(lines))

    asyncio.run(serve())


def test_a_flush_of_what_is_behind_a_queue_keeps_its_time(gate: Gate):
    """A handler that does not come back from its flush is waited for no longer than asked."""

    class Stuck(logging.NullHandler):
        def flush(self) -> None:
            gate("flush")

    queue = QueueSink(HandlerSink(Stuck()), QueueOptions(batch_seconds=0.0))
    queue.write({"event": "x"})
    assert not queue.flush(0.05)
    assert not queue.stop(0.05)
    gate.opened.set()
    assert 1 == queue.written


def test_the_given_up_writer_counts_no_more_and_closes(gate: Gate):
    """When the stuck sink returns after all, nothing is counted twice and it is closed."""
    closed = Event()

    class Closing(CallSink):
        def close(self) -> None:
            closed.set()

    queue = QueueSink(Closing(gate), QueueOptions(batch_seconds=0.0))
    queue.write("first\n")
    assert gate.entered.wait(LONG)
    queue.stop(0.01)
    queue.close()
    assert not closed.is_set()
    gate.opened.set()
    assert closed.wait(LONG)
    assert (0, 1) == (queue.counts()["written"], queue.counts()["unknown"])


def test_what_was_dropped_is_said_before_the_end(gate: Gate):
    """The sink gets the notice, however soon after the last line the queue is stopped."""
    queue = blocked(gate, size=1)
    for _ in range(3):
        queue.write("x\n")
    stopped = threading.Thread(target=queue.stop, args=(LONG,))
    stopped.start()
    gate.opened.set()
    stopped.join(LONG)
    assert {"ctxlog.dropped": 3, "ctxlog.dropped.full": 3} == told(gate.lines[-1])
    assert 2 == len(gate.lines)


def test_what_a_stuck_sink_was_not_told_is_said_elsewhere(gate: Gate, original: io.StringIO):
    """Of what a stop gives up, one line on standard error says how much, and why; once."""
    queue = blocked(gate, size=3)
    for _ in range(4):
        queue.write("x\n")
    assert not queue.stop(0.01)
    assert not queue.stop(0.01)
    by = {"ctxlog.dropped.full": 2, "ctxlog.dropped.unknown": 1, "ctxlog.dropped.stopped": 2}
    assert {"ctxlog.dropped": 5, **by} == told(original.getvalue())


def test_what_a_failing_sink_cannot_be_told(original: io.StringIO):
    """It does not use up the time of a stop; lines that failed are on standard error already."""
    gate = Gate()

    def fail(line: str) -> None:
        gate(line)
        raise OSError("gone")

    queue = queue_to(fail, size=1, retries=0)
    queue.write("x\n")
    assert gate.entered.wait(LONG)
    queue.write("y\n")
    gate.opened.set()
    assert queue.stop(LONG)
    first, _, notice = original.getvalue().partition("\n")
    assert ("x", {"ctxlog.dropped": 1, "ctxlog.dropped.full": 1}) == (first, told(notice))


def told(notice: str) -> dict[str, int]:
    """Return the numbers in a notice."""
    return {key: n for key, n in json.loads(notice).items() if key.startswith("ctxlog.dropped")}


def test_a_line_after_a_good_stop_is_written(gate: Gate):
    """A line on its way when the queue was closed arrives directly."""
    lines: list[str] = []
    queue = queue_to(lines.append)
    queue.write("early\n")
    assert queue.stop(LONG)
    queue.write("late\n")
    assert ["early", "late"] == lines
    assert 2 == queue.counts()["written"]


def test_a_line_that_slipped_in_is_picked_up():
    """A line that was appended between the last look and the end is not left behind."""
    lines: list[str] = []
    queue = queue_to(lines.append)
    assert queue.stop(LONG)
    queue._queue.append("slipped in\n")  # as a thread between its two steps does
    queue._ring()
    assert ["slipped in"] == lines


class Interrupted(QueueSink):
    """A queue into which a call comes, as calls take no lock, at one moment of a stop."""

    moment = ""

    def comes(self) -> None:
        """Do the first of a call's two steps; the thread gets no further, as at an exit."""
        self._queue.append("in between\n")

    def _pop(self) -> Any:
        if self._closed and self.moment == "counting":
            self.moment = ""
            self.comes()
        return super()._pop()

    def _close_queue(self) -> None:
        super()._close_queue()
        if self.moment == "closed":
            self.comes()


@pytest.mark.parametrize(
    ("moment", "ends"), [("counting", "dropped.stopped"), ("closed", "written")]
)
def test_a_call_that_comes_between_is_accounted_for(moment: str, ends: str):
    """Whenever in a stop a line is appended, it is written or counted by the end of it."""
    lines: list[str] = []
    queue = Interrupted(CallSink(lines.append), QueueOptions(batch_seconds=0.0))
    queue.write("first\n")
    queue.moment = moment
    queue.stop(LONG)
    counts = queue.counts()
    assert 2 == accounted(counts)
    assert 1 <= counts[ends]
    assert (ends == "written") == ("in between" in lines)
    assert 0 == queue.depth


@pytest.mark.parametrize("queue", [None, {"batch_seconds": 0.0}])
def test_a_late_line_is_in_the_sum(tmp_path: Path, queue: dict[str, Any] | None):
    """What arrives at a sink that another configuration has closed is counted as written too."""
    ctxlog.configure(level="info", sinks=[{"target": tmp_path / "lines", "queue": queue}])
    emit = runtime.emit  # as a call in flight has it
    log = ctxlog.get_logger("late")
    log.info("in time")
    before = ctxlog.counters().get("closed.written", 0)
    ctxlog.shutdown(LONG)
    emit(log, 20, "late", (), {})
    assert 2 == ctxlog.counters()["closed.written"] - before
    assert 2 == len((tmp_path / "lines").read_text().splitlines())


def test_a_late_line_that_fails_is_counted(monkeypatch: pytest.MonkeyPatch):
    """A sink that fails after the stop costs a count, not an exception in somebody's call."""
    monkeypatch.setattr(sys, "__stderr__", None)

    def fail(_: str) -> None:
        raise OSError("gone")

    queue = queue_to(fail)
    assert queue.stop(LONG)
    queue._queue.append("x\n")
    queue._ring()
    assert 1 == queue.counts()["failed"]


def test_waiting_calls_return_when_it_stops(gate: Gate):
    """A call that waits for room comes back as soon as the queue is being stopped."""
    queue = blocked(gate, size=1, policy="block-until-deadline", deadline=LONG)
    caller = threading.Thread(target=queue.write, args=("second\n",))
    caller.start()
    while not queue.changed._waiters:
        gate.entered.wait(0.001)
    queue.stop(0.01)
    caller.join(LONG / 2)
    assert not caller.is_alive()
    assert 2 == accounted(queue.counts())


def test_without_a_thread_lines_are_written_by_the_caller(monkeypatch: pytest.MonkeyPatch):
    """Where no thread can be started any more, a line goes to the sink directly."""
    lines: list[str] = []
    queue = queue_to(lines.append)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    queue.write("x\n")
    queue.write("y\n")
    assert ["x", "y"] == lines
    assert 2 == queue.counts()["written"]


def test_without_a_thread_nobody_waits_for_its_notice(monkeypatch: pytest.MonkeyPatch):
    """A stop does not run out its time for what no writer will say."""
    monkeypatch.setattr(sys, "__stderr__", None)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    queue = queue_to(refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    queue.write("x\n")
    assert 1 == queue.counts()["dropped.failed"]
    assert queue.stop(0.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_stop_in_the_middle(policy: str):
    """Threads and tasks that log while logging stops: written and counted is what they logged."""
    stop = stops.run(policy, threads=4, tasks=50, seconds=0.1, timeout=LONG)
    assert stop.logged == stop.accounted
    assert stop.arrived.whole == stop.written
    assert [] == stop.arrived.torn
    assert 0 == stop.arrived.doubled
    assert stop.done


@pytest.mark.parametrize("sink", backlogs.SINKS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_stop_that_finds_a_backlog(policy: str, sink: str):
    """8 threads and 1,000 tasks: who waits comes back, nobody waits later, all of it is counted."""
    found = backlogs.run(policy, sink)
    assert found.logged == found.accounted
    assert 0 == found.counts["depth"]
    assert (policy == "block-until-deadline") == (found.waited > 0)
    assert 0 == found.late


def test_a_stalled_direct_sink_does_not_hold_up_a_flush(gate: Gate):
    """A direct sink waits on its stream; a flush or a stop with a timeout does not."""

    class Stalled(CallSink):
        def flush(self, timeout: float | None = None) -> bool:
            return gate.opened.wait(LONG)

    lines: list[str] = []
    stalled, queue = Stalled(lines.append), queue_to(lines.append)
    queue.write("x\n")
    assert not flush_all([stalled, queue], 0.05)
    assert not close_all([stalled, queue], 0.05)


def test_flushes_of_a_stalled_sink_do_not_pile_up(gate: Gate):
    """However often a stalled sink is flushed, one thread waits for it; then it is flushed again."""
    asked: list[None] = []

    class Stalled(CallSink):
        def flush(self, timeout: float | None = None) -> bool:
            asked.append(None)
            return gate.opened.wait(LONG)

    stalled, before = Stalled(print), set(threading.enumerate())
    for _ in range(20):
        assert not flush_all([stalled], 0.001)
    names = [thread.name for thread in {*threading.enumerate()} - before]
    assert 1 == names.count("ctxlog errors.flush")
    gate.opened.set()
    assert flush_all([stalled], LONG)
    assert 2 == len(asked)


def test_a_stuck_queue_leaves_the_others_their_time(gate: Gate):
    """While one queue uses up the time of a stop, another is emptied, however long it would linger."""
    lines: list[str] = []
    stuck, other = blocked(gate), queue_to(lines.append, batch_seconds=LONG)
    for number in range(3):
        other.write(f"{number}\n")
    assert not flush_all([stuck, other], 0.5)
    assert ["0", "1", "2"] == lines
    other.write("3\n")
    assert not close_all([stuck, other], 0.5)
    assert ["0", "1", "2", "3"] == lines
    assert 0 == other.counts().get("dropped.stopped", 0)


class Clock:
    """Seconds that pass only while a stuck queue is waited for."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Stuck(QueueSink):
    """A queue that is stopped in no time of the test's: its clock goes on by what it was given."""

    given: float | None = None

    def stop(self, timeout: float | None = None) -> bool:
        """Use up the time, as waiting for a sink that does not return would."""
        if self.given is None:
            self.given = timeout
            stopped = super().stop(0.0)
            assert isinstance(self.clock, Clock)
            self.clock.now += timeout or 0.0
            return stopped
        return super().stop(timeout)


def stuck_queues(
    gates: list[Gate], clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> list[Stuck]:
    """Return queues whose writers are each in their sink, by a clock of the test's."""
    monkeypatch.setattr("ctxlog.sinks.stopping.monotonic", clock)
    monkeypatch.setattr("ctxlog.wiring.monotonic", clock)
    options = QueueOptions(batch_seconds=0.0, stop_seconds=seconds)
    queues = [Stuck(CallSink(gate), options, clock=clock) for gate in gates]
    for queue, gate in zip(queues, gates, strict=True):
        queue.write("first\n")
        assert gate.entered.wait(LONG)
    return queues


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Sinks that block until the test ends."""
    made = [Gate() for _ in range(4)]
    yield made
    for one in made:
        one.opened.set()


def test_stuck_queues_of_a_replaced_configuration_share_their_time(
    gates: list[Gate], monkeypatch: pytest.MonkeyPatch
):
    """However many are stuck, replacing them takes as long as the one with the most time."""
    clock = Clock()
    queues = stuck_queues(gates, clock, 5.0, monkeypatch)
    replace_all(queues)
    assert 1_005.0 == clock.now
    assert [5.0, 0.0, 0.0, 0.0] == [queue.given for queue in queues]
    assert [1] * 4 == [queue.counts()["unknown"] for queue in queues]


def test_stuck_queues_share_the_time_of_a_shutdown(
    gates: list[Gate], monkeypatch: pytest.MonkeyPatch
):
    """So it is at a shutdown, whatever ``stop_seconds`` of their own they have."""
    clock = Clock()
    queues = stuck_queues(gates, clock, 60.0, monkeypatch)
    ctxlog.configure(sinks=[], stdlib=False)
    for queue in queues:
        runtime.add_sink(queue)
    assert not ctxlog.shutdown(5.0)
    assert 1_005.0 == clock.now
    assert [5.0, 0.0, 0.0, 0.0] == [queue.given for queue in queues]


def test_replaced_queues_are_emptied_beside_a_stuck_one(
    gates: list[Gate], monkeypatch: pytest.MonkeyPatch
):
    """One that would linger behind one that uses up the time loses nothing; a direct one is last."""
    clock, stopped = Clock(), list[tuple[str, float | None]]()
    (stuck,) = stuck_queues(gates[:1], clock, 5.0, monkeypatch)
    lines: list[str] = []
    other = queue_to(lines.append, batch_seconds=LONG, stop_seconds=5.0)
    other.write("waits\n")
    stop_stuck, stop_other = stuck.stop, other.stop

    def wait(timeout: float | None = None) -> bool:
        for _ in range(20_000):  # meanwhile the other's writer is at it
            if other.depth:
                gates[0].opened.wait(0.001)
        return stop_stuck(timeout)

    def stop(timeout: float | None = None) -> bool:
        stopped.append(("queue", timeout))
        return stop_other(timeout)

    class Direct(CallSink):
        def stop(self, timeout: float | None = None) -> bool:
            stopped.append(("direct", timeout))
            return super().stop(timeout)

    monkeypatch.setattr(stuck, "stop", wait)
    monkeypatch.setattr(other, "stop", stop)
    replace_all([Direct(print), stuck, other])
    assert ["waits"] == lines
    assert 0 == other.counts().get("dropped.stopped", 0)
    # the last but one is the close of the queue, which stops it by itself
    assert [("queue", 0.0), ("queue", 5.0), ("direct", None)] == stopped


@pytest.mark.parametrize("timeout", [None, LONG])
def test_a_sink_that_stops_its_own_queue_does_not_wait_for_itself(timeout: float | None):
    """The line in hand is unknown, what waits is counted, and the writer ends."""
    stopped: list[bool] = []
    done = Event()

    def give_up(_: str) -> None:
        stopped.append(queue.stop(timeout))
        done.set()

    queue = queue_to(give_up, batch_seconds=0.01)
    queue.write("a\n")
    queue.write("b\n")
    assert done.wait(5.0)
    assert [False] == stopped
    assert 2 == accounted(queue.counts())
    queue.write("c\n")
    assert 3 == accounted(queue.counts())


def test_held_lines_do_not_hold_up_a_shutdown(gate: Gate):
    """What tail sampling holds goes out at a shutdown; a stalled sink does not make that longer."""
    ended: list[bool] = []
    ctxlog.configure(processors=[Tail()], sinks=[gate], stdlib=False)
    with ctxlog.entry():
        ctxlog.get_logger("shop").info("held")
        stopper = threading.Thread(target=lambda: ended.append(ctxlog.shutdown(0.05)), daemon=True)
        stopper.start()
        stopper.join(5.0)
    assert [False] == ended
    gate.opened.set()
    for thread in threading.enumerate():  # its line arrives, and is counted
        if thread.name == "ctxlog aside":
            thread.join(LONG)


def test_a_sink_that_cannot_be_closed_is_counted():
    """An error at the end is a counter, and the other sinks are closed."""
    closed = []

    class Broken(CallSink):
        def flush(self, timeout: float | None = None) -> bool:
            raise OSError("gone")

        def close(self) -> None:
            raise OSError("gone")

    class Good(CallSink):
        def close(self) -> None:
            closed.append(self)

    before = ctxlog.counters()
    broken, good = Broken(print), Good(print)
    assert not close_all([broken, good])
    broken.flush = lambda timeout=None: True  # type: ignore[method-assign]
    assert not close_all([broken])
    assert [good] == closed
    after = ctxlog.counters()
    assert 2 == after["errors.close"] - before.get("errors.close", 0)


def test_counters_outlive_the_sinks():
    """After a shutdown the counters of closed sinks are still told."""
    before = ctxlog.counters().get("closed.written", 0)
    ctxlog.configure(sinks=[{"target": lambda _: None, "queue": True}])
    ctxlog.get_logger("shop").info("accepted")
    assert ctxlog.shutdown(LONG)
    assert 1 == ctxlog.counters()["closed.written"] - before


async def _log_and_end(how: Any) -> list[str]:
    lines: list[str] = []

    async def take(line: str) -> None:
        await asyncio.sleep(0)
        lines.append(json.loads(line)["event"])

    ctxlog.configure(sinks=[take, {"target": lambda _: None, "queue": True}])
    ctxlog.get_logger("shop").info("accepted")
    assert await how(LONG)
    return lines


@pytest.mark.asyncio
@pytest.mark.parametrize("how", [aflush, ashutdown])
async def test_asyncio_ends_while_the_loop_goes_on(how: Any):
    """From a coroutine, flush and shutdown leave the loop running: coroutine sinks can end."""
    try:
        assert ["accepted"] == await _log_and_end(how)
    finally:
        ctxlog.shutdown(LONG)


@pytest.mark.asyncio
async def test_asyncio_ends_though_its_threads_are_all_at_work(gate: Gate):
    """A flush from a coroutine needs none of the loop's own threads, which may all be stuck."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        stuck = loop.run_in_executor(None, gate.opened.wait)
        try:
            assert await asyncio.wait_for(aflush(1.0), 5.0)
            assert await asyncio.wait_for(ashutdown(1.0), 5.0)
        finally:
            gate.opened.set()
            await stuck


# -- the interpreter's exit and signals, in processes of their own ---------------------------------

HEAD = """
import ctxlog, os, signal, sys, threading, time
from ctxlog.runtime import runtime
from ctxlog.signals import drain_on
path = sys.argv[1]
queue = {"batch_seconds": 60}
ctxlog.configure(level="info", sinks=[{"target": path, "queue": queue}])
log = ctxlog.get_logger("exit")
"""


def said(path: Path) -> list[str]:
    """Return the events in a file."""
    return [json.loads(line)["event"] for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("log.info('last')", ["last"]),
        ("log.info('last'); sys.exit(0)", ["last"]),
        (
            (
                "threading.Thread(target=lambda: (time.sleep(0.1), log.info('thread'))).start()\n"
                "log.info('main')"
            ),
            ["main", "thread"],
        ),
        ("import atexit; log.info('a'); atexit.register(log.info, 'b')", ["a", "b"]),
        ("import atexit; atexit.register(log.info, 'only')", ["only"]),
    ],
)
def test_the_interpreters_exit_empties_queues(tmp_path: Path, code: str, expected: list[str]):
    """What is queued at the end is written, threads that end last and exit hooks included."""
    path = tmp_path / "lines"
    finish(start(HEAD + code, path), 60)
    assert expected == said(path)


def test_an_exit_hook_from_before_is_written_too(tmp_path: Path):
    """A hook that runs after ours logs directly: nothing it says is left in a queue."""
    path = tmp_path / "lines"
    code = "import atexit\natexit.register(lambda: ctxlog.get_logger('x').info('hook'))\n"
    finish(start(code + HEAD + "log.info('main')", path), 60)
    assert ["main", "hook"] == said(path)


def test_a_queue_that_is_made_as_the_process_ends_is_none(tmp_path: Path):
    """Once the queues were emptied for the exit, a new one writes its lines directly."""
    late = "lambda: (ctxlog.add_sink(path, queue=queue, renderer='json'), log.info('late'))"
    finish(start(f"import atexit; atexit.register({late}){HEAD}\nlog.info('a')", tmp_path / "x"))
    assert ["a", "late", "late"] == said(tmp_path / "x")


def test_a_stuck_sink_does_not_hold_up_the_exit(tmp_path: Path):
    """The interpreter ends after ``stop_seconds``, whatever the sink waits for."""
    code = (
        "ctxlog.configure(sinks=[{'target': lambda _: time.sleep(600),"
        " 'queue': {'stop_seconds': 0.1}}])\n"
        "log.info('x')"
    )
    process = start(HEAD + code, tmp_path / "lines")
    _, err = process.communicate(timeout=60)
    assert (0, "lines dropped") == (process.returncode, json.loads(err)["event"])
    assert 1 == json.loads(err)["ctxlog.dropped.unknown"]


def test_ctrl_c_at_the_exit_gives_up_one_queue(tmp_path: Path):
    """The one it waits for is counted, and that is said; what waits in others is written."""
    path = tmp_path / "lines"
    code = """
inside = threading.Event()
def stuck(_):
    inside.set()
    time.sleep(600)
ctxlog.configure(sinks=[
    {"target": stuck, "queue": {"stop_seconds": 500, "batch_seconds": 0}},
    *({"target": path, "queue": {"stop_seconds": 500, "batch_seconds": 60}} for _ in range(4)),
])
log.info("x")
inside.wait()
wait = runtime.pipeline.sinks[0].changed.wait
def pressed(timeout=None):
    runtime.pipeline.sinks[0].changed.wait = wait
    raise KeyboardInterrupt
runtime.pipeline.sinks[0].changed.wait = pressed
"""
    process = start(HEAD + code, path)
    _, err = process.communicate(timeout=60)
    assert (0, 1) == (process.returncode, json.loads(err)["ctxlog.dropped.unknown"])
    assert ["x"] * 4 == said(path)


def test_sigterm_writes_what_is_queued(tmp_path: Path):
    """With ``drain_on`` the lines are out, and the process ends by the signal as it would have."""
    path = tmp_path / "lines"
    code = "drain_on(signal.SIGTERM)\nlog.info('last')\nos.kill(os.getpid(), signal.SIGTERM)\n"
    process = start(HEAD + code + "time.sleep(60)", path)
    process.communicate(timeout=60)
    assert -signal.SIGTERM == process.returncode
    assert ["last"] == said(path)


def test_sigterm_chains_to_the_handler_that_was_there(tmp_path: Path):
    """The application's handler runs, what it logs is written, and its exception goes on."""
    path = tmp_path / "lines"
    code = """
def handler(number, frame):
    log.info("handler")
    raise SystemExit(7)
signal.signal(signal.SIGTERM, handler)
drain_on(signal.SIGTERM)
log.info("last")
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    process = start(HEAD + code, path)
    process.communicate(timeout=60)
    assert 7 == process.returncode
    assert ["last", "handler"] == said(path)


def test_a_handler_that_logs_in_the_middle_of_anything(tmp_path: Path):
    """A signal handler that logs and flushes interrupts calls at any point without a deadlock."""
    path = tmp_path / "lines"
    code = """
queue = {"size": 10, "policy": "drop-oldest", "batch_seconds": 0}
ctxlog.configure(level="info", sinks=[path, {"target": path + ".q", "queue": queue}])
handled = depth = 0
def again():
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
def handler(number, frame):
    global handled, depth
    handled += 1
    depth += 1
    if depth < 3 and not over:  # one may come while another is handled; not without end where that is slow
        again()
    log.info("handler")
    ctxlog.flush(0.001)
    depth -= 1
    if not depth and not over:
        again()
over = False
signal.signal(signal.SIGALRM, handler)
again()
logged = 0
while handled < 150:
    log.info("main")
    logged += 1
over = True
signal.setitimer(signal.ITIMER_REAL, 0)
print(logged + handled)
"""
    # not measured: under a tracer the next signal comes before the handler has ended, without end
    logged = int(finish(start(HEAD + code, path, measured=False), 90))
    assert logged == len(said(path))


def test_a_signal_that_was_ignored_stays_ignored(tmp_path: Path):
    """Queues are emptied, and the process goes on."""
    lines: list[str] = []
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    ctxlog.configure(sinks=[{"target": lines.append, "queue": {"batch_seconds": LONG}}])
    undo = drain_on(signal.SIGUSR1)
    try:
        ctxlog.get_logger("shop").info("accepted")
        os.kill(os.getpid(), signal.SIGUSR1)
        assert 1 == len(events(["x" for _ in lines]))
    finally:
        undo()
        assert signal.SIG_IGN == signal.getsignal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, before)
        ctxlog.shutdown(LONG)


def test_files_are_reopened_on_a_signal(tmp_path: Path):
    """After a move and the signal, lines go into a new file; the handler from before runs too."""
    seen: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: seen.append(number))
    path = tmp_path / "app.log"
    ctxlog.configure(sinks=[path, {"target": tmp_path / "q.log", "queue": True}, lambda _: None])
    undo = reopen_on()
    try:
        log = ctxlog.get_logger("shop")
        log.info("before")
        path.rename(tmp_path / "app.log.1")
        os.kill(os.getpid(), signal.SIGHUP)
        log.info("after")
        assert ["before"] == said(tmp_path / "app.log.1")
        assert ["after"] == said(path)
        assert [signal.SIGHUP] == seen
        assert 2 == reopen()
    finally:
        undo()
        signal.signal(signal.SIGHUP, before)
        ctxlog.shutdown(LONG)
    assert 0 == reopen()


def test_an_undo_leaves_a_later_handler_alone():
    """Who put a handler over ours keeps it."""
    before = signal.getsignal(signal.SIGUSR1)
    undo = reopen_on(signal.SIGUSR1)
    try:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        undo()
        assert signal.SIG_IGN == signal.getsignal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_no_handler_where_none_can_be():
    """Outside the main thread, and for what is no signal, it is an error that says so."""
    failures: list[Exception] = []

    def install() -> None:
        try:
            drain_on(signal.SIGTERM)
        except UsageError as error:
            failures.append(error)

    other = threading.Thread(target=install)
    other.start()
    other.join()
    assert ["main thread" in str(error) for error in failures] == [True]
    with pytest.raises(UsageError, match="no handler for signal 9999"):
        reopen_on(9999)


def test_without_sighup_the_signal_must_be_named(monkeypatch: pytest.MonkeyPatch):
    """On a system without SIGHUP there is no default."""
    monkeypatch.delattr(signal, "SIGHUP")
    with pytest.raises(UsageError, match="no SIGHUP here"):
        reopen_on()


# -- lines that tail sampling holds, for a direct sink that does not return ------------------------

STALLED = """
import ctxlog, sys, threading
from ctxlog.sampling import Tail
def stall(line):
    if "held" in line:
        threading.Event().wait()
other = {"target": print, "queue": {"stop_seconds": 0.1}}
ctxlog.configure(processors=[Tail()], sinks=[stall, *([other] * int(sys.argv[1]))], stdlib=False)
log = ctxlog.get_logger("shop")
log.info("at once")
scope = ctxlog.entry()
scope.__enter__()
for number in range(3):
    log.info("held")
"""


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason=NO_THREADS)
@pytest.mark.parametrize("queues", [0, 1])
def test_a_stalled_direct_sink_does_not_hold_up_the_exit(queues: int):
    """The interpreter ends all the same; what it held is counted, and that is said."""
    count = "import atexit\natexit.register(lambda: print(ctxlog.counters()['dropped.tail']))\n"
    process = start(count + STALLED, queues)
    try:
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError("it hangs") from None
    assert 0 == process.returncode
    said = json.loads(err)
    assert {"event": "lines dropped", "ctxlog.dropped.tail": 2, "ctxlog.dropped.unknown": 1} == {
        name: said[name] for name in ("event", "ctxlog.dropped.tail", "ctxlog.dropped.unknown")
    }
    assert "2" == out.splitlines()[-1]
    assert queues == out.count("at once")


def test_another_configure_does_not_wait_for_a_stalled_direct_sink(gate: Gate):
    """What tail sampling held for it is dropped after a queue's time, counted and said."""
    said = io.StringIO()
    fast = {"target": lambda _: None, "queue": {"stop_seconds": 0.1}}
    before = ctxlog.counters().get("dropped.tail", 0)
    ctxlog.configure(processors=[Tail()], sinks=[gate, fast], stdlib=False)
    with pytest.MonkeyPatch.context() as patch, ctxlog.entry():
        patch.setattr(sys, "__stderr__", said)
        for _ in range(3):
            ctxlog.get_logger("shop").info("held")
        other = threading.Thread(target=lambda: ctxlog.configure(sinks=[]), daemon=True)
        other.start()
        other.join(20.0)
        assert not other.is_alive()
    assert 2 == ctxlog.counters()["dropped.tail"] - before
    assert 2 == json.loads(said.getvalue())["ctxlog.dropped.tail"]
    gate.opened.set()
    ctxlog.shutdown(LONG)


def test_a_sampler_that_stays_keeps_what_it_holds(gate: Gate):
    """One that the next configuration has too loses nothing by another's being stuck."""
    leaving, staying = Tail(), Tail()
    fast = {"target": lambda _: None, "queue": {"stop_seconds": 0.1}}
    lines: list[str] = []
    ctxlog.configure(processors=[staying], sinks=[lines.append], stdlib=False)
    with ctxlog.entry():
        ctxlog.get_logger("shop").info("stays")
        ctxlog.configure(processors=[leaving, staying], sinks=[gate, fast], stdlib=False)
        with ctxlog.entry(request_id="r-2"):
            ctxlog.get_logger("shop").info("goes")
            ctxlog.configure(processors=[staying], sinks=[lines.append], stdlib=False)
        assert 1 == staying.held
    gate.opened.set()
    ctxlog.shutdown(LONG)


def test_what_cannot_be_said_without_waiting_is_not(monkeypatch: pytest.MonkeyPatch):
    """Where standard error is a pipe that nobody reads, the loss is a count alone."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65_536)
    os.set_blocking(writer, True)
    before = ctxlog.counters().get("lost", 0)
    with os.fdopen(reader, "rb"), os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "__stderr__", stream)
        say_lost({"dropped.tail": 2})
    assert 1 == ctxlog.counters()["lost"] - before
