"""Operations: a named unit of work, one closing line, annotations from everywhere below."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from ctxlog import annotate, operation, scope, time_left, wrap
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.operations import MAX_ANNOTATIONS
from ctxlog.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def test_closing_line_holds_fields_annotations_outcome_and_duration() -> None:
    """An operation that ends well writes one info line with all that was annotated."""
    with capture() as lines, operation("import", {"k8s.object.name": "db"}, source="s3"):
        annotate(rows=3)
        annotate({"user.id": 7}, rows=4)
    (line,) = lines
    assert line["event"] == "import"
    assert line["level"] == "info"
    assert line["logger"] == __name__
    assert {"k8s.object.name": "db", "source": "s3", "rows": 4, "user.id": 7} == {
        name: line[name] for name in ("k8s.object.name", "source", "rows", "user.id")
    }
    assert line["outcome"] == "success"
    assert line["duration_s"] >= 0


def test_what_is_bound_inside_is_on_the_closing_line_and_gone_after_it() -> None:
    """bind_context inside an operation shows on its closing line and not behind it."""
    with capture() as lines, operation("import"):
        ctxlog.bind_context(tenant="acme")
    assert lines.one(event="import")["tenant"] == "acme"
    assert ctxlog.get_context() == {}


def test_annotations_arrive_from_tasks_threads_and_callbacks() -> None:
    """Child tasks, to_thread, wrapped pool jobs and callbacks annotate the same operation."""

    async def child(number: int) -> None:
        await asyncio.sleep(0)
        annotate({f"child{number}": True})

    async def main() -> None:
        with operation("parent"), ThreadPoolExecutor(1) as pool:
            await asyncio.gather(child(1), child(2))
            await asyncio.to_thread(annotate, thread=True)
            await asyncio.wrap_future(pool.submit(wrap(annotate), job=True))
            asyncio.get_running_loop().call_soon(wrap(annotate), {"callback": True})
            await asyncio.sleep(0)

    with capture() as lines:
        asyncio.run(main())
    line = lines.one(event="parent")
    assert {"child1", "child2", "thread", "job", "callback"} <= line.keys()


def test_annotations_of_interleaved_operations_do_not_mix() -> None:
    """100 operations at once in tasks and threads: each closing line has its own annotations."""

    async def one(number: int) -> None:
        async with asyncio.Semaphore(1):
            with operation("unit", number=number):
                for _ in range(3):
                    await asyncio.sleep(0)
                    annotate(seen=number)
                await asyncio.to_thread(annotate, thread=number)

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(100)))

    with capture() as lines:
        asyncio.run(main())
    assert len(lines) == 100
    assert all(line["number"] == line["seen"] == line["thread"] for line in lines)


def test_one_operation_object_in_several_blocks_at_once_closes_each_as_its_own() -> None:
    """Overlapping or nested, each block of one object has a line with its own fields and notes."""
    shared = operation("unit")

    async def one(name: str, entered: asyncio.Event, end: asyncio.Event) -> None:
        with scope(request_id=name), shared:
            annotate(rows=name)
            entered.set()
            await end.wait()

    async def main(*, last_in_first_out: bool) -> None:
        tasks, ends = [], []
        for name in "ab":
            entered, end = asyncio.Event(), asyncio.Event()
            tasks.append(asyncio.create_task(one(name, entered, end)))
            ends.append(end)
            await entered.wait()
        for place in (1, 0) if last_in_first_out else (0, 1):
            ends[place].set()
            await tasks[place]

    for last_in_first_out in (False, True):
        with capture() as lines:
            asyncio.run(main(last_in_first_out=last_in_first_out))
        found = sorted((line["request_id"], line["rows"], line["outcome"]) for line in lines)
        assert [("a", "a", "success"), ("b", "b", "success")] == found
    with capture() as lines, shared:
        annotate(which="outer")
        with shared:
            annotate(which="inner")
    assert ["inner", "outer"] == [line["which"] for line in lines]


def test_exception_is_an_error_line_with_the_exception_and_goes_on() -> None:
    """An exception makes the line an error, is described on it, and is not swallowed."""
    with capture() as lines, pytest.raises(ValueError, match="bad"), operation("import"):
        message = "bad"
        raise ValueError(message)
    line = lines.one(event="import")
    assert (line["level"], line["outcome"]) == ("error", "error")
    assert (line["exception.type"], line["exception.message"]) == ("ValueError", "bad")


@pytest.mark.parametrize("kind", [asyncio.CancelledError, CancelledError])
def test_cancellation_is_an_outcome_and_no_error(kind: type[BaseException]) -> None:
    """Asyncio's and concurrent.futures' cancellation close with info and no exception."""
    with capture() as lines, pytest.raises(kind), operation("import"):
        raise kind
    line = lines.one(event="import")
    assert (line["level"], line["outcome"]) == ("info", "cancelled")
    assert "exception.type" not in line


@pytest.mark.parametrize(("code", "outcome"), [(0, "success"), (None, "success"), (3, "error")])
def test_system_exit_counts_as_its_code(code: int | None, outcome: str) -> None:
    """A clean SystemExit is a success, one with a code an error."""
    with capture() as lines, pytest.raises(SystemExit), operation("main"):
        raise SystemExit(code)
    assert lines.one(event="main")["outcome"] == outcome


def test_late_and_ownerless_annotations_are_counted() -> None:
    """An annotation after the end, or without an operation, moves a counter and raises nothing."""
    before = counters.read()
    with capture() as lines:
        with operation("import"):
            late = wrap(annotate)
        late(rows=1)
        annotate(rows=2)
    assert "rows" not in lines.one(event="import")
    assert counters["annotate.late"] == before.get("annotate.late", 0) + 1
    assert counters["annotate.ownerless"] == before.get("annotate.ownerless", 0) + 1


def test_annotations_are_bounded() -> None:
    """More names than the bound are counted and left out; known names may still change."""
    before = counters["annotate.overflow"]
    with capture() as lines, operation("import"):
        annotate({f"n{number}": number for number in range(MAX_ANNOTATIONS)})
        annotate(n0="last", extra=True)
    line = lines.one(event="import")
    assert line["n0"] == "last"
    assert "extra" not in line
    assert counters["annotate.overflow"] == before + 1


def test_annotations_cannot_hide_the_outcome() -> None:
    """An annotation named like a field of the closing line moves to fields.<name>."""
    with capture() as lines, operation("import"):
        annotate({"outcome": "odd", "exc_info": "text", "event": "other"})
    line = lines.one(event="import")
    assert line["outcome"] == "success"
    assert line["fields.outcome"] == "odd"
    assert line["fields.exc_info"] == "text"
    assert line["fields.event"] == "other"


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_an_operation_never_ended_is_closed_when_nothing_holds_it() -> None:
    """Its frames collected, an unended operation is reported as abandoned, under its own fields."""
    before = counters["operation.abandoned"]

    async def main() -> None:
        async def forget() -> None:
            operation("lost", job=7).__enter__()

        await asyncio.create_task(forget())

    with capture() as lines:
        asyncio.run(main())
        gc.collect()
    line = lines.one(event="lost")
    assert (line["outcome"], line["job"], line["level"]) == ("abandoned", 7, "warning")
    assert counters["operation.abandoned"] == before + 1


@pytest.mark.ctxlog(guard="off")  # what it tests
def test_left_in_another_context_it_still_closes_once() -> None:
    """Exit in a foreign thread writes the closing line and leaves that thread's context alone."""
    with capture() as lines:
        opened = operation("import", job=7)
        thread = threading.Thread(target=opened.__enter__)
        thread.start()
        thread.join()
        with scope(own=1):
            opened.__exit__(None, None, None)
            assert ctxlog.get_context() == {"own": 1}
    line = lines.one(event="import")
    assert line["job"] == 7
    assert "own" not in line


