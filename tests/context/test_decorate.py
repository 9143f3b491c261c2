"""Decorating: generators step by step, and which kind a callable is."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import sys
import types
import weakref
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from ctxlog.context.accessors import register_accessor, unregister_accessor
from ctxlog.context.collector import AFFECTED
from ctxlog.context.decorate import ASYNC_GENERATOR, COROUTINE, GENERATOR, PLAIN, kind_of
from ctxlog.context.fields import CURRENT, bind_context, clear_context, get_context
from ctxlog.context.raised import raised_under
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import snapshot
from ctxlog.counting import counters
from ctxlog.entries import entry
from ctxlog.errors import UsageError
from ctxlog.kubernetes.reconcile import reconcile
from ctxlog.operations import operation
from ctxlog.propagation.callbacks import as_function
from ctxlog.testing import capture
from tests.context.things import Tenant, tenant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

# -- generators -----------------------------------------------------------------------------------


@scope(own=1)
def steps(name: str = "x"):
    """Bind at each step, and yield what is seen."""
    for number in range(3):
        bind_context({name: number})
        yield get_context()


def test_a_step_sees_what_was_bound_before_and_the_consumer_none_of_it():
    """What a generator binds lasts to its next step and never reaches the consumer."""
    with scope(outer=1):
        seen = []
        for found in steps():
            seen.append(found)
            assert {"outer": 1} == get_context()
    assert [{"outer": 1, "own": 1, "x": number} for number in range(3)] == seen


def test_interleaved_generators_do_not_meet():
    """Two generators stepped in turn, from scopes of others, each keep their own fields."""
    with scope(request="A"):
        first = steps("a")
        next(first)
    with scope(request="B"):
        second = steps("b")
        next(second)
    with scope(request="C"):
        assert {"request": "A", "own": 1, "a": 1} == next(first)
        assert {"request": "B", "own": 1, "b": 1} == next(second)
        assert {"request": "A", "own": 1, "a": 2} == next(first)
        assert {"request": "C"} == get_context()


def test_a_scope_open_at_a_yield_is_the_generators_own():
    """A with block around a yield inside a decorated generator does not reach the consumer."""

    @scope()
    def work():
        with scope(inner=1):
            yield get_context()
            bind_context(late=2)
            yield get_context()
        yield get_context()

    generator = work()
    assert {"inner": 1} == next(generator)
    assert {} == get_context()
    with scope(outer=1):
        assert {"inner": 1, "late": 2} == next(generator)
        assert {} == next(generator)
        assert {"outer": 1} == get_context()


def test_send_throw_return_and_close_work_as_without():
    """Values sent, exceptions thrown and the value returned go through; each in its frames."""
    seen: list[Any] = []

    @scope(own=1)
    def work():
        got = yield "first"
        seen.append((got, get_context()))
        try:
            yield "second"
        except KeyError:
            seen.append(("thrown", get_context()))
            seen.append(sys.exc_info()[0])
        yield "third"
        return "result"

    generator = work()
    assert "first" == next(generator)
    assert "second" == generator.send("hello")
    assert "third" == generator.throw(KeyError("x"))
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert "result" == stopped.value.value
    assert [("hello", {"own": 1}), ("thrown", {"own": 1}), KeyError] == seen
    assert {} == get_context()


def test_closing_runs_the_cleanup_in_its_frames():
    """close() raises GeneratorExit inside, where the generator's fields are bound."""
    seen = []

    @scope(own=1)
    def work():
        try:
            yield 1
        finally:
            seen.append(get_context())

    generator = work()
    next(generator)
    with scope(outer=1):
        generator.close()
        assert {"outer": 1} == get_context()
    assert [{"own": 1}] == seen


