"""Standard streams that do not block: what a full pipe does not take is known and counted."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ctxlog.sinks import last_resort
from ctxlog.sinks.standard import behind
from ctxlog.sinks.stream import StreamSink
from tests.kit import moved, parse_line, parse_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.linesep != "\n", reason="pipes here always block")

CHILD = """
import os, sys
import ctxlog
def refusing(line):
    raise OSError("no")
os.set_blocking(2, False)
ctxlog.configure(sinks=[refusing] if sys.argv[1] == "last resort" else None, renderer="json", uncaught=False)
log = ctxlog.get_logger("shop")
for number in range(40):
    log.info("x" * 9_000, number=number)
print(*(ctxlog.counters().get(name, 0) for name in ("sink.1.written", "last_resort", "lost")), flush=True)
input()  # the pipe has been read
log.info("last")
print(ctxlog.counters()["lost"], flush=True)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("how", ["stream", "last resort"])
def test_a_full_pipe_that_does_not_block(how: str, unbuffered: str):
    """What counts as written is there, whole; the rest is counted, and no line runs into another.

    Without a buffer the rest was thrown away and all of it counted as written; with one, lines
    began in the middle of another.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdin as going, process.stdout as said, process.stderr as pipe:
        written, rescued, lost = map(int, said.readline().split())
        os.set_blocking(pipe.fileno(), False)
        data = pipe.read()
        going.write(b"\n")
        going.flush()
        assert lost == int(said.readline())
        os.set_blocking(pipe.fileno(), True)
        data += pipe.read()
    lines = data.splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"}\n")]
    arrived = rescued if how == "last resort" else written
    assert (40, True) == (arrived + lost, lost > 0)
    assert [*range(arrived), None] == [one.get("number") for one in parse_lines(b"".join(whole))]
    assert len(lines) - len(whole) <= 1  # the first that did not fit: its end is cut off


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.TextIOWrapper]:
    """What stands for standard error: text into a pipe."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    made = io.TextIOWrapper(os.fdopen(writing, "wb"), encoding="ascii", line_buffering=True)
    made.reading = reading  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "__stderr__", made)
    yield made
    with contextlib.suppress(ValueError):  # a test has detached it
        made.close()
    os.close(reading)


def read(stream: io.TextIOWrapper) -> bytes:
    """What was written to it."""
    return os.read(stream.reading, 65_536)  # type: ignore[attr-defined]


def test_what_the_application_has_in_it_goes_first(stream: io.TextIOWrapper):
    """In order, at once, in the stream's own encoding; nothing of ours is left in it."""
    made = StreamSink(stream)
    stream.write("theirs ")
    made.write(b'{"event":"\xc3\xa9"}\n')
    made.write("plain\n")
    assert b'theirs {"event":"\\u00e9"}\nplain\n' == read(stream)
    assert last_resort.write("é\n")
    assert "é\n".encode() == read(stream)
    stream.reconfigure(encoding="utf-8")
    made.write(b'{"event":"\xc3\xa9"}\n')
    assert {"event": "é"} == parse_line(read(stream))
    stream.close()
    with pytest.raises(ValueError, match="closed file"):
        made.write("late\n")


LONG = b"x" * 100_000 + b"\n"


def full(stream: io.TextIOWrapper) -> int:
    """Read a pipe that took the beginning of a long line, and nothing else; how much that was."""
    part = b""
    while len(part) < 65_536:
        part += read(stream)
    return part.count(b"x") if set(part) == {ord("x")} else -1


def test_a_line_that_was_cut_off(stream: io.TextIOWrapper):
    """The next one begins on a line of its own."""
    os.set_blocking(stream.fileno(), False)
    made = StreamSink(stream)
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            made.write(LONG)
    assert full(stream) > 0
    made.write(b"next\n")
    made.write(b"more\n")
    assert b"\nnext\nmore\n" == read(stream)


def test_a_line_that_the_last_resort_cut_off(stream: io.TextIOWrapper):
    """The same there; what did not arrive is counted."""
    os.set_blocking(stream.fileno(), False)
    with moved("lost", "last_resort") as by:
        assert not last_resort.write(LONG)
        assert not last_resort.write(LONG)
        assert full(stream) > 0
        assert last_resort.write(b"next\n")
        assert last_resort.write("more\n")
    assert b"\nnext\nmore\n" == read(stream)
    assert {"lost": 2, "last_resort": 2} == by


def test_streams_that_are_no_standard_ones(stream: io.TextIOWrapper):
    """Those of the application's, in another encoding, or without a file, are written as text."""
    assert stream.buffer.raw is behind(stream)  # type: ignore[attr-defined]
    assert behind(io.StringIO()) is None
    with open(os.devnull, "w", encoding="utf-8") as other:  # noqa: PTH123
        assert behind(other) is None
    stream.reconfigure(encoding="utf-16")
    assert behind(stream) is None
    stream.reconfigure(encoding="utf-8")
    stream.detach().close()
    assert behind(stream) is None
