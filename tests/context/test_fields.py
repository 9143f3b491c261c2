"""Fields: binding, unbinding, clearing, reading; leaving in any order, anywhere."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from ctxlog.context.accessors import register_accessor, unregister_accessor
from ctxlog.context.fields import (
    CURRENT,
    EMPTY,
    MAX_FRAMES,
    ROOT,
    Fields,
    Frame,
    bind_context,
    clear_context,
    get_context,
    leave,
    policy,
    thaw,
    unbind_context,
)
from ctxlog.context.scope import scope
from ctxlog.counting import counters
from ctxlog.entries import entry
from ctxlog.errors import UsageError
from ctxlog.operations import operation
from ctxlog.testing import capture
from tests.context.things import Tenant, tenant

if TYPE_CHECKING:
    from collections.abc import Callable


def foreign_exits() -> int:
    """How often a scope was left where it was not found."""
    return counters["context.foreign_exit"]


def test_what_is_bound_goes_with_the_innermost_scope():
    """A field bound in an inner scope is gone when that scope is left."""
    with scope(a=1):
        with scope(b=2):
            bind_context(c=3)
            assert {"a": 1, "b": 2, "c": 3} == get_context()
        assert {"a": 1} == get_context()


def test_binding_without_a_scope_stays_in_that_context_only():
    """Outside any scope a field stays as long as the Python context does."""
    inside = copy_context()
    inside.run(bind_context, a=1)
    assert {"a": 1} == inside.run(get_context)
    assert {} == get_context()


def test_keywords_win_over_the_mapping():
    """A name given twice has the keyword's value."""
    with scope():
        bind_context({"a": 1, "k8s.object.name": "db"}, a=2)
        assert {"a": 2, "k8s.object.name": "db"} == get_context()


def test_bound_values_are_as_they_were_when_bound():
    """Changing a list after it was bound does not show."""
    items = [1]
    with scope():
        bind_context(items=items)
        items.append(2)
        assert {"items": [1]} == get_context()


def test_what_is_read_is_a_copy():
    """Changing what get_context returned changes nothing that is bound."""
    with scope(data={"a": [1]}):
        read: Any = get_context()
        read["data"]["a"].append(2)
        read["other"] = 1
        assert {"data": {"a": [1]}} == get_context()


def test_thaw_leaves_scalars_alone():
    """Thawing copies containers and nothing else."""
    assert 5 == thaw(5)
    assert {"a": [1, [2]]} == thaw({"a": (1, (2,))})


def test_unbinding_takes_names_and_forgives_others():
    """A name that is not bound is no error, and makes no new frame."""
    with scope(a=1, b=None):
        unbind_context("a", "never")
        assert {"b": None} == get_context()
        before = CURRENT.get()
        unbind_context("never")
        assert before is CURRENT.get()


def test_unbinding_an_outer_field_ends_with_the_inner_scope():
    """What an inner scope unbinds is bound again when it is left."""
    with scope(a=1):
        with scope():
            unbind_context("a")
            assert {} == get_context()
        assert {"a": 1} == get_context()


def test_unbinding_keeps_the_ids():
    """Unbinding every field leaves the ids of the entry."""
    with entry(a=1):
        ids = CURRENT.get().fields.ids
        unbind_context("a", "request_id")
        assert ids is CURRENT.get().fields.ids


def test_clearing_lasts_for_the_rest_of_the_scope():
    """Clearing empties the inner scope and leaves the outer one as it was."""
    with scope(a=1):
        with scope(b=2):
            clear_context()
            assert {} == get_context()
            assert CURRENT.get().fields is EMPTY
            clear_context()
            bind_context(c=3)
            assert {"c": 3} == get_context()
        assert {"a": 1} == get_context()


def test_clearing_an_entry_drops_its_ids():
    """After clear_context nothing of the entry is left, ids included."""
    with entry():
        clear_context()
        assert CURRENT.get().fields.ids is None


def test_strict_refuses_to_bind_outside_a_scope(monkeypatch):
    """In strict mode an unscoped bind says what to do instead; everything else is allowed."""
    monkeypatch.setattr(policy, "strict", True)
    with pytest.raises(UsageError, match=r"open one with ctxlog\.scope"):
        bind_context(a=1)
    unbind_context("a")
    clear_context()
    with scope():
        bind_context(a=1)
        assert {"a": 1} == get_context()


def test_a_mapping_is_wanted():
    """Fields that are no mapping are misuse, said at once."""
    with pytest.raises(UsageError, match="mapping"):
        bind_context(5)  # type: ignore[arg-type]


def test_what_a_value_binds_while_it_is_bound_stays():
    """A value that binds something while it is normalised does not lose it."""

    class Binds:
        def __repr__(self) -> str:
            bind_context(inner=1)
            return "binds"

    with scope():
        bind_context(a=Binds())
        assert {"inner": 1, "a": "binds"} == get_context()


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_leaving_out_of_order_leaves_no_field_behind():
    """The outer scope's exit takes the inner one's fields along; the inner's changes nothing."""
    outer, inner = scope(a=1), scope(b=2)
    outer.__enter__()
    inner.__enter__()
    before = foreign_exits()
    outer.__exit__(None, None, None)
    assert {} == get_context()
    inner.__exit__(None, None, None)
    assert {} == get_context()
    assert before + 1 == foreign_exits()