def test_a_generator_that_ignores_its_end_says_so():
    """One that yields when closed gives Python's own RuntimeError."""

    @scope()
    def work():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = work()
    next(generator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        generator.close()
    assert {} == get_context()


def test_an_exception_leaves_the_generator_and_its_frames():
    """What a generator raises reaches the consumer, whose context is as it was."""

    @scope(own=1)
    def work():
        yield 1
        raise LookupError("gone")

    generator = work()
    next(generator)
    with scope(outer=1):
        with pytest.raises(LookupError, match="gone"):
            next(generator)
        assert {"outer": 1} == get_context()


def test_an_exception_thrown_in_is_not_kept():
    """A generator that survives an exception holds no reference to it."""

    class Pinned(Exception):  # noqa: N818 - it is no error
        pass

    @scope()
    def work():
        while True:
            with suppress(Pinned):
                yield 1

    generator = work()
    next(generator)
    error = Pinned()
    watch = weakref.ref(error)
    generator.throw(error)
    del error
    gc.collect()
    assert watch() is None
    generator.close()


def test_an_abandoned_generator_changes_nothing_where_it_is_collected():
    """Collected in another context, its cleanup sees its own fields and leaves no trace."""
    seen = []

    @scope(own=1)
    def work():
        try:
            yield 1
        finally:
            seen.append(get_context())

    generators = [work()]
    copy_context().run(next, generators[0])
    with scope(outer=1):
        generators.clear()
        gc.collect()
        assert {"outer": 1} == get_context()
    assert [{"own": 1}] == seen


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_it_may_leave_a_scope_of_its_consumer():
    """A consumer's scope left from inside a step is left; the rest of the chain is as it was."""
    block = scope(outer=1)

    @scope(own=1)
    def work():
        block.__exit__(None, None, None)
        yield get_context()
        yield get_context()

    with scope(below=1):
        block.__enter__()
        generator = work()
        before = counters["context.foreign_exit"]
        assert {"below": 1} == next(generator)
        assert before + 1 == counters["context.foreign_exit"]
        assert {"below": 1} == get_context()
        assert {"below": 1, "outer": 1, "own": 1} == next(generator)


def test_delegation_and_context_managers_are_generators_too():
    """Yield from, and contextlib's decorator above it, see the steps."""

    @contextmanager
    @scope(own=1)
    def managed():
        bind_context(setup=1)
        yield get_context()
        bind_context(teardown=get_context())

    @scope(outer=1)
    def outer():
        yield from steps()

    with managed() as seen:
        assert {"own": 1, "setup": 1} == seen
        assert {} == get_context()
    assert {"outer": 1, "own": 1, "x": 2} == list(outer())[2]


def test_an_entrys_steps_have_nothing_of_the_consumers():
    """A generator decorated with an entry sees its own request at each step."""

    @entry({"x-request-id": "own"})
    def work():
        while True:
            yield get_context()

    generator = work()
    with scope(request_id="other", more=1):
        assert {"request_id": "own"} == next(generator)
        assert {"request_id": "other", "more": 1} == get_context()
    assert {"request_id": "own"} == next(generator)


def test_what_accessors_carry_is_the_generators_own():
    """A carried variable lasts to the next step and never reaches the consumer."""
    register_accessor(Tenant())
    try:

        @scope()
        def work():
            yield tenant.get()
            tenant.set("generator's")
            yield tenant.get()
            yield tenant.get()

        tenant.set("at first")
        generator = work()
        assert "at first" == next(generator)
        tenant.set("consumer's")
        assert "generator's" == next(generator)
        assert "consumer's" == tenant.get()
        assert "generator's" == next(generator)
        assert "consumer's" == tenant.get()
    finally:
        unregister_accessor("tenant")


def test_an_entry_left_at_a_later_step_gives_the_generator_its_own_back():
    """An entry open across a yield undoes, when left, what it replaced in the generator."""
    register_accessor(Tenant())
    try:

        @scope()
        def work():
            tenant.set("generator's")
            with entry():
                tenant.set("entry's")
                yield tenant.get()
                yield tenant.get()
            yield tenant.get()

        tenant.set("consumer's")
        seen = []
        for found in work():
            seen.append(found)
            assert "consumer's" == tenant.get()
        assert ["entry's", "entry's", "generator's"] == seen
    finally:
        unregister_accessor("tenant")


def test_a_decorated_generator_is_one_for_those_who_ask():
    """Inspect tells the kinds of what is decorated as it does of what is not."""

    async def coroutine() -> None: ...

    async def asynchronous():
        yield 1

    decorated = scope(a=1)
    assert inspect.isgeneratorfunction(decorated(steps))
    assert inspect.iscoroutinefunction(decorated(coroutine))
    assert inspect.isasyncgenfunction(decorated(asynchronous))


# -- async generators -----------------------------------------------------------------------------


@scope(own=1)
async def asteps(name: str = "x"):
    """Bind at each step, and yield what is seen."""
    for number in range(3):
        bind_context({name: number})
        await asyncio.sleep(0)
        yield get_context()


def test_async_steps_never_reach_the_consumer():
    """An async generator's binds last to its next step and stay out of the consumer's task."""

    async def main() -> None:
        with scope(outer=1):
            seen = []
            async for found in asteps():
                seen.append(found)
                assert {"outer": 1} == get_context()
        assert [{"outer": 1, "own": 1, "x": number} for number in range(3)] == seen

    asyncio.run(main())


def test_asend_athrow_and_the_end_work_as_without():
    """Values and exceptions go into an async generator, and its end comes out."""
    seen: list[Any] = []

    @scope(own=1)
    async def work():
        seen.append(((yield "first"), get_context()))
        try:
            yield "second"
        except KeyError:
            seen.append(get_context())
        yield "third"

    async def main() -> None:
        generator = work()
        assert "first" == await generator.asend(None)
        assert "second" == await generator.asend("hello")
        assert "third" == await generator.athrow(KeyError("x"))
        with pytest.raises(StopAsyncIteration):
            await generator.asend(None)
        assert {} == get_context()

    asyncio.run(main())
    assert [("hello", {"own": 1}), {"own": 1}] == seen


def test_aclose_from_another_task_runs_the_cleanup_in_its_frames():
    """Closed by another task, its cleanup sees its own fields, the other task's stay."""
    seen = []

    @scope(own=1)
    async def work():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen.append(get_context())

    async def close(generator: Any) -> None:
        with scope(other="task"):
            await generator.aclose()
            seen.append(get_context())

    async def main() -> None:
        generator = work()
        with scope(first="task"):
            await anext(generator)
        await asyncio.create_task(close(generator))
        assert {} == get_context()

    asyncio.run(main())
    assert [{"first": "task", "own": 1}, {"other": "task"}] == seen


def test_one_consumed_by_two_tasks_keeps_its_own_fields():
    """Each step sees the generator's fields, whichever task asked for it."""

    async def take(generator: Any, name: str) -> tuple[Any, Any]:
        with scope(task=name):
            return await anext(generator), get_context()

    async def main() -> None:
        generator = asteps()
        first = await asyncio.create_task(take(generator, "A"))
        second = await asyncio.create_task(take(generator, "B"))
        assert ({"task": "A", "own": 1, "x": 0}, {"task": "A"}) == first
        assert ({"task": "A", "own": 1, "x": 1}, {"task": "B"}) == second
        await generator.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("end", ["collected", "shut down"])
def test_an_abandoned_one_is_cleaned_up_once_in_its_frames(end):
    """Collected, or closed by the loop's shutdown: the cleanup runs once, with its own fields."""
    seen, troubles = [], []

    @scope(own=1)
    async def work():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen.append(get_context())

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: troubles.append(about))
        held = []
        with scope(consumer=1):
            for _ in range(5):
                generator = work()
                await anext(generator)
                held.append(generator)
                del generator
        bind_context(later=1)
        if end == "collected":
            held.clear()
            gc.collect()
            await asyncio.sleep(0.01)
        assert {"later": 1} == get_context()
        return held

    held = asyncio.run(main())
    assert ([{"consumer": 1, "own": 1}] * 5, []) == (seen, troubles)
    held.clear()


