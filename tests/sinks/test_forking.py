"""Fork and spawn: no hang, no line twice, none lost, whatever started the child."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from threading import Event
from typing import TYPE_CHECKING

import pytest

from benchmarks.faults import forks, kills, processes
from benchmarks.faults.child import finish, start
from benchmarks.faults.lines import Arrived
from ctxlog.sinks import forking
from ctxlog.sinks.call import CallSink

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.mark.parametrize("target", ["queued", "file", "buffered", "text"])
def test_forks_while_threads_log(target: str):
    """Each line of parent and children arrives once, and every child ends."""
    arrived, missing, failed = forks.run(target, forks=20, lines=5)
    assert [] == arrived.torn
    assert (0, 0, 0) == (missing, arrived.doubled, failed)


@pytest.mark.parametrize("how", ["direct", "queued"])
def test_processes_write_one_file(how: str):
    """Lines of several processes are whole, and there once."""
    arrived = processes.run(how, processes=4, lines=1_000)
    assert (4_000, [], 0) == (arrived.whole, arrived.torn, arrived.doubled)


@pytest.mark.parametrize(("how", "most"), [("direct", 0), ("queued", kills.SIZE)])
def test_kill_minus_nine(how: str, most: int):
    """What was written stays whole; no more is lost than the queue may hold."""
    arrived, logged = kills.run(how, 3_000)
    assert [] == arrived.torn[:-1]
    assert set(range(arrived.whole)) == arrived.by.get("p", set())
    assert arrived.missing("p", logged) <= most


CHILDREN = """
import multiprocessing, sys
import ctxlog

def work(path, queued, number):
    log = ctxlog.get_logger("child")
    if multiprocessing.get_start_method() != "fork":
        configure(path, queued)
    for n in range(50):
        log.info("line", who=f"c{number}", n=n)

def configure(path, queued):
    queue = {"batch_seconds": 60} if queued else None
    ctxlog.configure(level="info", sinks=[{"target": path, "queue": queue}])

if __name__ == "__main__":
    path, method, queued = sys.argv[1], sys.argv[2], sys.argv[3] == "queued"
    multiprocessing.set_start_method(method)
    configure(path, queued)
    ctxlog.get_logger("parent").info("line", who="p", n=0)
    children = [
        multiprocessing.Process(target=work, args=(path, queued, n)) for n in range(3)
    ]
    for one in children: one.start()
    for one in children: one.join()
    ctxlog.get_logger("parent").info("line", who="p", n=1)
    sys.exit(any(one.exitcode for one in children))
"""


@pytest.mark.parametrize("how", ["direct", "queued"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path: Path, method: str, how: str):
    """A child of any start method writes all its lines once, though it leaves without atexit."""
    path, script = tmp_path / "lines", tmp_path / "main.py"
    script.write_text(CHILDREN, encoding="utf-8")
    process = start(
        "import os, sys; os.execv(sys.executable, [sys.executable, '-W', 'ignore', *sys.argv[1:]])",
        script, path, method, how,
    )  # fmt: skip
    finish(process, 90)
    arrived = Arrived(path)
    assert ([], 0) == (arrived.torn, arrived.doubled)
    assert [50, 50, 50] == [len(arrived.by[f"c{n}"]) for n in range(3)]
    assert {0, 1} == arrived.by["p"]


APP = """
import ctxlog, os
from itertools import count
ctxlog.configure(level="info", sinks=[{"target": os.environ["LINES"], "queue": {"batch_seconds": 60}}])
log = ctxlog.get_logger("app")
log.info("line", who=f"loaded by {os.getpid()}", n=0)
numbers = count()

def app(environ, start_response):
    log.info("line", who=str(os.getpid()), n=next(numbers))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def test_gunicorn_preload(tmp_path: Path):
    """Workers forked from a master that has logged write their own lines, and only those."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    path, bound = tmp_path / "lines", tmp_path / "gunicorn.log"
    code = f"""
import os, sys
os.environ["LINES"] = {str(path)!r}
os.chdir({str(tmp_path)!r})
sys.path.insert(0, {str(tmp_path)!r})
sys.argv = ["gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:0",
            "--log-file", {str(bound)!r}, "app:app"]
