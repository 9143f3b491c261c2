"""Files: private, shared, moved, full."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ctxlog
from benchmarks.faults.child import finish, start
from ctxlog.sinks import file as module
from ctxlog.sinks.file import FileSink
from tests.interrupting import interrupted
from tests.kit import configured, moved, only_sink, parse_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE = b'{"n":1}\n'


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[FileSink]:
    """A file sink that is closed after the test."""
    made = FileSink(tmp_path / "lines")
    yield made
    made.close()


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


def look(sink: FileSink) -> None:
    """Let the time of the next look have come."""
    sink._look_at = 0.0


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_was_moved_is_opened_anew(sink: FileSink, tmp_path: Path, replaced: bool):
    """The next line after a look goes into a new file at the path."""
    sink.write(LINE)
    (tmp_path / "lines").rename(tmp_path / "old")
    if replaced:
        (tmp_path / "lines").touch()
    look(sink)
    sink.write(LINE)
    look(sink)
    sink.write(LINE)
    assert LINE == (tmp_path / "old").read_bytes()
    assert LINE * 2 == (tmp_path / "lines").read_bytes()


def test_a_path_that_cannot_be_looked_at(tmp_path: Path):
    """No line is lost to the look: they go on into the file that is open, and a counter says so."""
    folder = tmp_path / "folder"
    folder.mkdir()
    sink = FileSink(folder / "lines")
    folder.rename(tmp_path / "away")
    folder.touch()  # what was a folder is a file: not "not found"
    look(sink)
    with moved("errors.reopen") as by:
        sink.write(LINE)
    sink.close()
    assert LINE == (tmp_path / "away" / "lines").read_bytes()
    assert {"errors.reopen": 1} == by


def test_a_path_that_cannot_be_opened_anew(sink: FileSink, tmp_path: Path):
    """Lines go on into the old file, and a counter says so."""
    before = ctxlog.counters().get("errors.reopen", 0)
    (tmp_path / "lines").rename(tmp_path / "old")
    (tmp_path / "lines").mkdir()
    sink.reopen()
    sink.write(LINE)
    assert LINE == (tmp_path / "old").read_bytes()
    assert 1 == ctxlog.counters()["errors.reopen"] - before


def test_a_file_that_ends_in_half_a_line(tmp_path: Path):
    """What was cut off by a kill stays a line of its own."""
    path = tmp_path / "lines"
    path.write_bytes(LINE + b'{"n":')
    made = FileSink(path)
    made.write(LINE)
    made.close()
    assert LINE + b'{"n":\n' + LINE == path.read_bytes()


def test_a_write_under_way_is_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Half a line that another process is still writing gets no line break in its middle."""
    path = tmp_path / "lines"
    path.write_bytes(LINE[:3])

    def others_write(fd: int, mode: int) -> None:
        with path.open("ab") as file:
            file.write(LINE[3:])
        raise PermissionError

    monkeypatch.setattr(os, "fchmod", others_write)
    monkeypatch.setattr(module, "_AWAIT", 0.0)
    made = FileSink(path)
    made.write(LINE)
    made.close()
    assert LINE * 2 == path.read_bytes()


def test_a_closed_file_is_not_reopened(sink: FileSink):
    """``reopen`` of a closed sink does nothing; a late line still arrives."""
    sink.close()
    sink.reopen()
    sink.write(LINE)
    assert sink.is_closed


FULL = """
import io, resource, sys
import ctxlog
path, queued = sys.argv[1], sys.argv[2] == "queued"
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, -1))
queue = {"retries": 0, "batch_seconds": 60} if queued else None
sys.__stderr__ = elsewhere = io.StringIO()  # a file would have the same limit
ctxlog.configure(level="info", sinks=[{"target": path, "queue": queue}])
log = ctxlog.get_logger("full")
for n in range(30):
    log.info("line", who="p", n=n)
ctxlog.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))
log.info("line", who="p", n=30)
ctxlog.shutdown()
read = ctxlog.counters()
print(read["closed.written"], read["closed.failed"], len(elsewhere.getvalue().splitlines()))
"""


