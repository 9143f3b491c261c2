"""Handlers of ``logging`` as sinks: one lock, and no failure that only ``logging`` hears of."""

from __future__ import annotations

import io
import logging
import logging.handlers
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from ctxlog.sinks.handler import HandlerSink
from tests.kit import configured, only_sink, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator

log = ctxlog.get_logger("shop")


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


class Meeting(logging.Handler):
    """Logs as it handles a logger's record, when another thread is about to write to it."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.going = threading.Event(), threading.Event()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.said.append(record.getMessage())
        if record.name == "theirs":
            self.entered.set()
            self.going.wait(60)
            log.info("what it logs itself")


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    """One that is on a logger of its own, too."""
    made = Meeting()
    logging.getLogger("theirs").addHandler(made)
    yield made
    logging.getLogger("theirs").removeHandler(made)


def test_a_handler_that_logs_while_another_thread_writes_to_it(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
):
    """Neither waits for what the other holds: a sink's lock and the handler's were two."""
    with configured(sinks=[meeting], renderer="json"):
        sink = only_sink()
        assert isinstance(sink, HandlerSink)
        drawn = threading.Event()
        draw = sink._draw

        def drawing(*args: Any) -> Any:  # under the sink's lock, before the handler's
            drawn.set()
            return draw(*args)

        monkeypatch.setattr(sink, "_draw", drawing)
        theirs = threading.Thread(target=logging.getLogger("theirs").error, args=("theirs",))
        theirs.daemon = True
        theirs.start()
        assert meeting.entered.wait(60)
        ours = threading.Thread(target=log.info, args=("ours",), daemon=True)
        ours.start()
        drawn.wait(0.2)  # with one lock it does not come as far
        meeting.going.set()
        for thread in (ours, theirs):
            thread.join(10)
            assert not thread.is_alive()
    assert 3 == len(meeting.said)


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def write(self, _: str) -> int:
        """Fail."""
        raise OSError("no room")


class Closing(logging.StreamHandler[io.StringIO]):
    """Does something of its own about errors, as those for sockets do."""

    heard = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count."""
        self.heard += 1


@pytest.mark.parametrize("on_instance", [False, True])
def test_a_handler_that_fails(
    original: io.StringIO, capsys: pytest.CaptureFixture[str], on_instance: bool
):
    """The line counts as failed and goes to the last resort; it was a traceback, and written."""
    handler = Closing(Broken()) if on_instance else logging.StreamHandler(Broken())
    if on_instance:
        handler.handleError = handler.handleError  # type: ignore[method-assign]
    with configured(sinks=[handler], renderer="json"):
        log.info("refused")
        assert {"written": 0, "failed": 1} == only_sink().counts()
    event = parse_line(original.getvalue().encode())
    assert ("refused", ["handler StreamHandler: OSError: no room"]) == (
        event["event"],
        [event["ctxlog.errors"][0].replace("Closing", "StreamHandler")],
    )
    assert ("", int(on_instance)) == (capsys.readouterr().err, getattr(handler, "heard", 0))
    assert on_instance == ("handleError" in vars(handler))


def test_a_full_queue_of_a_handlers(original: io.StringIO):
    """What it could not take is not lost without a word."""
    full: queue.Queue[object] = queue.Queue(1)
    with configured(sinks=[logging.handlers.QueueHandler(full)], renderer="json"):
        log.info("taken")
        log.info("refused")
        assert {"written": 1, "failed": 1} == only_sink().counts()
    assert 1 == full.qsize()
    assert "Full" in parse_line(original.getvalue().encode())["ctxlog.errors"][0]


def test_a_handler_whose_lock_does_not_know_its_owner(original: io.StringIO):
    """Others may be in it: its own way of telling errors is left alone."""

    class Bare(Closing):
        def createLock(self) -> None:  # noqa: N802 - logging's name
            self.lock = threading.Lock()  # type: ignore[assignment]

    handler = Bare(Broken())
    with configured(sinks=[handler], renderer="json"):
        log.info("refused")
        assert {"written": 1, "failed": 0} == only_sink().counts()
    assert (1, "") == (handler.heard, original.getvalue())
