"""Raised: an exception takes along the fields it was raised under."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxlog import (
    Secret,
    bind_context,
    entry,
    get_context,
    get_logger,
    lazy,
    operation,
    scope,
    wrap,
)
from ctxlog.context.raised import MAX_CHAIN, raised_under
from ctxlog.testing import capture
from tests.strategies import relaxed

if TYPE_CHECKING:
    from collections.abc import Iterator

log = get_logger(__name__)


def test_a_line_further_out_gets_the_fields_of_the_raise() -> None:
    """Logged outside all scopes, an exception brings what it was raised under."""
    with capture() as lines:
        try:
            with scope(request_id="r-1"), scope(step=2):
                raise ValueError
        except ValueError:
            log.exception("failed")
    line = lines.one(event="failed")
    assert (line["request_id"], line["step"]) == ("r-1", 2)


def test_conflicts_get_their_own_name_and_the_line_keeps_its_own() -> None:
    """Where the line has another value, the exception's goes to exception.fields.<name>."""
    with capture() as lines, scope(attempt=2):
        try:
            with scope(attempt=1):
                raise ValueError
        except ValueError:
            log.exception("failed")
    line = lines.one(event="failed")
    assert (line["attempt"], line["exception.fields.attempt"]) == (2, 1)


def test_a_failure_that_requests_share_gives_none_the_others_fields() -> None:
    """Of a future that failed in one request, another's line has nothing under the names themselves."""

    async def request(name: str, shared: asyncio.Future[None]) -> None:
        with entry({"x-request-id": f"r-{name}"}):
            try:
                if name == "a":
                    with scope(user="alice"):
                        raise ValueError
                await shared
            except ValueError as error:
                if name == "a":
                    shared.set_exception(error)
                log.exception("failed", by=name)

    async def requests() -> None:
        shared = asyncio.get_running_loop().create_future()
        await asyncio.gather(*(request(name, shared) for name in "abc"))

    with capture() as lines:
        asyncio.run(requests())
    assert "alice" == lines.one(by="a")["user"]
    for name in "bc":
        line = lines.one(by=name)
        assert "user" not in line
        assert ("r-a", "alice") == (
            line["exception.fields.request_id"], line["exception.fields.user"]
        )  # fmt: skip
        assert f"r-{name}" == line["request_id"]
        assert line["exception.fields.trace_id"] == lines.one(by="a")["trace_id"]


def served(block: Any, fail: Any) -> dict[str, Any]:
    """Fail in a block, and return the line that a server writes outside of it."""
    with capture() as lines:
        try:
            with block:
                fail()
        except Exception:
            log.exception("failed")
    line: dict[str, Any] = lines.one(event="failed")
    return line


BLOCKS = [
    pytest.param(lambda name: entry({"x-request-id": name}), "request_id", id="entry"),
    pytest.param(lambda name: scope(of=name), "of", id="scope"),
    pytest.param(lambda name: operation("work", of=name), "of", id="operation"),
]


@pytest.mark.parametrize(("block", "field"), BLOCKS)
def test_one_exception_object_raised_by_one_request_after_the_other(block: Any, field: str) -> None:
    """A server's line about the second has the second's fields, and none of the first's."""
    error = ConnectionError("closed")

    def fail(user: str) -> None:
        with scope({f"user.{user}": user}):
            raise error

    for name in ("r-1", "r-2", "r-1"):
        line = served(block(name), lambda name=name: fail(name))
        assert (name, name) == (line[field], line[f"user.{name}"])
        assert not {f"user.{other}" for other in ("r-1", "r-2") if other != name} & line.keys()


@pytest.mark.parametrize("shared", [entry(), scope(part=1)], ids=["entry", "scope"])
def test_one_block_object_and_one_exception_object_for_all_requests(shared: Any) -> None:
    """Who the block belongs to does not tell whose request it is: the second one's is its own."""
    error = ConnectionError("closed")
    seen: list[dict[str, object]] = []

    def first() -> None:
        with shared, contextlib.suppress(ConnectionError):
            seen.append(get_context())
            with scope(user="alice"):
                raise error

    def second() -> None:
        with shared:
            seen.append(get_context())
            raise error

    with scope(of="r-1"):
        first()
    line = served(scope(of="r-2"), second)
    assert seen[0] != seen[1]
    assert seen[1].items() <= line.items()
    assert "user" not in line


