"""Watching: one test after the other; what it must not lose, what it must not leave behind."""

from __future__ import annotations

import functools
import json
import warnings
from contextlib import nullcontext
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ctxlog.errors import LeakWarning
from ctxlog.pytest_plugin import GUARDS
from ctxlog.testing import losses, ways
from ctxlog.testing.auditing import Audit
from ctxlog.testing.blind import looking, told
from ctxlog.testing.events import Events
from ctxlog.testing.guarding import Guard
from ctxlog.testing.places import Place
from ctxlog.testing.recording import listen, unlisten
from ctxlog.testing.report import report
from ctxlog.testing.shown import remember

if TYPE_CHECKING:
    from collections.abc import Generator

    from ctxlog.testing.losses import Loss
    from ctxlog.testing.opened import Leak
    from ctxlog.testing.recording import Record

_OUTPUT = "ctxlog_audit"
_MARK = ("required", "required_except", "guard")


class _Wanted:
    """What is wanted of one test: its markers, else the ini file."""

    def __init__(self, item: pytest.Item, defaults: dict[str, Any]) -> None:
        found = dict(defaults)
        for mark in reversed(list(item.iter_markers("ctxlog"))):
            unknown = [*mark.args, *(name for name in mark.kwargs if name not in _MARK)]
            if unknown:
                pytest.fail(
                    f"@pytest.mark.ctxlog takes {', '.join(_MARK)} by name, not {unknown[0]!r}",
                    pytrace=False,
                )
            for name, value in mark.kwargs.items():
                found[name] = [value] if isinstance(value, str) and name != "guard" else value
        if found["guard"] not in GUARDS:
            pytest.fail(f"guard is {found['guard']!r}; known: {', '.join(GUARDS)}", pytrace=False)
        self.required: list[str] = list(found["required"])
        self.left_out = frozenset(found["required_except"])
        self.guard: str = found["guard"]


