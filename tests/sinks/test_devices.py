"""Devices that break: a real I/O error (EIO) costs lines nothing but their way, and is counted."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from tests.kit import Written, configured, moved, parse_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals here")
log = ctxlog.get_logger("devices")


class Terminal:
    """A terminal: our side of it, its path, and what breaks it: the other side going away."""

    def __init__(self) -> None:
        self.other, self.ours = os.openpty()
        self.path = os.ttyname(self.ours)

    def break_it(self) -> None:
        """From here on, reading and writing is EIO."""
        os.close(self.other)
        self.other = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """One that is closed after the test."""
    try:
        made = Terminal()
    except OSError as error:  # a container without /dev/pts
        pytest.skip(f"no terminal can be made here: {error}")
    yield made
    os.close(made.ours)
    if made.other >= 0:
        os.close(made.other)


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The process's original standard error, in memory."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


def raw(terminal: Terminal) -> Any:
    """Our side as a raw stream."""
    return open(terminal.ours, "wb", buffering=0, closefd=False)


def buffered(terminal: Terminal) -> Any:
    """With a buffer."""
    return open(terminal.ours, "wb", closefd=False)


def text(terminal: Terminal) -> Any:
    """As text."""
    return open(terminal.ours, "w", encoding="utf-8", closefd=False)


def path(terminal: Terminal) -> Any:
    """By its path."""
    return terminal.path


QUEUE = {"retries": 1, "retry_seconds": 0.0, "batch_seconds": 0.0}


@pytest.mark.parametrize("queue", [None, QUEUE])
@pytest.mark.parametrize("target", [raw, buffered, text, path])
def test_an_io_error_is_survived_counted_and_told_elsewhere(
    terminal: Terminal,
    original: io.StringIO,
    target: Callable[[Terminal], Any],
    queue: dict[str, Any] | None,
):
    """Every line is at the other sink and at the last resort, with the system's own words."""
    other, aim = Written(), target(terminal)
    sinks = [{"target": aim, "queue": queue, "renderer": "json"}, other]
    with configured(sinks=sinks), moved("errors.sink", "lost") as by:
        log.info("before")
        assert ctxlog.flush(60)
        shown = os.read(terminal.other, 65_536)
        terminal.break_it()
        for number in range(3):
            log.info("after", n=number)
        ctxlog.flush(60)
        counts = {
            name: number
            for name, number in ctxlog.counters().items()
            if name.startswith("sink.") and name.split(".", 2)[2] in {"written", "failed"}
        }
        assert [1, 3, 4, 0] == list(counts.values())
        ok = [result.error is None for result in ctxlog.selftest(60)]
        assert [False, True] == ok
    assert b'"event":"before"' in shown
    assert 4 == len([event for event in other.events if event["logger"] == "devices"])
    rescued = [one for one in parse_lines(original.getvalue().encode()) if one["event"] == "after"]
    assert [0, 1, 2] == [one["n"] for one in rescued]
    for one in rescued:
        assert os.strerror(errno.EIO) in one["ctxlog.errors"][-1]
    assert (0, True) == (by["lost"], by["errors.sink"] >= 3)
    if hasattr(aim, "close"):
        with contextlib.suppress(OSError):  # what its buffer holds has nowhere to go
            aim.close()
