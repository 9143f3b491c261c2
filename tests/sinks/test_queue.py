"""The queue: bounded, in order, counted, and never waiting for its sink."""

from __future__ import annotations

import gc
import io
import json
import sys
import threading
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from benchmarks.faults.policies import FAULTS, Waits, run
from ctxlog.errors import UsageError
from ctxlog.sinks import notices
from ctxlog.sinks.call import CallSink
from ctxlog.sinks.native import Condition
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_levels import LevelQueueSink
from ctxlog.sinks.queue_options import POLICIES, QueueOptions
from ctxlog.sinks.stream import StreamSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = 60.0  # seconds that no test waits: what it waits for comes before


class Gate:
    """A callable sink that waits in its first call until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = Event(), Event()
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        """Take a line."""
        self.entered.set()
        self.opened.wait(LONG)
        self.lines.append(line)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A sink that blocks until the test opens it, at the latest when the test ends."""
    made = Gate()
    yield made
    made.opened.set()


def queue_to(target: Callable[[Any], object], **options: Any) -> QueueSink:
    """Return a queue in front of a callable."""
    options = {"batch_seconds": 0.0, "retry_seconds": 0.0, **options}
    kind = LevelQueueSink if options.get("policy") == "drop-below-level-first" else QueueSink
    return kind(CallSink(target), QueueOptions(**options))


def blocked(gate: Gate, **options: Any) -> QueueSink:
    """Return a queue whose writer is inside the sink with the line ``first``."""
    queue = queue_to(gate, **options)
    queue.write("first\n")
    assert gate.entered.wait(LONG)
    return queue


def accounted(counts: dict[str, int]) -> int:
    """Return how many lines a queue knows the fate of."""
    dropped = sum(number for name, number in counts.items() if name.startswith("dropped."))
    return counts["written"] + dropped + counts["unknown"]


def events(lines: list[str]) -> list[str]:
    """Return lines without the notices among them."""
    return [line for line in lines if not line.startswith("{")]


# -- the ordinary case -------------------------------------------------------------------------


def test_lines_arrive_in_order_and_are_counted():
    """What is written through the queue reaches the sink, in order, and ``flush`` waits for it."""
    lines: list[str] = []
    queue = queue_to(lines.append)
    for number in range(500):
        queue.write(f"{number}\n")
    assert queue.flush(LONG)
    assert [str(number) for number in range(500)] == lines
    assert 500 == queue.counts()["written"]
    assert queue.stop(LONG)


def test_no_thread_before_the_first_line():
    """A queue that nothing was written to has no thread; the first line starts one."""
    before = threading.active_count()
    queue = queue_to(lambda _: None)
    assert before == threading.active_count()
    queue.write("x\n")
    assert before + 1 == threading.active_count()
    assert queue.stop(LONG)


def test_an_idle_writer_sleeps_without_a_timeout():
    """While nothing is logged the writer waits for a ring and for nothing else."""
    waited: list[Any] = []
    lines: list[str] = []
    queue = queue_to(lines.append)
    bell = queue._bell

    class Bell:
        release = bell.release

        def acquire(self, *args: Any, **kwargs: Any) -> bool:
            waited.append((args, kwargs))
            return bool(bell.acquire(*args, **kwargs))

    queue._bell = Bell()
    queue.write("x\n")
    assert queue.flush(LONG)
    assert queue.stop(LONG)
    assert {((), ())} == {(args, tuple(kwargs)) for args, kwargs in waited}
    assert len(waited) <= 3


def test_a_burst_rings_once(monkeypatch: pytest.MonkeyPatch):
    """Until the writer has looked, lines after the first that rang do not ring again."""
    rung: list[None] = []
    queue = queue_to(lambda _: None)
    monkeypatch.setattr(queue, "_ring", lambda: rung.append(None))
    for _ in range(100):
        queue.write("x\n")
    assert 1 == len(rung)
    monkeypatch.undo()
    assert queue.flush(LONG)
    queue.write("x\n")
    assert queue.stop(LONG)
    assert 101 == queue.counts()["written"]


