"""Rows: one a boundary. Each gives a crossing: called by a request, it returns what was read there.

A row is a generator, or an async one, that yields its crossing once and then cleans up. The driver
(``measure``) calls the crossing for request A, for request B, and for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import importlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
import types
import weakref
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor as Bare
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from tests.boundaries.lanes import Lane

WAIT = 20.0


class Row(NamedTuple):
    """A boundary: its number in the catalogue, what it is, and how it is crossed."""

    number: str
    title: str
    cross: Callable[[Any], Any]
    way: str


ROWS: list[Row] = []


def row(number: str, title: str, way: str = "nothing to do") -> Callable[[Any], Any]:
    """Register a row; ``way`` is how ctxlog's users go across explicitly."""

    def register(cross: Any) -> Any:
        ROWS.append(Row(number, title, cross, way))
        return cross

    return register


def in_thread(make: Callable[[Callable[[], None]], Any], read: Callable[[], Any]) -> Any:
    """Start the thread that ``make`` returns and return what was read in it."""
    found: list[Any] = []
    thread = make(lambda: found.append(read()))
    thread.start()
    thread.join(WAIT)
    return found[0]


# ---- threads


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


# ---- executors


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


@row("A18", "a bound value is changed afterwards", "values are what they were")
def changed_later(lane: Lane) -> Iterator[Any]:
    """What was bound stays as it was when it was bound."""

    def crossing() -> Any:
        mine = lane.read()
        value = [mine]
        with lane.bind(value):
            value[0] = "changed"
            return lane.read()[0] if mine != "-" else mine

    yield crossing


# ---- multiprocessing's thread pool


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


# ---- asyncio


@row("B1", "`create_task`, `gather`, `TaskGroup`")
async def task(lane: Lane) -> AsyncIterator[Any]:
    """A child task."""

    async def reading() -> Any:
        return lane.read()

    async def crossing() -> Any:
        return (await asyncio.gather(asyncio.create_task(reading())))[0]

    yield crossing


@row("B2", "an awaited coroutine binds and does not unbind", "`@scope()`")
async def awaited_binds(lane: Lane) -> AsyncIterator[Any]:
    """What a callee bound must not stay with the caller."""

    async def callee() -> None:
        lane.bind_loose("callee's")

    async def crossing() -> Any:
        await lane.decorated(callee)()
        return lane.read()

    yield crossing


@row("B3", "`asyncio.wait_for`")
async def wait_for(lane: Lane) -> AsyncIterator[Any]:
    """Its coroutine, in a task of its own or not."""

    async def reading() -> Any:
        return lane.read()

    async def crossing() -> Any:
        return await asyncio.wait_for(reading(), WAIT)

    yield crossing


@row("B4", "a worker task made by the first request", "`run_detached`, `entry(link=…)`")
async def lazy_worker(lane: Lane) -> AsyncIterator[Any]:
    """A worker that outlives the first request must not keep its id."""
    jobs: Any = lane.AsyncQueue()
    workers: list[Any] = []

    async def work() -> None:
        while True:
            idle = lane.read()
            async with lane.areceived(jobs) as done:
                if idle != "-":
                    done.set_result(f"{idle}'s worker")
                elif not done.done():
                    done.set_result(lane.read())

    async def crossing() -> Any:
        if not workers:
            workers.append(lane.detached(asyncio.create_task, work()))
        done = asyncio.get_running_loop().create_future()
        await jobs.put(done)
        return await asyncio.wait_for(done, WAIT)

    yield crossing
    workers[0].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await workers[0]


@row("B5", "a library's timer, first armed by a request", "`run_detached`")
async def library_timer(lane: Lane) -> AsyncIterator[Any]:
    """A keep-alive that re-arms itself has no request's id."""
    found: list[Any] = []
    state: dict[str, Any] = {}

    def beat() -> None:
        found.append(lane.read())
        state["timer"] = asyncio.get_running_loop().call_later(0.001, beat)

    async def crossing() -> Any:
        mine = lane.read()
        if not state:
            lane.detached(beat)
        found.clear()
        await asyncio.sleep(0.02)
        return mine if found[-1] == "-" else f"{found[-1]}'s timer"

    yield crossing
    state["timer"].cancel()


