"""What interrupts a call of ours on its own thread and logs, binds or annotates: never a deadlock."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from benchmarks.faults.child import finish, start
from ctxlog import annotate, entry, get_logger, operation
from ctxlog.adapters.lines import Lines
from ctxlog.adapters.otel.metrics import Count
from ctxlog.context.fields import CURRENT
from ctxlog.context.snapshot import snapshot
from ctxlog.control.files import Watcher
from ctxlog.kubernetes.calls import Calls
from ctxlog.kubernetes.work import WorkQueue
from ctxlog.operations import Work
from ctxlog.runtime import Runtime
from ctxlog.sampling import Burst, Tail
from ctxlog.sinks.call import CallSink, CoroutineSink
from ctxlog.sinks.hook import HookSink
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_levels import LevelQueueSink
from ctxlog.sinks.queue_options import POLICIES, QueueOptions
from ctxlog.testing.crossings import Waiting
from tests.interrupting import interrupted
from tests.kit import configured, moved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG = 60.0


# -- operations ----------------------------------------------------------------------------------


def test_annotating_while_annotating() -> None:
    """A handler that annotates in the middle of an annotation: both are there."""
    works: list[Work] = []

    def begin() -> None:
        works[:] = [Work("unit", "shop", None)]
        works[0].annotate({"first": 1})

    def handler() -> None:
        if works:
            works[0].annotate({"second": 2})

    def check(where: str) -> None:
        assert {"first", "second"} >= works[0]._annotated.keys() >= {"first"}, where
        works.clear()

    assert 10 < interrupted(begin, handler, check)


def test_annotating_while_the_operation_ends() -> None:
    """A handler that annotates as the closing line is written: it is on it, or counted as late."""
    held: list[Any] = []

    with configured() as written:

        def work() -> None:
            with operation("unit"):
                held[:] = [CURRENT.get().fields.operation]

        def handler() -> None:
            if held:
                before = ctxlog.counters().get("annotate.late", 0)
                held[0].annotate({"second": 2})
                late = ctxlog.counters().get("annotate.late", 0) - before
                held.append(late)

        def check(where: str) -> None:
            (line,) = written.events
            if len(held) > 1:
                assert ("second" in line) != bool(held[1]), where
            held.clear()
            written.seek(0)
            written.truncate()

        assert 100 < interrupted(work, handler, check)


# -- sampling ------------------------------------------------------------------------------------


def test_logging_while_a_burst_is_counted() -> None:
    """A handler that logs while a burst counts: both lines come by, the counts go on."""
    bursts: list[Burst] = []

    def work() -> None:
        bursts[:] = [Burst(1_000)]
        bursts[0](None, "info", {"event": "a"})

    def handler() -> None:
        if bursts:
            bursts[0](None, "info", {"event": "a"})
            bursts[0](None, "info", {"event": "b"})

    assert 20 < interrupted(work, handler, lambda _: bursts.clear())


def test_logging_while_a_request_is_held() -> None:
    """A handler that logs a held line, or one that releases all: each is written, or counted."""
    names = ("dropped.tail", "dropped.tail_full")
    log = get_logger("shop")
    for badly in (False, True):
        with configured(processors=[Tail()]) as written, moved(*names) as by:

            def work() -> None:
                with entry():
                    log.info("first")
                    log.info("second")

            def handler(badly: bool = badly) -> None:
                if badly:
                    log.error("third")
                else:
                    log.info("third")

            number = interrupted(work, handler, every=3)
        assert 3 * number + 2 == len(written.events) + sum(by.values())
        assert not by["dropped.tail_full"]


# -- sinks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "binary", "text", "call"])
def test_logging_while_a_sink_writes(kind: str, tmp_path: Path) -> None:
    """A handler that logs in the middle of a line: both lines are whole, or counted."""
    path = tmp_path / "lines"
    path.touch()
    kept: list[str] = []
    streams: dict[str, Callable[[], Any]] = {
        "file": lambda: path,
        "binary": lambda: path.open("ab"),
        "text": lambda: path.open("a", encoding="utf-8"),
        "call": lambda: kept.append,
    }
    log = get_logger("shop")
    target = streams[kind]()
    with configured(sinks=[target]), moved("dropped.reentrant") as by:
        number = interrupted(lambda: log.info("first"), lambda: log.info("second"), lambda _: None)
    if kind in {"binary", "text"}:
        target.close()
    lines = [json.loads(line) for line in kept or path.read_text().splitlines()]
    assert 2 * number + 1 == len(lines) + by["dropped.reentrant"]
    assert 50 < number
    assert (kind == "call") == bool(by["dropped.reentrant"])


@pytest.mark.parametrize("policy", POLICIES)
def test_logging_while_a_line_is_queued(policy: str) -> None:
    """A handler that logs, flushes and reads counters as a line is queued: the sum is exact."""
    queues: list[QueueSink] = []
    kind = LevelQueueSink if policy == "drop-below-level-first" else QueueSink
    options = QueueOptions(policy=policy, batch_seconds=0.0, size=2, deadline=0.01)

    def work() -> None:
        queues[:] = [kind(CallSink(lambda _: None), options)]
        queues[0].write_at("a\n", 20)
        queues[0].write_at("b\n", 40)
        queues[0].flush(LONG)
        queues[0].counts()
        queues[0].stop(LONG)

    asked: list[None] = []

    def handler() -> None:
        if queues:
            asked.append(None)
            queues[0].write_at("c\n", 40)
            queues[0].flush(1.0)
            queues[0].counts()

    def check(where: str) -> None:
        counts = queues[0].counts()
        sum_ = sum(n for name, n in counts.items() if name.startswith("dropped."))
        assert 2 + len(asked) == counts["written"] + sum_ + counts["unknown"], (where, counts)
        assert not counts["depth"], (where, counts)
        queues.clear()
        asked.clear()

    assert 200 < interrupted(work, handler, check, every=2)


def test_stopping_while_a_line_is_queued() -> None:
    """A handler that stops the queue, as SIGTERM's does: each line is written, or counted."""
    queues: list[QueueSink] = []

    def work() -> None:
        queues[:] = [QueueSink(CallSink(lambda _: None), QueueOptions(batch_seconds=0.0))]
        queues[0].write("a\n")
        queues[0].write("b\n")
        queues[0].flush(LONG)
        queues[0].stop(LONG)

    def check(where: str) -> None:
        counts = queues[0].counts()
        sum_ = sum(n for name, n in counts.items() if name.startswith("dropped."))
        assert 2 == counts["written"] + sum_ + counts["unknown"], (where, counts)
        assert not counts["depth"], (where, counts)
        queues.clear()

    def handler() -> None:
        if queues:
            queues[0].stop(1.0)

    assert 200 < interrupted(work, handler, check)


