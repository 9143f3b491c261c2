"""Installed and not used: nothing is loaded, patched or said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

HEAVY = "{'structlog', 'orjson', 'opentelemetry', 'loguru', 'asyncio', 'contextvars_extras'}"

LATE = """
def test_first():
    import ctxlog
    ctxlog.get_logger("x")
def test_it():
    import ctxlog
    ctxlog.bind_context(a=1)
"""


def test_nothing_is_loaded_at_start(project: Project):
    """At start there is the plugin's own module; nothing of the runtime, no third party."""
    project.write(
        test_it=f"""
        import sys
        def test_it():
            own = {{name for name in sys.modules if name.partition(".")[0] == "ctxlog"}}
            assert own <= {{"ctxlog", "ctxlog.pytest_plugin"}}
            loaded = {{name.partition(".")[0] for name in sys.modules}}
            assert not loaded & ({HEAVY} - {{"asyncio"}})
        def test_still_idle(request):
            plugins = request.config.pluginmanager
            assert plugins.has_plugin("ctxlog-idle")
            assert not plugins.has_plugin("ctxlog-watching")
        """
    )
    result = project.run()
    result.assert_outcomes(passed=2)


def test_nothing_is_patched_before_it_is_used(project: Project):
    """A suite without ctxlog runs on the standard library as it is."""
    project.write(
        test_it="""
        import logging, threading
        from concurrent.futures import ThreadPoolExecutor
        def test_it():
            for function in (threading.Thread.start, ThreadPoolExecutor.submit,
                             logging.Logger.callHandlers):
                assert not hasattr(function, "__wrapped__")
        """
    )
    project.run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "use",
    [
        "import ctxlog\ndef test_it(): ctxlog.bind_context(a=1)",
        "from ctxlog import bind_context\ndef test_it(): bind_context(a=1)",
        "from ctxlog.context.fields import bind_context\ndef test_it(): bind_context(a=1)",
        LATE,
    ],
)
def test_it_watches_once_ctxlog_is_used(project: Project, use: str):
    """However it is imported, the first test that can leak is watched."""
    project.write(test_it=use)
    project.run("--ctxlog-guard=strict").assert_outcomes(passed=1 + ("test_first" in use), errors=1)


def test_it_looks_past_what_only_says_it_is_a_module(project: Project):
    """A proxy in sys.modules (structlog's suite has one) does not stop the run, nor is it loaded."""
    project.write(
        test_it="""
        import sys, types
        class Proxy:
            __class__ = types.ModuleType
            def __getattr__(self, name):
                raise AssertionError(name)
        sys.modules["proxy"] = Proxy()
        sys.modules["nothing"] = None
        def test_it(): pass
        """
    )
    project.run().assert_outcomes(passed=1)


def test_pytest_finds_it_by_itself_and_it_can_be_left_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
):
    """Installed it is there; ``-p no:ctxlog`` leaves no option and no hook."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    project.write(
        test_it="def test_it(request): assert request.config.pluginmanager.has_plugin('ctxlog')"
    )
    project.run(plugins=()).assert_outcomes(passed=1)
    assert 4 == project.run("-p", "no:ctxlog", "--ctxlog-audit", plugins=()).ret


def test_after_the_run_all_is_as_it_was(project: Project):
    """In the same process: two runs, and what was patched is put back after each."""
    project.write(
        test_it="import ctxlog\ndef test_it(): ctxlog.get_logger('x').info('e')",
        twice="""
        import logging, queue, sys, threading, pytest
        def state():
            from ctxlog.context import fields
            from ctxlog.context.scope import scope
            from ctxlog.runtime import runtime
            return (threading.Thread.start, queue.Queue.put, logging.Logger.callHandlers,
                    scope.__enter__, fields.replace, runtime._around)
        OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "ctxlog.pytest_plugin", "--ctxlog-audit=",
                   "test_it.py"]
        before = state()
        for _ in range(2):
            assert pytest.main(OPTIONS) == 0
            assert before == state()
        """,
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "twice.py"], cwd=project.path, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_suite_may_take_ctxlog_out_of_the_modules(project: Project):
    """Collecting goes on."""
    project.write(test_it="import sys\nsys.modules.pop('ctxlog')\ndef test_one(): pass\n")
    project.run().assert_outcomes(passed=1)
