"""Control files of every kind: nothing that is read may stop the process, or fill it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

import ctxlog
from ctxlog import control
from ctxlog.errors import UsageError
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
