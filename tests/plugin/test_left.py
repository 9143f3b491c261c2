"""What a test leaves behind in less plain ways; and what only looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

LEFT = """
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
import ctxlog, pytest

ctxlog.bind_context(app="shop", at="import")

def test_first():
    pass

def test_two_binds():
    ctxlog.bind_context(user=3)  # user
    ctxlog.bind_context(cart=4)  # cart

def test_is_put_back():
    assert {"app": "shop", "at": "import"} == ctxlog.get_context()

def test_unbound():
    ctxlog.unbind_context("app")  # unbound

def test_cleared():
    assert {"app": "shop", "at": "import"} == ctxlog.get_context()
    ctxlog.clear_context()  # cleared

def test_is_back():
    assert {"app": "shop", "at": "import"} == ctxlog.get_context()

def test_in_a_pool_that_ends():
    def job():
        ctxlog.bind_context(request_id="r-1")  # job
    with ThreadPoolExecutor(1, thread_name_prefix="ended") as ended:
        ended.submit(job).result()

def test_in_a_pool_of_multiprocessing():
    def job():
        ctxlog.bind_context(request_id="r-2")  # threadpool
    with ThreadPool(1) as pool:
        pool.apply(job)

pool = ThreadPoolExecutor(1, thread_name_prefix="pool")
def test_open_in_a_pool():
    def job():
        ctxlog.scope(worker="w").__enter__()  # open
    pool.submit(job).result()

stop = threading.Event()
def test_wrapped_thread():
    with ctxlog.scope(request_id="r-3"):
        thread = threading.Thread(target=ctxlog.wrap(stop.wait), args=(60,), name="wrapped", daemon=True)
        thread.start()  # wrapped

@pytest.fixture(scope="module")
def module():
    ctxlog.bind_context(table="orders")  # module
    yield

def test_module(module):
    pass

def test_module_again(module):
    assert "orders" == ctxlog.get_context()["table"]

@pytest.fixture(scope="class")
def wide():
    ctxlog.scope(wide=1).__enter__()  # wide
    yield

class TestWide:
    def test_wide(self, wide):
        pass
    def test_again(self, wide):
        assert 1 == ctxlog.get_context()["wide"]

def test_not_wide():
    assert "wide" not in ctxlog.get_context()

@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    stop.set()
    pool.shutdown()
"""

SAID = {
    "user": "bound outside any scope, and left after the test: user=3",
    "cart": "bound outside any scope, and left after the test: cart=4",
    "unbound": "unbound outside any scope, and missing after the test: app='shop'",
    "cleared": "unbound outside any scope, and missing after the test: app='shop', at='import'",
    "job": "thread ended_0 was left with request_id='r-1'",
    "threadpool": "thread * left with request_id='r-2'",
    "open": "scope was never closed: worker='w'",
    "wrapped": "thread wrapped goes on under *request_id='r-3'",
    "wide": "scope of the class's fixture wide was never closed: wide=1",
    "module": "bound by the module's fixture module, and left after it: table='orders'",
}


def test_each_is_told_with_its_place(project: Project):
    """Two binds are two findings; what was unbound comes back; pools, threads, fixtures are named."""
    project.write(test_it=LEFT, test_last="import ctxlog\ndef test(): assert 'table' not in ctxlog.get_context()")  # fmt: skip
    result = project.run("--ctxlog-guard=strict")
    result.assert_outcomes(passed=16, errors=10)
    for mark, said in SAID.items():
        result.stdout.fnmatch_lines([
            said, f"  opened at: test_it.py:{project.line_of(f'# {mark}')} in *"
        ])  # fmt: skip
    result.stdout.fnmatch_lines([
        "*ERROR at teardown of test_first*",
        "bound before the first test, and there for all of them: app='shop', at='import'",
        "  opened at: at import, or in a conftest's or plugin's hook",
        "  fix:       bind in a fixture: with ctxlog.scope(…): yield; *ctxlog.configure(resource=…)",
    ])  # fmt: skip


QUIET = """
import threading, asyncio
from concurrent.futures import ThreadPoolExecutor
import ctxlog, loguru, pytest, structlog
from opentelemetry import trace
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

log = ctxlog.get_logger("shop")

@pytest.fixture(scope="session", autouse=True)
def for_all():
    with bound_contextvars(run=1):
        yield

@pytest.fixture(scope="module")
def bound():
    ctxlog.bind_context(table="orders")
    yield
    ctxlog.unbind_context("table")

