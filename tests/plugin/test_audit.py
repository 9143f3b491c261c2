"""The audit: figures of a run on the terminal, as JSON and JUnit properties, also under xdist."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

PLUGINS = ("ctxlog.pytest_plugin", "xdist.plugin")

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

TESTS = """
import threading, ctxlog
from concurrent.futures import ThreadPoolExecutor
log = ctxlog.get_logger("shop")

def work():
    log.info("worked")  # line

def test_one():
    with ctxlog.scope(request_id="r-1"):
        log.info("in")

def test_two():
    with ctxlog.scope(request_id="r-1"):
        log.info("in")
    with ctxlog.scope(request_id="r-2"), ThreadPoolExecutor(1) as pool:
        pool.submit(work)  # submit

def test_three():
    log.info("free")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_figures_are_the_same_with_and_without_workers(project: Project, workers: tuple[str, ...]):
    """Lines, share, losses by boundary and place, ids of two tests: whoever ran the tests."""
    project.write(test_it=TESTS)
    result = project.run(
        "--ctxlog-audit=out/audit.json", "--junitxml=j.xml", *workers, plugins=PLUGINS
    )
    result.assert_outcomes(passed=3)
    submit, line = project.line_of("# submit"), project.line_of("# line")
    expected = {
        "tests": 3,
        "lines": 4,
        "with_context": 2,
        "share_with_context": 0.5,
        "losses": [
            {
                "field": "request_id",
                "boundary": "ThreadPoolExecutor.submit",
                "at": f"test_it.py:{submit}",
                "line": f"test_it.py:{line}",
                "tests": 1,
            }
        ],
        "ids_in_two_tests": [
            {
                "field": "request_id",
                "value": "r-1",
                "tests": ["test_it.py::test_one", "test_it.py::test_two"],
            }
        ],
        "left_out": 0,
    }
    assert expected == json.loads(project.path.joinpath("out", "audit.json").read_text("utf-8"))
    result.stdout.fnmatch_lines([
        "*= ctxlog audit =*",
        "4 lines in 3 tests, 50% of them with a context",
        "1 places lose a field:",
        f"  request_id: ThreadPoolExecutor.submit at test_it.py:{submit}, seen at test_it.py:{line}*",
        "1 ids were seen in two tests:",
        "  request_id=r-1: test_it.py::test_one, test_it.py::test_two",
        "written to out/audit.json",
    ])  # fmt: skip
    root = ET.parse(project.path / "j.xml").getroot()
    found = {prop.get("name"): prop.get("value") for prop in root.iter("property")}
    assert {
        "ctxlog.lines": "4",
        "ctxlog.with_context": "2",
        "ctxlog.share_with_context": "0.5",
        "ctxlog.losses": "1",
        "ctxlog.ids_in_two_tests": "1",
    } == found


def test_a_worker_that_died_is_told(project: Project):
    """The part of a worker that ended by itself is missing, and that is said."""
    project.write(test_it="import os\ndef test_it(): os._exit(3)\ndef test_other(): pass\n")
    result = project.run("--ctxlog-audit", "-n", "1", plugins=PLUGINS)
    result.stdout.fnmatch_lines(["1 workers ended without their part"])


def test_without_a_path_nothing_is_written(project: Project):
    """The terminal alone; and a path that cannot be one is refused."""
    project.write(test_it=TESTS)
    result = project.run("--ctxlog-audit=")
    result.stdout.fnmatch_lines(["4 lines in 3 tests*"])
    assert [] == list(project.path.glob("*.json"))
    refused = project.run("--ctxlog-audit", "test_it.py")
    refused.stderr.fnmatch_lines(["*takes a path that ends with .json, not 'test_it.py'*"])


def test_required_lines_under_workers(project: Project):
    """Failures and warnings come back from workers whole."""
    project.ini("ctxlog_required = request_id")
    project.write(test_it=TESTS + "\ndef test_left():\n    ctxlog.bind_context(a=1)\n")
    result = project.run("-n", "2", plugins=PLUGINS)
    result.assert_outcomes(passed=2, failed=2, warnings=1)
    result.stdout.fnmatch_lines([
        "  lost at:   ThreadPoolExecutor.submit(work) at test_it.py:*",
        "*- ctxlog lines -*",
    ])  # fmt: skip


def test_a_run_inside_of_a_run_takes_nothing_away(project: Project):
    """A plugin's own suite runs pytest in pytest: what the outer one watches stays watched."""
    project.write(
        conftest="pytest_plugins = ['pytester']",
        test_it="""
        import threading, ctxlog
        log = ctxlog.get_logger("shop")

        def lose():
            with ctxlog.scope(request_id="r-1"):
                thread = threading.Thread(target=log.info, args=("lost",))
                thread.start()
                thread.join()

        def test_outer(pytester):
            pytester.makepyfile('''
                import ctxlog
                def test_inner():
                    ctxlog.bind_context(inner=1)
            ''')
            pytester.makeini("[pytest]\\nctxlog_required = request_id\\nctxlog_guard = strict")
            result = pytester.inline_run("-p", "no:cacheprovider", "-p", "ctxlog.pytest_plugin")
            result.assertoutcome(passed=1, failed=1)  # the inner one's teardown
            assert {} == ctxlog.get_context()
            lose()

        def test_after():
            lose()
            ctxlog.bind_context(outer=1)
        """,
    )
    project.ini("ctxlog_required = request_id\nctxlog_guard = strict")
    result = project.run("--ctxlog-audit=")
    result.assert_outcomes(failed=2, errors=1)
    assert 2 == result.stdout.str().count("lost at:   Thread.start(info) at ")
    result.stdout.fnmatch_lines(["*bound outside any scope, and left after the test: outer=1"])


def test_a_workers_secret_stays_there(project: Project):
    """What a worker's application masks is masked by who adds up, and still told apart."""
    project.write(
        test_it="""
        import ctxlog, pytest
        from ctxlog.redact import Redaction
        log = ctxlog.get_logger("shop")

        @pytest.mark.parametrize("badge", ["hunter-1", "hunter-1", "hunter-2"])
        def test_it(badge):
            ctxlog.configure(redact=Redaction(also=["badge"], patterns=["sk-[0-9]+"]))
            with ctxlog.scope(badge=badge, request_id=f"of sk-{badge[-1]}"):
                log.info("used")
            ctxlog.shutdown()
        """
    )
    project.ini("ctxlog_required = badge request_id")
    result = project.run("-n", "2", "--ctxlog-audit=audit.json", plugins=PLUGINS)
    result.assert_outcomes(passed=3)
    text = project.path.joinpath("audit.json").read_text("utf-8")
    assert "sk-" not in text
    shared = json.loads(text)["ids_in_two_tests"]
    assert [("badge", "[redacted]", 2), ("request_id", "of [redacted]", 2)] == [
        (one["field"], one["value"], len(one["tests"])) for one in shared
    ]