def test_decorates_every_kind_of_function() -> None:
    """Each call of a function, coroutine, generator or async generator is a run of its own."""

    @operation("plain")
    def plain() -> None:
        annotate(kind="plain")

    @operation("coroutine")
    async def coroutine() -> None:
        await asyncio.sleep(0)
        annotate(kind="coroutine")

    @operation("generator")
    def generator() -> Iterator[int]:
        yield 1
        annotate(kind="generator")

    @operation("agen")
    async def agen() -> AsyncIterator[int]:
        yield 1
        annotate(kind="agen")

    async def main() -> None:
        await coroutine()
        assert [1] == [item async for item in agen()]

    with capture() as lines:
        plain()
        plain()
        assert list(generator()) == [1]
        asyncio.run(main())
    assert ["plain", "plain", "generator", "coroutine", "agen"] == [line["kind"] for line in lines]
    assert {"success"} == {line["outcome"] for line in lines}


def test_a_generator_that_raises_or_is_closed_ends_its_operation() -> None:
    """Raising is an error, closing early by the consumer a success; one line each."""

    @operation("walk")
    def walk(*, bad: bool) -> Iterator[int]:
        yield 1
        if bad:
            raise KeyError(1)
        yield 2

    with capture() as lines:
        with pytest.raises(KeyError):
            list(walk(bad=True))
        closed: Any = walk(bad=False)
        next(closed)
        closed.close()
    assert ["error", "success"] == [line["outcome"] for line in lines]


def test_time_left_is_the_smallest_of_the_operations_around() -> None:
    """A nested timeout can only shorten; without one there is no limit; it is never negative."""
    assert time_left() is None
    with capture(), operation("outer", timeout=50):
        with operation("inner", timeout=100):
            left = time_left()
            assert left is not None
            assert 0 < left <= 50
        with operation("late", timeout=-1):
            assert time_left() == 0.0
    with capture(), operation("none"):
        assert time_left() is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: operation(3),  # type: ignore[arg-type]
        lambda: operation("x", timeout="5"),  # type: ignore[arg-type]
        lambda: operation("x", 3),  # type: ignore[arg-type]
        lambda: annotate(3),  # type: ignore[arg-type]
    ],
)
def test_misuse_is_an_error_at_once(wrong: Any) -> None:
    """A wrong type to operation or annotate raises UsageError."""
    with pytest.raises(UsageError):
        wrong()
