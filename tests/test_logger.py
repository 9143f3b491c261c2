"""Logger: structlog's filtering logger, typed and late-bound, also from coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import pickle
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import structlog

import ctxlog
from ctxlog.context.accessors import MISSING, register_accessor, unregister_accessor
from ctxlog.context.fields import policy
from ctxlog.context.providers import add_provider, remove_provider
from ctxlog.errors import UsageError
from ctxlog.logger import BoundLogger, get_logger
from ctxlog.testing import capture
from tests.kit import configured, moved
from tests.strategies import BoomError

if TYPE_CHECKING:
    from collections.abc import Generator

METHODS = {
    "debug": "debug", "info": "info", "warning": "warning", "warn": "warning", "error": "error",
    "err": "error", "critical": "critical", "fatal": "critical", "msg": "info",
}  # fmt: skip


def test_it_has_structlogs_methods():
    """Every public method of structlog's ``FilteringBoundLogger`` is there, async where theirs is."""
    theirs = structlog.typing.FilteringBoundLogger
    for name in dir(theirs):
        if not name.startswith("_"):
            ours = getattr(BoundLogger, name)
            assert inspect.iscoroutinefunction(
                getattr(theirs, name)
            ) == inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize(("method", "level"), METHODS.items())
def test_each_level_has_methods(method, level):
    """Each method writes at its level, with positional arguments and fields."""
    with configured() as written:
        getattr(get_logger("shop"), method)("%d of %s", 3, "bob", a=1)
    event = written.event
    assert (level, "3 of bob", 1) == (event["level"], event["event"], event["a"])


@pytest.mark.parametrize(("method", "level"), METHODS.items())
def test_each_level_has_an_async_method(method, level):
    """The async methods write the same, with the caller's context and call site."""
    if not hasattr(BoundLogger, f"a{method}"):
        pytest.skip("structlog has none either")

    async def work() -> None:
        with ctxlog.entry(request_id="r-1"):
            await getattr(get_logger("shop"), f"a{method}")("%d", 3, a=1, stack_info=True)

    with configured(callsite=True) as written:
        asyncio.run(work())
    event = written.event
    assert (level, "3", 1, "r-1") == (
        event["level"],
        event["event"],
        event["a"],
        event["request_id"],
    )
    assert (__file__, f"{__name__}.{work.__qualname__}") == (
        event["code.file.path"], event["code.function.name"]
    )  # fmt: skip
    assert "in work" in event["code.stacktrace"]


@pytest.mark.parametrize("how", ["aexception", "aerror", "one"])
def test_async_exceptions(how):
    """The exception being handled where the method is awaited is the one on the line."""

    async def work() -> None:
        log = get_logger("shop")
        try:
            raise BoomError("no")
        except BoomError:
            if how == "aexception":
                await log.aexception("e")
            else:
                await log.aerror("e", exc_info=True if how == "aerror" else 1)

    with configured() as written:
        asyncio.run(work())
    assert "no" == written.event["exception.message"]


def test_async_stacklevel_and_disabled():
    """``stacklevel`` counts from the awaiting coroutine; a disabled level does nothing."""

    async def helper() -> None:
        await get_logger("shop").ainfo("e", stacklevel=2)
        await get_logger("shop").adebug("no")

    async def work() -> None:
        await helper()

    with configured(callsite=True, level="info") as written:
        asyncio.run(work())
    assert written.event["code.function.name"].endswith("work")


def test_async_without_an_executor():
    """When the executor takes no more work the line is written at once."""

    async def work() -> None:
        await asyncio.get_running_loop().shutdown_default_executor()
        await get_logger("shop").ainfo("e")

    with configured() as written:
        asyncio.run(work())
    assert "e" == written.event["event"]


@pytest.mark.parametrize(("level", "name"), [
    ("notice", "notice"), ("TRACE", "trace"), (5, "trace"), (25, "notice"), (33, "level 33"),
    ("35", "level 35"), ("exception", "error"),
])  # fmt: skip
def test_log_takes_any_level(level, name):
    """A level is a name, in any case, or a number."""
    with configured() as written:
        get_logger("shop").log(level, "e")
        asyncio.run(get_logger("shop").alog(level, "e"))
    assert [name, name] == [event["level"] for event in written.events]


def test_an_unknown_level_does_not_raise():
    """It goes out as an error that says so; ``strict`` raises."""
    with configured() as written, moved("errors.level") as by:
        get_logger("shop").log("loud", "e", a=1)
        asyncio.run(get_logger("shop").alog(1.5, "e"))  # type: ignore[arg-type]
    first, _ = written.events
    assert ("error", 1) == (first["level"], first["a"])
    assert "unknown level 'loud'" in first["level_error"]
    assert {"errors.level": 2} == by
    with configured(strict=True), pytest.raises(UsageError):
        get_logger("shop").log("loud", "e")
    assert not policy.strict


def test_binding_makes_other_loggers():
    """``bind``, ``new``, ``unbind`` and ``try_unbind`` leave the logger they are called on alone."""
    log = get_logger("shop", {"user.id": 1}, a=1)
    assert log.fields is not None
    assert {"user.id": 1, "a": 1} == log.fields.values
    bound = log.bind(b=2).unbind("a").try_unbind("never")
    assert bound.fields is not None
    assert {"user.id": 1, "b": 2} == bound.fields.values
    assert None is bound.new().try_unbind("x").fields
    with pytest.raises(KeyError):
        log.unbind("never")
    with pytest.raises(KeyError):
        get_logger("x").unbind("never")
    assert None is get_logger("x").try_unbind("never").fields
    assert "<logger shop user.id, a>" == repr(log)
    assert "<logger x>" == repr(get_logger("x"))