@pytest.mark.parametrize("how", ["direct", "queued"])
def test_a_full_disk(tmp_path: Path, how: str):
    """Lines that do not fit go elsewhere, whole and counted; the file has whole lines only."""
    path = tmp_path / "lines"
    written, failed, elsewhere = map(
        int, finish(start(FULL, path, how, measured=False), 60).split()
    )
    lines = path.read_bytes().splitlines(keepends=True)
    ours = [line for line in lines if b'"logger":"full"' in line]
    assert all(line.endswith(b"}\n") for line in lines)
    assert (31, len(ours), failed) == (written + failed, written, elsewhere)
    assert b'"n":30' in ours[-1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_a_device_that_is_always_full():
    """Every line fails with the system's own error, and none is counted as written."""
    made = FileSink("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        made.write(LINE)
    made.close()
    assert 0 == made.written


@pytest.mark.parametrize("reused", [False, True])
def test_a_descriptor_that_somebody_else_has_closed(sink: FileSink, tmp_path: Path, reused: bool):
    """Lines go on into the file within a second; what has its number now is left alone, at the end too."""
    sink.write(LINE)
    number = sink._file.fileno()
    os.close(number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT) if reused else None
    if theirs is not None:
        assert number == theirs
        os.write(theirs, b"data")
    look(sink)
    with moved("errors.descriptor", "errors.reopen") as by:
        sink.write(LINE)
    assert {"errors.descriptor": 1, "errors.reopen": 0} == by
    assert LINE * 2 == (tmp_path / "lines").read_bytes()
    if theirs is not None:
        os.close(sink._file.fileno())
        other = os.open(tmp_path / "theirs", os.O_RDONLY)
        assert other == sink._file.fileno()
        sink.close()
        assert b"data" == os.pread(other, 9, 0)
        assert b"data" == os.pread(theirs, 9, 0)
        os.close(other)
        os.close(theirs)


def test_a_descriptor_that_is_gone_with_its_path(sink: FileSink, tmp_path: Path):
    """Nothing goes into what has its number now; lines are errors until the path can be opened."""
    number = sink._file.fileno()
    os.close(number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    assert number == theirs
    (tmp_path / "lines").rename(tmp_path / "old")
    (tmp_path / "lines").mkdir()
    look(sink)
    for _ in range(2):
        with pytest.raises(OSError, match="Is a directory"):
            sink.write(LINE)
    assert b"" == os.pread(theirs, 9, 0)
    (tmp_path / "lines").rmdir()
    sink.write(LINE)
    assert LINE == (tmp_path / "lines").read_bytes()
    os.close(theirs)


def test_a_pipe_in_the_place_of_the_file(sink: FileSink, tmp_path: Path):
    """Nobody reads it: opening it would wait for ever. Lines go on into the old file."""
    (tmp_path / "lines").rename(tmp_path / "old")
    os.mkfifo(tmp_path / "lines")
    look(sink)
    with moved("errors.reopen") as by:
        sink.write(LINE)
    assert {"errors.reopen": 1} == by
    assert LINE == (tmp_path / "old").read_bytes()


def test_a_pipe_that_nobody_reads(tmp_path: Path):
    """``configure`` says so; it waited for a reader for ever. With one, lines are read."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"a pipe that nobody reads.*pipe"):
        ctxlog.configure(sinks=[tmp_path / "pipe"])
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    made = FileSink(tmp_path / "pipe")
    made.write(LINE)
    made.close()
    assert LINE == os.read(reader, 100)
    os.close(reader)
    with pytest.raises(OSError, match="a pipe that nobody reads"):
        made.write(LINE)


def test_a_stop_while_the_reader_of_a_pipe_stalls(tmp_path: Path):
    """It returns in its time: the thread that is being kept in its write has the lock."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    ctxlog.configure(sinks=[tmp_path / "pipe"], renderer="json", stdlib=False)
    log = ctxlog.get_logger("shop")
    threads = [threading.Thread(target=log.info, args=("x" * 16_000,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert not ctxlog.shutdown(0.2)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as file:
        read = [file.readline() for _ in threads]
        for thread in threads:
            thread.join()
        gc.collect()
        assert b"" == file.read()  # and it was closed in the end
    assert 8 == len(parse_lines(b"".join(read)))


def test_a_file_that_was_deleted_with_its_folder(tmp_path: Path, original: io.StringIO):
    """What nobody will read is no place for lines: they go to the last resort, till it is back."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with configured(sinks=[folder / "lines"]):
        sink = only_sink()
        assert isinstance(sink, FileSink)
        (folder / "lines").unlink()
        folder.rmdir()
        look(sink)
        log = ctxlog.get_logger("shop")
        log.info("a")
        log.info("b")
        assert (0, 2) == (sink.written, sink.failed)
        folder.mkdir()
        for event in "cd":
            log.info(event)
        assert 2 == sink.written
        reopened = sink._file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reopened)
    events = parse_lines(original.getvalue().encode())
    assert ["a", "b"] == [event["event"] for event in events]
    assert all("No such file" in event["ctxlog.errors"][0] for event in events)
    written = parse_lines((folder / "lines").read_bytes())
    assert ["c", "d"] == [event["event"] for event in written]


def test_another_file_in_its_place_that_ends_in_half_a_line(sink: FileSink, tmp_path: Path):
    """The line that finds it begins on a line of its own."""
    (tmp_path / "lines").rename(tmp_path / "old")
    (tmp_path / "lines").write_bytes(LINE[:3])
    look(sink)
    sink.write(LINE)
    assert LINE[:3] + b"\n" + LINE == (tmp_path / "lines").read_bytes()


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


WRITE: Callable[[FileSink], object] = lambda sink: sink.write(LINE)  # noqa: E731
ACTS = {"write": WRITE, "reopen": FileSink.reopen, "close": FileSink.close, "stop": FileSink.stop}


@pytest.mark.parametrize("comes", ["write", "reopen", "close", "stop"])
@pytest.mark.parametrize("under_way", ["write", "reopen", "close"])
def test_a_handler_in_the_middle(tmp_path: Path, under_way: str, comes: str):
    """A signal handler logs, reopens or closes at any point: no line is lost, no descriptor stays.

    Nor is one closed twice: its number may be another file's by then.
    """
    armed: list[FileSink] = []
    used: list[str] = []
    open_before = 0

    def work() -> None:
        nonlocal open_before
        used.clear()
        for path in tmp_path.iterdir():
            path.unlink()
        open_before = descriptors()
        sink = FileSink(tmp_path / "lines")
        sink.write(LINE)
        (tmp_path / "lines").rename(tmp_path / "old")
        look(sink)
        armed.append(sink)
        ACTS[under_way](sink)
        armed.clear()
        sink.write(LINE)
        sink.close()

    def handler() -> None:
        if armed:
            used.append(comes)
            ACTS[comes](armed[0])

    def check(where: str) -> None:
        data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        lines = 2 + (under_way == "write") + used.count("write")
        assert LINE * lines == data, where
        assert open_before == descriptors(), where

    with moved("errors.descriptor", "errors.reopen") as by:
        assert interrupted(work, handler, check) > 100
    assert {"errors.descriptor": 0, "errors.reopen": 0} == by


def test_a_reopen_waits_for_no_write(sink: FileSink, tmp_path: Path):
    """While another thread writes, the next line sees to it."""
    (tmp_path / "lines").rename(tmp_path / "old")
    held, done = threading.Event(), threading.Event()

    def keep() -> None:
        held.set()
        done.wait()

    thread = threading.Thread(target=sink.between_lines, args=(keep,))
    thread.start()
    held.wait()
    sink.reopen()
    assert not (tmp_path / "lines").exists()
    done.set()
    thread.join()
    sink.write(LINE)
    assert LINE == (tmp_path / "lines").read_bytes()


def test_a_sink_that_nobody_closes(tmp_path: Path):
    """Its descriptor goes with it."""
    number = FileSink(tmp_path / "lines")._file.fileno()
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