def test_a_cancelled_step_gives_the_consumer_its_context_back():
    """A consumer that gives up waiting for a step has its own context again."""

    @scope(own=1)
    async def work():
        yield 1
        await asyncio.sleep(60)
        yield 2

    async def main() -> None:
        with scope(outer=1):
            async with aclosing(work()) as generator:
                await anext(generator)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await anext(generator)
                assert {"outer": 1} == get_context()

    asyncio.run(main())


def test_async_context_managers_step_twice():
    """Contextlib's asynccontextmanager above a scope keeps its fields to itself."""

    @asynccontextmanager
    @scope(own=1)
    async def managed():
        bind_context(setup=1)
        yield get_context()

    async def main() -> None:
        async with managed() as seen:
            assert {"own": 1, "setup": 1} == seen
            assert {} == get_context()
        with pytest.raises(KeyError):
            async with managed():
                raise KeyError("x")
        assert {} == get_context()

    asyncio.run(main())


def test_clearing_inside_a_generator_stays_inside():
    """clear_context in a step empties the generator's frame alone."""

    @scope(own=1)
    def work():
        clear_context()
        yield get_context()
        yield get_context()

    with scope(outer=1):
        assert [{}, {}] == list(work())
        assert {"outer": 1} == get_context()


# -- kinds ----------------------------------------------------------------------------------------


async def acoroutine() -> None:
    """Do nothing."""


class Async:
    """An object whose call is a coroutine."""

    async def __call__(self) -> None:
        """Do nothing."""

    async def method(self) -> None:
        """Do nothing."""