def test_using_a_snapshot():
    """A line is written under the snapshot's context, ids included, wherever the call is."""
    with ctxlog.entry(request_id="r-1"):
        taken = ctxlog.snapshot()
    with configured() as written, ctxlog.entry(request_id="other"):
        get_logger("shop").using(taken).bind(a=1).info("e")
    event = written.event
    assert ("r-1", 1) == (event["request_id"], event["a"])
    assert taken.ids is not None
    assert taken.ids.trace_id == event["trace_id"]
    with pytest.raises(UsageError, match="takes a snapshot, not int"):
        get_logger("shop").using(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_configured", [True, False])
def test_using_reads_providers_under_the_snapshot(
    is_configured: bool,
    caplog: pytest.LogCaptureFixture,
):
    """What a registered library's context holds is the snapshot's, not the writing request's."""
    with registered() as user:
        user.set(7)
        taken = ctxlog.snapshot()
        user.set(9)
        if is_configured:
            with configured() as written:
                get_logger("shop").using(taken).info("e")
                get_logger("shop").info("here")
            assert [7, 9] == [event["user_id"] for event in written.events]
        else:
            with caplog.at_level("INFO", "shop"):
                get_logger("shop").using(taken).info("e")
            assert [7] == [vars(record)["user_id"] for record in caplog.records]


@contextmanager
def registered() -> Generator[ContextVar[int]]:
    """Register a variable of the application's, shown on lines and carried by snapshots."""
    user: ContextVar[int] = ContextVar("user")

    class User:
        name = "user"

        def capture(self) -> Any:
            return user.get(MISSING)

        def enter(self, value: Any) -> Any:
            return user.set(value)

        def leave(self, undo: Any) -> None:
            user.reset(undo)

    def provider() -> dict[str, object]:
        return {"user_id": user.get(None)}

    register_accessor(User())
    add_provider(provider, foreign=True)
    try:
        yield user
    finally:
        remove_provider(provider)
        unregister_accessor("user")


def test_a_lone_keyword_event_is_the_event():
    """``info(event="x")`` says x, as with structlog; beside a positional one it is a field."""
    log = get_logger("shop")
    with configured() as written:
        log.info(event="lone", n=1)
        log.exception(event="failed")
        log.log("info", event=("odd", 1))
        log.info("said", event="field")
        asyncio.run(log.ainfo(event="later"))
    events = written.events
    assert ["lone", "failed", "['odd', 1]", "said", "later"] == [line["event"] for line in events]
    assert [None, None, None, "field", None] == [line.get("fields.event") for line in events]
    assert 1 == events[0]["n"]


def test_a_lone_keyword_among_names_that_cannot_be_compared():
    """A name that raises when it is compared costs itself, never the caller."""

    class Odd(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return hash("event")

        def __eq__(self, other: object) -> bool:
            raise BoomError("no")

    with configured() as written:
        get_logger("shop").info(**{Odd("odd"): 1})
        get_logger("shop").info("said", n=2, **{Odd("odd"): 1})
    first, second = written.events
    assert ("None", 1) == (first["event"], first["odd"])
    assert ("said", 1, 2) == (second["event"], second["odd"], second["n"])
    assert ["pipeline: BoomError: no"] == first["ctxlog.errors"] == second["ctxlog.errors"]


def test_a_lone_keyword_event_is_what_a_test_sees():
    """A capture knows it as the event, with a configuration and without one."""
    for configure in (configured, contextlib.nullcontext):
        with configure(), capture() as seen:
            get_logger("shop").info(event="lone", n=1)
        assert 1 == seen.one(event="lone")["n"]


def test_a_snapshot_whose_ids_cannot_be_read(monkeypatch):
    """A snapshot whose span raises costs its ids, not the line."""

    def boom(_: object) -> None:
        raise BoomError("no")

    taken = ctxlog.snapshot()
    monkeypatch.setattr(ctxlog.Snapshot, "ids", property(boom))
    with configured() as written:
        get_logger("shop").using(taken).info("e")
    assert ["ids: BoomError: no"] == written.event["ctxlog.errors"]


def test_copies_and_pickles():
    """A copy is the logger itself; a pickle makes an equal one."""
    log = get_logger("shop", a=(1, 2))
    assert log is copy.copy(log)
    assert log is copy.deepcopy(log)
    again = pickle.loads(pickle.dumps(log))
    assert again.fields is not None
    assert ("shop", {"a": (1, 2)}) == (again.name, again.fields.values)
    with ctxlog.scope(b=1):
        made, arguments = log.using(ctxlog.snapshot()).__reduce__()
    assert {"b": 1} == made(*arguments).pinned.values()


def test_names():
    """A name is text; without one it is the root's; a subclass of str is taken as text."""
    assert "root" == get_logger().name

    class Odd(str):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

    assert "shop" == get_logger(Odd("shop")).name
    with pytest.raises(UsageError, match="text, not int"):
        get_logger(3)  # type: ignore[arg-type]


def test_levels_can_be_asked():
    """``is_enabled_for`` takes names and numbers."""
    with configured(level="warning"):
        log = get_logger("shop")
        assert (False, True, False) == (
            log.is_enabled_for("info"), log.is_enabled_for(30), log.is_enabled_for("debug")
        )  # fmt: skip
