"""What a test leaves behind: each finding with the place where it was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

LEAKS = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
import ctxlog, pytest
from ctxlog.propagation.threads import Thread
from opentelemetry.sdk.trace import TracerProvider

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")

def test_bound():
    ctxlog.bind_context(user=3)  # bound

def test_next_begins_clean():
    assert {} == ctxlog.get_context()

def test_open():
    ctxlog.scope(request_id="r-1").__enter__()  # open

def test_order():
    outer, inner = ctxlog.scope(a=1), ctxlog.scope(b=2)
    outer.__enter__()
    inner.__enter__()  # order
    outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)

async def rows():
    with ctxlog.scope(table="orders"):  # rows
        yield 1
        yield 2

def test_generator():
    async def main():
        async for row in rows():
            break
    asyncio.run(main())

def test_other_thread():
    opened = ctxlog.entry({"x-request-id": "r-2"})
    def enter():
        opened.__enter__()  # other thread
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    opened.__exit__(None, None, None)

def test_operation():
    async def main():
        ctxlog.operation("import").__enter__()  # operation
    asyncio.run(main())

def test_span():
    tracer.start_span("query")  # span

stop = threading.Event()
def test_thread():
    with ctxlog.scope(request_id="r-3"):
        thread = Thread(target=stop.wait, args=(60,), name="worker", daemon=True)
        thread.start()  # thread

pool = ThreadPoolExecutor(1, thread_name_prefix="pool")
def test_pool():
    def job():
        ctxlog.bind_context(request_id="r-4")  # pool
    pool.submit(job).result()

def test_last():
    pass

@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    stop.set()
    pool.shutdown()
"""

SAID = {
    "bound": "bound outside any scope, and left after the test: user=3",
    "open": "scope left open after the test: request_id='r-1'",
    "order": "scope still open when the scope of test_it.py:* closed: b=2",
    "rows": "scope of task Task-* closed by task Task-*: table='orders'",
    "other thread": "entry of thread Thread-* (enter) closed by thread MainThread: request_id='r-2'",
    "operation": "operation 'import' was never ended: no fields",
    "span": "span 'query' was never ended",
    "thread": "thread worker goes on under request_id='r-3'",
    "pool": "thread pool_0 is left with request_id='r-4'",
}


def test_strict_fails_and_names_the_place(project: Project):
    """Each kind of leak is an error at the test's teardown, with file and line of the opening."""
    project.write(test_it=LEAKS)
    result = project.run("--ctxlog-guard=strict")
    result.assert_outcomes(passed=11, errors=9)
    for mark, said in SAID.items():
        line = project.line_of(f"# {mark}")
        result.stdout.fnmatch_lines([said, f"  opened at: test_it.py:{line} in *"])
    result.stdout.fnmatch_lines(["  fix: *@ctxlog.scope(…)"])


def test_warn_warns_at_the_place(project: Project):
    """By default each is a warning whose file and line are those of the opening."""
    project.write(test_it=LEAKS)
    result = project.run()
    result.assert_outcomes(passed=11, warnings=9)
    for mark, said in SAID.items():
        line = project.line_of(f"# {mark}")
        result.stdout.fnmatch_lines(
            [f"*test_it.py:{line}: LeakWarning: test_it.py::test_*: {said}"]
        )


def test_off_says_nothing(project: Project):
    """Switched off, by the ini file or by a marker, nothing is said."""
    project.write(test_it=LEAKS)
    project.ini("ctxlog_guard = off")
    left = project.run()
    left.assert_outcomes(passed=10, failed=1, warnings=0)  # nobody cleans up after test_bound
    project.ini("ctxlog_guard = strict")
    project.write(conftest="""
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.ctxlog(guard="off"))
        """)  # fmt: skip
    project.run().assert_outcomes(passed=11, warnings=0)


