"""Uncaught exceptions and warnings as events, chained to the hooks that were there."""

from __future__ import annotations

import asyncio
import functools
import gc
import io
import json
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest

import ctxlog
from ctxlog.adapters.logging.hooks import WARNINGS


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """Return what was written, parsed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a process without hooks of its own writes, once configured."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    stream = io.StringIO()
    ctxlog.configure(stream=stream, renderer="json")
    return stream


def fail() -> None:
    """Raise."""
    raise ValueError("nobody catches me")


def test_the_main_thread(out: io.StringIO):
    """An exception that ends the program is one critical line, and no bare traceback."""
    try:
        fail()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    line = lines(out)[0]
    assert ("critical", "ValueError") == (line["level"], line["exception.type"])


def test_a_thread(out: io.StringIO, capsys: Any):
    """An exception that ends a thread is one line that names the thread."""
    thread = threading.Thread(target=fail, name="worker-7")
    thread.start()
    thread.join()
    line = lines(out)[0]
    assert ("worker-7", "nobody catches me") == (line["thread.name"], line["exception.message"])
    assert "" == capsys.readouterr().err


def test_without_a_sink_python_tells(tmp_path: Any):
    """What nobody would write goes where it goes without us: it must not vanish."""
    code = (
        "import ctxlog, threading, warnings\n"
        "ctxlog.configure(sinks=[])\n"
        "def fail(): raise LookupError('in a thread')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "warnings.warn('look out')\n"
        "raise ValueError('at the end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert 1 == done.returncode
    for told in ("LookupError: in a thread", "UserWarning: look out", "ValueError: at the end"):
        assert 1 == done.stderr.count(told), done.stderr


def test_unraisable(out: io.StringIO):
    """What is raised where nobody can catch it is a line."""

    class Bad:
        def __del__(self) -> None:
            fail()

    Bad()
    gc.collect()
    line = lines(out)[0]
    assert "ValueError" == line["exception.type"]
    assert "__del__" in line["object"]


def test_asyncio_never_retrieved_has_the_tasks_context(out: io.StringIO):
    """The line about a forgotten task has what was bound where the task was made, nothing else."""

    async def coroutine() -> None:
        fail()

    async def main() -> None:
        with ctxlog.scope(request_id="r-1"):
            task = asyncio.create_task(coroutine())
        await asyncio.sleep(0.01)
        with ctxlog.scope(request_id="another"):
            del task
            gc.collect()

    asyncio.run(main())
    line = next(line for line in lines(out) if "never retrieved" in line["event"])
    assert ("r-1", "ValueError") == (line["request_id"], line["exception.type"])


def test_a_failing_callback_of_the_loop(out: io.StringIO):
    """An exception in ``call_soon`` is a line with the callback's context."""

    async def main() -> None:
        with ctxlog.scope(request_id="r-1"):
            asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert "r-1" == next(e for e in lines(out) if e["logger"] == "asyncio")["request_id"]


def test_warnings(out: io.StringIO):
    """A warning is a line with where it came from; one for a file of its own is left alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = WARNINGS  # the block has taken it out
        warnings.warn("careful", DeprecationWarning, stacklevel=1)
        told: list[str] = []
        WARNINGS.before = lambda *args: told.append(args[2])
        warnings.showwarning("x", UserWarning, "f.py", 3, io.StringIO())
    line = lines(out)[0]
    assert ("careful", "DeprecationWarning", "py.warnings") == (
        line["event"], line["warning.category"], line["logger"],
    )  # fmt: skip
    assert ["f.py"] == told


def test_hooks_that_were_there_are_still_called(monkeypatch: pytest.MonkeyPatch):
    """A foreign hook is called after ours, and is back when we are gone."""
    called: list[str] = []

    def theirs(*args: Any) -> None:
        called.append("theirs")

    monkeypatch.setattr(sys, "excepthook", theirs)
    stream = io.StringIO()
    ctxlog.configure(stream=stream, renderer="json")
    sys.excepthook(ValueError, ValueError("x"), None)
    assert (["theirs"], 1) == (called, len(lines(stream)))
    ctxlog.shutdown()
    assert sys.excepthook is theirs


def test_ours_rests_when_it_is_not_outermost(monkeypatch: pytest.MonkeyPatch):
    """A hook that somebody chained to ours stays; ours then only passes on."""
    monkeypatch.setattr(sys, "excepthook", lambda *args: None)
    stream = io.StringIO()
    ctxlog.configure(stream=stream, renderer="json")
    ours = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", functools.partial(ours))
    ctxlog.shutdown()
    sys.excepthook(ValueError, ValueError("x"), None)
    assert [] == lines(stream)


def test_options_switch_them_off(monkeypatch: pytest.MonkeyPatch):
    """``uncaught=False`` and ``warnings=False`` leave every hook as it is."""
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning)
    ctxlog.configure(sinks=[], uncaught=False, warnings=False)
    now = (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning)
    assert before == now


def test_a_program_that_fails():
    """Its standard error is our line alone, its exit status Python's; Ctrl-C is as always."""
    code = "import ctxlog; ctxlog.configure(renderer='json'); raise {}"
    done = subprocess.run(
        [sys.executable, "-c", code.format("ValueError('no')")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "no") == (done.returncode, json.loads(done.stderr)["exception.message"])
    done = subprocess.run(
        [sys.executable, "-c", code.format("KeyboardInterrupt")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert '"critical"' not in done.stderr
