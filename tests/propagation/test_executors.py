"""Executors, threads, pools and processes beyond what the table of boundaries asks."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import threading
import weakref
from concurrent import futures
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from multiprocessing import get_context as get_mp_context
from multiprocessing.pool import ThreadPool
from types import FunctionType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from ctxlog import Secret, bind_context, entry, get_context, scope, snapshot, wrap
from ctxlog.context.accessors import unregister_accessor
from ctxlog.context.raised import raised_under
from ctxlog.context.variables import carry_var
from ctxlog.errors import UsageError
from ctxlog.propagation import (
    executors,
    install,
    pools,
    processes,
    run_detached,
    threads,
    uninstall,
    wrap_executor,
)
from ctxlog.propagation.jobs import is_machinery, job

if TYPE_CHECKING:
    from collections.abc import Callable

FOREIGN: ContextVar[str] = ContextVar("foreign", default="-")


def bind_and_read(name: str) -> dict[str, object]:
    """Bind in a worker, and return all there is."""
    bind_context(bound_by=name)
    return get_context()


def test_nothing_that_a_job_binds_reaches_the_next(tmp_path):
    """Each job starts from its submitter's fields alone, in the same worker."""
    with executors.ThreadPoolExecutor(1) as pool, scope(a=1):
        assert {"a": 1, "bound_by": "x"} == pool.submit(bind_and_read, "x").result()
        assert {"a": 1} == pool.submit(get_context).result()


def test_a_workers_other_variables_stay():
    """Only what we carry is replaced: the worker's own ContextVars are there in each job."""
    initializer = FOREIGN.set
    with executors.ThreadPoolExecutor(1, initializer=initializer, initargs=("worker",)) as pool:
        token = FOREIGN.set("submitter")
        assert "worker" == pool.submit(FOREIGN.get).result()
        FOREIGN.reset(token)