@row("B6", "`call_soon_threadsafe` from a thread", "`threads.Thread`")
async def threadsafe(lane: Lane) -> AsyncIterator[Any]:
    """A callback that a request's thread hands to a loop."""

    async def crossing() -> Any:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def inside() -> None:
            loop.call_soon_threadsafe(lambda: done.set_result(lane.read()))

        lane.Thread(target=inside).start()
        return await asyncio.wait_for(done, WAIT)

    yield crossing


@row("B6", "`run_coroutine_threadsafe` from a thread", "`threads.Thread`")
async def coroutine_threadsafe(lane: Lane) -> AsyncIterator[Any]:
    """A coroutine that a request's thread hands to a loop."""

    async def reading() -> Any:
        return lane.read()

    async def crossing() -> Any:
        loop = asyncio.get_running_loop()
        handed: Future[Any] = Future()

        def inside() -> None:
            handed.set_result(asyncio.run_coroutine_threadsafe(reading(), loop))

        lane.Thread(target=inside).start()
        return await asyncio.wrap_future(await asyncio.wrap_future(handed))

    yield crossing


@row("B8", "a server started under a request's context", "`entry(…)`")
async def server(lane: Lane) -> AsyncIterator[Any]:
    """What a connection's handler has is its own request's, not the server's."""

    async def handle(reader: Any, writer: Any) -> None:
        name = (await reader.readline()).decode().strip()
        with lane.entry(name) if name != "-" else contextlib.nullcontext():
            found = lane.read()
        writer.write(f"{found} then {lane.read()}\n".encode())
        writer.close()

    with lane.bind("server's"):
        served = await lane.detached(
            asyncio.create_task, asyncio.start_server(handle, "127.0.0.1", 0)
        )
    port = served.sockets[0].getsockname()[1]

    async def crossing() -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{lane.read()}\n".encode())
        found = (await reader.readline()).decode().strip()
        writer.close()
        inside, _, idle = found.partition(" then ")
        return inside if idle == "-" else idle

    yield crossing
    served.close()
    await served.wait_closed()


@row("B9", "the loop's handler for a callback that failed")
async def handler_of_callback(lane: Lane) -> AsyncIterator[Any]:
    """What reports a failed callback (before 3.12: under the loop's own context)."""
    loop = asyncio.get_running_loop()
    found: list[Any] = []
    loop.set_exception_handler(_handler(lane, found))

    async def crossing() -> Any:
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.01)
        return found.pop()

    yield crossing


@row("B9", "“Task exception was never retrieved”")
async def handler_of_task(lane: Lane) -> AsyncIterator[Any]:
    """What reports a failed task nobody awaited, collected while another request runs."""
    loop = asyncio.get_running_loop()
    found: list[Any] = []
    loop.set_exception_handler(_handler(lane, found))

    async def failing() -> None:
        raise ValueError

    async def crossing() -> Any:
        failed: list[Any] = [asyncio.create_task(failing())]
        await asyncio.sleep(0.01)
        with lane.bind("other"):
            failed.clear()
            gc.collect()
        return found.pop()

    yield crossing


def _handler(lane: Lane, found: list[Any]) -> Any:
    if lane.name != "ctxlog explicit":
        return lambda _loop, _context: found.append(lane.read())
    from ctxlog.propagation.callbacks import exception_handler

    def handler(loop: Any, context: dict[str, Any]) -> None:
        loop.default_exception_handler = lambda _: found.append(lane.read())
        exception_handler(loop, context)

    return handler


# ---- generators


