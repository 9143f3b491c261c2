"""Callbacks, queues, generators and greenlets beyond what the table of boundaries asks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import queue
import subprocess
import sys
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pluggy
import pytest
from blinker import Signal

from ctxlog import get_context, scope, wrap
from ctxlog.propagation import callbacks, generators, hand, queues

ATEXIT = """
import atexit, ctxlog
def bye(): print(ctxlog.get_context())
def kept(): print("kept", ctxlog.get_context())
with ctxlog.scope(a=1):
    atexit.register(ctxlog.wrap(bye))
    atexit.register(ctxlog.wrap(kept))
atexit.unregister(bye)
"""


def test_a_registry_finds_the_wrapped_again():
    """What is taken out of atexit is found by the bare function; the other one has its context."""
    done = subprocess.run(
        [sys.executable, "-c", ATEXIT], capture_output=True, text=True, check=True
    )
    assert "kept {'a': 1}\n" == done.stdout


def test_pluggy_takes_a_true_function():
    """A plugin's hook runs under the context it was registered in, with its own signature."""
    mark, spec = pluggy.HookimplMarker("demo"), pluggy.HookspecMarker("demo")

    class Specs:
        @spec
        def hello(self, name: str) -> object:
            """Say hello."""

    class Plugin:
        pass

    @mark
    def hello(name: str) -> object:
        return name, get_context()

    manager = pluggy.PluginManager("demo")
    manager.add_hookspecs(Specs)
    with scope(a=1):
        Plugin.hello = staticmethod(callbacks.as_function(hello))  # type: ignore[attr-defined]
    manager.register(Plugin)
    assert [("x", {"a": 1})] == manager.hook.hello(name="x")


def test_blinker_knows_a_receiver_by_identity():
    """What as_function returned is what is disconnected."""
    sent = Signal()
    with scope(a=1):
        receiver = callbacks.as_function(lambda _: get_context())
    sent.connect(receiver)
    assert [{"a": 1}] == [found for _, found in sent.send(None)]
    sent.disconnect(receiver)
    assert [] == sent.send(None)


def test_as_function_keeps_the_signature_and_an_earlier_context():
    """A wrapped callable keeps its context; the signature is that of the bare function."""

    def hook(config: int) -> dict[str, object]:
        return get_context()

    with scope(a=1):
        wrapped = wrap(hook)
    made = callbacks.as_function(wrapped)
    assert ({"a": 1}, "(config: 'int') -> 'dict[str, object]'") == (
        made(1),
        str(inspect.signature(made)),
    )


def test_a_done_future_calls_back_under_the_context_of_now():
    """add_done_callback captures, also when the future is done already."""
    future: Future[None] = Future()
    future.set_result(None)
    found: list[object] = []
    with scope(a=1):
        callbacks.add_done_callback(future, lambda _: found.append(get_context()))
    assert [{"a": 1}] == found


def test_loops_of_other_threads():
    """Callbacks and coroutines handed to a loop of another thread have the caller's context."""
    from threading import Thread

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    done: Future[object] = Future()

    async def reading() -> object:
        return get_context()

    with scope(a=1):
        callbacks.call_soon_threadsafe(loop, lambda: done.set_result(get_context()))
        assert {"a": 1} == callbacks.run_coroutine_threadsafe(reading(), loop).result(10)
    assert {"a": 1} == done.result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_a_loops_report_has_the_context_of_what_failed():
    """A failed callback is reported under its own context; a report without one under none."""
    found: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.default_exception_handler = lambda context: found.append(get_context())  # type: ignore[method-assign]
        loop.set_exception_handler(callbacks.exception_handler)
        with scope(a=1):
            loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        with scope(other=1):
            loop.call_exception_handler({"message": "of nobody"})

    asyncio.run(main())
    assert [{"a": 1}, {}] == found


def test_a_thread_queue_keeps_its_manners():
    """Get gives the bare item; priorities, handed items and emptiness are as they were."""
    jobs: queues.PriorityQueue[Any] = queues.PriorityQueue()
    for name, number in (("b", 2), ("a", 1)):
        with scope(name=name):
            jobs.put(number)
    assert 1 == jobs.get()
    with jobs.receive() as item:
        assert (2, {"name": "b"}) == (item, get_context())
    with pytest.raises(queue.Empty):
        jobs.receive(block=False)
    stack: queues.LifoQueue[Any] = queues.LifoQueue()
    with scope(a=1):
        handed = hand("x")
    stack.put(handed)
    assert stack.receive() is handed
    assert (handed == "x", hash(handed) == hash("x"), "'x'" in repr(handed)) == (True, True, True)


def test_a_grpc_calls_callback_has_its_own_context():
    """Grpc's thread copies the context of the call that started it, and runs the others' callbacks."""
    import grpc  # type: ignore[import-untyped]

    go = threading.Event()

    def answer(asked: bytes, _: object) -> bytes:
        assert asked == b"now" or go.wait(30)
        return asked

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc] # it has no types
        def service(self, handler_call_details: Any) -> Any:
            del handler_call_details
            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    found: queue.SimpleQueue[object] = queue.SimpleQueue()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/shop/Ask")
        with scope(request_id="r-1"):
            first = call.future(b"later")
        with scope(request_id="r-2"):
            second = call.future(b"now")
            callbacks.add_done_callback(second, lambda _: found.put(get_context()))
        assert b"now" == second.result()
        assert {"request_id": "r-2"} == found.get(timeout=30)
        go.set()
        assert b"later" == first.result()
    server.stop(None)


