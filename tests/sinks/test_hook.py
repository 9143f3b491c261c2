"""Hooks: told of events off the caller's path, under the emitting context; they harm nobody."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from ctxlog import get_logger, operation, scope, time_left
from ctxlog.counting import counters
from ctxlog.runtime import runtime
from ctxlog.sinks import last_resort
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
