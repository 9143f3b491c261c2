"""Snapshot: captured once, entered anywhere, by many threads at once; wrapped callables."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from threading import Barrier, Thread
from typing import Any

import pytest

from ctxlog.context.accessors import register_accessor, unregister_accessor
from ctxlog.context.fields import bind_context, get_context, policy
from ctxlog.context.raised import raised_under
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import Snapshot, snapshot, wrap
from ctxlog.context.wrapped import Wrapped
from ctxlog.counting import counters
from ctxlog.entries import entry
from ctxlog.errors import UsageError
from ctxlog.logger import get_logger
from ctxlog.testing import capture
from tests.context.things import Tenant, tenant

foreign: ContextVar[str] = ContextVar("foreign", default="unset")


def taken(**fields: object) -> Snapshot:
    """Return a snapshot of these fields alone."""
    with scope(fields):
        return snapshot()


async def acontext(extra: int = 0) -> dict[str, object]:
    """Return what is bound once it has been waited for."""
    await asyncio.sleep(0)
    return {**get_context(), **({"extra": extra} if extra else {})}


def gcontext():
    """Yield what is bound."""
    yield get_context()
    yield get_context()


async def agcontext():
    """Yield what is bound."""
    yield get_context()


class Service:
    """Callables of every kind."""

    def method(self) -> dict[str, object]:
        """Return what is bound."""
        return get_context()

    async def amethod(self) -> dict[str, object]:
        """Return what is bound."""
        return get_context()

    def __call__(self) -> dict[str, object]:
        """Return what is bound."""
        return get_context()


class AsyncService:
    """An object whose call is a coroutine."""

    async def __call__(self) -> dict[str, object]:
        """Return what is bound."""
        return get_context()


# -- capture, run, scope --------------------------------------------------------------------------


def test_a_snapshot_never_changes():
    """What is bound after it was taken, in the scope or a copy of it, does not show."""
    with scope(a=[1]):
        first = snapshot()
        bind_context(b=2)
        first.values()["a"] = "changed"
    assert {"a": [1]} == first.values()
    assert "<snapshot a>" == repr(first)
    assert first is copy.copy(first) is copy.deepcopy(first)


def test_running_replaces_and_never_merges():
    """Under a snapshot nothing shows of where it runs; afterwards all is there again."""
    first = taken(a=1)
    with scope(b=2):
        assert {"a": 1} == first.run(get_context)
        assert {"b": 2} == get_context()
    assert {} == taken().run(get_context)


def test_what_a_run_binds_stays_in_it():
    """Binds, and other libraries' variables, set in a run do not come out of it."""
    first = taken(a=1)

    def work(extra: int, *, more: int) -> dict[str, object]:
        bind_context(extra=extra, more=more)
        foreign.set("changed")
        return get_context()

    foreign.set("mine")
    assert {"a": 1, "extra": 2, "more": 3} == first.run(work, 2, more=3)
    assert {"a": 1} == first.run(get_context)
    assert "mine" == foreign.get()


def test_other_variables_are_those_of_the_caller():
    """A job sees the worker's own variables: only what we own is carried."""
    first = taken(a=1)
    foreign.set("worker's")
    assert "worker's" == first.run(foreign.get)
    assert "worker's" == first.wrap(foreign.get)()


def test_binding_in_a_run_is_within_a_scope(monkeypatch):
    """In strict mode a job may bind: it goes with the job."""
    monkeypatch.setattr(policy, "strict", True)
    snapshot().run(bind_context, a=1)
    wrap(bind_context)(a=1)
    assert {} == get_context()


def test_a_block_under_a_snapshot_gives_back():
    """The scope of a snapshot replaces, and puts back what was there, also after an exception."""
    first = taken(a=1)
    with scope(b=2):
        with pytest.raises(KeyError), first.scope():
            bind_context(c=3)
            assert {"a": 1, "c": 3} == get_context()
            raise KeyError("x")
        assert {"b": 2} == get_context()


def test_one_block_entered_twice_gives_back_twice():
    """The same block object may be nested, and used by threads at once."""
    register_accessor(Tenant())
    try:
        tenant.set("first")
        block = snapshot().scope()
        tenant.set("mine")
        with block:
            tenant.set("inner")
            with block:
                assert "first" == tenant.get()
            assert "inner" == tenant.get()
        assert "mine" == tenant.get()
    finally:
        unregister_accessor("tenant")


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_a_block_left_in_another_context_changes_nothing_there():
    """Leaving where it was not entered counts; what is carried stays as it is there."""
    register_accessor(Tenant())
    try:
        tenant.set("first")
        block = snapshot().scope()
        elsewhere = copy_context()
        block.__enter__()
        elsewhere.run(tenant.set, "elsewhere")
        before = counters["context.foreign_exit"], counters["errors.accessor"]
        elsewhere.run(block.__exit__, None, None, None)
        assert (before[0] + 1, before[1]) == (
            counters["context.foreign_exit"], counters["errors.accessor"],
        )  # fmt: skip
        assert "elsewhere" == elsewhere.run(tenant.get)
    finally:
        unregister_accessor("tenant")


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_leaving_an_outer_scope_in_a_run_changes_nothing_outside():
    """A scope entered outside cannot be left from inside a run."""
    with scope(a=1) as block:
        first = snapshot()
        before = counters["context.foreign_exit"]
        first.run(block.__exit__, None, None, None)
        assert before + 1 == counters["context.foreign_exit"]
        assert {"a": 1} == get_context()