class Hostile:
    """An object that raises at any attribute."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self) -> str:
        """Return something."""
        return "called"


def odd_flags() -> Any:
    """Return a callable whose code is nonsense."""
    mock = Mock()
    mock.__code__ = types.SimpleNamespace(co_flags="many")
    return mock


@types.coroutine
def old_coroutine():
    """Await nothing, as before ``async def``."""
    yield


@pytest.mark.parametrize(
    ("expected", "thing"),
    [
        (PLAIN, print), (PLAIN, int), (PLAIN, get_context), (PLAIN, lambda: 1), (PLAIN, 5),
        (PLAIN, Mock()), (PLAIN, MagicMock()), (PLAIN, odd_flags()),
        (PLAIN, functools.partial(print)), (PLAIN, functools.lru_cache(get_context)),
        (COROUTINE, acoroutine), (COROUTINE, Async()), (COROUTINE, Async().method),
        (COROUTINE, functools.partial(functools.partial(acoroutine))), (COROUTINE, AsyncMock()),
        (COROUTINE, functools.partial(Async())), (COROUTINE, old_coroutine),
        (GENERATOR, steps), (GENERATOR, functools.partial(steps)),
        (ASYNC_GENERATOR, asteps), (ASYNC_GENERATOR, functools.partial(asteps)),
    ],
)  # fmt: skip
def test_kinds_are_told_by_their_code(expected, thing):
    """Functions, methods, partials and objects are told apart; anything else is plain."""
    assert expected == kind_of(thing)


def test_an_object_that_raises_at_any_attribute_is_plain():
    """Asking what it is raises nothing; it is wrapped and called all the same."""
    assert PLAIN == kind_of(Hostile())
    assert "called" == snapshot().wrap(Hostile())()
    assert "called" == snapshot().run(Hostile())


async def context_now() -> dict[str, object]:
    """Return what is bound when it runs."""
    return get_context()


def marked(mark: str) -> Any:
    """Return a plain function that is marked to give a coroutine."""

    def function() -> Any:
        return context_now()

    if mark == "inspect":
        inspect.markcoroutinefunction(function)  # type: ignore[attr-defined,unused-ignore]
    else:
        function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return function


@pytest.mark.parametrize("mark", ["inspect", "asyncio"])
def test_marked_functions_are_coroutine_functions(mark):
    """A plain function that was marked to give a coroutine is awaited within the scope."""
    if mark == "inspect" and sys.version_info < (3, 12):
        mark = "asyncio"
    if mark == "asyncio" and not hasattr(asyncio.coroutines, "_is_coroutine"):
        mark = "inspect"
    function = marked(mark)
    assert COROUTINE == kind_of(function)
    assert {"a": 1} == asyncio.run(scope(a=1)(function)())
    function = marked(mark)
    function.other = 1
    for name in ("_is_coroutine", "_is_coroutine_marker"):
        if hasattr(function, name):
            setattr(function, name, "not the mark")
    assert PLAIN == kind_of(function)


def test_a_marked_object_is_one_too():
    """The mark also counts on an object that can be called."""

    class Marked:
        _is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)
        _is_coroutine_marker = getattr(
            inspect, "_is_coroutine_mark", getattr(inspect, "_is_coroutine_marker", None)
        )

        def __call__(self) -> Any:
            return context_now()

    assert COROUTINE == kind_of(Marked())


def test_snapshots_run_steps_too():
    """A generator under a snapshot sees what was captured, at each step."""
    with scope(a=1):
        taken = snapshot()
    with scope(b=2):
        seen = list(taken.run(steps))
        assert {"b": 2} == get_context()
    assert [{"a": 1, "own": 1, "x": number} for number in range(3)] == seen


@pytest.mark.skipif(
    not AFFECTED, reason="here the collector runs between two steps, never in a set"
)
def test_a_collected_generator_leaves_the_context_it_is_collected_in_alone():
    """On 3.11 it may be collected in the middle of a ContextVar's set: nothing is set there."""
    told: ContextVar[str] = ContextVar("told", default="nothing")

    @scope(a=1)
    def steps() -> Generator[None]:
        try:
            yield
        finally:
            seen.append(get_context())
            told.set("the end")

    seen: list[dict[str, object]] = []
    closed = steps()
    next(closed)
    closed.close()
    assert "the end" == told.get()  # closed by hand: as any generator
    told.set("nothing")
    abandoned: list[object] = [steps()]
    next(abandoned[0])  # type: ignore[call-overload]
    abandoned.append(abandoned)  # only the collector finds it
    before = CURRENT.get()
    del abandoned
    gc.collect()
    assert [{"a": 1}, {"a": 1}] == seen
    assert ("nothing", before) == (told.get(), CURRENT.get())