def test_leaving_twice_changes_nothing_the_second_time():
    """A scope left twice is found once."""
    with scope(a=1):
        block = scope(b=2)
        with block:
            pass
        before = foreign_exits()
        block.__exit__(None, None, None)
        assert {"a": 1} == get_context()
        assert before + 1 == foreign_exits()


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_leaving_in_another_thread_changes_nothing_there():
    """A scope that is left in a thread that never entered it counts, and raises nothing."""
    block = scope(a=1)
    block.__enter__()
    before, seen = foreign_exits(), []

    def other() -> None:
        with scope(mine=1):
            block.__exit__(None, None, None)
            seen.append(get_context())

    thread = Thread(target=other)
    thread.start()
    thread.join()
    assert [{"mine": 1}] == seen
    assert before + 1 == foreign_exits()
    assert {"a": 1} == get_context()


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_leaving_in_a_copy_leaves_the_original():
    """A copy of the context may leave the scope it was copied in; the original stays in it."""
    block = scope(a=1)
    block.__enter__()

    def in_copy() -> dict[str, object]:
        block.__exit__(None, None, None)
        return get_context()

    assert {} == copy_context().run(in_copy)
    assert {"a": 1} == get_context()


def test_one_block_may_be_entered_again_inside_itself():
    """Each entering of one scope object is left by one exit."""
    block = scope(a=1)
    with scope(b=2):
        with block:
            with block:
                assert {"a": 1, "b": 2} == get_context()
            assert {"a": 1, "b": 2} == get_context()
        assert {"b": 2} == get_context()


def test_leaving_at_the_root_is_foreign():
    """Nothing is entered, so nothing can be left."""
    assert leave(object()) is False
    assert ROOT is CURRENT.get()


def test_a_frame_without_a_parent_goes_back_to_the_root():
    """Leaving the lowest frame of a chain leaves the root."""
    owner = object()
    CURRENT.set(Frame(Fields({"a": 1}), None, owner))
    assert leave(owner) is True
    assert ROOT is CURRENT.get()
    block = scope(b=1)
    CURRENT.set(Frame(Fields({"a": 1}), None, block))
    block.__exit__(None, None, None)
    assert ROOT is CURRENT.get()


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_frames_above_undo_what_they_carried():
    """Leaving an outer entry puts back what entries inside it, never left, had replaced."""
    register_accessor(Tenant())
    try:
        tenant.set("before")
        outer, inner = entry(), entry()
        outer.__enter__()
        tenant.set("outer's")
        inner.__enter__()
        tenant.set("inner's")
        outer.__exit__(None, None, None)
        assert "before" == tenant.get()
        inner.__exit__(None, None, None)
        assert "before" == tenant.get()
    finally:
        unregister_accessor("tenant")


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_a_plain_scopes_exit_undoes_an_entry_that_was_never_left():
    """A bare entry around an abandoned yield: the scope outside puts back what it replaced."""
    register_accessor(Tenant())
    try:
        tenant.set("before")
        with scope(a=1):
            entry().__enter__()
            tenant.set("inner's")
        assert "before" == tenant.get()
    finally:
        unregister_accessor("tenant")


def test_binding_keeps_what_leaving_undoes():
    """A bind in an entry replaces its frame and not what the entry gives back."""
    register_accessor(Tenant())
    try:
        tenant.set("before")
        with entry():
            bind_context(a=1)
            tenant.set("inside")
        assert "before" == tenant.get()
    finally:
        unregister_accessor("tenant")


def depth() -> int:
    """Return how many frames there are above the root."""
    frame, number = CURRENT.get(), 0
    while frame.parent is not None:
        frame, number = frame.parent, number + 1
    return number


@scope(job="poll")
def decorated(work: Callable[[], None]) -> None:
    """Work in a scope."""
    work()


@scope(job="poll")
async def decorated_task(work: Callable[[], None]) -> None:
    """Work in a scope, as a task."""
    work()


def in_block(work: Callable[[], None]) -> None:
    """Work in a scope that is a block."""
    with scope(job="poll"):
        work()


def in_entry(work: Callable[[], None]) -> None:
    """Work in an entry."""
    with entry(), scope(step=1):
        work()


def in_operation(work: Callable[[], None]) -> None:
    """Work in an operation."""
    with operation("poll"):
        work()


@pytest.mark.parametrize(
    "work",
    [decorated, decorated_task, in_block, in_entry, in_operation],
    ids=lambda work: work.__name__,
)
def test_work_that_arms_itself_again_inside_its_block_keeps_a_bounded_chain(work: Any) -> None:
    """Each callback or task starts in a copy of the last one's block: the first is let go of."""

    async def main() -> tuple[int, dict[str, object]]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[int, dict[str, object]]] = loop.create_future()
        left = 4 * MAX_FRAMES

        def again() -> None:
            nonlocal left
            left -= 1
            bind_context(left=left)
            if not left:
                done.set_result((depth(), get_context()))
            elif work is decorated_task:
                tasks[:] = [asyncio.create_task(work(again))]
            else:
                loop.call_soon(work, again)

        tasks: list[Any] = []
        with scope(outermost=True):
            loop.call_soon(again)
            return await done

    with capture():
        deep, bound = asyncio.run(main())
    assert deep <= MAX_FRAMES + 3
    assert 0 == bound["left"]


def test_blocks_nested_deeper_than_anybody_nests_them_give_back_all_of_it() -> None:
    """Recursion as deep as Python goes by default keeps every level's fields."""

    @scope()
    def level(number: int) -> None:
        bind_context(level=number)
        if number < 300:
            level(number + 1)
        assert number == get_context()["level"]

    with scope(outermost=True):
        level(0)
        assert {"outermost": True} == get_context()
