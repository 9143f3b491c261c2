"""Boundaries of somebody's own: three questions, and which boundary answers what."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trio

import ctxlog
from ctxlog.errors import UsageError
from ctxlog.propagation import executors, queues, run_detached, wrap_executor
from ctxlog.testing import assert_isolated, assert_propagates, probing

# what is asked leaves fields behind on purpose, and the boundaries under test do so too
pytestmark = pytest.mark.ctxlog(guard="off")


def answers(error: pytest.ExceptionInfo[AssertionError]) -> dict[str, str]:
    """Return the three answers of a failure, by question."""
    lines = str(error.value).splitlines()[1:4]
    return {line.partition("?")[0].strip(): line.partition("?")[2].split()[0][:3] for line in lines}


@pytest.mark.parametrize("workers", [1, 3])
def test_executors(workers: int):
    """Ours propagates and isolates; the standard library's loses, and keeps what jobs bind."""
    with executors.ThreadPoolExecutor(workers) as pool:
        assert_propagates(pool)
        assert_isolated(pool)
    with ThreadPoolExecutor(workers) as pool:
        assert_propagates(wrap_executor(pool))
    with (
        ThreadPoolExecutor(workers) as pool,
        pytest.raises(AssertionError, match="ThreadPoolExecutor does not propagate") as error,
    ):
        assert_propagates(pool)
    assert {"present": "no:", "nobody else's": "yes", "restored": "no:"} == answers(error)
    assert "A's job saw nothing of A's (one after the other)" in str(error.value)
    assert "fix: hand the job over with its context: ctxlog.wrap(job)" in str(error.value)


def test_a_callable_that_loses_is_isolated():
    """A job under nothing, in a thread of its own: right or absent, but not present."""

    def lost(job: Any) -> None:
        thread = threading.Thread(target=job)
        thread.start()
        thread.join()

    assert_isolated(lost)
    with pytest.raises(AssertionError) as error:
        assert_propagates(lost)
    assert {"present": "no:", "nobody else's": "yes", "restored": "yes"} == answers(error)


class Inheriting:
    """A pool whose worker starts with the first submitter's context, and keeps it."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[Any] = queue.Queue()
        self.worker: threading.Thread | None = None

    def submit(self, job: Any) -> None:
        """Hand over; the first one starts the worker."""
        if self.worker is None:
            run = ctxlog.wrap(self.work)
            self.worker = threading.Thread(target=run, daemon=True)
            self.worker.start()
        self.jobs.put(job)

    def work(self) -> None:
        """Do one after the other."""
        while (job := self.jobs.get()) is not None:
            job()

    def stop(self) -> None:
        """End the worker."""
        self.jobs.put(None)
        assert self.worker is not None
        self.worker.join()


def test_a_pool_whose_workers_somebody_else_started():
    """Both assertions name whose fields were seen by whom."""
    pool = Inheriting()
    for ask in (assert_isolated, assert_propagates):
        with pytest.raises(AssertionError, match="saw somebody's fields") as error:
            ask(pool)
        assert "no:" == answers(error)["nobody else's"]
        assert "run_detached" in str(error.value)
    pool.stop()


def test_two_at_once(monkeypatch: pytest.MonkeyPatch):
    """A boundary that keeps its context in one place is found by two jobs that take turns."""
    monkeypatch.setattr(probing, "MEET", 30)  # however busy the machine is
    shared: dict[str, Any] = {}

    def boundary(job: Any) -> None:
        shared["latest"] = ctxlog.snapshot()

        def look() -> None:
            if threading.current_thread().name == "inner":
                return
            job()

        taken = shared["latest"]
        thread = threading.Thread(target=lambda: taken.run(look))
        thread.start()
        thread.join()

    assert_propagates(boundary)

    latest: list[Any] = [None]

    class Registry:
        """The context of whoever came last, looked up at every step."""

        def __call__(self, job: Any) -> None:
            latest[0] = ctxlog.snapshot()
            inner = job.seen

            class Seen(list[Any]):
                def append(self, item: Any) -> None:
                    super().append(latest[0].values())

            job.seen = Seen(inner)
            thread = threading.Thread(target=job)
            thread.start()
            thread.join()

    with pytest.raises(AssertionError, match="two at once"):
        assert_isolated(Registry())


def test_generators():
    """A scope around a yield is the consumer's; a decorated generator keeps its own."""

    def leaking(job: Any) -> Any:
        with ctxlog.scope(table="orders"):
            yield job()
            yield job()

    @ctxlog.scope(table="orders")
    def kept(job: Any) -> Any:
        yield job()
        yield job()

    assert_propagates(kept)
    with pytest.raises(AssertionError, match=r"leaking does not isolate") as error:
        assert_isolated(leaking)
    assert "afterwards A has {'ctxlog.probe': 'A', 'table': 'orders'}" in str(error.value)
    assert "never around a yield" in str(error.value)