def test_many_threads_enter_one_snapshot_at_once():
    """Sixteen threads run, wrap and enter two snapshots in turn; none sees another's fields."""
    snapshots = [taken(request=number) for number in range(2)]
    wrapped = [each.wrap(get_context) for each in snapshots]
    barrier, wrong = Barrier(16), []

    def work(mine: int) -> None:
        bind_context(worker=mine)
        for turn in range(30):
            barrier.wait()
            which = (mine + turn) % 2
            expected = {"request": which}
            with snapshots[which].scope():
                inside = get_context()
            found = [inside, wrapped[which](), snapshots[which].run(get_context)]
            if [expected] * 3 != found or get_context() != {"worker": mine}:
                wrong.append(found)

    threads = [Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


def test_a_worker_keeps_nothing_of_a_job():
    """The next job of the same worker sees its own submitter's fields alone."""

    def job() -> dict[str, object]:
        found = get_context()
        bind_context(left="behind")
        return found

    with ThreadPoolExecutor(1) as pool:
        jobs = [taken(job=number).wrap(job) for number in range(3)]
        results = [future.result() for future in map(pool.submit, jobs)]
        assert [{"job": number} for number in range(3)] == results
        assert {} == pool.submit(get_context).result()


def test_run_takes_every_kind_of_function():
    """A coroutine runs under the snapshot when awaited, a generator at each step."""
    first = taken(a=1)

    async def main() -> None:
        with scope(b=2):
            assert {"a": 1, "extra": 5} == await first.run(acontext, 5)
            assert [{"a": 1}] == [found async for found in first.run(agcontext)]
            assert {"b": 2} == get_context()

    asyncio.run(main())
    assert [{"a": 1}, {"a": 1}] == list(first.run(gcontext))
    assert {"a": 1} == first.run(functools.partial(get_context))


@pytest.mark.parametrize("thing", [None, 5, "text"])
def test_what_cannot_be_called_is_misuse(thing):
    """Run and wrap say what they take."""
    with pytest.raises(UsageError, match="run takes a callable"):
        snapshot().run(thing)
    with pytest.raises(UsageError, match="wrap takes a callable"):
        wrap(thing)


def test_ids_are_those_of_the_entry():
    """Without OpenTelemetry's context the entry's own ids are captured."""
    with entry():
        first = snapshot()
    assert first.ids is first.fields.ids
    assert first.ids is not None
    assert taken().ids is None


def test_a_logger_writes_under_a_snapshot_without_entering_it():
    """using() puts the snapshot's fields and ids on the line; the context stays."""
    with entry({"x-request-id": "r-1"}):
        first = snapshot()
    with capture() as lines, scope(other=1):
        get_logger("t").using(first).info("pinned")
        assert {"other": 1} == get_context()
    line = lines.one(event="pinned")
    assert first.ids is not None
    assert ("r-1", first.ids.trace_id) == (line["request_id"], line["trace_id"])
    assert "other" not in line


# -- wrapped callables ----------------------------------------------------------------------------


def callables() -> dict[str, Any]:
    """Return one callable of every kind."""
    service = Service()
    return {
        "function": get_context, "lambda": lambda *_: get_context(), "method": service.method,
        "object": service, "partial": functools.partial(get_context), "builtin": len, "class": dict,
        "coroutine": acontext, "coroutine method": service.amethod, "async object": AsyncService(),
        "coroutine partial": functools.partial(acontext, 0), "generator": gcontext,
        "generator partial": functools.partial(gcontext), "async generator": agcontext,
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(callables()))
def test_equal_and_hash_equal_to_what_it_wraps(kind):
    """Registries of any sort find a wrapped callable by the callable, and the other way round."""
    function = callables()[kind]
    wrapped: Any = taken(a=1).wrap(function)
    assert wrapped == function
    assert function == wrapped
    assert wrapped == taken(b=2).wrap(function)
    assert hash(function) == hash(wrapped)
    assert function in {wrapped: 1}
    assert 0 == [function].index(wrapped)
    assert wrapped != print
    assert function is wrapped.__wrapped__


@pytest.mark.parametrize("kind", ["function", "lambda", "method", "object", "partial"])
def test_plain_callables_run_under_the_snapshot(kind):
    """Each kind of callable sees what was captured, and leaves the caller's fields."""
    wrapped = taken(a=1).wrap(callables()[kind])
    with scope(b=2):
        assert {"a": 1} == wrapped()
        assert {"b": 2} == get_context()


@pytest.mark.parametrize(
    "kind", ["coroutine", "coroutine method", "async object", "coroutine partial"]
)
def test_coroutine_functions_stay_coroutine_functions(kind):
    """Asyncio and inspect tell a wrapped coroutine function, whose body sees what was captured."""
    wrapped = taken(a=1).wrap(callables()[kind])
    assert inspect.iscoroutinefunction(wrapped)
    if sys.version_info < (3, 14):  # frameworks still ask it
        assert getattr(asyncio, "iscoroutinefunction")(wrapped)  # noqa: B009 - deprecated

    async def main() -> None:
        with scope(b=2):
            assert {"a": 1} == await wrapped()
            assert {"b": 2} == get_context()

    asyncio.run(main())


def test_generator_functions_stay_generator_functions():
    """Inspect tells wrapped generator functions, plain and async, functions and partials."""
    for kind in ("generator", "generator partial"):
        wrapped = taken(a=1).wrap(callables()[kind])
        assert inspect.isgeneratorfunction(wrapped)
        assert [{"a": 1}, {"a": 1}] == list(wrapped())
    assert inspect.isasyncgenfunction(wrap(agcontext))
    for kind in ("function", "object", "builtin", "partial"):
        wrapped = wrap(callables()[kind])
        assert not inspect.iscoroutinefunction(wrapped)
        assert not inspect.isgeneratorfunction(wrapped)


def test_it_has_the_attributes_of_what_it_wraps():
    """Names, signatures and attributes are the callable's; what it has not, this has not."""
    wrapped: Any = wrap(acontext)
    assert "acontext" == wrapped.__name__
    assert inspect.signature(acontext) == inspect.signature(wrapped)
    with pytest.raises(AttributeError):
        _ = wrapped.missing
    with pytest.raises(AttributeError):
        _ = wrap(functools.partial(print)).__name__
    assert "under <snapshot a>" in repr(taken(a=1).wrap(print))


def test_one_without_its_parts_is_no_endless_loop():
    """A half-made one, as copying makes it, raises AttributeError alone."""
    with pytest.raises(AttributeError):
        _ = Wrapped.__new__(Wrapped).anything


def test_it_may_be_referred_to_weakly_and_wrapped_again():
    """Weak registries hold it; of two snapshots the first one counts."""
    wrapped = taken(a=1).wrap(get_context)
    assert weakref.ref(wrapped)() is wrapped
    again = taken(b=2).wrap(wrapped)
    assert {"a": 1} == again()
    assert again == get_context
    assert {"a": 1} == asyncio.run(taken(b=2).wrap(taken(a=1).wrap(acontext))())


def test_a_wrapped_function_in_a_class_is_a_method():
    """Looked up on an instance it is bound, as the function would be; a builtin is not."""
    first = taken(a=1)

    class Owner:
        method = first.wrap(lambda self: (self, get_context()))
        amethod = first.wrap(Service.amethod)
        length = first.wrap(len)

    owner: Any = Owner()
    assert (owner, {"a": 1}) == owner.method()
    assert {"a": 1} == asyncio.run(owner.amethod())
    assert 2 == owner.length([1, 2])
    assert (owner, {"a": 1}) == Owner.method(owner)


def test_arguments_go_through_whatever_they_are_called():
    """No argument name is taken."""
    assert {"self": 1, "function": 2, "context": 3} == wrap(dict)(self=1, function=2, context=3)
    assert 5 == snapshot().run(max, 4, 5)


def test_an_accessor_registered_later_is_cleared():
    """What was not captured must not show: under an older snapshot a newer accessor has nothing."""
    wrapped, first = wrap(tenant.get), snapshot()
    register_accessor(Tenant())
    try:
        tenant.set("worker's")
        assert "MISSING" == repr(wrapped())
        assert "MISSING" == repr(first.run(tenant.get))
        with first.scope():
            assert "MISSING" == repr(tenant.get())
        assert "worker's" == tenant.get()
        assert "worker's" == wrap(tenant.get)()
    finally:
        unregister_accessor("tenant")


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_an_error_in_a_foreign_context_takes_nothing_of_it_along():
    """A block that another context leaves puts none of that one's fields on the error."""
    with scope(mine="yes"):
        block = snapshot().scope()
    copy_context().run(block.__enter__)
    error = ValueError("thrown")
    with scope(theirs="secret"):
        block.__exit__(ValueError, error, None)
        assert {"theirs": "secret"} == get_context()
    assert [] == [raised.values for raised in raised_under(error)]