@row("B10", "an abandoned async generator", "`@scope(…)`, `generators.carried_async`")
async def abandoned(lane: Lane) -> AsyncIterator[Any]:
    """What an abandoned generator bound must not stay, and its end must not fail."""
    loop = asyncio.get_running_loop()
    failed: list[Any] = []
    loop.set_exception_handler(lambda _loop, context: failed.append(context))

    async def generator() -> Any:
        with lane.bind("generator's"):
            yield 1
            yield 2

    async def crossing() -> Any:
        async for _ in lane.asteps(generator()):
            break
        gc.collect()
        await asyncio.sleep(0.01)
        return failed.pop()["exception"].__class__.__name__ if failed else lane.read()

    yield crossing


@row("B11", "`with` around a `yield`", "`@scope(…)`, `generators.carried`")
def yielding(lane: Lane) -> Iterator[Any]:
    """The consumer must not see the generator's fields."""

    def generator() -> Any:
        with lane.bind("generator's"):
            yield 1
            yield 2

    def crossing() -> Any:
        steps = lane.steps(generator())
        next(steps)
        found = lane.read()
        steps.close()
        return found

    yield crossing


@row("B12", "interleaved generators", "`@scope(…)`, `generators.carried`")
def interleaved(lane: Lane) -> Iterator[Any]:
    """Each resumes with what it bound."""

    def generator(name: str) -> Any:
        with lane.bind(name):
            yield 1
            yield lane.read()

    def crossing() -> Any:
        mine = lane.read()
        one, two = lane.steps(generator(mine)), lane.steps(generator("other"))
        next(one)
        next(two)
        found, foreign = next(one), next(two)
        one.close()
        two.close()
        return found if foreign == "other" else foreign

    yield crossing


# ---- queues


@row("B13", "`queue.Queue` to a worker thread", "`queues.Queue`, `hand`")
def thread_queue(lane: Lane) -> Iterator[Any]:
    """A worker works under the context of whoever put the item."""
    jobs = lane.Queue()

    def work() -> None:
        while True:
            with lane.received(jobs) as done:
                if done is None:
                    return
                done.set_result(lane.read())

    worker = threading.Thread(target=work)
    worker.start()

    def crossing() -> Any:
        done: Future[Any] = Future()
        jobs.put(done)
        return done.result(WAIT)

    yield crossing
    jobs.put(None)
    worker.join(WAIT)


@row("B13", "`asyncio.Queue` to a worker task", "`queues.AsyncQueue`, `hand`")
async def async_queue(lane: Lane) -> AsyncIterator[Any]:
    """A worker task works under the context of whoever put the item."""
    jobs = lane.AsyncQueue()

    async def work() -> None:
        while True:
            async with lane.areceived(jobs) as done:
                done.set_result(lane.read())

    worker = asyncio.create_task(work())

    async def crossing() -> Any:
        done = asyncio.get_running_loop().create_future()
        await jobs.put(done)
        return await asyncio.wait_for(done, WAIT)

    yield crossing
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


# ---- signals and the like


@row("B14", "a signal handler, while another request runs", "`signal.signal(…, wrap(…))`")
def signalled(lane: Lane) -> Iterator[Any]:
    """A handler has the context it was registered in."""
    before = signal.getsignal(signal.SIGUSR1)
    found: list[Any] = []

    def crossing() -> Any:
        signal.signal(signal.SIGUSR1, lane.wrap(lambda *_: found.append(lane.read())))
        with lane.bind("other"):
            signal.raise_signal(signal.SIGUSR1)
        return found.pop()

    yield crossing
    signal.signal(signal.SIGUSR1, before)


@row("B14", "`loop.call_later`")
async def call_later(lane: Lane) -> AsyncIterator[Any]:
    """A timer of the loop."""

    async def crossing() -> Any:
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, lambda: done.set_result(lane.read()))
        return await done

    yield crossing


@row("B14", "`weakref.finalize`, while another request runs", "`finalize(…, wrap(…))`")
def finalizer(lane: Lane) -> Iterator[Any]:
    """A finalizer has the context it was registered in."""
    found: list[Any] = []

    def crossing() -> Any:
        things: list[Any] = [type("Thing", (), {})()]
        weakref.finalize(things[0], lane.wrap(lambda: found.append(lane.read())))
        with lane.bind("other"):
            things.clear()
            gc.collect()
        return found.pop()

    yield crossing