async def leaking_async(job: Any) -> Any:
    """Bind around a yield."""
    with ctxlog.scope(table="orders"):
        yield job()
        yield job()


@ctxlog.scope(table="orders")
async def kept_async(job: Any) -> Any:
    """Have it bound by the decorator."""
    yield job()
    yield job()


async def without_a_job() -> Any:
    """Yield, and know of no job."""
    with ctxlog.scope(table="orders"):
        yield 1


def test_async_generators_closed_from_another_task():
    """Outside a loop, under asyncio, and under trio."""
    assert_propagates(kept_async)
    for function in (leaking_async, without_a_job):
        with pytest.raises(AssertionError, match="does not isolate"):
            assert_isolated(function)

    async def inside() -> None:
        await assert_propagates(kept_async)
        with pytest.raises(AssertionError, match="does not isolate"):
            await assert_isolated(leaking_async)

    asyncio.run(inside())
    trio.run(inside)


class Mailer:
    """A queue with one worker task, started by the first who sends."""

    def __init__(self, *, right: bool) -> None:
        self.right = right
        self.jobs: Any = None
        self.worker: Any = None

    async def send(self, job: Any) -> None:
        """Put the job; the worker will call it."""
        if self.worker is None:
            self.jobs = queues.AsyncQueue() if self.right else asyncio.Queue()
            start = run_detached if self.right else (lambda f, *a: f(*a))
            self.worker = start(asyncio.create_task, self.work())
        await self.jobs.put(job)

    async def work(self) -> None:
        """Do one after the other."""
        while True:
            if self.right:
                with await self.jobs.receive() as job:
                    await _called(ctxlog.wrap(job))
            else:
                await _called(await self.jobs.get())


async def _called(job: Any) -> None:
    result = job()
    if result is not None:
        await result


@pytest.mark.parametrize("asynchronous", [False, True])
def test_async_boundaries(asynchronous: bool):
    """A worker task of ours is right; one that inherits is found, with either kind of job."""

    async def main() -> None:
        right = Mailer(right=True)
        await assert_propagates(right.send, asynchronous=asynchronous)
        wrong = Mailer(right=False)
        with pytest.raises(AssertionError, match="saw somebody's fields"):
            await assert_isolated(wrong.send, asynchronous=asynchronous)
        for mailer in (right, wrong):
            mailer.worker.cancel()

    asyncio.run(main())


def test_to_thread_under_both_libraries():
    """What keeps the context by itself passes, inside a loop and outside."""

    async def through_asyncio(job: Any) -> None:
        await asyncio.to_thread(job)

    async def through_trio(job: Any) -> None:
        await trio.to_thread.run_sync(job)

    assert_propagates(through_asyncio)

    async def inside() -> None:
        await assert_propagates(through_trio)

    trio.run(inside)


def test_a_job_that_is_never_called():
    """It is said after the timeout, not waited for for ever."""
    with pytest.raises(AssertionError, match=r"did not call the job of somebody within 0\.05 s"):
        assert_propagates(lambda job: None, timeout=0.05)

    async def forgets(job: Any) -> None:
        """Forget it."""

    with pytest.raises(AssertionError, match="did not call the job"):
        assert_isolated(forgets, timeout=0.05)


def test_an_error_of_the_boundary_comes_out():
    """What the boundary itself raises is not taken for an answer."""

    def broken(job: Any) -> None:
        raise ZeroDivisionError

    async def broken_too(job: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        assert_isolated(broken)
    with pytest.raises(ExceptionGroup):
        assert_isolated(broken_too)


@pytest.mark.parametrize("thing", [3, None])
def test_what_is_no_boundary_is_misuse(thing: Any):
    """The error names what is taken."""
    with pytest.raises(UsageError, match="a boundary is an executor"):
        assert_propagates(thing)


def test_an_awaitable_of_a_plain_function_is_misuse():
    """A lambda that returns a coroutine is told how to say so."""

    async def send(job: Any) -> None:
        job()

    with pytest.raises(UsageError, match="async def"):
        assert_propagates(lambda job: send(job))  # noqa: PLW0108 - what people write


def test_nothing_is_left_in_the_callers_context():
    """Asking binds nothing here, whatever the answer."""
    with ctxlog.scope(mine=1):
        assert_propagates(lambda job: ctxlog.wrap(job)())
        with pytest.raises(AssertionError):
            assert_isolated(lambda job: job())  # what the job binds stays here
        assert {"mine": 1} == ctxlog.get_context()
