"""Sinks: streams, files, callables and coroutine functions, whatever happens to them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
import threading
from typing import Any

import pytest

import ctxlog
from ctxlog.renderers.json import encode
from ctxlog.sinks import call, sink
from ctxlog.sinks.call import CallSink, CoroutineSink
from ctxlog.sinks.file import FileSink
from ctxlog.sinks.raw import raw_write
from ctxlog.sinks.sink import Sink
from ctxlog.sinks.stream import StreamSink
from tests.kit import Written, configured, moved, only_sink, parse_line, parse_lines
from tests.strategies import BoomError

LINE = encode({"event": "é\U0001f600"}) + b"\n"


@pytest.fixture
def original(monkeypatch):
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


class Taking:
    """A file object of nobody's making that takes one kind of data, and has no flush."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.data: list[Any] = []

    def write(self, data: Any) -> None:
        """Take it, or refuse."""
        if not isinstance(data, self.kind):
            raise TypeError(self.kind)
        self.data.append(data)


class Partial(io.RawIOBase):
    """A raw file that takes some bytes a call, and after so many nothing."""

    def __init__(self, room: int = 2**30, *, full: Any = None) -> None:
        self.data, self.room, self.full = b"", room, full

    def write(self, data: Any) -> Any:
        """Take seven bytes."""
        taken = min(7, len(data), self.room)
        if not taken:
            return self.full
        self.data += bytes(data[:taken])
        self.room -= taken
        return taken


def test_a_raw_file_that_claims_to_take_less_than_nothing():
    """Its line has failed: nobody asks it for ever, nor writes a line's end for the line."""

    class Negative(io.RawIOBase):
        asked: tuple[bytes, ...] = ()

        def write(self, data: Any) -> int:
            self.asked += (bytes(data),)
            assert len(self.asked) < 10
            return -5

    raw = Negative()
    with pytest.raises(BlockingIOError, match="the target is full"):
        StreamSink(raw).write(LINE)
    assert set(raw.asked) == {LINE}


@pytest.mark.parametrize("kind", [str, bytes])
def test_any_file_object(kind):
    """One that takes text, or bytes, gets what it takes."""
    target = Taking(kind)
    made = StreamSink(target)
    made.write(LINE)
    made.write(LINE.decode())
    assert made.flush()
    assert [kind] * 2 == [type(data) for data in target.data]


def test_the_streams_python_has():
    """Text, binary, buffered and temporary ones."""
    import tempfile

    text, binary = io.StringIO(), io.BytesIO()
    for stream in (text, binary):
        StreamSink(stream).write(LINE)
    assert (LINE.decode(), LINE) == (text.getvalue(), binary.getvalue())
    with (
        tempfile.NamedTemporaryFile("w+b") as file,
        tempfile.TemporaryFile("w+b", buffering=0) as raw,
    ):
        for named in (file, raw):
            StreamSink(named).write(LINE.decode())
            named.seek(0)
            assert LINE == named.read()
    assert "stream BytesIO" == StreamSink(binary).name


