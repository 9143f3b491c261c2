"""What a report advises, and what it must not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


def test_nobody_is_blamed_for_a_way_that_is_not_seen(project: Project):
    """What came over a queue in C: the way that was seen, and that there are others; no false end."""
    project.write(
        test_it="""
        import queue, threading, ctxlog
        log = ctxlog.get_logger("shop")

        def test_it():
            jobs = queue.SimpleQueue()
            def consume():
                jobs.get()
                log.info("took")  # line
            thread = threading.Thread(target=consume)
            thread.start()  # start
            with ctxlog.scope(request_id="r-1"):
                log.info("puts")
                jobs.put("job")
            thread.join()
        """
    )
    project.ini("ctxlog_required = request_id")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        f"test_it.py:{project.line_of('# line')} in *: 'took' has no request_id*",
        "  last had:  nobody on the way that was seen",
        f"  came by:   Thread.start(consume) at test_it.py:{project.line_of('# start')} in test_it",
        "  fix:       bind it where the work comes in: *; if it was handed over in a way that is not*",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*the end of that scope*")


def test_a_name_that_holds_a_secret_is_told_without_it(project: Project):
    """Losses, leaks, lines and the audit mask what the application masks, at any depth."""
    project.write(
        test_it="""
        import threading, ctxlog, pytest
        from ctxlog.redact import Redaction
        log = ctxlog.get_logger("shop")

        @pytest.fixture(autouse=True)
        def configured(capfd):
            ctxlog.configure(redact=Redaction(also=["badge"], patterns=["sk-[0-9]+"]))
            yield
            ctxlog.shutdown()

        def test_lost():
            with ctxlog.scope(session_token="hunter-1", badge="hunter-2", card={"cvv": "hunter-3"}):
                log.info("used sk-42", note="hunter sk-43")
                thread = threading.Thread(target=log.info, args=("paid with sk-44",))
                thread.start()
                thread.join()

        @pytest.mark.parametrize("n", range(2))
        def test_left(n):
            ctxlog.bind_context(session_token="hunter-4", badge="hunter-5", card={"cvv": "hunter-6"})
            log.info("left")
        """
    )
    project.ini("ctxlog_required = session_token badge\nctxlog_guard = strict")
    result = project.run("--ctxlog-audit=audit.json", "--show-capture=no")
    result.assert_outcomes(failed=1, passed=2, errors=2)
    said = "".join(
        text for text in result.stdout.str().splitlines(keepends=True)
        if ".py:" in text or not text.startswith(("    ", ">", "E"))
    ) + project.path.joinpath("audit.json").read_text("utf-8")  # fmt: skip
    for secret in ("hunter-", "sk-4"):
        assert [] == [text for text in said.splitlines() if secret in text]
    assert "last had:  session_token=[redacted] at" in said
    assert "badge=[redacted]" in said
    assert "2 ids were seen in two tests" in said


def test_a_librarys_own_line_can_be_left_out(project: Project):
    """A line of an installed package says how its logger is left out; then it is."""
    library = project.path / "site-packages"
    library.mkdir()
    library.joinpath("client.py").write_text(
        "import logging\ndef ask(): logging.getLogger('client.http').warning('asked')\n", "utf-8"
    )
    project.write(
        test_it="""
        import ctxlog
        from client import ask
        log = ctxlog.get_logger("shop")
        def test_never():
            ask()
        def test_after():
            with ctxlog.scope(request_id="r-1"):
                log.info("in")
            ask()
        """
    )
    options = "pythonpath = site-packages\nctxlog_required = request_id\n"
    project.ini(options)
    result = project.run()
    result.assert_outcomes(failed=2)
    told = "; or leave the library's own lines out: ctxlog_required_except = client"
    assert 2 == result.stdout.str().count(told)
    project.ini(f"{options}ctxlog_required_except = client\n")
    project.run().assert_outcomes(passed=2)


def test_who_never_bound_it_is_not_told_of_ways(project: Project):
    """Where no line of the test has the id, the way is shown and the advice is short."""
    project.write(
        test_it="""
        import threading, ctxlog
        log = ctxlog.get_logger("shop")
        def test_it():
            thread = threading.Thread(target=log.info, args=("worked",))
            thread.start()  # start
            thread.join()
        """
    )
    project.ini("ctxlog_required = request_id")
    result = project.run()
    result.stdout.fnmatch_lines([
        "  last had:  nobody on the way that was seen",
        f"  came by:   Thread.start(info) at test_it.py:{project.line_of('# start')} in test_it",
        "  fix:       bind it where the work comes in: with ctxlog.entry(…) or ctxlog.scope(request_id=…)",
    ])  # fmt: skip


def test_a_logger_is_left_out_with_those_below_it(project: Project):
    """A name leaves out its logger and those below it, not its parent, nor what begins alike."""
    project.write(
        test_it="""
        import logging
        def test_it():
            logging.getLogger("web.access").warning("out")
            logging.getLogger("web.access.tls").warning("out")
            logging.getLogger("web").warning("in")
            logging.getLogger("web.accessory").warning("in")
        """
    )
    project.ini("ctxlog_required = request_id\nctxlog_required_except = web.access")
    result = project.run("-o", "ctxlog_lines=false")
    result.stdout.fnmatch_lines(["context lost at 2 places*"])
    result.stdout.no_fnmatch_line("*'out' has no*")
    project.ini("ctxlog_required = request_id\nctxlog_required_except = web")
    project.run().assert_outcomes(passed=1)


def test_what_another_library_had_bound_is_where_it_was_lost(project: Project):
    """An id of structlog's or loguru's context, a span's trace id: the last place that had it."""
    project.write(
        test_it="""
        import threading, ctxlog, loguru, pytest, structlog
        from opentelemetry.sdk.trace import TracerProvider
        from structlog.contextvars import bound_contextvars

        log = ctxlog.get_logger("shop")
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")

        def cross():
            thread = threading.Thread(target=log.info, args=("worked",))
            thread.start()  # start
            thread.join()

        @pytest.mark.ctxlog(required=["user"])
        @pytest.mark.parametrize("bound", [bound_contextvars, loguru.logger.contextualize])
        def test_bound(bound):
            with bound(user="u-1"):
                cross()

        @pytest.mark.ctxlog(required=["trace_id"])
        def test_span():
            with tracer.start_as_current_span("query"):
                cross()
        """
    )
    result = project.run()
    result.assert_outcomes(failed=3)
    at = f"at test_it.py:{project.line_of('# start')} in cross"
    said = result.stdout.str()
    assert 2 == said.count(f"  last had:  user='u-1' {at}")
    assert 1 == said.count("  last had:  trace_id='")
    assert 3 == said.count(f"  lost at:   Thread.start(info) {at}")
