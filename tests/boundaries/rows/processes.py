"""Processes: what cannot be shared has to be sent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.boundaries.lanes import Lane


METHODS = ("spawn", "forkserver", "fork")


def _number(method: str) -> str:
    return "D2" if method == "fork" else "D1"


def _process_pool(method: str) -> Callable[[Lane], Any]:
    def cross(lane: Lane) -> Iterator[Any]:
        import multiprocessing

        context = multiprocessing.get_context(method)
        with lane.ProcessPoolExecutor(1, mp_context=context) as pool:
            yield lambda: pool.submit(lane.read).result(WAIT)

    return cross


def _pool(method: str) -> Callable[[Lane], Any]:
    def cross(lane: Lane) -> Iterator[Any]:
        import multiprocessing

        with lane.bind("maker's"):
            pool = lane.Pool(1, context=multiprocessing.get_context(method))
        with pool:
            yield lambda: pool.apply_async(lane.read).get(WAIT)

    return cross


def _send(read: Callable[[], Any], pipe: Any) -> None:
    pipe.send(read())
    pipe.close()


def _process(method: str) -> Callable[[Lane], Any]:
    def cross(lane: Lane) -> Iterator[Any]:
        import multiprocessing

        def crossing() -> Any:
            ours, theirs = multiprocessing.Pipe()
            child = lane.process(method)(target=_send, args=(lane.read, theirs))
            child.start()
            assert ours.poll(WAIT)
            found = ours.recv()
            child.join(WAIT)
            return found

        yield crossing

    return cross


for _method in METHODS:
    row(_number(_method), f"`ProcessPoolExecutor`, {_method}", "`executors.ProcessPoolExecutor`")(
        _process_pool(_method)
    )
    row(_number(_method), f"`multiprocessing.Pool`, {_method}", "`pools.Pool`")(_pool(_method))
    row(_number(_method), f"`multiprocessing.Process`, {_method}", "`processes.get_context`")(
        _process(_method)
    )


@row("D7", "`subprocess`", "`processes.environ()`, `Snapshot.from_environ()`")
def child(lane: Lane) -> Iterator[Any]:
    """A child reads its environment."""

    def crossing() -> Any:
        done = subprocess.run(
            [sys.executable, "-c", lane.child],
            env=lane.environ(),
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=True,
        )
        return done.stdout.strip()

    yield crossing


@row("D10", "`os.fork` while other threads log")
def forked(lane: Lane) -> Iterator[Any]:
    """The child can log at once, and does so as nobody: it is another process."""
    stop = threading.Event()

    def log() -> None:
        while not stop.is_set():
            lane.read()

    others = [threading.Thread(target=log) for _ in range(2)]
    for other in others:
        other.start()

    def crossing() -> Any:
        mine = lane.read()
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(into, str(lane.read()).encode())
            os._exit(0)
        os.close(into)
        with os.fdopen(out) as pipe:
            alive = select.select([pipe], [], [], WAIT)[0]
            found = pipe.read() if alive else "a hanging child"
        if not alive:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return mine if found == "-" else f"{found}'s child"

    yield crossing
    stop.set()
    for other in others:
        other.join(WAIT)


@row("D10", "`os.fork` with a writer in the background: the child's line comes", "`queue=True`")
def written_behind(lane: Lane) -> Iterator[Any]:
    """The writer's thread is not in the child: its lines need another, and no lock may be held."""
    patience = WAIT if lane.name.startswith("ctxlog") else 5.0  # a rival's line that is lost
    end, into = os.pipe()
    with os.fdopen(end, "rb", 0) as pipe, os.fdopen(into, "w", buffering=1) as out:

        def came(text: bytes) -> bool:
            found, last = b"", time.monotonic() + patience
            while text not in found:
                if not select.select([pipe], [], [], max(0, last - time.monotonic()))[0]:
                    return False
                found += os.read(end, 65_536)
            return True

        with lane.background(out) as write:
            write("first")
            assert came(b"first")  # the writer runs

            def crossing() -> Any:
                mine = lane.read()
                leave, left = os.pipe()
                pid = os.fork()
                if pid == 0:
                    write("child's")
                    os.read(leave, 1)  # its line is written while it lives
                    os._exit(0)
                found = mine if came(b"child's") else "-"
                os.write(left, b"x")
                if not _ended(pid):  # one that hangs has lost its line
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                os.close(leave)
                os.close(left)
                return found

            yield crossing


def _ended(pid: int) -> bool:
    last = time.monotonic() + WAIT
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > last:
            return False
        time.sleep(0.01)
    return True