def test_an_ascii_stream():
    """What cannot be encoded is escaped such that JSON stays JSON."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    StreamSink(stream).write(LINE)
    assert {"event": "é\U0001f600"} == parse_line(raw.getvalue())
    assert raw.getvalue().isascii()


def test_partial_writes():
    """A raw file that takes a part gets the rest."""
    raw = Partial()
    made = StreamSink(raw)
    made.write(LINE)
    made.write(LINE.decode())
    assert LINE + LINE == raw.data


@pytest.mark.parametrize("full", [None, 0])
def test_a_full_pipe(full, original):
    """A line torn by a full pipe goes to the last resort; the next begins on its own line."""
    raw = Partial(10, full=full)
    with configured(sinks=[raw]), moved("errors.sink") as by:
        log = ctxlog.get_logger("shop")
        log.info("torn")
        log.info("lost")
        raw.room = 2**30
        log.info("whole")
    first, *rest = raw.data.splitlines(keepends=True)
    assert 11 == len(first)
    assert ["whole"] == [event["event"] for event in parse_lines(b"".join(rest))]
    events = parse_lines(original.getvalue().encode())
    assert ["torn", "lost"] == [event["event"] for event in events]
    assert "BlockingIOError" in events[0]["ctxlog.errors"][0]
    assert {"errors.sink": 2} == by


@pytest.mark.parametrize(
    "how", ["closed text", "closed bytes", "none", "broken pipe", "broken raw pipe"]
)
def test_streams_that_are_gone(how, original, monkeypatch):
    """Closed, None or a broken pipe: the line goes to the last resort and says what failed."""
    stream: Any = {"closed text": io.StringIO(), "closed bytes": io.BytesIO()}.get(how)
    if stream is not None:
        stream.close()
    if "pipe" in how:
        reading, writing = os.pipe()
        os.close(reading)
        stream = os.fdopen(writing, "wb", buffering=0 if "raw" in how else -1)
    if how == "none":
        monkeypatch.setattr(sys, "stderr", None)
    with moved("errors.sink", "last_resort", "lost") as by:
        ctxlog.configure(renderer="json", sinks=[stream] if stream else None)
        ctxlog.get_logger("shop").info("e")
        made = only_sink()
        assert (0, 1) == (made.written, made.failed)
        ctxlog.shutdown()
    assert {"errors.sink": 1, "last_resort": 1, "lost": 0} == by
    assert parse_line(original.getvalue().encode())["ctxlog.errors"]
    if "pipe" in how:
        _close_broken(stream)


def _close_broken(stream: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # what a buffer still holds
        stream.close()


def test_a_broken_standard_error_is_not_tried_twice(monkeypatch):
    """When it is the original one itself, the line is lost, and counted."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(sys, "__stderr__", closed)
    with moved("lost") as by:
        ctxlog.configure(renderer="json")
        ctxlog.get_logger("shop").info("e")
        ctxlog.shutdown()
    assert {"lost": 1} == by
    assert "stream stderr" == StreamSink().name


# -- files --------------------------------------------------------------------------------------


def test_a_file(tmp_path):
    """It is created for its owner alone, appended to, and written to also after it was closed."""
    path = tmp_path / "a.log"
    made = FileSink(path)
    made.write(LINE)
    made.close()
    made.close()
    made.write(LINE.decode())
    assert 0o600 == path.stat().st_mode & 0o777
    assert LINE * 2 == path.read_bytes()
    assert made.is_closed
    assert (2, f"file {path}") == (made.written, made.name)


def test_a_path_that_cannot_be_opened(tmp_path):
    """It is an error at once."""
    with pytest.raises(FileNotFoundError):
        FileSink(tmp_path / "missing" / "a.log")


# -- what all have --------------------------------------------------------------------------------