def test_a_batch_goes_out_when_it_is_full():
    """A writer that would wait for more lines is woken by the line that fills a batch."""
    lines: list[str] = []
    arrived = Event()

    def take(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            arrived.set()

    queue = queue_to(take, batch_lines=3, batch_seconds=LONG)
    for number in range(3):
        queue.write(f"{number}\n")
    assert arrived.wait(LONG / 2)
    assert queue.stop(LONG)


def test_a_batch_goes_out_when_its_time_is_over():
    """A line that stays alone is written all the same."""
    arrived = Event()
    queue = queue_to(lambda _: arrived.set(), batch_seconds=0.01)
    queue.write("alone\n")
    assert arrived.wait(LONG)
    assert queue.stop(LONG)


def test_a_batch_is_one_write_where_the_target_takes_it_whole():
    """Lines for a file in memory are joined; each still counts."""

    class Writes(io.RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self.all: list[bytes] = []

        def write(self, data: Any) -> int:
            self.all.append(bytes(data))
            return len(data)

    stream = Writes()
    inner = StreamSink(stream)
    inner.chunk_bytes = 10
    queue = QueueSink(inner, QueueOptions(batch_seconds=LONG, batch_lines=5))
    for line in (b"aaa\n", b"bbb\n", b"ccc\n", b"a line that is too long\n", "d\n"):
        queue.write(line)
    assert queue.stop(LONG)
    assert [b"aaa\nbbb\n", b"ccc\n", b"a line that is too long\n", b"d\n"] == stream.all
    assert 5 == queue.counts()["written"]


def test_mixed_lines_are_joined():
    """Text and bytes, as a renderer that fails now and then makes them, go out together."""
    stream = io.BytesIO()
    queue = QueueSink(StreamSink(stream), QueueOptions(batch_lines=2, batch_seconds=LONG))
    queue.write(b"bytes\n")
    queue.write("text é\n")
    assert queue.stop(LONG)
    assert "bytes\ntext é\n".encode() == stream.getvalue()


def test_the_writer_has_a_context_of_its_own():
    """What a sink logs or reads on the writer's thread belongs to no request."""
    seen: list[dict[str, Any]] = []
    queue = queue_to(lambda _: seen.append(ctxlog.get_context()))
    with ctxlog.scope(request_id="r-1"):
        queue.write("x\n")
    assert queue.stop(LONG)
    assert [{}] == seen


# -- full ----------------------------------------------------------------------------------------


def test_drop_newest(gate: Gate):
    """When it is full, the line that comes is dropped and counted, and one notice says so."""
    queue = blocked(gate, size=4)
    for number in range(10):
        queue.write(f"{number}\n")
    assert 4 == queue.depth
    gate.opened.set()
    assert queue.stop(LONG)
    assert ["first", "0", "1", "2"] == events(gate.lines)
    assert {"written": 4, "dropped.full": 7} == {
        name: queue.counts()[name] for name in ("written", "dropped.full")
    }
    notices = [json.loads(line) for line in gate.lines if line.startswith("{")]
    assert [(7, 7)] == [(one["ctxlog.dropped"], one["ctxlog.dropped.full"]) for one in notices]
    assert 1 == queue.counts()["notices"]


@pytest.mark.parametrize(
    "renderer",
    [lambda _, __, event: str([*event.values()]), lambda _, __, event: event["no"], lambda *_: ""],
    ids=["writes values as they are", "raises", "empty"],
)
def test_a_foreign_renderers_notice_is_said_and_forges_nothing(renderer: Any):
    """What the resource holds acts in no notice; where the renderer fails it goes out as JSON."""
    sink = StreamSink()
    sink.renderer = lambda *args: renderer(*args).replace("\\n", "\n").replace("\\r", "\r")
    line = notices.line_for(sink, {"dropped.full": 3}, resource={"host": "a\r\nforged\r"})
    text = line.decode() if isinstance(line, bytes) else line
    assert "dropped" in text
    assert "\r" not in text
    assert "\nforged" not in text
    assert text.endswith("\n")


def test_drop_oldest(gate: Gate):
    """When it is full, the line that waits longest makes room."""
    queue = blocked(gate, size=4, policy="drop-oldest")
    for number in range(10):
        queue.write(f"{number}\n")
    gate.opened.set()
    assert queue.stop(LONG)
    assert ["first", "7", "8", "9"] == events(gate.lines)
    assert 7 == queue.counts()["dropped.oldest"]


def test_drop_oldest_when_all_is_in_hand(gate: Gate):
    """With nothing left to drop but what is being written, the line that comes goes."""
    queue = blocked(gate, size=1, policy="drop-oldest")
    queue.write("second\n")
    assert 1 == queue.counts()["dropped.full"]
    gate.opened.set()
    assert queue.stop(LONG)


def test_drop_below_level_first(gate: Gate):
    """Lines below the level make room for those above, and only then does one above go."""
    queue = blocked(gate, size=4, policy="drop-below-level-first")
    for number, level in enumerate((20, 40, 20, 40, 40, 40, 20)):
        queue.write_at(f"{number}-{level}\n", level)
    gate.opened.set()
    assert queue.stop(LONG)
    assert ["first", "1-40", "3-40", "4-40"] == events(gate.lines)
    counts = queue.counts()
    assert (2, 2) == (counts["dropped.level"], counts["dropped.full"])
    assert 8 == accounted(counts)


def test_levels_keep_the_order_of_the_lines():
    """The two lanes are merged: what comes out is in the order it was logged in."""
    lines: list[str] = []
    queue = queue_to(lines.append, policy="drop-below-level-first")
    for number in range(200):
        queue.write_at(f"{number}\n", 40 if number % 3 else 20)
    assert queue.flush(LONG)
    assert [str(number) for number in range(200)] == lines
    assert queue.stop(LONG)


def test_the_pipeline_passes_the_level():
    """A line's level reaches the queue on both ways through the pipeline."""
    lines: list[str] = []
    gate = Gate()

    def take(line: str) -> None:
        gate(line)
        lines.append(json.loads(line)["event"])

    queue = {"policy": "drop-below-level-first", "size": 3, "level": "error", "batch_seconds": 0}
    ctxlog.configure(sinks=[{"target": take, "queue": queue}])
    try:
        log = ctxlog.get_logger("shop")
        log.info("first")
        assert gate.entered.wait(LONG)
        log.info("low 1")
        log.warning("low 2", data={1, 2})
        log.error("high 1")
        log.error("high 2", data={1, 2})  # the full way
        gate.opened.set()
        assert ctxlog.flush(LONG)
        assert ["first", "high 1", "high 2"] == [line for line in lines if "dropped" not in line]
    finally:
        gate.opened.set()
        ctxlog.shutdown(LONG)


# -- waiting ---------------------------------------------------------------------------------------


class FakeClock:
    """Seconds that pass when somebody waits for them."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


def test_a_call_waits_for_its_deadline_and_for_nothing_else(gate: Gate):
    """With a sink that never returns, a call asks to wait for the deadline's seconds in all.

    Its waits are the condition's alone: the lock beside it is free while the sink is stuck, so
    that nothing else can hold a call up.
    """
    clock = FakeClock()
    options = QueueOptions(size=2, policy="block-until-deadline", deadline=7.5, batch_seconds=0.0)
    queue = QueueSink(CallSink(gate), options, clock=clock)

    class Passing(Waits):
        def wait(self, timeout: float | None = None) -> bool:
            self.asked.setdefault(threading.get_ident(), []).append(timeout)
            clock.now += 3.0  # woken before, as by another's line
            return True

    queue.write("first\n")
    assert gate.entered.wait(LONG)
    waits = queue.changed = Passing(queue)
    queue.write("second\n")
    queue.write("third\n")
    assert [7.5, 4.5, 1.5] == waits.asked[threading.get_ident()]
    assert 1 == queue.counts()["dropped.deadline"]
    free: list[bool] = []

    def take_and_give_back() -> None:
        free.append(queue.guard.acquire(blocking=False))
        if free[0]:
            queue.guard.release()

    other = Thread(target=take_and_give_back)
    other.start()
    other.join()
    assert [True] == free


def test_a_call_that_waits_gets_the_room_that_is_made(gate: Gate):
    """A call that waits goes on as soon as the sink takes a line."""
    queue = blocked(gate, size=2, policy="block-until-deadline", deadline=LONG)
    queue.write("second\n")
    waiting = Waits(queue)
    queue.changed = waiting
    caller = Thread(target=queue.write, args=("third\n",))
    caller.start()
    while not waiting.asked:
        gate.entered.wait(0.001)
    gate.opened.set()
    caller.join(LONG)
    assert queue.stop(LONG)
    assert ["first", "second", "third"] == gate.lines


@pytest.mark.parametrize("policy", ["drop-newest", "drop-oldest", "drop-below-level-first"])
def test_dropping_waits_for_nothing(gate: Gate, policy: str):
    """A policy that drops never waits, whatever the sink does."""
    queue = blocked(gate, size=2, policy=policy)
    waits = queue.changed = Waits(queue)
    for _ in range(100):
        queue.write_at("x\n", 40)
    assert {} == waits.asked


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_sum_is_exact(policy: str, fault: str):
    """Logged is written, dropped or unknown, to the line, whatever the sink does."""
    outcome = run(policy, fault, threads=3, lines=100)
    assert outcome.logged == outcome.accounted
    assert 0 == outcome["depth"]
    assert outcome.longest <= 0.001


# -- a sink that fails --------------------------------------------------------------------------


def test_a_line_is_tried_again():
    """A failure that passes costs nothing but a retry, which is counted."""
    lines: list[str] = []
    failures = [OSError("once")]

    def take(line: str) -> None:
        if failures:
            raise failures.pop()
        lines.append(line)

    queue = queue_to(take)
    queue.write("x\n")
    assert queue.stop(LONG)
    assert ["x"] == lines
    counts = queue.counts()
    assert (1, 1, 0) == (counts["retried"], counts["written"], counts["failed"])


def test_retries_wait_longer_each_time():
    """The pauses between attempts double, and a stop ends them."""
    clock, asked = FakeClock(), []

    class Passing(Condition):
        def wait(self, timeout: float | None = None) -> bool:
            if threading.current_thread().name.startswith("ctxlog writer"):
                asked.append(timeout)
                clock.now += timeout or 0.0
                return True
            return super().wait(timeout)

    def fail(_: str) -> None:
        raise OSError("always")

    options = QueueOptions(batch_seconds=0.0, retries=3, retry_seconds=0.5)
    queue = QueueSink(CallSink(fail), options, clock=clock)
    queue.changed = Passing(queue.guard)
    queue.write("x\n")
    assert queue.flush(LONG)
    assert [0.5, 1.0, 2.0] == asked
    assert 1 == queue.counts()["dropped.failed"]
    assert queue.stop(LONG)


def test_what_cannot_be_written_goes_to_the_last_resort(monkeypatch: pytest.MonkeyPatch):
    """A line that the sink fails to write is counted and arrives at standard error."""
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", elsewhere)

    def fail(_: str) -> None:
        raise OSError("full")

    queue = queue_to(fail, retries=0)
    queue.write(b'{"event":"paid"}\n')
    assert queue.stop(LONG)
    written = json.loads(elsewhere.getvalue())
    assert "paid" == written["event"]
    assert "OSError: full" in written["ctxlog.errors"][0]
    assert 1 == queue.counts()["failed"]


def test_one_bad_line_does_not_cost_the_others_of_its_batch():
    """When a joined write fails, its lines are tried one by one."""

    class Picky(io.RawIOBase):
        taken = b""

        def write(self, data: Any) -> int:
            if b"bad" in bytes(data):
                raise OSError("bad")
            self.taken += bytes(data)
            return len(data)

    stream = Picky()
    inner = StreamSink(stream)
    inner.chunk_bytes = 1_000
    options = QueueOptions(batch_lines=3, batch_seconds=LONG, retries=0)
    queue = QueueSink(inner, options)
    for line in (b"good 1\n", b"bad\n", b"good 2\n"):
        queue.write(line)
    assert queue.stop(LONG)
    assert stream.taken.startswith(b"good 1\ngood 2\n")
    assert (2, 1) == (queue.counts()["written"], queue.counts()["failed"])


def test_a_writer_that_died_is_restarted_and_said_so():
    """SystemExit in a sink ends the writer; another goes on, and a line says what happened."""
    lines: list[str] = []

    def take(line: str) -> None:
        if line == "poison":
            raise SystemExit(3)
        lines.append(line)

    queue = queue_to(take, batch_lines=3, batch_seconds=LONG, size=100)
    for line in ("a\n", "poison\n", "b\n"):
        queue.write(line)
    assert queue.stop(LONG)
    assert ["a", "b"] == events(lines)
    counts = queue.counts()
    assert (2, 1, 1) == (counts["written"], counts["unknown"], counts["restarts"])
    (said,) = [json.loads(line) for line in lines if line.startswith("{")]
    assert "SystemExit: 3" in said["ctxlog.writer_restarted"]
    assert 1 == said["ctxlog.dropped.unknown"]


def test_levels_survive_a_writer_that_died():
    """What the dead writer had not given to the sink comes next, in order."""
    lines: list[str] = []

    def take(line: str) -> None:
        if line == "1":
            raise SystemExit
        lines.append(line)

    queue = queue_to(
        take, policy="drop-below-level-first", batch_lines=6, batch_seconds=LONG, size=100
    )
    for number in range(6):
        queue.write_at(f"{number}\n", 40 if number % 2 else 20)
    assert queue.stop(LONG)
    assert ["0", "2", "3", "4", "5"] == events(lines)


def test_a_notice_that_fails_is_told_later():
    """A drop stays untold until a notice got through."""
    lines: list[str] = []
    gate = Gate()
    refused = [True]

    def take(line: str) -> None:
        gate(line)
        if line.startswith("{") and refused:
            refused.clear()
            raise OSError("not now")
        lines.append(line)

    queue = queue_to(take, size=2)
    queue.write("first\n")
    assert gate.entered.wait(LONG)
    for _ in range(4):
        queue.write("x\n")
    gate.opened.set()
    assert queue.flush(LONG)
    queue.write("later\n")
    assert queue.stop(LONG)
    (said,) = [json.loads(line) for line in lines if line.startswith("{")]
    assert 3 == said["ctxlog.dropped"]


def test_events_are_dropped_and_told_as_events(gate: Gate):
    """A sink that takes events gets the notice as an event, with the process's own fields."""
    got: list[Any] = []

    def take(event: Any) -> None:
        gate("")
        got.append(event)

    queue = {"size": 1, "batch_seconds": 0}
    ctxlog.configure(
        sinks=[{"target": take, "renderer": "event", "queue": queue}], resource={"service": "shop"}
    )
    log = ctxlog.get_logger("shop")
    log.info("first")
    assert gate.entered.wait(LONG)
    log.info("second")
    gate.opened.set()
    assert ctxlog.shutdown(LONG)
    assert [("first", None), ("lines dropped", 1)] == [
        (event["event"], event.get("ctxlog.dropped")) for event in got
    ]
    assert "shop" == got[1]["service"]


# -- re-entrancy -----------------------------------------------------------------------------------


def test_what_a_sink_logs_does_not_come_back_to_it():
    """A sink that logs on the writer's thread makes no line for itself, and no loop."""
    lines: list[str] = []
    made: list[QueueSink] = []

    def take(line: str) -> None:
        lines.append(line)
        made[0].write("from inside\n")

    made.append(queue_to(take))
    made[0].write("x\n")
    assert made[0].flush(LONG)
    assert made[0].stop(LONG)
    assert ["x"] == lines
    assert 1 == made[0].counts()["dropped.reentrant"]


def test_a_sink_may_flush_its_own_queue():
    """From inside the sink a flush says no at once: it cannot wait for itself."""
    said: list[bool] = []
    made: list[QueueSink] = []
    made.append(queue_to(lambda _: said.append(made[0].flush(LONG))))
    made[0].write("x\n")
    assert made[0].stop(LONG)
    assert [False] == said


def test_a_finaliser_that_logs_while_the_queue_is_locked():
    """A line logged by ``__del__`` in the middle of a drop neither waits nor is lost."""
    gate = Gate()
    queue = blocked(gate, size=3)

    class Last:
        def __del__(self) -> None:
            queue.write("from a finaliser\n")

    with queue.guard:
        last = Last()
        del last
        gc.collect()
    gate.opened.set()
    assert queue.stop(LONG)
    assert ["first", "from a finaliser"] == gate.lines


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sise": 3}, "did you mean 'size'"),
        ({"size": 0}, "size takes a whole number from 1 to 1073741824, not 0"),
        ({"size": True}, "size takes a whole number"),
        ({"retries": -1}, "retries takes a whole number from 0"),
        ({"deadline": -1}, "deadline takes seconds from 0"),
        ({"deadline": float("inf")}, "deadline takes seconds"),
        ({"batch_seconds": "1"}, "batch_seconds takes seconds"),
        ({"policy": "drop"}, "unknown queue policy 'drop'"),
        ({"level": "loud"}, "loud"),
        ("drop", "unknown queue policy 'drop'"),
        (7, "not int"),
    ],
)
def test_bad_options_are_errors_at_once(given: Any, said: str):
    """A wrong option says what is accepted, where it is given."""
    with pytest.raises(UsageError, match=said):
        ctxlog.configure(sinks=[{"target": print, "queue": given}])


def test_options_may_be_given_as_they_are():
    """Options of one's own, their mapping, a policy's name and ``True`` all do."""
    options = QueueOptions(size=5)
    assert options is QueueOptions.of(options)
    assert options == QueueOptions.of({"size": 5})
    assert QueueOptions(policy="drop-oldest") == QueueOptions.of("drop-oldest")
    assert QueueOptions() == QueueOptions.of(True)
    assert (2, 1) == (options.batch, QueueOptions(size=1).batch)


def test_a_sink_can_be_added_behind_a_queue():
    """``add_sink(queue=…)`` puts a queue in front, and ``remove_sink`` empties it."""
    lines: list[str] = []
    ctxlog.configure(sinks=[])
    try:
        added = ctxlog.add_sink(lines.append, queue={"batch_seconds": LONG})
        ctxlog.get_logger("shop").info("accepted")
        ctxlog.remove_sink(added)
        assert ["accepted"] == [json.loads(line)["event"] for line in lines]
    finally:
        ctxlog.shutdown()
