"""Control files of every kind: nothing that is read may stop the process, or fill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import ctxlog
from ctxlog import control, propagation
from ctxlog.control import files
from ctxlog.errors import UsageError
from ctxlog.runtime import runtime
from tests.control.test_levels import until
from tests.kit import configured, moved

log = ctxlog.get_logger("operator.files")


def watched(path: str | os.PathLike[str]) -> control.Watcher:
    """Watch a file, on a thread: it must not wait for anybody."""
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(control.watch(path, interval=0.01)))
    thread.daemon = True
    thread.start()
    thread.join(30)
    assert made, "watch() waits"
    watcher: control.Watcher = made[0]
    return watcher


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_is_refused_at_the_start_and_when_it_takes_a_files_place(tmp_path: Path):
    """Nobody may ever write to it: it is said, and what held before still does."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with configured(level="info"), moved("errors.control") as by:
        watcher = watched(fifo)
        watcher.stop()
        assert "no regular file" in (watcher.error or "")
        path = tmp_path / "levels.json"
        path.write_text('{"level": "error"}', encoding="utf-8")
        watcher = watched(path)
        try:
            assert watcher.error is None
            fifo.rename(path)
            until(lambda: watcher.error)
            assert not log.is_enabled_for("warning")
            path.unlink()
            path.write_text('{"level": "debug"}', encoding="utf-8")
            until(lambda: log.is_enabled_for("debug"))
            assert watcher.error is None
        finally:
            watcher.stop()
    assert by["errors.control"] >= 2


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/proc/self", "/"])
def test_devices_and_directories_are_refused(path: str):
    """A device may never end, or wait for somebody to type."""
    if not Path(path).exists():
        pytest.skip("there is no such thing here")
    with configured():
        watcher = watched(path)
        watcher.stop()
    assert "no regular file" in (watcher.error or "")


def test_a_large_file_is_not_read_as_a_whole(tmp_path: Path):
    """Bytes that are read are bounded, whatever the file has: this one says it has a terabyte."""
    path = tmp_path / "levels.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with configured():
        watcher = watched(path)
        watcher.stop()
    assert "more than 65,536 bytes" in (watcher.error or "")


@pytest.mark.parametrize(
    "interval", [float("inf"), float("nan"), 1e300, 10**400, None], ids=range(5)
)
def test_an_interval_that_cannot_be_waited_for_is_an_error_at_once(interval: Any):
    """Not a thread that dies."""
    with pytest.raises(UsageError, match="interval"):
        control.watch("x", interval=interval)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no such signals here")
def test_signals_that_interrupt_one_another_stop_nobody(tmp_path: Path):
    """A signal may come at any line of the handler of the one before: no lock may be held there."""
    path = tmp_path / "levels.json"
    path.write_text("{}", encoding="utf-8")
    code = """
import signal, sys, ctxlog
from ctxlog import control, propagation
ctxlog.configure(sinks=[])
watcher = control.watch(sys.argv[1], interval=3600)
control.reload_on(signal.SIGUSR1)
left = 200

def trace(frame, event, arg):
    global left
    if event == "line" and left and frame.f_code.co_name != "<module>":
        left -= 1
        signal.raise_signal(signal.SIGUSR1)
    return trace

sys.settrace(trace)
signal.raise_signal(signal.SIGUSR1)
sys.settrace(None)
assert left < 200
open(sys.argv[1], "w").write('{"level": "debug"}')
signal.raise_signal(signal.SIGUSR1)
while not ctxlog.get_logger("x").is_enabled_for("debug"):
    pass
watcher.stop()
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert 0 == done.returncode


def test_the_longest_interval_can_be_waited_for(tmp_path: Path):
    """And ended."""
    with configured():
        watcher = control.watch(tmp_path / "none", interval=threading.TIMEOUT_MAX)
        watcher.stop()
        assert not watcher._thread.is_alive()


def test_the_watching_thread_is_nobodys(tmp_path: Path):
    """Watched from a handler, with threads that carry context: its later lines are not that one's."""
    path = tmp_path / "levels.json"
    path.write_text("{}", encoding="utf-8")
    propagation.install()
    try:
        with configured(level="info") as written:
            with ctxlog.entry({"x-request-id": "r-1"}):
                watcher = control.watch(path, interval=0.01)
            try:
                path.write_text('{"level": "debug"}', encoding="utf-8")
                until(lambda: log.is_enabled_for("debug"))
            finally:
                watcher.stop()
    finally:
        propagation.uninstall()
    first, later = [e for e in written.events if "control file applied" == e["event"]]
    assert "r-1" == first["request_id"]
    assert "request_id" not in later


