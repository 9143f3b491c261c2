"""The fixture: events of every door as data, whatever is configured, beside other fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

DOORS = """
import asyncio, io, logging, threading
import ctxlog, loguru, pytest, structlog, trio
from ctxlog.adapters.lines import Lines

own = ctxlog.get_logger("own")
plain = logging.getLogger("plain")
cached = structlog.get_logger("cached").bind(early=1)  # before any test

def everybody():
    own.info("own", n=1)
    plain.warning("plain %s", "text", extra={"n": 2})
    cached.info("structlog", n=3)
    loguru.logger.bind(n=4).info("loguru")
    Lines("out").write("file\\n")

def doors(events):
    return [(event["event"], event.door, event.get("request_id")) for event in events]

EXPECTED = [
    ("own", "ctxlog", "r-1"), ("plain text", "logging", "r-1"),
    ("structlog", "structlog", "r-1"), ("loguru", "loguru", "r-1"),
]

@pytest.fixture(autouse=True)
def request_scope():
    with ctxlog.scope(request_id="r-1"):
        yield

def test_unconfigured(ctxlog_events):
    everybody()
    assert EXPECTED == doors(ctxlog_events)[:4]

@pytest.mark.parametrize("options", [{}, {"structlog": True}, {"stdlib": False}, {"callsite": True}])
def test_configured_in_the_test(ctxlog_events, options):
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", **options)
    everybody()
    ctxlog.shutdown()
    everybody()
    file = ("file", "file", "r-1")
    assert [*EXPECTED, file] == doors(ctxlog_events)[:5]
    assert EXPECTED == doors(ctxlog_events)[5:9]
    assert '"event":"own"' in out.getvalue()

@pytest.fixture
def configured():
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json")
    yield out
    ctxlog.shutdown()

def test_configured_before(configured, ctxlog_events):
    everybody()
    assert EXPECTED == doors(ctxlog_events)[:4]
    assert 5 == len(ctxlog_events)
    # loguru is left to itself, and so is what was bound with structlog before; the others once
    assert 3 == configured.getvalue().count("request_id")

def test_loguru_configured_anew(ctxlog_events):
    loguru.logger.remove()
    loguru.logger.add(io.StringIO())
    loguru.logger.info("there")
    ctxlog_events.one(event="there", logger="test_it")

def test_logging_sent_on_to_loguru_is_one_event(ctxlog_events):
    class Intercept(logging.Handler):
        def emit(self, record):
            loguru.logger.log(record.levelname, record.getMessage())
    handler = Intercept()
    plain.addHandler(handler)
    try:
        plain.warning("once")
    finally:
        plain.removeHandler(handler)
    assert [("once", "logging", "r-1")] == doors(ctxlog_events)

def test_a_logger_that_does_not_propagate(ctxlog_events):
    alone = logging.getLogger("alone")
    alone.propagate = False
    alone.error("there")
    ctxlog_events.one(event="there", level="error", logger="alone")

def test_what_is_known_of_an_event(ctxlog_events):
    def work():
        own.warning("in a thread")  # thread's
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    async def main():
        asyncio.current_task().set_name("the task")
        own.info("in a task")
    asyncio.run(main())
    async def under_trio():
        own.info("in trio")
    trio.run(under_trio)
    there, task, of_trio = ctxlog_events
    assert ("worker", None, {}) == (there.thread, there.task, there.context)
    assert ("MainThread", "the task", {"request_id": "r-1"}) == (task.thread, task.task, task.context)
    assert of_trio.task.endswith("under_trio")
    assert "LINE" == f"{there.place.line}" and there.place.file == __file__
    assert "test_what_is_known_of_an_event.<locals>.work" == there.place.function

def test_exceptions_secrets_and_changed_values(ctxlog_events):
    items = [1]
    try:
        1 / 0
    except ZeroDivisionError:
        own.exception("failed", items=items, password="hunter2")
    items.append(2)
    event = ctxlog_events.one(event="failed", level="error")
    assert "ZeroDivisionError" == event["exception.type"]
    assert ([1], "[redacted]") == (event["items"], event["password"])

def test_queries(ctxlog_events):
    import re
    for n in range(3):
        own.info("step", n=n, **{"k8s.name": "db"})
    own.info("done")
    assert 3 == len(ctxlog_events.where({"k8s.name": "db"}, event="step"))
    assert 2 == ctxlog_events.one(n=lambda n: n is not None and n > 1)["n"]
    assert 1 == len(ctxlog_events.where(event=re.compile("^do")))
    ctxlog_events.assert_any(n=0)
    ctxlog_events.assert_none(level="error")
    ctxlog_events.assert_all_have("request_id")
    ctxlog_events.assert_order("step", "done")
    ctxlog_events.clear()
    assert 0 == len(ctxlog_events)

def test_fields_of_any_name(ctxlog_events):
    structlog.get_logger().info("names", logger="mine", method="m", event_dict=1)
    assert ("m", 1) == (ctxlog_events[0]["method"], ctxlog_events.one(event="names")["event_dict"])

