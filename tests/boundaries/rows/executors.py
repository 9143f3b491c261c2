"""Executors: workers that serve many."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import threading
import time
import types
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor as Bare
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from tests.boundaries.lanes import Lane


@row("A3", "`ThreadPoolExecutor.submit`", "`executors.ThreadPoolExecutor`")
def submit(lane: Lane) -> Iterator[Any]:
    """A job of a pool that was made before."""
    with lane.ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(lane.read).result(WAIT)


@row("A3", "`ThreadPoolExecutor.map`", "`executors.ThreadPoolExecutor`")
def executor_map(lane: Lane) -> Iterator[Any]:
    """A mapped job."""
    with lane.ThreadPoolExecutor(2) as pool:
        yield lambda: max(pool.map(lambda _: lane.read(), range(3)))


@row("A3", "anybody's executor", "`wrap_executor(…)`")
def any_executor(lane: Lane) -> Iterator[Any]:
    """A job of an executor that one was given."""
    with lane.executor(Bare(1)) as pool:
        yield lambda: pool.submit(lane.read).result(WAIT)


@row("A4", "`loop.run_in_executor`", "`wrap_executor(…)`")
async def run_in_executor(lane: Lane) -> AsyncIterator[Any]:
    """A job that a loop hands to a pool."""
    with lane.executor(Bare(1)) as pool:

        async def crossing() -> Any:
            return await asyncio.get_running_loop().run_in_executor(pool, lane.read)

        yield crossing


@row("A4", "`asyncio.to_thread`")
async def to_thread(lane: Lane) -> AsyncIterator[Any]:
    """Asyncio's own thread."""

    async def crossing() -> Any:
        return await asyncio.to_thread(lane.read)

    yield crossing


@row("A5", "`copy_context()` inside the job", "`executors.ThreadPoolExecutor`")
def copied_inside(lane: Lane) -> Iterator[Any]:
    """A job that copies the context itself copies the worker's."""
    with lane.ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(lambda: contextvars.copy_context().run(lane.read)).result(WAIT)


@row("A6", "one capture entered by two threads at once", "`snapshot().run`")
def entered_twice(lane: Lane) -> Iterator[Any]:
    """Two threads under one capture."""
    with Bare(2) as pool:

        def crossing() -> Any:
            run, both = lane.capture(), threading.Barrier(2, timeout=2)

            def inside() -> Any:
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait()
                return lane.read()

            return max([pool.submit(run, inside) for _ in "ab"], key=lambda job: job.result(WAIT))

        yield lambda: crossing().result()


FOREIGN: contextvars.ContextVar[str] = contextvars.ContextVar("a library's session", default="-")


@row("A11", "a job beside another library's ContextVar", "`snapshot().run`")
def beside_foreign(lane: Lane) -> Iterator[Any]:
    """What a request's database session is in must not be shared with a job."""
    with Bare(1) as pool:

        def crossing() -> Any:
            token = FOREIGN.set("a session")
            run = lane.capture()
            FOREIGN.reset(token)
            return pool.submit(run, lambda: shared(lane.read())).result(WAIT)

        def shared(found: Any) -> Any:
            return found if FOREIGN.get() == "-" else FOREIGN.get()

        yield crossing


class _Inheriting(threading.Thread):
    """A thread as Python 3.14's ``thread_inherit_context`` makes it."""

    def start(self) -> None:
        """Copy the starter's context."""
        self.inherited = contextvars.copy_context()
        super().start()

    def run(self) -> None:
        """Run in the copy."""
        self.inherited.run(super().run)


@contextlib.contextmanager
def inheriting() -> Generator[None]:
    """A pool's threads inherit, as they will with Python 3.14's flag."""
    module: Any = importlib.import_module("concurrent.futures.thread")
    fake = types.SimpleNamespace(**{**vars(threading), "Thread": _Inheriting})
    before, module.threading = module.threading, fake
    try:
        yield
    finally:
        module.threading = before


@row("A7", "a pool whose workers inherit (simulated)", "`executors.ThreadPoolExecutor`")
def inheriting_pool(lane: Lane) -> Iterator[Any]:
    """The first submitter's context must not stay with the worker."""
    with inheriting(), lane.ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(lane.read).result(WAIT)


