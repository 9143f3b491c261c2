"""Opened: what was opened in a test, where and by whom; and what is said of it when it was left."""

from __future__ import annotations

import sys
import threading
import weakref
from contextvars import Context
from typing import TYPE_CHECKING, Any

from ctxlog.activity import context_of
from ctxlog.context.captured import SnapshotScope
from ctxlog.context.fields import Frame
from ctxlog.operations import operation
from ctxlog.testing.crossings import task_now
from ctxlog.testing.places import Place, stack
from ctxlog.testing.shown import shown_all

if TYPE_CHECKING:
    from collections.abc import Generator

_SHORT = 60


class Wide:
    """One set-up of a fixture of a wider scope; with other parameters it is another one."""

    __slots__ = ("fixture",)

    def __init__(self, fixture: Any) -> None:
        self.fixture = fixture

    def __str__(self) -> str:
        return f"the {self.fixture.scope}'s fixture {self.fixture.argname}"


class Opened:
    """Something that was opened: what, where, by whom, in which test.

    Attributes:
        what: ``scope``, ``entry``, ``operation 'name'``, ``snapshot``, ``bind_context``, ``span``.
        places: the application's innermost places, the first is where.
        thread, task: who opened it.
        test: the test in which; ``None`` for what outlives it by right.
        fixture: the fixture of a wider scope in which.
    """

    __slots__ = ("__weakref__", "by", "closed", "context", "fields", "fixture", "places", "task",
                 "test", "thread", "what")  # fmt: skip

    def __init__(self, what: str, test: object, fixture: Wide | None = None) -> None:
        self.what = what
        self.places = stack(3)
        self.thread = threading.current_thread()
        self.task = task_now()
        running = running_task()
        self.by: weakref.ref[Any] | None = None if running is None else weakref.ref(running)
        self.context = context_id(running)
        self.test = test
        self.fixture = fixture
        self.fields: dict[str, object] = {}
        self.closed = False

    @property
    def place(self) -> Place | None:
        """Where."""
        return self.places[0] if self.places else None

    @property
    def can_close(self) -> bool:
        """Whether somebody who may still close it is at work: a task, another thread."""
        task = None if self.by is None else self.by()
        if task is not None and not task.done() and not task.get_loop().is_closed():
            return True
        here = self.thread is threading.current_thread()
        return self.by is None and not here and self.thread.is_alive()

    def is_elsewhere(self) -> bool:
        """Whether here is another context than that in which it was opened, as far as is known."""
        if self.thread is not threading.current_thread():
            return True
        running = running_task()
        here = context_id(running)
        if (running is None or self.by is None) and not (here and self.context):
            return (running is None) != (self.by is None)
        same = running is not None and self.by is not None and self.by() is running
        return not same and self.context != here

    def shown(self) -> str:
        """The names and values it bound."""
        return shown_all(self.fields, _SHORT) or "no fields"


class Tracked(Frame):
    """A frame that remembers where it was opened."""

    __slots__ = ("opened",)

    def __init__(self, frame: Frame, opened: Opened) -> None:
        super().__init__(frame.fields, frame.parent, frame.owner, frame.undo)
        self.opened = opened


class Leak:
    """One thing that was left behind: what is wrong, where it was opened, how it is mended."""

    def __init__(self, said: str, places: tuple[Place | str, ...], fix: str) -> None:
        self.said = said
        self.places = places
        self.fix = fix

    def told(self) -> str:
        """Tell it for people."""
        lines = [self.said]
        for number, place in enumerate(self.places):
            lines.append(f"{'             ' if number else '  opened at: '}{place}")
        return "\n".join([*lines, f"  fix:       {self.fix}"])


_IN_GENERATOR = (
    "a scope around a yield belongs to whoever consumes the generator; decorate the generator "
    "instead: @ctxlog.scope(…)"
)
FIX_WITH = "open it with a `with` block (or as a decorator), so that it closes where it was opened"
FIX_BIND = "bind inside a scope: with ctxlog.scope(…), which takes it away at its end"
FIX_THREAD = (
    "stop it in the test, or start it with ctxlog.propagation.run_detached(…) and give each piece "
    "of its work an entry of its own"
)


def running_task() -> Any:
    """Return the asyncio task that runs here, if one does."""
    asyncio = sys.modules.get("asyncio.events")
    loop = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001 - as task_now
    return None if loop is None else sys.modules["asyncio.tasks"].current_task(loop)


def context_id(task: Any) -> int:
    """Return what tells a task's context from others; 0 outside any. It keeps nothing alive.

    The parts of an ``IsolatedAsyncioTestCase`` share one, those that are no coroutines, too.
    """
    context = _of_test_case() if task is None else context_of(task)
    return 0 if context is None else id(context)


def _of_test_case() -> Context | None:
    module = sys.modules.get("unittest.async_case")
    frame = None if module is None else sys._getframe(2)  # noqa: SLF001 - its methods are on the stack
    while frame is not None:
        if frame.f_globals is module.__dict__:
            context = getattr(frame.f_locals.get("self"), "_asyncioTestContext", None)
            return context if isinstance(context, Context) else None
        frame = frame.f_back
    return None


def kind_of_owner(owner: Any) -> str:
    """Return what a block is called: ``scope``, ``entry``, ``operation 'name'``, ``snapshot``."""
    if isinstance(owner, operation):
        return f"operation {owner._name!r}"  # noqa: SLF001 - ours
    return "snapshot" if isinstance(owner, SnapshotScope) else type(owner).__name__


def bound_by(frame: Frame) -> dict[str, object]:
    """Return what a frame binds beyond the one below it."""
    below = {} if frame.parent is None else frame.parent.fields.values
    more = {
        name: value
        for name, value in frame.fields.values.items()
        if below.get(name, frame) is not value
    }
    return more or frame.fields.values


def chain(frame: Frame | None) -> Generator[Frame]:
    """Yield a frame and those below it."""
    while frame is not None:
        yield frame
        frame = frame.parent


def who(thread: threading.Thread, task: str | None) -> str:
    """Return the task, else the thread, in words."""
    return f"task {task}" if task else f"thread {thread.name}"


def said_left(opened: Opened) -> str:
    """Say that it was left open."""
    return f"{opened.what} left open after the test"


def said_never(opened: Opened) -> str:
    """Say that it was not closed."""
    ended = "ended" if opened.what.startswith("operation") else "closed"
    of = f" of {opened.fixture}" if opened.test is None else ""
    return f"{opened.what}{of} was never {ended}: {opened.shown()}"


def fix_for(opened: Opened) -> str:
    """Return what mends it, in one sentence."""
    if opened.what == "bind_context":
        return FIX_BIND
    several = len(opened.places) > 1  # a fixture, a context manager: machinery is what steps it
    if several and opened.place is not None and opened.place.is_in_generator:
        return _IN_GENERATOR
    return FIX_WITH