def test_beside_caplog_capsys_and_pytest_structlog(ctxlog_events, caplog, capsys, log):
    plain.warning("plain")
    structlog.get_logger("x").info("structlog", n=3)
    own.warning("own")
    print("printed")
    assert ["plain", "own"] == caplog.messages
    assert log.has("structlog", n=3)
    assert "printed" in capsys.readouterr().out
    ctxlog_events.assert_order("plain", "structlog", "own")

def test_structlog_finds_its_caller(ctxlog_events):
    from structlog.processors import CallsiteParameter, CallsiteParameterAdder
    found = []
    structlog.configure(
        processors=[CallsiteParameterAdder({CallsiteParameter.MODULE}), lambda l, m, e: found.append(e) or ""],
    )
    structlog.get_logger().info("there")
    structlog.reset_defaults()
    assert "test_it" == found[0]["module"]
    ctxlog_events.one(event="there")
"""


def test_every_door(project: Project):
    """All doors, in order, configured or not, with thread, task, place and context."""
    line = 1 + next(n for n, row in enumerate(DOORS.splitlines()) if "# thread's" in row)
    project.write(test_it=DOORS.replace('"LINE"', f'"{line}"'))
    plugins = ("ctxlog.pytest_plugin", "pytest_structlog")
    project.run(plugins=plugins).assert_outcomes(passed=15)


def test_a_failure_shows_the_nearest_and_why(project: Project):
    """Each candidate with its place, and what keeps it from matching; the traceback is the test's."""
    project.write(
        test_it="""
        import logging, ctxlog
        def test_one(ctxlog_events):
            ctxlog.get_logger("shop").info("sold", items=3)  # sold
            logging.getLogger("lib").warning("lost")
            ctxlog_events.one(event="sold", items=4)  # asked
        def test_none(ctxlog_events):
            ctxlog_events.one(event="sold")
        def test_several(ctxlog_events):
            for n in range(2):
                ctxlog.get_logger("shop").info("sold")
            ctxlog_events.one(event="sold")
        def test_order(ctxlog_events):
            ctxlog.get_logger("shop").info("sold")
            ctxlog_events.assert_order("sold", "paid")
        """
    )
    result = project.run()
    result.assert_outcomes(failed=4)
    sold = project.line_of("# sold")
    result.stdout.fnmatch_lines([
        "E * 0 lines of 2 match {'event': 'sold', 'items': 4}",
        "E * nearest:",
        f"E * test_it.py:{sold} in test_one: level='info' logger='shop' event='sold' items=3 (ctxlog, thread MainThread)",
        "E * items is 3, not 4",
        "E * event is 'lost', not 'sold'; no items",
        f"test_it.py:{project.line_of('# asked')}: AssertionError",
        "E * nothing was logged; the root logger is at WARNING, *: pytest's log_level lowers the root's",
        "E * 2 lines of 2 match {'event': 'sold'}",
        "E * they are:",
        "E * no 'paid' after 'sold'; in order there is: 'sold'",
    ])  # fmt: skip


def test_a_failing_tests_own_lines(project: Project):
    """Only a test that fails shows lines, its own, grouped by operation and request."""
    project.write(
        test_it="""
        import logging, ctxlog
        log = ctxlog.get_logger("shop")
        def test_passes():
            log.info("quiet")
        def test_fails():
            with ctxlog.scope(request_id="r-1"), ctxlog.operation("import"):
                log.info("reading", rows=3)  # reading
                try:
                    1 / 0
                except ZeroDivisionError:
                    log.exception("broken")
            logging.getLogger("lib").warning("after %d", 1)
            assert False
        """
    )
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*quiet*")
    result.stdout.fnmatch_lines([
        "*- ctxlog lines -*",
        "-- operation import request_id='r-1'",
        f"   ??:??:??.??? info     shop: reading rows=3 (test_it.py:{project.line_of('# reading')})",
        "   ??:??:??.??? error    shop: broken exception.type='ZeroDivisionError' *",
        "*ZeroDivisionError: division by zero",
        "   ??:??:??.??? info     test_it: import outcome='success' duration_s=*",
        "-- no operation, no request_id",
        "   ??:??:??.??? warning  lib: after 1 *",
    ], consecutive=False)  # fmt: skip
    project.ini("ctxlog_lines = false")
    project.run().stdout.no_fnmatch_line("*ctxlog lines*")


def test_more_lines_than_are_kept(project: Project):
    """A test that logs without end keeps its last lines, and says how many went."""
    project.write(
        test_it="""
        import ctxlog
        from ctxlog.testing.events import Events, MAX_LINES
        def test_it():
            log = ctxlog.get_logger("shop")
            with Events(most=10) as events:
                for n in range(25):
                    log.info("step", n=n)
            assert (10, 15, 15) == (len(events), events.dropped, events[0]["n"])
            for n in range(300):
                log.info("step", n=n)
            assert False
        """
    )
    result = project.run()
    result.stdout.fnmatch_lines(["… 125 earlier lines", "*n=299*"])