class Watching:
    """The hooks, once somebody uses ctxlog. What they patched goes with the session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._defaults = {
            "required": config.getini("ctxlog_required"),
            "required_except": config.getini("ctxlog_required_except"),
            "guard": config.getoption("--ctxlog-guard") or config.getini("ctxlog_guard"),
        }
        self._shows_lines = bool(config.getini("ctxlog_lines"))
        path = config.getoption("--ctxlog-audit")
        self._path = Path(path) if path else None
        self._audit = None if path is None else Audit(self._defaults["required"])
        self._events = Events()
        self._guard: Guard | None = Guard() if self._defaults["guard"] != "off" else None
        self._wanted: _Wanted | None = None
        self._lost: list[Loss] = []
        self._records: list[Record] = []
        self._silent = 0
        if self._guard is not None:
            self._guard.watch()
        listen(self._events.take, providers=False)
        if self._audit is not None:
            ways.watch(self)

    def pytest_unconfigure(self) -> None:
        """Put everything back."""
        unlisten(self._events.take)
        ways.unwatch(self)
        if self._guard is not None:
            self._guard.unwatch()

    # -- one test -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """A test begins, before its fixtures."""
        self._events.clear()
        self._lost, self._wanted, self._records = [], None, []
        with looking():
            if self._guard is not None:
                self._guard.start(item.nodeid)
        wrong = None
        try:
            self._wanted = wanted = _Wanted(item, self._defaults)
        except pytest.fail.Exception as error:
            wrong = error
        else:
            if wanted.guard != "off" and self._guard is None:
                self._guard = Guard()
                self._guard.watch()
                self._guard.start(item.nodeid)
            if wanted.required:
                ways.watch(self)
                listen(_nobody)  # a provider's field counts too
        result = yield
        if wrong is not None:  # only now: the other plugins' own begin must have run
            raise wrong
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Its body has run: its lines have what is required, or it fails."""
        begun = len(self._events.records) + self._events.dropped
        with looking():
            if self._guard is not None:
                self._guard.begin()
        with self._checked(item):
            result = yield
        if self._wanted is not None and self._wanted.required:
            with looking():
                self._find_lost(begun)
            if self._lost:
                pytest.fail(losses.report(self._lost, self._wanted.required), pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Its fixtures have gone: nothing is left, or it is said."""
        mode = "off" if self._wanted is None else self._wanted.guard
        try:
            result = yield
        finally:
            leaks = self._finish(item)
        if leaks and mode != "off":
            _say(leaks, item, mode)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show the lines of a test that failed."""
        result = yield
        if result.failed and self._shows_lines:
            records = list(self._events.records) or self._records
            if records:
                text = report(records, self._events.dropped)
                result.sections.append(("ctxlog lines", text))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """What a module's fixture opens, stays open after the test by right."""
        guard = self._guard
        lasts = guard is not None and fixturedef.scope != "function"
        with guard.lasting(fixturedef) if guard is not None and lasts else nullcontext():
            return (yield)

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """What it has bound should be gone now."""
        with looking():
            if self._guard is not None:
                self._guard.ended(fixturedef)

    def _checked(self, item: pytest.Item) -> Any:
        """Have a coroutine test look, as its first step, for what another left in its loop."""
        test: Any = getattr(item, "obj", None)
        guard = self._guard
        if guard is None or not iscoroutinefunction(test) or hasattr(test, "hypothesis"):
            return nullcontext()

        @functools.wraps(test)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            guard.check_here()
            return await test(*args, **kwargs)

        return _replaced(item, checked, test)

    def _find_lost(self, begun: int = 0) -> None:
        wanted = self._wanted
        names = wanted.required if wanted is not None and wanted.required else ("request_id",)
        left_out = wanted.left_out if wanted is not None else frozenset[str]()
        skipped = max(0, begun - self._events.dropped)
        records = list(self._events.records)[skipped:]
        remember()
        self._lost = losses.lost(records, names, left_out)

    def _finish(self, item: pytest.Item) -> list[Leak]:
        wanted, audit = self._wanted, self._audit
        leaks: list[Leak] = []
        with looking():
            if audit is not None:
                if not self._lost:
                    self._find_lost()
                known = [loss for loss in self._lost if loss.boundary is not None]
                audit.add(item.nodeid, list(self._events.records), known)  # threads go on
        with looking():
            if wanted is not None and wanted.required:
                unlisten(_nobody)
                if audit is None:
                    ways.unwatch(self)
        with looking():
            leaks = [] if self._guard is None else self._guard.finish()
        self._wanted = None
        return leaks

    # -- the run ------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker of pytest-xdist has ended: take its part."""
        part = getattr(node, "workeroutput", {}).get(_OUTPUT)
        if self._audit is not None:
            if part is None:
                self._silent += 1
            else:
                self._audit.merge(part)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Hand the audit on: to who collects it, into files."""
        audit, config = self._audit, self._config
        if audit is None:
            return
        output = getattr(config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = audit.parts()
            return
        summary = audit.summary()
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        for plugin in config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)  # the JUnit report's
            if callable(add):
                for name in ("lines", "with_context", "share_with_context"):
                    add(f"ctxlog.{name}", str(summary[name]))
                add("ctxlog.losses", str(len(summary["losses"])))
                add("ctxlog.ids_in_two_tests", str(len(summary["ids_in_two_tests"])))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the audit, and what could not be looked at."""
        blind = told()
        if blind is not None:
            terminalreporter.line(blind)
        if self._audit is None:
            return
        terminalreporter.section("ctxlog audit")
        for line in self._audit.told():
            terminalreporter.line(line)
        if self._silent:
            terminalreporter.line(f"{self._silent} workers ended without their part")
        if self._path is not None:
            terminalreporter.line(f"written to {self._path}")


def _nobody(record: Record) -> None:
    """Listen to have the providers asked."""


def _say(leaks: list[Leak], item: pytest.Item, mode: str) -> None:
    if mode == "strict":
        told = "\n\n".join(leak.told() for leak in leaks)
        pytest.fail(f"the test left something behind\n\n{told}", pytrace=False)
    for leak in leaks:
        place = leak.places[0] if leak.places else None
        if isinstance(place, Place):
            file, line = place.file, place.line
        else:
            file, line = str(item.path), _line_of(item)
        message = LeakWarning(f"{item.nodeid}: {leak.told()}")
        warnings.warn_explicit(message, None, file, line)


def _line_of(item: pytest.Item) -> int:
    return (item.location[1] or 0) + 1


class _replaced:  # noqa: N801 - a small with block
    def __init__(self, item: Any, test: Any, before: Any) -> None:
        self._item, self._test, self._before = item, test, before

    def __enter__(self) -> None:
        self._item.obj = self._test

    def __exit__(self, *_: object) -> None:
        self._item.obj = self._before