@row("B16", "a scope left in another context than it was entered in")
def left_elsewhere(lane: Lane) -> Iterator[Any]:
    """Leaving there neither fails nor changes what is current there."""

    def crossing() -> Any:
        scope = lane.bind("inner")
        contextvars.copy_context().run(scope.__enter__)
        scope.__exit__(None, None, None)
        return lane.read()

    yield crossing


# ---- anyio and trio


def _anyio(backend: str, crossing: Callable[..., Any]) -> Callable[[Lane], Any]:
    def cross(lane: Lane) -> Iterator[Any]:
        import anyio

        yield lambda: anyio.run(crossing, lane, backend=backend)

    return cross


async def _to_thread(lane: Lane) -> Any:
    from anyio import to_thread

    return await to_thread.run_sync(lane.read)


async def _from_thread(lane: Lane) -> Any:
    from anyio import from_thread, to_thread

    async def reading() -> Any:
        return lane.read()

    return await to_thread.run_sync(lambda: from_thread.run(reading))


async def _task_group(lane: Lane) -> Any:
    import anyio

    found: list[Any] = []

    async def reading() -> None:
        found.append(lane.read())

    async with anyio.create_task_group() as group:
        group.start_soon(reading)
    return found[0]


for _backend in ("asyncio", "trio"):
    row("B20", f"anyio `to_thread`, on {_backend}")(_anyio(_backend, _to_thread))
    row("B20", f"anyio `from_thread`, on {_backend}")(_anyio(_backend, _from_thread))
    row("B20", f"anyio `TaskGroup.start_soon`, on {_backend}")(_anyio(_backend, _task_group))


@row("B20", "anyio `BlockingPortal.call`")
def portal(lane: Lane) -> Iterator[Any]:
    """A call into a loop that another request started."""
    from anyio.from_thread import start_blocking_portal

    with contextlib.ExitStack() as stack:
        with lane.bind("other"):
            opened = stack.enter_context(start_blocking_portal())
        yield lambda: opened.call(lane.read)


@row("B20", "anyio `to_process`", "`job(function)`")
def to_process(lane: Lane) -> Iterator[Any]:
    """A call in a process of anyio's."""
    import anyio
    from anyio import to_process as boundary

    yield lambda: anyio.run(boundary.run_sync, lane.job(lane.read))


@row("B20", "trio nursery")
def nursery(lane: Lane) -> Iterator[Any]:
    """A child task of trio's."""
    import trio

    found: list[Any] = []

    async def reading() -> None:
        found.append(lane.read())

    async def main() -> Any:
        async with trio.open_nursery() as opened:
            opened.start_soon(reading)
        return found.pop()

    yield lambda: trio.run(main)


# ---- hooks


@row("A13", "blinker: a receiver, sent by another request", "`callbacks.as_function`")
def blinker(lane: Lane) -> Iterator[Any]:
    """A receiver that wants the context it was connected in."""
    from blinker import Signal

    def crossing() -> Any:
        sent = Signal()
        receiver = lane.wrap(lambda _: lane.read())
        sent.connect(receiver, weak=False)
        with lane.bind("other"):
            return sent.send(None)[0][1]

    yield crossing


# ---- what needs no web


@row("C4", "a body is produced after its request's scope", "`generators.carried`")
def streamed(lane: Lane) -> Iterator[Any]:
    """A response's generator runs when the request's scope has gone."""

    def crossing() -> Any:
        mine = lane.read()

        def request() -> Any:
            with lane.bind(mine) if mine != "-" else contextlib.nullcontext():
                return lane.steps(lane.read() for _ in "a")

        body = contextvars.Context().run(request)
        return contextvars.Context().run(next, body)

    yield crossing


# ---- processes

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
