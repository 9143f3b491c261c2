"""The ways that work is handed over beside threads, pools and queues; and those that are not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

HEAD = """
    import asyncio, gc, queue, threading, weakref, _thread
    from multiprocessing.pool import ThreadPool
    import pytest, ctxlog
    log = ctxlog.get_logger("shop")
    def work(*_):
        log.info("worked")  # the line
"""


def test_pools_finalizers_raw_threads(project: Project):
    """Each method of a pool and its callbacks, a finalizer, a thread without an object."""
    project.write(
        test_it=HEAD
        + """
    @pytest.fixture(autouse=True)
    def bound():
        with ctxlog.scope(request_id="r-1"):
            yield

    def test_map():
        with ThreadPool(1) as pool:
            pool.map(work, [1])  # map

    def test_starmap():
        with ThreadPool(1) as pool:
            pool.starmap_async(work, [(1,)]).get(30)  # star

    def test_imap():
        with ThreadPool(1) as pool:
            list(pool.imap(work, [1]))  # imap

    def test_chunks():
        with ThreadPool(1) as pool:
            list(pool.imap_unordered(work, [1, 2], 2))  # chunks

    def test_callback():
        told = threading.Event()
        def tell(_):
            work()
            told.set()
        with ThreadPool(1) as pool:
            pool.apply_async(int, callback=tell)  # callback
            assert told.wait(30)

    def test_callback_of_map():
        told = threading.Event()
        def tell(_):
            work()
            told.set()
        with ThreadPool(1) as pool:
            pool.map_async(int, [1], None, tell)  # second
            assert told.wait(30)

    def test_finalize():
        class Cart: pass
        cart = Cart()
        finalizer = weakref.finalize(cart, work)  # finalize
        assert finalizer.peek()[1] == work and finalizer.peek()[0] is cart
        with ctxlog.scope():
            ctxlog.clear_context()
            finalizer()

    def test_raw():
        done = threading.Event()
        def raw():
            work()
            done.set()
        _thread.start_new_thread(raw, ())  # raw
        assert done.wait(30)
    """
    )
    project.ini("ctxlog_required = request_id")
    result = project.run()
    result.assert_outcomes(failed=8)
    said, line = result.stdout.str(), project.line_of
    for at, expected in {
        "# map": "ThreadPool.map(work)",
        "# star": "ThreadPool.starmap(work)",
        "# imap": "ThreadPool.imap(work)",
        "# chunks": "ThreadPool.imap_unordered(work)",
        "# callback": "ThreadPool.apply_async(tell)",
        "# second": "ThreadPool.map(tell)",
        "# finalize": "weakref.finalize(work)",
        "# raw": "_thread.start_new_thread(raw)",
    }.items():
        assert f"lost at:   {expected} at test_it.py:{line(at)} in" in said, at
    for fix in ("map(ctxlog.wrap(work), …), or make the pool with ThreadPool from ctxlog.propagation.pools",
                "start it with its context: ctxlog.wrap(raw)",
                "register it with its context: ctxlog.wrap(work)"):  # fmt: skip
        assert fix in said


STREAMS = """
    import anyio, pytest, trio
    import ctxlog
    log = ctxlog.get_logger("shop")

    async def consume(stream):
        async for item in stream:
            log.info("took", item=item)  # the line

    async def shop(size, nowait):
        send, receive = anyio.create_memory_object_stream(size)
        async with anyio.create_task_group() as group, send:
            if size:
                group.start_soon(consume, receive)
            with ctxlog.scope(request_id="r-1"):
                if nowait:
                    send.send_nowait("tea")  # nowait
                elif size:
                    await send.send("tea")  # send
                else:
                    group.start_soon(later, receive)
                    await send.send("tea")  # waits

    async def later(receive):
        ctxlog.clear_context()
        async with receive:
            item = await receive.receive()
            log.info("late", item=item)  # late

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @pytest.mark.parametrize("size, nowait", [(1, False), (1, True), (0, False)])
    def test_stream(backend, size, nowait):
        anyio.run(shop, size, nowait, backend=backend)

    def test_channel():
        async def main():
            send, receive = trio.open_memory_channel(0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(consume, receive)
                async with send:
                    await trio.testing.wait_all_tasks_blocked()
                    with ctxlog.scope(request_id="r-1"):
                        await send.send("tea")  # channel
        import trio.testing
        trio.run(main)
"""


def test_streams_and_channels(project: Project):
    """An item of anyio's or trio's in-memory streams comes with the place where it was sent."""
    project.write(test_it=STREAMS)
    project.ini("ctxlog_required = request_id")
    result = project.run()
    result.assert_outcomes(failed=7)
    said, line = result.stdout.str(), project.line_of
    for mark, times, name in (
        ("# nowait", 2, "MemoryObjectSendStream"), ("# send", 2, "MemoryObjectSendStream"),
        ("# waits", 2, "MemoryObjectSendStream"), ("# channel", 1, "MemorySendChannel"),
    ):  # fmt: skip
        lost = f"  lost at:   {name}.send(str) at test_it.py:{line(mark)} in"
        assert times == said.count(lost), mark
    assert "send hand(item) and take it by `with item:`" in said


def test_uvloop_is_watched_as_asyncio_is(project: Project):
    """A worker that the first request made in a uvloop shows the second one's item its own id."""
    pytest.importorskip("uvloop")
    project.write(
        test_it="""
        import asyncio, ctxlog, pytest
        log = ctxlog.get_logger("shop")

        @pytest.mark.ctxlog(required=["request_id"])
        def test_it():
            import uvloop
            async def main():
                jobs = asyncio.Queue()
                async def worker():
                    while True:
                        await jobs.get()
                        log.info("worked")  # line
                        jobs.task_done()
                task = None
                for request in ("r-1", "r-2"):
                    with ctxlog.scope(request_id=request):
                        if task is None:
                            task = asyncio.create_task(worker())  # made
                        jobs.put_nowait("job")  # put
                        await jobs.join()
                task.cancel()
            uvloop.run(main())
        """
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        f"test_it.py:{project.line_of('# line')} in *: 'worked' has another's request_id='r-1'*",
        f"  last had:  request_id='r-2' at test_it.py:{project.line_of('# put')} in *",
        f"  came from: create_task(worker) at test_it.py:{project.line_of('# made')} in *",
    ])  # fmt: skip