CLEAN = """
import asyncio, threading, unittest
from concurrent.futures import ThreadPoolExecutor
import anyio, ctxlog, pytest, trio
from ctxlog.propagation.executors import ThreadPoolExecutor as Ours

log = ctxlog.get_logger("shop")

@pytest.fixture(scope="session", autouse=True)
def run():
    with ctxlog.scope(run="1"):
        yield

@pytest.fixture(scope="module")
def module():
    with ctxlog.scope(module="m"):
        yield

@pytest.fixture
def request_scope():
    with ctxlog.entry({"x-request-id": "r-1"}):
        yield

def test_fixtures(module, request_scope):
    ctxlog.bind_context(item=3)
    assert {"request_id": "r-1", "item": 3} == ctxlog.get_context()

def test_after(module):
    assert {"run": "1", "module": "m"} == ctxlog.get_context()

@ctxlog.scope(part=1)
def parts():
    yield 1
    yield 2

def test_decorated_generator_left():
    for part in parts():
        break

@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio(backend):
    async def main():
        with ctxlog.operation("work"):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, log.info, "there")
    anyio.run(main, backend=backend)

@pytest.mark.anyio
async def test_of_anyio(request_scope):
    with ctxlog.scope(a=1):
        await anyio.sleep(0)

@pytest.fixture
def anyio_backend():
    return "asyncio"

def test_pool_of_ours():
    with Ours(2) as pool, ctxlog.scope(request_id="r-1"):
        list(pool.map(lambda n: ctxlog.bind_context(n=n), range(4)))

class TestParts(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.enterContext(ctxlog.scope(b=2))
        self.inner = ctxlog.entry()
        self.inner.__enter__()
    async def asyncTearDown(self):
        self.inner.__exit__(None, None, None)
    async def test_parts(self):
        ctxlog.get_logger("shop").info("there")
    def test_parts_of_a_plain_test(self):
        ctxlog.get_logger("shop").info("there")

class TestAcross(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.outer = ctxlog.scope(a=1)
        self.outer.__enter__()
    async def asyncTearDown(self):
        self.outer.__exit__(None, None, None)
    async def test_across(self):
        ctxlog.get_logger("shop").info("there")

class TestCase(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.opened = ctxlog.scope(cls="c")
        cls.opened.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.opened.__exit__(None, None, None)

    def setUp(self):
        opened = ctxlog.scope(set_up=1)
        opened.__enter__()
        self.addCleanup(opened.__exit__, None, None, None)

    def test_plain(self):
        with ctxlog.scope(a=1):
            log.info("there")

    async def test_coroutine(self):
        with ctxlog.scope(a=1):
            await asyncio.sleep(0)
            log.info("there")

def test_raises():
    with pytest.raises(ZeroDivisionError), ctxlog.scope(a=1):
        1 / 0
"""

WITH_ASYNCIO = """
import asyncio, ctxlog, pytest, pytest_asyncio

@pytest_asyncio.fixture
async def in_scope():
    with ctxlog.scope(a=1):
        yield

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module():
    with ctxlog.scope(m=1):
        yield

@pytest.mark.asyncio
async def test_function_loop(in_scope):
    with ctxlog.operation("work"):
        await asyncio.sleep(0)

@pytest.mark.asyncio(loop_scope="module")
async def test_module_loop(module):
    with ctxlog.scope(b=1):
        await asyncio.sleep(0)

@pytest.mark.asyncio(loop_scope="module")
async def test_module_loop_again(module):
    ctxlog.get_logger("shop").info("there")
"""


def test_a_suite_with_nothing_wrong_is_silent(project: Project):
    """Fixtures of every scope, pytest-asyncio, anyio, trio, unittest: strict has nothing to say."""
    project.ini("ctxlog_guard = strict\nfilterwarnings = error\n")
    project.write(test_it=CLEAN, test_more=WITH_ASYNCIO)
    plugins = ("ctxlog.pytest_plugin", "pytest_asyncio.plugin", "anyio.pytest_plugin")
    result = project.run("-o", "asyncio_default_fixture_loop_scope=function", plugins=plugins)
    result.assert_outcomes(passed=16)


