"""Providers: read when a line is written."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from ctxlog.context import providers as module
from ctxlog.context.providers import (
    add_provider,
    foreign_providers,
    on_change,
    providers,
    remove_provider,
)
from ctxlog.errors import UsageError
from ctxlog.logger import get_logger
from ctxlog.testing import capture


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(module, "_own", ())
    monkeypatch.setattr(module, "_foreign", ())
    monkeypatch.setattr(module, "_listeners", list(module._listeners))


def one() -> dict[str, object]:
    """Provide a field."""
    return {"one": 1}


def test_adding_twice_is_once_and_can_move_it():
    """A provider is in one place: where it was added last."""
    add_provider(one)
    add_provider(one)
    assert ((one,), ()) == (providers(), foreign_providers())
    add_provider(one, foreign=True)
    assert ((), (one,)) == (providers(), foreign_providers())
    remove_provider(one)
    assert ((), ()) == (providers(), foreign_providers())


def test_listeners_are_told_of_changes_only():
    """Taking out what is not there tells nobody."""
    told: list[int] = []
    on_change(lambda: told.append(1))
    add_provider(one)
    assert 1 == len(told)
    remove_provider(one)
    remove_provider(one)
    assert 2 == len(told)


def test_what_cannot_be_called_is_misuse():
    """A provider is a callable."""
    with pytest.raises(UsageError, match="callable"):
        add_provider({"a": 1})  # type: ignore[arg-type]


def test_they_are_read_for_each_line():
    """A line has what a provider says then; one that fails costs its own fields."""
    values = iter([{"n": 1}, None, {"n": 3}])

    def counting() -> dict[str, int] | None:
        return next(values)

    def failing() -> None:
        raise RuntimeError("no")

    with capture() as lines:
        add_provider(counting)
        add_provider(failing)
        for _ in range(3):
            get_logger("t").info("line")
        remove_provider(counting)
        remove_provider(failing)
    assert [1, None, 3] == [line.get("n") for line in lines]
    assert all("failing" in line["ctxlog.errors"][0] for line in lines)


def test_threads_adding_at_once_lose_none():
    """Providers added by eight threads are all there."""
    barrier = Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(20):
            add_provider(lambda: None)

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 160 == len(providers())


def test_a_forked_child_can_add():
    """The lock is made anew in a forked child."""
    before = module._lock
    module._renew_lock()
    assert before is not module._lock
    add_provider(one)
    assert (one,) == providers()
