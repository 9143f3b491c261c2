"""Lines that must have a field: the report says where it was lost, with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

HEAD = """
    import asyncio, queue, threading
    from concurrent.futures import Future, ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool
    import pytest, ctxlog
    log = ctxlog.get_logger("shop")
    def work(*_):
        log.info("worked")  # the line
"""


def test_each_boundary_is_named_with_its_place(project: Project):
    """Thread start, submit, callback, queue: the boundary, the line that lacks the id, the fix."""
    project.write(
        test_it=HEAD
        + """
    @pytest.fixture(autouse=True)
    def bound():
        with ctxlog.scope(request_id="r-1"):  # bound
            yield

    def test_thread():
        thread = threading.Thread(target=work)
        thread.start()  # thread
        thread.join()

    def test_timer():
        timer = threading.Timer(0, work)
        timer.start()  # timer
        timer.join()

    class Own(threading.Thread):
        def run(self):
            work()

    def test_own():
        thread = Own()
        thread.start()  # own
        thread.join()

    def test_submit():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work)  # submit

    def test_map():
        with ThreadPoolExecutor(1) as pool:
            list(pool.map(work, [1]))  # map

    def test_in_executor():
        async def main():
            await asyncio.get_running_loop().run_in_executor(None, work)  # executor
        asyncio.run(main())

    def test_pool():
        with ThreadPool(1) as pool:
            pool.apply_async(work).get(30)  # pool

    def test_done():
        with ThreadPoolExecutor(1) as pool:
            begun = threading.Event()
            future = pool.submit(ctxlog.wrap(begun.wait), 30)
            future.add_done_callback(work)  # done
            begun.set()

    def test_threadsafe():
        async def main():
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            def back():
                log.info("back")  # the loop's
                done.set()
            def thread():
                loop.call_soon_threadsafe(back)  # threadsafe
            other = threading.Thread(target=thread)
            other.start()  # other
            await done.wait()
            other.join()
        asyncio.run(main())

    def test_queue():
        jobs = queue.Queue()
        def consume():
            jobs.get()
            log.info("consumed")  # queue's
        consumer = threading.Thread(target=ctxlog.propagation.run_detached, args=(consume,))
        consumer.start()
        jobs.put("job")  # put
        consumer.join()

    def test_nested():
        with ThreadPoolExecutor(1) as pool:
            def outer():
                threads = [threading.Thread(target=work)]
                threads[0].start()
                threads[0].join()
            pool.submit(outer).result()  # nested
    """
    )
    project.ini("ctxlog_required = request_id")
    result = project.run()
    result.assert_outcomes(failed=11)
    said = result.stdout.str()
    line = project.line_of
    for at, expected in {
        "# thread": "Thread.start(work)",
        "# timer": "Timer.start(work)",
        "# own": "Own.start(Own)",
        "# submit": "ThreadPoolExecutor.submit(work)",
        "# map": "ThreadPoolExecutor.submit(work)",
        "# executor": "ThreadPoolExecutor.submit(work)",
        "# pool": "ThreadPool.apply_async(work)",
        "# done": "Future.add_done_callback(work)",
        "# other": "Thread.start(thread)",
        "# put": "Queue.put(str)",
        "# nested": "ThreadPoolExecutor.submit(outer)",
    }.items():
        assert f"lost at:   {expected} at test_it.py:{line(at)} in" in said, at
    assert 9 == said.count(f"test_it.py:{line('# the line')} in work: 'worked' has no request_id")
    of_loop = line("# the loop's")
    assert f"test_it.py:{of_loop} in " in said
    assert "derive Own from Thread of ctxlog.propagation.threads" in said
    of_queue = line("# queue's")
    assert f"test_it.py:{of_queue} in " in said
    bound = f"bound at test_it.py:{line('# bound')} in bound"
    assert 11 == said.count(bound)
    for fix in ("Thread(…) from ctxlog.propagation.threads", "Timer(…) from ctxlog.propagation.threads", "submit(ctxlog.wrap(work), …)",
                "register it with its context: ctxlog.wrap(work)", "or put hand(item)"):  # fmt: skip
        assert fix in said


def test_lost_without_a_boundary(project: Project):
    """A line after its scope names the last line that had the id; one that never had says that."""
    project.write(
        test_it="""
        import ctxlog, pytest
        log = ctxlog.get_logger("shop")

        @pytest.mark.ctxlog(required=["request_id"])
        def test_after():
            with ctxlog.scope(request_id="r-1"):
                log.info("in")  # the last that had it
            log.info("out")  # after

        @pytest.mark.ctxlog(required=["request_id"])
        def test_never():
            log.info("never")

        def test_unmarked():
            log.info("free")
        """
    )
    result = project.run()
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines([
        f"test_it.py:{project.line_of('# after')} in test_after: 'out' has no request_id*",
        f"  last had:  request_id='r-1' at test_it.py:{project.line_of('# the last that had it')} in test_after",
        "  fix:       log inside the scope*",
        "*'never' has no request_id*",
        "  last had:  nobody*",
        "  fix:       bind it where the work comes in*",
    ])  # fmt: skip


def test_anothers_id_is_told_from_none(project: Project):
    """A worker task made by the first request shows that request's id for the second one's item."""
    project.write(
        shop="""
        import asyncio, ctxlog
        log = ctxlog.get_logger("shop")

        class Mailer:
            worker = None
            async def send(self, mail):
                if self.worker is None:
                    self.mails = asyncio.Queue()
                    self.worker = asyncio.create_task(self.work())  # made
                await self.mails.put(mail)  # put
            async def work(self):
                while True:
                    mail = await self.mails.get()
                    log.info("mailed", mail=mail)  # line
                    self.mails.task_done()
        """,
        test_it="""
        import asyncio, ctxlog, pytest
        from shop import Mailer

        @pytest.mark.ctxlog(required=["request_id"])
        def test_mail():
            async def main():
                mailer = Mailer()
                for request in ("r-1", "r-2"):
                    with ctxlog.scope(request_id=request):
                        await mailer.send("hello")
                        await mailer.mails.join()
                mailer.worker.cancel()
            asyncio.run(main())
        """,
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        f"shop.py:{project.line_of('# line', 'shop')} in Mailer.work: 'mailed' has another's request_id='r-1'*",
        f"  last had:  request_id='r-2' at shop.py:{project.line_of('# put', 'shop')} in Mailer.send*",
        f"  came from: create_task(work) at shop.py:{project.line_of('# made', 'shop')} in Mailer.send, made under request_id='r-1'",
        "  fix:       start the worker with ctxlog.propagation.run_detached(…)*",
    ])  # fmt: skip


def test_what_a_loop_takes_along_is_not_lost_by_it(project: Project):
    """A task that clears its context is told from one that never had it."""
    project.write(
        test_it="""
        import asyncio, ctxlog, pytest
        log = ctxlog.get_logger("shop")
        async def child():
            ctxlog.clear_context()
            log.info("cleared")  # line
        @pytest.mark.ctxlog(required=["request_id"])
        def test_cleared():
            async def main():
                with ctxlog.scope(request_id="r-1"):
                    await asyncio.create_task(child())  # made
            asyncio.run(main())
        """
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        f"test_it.py:{project.line_of('# line')} in child: 'cleared' has no request_id*",
        f"  lost at:   create_task(child) at test_it.py:{project.line_of('# made')} in *",
        "  fix:       the loop took it along, and something there dropped it*",
    ])  # fmt: skip


def test_the_way_of_endless_work_is_short(project: Project):
    """A job that submits itself again and again keeps no more than the last steps."""
    project.write(
        test_it="""
        import threading
        from concurrent.futures import ThreadPoolExecutor
        import ctxlog, pytest
        from ctxlog.testing.crossings import MAX_STEPS, ORIGIN

        @pytest.mark.ctxlog(required=["request_id"])
        def test_it():
            done, ways = threading.Event(), []
            with ThreadPoolExecutor(1) as pool:
                def again(left):
                    step, way = ORIGIN.get(), 0
                    while step is not None:
                        step, way = step.parent, way + 1
                    ways.append(way)
                    if left:
                        pool.submit(again, left - 1)
                    else:
                        done.set()
                pool.submit(again, 3 * MAX_STEPS)
                assert done.wait(60)
            assert MAX_STEPS == max(ways)
        """
    )
    project.run().assert_outcomes(passed=1)


def test_what_crosses_is_not_reported(project: Project):
    """The same boundaries crossed in ctxlog's ways, and by install(): nothing is said."""
    project.ini("ctxlog_required = request_id\nctxlog_guard = strict")
    project.write(
        test_it="""
        import asyncio, queue, threading
        from concurrent.futures import ThreadPoolExecutor
        import ctxlog, pytest
        from ctxlog import propagation
        from ctxlog.propagation import executors, queues, threads
        log = ctxlog.get_logger("shop")

        def cross(pool_class, thread_class):
            with ctxlog.scope(request_id="r-1"):
                with pool_class(1) as pool:
                    pool.submit(log.info, "submitted").result()
                    list(pool.map(lambda n: log.info("mapped"), [1]))
                thread = thread_class(target=log.info, args=("threaded",))
                thread.start()
                thread.join()

        def test_explicit(ctxlog_events):
            cross(executors.ThreadPoolExecutor, threads.Thread)
            assert [e["request_id"] for e in ctxlog_events] == ["r-1"] * 3

        @pytest.mark.parametrize("before", [True, False])
        def test_installed(before, ctxlog_events):
            propagation.install()
            try:
                cross(ThreadPoolExecutor, threading.Thread)
            finally:
                propagation.uninstall()
            assert [e["request_id"] for e in ctxlog_events] == ["r-1"] * 3

        def test_queue():
            jobs = queues.Queue()
            def consume():
                with jobs.receive():
                    log.info("consumed")
            consumer = threading.Thread(target=consume)
            consumer.start()
            with ctxlog.scope(request_id="r-2"):
                jobs.put("job")
            consumer.join()

        def test_tasks():
            async def child():
                log.info("child")
                await asyncio.to_thread(log.info, "to thread")
            async def main():
                with ctxlog.scope(request_id="r-3"):
                    async with asyncio.TaskGroup() as group:
                        group.create_task(child())
            asyncio.run(main())

        @pytest.mark.ctxlog(required=[])
        def test_nothing_required():
            log.info("free")

        def test_fixtures_and_asyncio_are_free(caplog):
            import logging
            logging.getLogger("asyncio").error("own")
        """
    )
    result = project.run()
    result.assert_outcomes(passed=7)
    result.stdout.no_fnmatch_line("*warning*")