@pytest.fixture(scope="module", params=["a", "b"])
def each(request):
    ctxlog.bind_context(each=request.param)
    with ctxlog.scope(each_scope=request.param):
        yield request.param
    ctxlog.unbind_context("each")

@pytest.mark.parametrize("n", range(2))
def test_each(each, n):
    assert {"each": each, "each_scope": each} == ctxlog.get_context()

def test_bound(bound):
    ctxlog.bind_context(more=1)
    ctxlog.unbind_context("more")

def test_bound_again(bound):
    ctxlog.bind_context(table="orders")

@pytest.fixture(autouse=True)
def clean():
    clear_contextvars()

def test_structlog():
    bind_contextvars(user=1)

def test_loguru():
    with loguru.logger.contextualize(user=1):
        pass

pool = ThreadPoolExecutor(1, initializer=lambda: ctxlog.bind_context(worker="w"))
def test_initializer():
    assert {"worker": "w"} == pool.submit(ctxlog.get_context).result()

begun, stop = threading.Event(), threading.Event()
def long():
    with ctxlog.scope(long=1):
        begun.set()
        stop.wait(60)
def test_a_job_that_goes_on():
    busy.submit(long)
    assert begun.wait(60)

busy = ThreadPoolExecutor(1)
def test_meanwhile():
    pass

def test_unbinds_in_a_pool():
    def job():
        ctxlog.bind_context(a=1)
        ctxlog.bind_context(b=2)
        ctxlog.unbind_context("a")
        ctxlog.unbind_context("b")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(job).result()

@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    stop.set()
    pool.shutdown()
    busy.shutdown()
"""


def test_what_only_looks_like_it_is_not_told(project: Project):
    """A fixture that takes back what it bound, another that clears, an initializer, a job at work."""
    project.ini("ctxlog_guard = strict\nfilterwarnings = error\n")
    project.write(test_it=QUIET)
    project.run().assert_outcomes(passed=12)


def test_what_other_libraries_keep_is_told_by_the_next_test(project: Project):
    """Structlog's and loguru's fields and a current span, there when the next test's body begins."""
    project.write(
        test_it="""
        import ctxlog, loguru, structlog
        from opentelemetry import context, trace
        from opentelemetry.sdk.trace import TracerProvider

        span = TracerProvider(shutdown_on_exit=False).get_tracer("shop").start_span("query")
        kept = []

        def test_structlog():
            structlog.contextvars.bind_contextvars(user=1, password="hunter2")
        def test_after():
            ctxlog.get_context()
        def test_not_again():
            kept.append(loguru.logger.contextualize(item=2))
            kept[0].__enter__()
        def test_span():
            context.attach(trace.set_span_in_context(span))
        def test_last():
            span.end()
        """
    )
    result = project.run()
    result.assert_outcomes(passed=5, warnings=3)
    said = "LeakWarning: test_it.py::"
    result.stdout.fnmatch_lines([
        f"*{said}test_after: still bound with *, by test_it.py::test_structlog: user=1, password=[[]redacted[]]",
        f"*{said}test_span: still bound with structlog or loguru, by test_it.py::test_not_again: item=2",
        f"*{said}test_last: still OpenTelemetry's current span, by test_it.py::test_span: trace_id=*",
    ])  # fmt: skip


def test_an_assertion_that_nobody_awaits_is_a_finding(project: Project):
    """Inside a loop the answer has to be awaited; a test that forgets it has asserted nothing."""
    project.write(
        test_it="""
        import asyncio, pytest
        from ctxlog.testing import assert_isolated, assert_propagates

        async def lost(job):
            await asyncio.get_running_loop().run_in_executor(None, job)

        @pytest.mark.filterwarnings("ignore:coroutine")
        def test_forgotten():
            async def main():
                assert_propagates(lost)  # forgotten
            asyncio.run(main())

        def test_awaited():
            async def main():
                with pytest.raises(AssertionError):
                    await assert_propagates(lost)
                task = asyncio.create_task(assert_isolated(asyncio.to_thread))
                await task
            asyncio.run(main())
        """
    )
    result = project.run("--ctxlog-guard=strict")
    result.assert_outcomes(passed=2, errors=1, warnings=result.parseoutcomes().get("warnings", 0))
    result.stdout.fnmatch_lines([
        "assert_propagates(lost) was never awaited: it has asserted nothing",
        f"  opened at: test_it.py:{project.line_of('# forgotten')} in *",
        "  fix:       await it",
    ])  # fmt: skip