from gunicorn.app.wsgiapp import run
run()
"""
    process = start(code)
    try:
        address = _address(bound)
        answered = [urllib.request.urlopen(address, timeout=30).read().decode() for _ in range(40)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    arrived = Arrived(path)
    assert ([], 0) == (arrived.torn, arrived.doubled)
    loaded = [who for who in arrived.by if who.startswith("loaded")]
    assert 1 == len(loaded)
    assert {who: answered.count(who) for who in set(answered)} == {
        who: len(numbers) for who, numbers in arrived.by.items() if who not in loaded
    }


def _address(log: Path) -> str:
    """Return where a gunicorn listens, once it says so."""
    for _ in range(3_000):
        if log.exists() and "Listening at: " in (text := log.read_text("utf-8")):
            return text.partition("Listening at: ")[2].split()[0]
        time.sleep(0.01)
    raise AssertionError(log.read_text("utf-8"))


def test_a_fork_does_not_wait_for_a_stalled_sink(monkeypatch: pytest.MonkeyPatch):
    """A sink that is stuck holds its lock; the fork goes on without it, and the child gets anew."""
    monkeypatch.setattr(forking, "PATIENCE", 0.01)
    entered, opened = Event(), Event()

    def stuck(_: str) -> None:
        entered.set()
        opened.wait(60)

    sink = CallSink(stuck)
    writer = threading.Thread(target=sink.write, args=("x\n",))
    writer.start()
    assert entered.wait(60)
    forking.before()
    forking.in_parent()
    assert not sink.acquire(blocking=False)
    opened.set()
    writer.join()


def test_a_child_has_locks_of_its_own():
    """In a child of a process whose sink is being written to, logging works."""
    code = """
import os, sys, threading, time
import ctxlog
entered, opened = threading.Event(), threading.Event()
parent = os.getpid()
def sink(line):
    if os.getpid() == parent:
        entered.set(); opened.wait(60)
    else:
        os.write(1, b"child wrote")
ctxlog.configure(sinks=[sink])
log = ctxlog.get_logger("x")
stuck = threading.Thread(target=log.info, args=("parent",))
stuck.start(); entered.wait(60)
import warnings; warnings.simplefilter("ignore")
pid = os.fork()
if not pid:
    log.info("child"); ctxlog.set_level(None, "debug"); os._exit(0)
status = os.waitpid(pid, 0)[1]
opened.set(); stuck.join()
sys.exit(status)
"""
    assert "child wrote" == finish(start(code), 60)


def test_a_childs_counters_are_its_own(tmp_path: Path):
    """What a child counted is its own: its queue starts from nothing."""
    path = tmp_path / "lines"
    code = """
import json, os, sys, warnings
import ctxlog
warnings.simplefilter("ignore")
ctxlog.configure(level="info", sinks=[{"target": sys.argv[1], "queue": {"batch_seconds": 60}}])
log = ctxlog.get_logger("x")
log.info("parent")
pid = os.fork()
if not pid:
    log.info("child")
    ctxlog.shutdown(30)
    os.write(1, str(ctxlog.counters()["closed.written"]).encode())
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert "1" == finish(start(code, path), 60)
    events = [json.loads(line)["event"] for line in path.read_text("utf-8").splitlines()]
    assert ["child", "parent"] == sorted(events)


FORKING = """
import os
import ctxlog
def forking(line):
    if '"fork"' in line:
        pid = os.fork()
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
    os.write(1, b"c" if os.getpid() != parent else b"p")
parent = os.getpid()
ctxlog.configure(sinks=[forking], uncaught=False)
log = ctxlog.get_logger("shop")
log.info("fork")
log.info("after")
counts = ctxlog.counters()
assert (2, 0) == (counts["sink.1.written"], counts["sink.1.failed"]), counts
assert ctxlog.shutdown(5)
"""


def test_a_callable_that_forks():
    """Its line comes to its end in both; in the child it failed, for its lock was no longer held."""
    assert "ccpp" == finish(start(FORKING), 60)