@pytest.mark.parametrize(("block", "field"), BLOCKS)
def test_one_failure_of_all_who_wait_for_a_connection(block: Any, field: str) -> None:
    """Each request's line, outside its scopes, is its own; whose line nobody knows has no ids."""

    async def request(name: str, shared: asyncio.Future[None]) -> None:
        try:
            with block(name), scope({f"user.{name}": name}):
                await shared
        except ConnectionError:
            await asyncio.sleep(0)  # the others fail meanwhile
            log.exception("failed", by=name)
            raise

    async def main() -> None:
        shared = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(request(name, shared)) for name in ("r-1", "r-2", "r-3")]
        await asyncio.sleep(0)
        shared.set_exception(ConnectionError("closed"))
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            log.error("behind", exc_info=found)

    with capture() as lines:
        asyncio.run(main())
    for name in ("r-1", "r-2", "r-3"):
        line = lines.one(by=name)
        assert (name, name) == (line[field], line[f"user.{name}"])
        assert [f"user.{name}"] == [each for each in line if each.startswith("user.")]
    behind = [line for line in lines if line["event"] == "behind"]
    assert 3 == len(behind)
    for line in behind:
        assert not {field, "trace_id", "user.r-1", "user.r-2", "user.r-3"} & line.keys()


def test_what_a_handler_binds_on_the_way_out_takes_nothing_away() -> None:
    """It is the same request's exception, also where a name of both has two values."""

    def fail() -> None:
        with scope(attempt=1):
            try:
                with scope(attempt=2, step=3):
                    raise ValueError
            except ValueError:
                bind_context(gave_up=True)
                raise

    line = served(entry({"x-request-id": "r-1"}), fail)
    assert ("r-1", 3, True) == (line["request_id"], line["step"], line["gave_up"])


def test_a_job_that_failed_is_its_requests_also_further_out() -> None:
    """What came from a thread or a task keeps the innermost fields; the submitter's agree."""

    def job() -> None:
        with scope(step=2):
            raise ValueError

    async def child() -> None:
        with scope(step=2):
            raise ValueError

    async def waiting() -> None:
        await asyncio.create_task(child())

    with ThreadPoolExecutor(1) as pool:
        in_thread = served(entry(None, {"a": 1}), lambda: pool.submit(wrap(job)).result())
    in_task = served(entry(None, {"a": 1}), lambda: asyncio.run(waiting()))
    for line in (in_thread, in_task):
        assert (1, 2) == (line["a"], line["step"])


def test_what_is_left_of_a_group_that_was_handled_in_part_keeps_its_fields() -> None:
    """``except*`` makes a new group of the rest; others unwrap a group's only member."""

    def handled_in_part() -> None:
        try:
            with entry({"x-request-id": "r-1"}):
                raise ExceptionGroup("both", [ValueError(), KeyError()])
        except* KeyError:
            pass

    def unwrapped() -> None:
        try:
            with entry({"x-request-id": "r-1"}):
                raise ExceptionGroup("one", [ExceptionGroup("inner", [ValueError()])])
        except ExceptionGroup as group:
            inner: Any = group.exceptions[0]
            raise inner.exceptions[0] from None

    for fail in (handled_in_part, unwrapped):
        line = served(contextlib.nullcontext(), fail)
        assert "r-1" == line["request_id"]
        assert 32 == len(line["trace_id"])


def test_a_group_of_several_requests_failures_is_nobodys() -> None:
    """A supervisor's line about all of them has what they share, and no one's ids."""

    def request(name: str) -> Exception:
        try:
            with scope(service="shop"), entry({"x-request-id": name}, {"part": 1}):
                raise ValueError(name)
        except ValueError as error:
            return error

    failures = [request("r-1"), request("r-2")]
    with capture() as lines:
        log.error("of two", exc_info=ExceptionGroup("failed", failures))
        log.error("of one", exc_info=ExceptionGroup("failed", failures[:1]))
        log.error("of another", exc_info=ExceptionGroup("failed", [*failures[:1], KeyError()]))
    line = lines.one(event="of two")
    assert 1 == line["part"]
    assert not {"request_id", "trace_id"} & line.keys()
    assert "r-1" == lines.one(event="of one")["request_id"]
    assert "request_id" not in lines.one(event="of another")


