"""Boundaries of yours, driven through three questions: present, nobody else's, restored.

>>> from ctxlog.propagation.executors import ThreadPoolExecutor
>>> with ThreadPoolExecutor(2) as pool:
...     assert_propagates(pool)
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from inspect import isasyncgenfunction, isawaitable, isgeneratorfunction, signature
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from ctxlog.context.decorate import COROUTINE, kind_of
from ctxlog.context.fields import CURRENT, ROOT
from ctxlog.context.scope import scope
from ctxlog.errors import UsageError
from ctxlog.testing.crossings import task_now
from ctxlog.testing.places import stack
from ctxlog.testing.probing import PROBE, Answers, Job, pause, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.testing.places import Place

_Questions: TypeAlias = tuple[str, ...]
_ALL: _Questions = ("present", "nobody", "restored")
_ISOLATED: _Questions = ("nobody", "restored")


def assert_propagates(boundary: Any, *, asynchronous: bool = False, timeout: float = 10.0) -> Any:
    """Assert that work crosses a boundary with its context, and with nobody else's.

    Each is asked for a request, for another one, and for nobody, after somebody else has used the
    boundary first (and so started its workers), one after the other and two at once:

    - *present*: the job sees what its submitter had bound;
    - *nobody else's*: no other request's; for nobody, nothing;
    - *restored*: afterwards the submitter has what it had, and the next job sees nothing of what
      a job has bound.

    Args:
        boundary: an executor (it has ``submit``) or a pool (``apply_async``); or a callable that takes a job, a function
            without arguments, and has it called on the other side, now or soon; ``async def``
            too. Or a generator function: its consumers are asked, and it is closed elsewhere.
        asynchronous: the job handed over is a coroutine function.
        timeout: seconds in which the job must have been called.

    Returns:
        ``None``; for an asynchronous boundary inside a running loop a coroutine to be awaited.

    Raises:
        AssertionError: it says which question was answered with no, by what, and the fix.
        UsageError: ``boundary`` is none of these.
    """
    __tracebackhide__ = True
    return _ask(boundary, _ALL, asynchronous, timeout)


def assert_isolated(boundary: Any, *, asynchronous: bool = False, timeout: float = 10.0) -> Any:
    """Assert that a boundary never shows one request's context to another: right or absent.

    As :func:`assert_propagates`, except that a job may see nothing.

    Example:
        >>> def rows(job):
        ...     with scope(table="orders"):
        ...         yield job()
        ...         yield job()
        >>> try:
        ...     assert_isolated(rows)
        ... except AssertionError as error:
        ...     print(str(error).splitlines()[0])
        rows does not isolate the context
    """
    __tracebackhide__ = True
    return _ask(boundary, _ISOLATED, asynchronous, timeout)


def _ask(
    boundary: Any,
    questions: tuple[str, ...],
    asynchronous: bool,  # noqa: FBT001 - passed on
    timeout: float,
) -> Any:
    __tracebackhide__ = True
    answers = Answers(boundary)
    if isasyncgenfunction(boundary):
        return _finished(_ask_async_generator(answers, boundary), answers, questions)
    if isgeneratorfunction(boundary):
        _ask_generator(answers, boundary)
    elif isinstance(boundary, type):
        raise UsageError(
            f"a boundary is an instance of an executor, not the class {boundary.__name__}"
        )
    elif callable(submit := getattr(boundary, "submit", getattr(boundary, "apply_async", None))):
        _ask_sync(answers, submit, timeout)
    elif not callable(boundary):
        raise UsageError(
            "a boundary is an executor, a callable that takes a job, or a generator function,"
            f" not {type(boundary).__name__}"
        )
    elif asynchronous or kind_of(boundary) is COROUTINE:
        asked = _ask_async(answers, boundary, asynchronous, timeout)
        return _finished(asked, answers, questions)
    else:
        _ask_sync(answers, boundary, timeout)
    answers.judge(*questions)
    return None


#: Asked inside a loop, and not awaited yet: what, and where.
waiting: dict[object, tuple[str, tuple[Place, ...]]] = {}
MOST = 100
_NAMES: dict[_Questions, str] = {_ALL: "assert_propagates", _ISOLATED: "assert_isolated"}


def _finished(asked: Any, answers: Answers, questions: tuple[str, ...]) -> Any:
    __tracebackhide__ = True

    async def finished() -> None:
        __tracebackhide__ = True
        waiting.pop(key, None)
        await asked
        answers.judge(*questions)

    key = object()
    if task_now() is not None:
        if len(waiting) < MOST:
            waiting[key] = (f"{_NAMES[questions]}({answers.name})", stack())
        return finished()
    import asyncio

    return asyncio.run(finished())


# ---- in threads


class _Asker:
    """Asks a boundary that is called, for one submitter after the other, in contexts of their own."""

    def __init__(self, answers: Answers, drive: Callable[[Any], Any], timeout: float) -> None:
        self._answers = answers
        self._drive = drive
        self._timeout = timeout
        self.errors: list[BaseException] = []

    def ask(self, who: str, case: str, meet: threading.Barrier | None = None) -> None:
        """Ask for one submitter."""
        copy_context().run(self._under, who, case, meet)

    def ask_safely(self, who: str, meet: threading.Barrier) -> None:
        """Ask on a thread; an error is kept for whoever waits."""
        try:
            self.ask(who, "two at once", meet)
        except BaseException as error:  # noqa: BLE001 - raised where it was asked
            self.errors.append(error)

    def _under(self, who: str, case: str, meet: threading.Barrier | None) -> None:
        CURRENT.set(ROOT)
        with scope({PROBE: who} if who else {}):
            job = Job(who, meet)
            before = CURRENT.get()
            self._wait_for(self._drive(job))
            self._answers.kept(CURRENT.get() is before, who, case)
            if not job.done.wait(self._timeout):
                self._answers.never(who, case, self._timeout)
            self._answers.saw(who, job.seen, case)

    def _wait_for(self, result: Any) -> None:
        wait = getattr(result, "result", None)
        if wait is None and hasattr(result, "ready"):  # multiprocessing's
            wait = result.get
        if callable(wait):
            wait(self._timeout)
        elif isawaitable(result):
            close = getattr(result, "close", None)
            if close is not None:
                close()
            raise UsageError(
                "the boundary returned an awaitable: give an `async def`,"
                " or asynchronous=True if the job is to be a coroutine function"
            )


def _ask_sync(answers: Answers, drive: Callable[[Any], Any], timeout: float) -> None:
    asker = _Asker(answers, drive, timeout)
    for who in ("somebody", "A", "B", ""):
        asker.ask(who, "one after the other")
    meet = threading.Barrier(2)
    threads = [
        threading.Thread(target=asker.ask_safely, args=(who, meet), name=f"ctxlog probe {who}")
        for who in ("A", "B")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if asker.errors:
        raise asker.errors[0]


# ---- in tasks


async def _ask_async(
    answers: Answers,
    boundary: Callable[[Any], Any],
    asynchronous: bool,  # noqa: FBT001 - passed on
    timeout: float,  # noqa: ASYNC109 - for the job, which the boundary calls
) -> None:
    async def ask(who: str, case: str, meet: threading.Barrier | None = None) -> None:
        CURRENT.set(ROOT)
        with scope({PROBE: who} if who else {}):
            job = Job(who, meet)
            before = CURRENT.get()
            result = boundary(job.later if asynchronous else job)
            if isawaitable(result):
                await result
            answers.kept(CURRENT.get() is before, who, case)
            end = monotonic() + timeout
            while not job.done.is_set():
                if monotonic() > end:
                    answers.never(who, case, timeout)
                await pause(0.001)
            answers.saw(who, job.seen, case)

    for who in ("somebody", "A", "B", ""):
        await _apart(ask, who, "one after the other")
    meet = threading.Barrier(2)
    await together(
        lambda: ask("A", "two at once", meet),
        lambda: ask("B", "two at once", meet),
    )


async def _apart(function: Callable[..., Any], *args: Any) -> None:
    """Await it in a task of its own: what it binds stays there."""
    failed: list[BaseException] = []

    async def one() -> None:
        try:
            await function(*args)
        except (AssertionError, UsageError) as error:
            failed.append(error)

    await together(one)
    if failed:
        raise failed[0]


# ---- generators


def _takes_job(function: Callable[..., Any]) -> bool:
    return bool(signature(function).parameters)


def _ask_generator(answers: Answers, function: Callable[..., Any]) -> None:
    def consume() -> None:
        jobs = {who: Job(who) for who in ("A", "B")}
        made: dict[str, Any] = {}
        for _ in range(2):  # both at each of their steps
            for who, job in jobs.items():
                CURRENT.set(ROOT)
                with scope({PROBE: who}):
                    before = CURRENT.get()
                    if who not in made:
                        made[who] = _made(function, job.look)
                    next(made[who], None)
                    answers.kept(CURRENT.get() is before, who, "a step of a generator")
                    CURRENT.set(before)
        for who, generator in made.items():
            CURRENT.set(ROOT)
            closing = threading.Thread(target=generator.close)
            with scope({PROBE: who}):
                before = CURRENT.get()
                closing.start()
                closing.join()
                answers.kept(CURRENT.get() is before, who, "closed by another thread")
        for who, job in jobs.items():
            answers.saw(who, job.seen, "steps of two generators in turn")
        CURRENT.set(ROOT)

    copy_context().run(consume)


def _made(function: Callable[..., Any], look: Callable[[], None]) -> Any:
    return function(look) if _takes_job(function) else function()


async def _ask_async_generator(answers: Answers, function: Callable[..., Any]) -> None:
    made: dict[str, Any] = {}
    jobs = {who: Job(who) for who in ("A", "B")}

    async def step() -> None:
        for _ in range(2):
            for who, job in jobs.items():
                CURRENT.set(ROOT)
                with scope({PROBE: who}):
                    before = CURRENT.get()
                    if who not in made:
                        made[who] = _made(function, job.look)
                    await anext(made[who], None)
                    answers.kept(CURRENT.get() is before, who, "a step of a generator")
                    CURRENT.set(before)

    async def close() -> None:
        for who, generator in made.items():
            CURRENT.set(ROOT)
            with scope({PROBE: who}):
                before = CURRENT.get()
                await generator.aclose()
                answers.kept(CURRENT.get() is before, who, "closed by another task")

    await together(step)
    await together(close)
    for who, job in jobs.items():
        answers.saw(who, job.seen, "steps of two generators in turn")
