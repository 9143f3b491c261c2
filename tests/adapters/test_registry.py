"""Registry: a declared source of fields, with the real library and without it."""

from __future__ import annotations

import asyncio
import sys
from threading import Thread
from typing import Any

import pytest
from contextvars_extras import ContextVarsRegistry  # type: ignore[import-untyped]

from ctxlog.adapters.registry import register, unregister
from ctxlog.context.accessors import active
from ctxlog.context.providers import foreign_providers
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import snapshot, wrap
from ctxlog.entries import entry
from ctxlog.errors import UsageError
from ctxlog.logger import get_logger
from ctxlog.testing import capture


class Current(ContextVarsRegistry):  # type: ignore[misc]
    """What an application declares."""

    user_id: int
    tenant: str
    locale: str = "en"


class Other(ContextVarsRegistry):  # type: ignore[misc]
    """Another one."""

    tenant: str


log = get_logger("tests")


@pytest.fixture
def current():
    """Register a registry, and take it out again."""
    registry: Any = Current()
    register(registry)
    yield registry
    unregister(registry)


def line_now() -> dict[str, Any]:
    """Return the fields of a line that is written now, less its head."""
    with capture() as lines:
        log.info("x")
    head = {"timestamp", "level", "logger", "event", "trace_id", "span_id", "trace_flags"}
    return {name: value for name, value in lines.one().items() if name not in head}


def test_set_variables_are_on_the_line(current):
    """They are read when the line is written; a default alone is not set, nor what was deleted."""
    assert {} == line_now()
    current.user_id = 7
    assert {"user_id": 7} == line_now()
    with current(tenant="acme", locale="de"):
        assert {"user_id": 7, "tenant": "acme", "locale": "de"} == line_now()
    assert {"user_id": 7} == line_now()
    del current.user_id
    assert {} == line_now()


def test_variables_declared_later_are_shown_too(current):
    """A variable that is first set at run time is on the line like the others."""
    current.added = "later"
    assert {"added": "later"} == line_now()


def test_the_context_wins_over_it(current):
    """A registry stands below what is bound."""
    current.user_id = 7
    with scope(user_id=8):
        assert {"user_id": 8} == line_now()


def test_snapshots_carry_it(current):
    """A thread sees what was set where the job was wrapped, and its own stays its own."""
    seen: list[Any] = []
    current.user_id = 7
    job = wrap(lambda: seen.append((line_now(), dict(current))))
    current.user_id = 8

    def thread() -> None:
        current.tenant = "worker's"
        job()
        seen.append((line_now(), dict(current)))

    other = Thread(target=thread)
    other.start()
    other.join()
    assert [
        ({"user_id": 7}, {"user_id": 7, "locale": "en"}),
        ({"tenant": "worker's"}, {"tenant": "worker's", "locale": "en"}),
    ] == seen
    assert 8 == current.user_id


def test_an_entry_starts_without_it(current):
    """Nothing set before shows in an entry; what the entry sets is gone after it."""
    current.user_id = 7
    current.locale = "de"
    with entry({"x-request-id": "r-1"}):
        assert {"request_id": "r-1"} == line_now()
        assert "en" == current.locale
        with pytest.raises(AttributeError):
            _ = current.user_id
        current.user_id, current.tenant = 9, "acme"
        assert {"request_id": "r-1", "user_id": 9, "tenant": "acme"} == line_now()
    assert {"user_id": 7, "locale": "de"} == line_now()


def test_what_was_deleted_stays_deleted_where_it_was_carried(current):
    """A deleted variable with a default is no default under the snapshot either."""
    del current.locale
    taken = snapshot()
    current.locale = "fr"
    assert {} == taken.run(lambda: dict(current))
    assert {"locale": "fr"} == dict(current)


def test_tasks_and_generators_keep_their_own(current):
    """Entries in many tasks, and a generator's steps, do not see each other's variables."""

    @entry()
    async def work(number: int) -> dict[str, Any]:
        current.user_id = number
        await asyncio.sleep(0)
        return line_now()

    @scope()
    def steps() -> Any:
        current.user_id = "generator's"
        yield line_now()
        yield line_now()

    async def main() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(work, range(5)))

    assert list(range(5)) == [line["user_id"] for line in asyncio.run(main())]
    current.user_id = "mine"
    for line in steps():
        assert {"user_id": "generator's"} == line
        assert {"user_id": "mine"} == line_now()


def test_names_say_what_is_shown_and_carried():
    """With names the others are left alone; a mapping gives each its field's name."""
    registry: Any = Current()
    register(registry, names={"user_id": "user.id"})
    try:
        registry.user_id, registry.tenant = 7, "acme"
        assert {"user.id": 7} == line_now()
        with entry():
            assert "acme" == registry.tenant
            assert "user.id" not in line_now()
        register(registry, names=["tenant"])
        assert {"tenant": "acme"} == line_now()
        register(registry, names="tenant")
        assert {"tenant": "acme"} == line_now()
        assert 1 == len(foreign_providers())
    finally:
        unregister(registry)
    assert {} == line_now()


def test_registries_stand_beside_each_other(current):
    """Two registries are two sources, also with a variable of the same name."""
    other: Any = Other()
    register(other)
    try:
        current.user_id, other.tenant = 7, "acme"
        assert {"user_id": 7, "tenant": "acme"} == line_now()
        assert {"user_id": 7, "tenant": "acme"} == wrap(line_now)()
    finally:
        unregister(other)
    assert {"user_id": 7} == line_now()


def test_unregistering_leaves_nothing():
    """No accessor and no provider is left; doing it twice, or for anything, is no error."""
    before = active(), foreign_providers()
    registry: Any = Current()
    register(registry)
    register(registry)
    unregister(registry)
    unregister(registry)
    unregister(object())
    assert before == (active(), foreign_providers())


def test_a_value_is_normalised_on_the_line(current):
    """Whatever a variable holds, the line is written."""
    current.user_id = {"a": {1}, "b": object}
    with scope(a=1):
        assert {"a": 1, "user_id": {"a": [1], "b": "<class 'object'>"}} == line_now()


@pytest.mark.parametrize("thing", [None, object(), Current, {"a": 1}])
def test_what_is_no_registry_is_misuse(thing):
    """The error says what is taken; a class is not an instance."""
    with pytest.raises(UsageError, match="an instance of a ContextVarsRegistry"):
        register(thing)


def test_a_registrys_class_is_told_from_one():
    """The error says what to write instead."""
    with pytest.raises(UsageError, match=r"not the class Current; write Current\(\)"):
        register(Current)


def test_an_undeclared_name_lists_the_declared():
    """A name with a slip is an error at once, and nothing is registered."""
    with pytest.raises(UsageError, match="did you mean 'user_id'"):
        register(Current(), names=["user_di"])
    assert () == foreign_providers()


def test_without_the_library_it_says_what_to_install(monkeypatch):
    """Only whoever registers needs the extra."""
    monkeypatch.setitem(sys.modules, "contextvars_extras", None)
    with pytest.raises(UsageError, match=r"pip install 'ctxlog\[registry\]'"):
        register(object())
    unregister(object())