@pytest.mark.parametrize("path", [None, 3, ["levels.json"]])
def test_a_path_that_is_none_is_an_error_at_once(path: Any):
    """A number would be somebody's open file."""
    with pytest.raises(UsageError, match="path"):
        control.watch(path)


def test_a_path_that_no_system_takes_is_told(tmp_path: Path):
    """It is no error of whoever watches: what held still does."""
    with configured():
        watcher = watched(f"{tmp_path}/nu\0l")
        watcher.stop()
    assert "null" in (watcher.error or "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_can_be_controlled(tmp_path: Path):
    """Whoever held a lock in the parent does not exist there; who watched does not either."""
    path = tmp_path / "levels.json"
    path.write_text("{}", encoding="utf-8")
    code = """
import os, sys, threading, ctxlog
from ctxlog import control
from ctxlog.control import applying, files
ctxlog.configure(sinks=[])
parents = control.watch(sys.argv[1], interval=3600)
held, go_on = threading.Event(), threading.Event()

def hold():
    with applying._base.lock, files._lock, parents._lock:
        held.set()
        go_on.wait(60)

thread = threading.Thread(target=hold)
thread.start()
held.wait(60)
pid = os.fork()
if not pid:
    control.apply({"level": "debug"})
    parents.check()
    parents.stop()
    watcher = control.watch(sys.argv[1], interval=3600)
    watcher.stop()
    os._exit(7 if ctxlog.get_logger("x").is_enabled_for("info") else 8)
go_on.set()
thread.join()
parents.stop()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert 7 == done.returncode


def test_what_is_no_json_is_said_to_be_none(tmp_path: Path):
    """Who writes a ConfigMap thinks of YAML first."""
    file = tmp_path / "levels.json"
    file.write_text("level: debug\n")
    with configured():
        watcher = control.watch(file, interval=3_600.0)
        watcher.stop()
    assert "it is no JSON: Expecting value: line 1 column 1 (char 0)" == watcher.error


@pytest.mark.parametrize(
    "text", ['{"level":"debug","level":"error"}', '{"debug":{"objects":["a"],"objects":[]}}']
)
def test_a_name_that_is_there_twice_is_an_error(text: str, tmp_path: Path):
    """One of them would not hold, and nobody would be told."""
    path = tmp_path / "levels.json"
    path.write_text(text)
    with configured(level="info") as written:
        watcher = watched(path)
        assert "is there twice" in (watcher.error or "")
        watcher.stop()
        assert (20, {}) == runtime.levels()
    assert "control file cannot be used: what held before still does" == written.event["event"]


def test_an_error_is_over_once_the_settings_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What stood in the way may have been elsewhere: the configuration went in between."""
    path = tmp_path / "levels.json"
    path.write_text('{"level": "warning"}')
    with configured(level="info") as written:
        watcher = control.Watcher(path, 600)
        with monkeypatch.context() as patched:
            patched.setattr(files, "apply", lambda _: 1 / 0)
            watcher.check()
            assert "ZeroDivisionError: division by zero" == watcher.error
        watcher.check()
        assert watcher.error is None
        assert (30, {}) == runtime.levels()
        path.write_text("{")
        watcher.check()
        assert "no JSON" in (watcher.error or "")
        path.write_text('{"level": "info"}')
        watcher.check()
        watcher.check()
        assert watcher.error is None
    events = [line["event"] for line in written.events]
    assert "control file applied" == events[-1]
    assert 3 == len(events)
