"""Accessors: the contract, the empty case, and those that fail."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import types
from contextvars import ContextVar
from threading import Barrier, Thread
from typing import Any

import pytest

import ctxlog
from ctxlog.context import accessors
from ctxlog.context.accessors import (
    MISSING,
    active,
    capture,
    enter_carried,
    leave_carried,
    register_accessor,
    unregister_accessor,
)
from ctxlog.context.fields import EMPTY
from ctxlog.context.snapshot import Snapshot, snapshot, wrap
from ctxlog.context.variables import carry_var
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from tests.context.things import Tenant, tenant


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(
        accessors, "TABLE", accessors.Table()
    )  # ours alone: what waits wakes after it


def errors() -> int:
    """How often an accessor failed."""
    return counters["errors.accessor"]


def test_missing_is_one_value_everywhere():
    """Copied and pickled, MISSING stays itself."""
    assert MISSING is pickle.loads(pickle.dumps(MISSING))
    assert MISSING is copy.deepcopy(MISSING)
    assert "MISSING" == repr(MISSING)


def test_what_is_captured_is_entered_and_given_back():
    """Enter gets what capture returned, leave what enter returned, in reverse order."""
    first, second = Tenant("first"), Tenant("second")
    register_accessor(first)
    register_accessor(second)
    tenant.set("A")
    carried = capture()
    tenant.set("B")
    undo = enter_carried(carried)
    assert "A" == tenant.get()
    leave_carried(undo)
    assert "B" == tenant.get()
    assert [("enter", "A"), ("leave", "B")] == first.calls
    assert [("enter", "A"), ("leave", "A")] == second.calls


def test_nothing_captured_means_nothing_current():
    """An accessor that captured nothing, or was not asked, enters MISSING."""
    one = Tenant()
    register_accessor(one)
    undo = enter_carried(capture())
    assert ("enter", MISSING) == one.calls[-1]
    tenant.set("left here")
    leave_carried(undo)
    undo = enter_carried(())
    assert MISSING is tenant.get()
    leave_carried(undo)


def test_without_accessors_nothing_is_done():
    """No accessor: nothing is captured, entered, or undone."""
    assert [(), (), ()] == [capture(), enter_carried(()), active()]
    gone = Tenant()
    assert () == enter_carried(((gone, "A"),))
    assert [] == gone.calls


def test_registering_a_name_again_replaces():
    """Of two accessors of a name the later one is at work, and at the end of the order."""
    old, other, new = Tenant("one"), Tenant("other"), Tenant("one")
    for each in (old, other, new):
        register_accessor(each)
    assert (other, new) == active()
    unregister_accessor("one")
    unregister_accessor("never")
    assert (other,) == active()


def test_one_taken_out_after_the_capture_is_passed_over():
    """A snapshot that carries a thing whose accessor is gone leaves that thing alone."""
    gone, stays = Tenant("gone"), Tenant("stays")
    register_accessor(gone)
    register_accessor(stays)
    carried = capture()
    unregister_accessor("gone")
    enter_carried(carried)
    assert ([], 1) == (gone.calls, len(stays.calls))


def test_a_capture_that_raises_costs_its_own_thing():
    """It is counted and left out: under that snapshot there is nothing of it."""
    bad, good = Tenant("bad", fails=("capture",)), Tenant("good")
    register_accessor(bad)
    register_accessor(good)
    before = errors()
    tenant.set("A")
    taken = snapshot()
    assert before + 1 == errors()
    assert ["good"] == [accessor.name for accessor, _ in taken.carried]
    tenant.set("B")
    assert "A" == taken.run(tenant.get)
    assert ("enter", MISSING) == bad.calls[-1]


def test_an_enter_that_raises_leaves_nothing_current():
    """What cannot be entered is at least cleared, and the others are entered."""
    bad, good = Tenant("bad", fails=("enter",)), Tenant("good")
    register_accessor(bad)
    before = errors()
    tenant.set("A")
    taken = snapshot()
    tenant.set("B")
    with taken.scope():
        assert MISSING is tenant.get()
    assert "B" == tenant.get()
    assert before + 1 == errors()
    register_accessor(good)
    with taken.scope():
        assert ("enter", MISSING) == good.calls[-1]


def test_an_enter_that_raises_even_for_nothing_is_counted_twice():
    """When it can neither enter nor clear, the rest still goes on."""
    register_accessor(Tenant("bad", fails=("enter", "enter nothing")))
    good = Tenant("good")
    register_accessor(good)
    tenant.set("A")
    before = errors()
    with snapshot().scope():
        assert ("enter", "A") == good.calls[-1]
    assert before + 2 == errors()


def test_a_leave_that_raises_does_not_stop_the_others():
    """The rest goes back, and the exit raises nothing."""
    good, bad = Tenant("good"), Tenant("bad", fails=("leave",))
    register_accessor(good)
    register_accessor(bad)
    before = errors()
    tenant.set("A")
    with snapshot().scope():
        tenant.set("B")
    assert before + 1 == errors()
    assert ("leave", "A") == good.calls[-1]
    assert "A" == tenant.get()


@pytest.mark.parametrize("lacks", ["name", "capture", "enter", "leave"])
def test_an_accessor_without_a_part_is_misuse(lacks):
    """What is no accessor is refused, and the message names what it lacks."""
    parts: dict[str, Any] = {"name": "x", "capture": print, "enter": print, "leave": print}
    parts[lacks] = None
    accessor: Any = types.SimpleNamespace(**parts)
    with pytest.raises(UsageError, match=lacks):
        register_accessor(accessor)


def test_two_may_wait_for_one_library():
    """Accessors rest until their library is imported, and all of them wake then."""
    first, second, third = Tenant("first"), Tenant("second"), Tenant("third")
    register_accessor(first, when_loaded="some_library")
    register_accessor(second, when_loaded="some_library")
    register_accessor(third, when_loaded="another_library")
    assert [(), ()] == [active(), capture()]
    sys.modules["some_library"] = types.ModuleType("some_library")
    try:
        assert 2 == len(capture())
        assert (first, second) == active()
        register_accessor(third, when_loaded="some_library")
        assert (first, second, third) == active()
    finally:
        del sys.modules["some_library"]


def test_a_waiting_one_can_be_taken_out():
    """Taken out while it waits, it never wakes."""
    register_accessor(Tenant(), when_loaded="some_library")
    unregister_accessor("tenant")
    sys.modules["some_library"] = types.ModuleType("some_library")
    try:
        assert () == active()
    finally:
        del sys.modules["some_library"]


def test_threads_registering_at_once_lose_none():
    """Accessors registered by eight threads while others wake are all there, once."""
    barrier = Barrier(8)
    for number in range(8):
        register_accessor(Tenant(f"waits {number}"), when_loaded="some_library")
    sys.modules["some_library"] = types.ModuleType("some_library")

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(20):
            register_accessor(Tenant(f"{number} {turn}"))
            capture()

    try:
        threads = [Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        names = [each.name for each in active()]
        assert 168 == len(names) == len(set(names))
    finally:
        del sys.modules["some_library"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_can_register():
    """A lock that another thread held at the fork does not hang the child."""
    accessors._renew_lock()
    before = accessors._lock
    accessors._renew_lock()
    assert before is not accessors._lock
    register_accessor(Tenant())
    assert 1 == len(active())


def test_what_stays_is_carried_and_not_emptied():
    """An accessor of a process's things is left alone where nothing was captured; beside others too."""
    var: ContextVar[str | None] = ContextVar("plumbing", default=None)
    other: ContextVar[str | None] = ContextVar("other", default=None)

    class Plumbing:
        name = "plumbing"
        stays = True

        def capture(self) -> Any:
            return var.get() or MISSING

        def enter(self, value: Any) -> Any:
            before = var.get()
            var.set(None if value is MISSING else value)
            return before

        def leave(self, before: Any) -> None:
            var.set(before)

    empty = Snapshot(EMPTY)
    register_accessor(Plumbing())
    try:
        for also in (False, True):
            if also:
                carry_var(other)
            var.set("pipe")
            other.set("theirs")
            taken = snapshot()
            with ctxlog.entry():
                assert "pipe" == var.get()
                assert (None if also else "theirs") == other.get()
            with empty.scope():
                assert "pipe" == var.get()
            var.set("another")
            with taken.scope():
                assert ("pipe", "theirs") == (var.get(), other.get())
            assert "another" == var.get()
    finally:
        unregister_accessor("plumbing")
        unregister_accessor("other")


@pytest.mark.parametrize("peeks", [True, False])
def test_what_is_there_already_is_not_entered_by_one_that_peeks(peeks: bool):
    """A wrapped call enters what was captured; one that peeks, only where something else is there."""
    entered = []

    class Counted(Tenant):
        def enter(self, value: Any) -> Any:
            entered.append(value)
            return super().enter(value)

    accessor: Any = Counted("counted")
    accessor.peeks = peeks
    register_accessor(accessor)
    tenant.set("A")
    wrapped = wrap(tenant.get)
    assert "A" == wrapped()
    assert ([] if peeks else ["A"]) == entered
    tenant.set("B")
    assert "A" == wrapped()
    assert "A" == entered[-1]
    assert "B" == tenant.get()


def test_a_name_may_be_a_text_of_any_kind():
    """An enum's member that is a text, for one."""

    class Name(str):
        __slots__ = ()

    accessor: Any = Tenant("x")
    accessor.name = Name("kind")
    register_accessor(accessor)
    assert (accessor,) == active()