@row("A7", "a done-callback in a worker that inherits (simulated)", "`add_done_callback(wrap(…))`")
def inheriting_callback(lane: Lane) -> Iterator[Any]:
    """The same for what runs outside the job."""
    with inheriting(), lane.ThreadPoolExecutor(1) as pool:
        yield lambda: _called_back(lane, pool)


def _called_back(lane: Lane, pool: Any) -> Any:
    done: Future[Any] = Future()
    hold = threading.Event()
    future = pool.submit(hold.wait, WAIT)
    future.add_done_callback(lane.wrap(lambda _: done.set_result(lane.read())))
    hold.set()
    return done.result(WAIT)


@row("A8", "a job binds and does not unbind", "`executors.ThreadPoolExecutor`")
def job_binds(lane: Lane) -> Iterator[Any]:
    """What an earlier job left behind must not show."""
    with lane.ThreadPoolExecutor(1) as pool:

        def crossing() -> Any:
            pool.submit(lane.bind_loose, "left").result(WAIT)
            return pool.submit(lane.read).result(WAIT)

        yield crossing


@row("A8", "a pool's initializer binds", "`executors.ThreadPoolExecutor`")
def initializer_binds(lane: Lane) -> Iterator[Any]:
    """What the initializer bound must not show in jobs."""
    with lane.ThreadPoolExecutor(1, initializer=lane.bind_loose, initargs=("left",)) as pool:
        yield lambda: pool.submit(lane.read).result(WAIT)


@row("A13", "a client's own thread calls back", "`wrap(callback)`")
def client_thread(lane: Lane) -> Iterator[Any]:
    """A callback runs on a thread that was there before, serving another request."""
    with Bare(1) as client:

        def poll(callback: Any) -> Any:
            with lane.bind("other"):
                return callback()

        yield lambda: client.submit(poll, lane.wrap(lane.read)).result(WAIT)


@row("A14", "`Future.add_done_callback`", "`add_done_callback(wrap(…))`")
def done_callback(lane: Lane) -> Iterator[Any]:
    """A callback of a future that is not done yet runs in the worker."""
    with lane.ThreadPoolExecutor(1) as pool:
        yield lambda: _called_back(lane, pool)


@row("A15", "`gevent.spawn`", "`greenlets.carry(gevent.spawn(…))`")
def gevent_spawn(lane: Lane) -> Iterator[Any]:
    """A greenlet."""
    gevent = importlib.import_module("gevent")
    yield lambda: lane.light(gevent.spawn(lane.read)).get(timeout=WAIT)


@row("A15", "gevent's thread pool", "`wrap_executor(…)`")
def gevent_pool(lane: Lane) -> Iterator[Any]:
    """A job of gevent's own pool."""
    threadpool = importlib.import_module("gevent.threadpool")
    with lane.executor(threadpool.ThreadPoolExecutor(1)) as pool:
        yield lambda: pool.submit(lane.read).result(WAIT)


@row("A16", "a job that submits itself again", "`entry(link=…)`")
def rearmed(lane: Lane) -> Iterator[Any]:
    """Work that re-arms itself is no part of the request that armed it first."""
    with lane.ThreadPoolExecutor(1) as pool:

        def crossing() -> Any:
            mine, done = lane.read(), Future[Any]()

            def tick(left: int) -> None:
                if left:
                    with lane.entry(f"tick {left}"):
                        pool.submit(tick, left - 1)
                else:
                    done.set_result(lane.read())

            pool.submit(tick, 2)
            return mine if done.result(WAIT) == "tick 1" else done.result(WAIT)

        yield crossing


@row("A3", "`multiprocessing.pool.ThreadPool`", "`pools.ThreadPool`")
def thread_pool(lane: Lane) -> Iterator[Any]:
    """A job of multiprocessing's thread pool."""
    with lane.ThreadPool(1) as pool:
        yield lambda: pool.apply_async(lane.read).get(WAIT)


@row("A14", "a callback of `ThreadPool.apply_async`", "`pools.ThreadPool`")
def thread_pool_callback(lane: Lane) -> Iterator[Any]:
    """Its callback, on the pool's own thread."""
    with lane.ThreadPool(1) as pool:

        def crossing() -> Any:
            done: Future[Any] = Future()
            pool.apply_async(time.sleep, (0,), {}, lambda _: done.set_result(lane.read()))
            return done.result(WAIT)

        yield crossing
