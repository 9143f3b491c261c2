"""A file object whose lines become events."""

# ruff: noqa: T201 - what is printed is under test
from __future__ import annotations

import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ctxlog
from ctxlog.adapters.lines import MAX_LINE, Lines, parsed
from ctxlog.errors import UsageError
from ctxlog.testing import capture
from tests.strategies import plain_events, relaxed


def test_print_under_a_context():
    """Each line is an event with its writer's context; pieces of one print are one line."""
    with capture() as lines, contextlib.redirect_stdout(Lines("stdout")):
        with ctxlog.entry({"x-request-id": "r-1"}):
            print("two", "words", 3)
            print("a\nb")
        print()
    assert ["two words 3", "a", "b"] == [line["event"] for line in lines]
    assert {"r-1"} == {line["request_id"] for line in lines}
    assert {"stdout"} == {line["logger"] for line in lines}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"message": "x", "severity": "WARNING", "n": [1]}', ("warning", "x", [1])),
        ('{"msg": "x", "lvl": 40, "n": 1}', ("error", "x", 1)),
        ('level=debug msg="two \\"words\\"" n=1', ("debug", 'two "words"', "1")),
        ("a = b", ("info", "a = b", None)),
        ("n=1", ("info", "n=1", None)),
        ('{"broken": ', ("info", '{"broken":', None)),
        ("[1, 2]", ("info", "[1, 2]", None)),
        ("see https://x.y/?a=1 b=2", ("info", "see https://x.y/?a=1 b=2", None)),
    ],
)
def test_what_is_parsed(text: str, expected: tuple[Any, ...]):
    """JSON objects and logfmt are taken apart; anything else is kept whole."""
    with capture() as lines:
        Lines().write(text.rstrip() + "\n")
    assert expected == (lines[0]["level"], lines[0]["event"], lines[0].get("n"))


def test_parsing_can_be_off_and_times_and_names_are_taken():
    """With ``parse=False`` a line is its text; a parsed time and logger are the line's own."""
    line = '{"time": "2024-01-02T03:04:05Z", "logger": "db", "event": "x"}\n'
    with capture() as lines:
        Lines(parse=False).write(line)
        Lines().write(line)
        Lines().write('{"ts": 1700000000.5, "event": "y"}\n')
        Lines().write('{"ts": "soon", "event": "z", "level": "odd"}\n')
    assert line.rstrip() == lines[0]["event"]
    assert ("2024-01-02T03:04:05.000000Z", "db") == (lines[1]["timestamp"], lines[1]["logger"])
    assert "2023-11-14T22:13:20.500000Z" == lines[2]["timestamp"]
    assert ("soon", "odd") == (lines[3]["ts"], lines[3]["fields.level"])


def test_a_partial_line_keeps_its_writers_context():
    """A line that was begun in one request never ends with another's id."""
    stream = Lines()
    with capture() as lines:
        with ctxlog.scope(request_id="r-1"):
            stream.write("begun ")
        with ctxlog.scope(request_id="r-2"):
            stream.write("other\n")
            stream.write("left")
        stream.close()
    assert [("begun ", "r-1"), ("other", "r-2"), ("left", "r-2")] == [
        (line["event"], line["request_id"]) for line in lines
    ]
    with pytest.raises(ValueError, match="closed"):
        stream.write("x")


def test_threads_do_not_mix_their_pieces():
    """Two threads that write pieces of lines write their own lines."""
    stream = Lines()

    def work(number: int) -> None:
        with ctxlog.scope(request_id=str(number)):
            for _ in range(100):
                stream.write("from ")
                stream.write(f"{number}")
                stream.write("\n")

    with capture() as lines:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 400 == len(lines)
    assert all(line["event"] == f"from {line['request_id']}" for line in lines)


def test_a_line_that_does_not_end_is_bounded():
    """Past a limit a piece is written, marked; nothing grows and nothing is lost."""
    with capture() as lines:
        stream = Lines()
        for _ in range(5):
            stream.write("x" * (MAX_LINE // 2))
        stream.write("\n")
    assert lines[0]["partial"] is True
    assert len(lines) <= 3


def test_a_subprocesss_pipe():
    """A child's output becomes events under the context of the block, also bytes that are no text."""
    child = (
        "import sys; print('plain'); print('level=error msg=x n=1');"
        "sys.stdout.flush(); sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.write('no newline')"
    )
    with capture() as lines, ctxlog.scope(request_id="r-1"), Lines("child").pipe() as fd:
        subprocess.run([sys.executable, "-c", child], stdout=fd, check=True)
    assert ["plain", "x", "\\xff", "no newline"] == [line["event"] for line in lines]
    assert {("r-1", "child")} == {(line["request_id"], line["logger"]) for line in lines}


def test_it_may_stand_in_for_the_stream_that_a_sink_writes_to(monkeypatch: pytest.MonkeyPatch):
    """With standard error replaced, our own lines go to what is behind, and round no circle."""
    behind = io.StringIO()
    monkeypatch.setattr(sys, "stderr", Lines("stderr", behind=behind))
    ctxlog.configure(renderer="json")
    print("printed", file=sys.stderr)
    ctxlog.get_logger("own").info("logged")
    logging.getLogger("doors.lib").addHandler(ctxlog.Handler())
    logging.getLogger("doors.lib").warning("handled")
    events = [json.loads(line)["event"] for line in behind.getvalue().splitlines()]
    assert ["printed", "logged", "handled"] == events


def test_what_is_written_while_a_line_is_made_goes_behind():
    """A processor that prints is heard, and does not recurse."""
    behind, out = io.StringIO(), io.StringIO()
    stream = Lines("stdout", behind=behind)

    def prints(_: Any, __: str, event: Any) -> Any:
        print("inside", file=stream)
        return event

    ctxlog.configure(stream=out, renderer="json", processors=[prints])
    print("outside", file=stream)
    assert ("inside\n", 1) == (behind.getvalue(), len(out.getvalue().splitlines()))


def test_unconfigured_it_goes_to_logging():
    """Before configure, lines go where the host's logging goes."""
    out = io.StringIO()
    logging.root.addHandler(ctxlog.Handler(out))
    logging.root.setLevel(logging.INFO)
    Lines("stdout").write("x\n")
    assert ("x", "stdout") == tuple(
        json.loads(out.getvalue())[name] for name in ("event", "logger")
    )


def test_it_is_a_text_stream():
    """It answers what libraries ask of a stream; bytes are taken too."""
    stream = Lines()
    assert (True, False, "utf-8") == (stream.writable(), stream.isatty(), stream.encoding)
    with capture() as lines:
        stream.write(b"bytes\r\n")
        stream.flush()
    assert "bytes" == lines[0]["event"]
    with pytest.raises(UsageError):
        Lines(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="level"):
        Lines(level="loud")


@relaxed
@given(event=plain_events())
def test_any_json_line_is_one_event(event: dict[str, Any]):
    """Whatever object a line holds, it is one valid line, and the write does not raise."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", level="trace")
    text = json.dumps({"tag": 1, **event, "level": "info"})
    Lines().write(text + "\n")
    assert 1 == len([json.loads(line) for line in out.getvalue().splitlines()])


@relaxed
@given(text=st.text())
def test_any_text_is_parsed_or_kept(text: str):
    """Parsing never raises and never returns an empty mapping."""
    found = parsed(text)
    assert found is None or isinstance(found, dict)