@settings(relaxed)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 3), st.booleans())))
def test_whoever_raises_an_error_again_has_its_own_line(
    flights: list[tuple[int, int, int, bool]],
) -> None:
    """Of errors raised again and again, in any context, depth and way, no line has another's."""
    contexts = [copy_context() for _ in range(3)]
    errors = [ValueError(), KeyError()]

    def fail(error: Exception, number: int, depth: int) -> None:
        with scope({"depth": depth, f"only.{number}.{depth}": True}):
            if depth:
                fail(error, number, depth - 1)
            raise error

    for number, (where, which, depth, wrapped) in enumerate(flights):
        failing = partial(fail, errors[which], number, depth)
        call = partial(call_wrapped, failing) if wrapped else failing
        line = contexts[where].run(served, scope(flight=number), call)
        assert number == line["flight"]
        assert wrapped or 0 == line["depth"]  # the innermost that this one has left
        others = [name for name in line if name.startswith("only.")]
        assert all(name.startswith(f"only.{number}.") for name in others)


def call_wrapped(function: Any) -> None:
    """Call a function under the context of now."""
    wrap(function)()


def test_the_first_scope_left_wins() -> None:
    """What an inner scope put on the exception is not replaced by an outer one."""
    with pytest.raises(ValueError) as caught, scope(a="outer"), scope(a="inner"):
        raise ValueError
    (raised,) = raised_under(caught.value)
    assert {"a": "inner"} == raised.values


def test_ids_of_the_entry_travel_too() -> None:
    """A line with no ids of its own gets those of the entry; one with others keeps them apart."""
    with capture() as lines:
        try:
            with entry({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}):
                raise ValueError
        except ValueError:
            log.exception("bare")
            with entry():
                log.exception("elsewhere")
    assert lines.one(event="bare")["trace_id"] == "a" * 32
    line = lines.one(event="elsewhere")
    assert line["trace_id"] != "a" * 32
    assert line["exception.fields.trace_id"] == "a" * 32


def test_causes_fill_gaps_too() -> None:
    """What a cause was raised under is on the line that logs the exception it became."""
    with capture() as lines:
        try:
            try:
                with scope(job=7):
                    raise KeyError
            except KeyError as error:
                with scope(outer=1):
                    raise ValueError from error
        except ValueError:
            log.exception("failed")
    line = lines.one(event="failed")
    assert (line["outer"], line["job"]) == (1, 7)


def test_from_a_pool_job_and_a_decorated_generator() -> None:
    """An exception out of a wrapped job, or a generator's step, has that job's fields."""

    @scope(walk=3)
    def walk() -> Iterator[int]:
        yield 1
        raise ValueError

    def job() -> None:
        raise ValueError

    with capture() as lines, ThreadPoolExecutor(1) as pool:
        with scope(request_id="r-1"):
            future = pool.submit(wrap(job))
        error = future.exception()
        log.error("job", exc_info=error)
        try:
            list(walk())
        except ValueError:
            log.exception("walk")
    assert lines.one(event="job")["request_id"] == "r-1"
    assert lines.one(event="walk")["walk"] == 3


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])  # fmt: skip
def test_control_flow_takes_nothing_along(kind: type[BaseException]) -> None:
    """The ends of iterators, cancellation and interrupts carry no fields."""
    with pytest.raises(kind) as caught, scope(a=1):
        raise kind
    assert [] == list(raised_under(caught.value))


@pytest.mark.parametrize(
    "error",
    [BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()]), SystemExit(1)],
    ids=["group", "exit"],
)
def test_what_is_no_exception_but_no_control_flow_either(error: BaseException) -> None:
    """A server logs an exit, and a task group's failure, as any: with the fields of the raise."""
    with capture() as lines:
        try:
            with scope(request_id="r-1"):
                raise error
        except BaseException:
            log.exception("failed")
    assert "r-1" == lines.one(event="failed")["request_id"]


@pytest.mark.ctxlog(guard="off")  # what it tests
@pytest.mark.parametrize(
    "block", [scope(a=1), entry(None, {"a": 1}), operation("a", a=1)], ids=repr
)
def test_a_block_left_in_another_context_takes_nothing_of_it(block: Any) -> None:
    """What is current there is another's, who is not to be found on the exception."""
    error = ValueError()
    copy_context().run(block.__enter__)
    with scope(request_id="r-b"):
        block.__exit__(ValueError, error, None)
    assert [] == list(raised_under(error))


