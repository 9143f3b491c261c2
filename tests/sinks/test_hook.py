"""Hooks: told of events off the caller's path, under the emitting context; they harm nobody."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from benchmarks.faults.child import start
from ctxlog import get_logger, operation, scope, time_left
from ctxlog.counting import counters
from ctxlog.runtime import runtime
from ctxlog.sinks import hook, last_resort, native
from ctxlog.sinks.hook import MAX_HANGING, MAX_WAITING, HookSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = get_logger(__name__)


@pytest.fixture
def add() -> Iterator[Callable[..., HookSink]]:
    """Add hooks to a configuration that has nothing else; put back what was there."""
    ctxlog.configure(sinks=[])

    def adder(target: Callable[[dict[str, Any]], object], **options: Any) -> HookSink:
        sink = HookSink(target, **options)
        runtime.add_sink(sink)
        return sink

    yield adder
    ctxlog.shutdown(timeout=5)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was written to the last resort."""
    lines: list[str] = []
    monkeypatch.setattr(last_resort, "write", lambda line, *_: lines.append(str(line)))
    return lines


def test_runs_off_the_callers_path_under_the_emitting_context(add: Any) -> None:
    """The hook has the event, another thread, the emitter's fields and its operation's time."""
    seen: dict[str, Any] = {}

    def hook(event: dict[str, Any]) -> None:
        seen.update(
            event=event,
            thread=threading.get_ident(),
            context=ctxlog.get_context(),
            left=time_left(),
        )

    sink = add(hook)
    with operation("work", timeout=100), scope(request_id="r-1"):
        log.error("bad", n=1)
        assert sink.flush(5)
    assert seen["event"]["event"] == "bad"
    assert seen["thread"] != threading.get_ident()
    assert seen["context"] == {"request_id": "r-1"}
    assert 0 < seen["left"] <= 100


def test_one_that_raises_costs_nobody_anything(add: Any, said: list[str]) -> None:
    """A failing hook is counted and named, and is called again for the next event."""
    calls: list[str] = []

    def hook(event: dict[str, Any]) -> None:
        calls.append(event["event"])
        raise ValueError("no\nway")

    before = counters["errors.hook"]
    sink = add(hook)
    log.error("one")
    log.error("two")
    assert sink.flush(5)
    assert calls == ["one", "two"]
    assert sink.failed == 2
    assert counters["errors.hook"] == before + 2
    assert "ValueError" in said[0]


def test_one_that_logs_does_not_get_its_own_line_back(add: Any) -> None:
    """A hook that logs neither loops nor deadlocks; the line is counted as re-entrant."""
    calls: list[str] = []

    def hook(event: dict[str, Any]) -> None:
        calls.append(event["event"])
        log.error("from the hook")

    before = counters["dropped.reentrant"]
    sink = add(hook)
    log.error("first")
    assert sink.flush(5)
    assert calls == ["first"]
    assert counters["dropped.reentrant"] == before + 1


def test_one_that_hangs_keeps_its_thread_and_the_next_event_gets_another(
    add: Any, said: list[str]
) -> None:
    """A hanging call is given up, another worker goes on; after two the hook is disabled."""
    release, served = threading.Event(), threading.Event()

    def hook(event: dict[str, Any]) -> None:
        if event["event"] == "hang":
            release.wait()
        else:
            served.set()

    sink = add(hook, timeout=0.01)
    log.error("hang")
    log.error("next")
    assert sink.flush(30)
    assert served.wait(30)
    assert sink.hanging == 1
    log.error("hang")
    assert sink.flush(30)
    assert sink.hanging == MAX_HANGING
    assert sink.disabled
    failed = sink.failed
    log.error("too late")
    assert sink.failed == failed + 1
    assert "disabled" in said[-1]
    release.set()


def test_waiting_events_are_bounded(add: Any) -> None:
    """Past the bound the newest are dropped and counted; the caller never waits."""
    release = threading.Event()
    sink = add(lambda _event: release.wait())
    for _ in range(MAX_WAITING + 20):
        log.error("flood")
    assert 19 <= sink.failed <= 20
    release.set()
    assert sink.flush(30)