class Talking(Sink):
    """Logs while it writes, and fails when told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Any] = []
        self.inner: list[Any] = []
        self.fails: set[Any] = set()

    def _write(self, line: Any) -> None:
        while self.inner:
            self.write(self.inner.pop(0))
        if line in self.fails:
            raise BoomError(line)
        self.lines.append(line)


def test_lines_of_its_own_wait():
    """What a sink logs itself is written after the line under way, in order."""
    made = Talking()
    made.inner = ["b", "c"]
    made.write("a")
    assert (["a", "b", "c"], 3, 0) == (made.lines, made.written, made.failed)


def test_a_greenlet_that_waits_too_long(monkeypatch):
    """Its line is left to the one whose write is under way, which comes to it in the end."""
    monkeypatch.setitem(sys.modules, "gevent", sys)
    monkeypatch.setattr(sink, "let_greenlets_run", lambda: True)
    monkeypatch.setattr(sink, "PATIENCE", 0.0)
    made = Talking()
    made.busy = True  # as another greenlet leaves it
    made.write("a")
    assert ([], ["a"]) == (made.lines, list(made.pending))
    made.write_pending()
    assert ["a"] == made.lines


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("kind", ["stream", "file", "handler"])
def test_a_flush_in_the_middle_of_a_write(kind, timeout, tmp_path):
    """What a signal handler has logged waits for the write it interrupts: it is not out yet."""
    stream = {"file": tmp_path / "lines", "stream": io.StringIO()}.get(kind, logging.NullHandler())
    said: list[bool] = []

    def interrupting() -> None:
        log = ctxlog.get_logger("shop")
        said.append(ctxlog.flush(timeout))
        log.info("last words")
        said.append(ctxlog.flush(timeout))

    with configured(sinks=[stream]):
        only_sink().between_lines(interrupting)
        said.append(ctxlog.flush(timeout))
        assert 1 == only_sink().written
    assert [True, False, True] == said


def test_lines_that_wait_are_not_lost_by_a_failure(original):
    """When the line under way fails, those that wait are written; one of them fails alone."""
    made = Talking()
    made.inner, made.fails = ["b", "c\n"], {"a", "c\n"}
    with pytest.raises(BoomError):
        made.write("a")
    assert (["b"], 1) == (made.lines, made.written)
    assert original.getvalue().startswith("c\n")
    made.write("d")
    assert ["b", "d"] == made.lines


def test_no_more_than_so_many_wait(monkeypatch):
    """Past the limit they are dropped and counted."""
    monkeypatch.setattr(sink, "PENDING_MAX", 2)
    made = Talking()
    made.inner = list("bcdef")
    with moved("dropped.reentrant") as by:
        made.write("a")
    assert (["a", "b", "c"], 3) == (made.lines, made.failed)
    assert {"dropped.reentrant": 3} == by
    made.write_pending()  # nothing waits
    assert ("sink #0", None) == (made.name, made.target_stream)
    with pytest.raises(NotImplementedError):
        Sink().write("x")


def test_interrupted_while_it_waits_for_the_lock():
    """Ctrl-C in a thread that waits leaves the lock with its owner, and the sink usable."""
    made = Talking()

    def interrupted() -> None:
        raise KeyboardInterrupt

    made.acquire = interrupted  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        made.write("a")
    made.acquire = made._lock.acquire
    made.renew_lock()
    made.write("b")
    made.count_failure()
    assert (["b"], 1) == (made.lines, made.failed)


def test_interrupted_right_after_the_lock():
    """Ctrl-C between taking the lock and the write gives the lock back."""
    made = Talking()
    acquire = made._lock.acquire

    def interrupted() -> None:
        acquire()
        raise KeyboardInterrupt

    made.acquire = interrupted  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        made.write("a")
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(acquire(timeout=1)))
    thread.start()
    thread.join()
    assert [True] == taken


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the platform has no timers")
@pytest.mark.parametrize("buffered", [True, False])
def test_a_signal_handler_that_logs(tmp_path, buffered):
    """Lines logged by a signal handler are whole and none is lost."""
    path = tmp_path / "a.log"
    handled: list[int] = []
    log = ctxlog.get_logger("shop")

    def handler(*_: object) -> None:
        handled.append(1)
        log.info("signal", n=len(handled))

    before = signal.signal(signal.SIGALRM, handler)
    with path.open("ab", buffering=-1 if buffered else 0) as stream:
        ctxlog.configure(renderer="json", sinks=[stream])
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            for n in range(5000):
                log.info("e", n=n)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            ctxlog.shutdown()
    events = parse_lines(path.read_bytes())
    assert 5000 == sum(event["event"] == "e" for event in events)
    assert len(handled) == sum(event["event"] == "signal" for event in events)


class Scripted(io.RawIOBase):
    """A raw stream that takes what it is told to."""

    def __init__(self, *takes: int | BaseException | None) -> None:
        super().__init__()
        self.takes, self.taken = list(takes), b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int | None:
        """Take a part of it."""
        take = self.takes.pop(0) if self.takes else len(data)
        if isinstance(take, BaseException):
            raise take
        self.taken += bytes(data)[: take or 0]
        return take


@pytest.mark.parametrize("buffered", [True, False])
def test_a_line_that_is_taken_in_parts(buffered):
    """What a raw stream leaves over is written next; the line arrives whole and counts once."""
    raw = Scripted(3, 1)
    made = StreamSink(io.BufferedWriter(raw) if buffered else raw)
    made.write(LINE)
    made.write(LINE)
    assert (LINE * 2, 2) == (raw.taken, made.written)


def test_a_line_that_is_cut_off():
    """After an error in the middle of a line the next one begins on a line of its own."""
    raw = Scripted(3, OSError("full"), OSError("still full"), None)
    made = StreamSink(raw)
    for error in ("full", "still full", "the target is full"):
        with pytest.raises(OSError, match=error):
            made.write(LINE)
    made.write(LINE)
    assert (LINE[:3] + b"\n" + LINE, 1) == (raw.taken, made.written)


def test_an_applications_own_bytes_come_first():
    """What the application has in a stream's buffer goes out before our line, and ours at once."""
    raw = Scripted()
    stream = io.BufferedWriter(raw)
    made = StreamSink(stream)
    stream.write(b"theirs\n")
    made.write(LINE)
    assert b"theirs\n" + LINE == raw.taken