def test_cancellation_in_a_group_takes_nothing_along() -> None:
    """A task group's that holds nothing but cancellation, however deep, is control flow."""
    inner = BaseExceptionGroup("", [asyncio.CancelledError()])
    group = BaseExceptionGroup("", [asyncio.CancelledError(), inner])
    with pytest.raises(BaseExceptionGroup) as caught, scope(a=1):
        raise group
    assert [] == list(raised_under(caught.value))


def test_an_exception_still_pickles_whatever_was_bound() -> None:
    """Secrets and lazy values go as text: an exception must come back from another process."""
    with (
        pytest.raises(ValueError) as caught,
        entry(
            None,
            {
                "token": Secret("hunter2"),
                "late": lazy(lambda: 1),
                "deep": {"t": (Secret("hunter2"),)},
            },
        ),
    ):
        raise ValueError("bad")
    back = pickle.loads(pickle.dumps(caught.value))
    (raised,) = raised_under(back)
    assert back.args == ("bad",)
    assert "hunter2" not in str(raised.values)
    assert raised.ids is not None


def test_a_chain_without_end_is_cut() -> None:
    """A cycle of causes ends after a bounded number of steps."""
    one, two = ValueError(1), ValueError(2)
    for error in (one, two):
        with pytest.raises(ValueError), scope(n=error.args[0]):
            raise error
    one.__cause__, two.__cause__ = two, one
    assert len(list(raised_under(one))) == MAX_CHAIN


def test_values_that_cannot_be_compared_count_as_conflicts() -> None:
    """A call field whose comparison raises does not break the line."""

    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

    with capture() as lines:
        try:
            with scope(a=1):
                raise ValueError
        except ValueError:
            log.exception("failed", a=Odd())
    assert lines.one(event="failed")["exception.fields.a"] == 1


def boom(*_: Any) -> Any:
    """Raise, whatever is asked."""
    raise RuntimeError("boom")


class HidesItsClassError(Exception):
    """Raises when its class is asked for."""

    __class__: Any = property(boom)


class HidesItsFieldsError(Exception):
    """Raises when what it holds is asked for."""

    __dict__: Any = property(boom)


class HidesAllError(Exception):
    """Raises whatever attribute is asked for."""

    __getattribute__: Any = boom


class HidesItsCauseError(Exception):
    """Raises when it is asked what it comes from."""

    __cause__: Any = property(boom)
    __context__: Any = property(boom)
    __suppress_context__: Any = property(boom)


class HasNoTruthError(Exception):
    """Cannot be asked whether it is true."""

    __bool__: Any = boom


class HidesItsMembersGroup(BaseExceptionGroup[Any]):
    """A group that raises when its members are asked for."""

    exceptions: Any = property(boom)


HOSTILE: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        HidesItsClassError, HidesItsFieldsError, HidesAllError, HidesItsCauseError, HasNoTruthError,
    )
} | {"group": lambda: HidesItsMembersGroup("g", [ValueError()])}  # fmt: skip


@pytest.mark.parametrize("block", [scope, entry, operation], ids=["scope", "entry", "operation"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_exception_leaves_the_block_and_its_fields_go_along(
    block: Any, name: str
) -> None:
    """It comes out itself, nothing stays bound, and the line that logs it says what it is."""
    error = HOSTILE[name]()
    given: tuple[Any, ...] = ("job",) if block is operation else ()
    with capture() as lines:
        try:
            with block(*given, n=1):
                raise error
        except BaseException as caught:  # noqa: BLE001 - whatever came out
            same = caught is error
        assert (same, "n" in get_context()) == (True, False)
        log.error("failed", exc_info=error)
        log.error("behind", exc_info=_caused_by(error))
    for event in ("failed", "behind"):
        line = lines.one(event=event)
        assert (line["n"], line["exception.type"][:1] != "") == (1, True)
        assert "ctxlog.errors" not in line


def _caused_by(error: BaseException) -> BaseException:
    try:
        raise ValueError("v") from error
    except ValueError as caught:
        return caught


def test_a_group_that_holds_itself_many_times_over_is_looked_through_once() -> None:
    """Groups that share their members have more paths than anybody could walk."""
    group: Any = asyncio.CancelledError()
    for _ in range(200):
        group = BaseExceptionGroup("g", [group, group])
    with pytest.raises(BaseExceptionGroup), scope(n=1):
        raise group
    assert list(raised_under(group)) == []