def test_flush_keeps_to_its_timeout(add: Any) -> None:
    """Flush says False when its time is up and the hook is still busy."""
    release = threading.Event()
    sink = add(lambda _event: release.wait())
    log.error("slow")
    assert not sink.flush(0.01)
    release.set()
    assert sink.flush(30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_in_a_forked_child_nothing_waits_and_the_parents_events_stay_there() -> None:
    """After renew_lock a child has no worker and no events; its own hook runs there."""
    release = threading.Event()
    seen: list[str] = []

    def hook(event: dict[str, Any]) -> None:
        release.wait()
        seen.append(event["event"])

    sink = HookSink(hook)
    sink.write({"event": "parent's"})
    child = os.fork()
    if child == 0:
        sink.renew_lock()
        release.set()
        sink.write({"event": "child's"})
        done = sink.flush(30) and seen == ["child's"]
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    release.set()
    assert sink.flush(30)
    assert seen == ["parent's"]


def test_a_stop_that_runs_out_of_time_counts_what_the_hook_was_not_told(add: Any) -> None:
    """The event in hand is unknown, those that wait are dropped, later ones too: all are counted."""
    entered, release = threading.Event(), threading.Event()

    def hook(_event: dict[str, Any]) -> None:
        entered.set()
        release.wait()

    sink = add(hook)
    log.error("in hand")
    assert entered.wait(30)
    log.error("waits")
    log.error("waits too")
    assert sink.counts()["depth"] == 3
    assert not sink.stop(0.01)
    sink.write({"event": "late"})
    counts = sink.counts()
    release.set()
    assert counts == {
        "written": 0, "failed": 0, "depth": 0,
        "unknown": 1, "dropped.stopped": 2, "dropped.closed": 1,
    }  # fmt: skip


def test_a_stop_tells_what_waits(add: Any) -> None:
    """Within its time, everything handed over is dealt with, and the idle thread ends."""
    told: list[str] = []
    sink = add(lambda event: told.append(event["event"]))
    for number in range(5):
        log.error(str(number))
    assert sink.stop(30)
    assert told == list("01234")
    threads = [one for one in threading.enumerate() if one.name == f"ctxlog {sink.name}"]
    for one in threads:
        one.join(30)
        assert not one.is_alive()


def test_flushed_from_inside_it_says_no_at_once(add: Any) -> None:
    """A hook that flushes or shuts down would wait for itself: it is told that it is not done."""
    said_so: list[bool] = []

    def hook(_event: dict[str, Any]) -> None:
        said_so.append(ctxlog.flush())
        said_so.append(ctxlog.flush(60))

    sink = add(hook)
    log.error("now")
    assert sink.flush(30)
    assert said_so == [False, False]


def test_where_no_thread_can_be_started_the_event_is_counted(
    add: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the interpreter ends: the line goes to the last resort, and the next is not stuck."""
    told: list[str] = []
    sink = add(lambda event: told.append(event["event"]))

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        log.error("nobody")
    assert "no thread can be started for it" in said[-1]
    assert "nobody" in said[-1]
    assert sink.counts() == {"written": 0, "failed": 1, "depth": 0}
    log.error("somebody")
    assert sink.flush(30)
    assert told == ["somebody"]


EXIT = """
import sys, threading
import ctxlog
from ctxlog.runtime import runtime

def hook(event):
    if event["event"] == "hangs":
        threading.Event().wait()
    threading.Event().wait(0.02)
    sys.stdout.write(event["event"] + "\\n")

ctxlog.configure(sinks=[])
ctxlog.add_hook(hook)
runtime.pipeline.sinks[0].stop_seconds = float(sys.argv[1])
for name in sys.argv[2:]:
    ctxlog.get_logger("exit").error(name)
"""


@pytest.mark.parametrize(
    ("seconds", "events", "told"),
    [(60, ["1", "2", "3"], "1\n2\n3\n"), (0.1, ["hangs", "3"], "")],
)
def test_the_end_of_the_interpreter(seconds: float, events: list[str], told: str) -> None:
    """What waits is told before the process ends; a hook that hangs does not keep it alive.

    What it was not told of is said on standard error.
    """
    process = start(EXIT, seconds, *events)
    out, err = process.communicate(timeout=60)
    assert (0, told) == (process.returncode, out)
    untold = {"ctxlog.dropped.unknown": 1, "ctxlog.dropped.stopped": 1} if not told else {}
    assert untold.items() <= (json.loads(err) if err else {}).items()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forks_while_other_threads_hand_over(add: Any) -> None:
    """Whatever lock is held at the fork, the child's hook works, and the parent's events are told."""
    told: list[str] = []
    sink = add(lambda event: told.append(event["event"]))
    stop, logged = threading.Event(), [0, 0]

    def busy(who: int) -> None:
        while not stop.is_set():
            sink.flush(30)  # never so many at once that some are dropped
            log.error("parent's")
            logged[who] += 1

    threads = [threading.Thread(target=busy, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    ends: list[int] = []
    for _ in range(15):
        child = os.fork()
        if child == 0:
            told.clear()
            log.error("child's")
            os._exit(0 if sink.flush(30) and told == ["child's"] else 1)
        ends.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join(30)
    assert sink.flush(30)
    assert ends == [0] * 15
    assert told == ["parent's"] * sum(logged)


@pytest.mark.parametrize("when", ["before the thread runs", "once the thread runs"])
def test_ctrl_c_while_its_thread_starts_leaves_no_hook_without_one(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next event starts another thread; both are told, once and in order."""
    told: list[Any] = []
    sink = HookSink(told.append)
    made = native.thread

    class Interrupted:
        def __init__(self, *args: Any, **options: Any) -> None:
            self.real = made(*args, **options)

        def start(self) -> None:
            if when == "once the thread runs":
                self.real.start()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(hook, "thread", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            sink.write({"event": "interrupted"})
    sink.write({"event": "next"})
    assert sink.flush(60)
    assert [{"event": "interrupted"}, {"event": "next"}] == told
    assert sink.stop(60)