@pytest.mark.parametrize(("said", "raised"), [("reentrant call inside", False), ("other", True)])
def test_a_stream_that_refuses_reentry(said, raised):
    """A handler that interrupts the application's own write logs past the buffer."""
    made = StreamSink(io.BufferedWriter(Scripted()))

    class Refusing:
        def flush(self) -> None:
            raise RuntimeError(said)

    made.stream = Refusing()
    with contextlib.suppress(RuntimeError):
        made.write(LINE)
    assert made.written == (not raised)


@pytest.mark.parametrize("interrupts", ["while waiting", "after"])
def test_ctrl_c_at_the_lock_of_a_raw_stream(interrupts):
    """Whenever it comes, the lock is free afterwards and the next line is written."""
    raw = Scripted()
    made = StreamSink(raw)
    acquire = made._lock.acquire

    def interrupted() -> None:
        if interrupts == "after":
            acquire()
        raise KeyboardInterrupt

    made.acquire = interrupted  # type: ignore[assignment]
    write = raw_write(made, raw.write)
    with pytest.raises(KeyboardInterrupt):
        write(LINE)
    made.acquire = acquire
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(acquire(timeout=1)))
    thread.start()
    thread.join()
    assert ([True], False) == (taken, made.busy)


@pytest.mark.parametrize("fails", [True, False])
def test_a_line_logged_in_the_middle_of_a_raw_write(fails):
    """It waits for the write that it interrupted, and comes after it, also if that fails."""
    made: list[StreamSink] = []

    class Interrupted(Scripted):
        def write(self, data: Any) -> int | None:
            if not self.taken and bytes(data) == LINE:
                made[0].write(b"inner\n")
                if fails:
                    raise OSError("full")
            return super().write(data)

    raw = Interrupted()
    made.append(StreamSink(raw))
    with contextlib.suppress(OSError):
        made[0].write(LINE)
    assert (b"" if fails else LINE) + b"inner\n" == raw.taken


# -- callables -----------------------------------------------------------------------------------


def test_a_callable_that_logs():
    """What it logs itself goes to the other sinks, and is counted as dropped here."""
    lines: list[str] = []
    other = Written()

    def target(line: str) -> None:
        lines.append(line)
        ctxlog.get_logger("inner").info("inner")

    with configured(sinks=[target, other]), moved("dropped.reentrant") as by:
        ctxlog.get_logger("shop").info("outer")
    assert 1 == len(lines)
    assert not lines[0].endswith("\n")
    assert {"outer", "inner"} == {event["event"] for event in other.events}
    assert {"dropped.reentrant": 1} == by
    assert "call list" == CallSink([].append).name.replace("list.append", "list")


def test_events_are_each_sinks_own():
    """One sink that changes its event changes no other's."""
    seen: list[Any] = []

    def change(event: Any) -> None:
        event["nested"]["a"].append("changed")

    sinks = [{"target": target, "renderer": "event"} for target in (change, seen.append)]
    with configured(sinks=sinks):
        ctxlog.get_logger("shop").info("e", nested={"a": [1]})
    assert {"a": [1]} == seen[0]["nested"]