def test_a_job_of_a_thread_pool_is_called_as_it_was_submitted():
    """Arguments, results and errors are the job's own; an error has the fields it was raised under."""

    def failing(n: int, *, by: int) -> float:
        bind_context(n=n)
        return n / by

    with executors.ThreadPoolExecutor(1) as pool, scope(a=1):
        assert 0.5 == pool.submit(failing, 1, by=2).result()
        failed = pool.submit(failing, 1, by=0).exception()
        assert failed is not None
        assert [{"a": 1, "n": 1}] == [raised.values for raised in raised_under(failed)]
        with pytest.raises(UsageError, match="a job is a callable, not int"):
            pool.submit(3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_job_that_has_its_context_keeps_it():
    """What was wrapped elsewhere, or with everything, runs there and not under its submitter."""

    def read() -> str:
        return FOREIGN.get()

    token = FOREIGN.set("submitter")
    with scope(a=1):
        wrapped, whole = wrap(get_context), snapshot(everything=True).wrap(read)
    with executors.ThreadPoolExecutor(1) as pool, scope(b=2):
        assert {"a": 1} == pool.submit(wrapped).result()
        assert "submitter" == pool.submit(whole).result()
        assert {"b": 2} == pool.submit(get_context).result()
    FOREIGN.reset(token)


def test_what_is_registered_after_the_submit_does_not_show_in_the_job():
    """The worker's own value of a variable that travels from now on is not the submitter's."""
    initializer, begun, hold = FOREIGN.set, threading.Event(), threading.Event()
    with executors.ThreadPoolExecutor(1, initializer=initializer, initargs=("worker",)) as pool:
        pool.submit(begun.set)
        pool.submit(hold.wait, 20)
        begun.wait(20)
        waiting = pool.submit(FOREIGN.get)
        carry_var(FOREIGN, missing="-")
        hold.set()
        assert "-" == waiting.result(20)
        unregister_accessor("foreign")


def test_map_takes_its_options():
    """Timeout and chunksize go to the other executor's map."""
    with wrap_executor(futures.ThreadPoolExecutor(2)) as pool, scope(a=1):
        assert [{"a": 1}] * 3 == [
            fields for fields, _ in pool.map(lambda n: (get_context(), n), range(3), timeout=10)
        ]
    with executors.ProcessPoolExecutor(1) as pool, scope(a=2):
        found = list(pool.map(bind_and_read, ["x", "y"], chunksize=2))
    assert [{"a": 2, "bound_by": "x"}, {"a": 2, "bound_by": "y"}] == found


def test_a_wrapped_executor_is_the_other_one_otherwise():
    """What it does not know itself it asks the other one for; wrapping twice is wrapping once."""
    with futures.ThreadPoolExecutor(3) as inner:
        pool = wrap_executor(inner)
        assert 3 == pool._max_workers
        assert pool is wrap_executor(pool)
        assert "with context" in repr(pool)
    with pytest.raises(UsageError, match="no submit"):
        wrap_executor(object())


def test_the_default_executor_of_a_loop():
    """Our pool may be a loop's default executor."""

    async def main() -> object:
        asyncio.get_running_loop().set_default_executor(executors.ThreadPoolExecutor(1))
        with scope(a=1):
            return await asyncio.get_running_loop().run_in_executor(None, get_context)

    assert {"a": 1} == asyncio.run(main())


def test_what_cannot_travel_costs_no_job():
    """A secret stays here; the job runs in its process and its lines name what is missing."""
    with executors.ProcessPoolExecutor(1) as pool, scope(a=1, key=Secret("k")):
        found = pool.submit(get_context).result()
    assert {"a": 1, "key": "[redacted]", "context.replaced": ["key"]} == found


def bind_and_read_once(number: int) -> dict[str, object]:
    """Return what is bound, then bind more."""
    found = get_context()
    bind_context({f"n{number}": number})
    return found


def test_items_of_a_patched_pools_chunk_do_not_see_what_another_one_bound() -> None:
    """Each item is a job of its own, also where a process takes several at once."""
    install(only=["executors"])
    try:
        with futures.ProcessPoolExecutor(1, mp_context=get_mp_context("spawn")) as pool:
            with scope(a=1):
                found = pool.map(bind_and_read_once, range(4), chunksize=2)
            assert [{"a": 1}] * 4 == list(found)
    finally:
        uninstall()


def read_and_call(called: Callable[[], object], *_: object) -> tuple[object, object]:
    """Return what is bound here, and what is bound where ``called`` runs."""
    return get_context(), called()


def test_a_partial_whose_argument_is_wrapped_has_its_submitters_context():
    """Only a map's chunk has its context in its argument; a job with a wrapped callback has none."""
    with scope(a="callback"):
        called = wrap(get_context)
    submitted = partial(read_and_call, called)
    with scope(a="job"):
        both = ({"a": "job"}, {"a": "callback"})
        assert both == job(submitted)()
        with wrap_executor(futures.ThreadPoolExecutor(1)) as pool:
            assert both == pool.submit(submitted).result()
        with executors.ProcessPoolExecutor(1, mp_context=get_mp_context("spawn")) as pool:
            assert both == pool.submit(submitted).result()
            assert [{"a": "job"}] * 3 == [here for here, _ in pool.map(
                read_and_call, [called] * 3, range(3), chunksize=2)]  # fmt: skip


def test_a_job_has_one_context():
    """What was wrapped before keeps that context; what cannot be called is refused at once."""
    with scope(a=1):
        first = job(get_context)
    with scope(a=2):
        assert {"a": 1} == job(first)()
    assert {"a": 1} == pickle.loads(pickle.dumps(first))()
    with pytest.raises(UsageError, match="callable"):
        job(3)  # type: ignore[type-var]


def test_a_thread_keeps_nothing_alive():
    """A finished thread holds neither itself nor the context it ran under."""

    class Worker(threads.Thread):
        pass

    gc.disable()
    try:
        worker = Worker(target=get_context)
        worker.start()
        worker.join()
        gone = weakref.ref(worker)
        del worker
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("patched", [False, True], ids=["ours", "patched"])
def test_a_start_that_failed_leaves_nothing_for_the_next_one(
    patched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that the system refused to one request runs under who starts it in the end."""
    found: list[object] = []
    thread: threading.Thread
    if patched:
        install(only=["threads"])
        thread = threading.Thread(target=lambda: found.append(get_context()))
    else:
        thread = threads.Thread(target=lambda: found.append(get_context()))
    name = next(each for each in ("_start_new_thread", "_start_joinable_thread")
                if hasattr(threading, each))  # fmt: skip

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    try:
        with monkeypatch.context() as patch, scope(request_id="r-1"), pytest.raises(RuntimeError):
            patch.setattr(threading, name, refuse)
            thread.start()
        with scope(request_id="r-2"):
            thread.start()
    finally:
        uninstall()
    thread.join()
    assert [{"request_id": "r-2"}] == found


def test_a_thread_cannot_be_started_twice():
    """A second start() fails as it always did."""
    worker = threads.Thread(target=get_context)
    worker.start()
    worker.join()
    with pytest.raises(RuntimeError):
        worker.start()


def test_pools_take_callbacks_by_name_and_place():
    """Every method and both ways to give callbacks run under the caller's context."""
    found: list[object] = []
    with pools.ThreadPool(1) as pool, scope(a=1):
        assert [{"a": 1}] == [fields for fields, _ in pool.map(lambda n: (get_context(), n), [1])]
        assert [{"a": 1}] == list(pool.imap(lambda _: get_context(), [1]))
        assert [{"a": 1}] == list(pool.imap_unordered(lambda _: get_context(), [1]))
        assert [{"a": 1}] == pool.starmap(lambda *_: get_context(), [(1, 2)])
        pool.map_async(str, [1], 1, lambda _: found.append(get_context())).get()
        pool.starmap_async(str, [(1,)], callback=lambda _: found.append(get_context())).get()
        failing = pool.apply_async(
            lambda: 1 / 0, error_callback=lambda _: found.append(get_context())
        )
        with pytest.raises(ZeroDivisionError):
            failing.get()
    assert [{"a": 1}] * 3 == found


@pytest.mark.parametrize("patched", [False, True], ids=["ours", "patched"])
@pytest.mark.parametrize("by_name", [False, True], ids=["by place", "by name"])
def test_what_a_pool_iterates_on_its_own_thread_runs_under_the_caller(
    patched: bool, by_name: bool
) -> None:
    """The iterable of imap is the caller's code, too; what it binds stays with it."""

    def rows():
        for number in range(3):
            bind_context(row=number)
            yield get_context()

    class Rows:
        def __iter__(self):
            return rows()

    if patched:
        install(only=["pools"])
    try:
        with ThreadPool(1) if patched else pools.ThreadPool(1) as pool:
            for method in (pool.imap, pool.imap_unordered):
                for iterable in (rows(), Rows(), [{"a": 1, "row": n} for n in range(3)]):
                    with scope(a=1):
                        found = method(dict, iterable=iterable) if by_name else (
                            method(dict, iterable, 2))  # fmt: skip
                        assert {"a": 1} == get_context()
                    assert [{"a": 1, "row": n} for n in range(3)] == list(found)
    finally:
        uninstall()


def test_a_pools_workers_are_machinery():
    """A worker of a pool serves many: it starts under nobody's context."""
    assert is_machinery(threading.Thread(target=futures.thread._worker))
    for module in ("loky.process_executor", "joblib.externals.loky.process_executor"):
        worker = FunctionType((lambda: None).__code__, {"__name__": module})
        assert is_machinery(processes.get_context("spawn").Process(target=worker))
    assert not is_machinery(threading.Thread(target=get_context))
    assert not is_machinery(threading.Timer(1, get_context))


def test_an_unknown_start_method_is_refused():
    """The known ones are listed."""
    with pytest.raises(UsageError, match="did you mean 'spawn'"):
        processes.get_context("spwan")
    assert processes.get_context().Process


def test_a_fork_starts_from_nothing():
    """The child of os.fork has no fields; the parent keeps its own; leaving a scope there is safe."""
    out, into = os.pipe()
    with entry(a=1):
        pid = os.fork()
        if pid == 0:
            os.write(into, repr((get_context(), snapshot().ids)).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert 1 == get_context()["a"]
    assert b"({}, None)" == os.read(out, 1000)
    os.close(out)
    os.close(into)


def test_detached_work_starts_with_nothing():
    """A worker started by a request has none of it: no fields, nobody's variables."""
    token = FOREIGN.set("request's")
    with scope(a=1):
        assert ({}, "-") == run_detached(lambda: (get_context(), FOREIGN.get()))
    FOREIGN.reset(token)


def test_a_detached_coroutine_runs_in_the_empty_context_too():
    """What an awaited coroutine starts has nothing of the caller's; its end and errors arrive."""

    async def read() -> tuple[object, str]:
        await asyncio.sleep(0)
        return get_context(), FOREIGN.get()

    async def connect(fail: Exception | None = None) -> tuple[object, object]:
        before = await read()
        bind_context(inside=1)
        worker = asyncio.create_task(read())
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
        if fail is not None:
            raise fail
        return before, await worker

    async def waiting(ended: list[object]) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(get_context())

    async def main() -> None:
        FOREIGN.set("caller's")
        ended: list[object] = []
        with scope(request_id="r-1"):
            assert (({}, "-"), ({"inside": 1}, "-")) == await run_detached(connect)
            task = asyncio.create_task(run_detached(connect))
            assert (({}, "-"), ({"inside": 1}, "-")) == await task
            error = ValueError("refused")
            with pytest.raises(ValueError, match="refused") as caught:
                await run_detached(connect, error)
            assert error is caught.value
            task = asyncio.create_task(run_detached(waiting, ended))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run_detached(waiting, ended), 0.001)
            never = run_detached(waiting, ended)
            with suppress(StopIteration):
                never.send(None)
            never.close()
            assert {"request_id": "r-1"} == get_context()
        assert [{}, {}, {}] == ended
        assert "caller's" == FOREIGN.get()

    asyncio.run(main())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_detached_coroutine_of_either_loop(backend: str):
    """Nurseries, cancel scopes and threads work in it as outside."""

    async def work() -> list[object]:
        found: list[object] = []
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        found.append(await anyio.to_thread.run_sync(get_context))
        return [*found, get_context()]

    async def main() -> None:
        with scope(request_id="r-1"):
            assert [{}, {}] == await run_detached(work)

    anyio.run(main, backend=backend)


def test_a_rearming_timer_links_to_the_run_before():
    """Each run is an entry of its own, and says which it came from."""
    runs: list[dict[str, object]] = []
    done = threading.Event()

    def tick() -> None:
        with entry(link=snapshot(), job="tick"):
            runs.append(get_context())
            if len(runs) < 3:
                threads.Timer(0.001, tick).start()
            else:
                done.set()

    with entry({"x-request-id": "r-1"}):
        threads.Timer(0.001, tick).start()
    assert done.wait(10)
    ids = [run["request_id"] for run in runs]
    assert 3 == len({*ids, "r-1"} - {"r-1"})
    assert ["r-1", *ids[:2]] == [run["link.request_id"] for run in runs]


def test_a_worker_task_links_each_item_to_who_put_it():
    """A worker made by the first request serves each item as an entry linked to its putter."""
    from ctxlog.propagation.queues import AsyncQueue

    async def main() -> list[dict[str, object]]:
        jobs: AsyncQueue[Any] = AsyncQueue()
        done = []

        async def work() -> None:
            while True:
                handed = await jobs.receive()
                with entry(link=handed.snapshot, job=handed.item):
                    done.append(get_context())
                jobs.task_done()

        worker = None
        for name in ("r-1", "r-2"):
            with entry({"x-request-id": name}):
                worker = worker or run_detached(asyncio.create_task, work())
                await jobs.put(f"of {name}")
        await jobs.join()
        assert worker is not None
        worker.cancel()
        return done

    lines = asyncio.run(main())
    assert ["r-1", "r-2"] == [line["link.request_id"] for line in lines]
    assert 4 == len({line["request_id"] for line in lines} | {"r-1", "r-2"})
