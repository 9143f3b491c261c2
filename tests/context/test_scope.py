"""Scope: a block and a decorator."""

from __future__ import annotations

import asyncio
import functools
from threading import Barrier, Thread

import pytest

from ctxlog.context.fields import bind_context, get_context
from ctxlog.context.scope import scope
from ctxlog.errors import UsageError


def test_a_block_binds_and_gives_back():
    """Fields are there in the block and gone after it, also when it raises."""
    with scope(a=1):
        with pytest.raises(ValueError, match="no"), scope({"b.c": 2}, a=3):
            assert {"a": 3, "b.c": 2} == get_context()
            raise ValueError("no")
        assert {"a": 1} == get_context()
    assert {} == get_context()


def test_what_is_bound_in_an_outermost_scope_does_not_change_it():
    """One scope object entered twice starts with its own fields each time."""
    block = scope(a=1)
    with block:
        bind_context(b=2)
    with block:
        assert {"a": 1} == get_context()


def test_it_says_what_it_binds():
    """Its repr names the fields, not the values."""
    assert "<scope a, b>" == repr(scope(a=1, b=2))


def test_options_swallow_no_name():
    """Any name may be a field's, also those of arguments."""
    with scope(fields=1, self=2, function=3):
        assert {"fields": 1, "self": 2, "function": 3} == get_context()


def test_no_mapping_is_misuse():
    """A first argument that is no mapping is an error at once."""
    with pytest.raises(UsageError):
        scope(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", [int, staticmethod(print), classmethod(print), 5, property()])
def test_what_cannot_be_decorated_is_misuse(thing):
    """A class, a static or class method, and what cannot be called are refused with a hint."""
    with pytest.raises(UsageError, match="put it below @staticmethod"):
        scope(a=1)(thing)


def test_a_function_gets_a_scope_for_each_call():
    """Recursion and what a call binds stay within each call."""

    @scope(a=1)
    def work(depth: int) -> list[object]:
        """Work."""
        bind_context(depth=depth)
        below = work(depth - 1) if depth else []
        return [*below, get_context()]

    assert [{"a": 1, "depth": 0}, {"a": 1, "depth": 1}] == work(1)
    assert {} == get_context()
    assert ("work", "Work.") == (work.__name__, work.__doc__)


def test_a_function_may_raise():
    """The fields go when the call raises."""

    @scope(a=1)
    def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        work()
    assert {} == get_context()


def test_methods_and_their_kinds_are_decorated_below():
    """A method, a static and a class method each run in the scope."""

    class Service:
        @scope(a=1)
        def method(self) -> object:
            return get_context()

        @staticmethod
        @scope(a=2)
        def static() -> object:
            return get_context()

        @classmethod
        @scope(a=3)
        def of_class(cls) -> object:
            return get_context()

    assert [{"a": 1}, {"a": 2}, {"a": 3}] == [
        Service().method(), Service.static(), Service.of_class(),
    ]  # fmt: skip


def test_partials_and_objects_are_decorated():
    """What is called need not be a function; it keeps the name of what it calls."""

    class Callable:
        def __call__(self) -> object:
            return get_context()

    partial = scope(a=1)(functools.partial(get_context))
    assert {"a": 1} == partial()
    assert "get_context" == partial.__name__
    assert {"a": 1} == scope(a=1)(Callable())()


def test_coroutine_functions_run_in_it():
    """The scope is open while the coroutine runs, in each task its own."""

    @scope(kind="job")
    async def work(number: int) -> dict[str, object]:
        bind_context(number=number)
        await asyncio.sleep(0)
        return get_context()

    async def main() -> list[dict[str, object]]:
        found = await asyncio.gather(*map(work, range(5)))
        assert {} == get_context()
        await work(7)
        assert {} == get_context()
        return found

    expected = [{"kind": "job", "number": number} for number in range(5)]
    assert expected == asyncio.run(main())


def test_a_cancelled_coroutine_leaves_it():
    """Cancellation leaves the scope in the task that was cancelled."""

    @scope(a=1)
    async def forever() -> None:
        await asyncio.sleep(60)

    async def main() -> dict[str, object]:
        with scope(outer=1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await forever()
            return get_context()

    assert {"outer": 1} == asyncio.run(main())


def test_threads_share_one_scope_object():
    """One scope entered by eight threads at once: each sees its own chain."""
    block, barrier, found = scope(a=1), Barrier(8), []

    def work(number: int) -> None:
        with scope(number=number):
            for _ in range(50):
                barrier.wait()
                with block:
                    found.append(get_context() == {"number": number, "a": 1})
                found.append(get_context() == {"number": number})

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 800 == found
