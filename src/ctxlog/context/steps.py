"""Steps: a decorated generator's, each in frames of its own; loaded with the first such generator.

So are the two of a plain function that returns a coroutine: its call, and what it returned.
"""

from __future__ import annotations

import sys
from contextvars import copy_context

from ctxlog.context.accessors import capture, enter_carried, leave_carried
from ctxlog.context.collector import COLLECTOR
from ctxlog.context.fields import CURRENT, Frame, leave
from ctxlog.context.raised import remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
    from types import TracebackType
    from typing import Any, Protocol, Self

    from ctxlog.context.accessors import Carried, Undo
    from ctxlog.context.fields import Fields

    class Enterable(Protocol):
        """What a call is run in, made anew for each call: a scope, an entry, a snapshot's scope."""

        def __enter__(self) -> object: ...
        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
            /,
        ) -> object: ...
        def open(self, below: Fields) -> tuple[Fields, Carried]:
            """Return what its frame holds above ``below``, and what else is current there."""
            ...


def of_generator(function: Callable[..., Any], make: Callable[[], Enterable]) -> Callable[..., Any]:
    """Return a generator function with each step of its generators in their own frames."""
    COLLECTOR.watch()

    def in_scope(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = Steps(make)
        generator = function(*args, **kwargs)
        step: Callable[[Any], Any] = generator.send
        value: Any = None
        try:
            while True:
                try:
                    if COLLECTOR.at_work:  # an abandoned one: its last step leaves this context be
                        item = copy_context().run(_one_step, steps, step, value)
                    else:
                        with steps:
                            item = step(value)
                finally:
                    value = None  # an exception kept here would keep this frame, and so itself
                try:
                    step, value = generator.send, (yield item)
                except BaseException as error:  # noqa: BLE001 - it is the generator's, also its exit
                    step, value = generator.throw, error
        except StopIteration as stop:
            steps.finish(None)
            return stop.value
        except BaseException as error:
            steps.finish(error)
            raise

    return in_scope


def _one_step(steps: Steps, step: Callable[[Any], Any], value: Any) -> Any:
    with steps:
        return step(value)


def of_async_generator(
    function: Callable[..., Any], make: Callable[[], Enterable]
) -> Callable[..., Any]:
    """Return an async generator function with each step of its generators in their own frames."""

    async def in_scope(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = Steps(make)
        generator = function(*args, **kwargs)
        step: Callable[[Any], Awaitable[Any]] = _first_step
        value: Any = generator
        try:
            while True:
                try:
                    with steps:
                        item = await step(value)
                finally:
                    value = None  # as above
                try:
                    step, value = generator.asend, (yield item)
                except BaseException as error:  # noqa: BLE001 - it is the generator's, also its exit
                    step, value = generator.athrow, error
        except StopAsyncIteration:
            steps.finish(None)
        except BaseException as error:
            steps.finish(error)
            raise

    return in_scope


def of_call(function: Callable[..., Any], make: Callable[[], Enterable]) -> Callable[..., Any]:
    """Return a plain function with its call, and the coroutine it may return, in one block's frames."""

    def in_scope(*args: Any, **kwargs: Any) -> Any:
        steps = Steps(make)
        result: Any
        try:
            with steps:
                result = function(*args, **kwargs)
        except BaseException as error:
            steps.finish(error)
            raise
        if type(result) is _COROUTINE:
            return _rest(steps, result)
        steps.finish(None)
        return result

    return in_scope


async def _rest(steps: Steps, coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        with steps:
            result = await coroutine
    except BaseException as error:
        steps.finish(error)
        raise
    steps.finish(None)
    return result


def _coroutine_type() -> type:
    coroutine = _rest(None, None)  # type: ignore[arg-type] # it never runs
    coroutine.close()
    return type(coroutine)


_COROUTINE: Any = _coroutine_type()  # `types` costs a tenth of the whole import


def _first_step(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """Return the first step of an async generator that the event loop is not told of.

    The loop closes at shutdown, and finalises, what it was told of: that must be the decorated
    generator, which closes this one in its frames; not both at once, this one in no frame.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


class Steps:
    """A block for each step of a generator; between steps the consumer's chain is untouched.

    Each step hangs the generator's own frames on a mark above the consumer's chain of that moment.
    Leaving the mark gives the consumer its chain back, whatever the step entered or left; in a
    foreign context the mark is not found and nothing changes.
    """

    __slots__ = ("_carried", "_mark", "_own", "_scope")

    def __init__(self, make: Callable[[], Enterable]) -> None:
        self._scope = make()
        self._own: list[tuple[Fields, object, Undo]] = []
        self._carried: Carried | None = None

    def __enter__(self) -> Self:
        outer = CURRENT.get()
        if self._carried is None:  # the first step: the scope opens on what the consumer has now
            fields, self._carried = self._scope.open(outer.fields)
            self._own = [(fields, self._scope, ())]
        frame = self._mark = Frame(outer.fields, outer, self, enter_carried(self._carried))
        for fields, owner, undo in self._own:
            frame = Frame(fields, frame, owner, undo)
        CURRENT.set(frame)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mark, own = self._mark, []
        current = CURRENT.get()
        frame: Frame | None = current
        while frame is not None and frame is not mark:
            own.append((frame.fields, frame.owner, frame.undo))
            frame = frame.parent
        if frame is None:
            leave(self)  # says that it is not there; what is current is another's
            return
        if error is not None:
            remember(error, current.fields)
        own.reverse()
        self._own = own
        if mark.undo:
            self._carried = capture()
            leave_carried(mark.undo)
        CURRENT.set(mark.parent or frame)

    def finish(self, error: BaseException | None) -> None:
        """Tell what the steps ran in that the generator has ended, if it wants to know."""
        ended = getattr(self._scope, "ended", None)
        if ended is not None:
            ended(error)