@pytest.mark.parametrize("makes", [contextmanager, asynccontextmanager], ids=lambda of: of.__name__)
@pytest.mark.parametrize(
    "block", [scope(own=1), entry(own=1), operation("own"), reconcile("a/b")], ids=repr
)
def test_above_contextmanager_is_misuse(makes: Any, block: Any):
    """It would end before the block begins, and what the body binds would stay with the caller."""

    def generator() -> Any:
        yield

    with pytest.raises(UsageError, match="put it below, on the generator generator"):
        block(makes(generator))


def test_below_contextmanager_the_block_has_it():
    """That is what the error asks for: the body's own fields are not the caller's."""

    @contextmanager
    @scope(own=1)
    def below() -> Any:
        bind_context(bound=2)
        yield get_context()

    with below() as seen:
        assert {} == get_context()
    assert {"own": 1, "bound": 2} == seen


def test_as_function_takes_what_contextmanager_made():
    """It is the call that runs under the snapshot, as with wrap: no scope was written above it."""

    @contextmanager
    def block() -> Any:
        yield get_context()

    with as_function(block)() as seen:
        assert {} == seen


def test_an_error_in_a_foreign_context_takes_nothing_of_it_along():
    """A step begun in one context and thrown into from another has none of the other's fields on it."""

    @scope(mine="yes")
    async def steps() -> AsyncGenerator[int]:
        await Suspended()
        yield 1

    step = steps().__anext__()
    copy_context().run(step.send, None)
    with scope(theirs="secret"):
        with pytest.raises(ValueError, match="thrown") as caught:
            step.throw(ValueError("thrown"))
        assert {"theirs": "secret"} == get_context()
    assert [] == [raised.values for raised in raised_under(caught.value)]


class Suspended:
    """An awaitable that waits once."""

    def __await__(self) -> Generator[None]:
        yield


def passing(function: Any) -> Any:
    """Decorate as many do: a plain function that gives what a coroutine function returns."""

    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


@passing
async def behind(fail: BaseException | None = None) -> dict[str, object]:
    """Bind, wait, and return what is bound."""
    bind_context(bound=1)
    await asyncio.sleep(0)
    if fail is not None:
        raise fail
    return get_context()


def test_a_coroutine_function_behind_a_plain_decorator_runs_in_the_scope() -> None:
    """Its body does, not only the call; what it binds stays there, and each call is one run."""

    async def main() -> None:
        for block, fields in (
            (scope(a=1), {"a": 1}),
            (entry({"x-request-id": "r-1"}), {"request_id": "r-1"}),
            (operation("work", a=1), {"a": 1}),
        ):
            with capture() as lines:
                assert {**fields, "bound": 1} == await block(passing(behind))()
                assert {} == get_context()
                with pytest.raises(ValueError, match="bad") as caught:
                    await block(behind)(ValueError("bad"))
                assert 1 == next(raised_under(caught.value)).values["bound"]
                assert {} == get_context()
            closed = [line["outcome"] for line in lines]
            assert (["success", "error"] if type(block) is operation else []) == closed
        with scope(a=2):
            taken = snapshot()
        for under in (taken.wrap(behind), partial(taken.run, behind)):
            with scope(b=3):
                assert {"a": 2, "bound": 1} == await under()
                assert {"b": 3} == get_context()

    asyncio.run(main())


def test_a_plain_function_over_a_coroutine_function_that_returns_something_else() -> None:
    """One that runs the coroutine itself, or gives a task, is called in the scope as it was."""

    @wraps(behind)
    def synchronous() -> Any:
        return asyncio.run(behind())

    assert {"a": 1, "bound": 1} == scope(a=1)(synchronous)()
    with capture() as lines:
        assert {"a": 1, "bound": 1} == operation("work", a=1)(synchronous)()
    assert ["success"] == [line["outcome"] for line in lines]

    @wraps(behind)
    def refused() -> Any:
        raise ValueError("before there is a coroutine")

    with capture() as lines, pytest.raises(ValueError, match="before"):
        operation("work", a=1)(refused)()
    assert ["error"] == [line["outcome"] for line in lines]

    @wraps(behind)
    def started() -> Any:
        return asyncio.ensure_future(behind())

    async def main() -> None:
        assert {"a": 1, "bound": 1} == await scope(a=1)(started)()

    asyncio.run(main())
