"""Threads: what starts in an empty context."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, in_thread, row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.boundaries.lanes import Lane


@row("A1", "`threading.Thread(target=…)`", "`threads.Thread`")
def thread(lane: Lane) -> Iterator[Any]:
    """A thread's target."""
    yield lambda: in_thread(lambda target: lane.Thread(target=target), lane.read)


@row("A1", "a `Thread` subclass with a `run` of its own", "`threads.Thread`")
def thread_subclass(lane: Lane) -> Iterator[Any]:
    """An overridden run."""

    def run(worker: Any) -> None:
        worker.found = lane.read()

    kind: Any = type("Worker", (lane.Thread,), {"run": run})

    def crossing() -> Any:
        worker = kind()
        worker.start()
        worker.join(WAIT)
        return worker.found

    yield crossing


@row("A1", "`_thread.start_new_thread`", "`threads.start_new_thread`")
def bare_thread(lane: Lane) -> Iterator[Any]:
    """A thread without a Thread."""

    def crossing() -> Any:
        done: Future[Any] = Future()
        lane.start_new_thread(lambda: done.set_result(lane.read()), ())
        return done.result(WAIT)

    yield crossing


@row("A1", "`threading.excepthook` of a failed thread", "`threads.Thread`")
def thread_excepthook(lane: Lane) -> Iterator[Any]:
    """What the hook that reports a thread's death reads."""
    found: list[Any] = []
    before, threading.excepthook = threading.excepthook, lambda _: found.append(lane.read())

    def crossing() -> Any:
        worker = lane.Thread(target=lambda: 1 / 0)
        worker.start()
        worker.join(WAIT)
        return found.pop()

    try:
        yield crossing
    finally:
        threading.excepthook = before


@row("A2", "`threading.Timer`", "`threads.Timer`")
def timer(lane: Lane) -> Iterator[Any]:
    """A timer's function."""
    yield lambda: in_thread(lambda target: lane.Timer(0.001, target), lane.read)