def test_a_wrong_marker_is_an_error(project: Project):
    """An unknown argument, an unknown guard: the test fails and the candidates are named."""
    project.write(
        test_it="""
        import pytest
        @pytest.mark.ctxlog(needed=["a"])
        def test_name(): pass
        @pytest.mark.ctxlog(guard="loud")
        def test_guard(): pass
        @pytest.mark.ctxlog("request_id")
        def test_no_name(): pass
        """
    )
    result = project.run()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ["*takes required, required_except, guard by name, not 'request_id'*"]
    )
    result.stdout.fnmatch_lines(["*takes required, required_except, guard by name, not 'needed'*"])
    result.stdout.fnmatch_lines(["*guard is 'loud'; known: off, warn, strict*"])


def test_nothing_stays_patched(project: Project):
    """After a test that was watched, threads, pools and queues are the standard library's."""
    project.write(
        test_it="""
        import asyncio, queue, threading
        from concurrent.futures import ThreadPoolExecutor
        import ctxlog, pytest
        def patched():
            own = (ThreadPoolExecutor.submit, queue.Queue.put, asyncio.Queue.put_nowait)
            return [hasattr(f, "__wrapped__") for f in own]
        @pytest.mark.ctxlog(required=["a"])
        def test_watched():
            assert patched() == [True] * 3
        def test_after():
            assert patched() == [False] * 3
        """
    )
    project.run().assert_outcomes(passed=2)


def test_watching_keeps_no_operation_alive(project: Project):
    """An operation that nobody ends is closed as abandoned when its task is gone, watched or not."""
    project.ini("ctxlog_guard = warn")
    project.write(
        test_it="""
        import asyncio, gc, threading, ctxlog, pytest
        log = ctxlog.get_logger("shop")

        @pytest.mark.ctxlog(required=["request_id"])
        def test_it(ctxlog_events):
            async def forgets():
                ctxlog.operation("import").__enter__()
                log.info("inside")
                thread = threading.Thread(target=lambda: None)
                thread.start()
                thread.join()
            with ctxlog.scope(request_id="r-1"):
                asyncio.run(forgets())
            gc.collect()
            assert "abandoned" == ctxlog_events.one(event="import")["outcome"]
        """
    )
    project.run().assert_outcomes(passed=1, warnings=1)