def test_telling_a_hook_while_it_is_told() -> None:
    """A handler that tells a hook of an event as it is told of another: it hears of both, singly."""
    hooks: list[HookSink] = []
    told: list[str] = []
    inside: list[None] = []

    def hear(event: dict[str, Any]) -> None:
        inside.append(None)
        assert 1 == len(inside)
        told.append(event["event"])
        inside.pop()

    def work() -> None:
        hooks[:] = [HookSink(hear)]
        hooks[0].write({"event": "first"})
        hooks[0].flush(LONG)

    def handler() -> None:
        if hooks:
            hooks[0].write({"event": "second"})
            hooks[0].flush(LONG)

    def check(where: str) -> None:
        while not hooks[0].flush(LONG):
            pass
        assert "first" in told, where
        assert len(told) == hooks[0].counts()["written"], (where, hooks[0].counts(), told)
        assert hooks[0].stop(LONG), where
        hooks.clear()
        told.clear()

    assert 100 < interrupted(work, handler, check)


def test_logging_while_a_coroutine_sink_is_called() -> None:
    """A handler that logs as a coroutine sink takes a line: both arrive, no call stays counted."""
    got: list[str] = []

    async def take(line: str) -> None:
        got.append(line)

    sinks: list[CoroutineSink] = []

    async def main() -> None:
        sinks[:] = [CoroutineSink(take)]
        sinks[0].write("a\n")
        await sinks[0].drain()

    def handler() -> None:
        if sinks:
            try:
                sinks[0].write("b\n")
            except RuntimeError:
                return  # the loop has ended

    def check(where: str) -> None:
        assert not sinks[0]._under_way, where
        assert "a" in got
        sinks.clear()
        got.clear()

    assert 50 < interrupted(lambda: asyncio.run(main()), handler, check)


# -- the rest --------------------------------------------------------------------------------------


def test_asking_for_a_logger_while_asking_for_it() -> None:
    """A handler that asks for a logger as it is being made: both follow a later change of level."""
    kept: list[Any] = []
    runtimes: list[Runtime] = []

    def work() -> None:
        runtimes[:] = [Runtime(lambda *_: None)]
        kept.append(runtimes[0].channel("shop"))

    def handler() -> None:
        if runtimes:
            kept.append(runtimes[0].channel("shop"))

    def check(where: str) -> None:
        assert len(set(map(id, kept))) == 1, where
        kept.clear()
        runtimes.clear()

    assert 30 < interrupted(work, handler, check)


