"""The pytest plugin: tests that fail where context is lost.

pytest loads this module at every start, in every project that has ctxlog installed: it imports
nothing but pytest. What watches tests (:mod:`ctxlog.pytest_plugin.watching`) is loaded once a test
uses ctxlog, or one of the options below.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxlog.testing.events import Events

GUARDS = ("off", "warn", "strict")
_NAME = "ctxlog-watching"
_USED = "ctxlog.context.fields"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the options."""
    group = parser.getgroup("ctxlog")
    group.addoption(
        "--ctxlog-audit",
        nargs="?",
        const="",
        metavar="PATH.json",
        help="summarise the run's lines: share with context, losses, ids seen in two tests;"
        " with a path also as JSON",
    )
    group.addoption(
        "--ctxlog-guard",
        choices=GUARDS,
        help="what a test that leaves context, scopes, operations or threads behind does;"
        " beats the ini option ctxlog_guard",
    )
    parser.addini("ctxlog_required", "fields that each line of a test must have", "args", [])
    parser.addini(
        "ctxlog_required_except", "loggers whose lines need not have them", "args", ["asyncio"]
    )
    parser.addini("ctxlog_guard", "off, warn or strict: what a test may leave behind", None, "warn")
    parser.addini("ctxlog_lines", "show a failing test's own lines", "bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and watch at once if one of them asks for it."""
    config.addinivalue_line(
        "markers",
        "ctxlog(required=[...], required_except=[...], guard='off'|'warn'|'strict'):"
        " fields that each line of the test must have; what it may leave behind",
    )
    guard = config.getini("ctxlog_guard")
    if guard not in GUARDS:
        raise pytest.UsageError(f"ctxlog_guard is {guard!r}; known: {', '.join(GUARDS)}")
    path = config.getoption("--ctxlog-audit")
    if path and not path.endswith(".json"):
        raise pytest.UsageError(
            f"--ctxlog-audit takes a path that ends with .json, not {path!r};"
            " without one, put it after the tests or write --ctxlog-audit="
        )
    if path is not None or config.getini("ctxlog_required"):
        _watch(config)
    else:
        config.pluginmanager.register(_Idle(config), "ctxlog-idle")


class _Idle:
    """Looks, once a test, whether anybody uses ctxlog."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """A module has imported it, or a test is marked."""
        if any("ctxlog" in item.keywords for item in session.items) or _is_imported():
            self._leave()

    def pytest_runtest_logfinish(self) -> None:
        """A test has used it."""
        if _USED in sys.modules:
            self._leave()

    def _leave(self) -> None:
        if self._config.pluginmanager.is_registered(self):
            self._config.pluginmanager.unregister(self)
            _watch(self._config)


def _is_imported() -> bool:
    """Whether any module has ctxlog, whose names load when they are first used."""
    if _USED in sys.modules:
        return True
    package = sys.modules.get("ctxlog", _USED)  # a test may have taken it out
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType):  # not isinstance: __class__ may lie
            members = ModuleType.__getattribute__(
                module, "__dict__"
            )  # a lazy one's own may load it
            if members.get("ctxlog") is package:
                return True
    return False


def _watch(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin(_NAME):
        return
    from ctxlog.pytest_plugin.watching import Watching

    config.pluginmanager.register(Watching(config), _NAME)


@pytest.fixture
def ctxlog_events() -> Iterator[Events]:
    """The events of every door, as data: see :class:`ctxlog.testing.events.Events`."""
    from ctxlog.testing.events import Events

    with Events() as events:
        yield events