def test_what_stays_in_a_shared_loop_is_told_by_the_next_test(project: Project):
    """A coroutine test that binds in a loop of the module's is named by the one that meets it."""
    project.write(
        conftest="""
        import asyncio, inspect, pytest
        runner = asyncio.Runner()
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if inspect.iscoroutinefunction(pyfuncitem.obj):
                runner.run(pyfuncitem.obj())
                return True
        def pytest_sessionfinish():
            runner.close()
        """,
        test_it="""
        import ctxlog
        async def test_first():
            ctxlog.bind_context(user=3)  # bound
            ctxlog.bind_context(cart=4)
        async def test_second():
            ctxlog.get_context()
        """,
    )
    result = project.run()
    result.assert_outcomes(passed=2, warnings=2)
    line = project.line_of("# bound")
    result.stdout.fnmatch_lines([
        f"*test_it.py:{line}: LeakWarning: *test_second: bind_context left open by test_it.py::test_first: user=3"
    ])  # fmt: skip


@pytest.mark.parametrize("guard", ["loud", ""])
def test_an_unknown_guard_is_refused(project: Project, guard: str):
    """A slip in the ini file stops the run and names the candidates."""
    project.write(test_it="def test_it(): pass")
    project.ini(f"ctxlog_guard = {guard}")
    result = project.run()
    assert 4 == result.ret
    result.stderr.fnmatch_lines([f"*ctxlog_guard is '{guard}'; known: off, warn, strict*"])


def test_who_watches_does_not_fail_a_test(project: Project):
    """What cannot be looked at (here: a registry broken by a test) is counted, and said at the end."""
    project.ini("ctxlog_guard = strict\n")
    project.write(
        test_it="""
        import ctxlog, pytest
        from structlog import contextvars

        @pytest.fixture(scope="module")
        def module():
            yield 1

        def test_breaks():
            ctxlog.get_logger("shop")
            contextvars._CONTEXT_VARS["structlog_a"] = None

        def test_next(module):
            ctxlog.scope(request_id="r-1").__enter__()

        def test_last():
            del contextvars._CONTEXT_VARS["structlog_a"]
        """
    )
    result = project.run()
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["scope left open after the test: request_id='r-1'"])
    result.stdout.fnmatch_lines(["ctxlog could not look at * (errors.watching): AttributeError: *"])


def test_a_fixtures_scope_is_not_advised_to_decorate_it(project: Project):
    """A fixture and a context manager are generators, too: a with block is what mends them."""
    project.write(
        test_it="""
        import contextlib, ctxlog, pytest

        @pytest.fixture
        def bound():
            ctxlog.scope(a=1).__enter__()
            yield

        def test_fixture(bound):
            pass

        @contextlib.contextmanager
        def opened():
            ctxlog.scope(b=2).__enter__()
            yield

        def test_manager():
            with opened():
                pass

        def rows():
            with ctxlog.scope(c=3):
                yield 1
                yield 2

        kept = []
        def test_rows():
            kept.append(rows())
            next(kept[0])
        """
    )
    result = project.run("--ctxlog-guard=strict")
    result.assert_outcomes(passed=3, errors=3)
    said = result.stdout.str()
    assert 2 == said.count("  fix:       open it with a `with` block")
    assert 1 == said.count("  fix:       a scope around a yield belongs to whoever consumes")


def test_unittest_enters_in_a_task_and_leaves_outside_of_one(project: Project):
    """``enterContext`` in ``asyncSetUp`` is closed by no task, but in the context it was opened in."""
    project.write(
        test_it="""
        import asyncio, contextvars, unittest
        import ctxlog

        class Healthy(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.enterContext(ctxlog.entry({"x-request-id": "r-1"}))
                await self.enterAsyncContext(Block())
            async def test_one(self):
                assert ctxlog.get_context() == {"request_id": "r-1", "block": 1}
            def test_two(self):
                assert ctxlog.get_context() == {"request_id": "r-1", "block": 1}

        class Block:
            async def __aenter__(self):
                self.scope = ctxlog.scope(block=1)
                self.scope.__enter__()
            async def __aexit__(self, *error):
                self.scope.__exit__(*error)

        def test_another_context():
            opened = ctxlog.scope(a=1)
            async def enter():
                opened.__enter__()  # elsewhere
            async def main():
                task = asyncio.create_task(enter())
                await task
                return task
            task = asyncio.run(main())
            opened.__exit__(None, None, None)
        """
    )
    result = project.run("--ctxlog-guard=strict")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines([
        "scope of task Task-* closed by thread MainThread: a=1",
        f"  opened at: test_it.py:{project.line_of('# elsewhere')} in *",
    ])  # fmt: skip