def test_a_call_of_the_api_while_another_is_made() -> None:
    """A handler that calls the API as another call's headers are made: both have theirs."""
    made: list[Calls] = []

    def work() -> None:
        made[:] = [Calls()]
        headers = made[0].headers(set())
        assert made[0].begin("GET", "/api/v1/pods", None, headers)

    def handler() -> None:
        if made:
            made[0].begin("GET", "/api/v1/pods", None, made[0].headers(set()))

    with moved("errors.api_call") as by:
        assert 100 < interrupted(work, handler)
    assert {"errors.api_call": 0} == by


def test_a_check_of_the_control_file_while_it_is_checked(tmp_path: Path) -> None:
    """A handler that checks the control file in the middle of a check does not wait for it."""
    path = tmp_path / "control"
    path.write_text('{"level": "debug"}')
    watchers: list[Watcher] = []

    def work() -> None:
        watchers[:] = [Watcher(path, 60.0)]
        watchers[0].check()

    def handler() -> None:
        if watchers:
            watchers[0].check()

    def check(where: str) -> None:
        assert watchers[0].error is None, where
        watchers.clear()

    with configured():
        assert 100 < interrupted(work, handler, check, every=3)


def test_labels_while_labels_are_made() -> None:
    """A handler whose event has labels of a metric, as another's are made: the bound holds."""
    made: list[Count] = []

    def work() -> None:
        made[:] = [Count("orders", "placed", labels=["to"], most=2)]
        made[0].labels_of({"to": "a"})

    def handler() -> None:
        if made:
            for to in "bcd":
                made[0].labels_of({"to": to})

    def check(where: str) -> None:
        assert 2 >= len(made[0]._seen), where
        made.clear()

    assert 20 < interrupted(work, handler, check)


def test_a_put_while_something_is_put() -> None:
    """A handler that puts and gets as something is put and taken: nothing hangs or fails."""
    made: list[Waiting] = []
    item: Any = object()

    def work() -> None:
        made[:] = [Waiting()]
        made[0].put(1, item, item)
        made[0].got(1, item)

    def handler() -> None:
        if made:
            made[0].put(1, item, item)
            made[0].got(1, item)

    assert 40 < interrupted(work, handler)


def test_a_key_that_is_put_while_one_is_put() -> None:
    """A handler that puts a key to reconcile as another is put: both are worked on, once."""
    made: list[WorkQueue] = []
    taken: list[Any] = []

    def work() -> None:
        made[:] = [WorkQueue()]
        made[0].add("a")
        taken.append(made[0].get(0).key)

    def handler() -> None:
        if made:
            made[0].add("b")

    def check(where: str) -> None:
        while len(made[0]):
            taken.append(made[0].get(0).key)
        assert {"a"} <= set(taken) <= {"a", "b"} and len(taken) <= 3, where  # noqa: PT018
        made.clear()
        taken.clear()

    assert 100 < interrupted(work, handler, check)


def test_logging_while_it_is_configured(tmp_path: Path) -> None:
    """A handler that logs in the middle of configure, add_sink, flush and shutdown: no deadlock."""
    path = tmp_path / "lines"
    log = get_logger("shop")

    def work() -> None:
        ctxlog.configure(sinks=[{"target": path, "queue": {"batch_seconds": 0.0}}], stdlib=False)
        ctxlog.add_sink(path)
        log.info("first")
        ctxlog.set_level("shop", "debug")
        ctxlog.flush(LONG)
        ctxlog.shutdown(LONG)

    with moved("lost") as by:
        assert 200 < interrupted(work, lambda: log.error("second"), every=53)
    assert {"lost": 0} == by
    for line in path.read_text().splitlines():
        json.loads(line)


def test_binding_while_a_scope_is_entered_and_left() -> None:
    """A handler that binds, logs and captures as scopes come and go: each frame is left as it was."""

    def work() -> None:
        with ctxlog.scope(a=1), entry():
            annotate(b=2)
            ctxlog.bind_context(c=3)
            snapshot().run(ctxlog.get_context)
            with operation("unit"):
                ctxlog.unbind_context("c")

    def handler() -> None:
        with ctxlog.scope(x=1):
            ctxlog.bind_context(y=2)
            annotate(z=3)
            snapshot()

    def check(where: str) -> None:
        assert {} == ctxlog.get_context(), where

    with configured():
        assert 300 < interrupted(work, handler, check, every=3)


