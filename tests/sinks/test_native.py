"""Threads of the library's own are the system's, whenever gevent patches."""

from __future__ import annotations

import threading

import pytest

from benchmarks.faults.child import finish, start
from ctxlog.sinks import native
from tests.sinks.test_queue import LONG

#: The sink waits as C code does, for what only a greenlet of the main thread does.
PATCHED = """
import os, sys
from _thread import allocate_lock
when = sys.argv[1]
going = allocate_lock(); going.acquire()
def patch():
    from gevent import monkey
    monkey.patch_all()
if when == "before the import":
    patch()
import ctxlog
from ctxlog.sinks.hook import HookSink
lines, told = [], []
def slow(line):
    going.acquire()
    going.release()
    lines.append(line)
block = {"policy": "block-until-deadline", "size": 2, "deadline": 60.0, "batch_seconds": 0.0}
ctxlog.configure(sinks=[{"target": slow, "queue": block}, {"target": told.append, "queue": True}], uncaught=False)
hooked = []
hook = HookSink(hooked.append)
from ctxlog.runtime import runtime
runtime.add_sink(hook)
if when == "after configure":
    patch()
log = ctxlog.get_logger("shop")
log.info("first")
if when == "after a line":
    patch()  # a thread that it finds running misses its entry in `threading` when it ends
    sys.unraisablehook = lambda _: None
import gevent
light = gevent.spawn(going.release)
light.join()
def work(name):
    for number in range(20):
        log.info(name, number=number)
        gevent.sleep(0)
gevent.joinall([gevent.spawn(work, name) for name in "abc"])
assert ctxlog.flush(60)
assert [61] * 3 == [len(lines), len(told), len(hooked)], (len(lines), len(told), len(hooked))
child = os.fork()
if not child:
    log.info("in a child")
    os._exit(not (ctxlog.flush(60) and [62] * 3 == [len(lines), len(told), len(hooked)]))
assert os.waitpid(child, 0)[1] == 0
going.acquire()
for number in range(2):
    log.info("stuck")
import io
sys.__stderr__ = said = io.StringIO()
assert not ctxlog.shutdown(0.2)
assert '"ctxlog.dropped":2,' in said.getvalue()
counts = ctxlog.counters()
assert (1, 1) == (counts["closed.unknown"], counts["closed.dropped.stopped"]), counts
ctxlog.configure(stream=sys.stdout, renderer="json", uncaught=False)
ctxlog.shutdown()
ctxlog.configure(sinks=[{"target": sys.stdout, "renderer": "logfmt", "queue": True}], uncaught=False)
log.info("last")
"""


@pytest.mark.parametrize(
    "when", ["before the import", "after configure", "after a line", "not at all"]
)
def test_gevent_may_patch_when_it_likes(when: str):
    """A queue and a hook write, block, flush, fork, stop in time and end, in either order."""
    assert finish(start(PATCHED, when), 60.0).endswith("event=last\n")


SWITCHING = """
import sys
when = sys.argv[1]
def patch():
    from gevent import monkey
    monkey.patch_all()
if when == "before the import":
    patch()
import ctxlog
lines, under_way = [], []
def switching(line):
    assert not under_way
    under_way.append(line)
    log.info("its own")
    gevent.sleep(0)
    lines.append(line)
    under_way.clear()
ctxlog.configure(sinks=[switching], uncaught=False)
if when == "after configure":
    patch()
import gevent
log = ctxlog.get_logger("shop")
def work(name):
    for number in range(20):
        log.info(name, number=number)
        gevent.sleep(0)
gevent.joinall([gevent.spawn(work, name) for name in "abc"])
counts = ctxlog.counters()
print(len(lines), counts["sink.1.written"], counts["dropped.reentrant"])
"""


@pytest.mark.parametrize("when", ["before the import", "after configure", "not at all"])
def test_a_callable_that_lets_other_greenlets_go_on(when: str):
    """Their lines follow, one at a time; they counted as logged by the callable itself."""
    assert "60 60 60\n" == finish(start(SWITCHING, when), 60.0)


STREAM = """
import os
import gevent
from gevent.fileobject import FileObjectPosix
import ctxlog
reading, writing = os.pipe()
pipe = FileObjectPosix(writing, "wb", 0)
ctxlog.configure(sinks=[pipe], renderer="json", uncaught=False)
log = ctxlog.get_logger("shop")
def work(name):
    for number in range(100):
        log.info("x" * 1_000, name=name, number=number)
def read():
    with FileObjectPosix(reading, "rb", 0) as file:
        return file.readlines()
reader = gevent.spawn(read)
gevent.joinall([gevent.spawn(work, name) for name in "abcd"])
pipe.close()
lines = reader.get()
print(len(lines), all(line.endswith(b"}\\n") for line in lines), ctxlog.counters().get("dropped.reentrant"))
"""


def test_a_stream_that_lets_other_greenlets_go_on():
    """They wait for it as threads do; most of their lines were dropped as the stream's own."""
    assert "400 True None\n" == finish(start(STREAM), 60.0)


BARE = """
from greenlet import getcurrent, greenlet
import ctxlog, sys
def switching(line):
    lines.append("begun")
    main.switch()
    lines.append(line)
lines, main = [], getcurrent()
ctxlog.configure(sinks=[switching], renderer=lambda _, __, event: event["event"], uncaught=False)
log = ctxlog.get_logger("shop")
other = greenlet(log.info)
other.switch("first")
log.info("second")
other.switch()
other.switch()
assert "gevent" not in sys.modules
print(lines, ctxlog.counters().get("dropped.reentrant"))
"""


def test_greenlets_that_nobody_runs():
    """None can be waited for: whose write is under way writes the others' lines after it."""
    assert "['begun', 'first', 'begun', 'second'] None\n" == finish(start(BARE), 60.0)


def test_a_thread_that_threading_does_not_know(monkeypatch: pytest.MonkeyPatch):
    """Where ``_thread`` is not the system's any more, a thread still starts, is known and ends."""
    monkeypatch.setattr("_thread.start_new_thread", None)
    going, idents = threading.Event(), []

    def work(name: str) -> None:
        idents.append((name, native.get_ident()))
        going.wait(LONG)

    thread = native.thread(work, "writer", name="x")
    assert not thread.is_alive()
    thread.start()
    thread.join(0.001)
    assert thread.is_alive()
    going.set()
    thread.join()
    assert not thread.is_alive()
    assert [("writer", thread.ident)] == idents


def test_a_thread_that_may_not_start(monkeypatch: pytest.MonkeyPatch):
    """It says so, and is not alive."""

    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", None)
    monkeypatch.setattr(native, "start_new_thread", refuse)
    thread = native.thread(print, name="x")
    with pytest.raises(RuntimeError, match="can't start"):
        thread.start()
    assert (False, None) == (thread.is_alive(), thread.ident)


def test_a_condition_wakes_all():
    """Whoever waits is woken by a notice, and told apart from one whose time was over."""
    guard = native.RLock()
    changed = native.Condition(guard)
    said: list[bool] = []

    def wait() -> None:
        with guard:
            said.append(changed.wait(LONG))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    while any(thread.is_alive() for thread in waiting):
        with guard:
            changed.notify_all()
    assert [True] * 3 == said
    with guard:
        assert not changed.wait(0.001)
        changed.notify_all()  # nobody waits any more