SAME = """
    import asyncio, contextvars, gc, importlib.util, inspect, multiprocessing, signal, threading
    import weakref, _thread
    from multiprocessing.pool import ThreadPool
    import anyio, ctxlog, pytest
    from anyio.streams.memory import MemoryObjectSendStream

    pytestmark = pytest.mark.ctxlog(required=["request_id"])

    def test_finalizers():
        class Cart: pass
        cart, calls = Cart(), []
        def called(*args, **kwargs):
            calls.append((args, kwargs))
        finalizer = weakref.finalize(cart, called, 1, obj=2)
        assert (cart, called, (1,), {"obj": 2}) == finalizer.peek()
        del cart
        gc.collect()
        assert [((1,), {"obj": 2})] == calls and not finalizer.alive

    def test_raw_threads():
        got, done = [], threading.Event()
        def raw(*args, **kwargs):
            got.append((args, kwargs))
            done.set()
        assert type(_thread.start_new_thread(raw, (1,), {"b": 2})) is int
        assert done.wait(30) and [((1,), {"b": 2})] == got
        for wrong in ((None, ()), (raw,)):
            with pytest.raises(TypeError):
                _thread.start_new_thread(*wrong)

    @pytest.mark.parametrize("make", [ThreadPool, multiprocessing.get_context("spawn").Pool])
    def test_pools(make):
        told, called = [], threading.Event()
        def tell(result):
            told.append(result)
            called.set()
        with make(1) as pool:
            assert [1, 2] == pool.map(func=abs, iterable=[-1, -2])
            assert [8] == pool.starmap(pow, [(2, 3)])
            assert [1, 2, 3] == list(pool.imap(abs, [-1, -2, -3], 2))
            assert [1] == list(pool.imap_unordered(abs, iterable=[-1]))
            assert 3 == pool.apply_async(abs, (-3,), {}, tell).get() and called.wait(30)
            called.clear()
            assert 4 == pool.apply_async(func=abs, args=(-4,), callback=tell).get() and called.wait(30)
            assert [3, 4] == told
            called.clear()
            with pytest.raises(ValueError):
                pool.map_async(int, ["x"], error_callback=tell).get()
            assert called.wait(30) and type(told[-1]) is ValueError

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_streams(backend):
        async def main():
            send, receive = anyio.create_memory_object_stream(1)
            assert inspect.iscoroutinefunction(MemoryObjectSendStream.send)
            send.send_nowait(1)
            with pytest.raises(anyio.WouldBlock):
                send.send_nowait(2)
            with anyio.move_on_after(0.01) as given_up:
                await send.send(3)
            assert given_up.cancelled_caught
            assert 1 == receive.receive_nowait()
            with pytest.raises(anyio.WouldBlock):
                receive.receive_nowait()
            await send.send(4)
            send.close()
            assert [4] == [item async for item in receive]
            with pytest.raises(anyio.ClosedResourceError):
                await send.send(5)
            receive.close()
        anyio.run(main, backend=backend)

    def test_loops():
        async def main():
            loop = asyncio.get_running_loop()
            async def named():
                return asyncio.current_task().get_name()
            assert "mine" == await loop.create_task(named(), name="mine")
            assert "own" == await loop.create_task(named(), name="own", context=contextvars.Context())
            future = loop.create_future()
            loop.call_soon_threadsafe(future.set_result, 1)
            assert 1 == await future
        before = signal.getsignal(signal.SIGINT)
        asyncio.run(main())
        if importlib.util.find_spec("uvloop") is not None:
            importlib.import_module("uvloop").run(main())
        assert before is signal.getsignal(signal.SIGINT)
"""


def test_what_is_watched_does_what_it_did(project: Project):
    """Arguments, results, errors and kinds are the same while crossings are noted."""
    project.write(test_it=SAME)
    project.ini("filterwarnings = error")
    project.run().assert_outcomes(passed=7)