def test_printing_while_something_is_printed() -> None:
    """A handler that prints in the middle of a print that becomes lines: no print fails."""
    made: list[Lines] = []

    def work() -> None:
        made[:] = [Lines("out", parse=False)]
        made[0].write("begun ")
        made[0].write("ended\nrest")
        made[0].close()

    def handler() -> None:
        if made and not made[0].closed:
            made[0].write("other\nmore")

    with configured() as written:

        def check(where: str) -> None:
            said = " ".join(line["event"] for line in written.events)
            for word in ("begun", "ended", "rest"):
                assert 1 == said.count(word), where
            written.seek(0)
            written.truncate()

        assert 100 < interrupted(work, handler, check, every=2)


# -- with real signals -----------------------------------------------------------------------------

_SIGNALS = """
import signal, sys, time
import ctxlog
from ctxlog import annotate, bind_context, counters, flush, operation, shutdown  # none half imported

path = sys.argv[1]
ctxlog.configure(sinks=[{"target": path, "queue": {"batch_seconds": 0.0, "size": 64}}, path])
log = ctxlog.get_logger("shop")
caught = depth = 0

def again():
    signal.setitimer(signal.ITIMER_REAL, 0.0005)

def handler(*_):
    global caught, depth
    caught += 1
    depth += 1
    if depth < 3 and not over:  # one may come while another is handled; not without end where that is slow
        again()
    annotate(caught=caught)
    bind_context(bound=caught)
    log.info("signal")
    if not caught % 50:
        ctxlog.flush(5)
    ctxlog.counters()
    depth -= 1
    if not depth and not over:
        again()

over = False
signal.signal(signal.SIGALRM, handler)
again()
end = time.monotonic() + 2
runs = 0
while time.monotonic() < end or caught < 100:
    with operation("unit"):
        for number in range(5):
            annotate(number=number)
        log.info("main")
    runs += 1
    ctxlog.flush(5)
over = True
signal.setitimer(signal.ITIMER_REAL, 0)
ctxlog.shutdown(10)
read = ctxlog.counters()
ends = sum(n for name, n in read.items() if name.startswith("closed.dropped."))
print(2 * (2 * runs + caught) == read["closed.written"] + ends + read.get("closed.unknown", 0))
"""


def test_signals_that_annotate_log_and_flush(tmp_path: Path) -> None:
    """Two thousand signals a second whose handler annotates, binds, logs, flushes: nothing hangs."""
    path = tmp_path / "lines"
    assert "True\n" == finish(start(_SIGNALS, path), LONG)
    for line in path.read_text().splitlines():
        json.loads(line)


_CTRL_C = """
import signal, sys, threading, time
import ctxlog
from ctxlog import annotate, entry, operation

kind, path = sys.argv[1:]
queue = {"batch_seconds": 0.0, "size": 64, "policy": "block-until-deadline"}
target = {"text": lambda: open(path, "a"), "call": lambda: (lambda line: None)}.get(kind, lambda: path)()
ctxlog.configure(sinks=[{"target": target, "queue": queue if kind == "queue" else None}])
if kind == "hook":
    ctxlog.add_hook(lambda event: None, level="info")
log = ctxlog.get_logger("shop")
armed = False

def handler(*_):
    global armed
    if armed:  # once: nobody is quick enough to interrupt what an interrupt is cleaning up
        armed = False
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.00041)
end, interrupts = time.monotonic() + 2, 0
while time.monotonic() < end or interrupts < 500:
    try:
        armed = True
        with entry(), operation("unit"):
            annotate(n=1)
            log.error("line")
        ctxlog.counters()
        armed = False
    except KeyboardInterrupt:
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
done = []
other = threading.Thread(target=lambda: (log.error("other"), done.append(True)), daemon=True)
other.start()
other.join(20)
print(done, ctxlog.flush(20), ctxlog.shutdown(20))
"""


@pytest.mark.parametrize("kind", ["file", "text", "call", "queue", "hook"])
def test_ctrl_c_at_any_moment(kind: str, tmp_path: Path) -> None:
    """Thousands of Ctrl-C as lines are written: no lock stays held, other threads go on logging."""
    process = start(_CTRL_C, kind, tmp_path / "lines")
    out, _ = process.communicate(timeout=LONG)
    assert "[True] True True\n" == out