def test_an_item_handed_to_several_is_left_by_each_where_it_entered_it():
    """Blocks of one item overlap in any order: each taker has its own context back after it."""
    with scope(request_id="r-1"):
        handed = hand("x")

    def take(name: str):
        with scope(taker=name):
            with handed:
                yield get_context()
            yield get_context()

    first, second = copy_context(), copy_context()
    one, two = take("one"), take("two")
    for context, taker in ((first, one), (second, two)):
        assert {"request_id": "r-1"} == context.run(next, taker)
    for context, taker, name in ((first, one, "one"), (second, two, "two")):
        assert {"taker": name} == context.run(next, taker)
        context.run(taker.close)
    with handed, handed as again:
        assert "x" == again
    assert {} == get_context()


def test_an_async_queue_keeps_its_manners():
    """Get gives the bare item, receive the item with its context, also without waiting."""

    async def main() -> None:
        for kind in (queues.AsyncQueue, queues.AsyncLifoQueue, queues.AsyncPriorityQueue):
            jobs: Any = kind()
            with scope(a=1):
                jobs.put_nowait(1)
                await jobs.put(2)
            assert await jobs.get() in (1, 2)
            with jobs.receive_nowait() as item:
                assert (True, {"a": 1}) == (item in (1, 2), get_context())
            with pytest.raises(asyncio.QueueEmpty):
                jobs.receive_nowait()

    asyncio.run(main())


def test_an_async_queue_keeps_no_item_alive_that_was_taken():
    """A worker that waits for the next one does not hold the last one's item or context."""

    class Item:
        """Something large."""

    async def main() -> None:
        for take in ("get", "receive", "receive_nowait"):
            jobs: queues.AsyncQueue[Item] = queues.AsyncQueue()
            item = Item()
            alive = weakref.ref(item)
            await jobs.put(item)
            del item
            taken = getattr(jobs, take)()
            if take != "receive_nowait":
                taken = await taken
            del taken
            gc.collect()
            assert alive() is None, take

    asyncio.run(main())


def test_many_takers_of_an_async_queue_each_get_their_own():
    """An item's context never goes to the taker of another one."""

    async def main() -> None:
        jobs: queues.AsyncQueue[Any] = queues.AsyncQueue()
        wrong: list[object] = []

        async def work() -> None:
            while True:
                with await jobs.receive() as item:
                    await asyncio.sleep(0)
                    if get_context() != {"n": item}:
                        wrong.append((item, get_context()))
                jobs.task_done()

        workers = [asyncio.create_task(work()) for _ in range(10)]
        for number in range(300):
            with scope(n=number):
                await jobs.put(number)
            if number % 7 == 0:
                workers.pop().cancel()  # it may be about to take one
                workers.append(asyncio.create_task(work()))
        for _ in range(20):
            await asyncio.sleep(0)
        for worker in workers:
            worker.cancel()
        assert [] == wrong

    asyncio.run(main())


def test_a_carried_async_iterator_closes_what_it_iterates():
    """Closing it closes the inner generator, in its frames."""
    found: list[object] = []

    async def inner():
        try:
            yield 1
            yield 2
        finally:
            found.append(get_context())

    async def main() -> None:
        with scope(a=1):
            steps = generators.carried_async(inner())
        async for _ in steps:
            break
        await steps.aclose()

    asyncio.run(main())
    assert [{"a": 1}] == found


GREENLETS = """
import gevent
from greenlet import greenlet, getcurrent
from gevent.pool import Pool
import ctxlog
from ctxlog.propagation import greenlets, install, uninstall, threads
def read(): return ctxlog.get_context()
with ctxlog.scope(a=1):
    light = greenlets.spawn(read)
    later = greenlets.spawn_later(0.001, read)
    current = getcurrent(); assert greenlets.carry(current) is current
assert light.get() == later.get() == {"a": 1}
assert gevent.spawn(read).get() == {}
dead = greenlet(read); dead.switch(); greenlets.carry(dead)
install(only=["greenlets"])
with ctxlog.scope(a=2):
    light, pooled = gevent.spawn(read), Pool(1).spawn(read)
    in_thread = gevent.get_hub().threadpool.spawn(read)
assert light.get() == pooled.get() == in_thread.get() == {"a": 2}, (light.get(), pooled.get())
assert uninstall() == ()
print("well")
"""

MONKEY = """
from gevent import monkey
monkey.patch_all()
import ctxlog
from ctxlog.propagation import threads
def read(): return ctxlog.get_context()
with ctxlog.scope(a=3):
    found = []
    thread = threads.Thread(target=lambda: found.append(read())); thread.start()
thread.join()
assert found == [{"a": 3}], found
print("well")
"""


@pytest.mark.parametrize("code", [GREENLETS, MONKEY], ids=["greenlets", "monkey"])
def test_greenlets_in_a_process_of_their_own(code: str):
    """Gevent's greenlets, pools, thread pool and monkey-patched threads have their maker's context."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ("well\n", 0) == (done.stdout, done.returncode), done.stderr