# -- coroutine functions ---------------------------------------------------------------------------


def test_a_coroutine_function(original):
    """Lines in order, each in the context it was logged in; what it logs does not come back."""
    seen: list[tuple[Any, Any]] = []

    async def target(event: Any) -> None:
        seen.append((event["n"], ctxlog.get_context().get("request_id")))
        ctxlog.get_logger("inner").info("inner", n=-1)
        if event["n"] == 3:
            raise BoomError("no")

    async def work() -> None:
        ctxlog.configure(sinks=[{"target": target, "renderer": "event"}])
        log = ctxlog.get_logger("shop")
        for n in range(5):
            with ctxlog.scope(request_id=f"r-{n}"):
                log.info("e", n=n)
        assert not ctxlog.flush()  # they have not even begun
        with ctxlog.scope(request_id="thread"):
            await asyncio.to_thread(log.info, "e", n=5)
        made = only_sink()
        assert isinstance(made, CoroutineSink)
        await asyncio.sleep(0)
        await made.drain()
        assert made.flush()
        assert (5, 1) == (made.written, made.failed)
        assert "coroutine test_a_coroutine_function.<locals>.target" == made.name

    with moved("dropped.reentrant", "errors.sink") as by:
        asyncio.run(work())
    ctxlog.shutdown()
    assert [*((n, f"r-{n}") for n in range(5)), (5, "thread")] == seen
    assert {"dropped.reentrant": 6, "errors.sink": 1} == by
    assert "BoomError" in original.getvalue()


def test_without_a_loop(original, monkeypatch):
    """No loop, a closed one, or too many calls: the line goes to the last resort."""

    async def target(_: str) -> None: ...

    async def make() -> CoroutineSink:
        return CoroutineSink(target)

    closed = asyncio.run(make())
    for made in (CoroutineSink(target), closed):
        with pytest.raises(RuntimeError, match="no event loop"):
            made.write("x")
    monkeypatch.setattr(call, "MAX_TASKS", 0)
    with pytest.raises(RuntimeError, match="under way"):
        asyncio.run(_write(CoroutineSink(target)))
    with configured(sinks=[target]):
        ctxlog.get_logger("shop").info("e")
    assert "no event loop is running" in original.getvalue()


async def _write(made: CoroutineSink) -> None:
    made.write("x")


def test_a_loop_that_closes_meanwhile(monkeypatch):
    """A call that could not be begun is not counted as under way."""

    async def target(_: str) -> None: ...

    made = CoroutineSink(target)
    loop = asyncio.new_event_loop()
    loop.close()
    made._loop = loop
    monkeypatch.setattr(loop, "is_closed", lambda: False)
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made.write("x")
    assert made.flush()


def test_flush_waits_for_another_threads_loop():
    """From outside the loop ``flush`` waits, for so long at the most."""
    ended = threading.Event()

    async def target(_: str) -> None:
        await asyncio.sleep(0.05)
        ended.set()

    async def serve() -> None:
        made = CoroutineSink(target)
        made.write("x")
        done = await asyncio.to_thread(made.flush, 0)
        assert not done
        assert await asyncio.to_thread(made.flush)

    asyncio.run(serve())
    assert ended.is_set()


class Chatty:
    """A stream that logs each time it is written to."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        """Keep the line, and log another."""
        self.lines.append(text)
        if len(self.lines) < 10_000:  # else a test that fails would not end
            ctxlog.get_logger("stream").info("written")


@pytest.mark.parametrize("fields", [{}, {"odd": object()}], ids=["fast", "full"])
def test_a_stream_that_logs_for_each_line_ends(fields):
    """A few of its lines are written, each after the one before; then they are dropped, and counted."""
    stream = Chatty()
    with configured(stream=stream, renderer="json"), moved("dropped.reentrant") as by:
        ctxlog.get_logger("shop").info("e", **fields)
        ctxlog.get_logger("shop").info("e", **fields)
    assert '"event":"e"' in stream.lines[0]
    assert 4 * 2 == len(stream.lines)
    assert {"dropped.reentrant": 2} == by
