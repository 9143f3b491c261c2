"""Guarding: what a test leaves behind, each with the place where it was opened.

While it watches, entering a scope, an entry, an operation or a snapshot keeps a few places of the
stack, by reference. What a test has left is then known without looking: the innermost frame is
another one than before, or something that was opened in it was not closed.
"""

from __future__ import annotations

import sys
import threading
import weakref
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from ctxlog.context import fields as fields_module
from ctxlog.context.captured import SnapshotScope
from ctxlog.context.fields import CURRENT, frame_of
from ctxlog.context.scope import scope
from ctxlog.context.steps import Steps
from ctxlog.context.wrapped import Wrapped
from ctxlog.entries import entry
from ctxlog.loading import forget, when_loaded
from ctxlog.operations import operation
from ctxlog.propagation.jobs import is_machinery
from ctxlog.propagation.patching import Patch
from ctxlog.testing.binding import Binding, Bound, all_of
from ctxlog.testing.boundaries import waiting
from ctxlog.testing.crossings import task_now
from ctxlog.testing.opened import (
    FIX_THREAD,
    FIX_WITH,
    Leak,
    Opened,
    Tracked,
    Wide,
    bound_by,
    chain,
    fix_for,
    kind_of_owner,
    said_left,
    said_never,
    who,
)
from ctxlog.testing.probing import PROBE
from ctxlog.testing.shown import remember
from ctxlog.testing.strangers import Strangers
from ctxlog.testing.workers import is_idle

if TYPE_CHECKING:
    from collections.abc import Generator

    from ctxlog.context.fields import Frame

    Original = Any

#: Seconds a thread gets to end before it counts as left behind.
GRACE = 2.0
#: What is remembered of one test.
MAX_OPEN = 10_000
_OWNERS: tuple[type, ...] = (scope, entry, operation, SnapshotScope)
_OTEL = "opentelemetry.sdk.trace"
_CARRIED = "_ctxlog_carried"  # ctxlog.propagation.threads'


class Guard:
    """Watches what is opened; one test at a time asks what was left.

    Example:
        >>> guard = Guard()
        >>> with guard.watching():
        ...     guard.start("a test")
        ...     with scope(request_id="r-1"):
        ...         pass
        ...     guard.finish()
        []
    """

    def __init__(self) -> None:
        self._patches: list[Patch] = []
        self._open: dict[int, list[Opened]] = {}
        self._spans: dict[int, Opened] = {}
        self._threads: weakref.WeakKeyDictionary[threading.Thread, Opened] = (
            weakref.WeakKeyDictionary()
        )
        self._binding = Binding()
        self._strangers = Strangers()
        self._found: list[tuple[Opened | None, Leak]] = []
        self._before: Frame = CURRENT.get()
        self._test: object = None
        self._lasting: list[Wide] = []
        self._opening: dict[Any, Wide] = {}  # fixtures of wider scopes that have opened or bound
        self._ended: frozenset[Wide] = frozenset()  # of these, those that were torn down since

    # -- one test -----------------------------------------------------------------------------

    def start(self, test: object) -> None:
        """A test begins: what was there before is not its own."""
        self._test = test
        self._before = CURRENT.get()
        self._strangers.start()
        self._found += [(None, leak) for leak in self._binding.at_import()]

    def begin(self) -> None:
        """Its fixtures have run: what other libraries still have of the test before is told."""
        self._found += [(None, leak) for leak in self._strangers.check()]

    @contextmanager
    def lasting(self, fixture: Any) -> Generator[None]:
        """What is opened in this block outlives the test by right: a module's fixture.

        Args:
            fixture: whose ``scope`` and ``argname`` are told if that outlives it, too.
        """
        self._lasting.append(Wide(fixture))
        try:
            with self._strangers.lasting():
                yield
        finally:
            self._lasting.pop()

    def ended(self, fixture: Any) -> None:
        """A fixture has been torn down."""
        wide = self._opening.pop(fixture, None)
        if wide is not None:
            self._ended |= {wide}

    def finish(self) -> list[Leak]:
        """The test has ended: return what it left, and put back the context it began with."""
        self._strangers.finish(self._test)
        after = CURRENT.get()
        if after is self._before and not (
            self._found
            or self._open
            or self._spans
            or self._threads
            or self._ended
            or waiting
            or not self._binding.is_clean
        ):
            return []
        remember()
        found = self._found
        seen = {id(opened) for opened, _ in found if opened is not None}
        self._left_open(after, found, seen)
        found += [(None, leak) for leak in self._binding.finish(self._before, self._ended)]
        self._never_closed(found, seen)
        self._left_in_threads(found)
        while waiting:
            _, (asked, places) = waiting.popitem()
            said = f"{asked} was never awaited: it has asserted nothing"
            found.append((None, Leak(said, places, "await it")))
        self._found, self._ended = [], frozenset()
        return [leak for _, leak in found]

    def check_here(self) -> None:
        """Look for what an earlier test left in the context of this one: a loop's that is shared."""
        for frame in chain(CURRENT.get()):
            for opened in all_of(frame) or (getattr(frame, "opened", None),):
                if opened is not None and opened.test not in (None, self._test):
                    said = f"{opened.what} left open by {opened.test}: {opened.shown()}"
                    self._found.append((opened, Leak(said, opened.places, fix_for(opened))))
                    opened.test = None  # said once

    def _left_open(
        self, after: Frame, found: list[tuple[Opened | None, Leak]], seen: set[int]
    ) -> None:
        below = {id(link) for link in chain(self._before)}
        kept = leaked = False
        frame: Frame | None = after
        while frame is not None and (id(frame) not in below or self._has_ended(frame)):
            opened = getattr(frame, "opened", None)
            if isinstance(opened, Bound):
                break  # below all scopes; told by itself
            if opened is None or self._lasts(opened):
                kept = True  # a module's fixture; a frame that ends by itself
            else:
                leaked = True
                if id(opened) not in seen:
                    seen.add(id(opened))
                    of_test = opened.test is not None
                    said = (
                        f"{said_left(opened)}: {opened.shown()}" if of_test else said_never(opened)
                    )
                    found.append((opened, Leak(said, opened.places, fix_for(opened))))
            frame = frame.parent
        if leaked and not kept:  # the next test must not begin with it
            CURRENT.set(self._before if frame is None else frame)

    def _never_closed(self, found: list[tuple[Opened | None, Leak]], seen: set[int]) -> None:
        for key, stack_of in list(self._open.items()):
            for opened in list(stack_of):
                if opened.test is None or (opened.can_close and not is_idle(opened.thread, GRACE)):
                    continue
                stack_of.remove(opened)
                if id(opened) not in seen:
                    leak = Leak(said_never(opened), opened.places, fix_for(opened))
                    found.append((opened, leak))
            if not stack_of:
                self._open.pop(key, None)
        for key, opened in list(self._spans.items()):
            if opened.test is not None and not opened.can_close:
                del self._spans[key]
                leak = Leak(f"{opened.what} was never ended", opened.places, FIX_WITH)
                found.append((opened, leak))

    def _left_in_threads(self, found: list[tuple[Opened | None, Leak]]) -> None:
        end = monotonic() + GRACE
        for thread, opened in list(self._threads.items()):
            while thread.is_alive() and monotonic() < end:
                sleep(0.005)
            if thread.is_alive():
                said = f"thread {thread.name} goes on under {opened.shown()}"
                found.append((opened, Leak(said, opened.places, FIX_THREAD)))
        self._threads.clear()
        found += [(None, leak) for leak in self._binding.in_threads()]

    # -- what is watched ----------------------------------------------------------------------

    @contextmanager
    def watching(self) -> Generator[Guard]:
        """Watch for a block."""
        self.watch()
        try:
            yield self
        finally:
            self.unwatch()

    def watch(self) -> None:
        """Patch what opens and closes."""
        self._patches = [
            *(Patch(owner, "__enter__", self._enter) for owner in _OWNERS),
            *(Patch(owner, "__exit__", self._exit) for owner in _OWNERS),
            Patch(fields_module, "replace", self._replace),
            Patch(threading.Thread, "start", self._start),
        ]
        for patch in self._patches:
            patch.apply()
        when_loaded(_OTEL, self._watch_spans)

    def unwatch(self) -> None:
        """Put it all back."""
        forget(self._watch_spans)
        while self._patches:
            self._patches.pop().remove()

    def _lasts(self, opened: Opened) -> bool:
        """Whether it outlives the test by right."""
        return opened.test is None and opened.fixture not in self._ended

    def _has_ended(self, frame: Frame) -> bool:
        """Whether a fixture has opened it that was torn down."""
        opened = getattr(frame, "opened", None)
        return opened is not None and opened.test is None and not self._lasts(opened)

    def _owner(self) -> tuple[object, Any]:
        """Return the test that opens something here, or the fixture of a wider scope."""
        if not self._lasting:
            return self._test, None
        wide = self._lasting[-1]
        self._opening[wide.fixture] = wide
        return None, wide

    def _enter(self, original: Original, owner: Any) -> Any:
        result = original(owner)
        frame = CURRENT.get()
        if type(owner) not in _OWNERS:  # an adapter's own: it may close where its server does
            return result
        probed = PROBE in frame.fields.values  # assert_isolated tells of it by itself
        if frame.owner is owner and not probed and len(self._open) < MAX_OPEN:
            opened = Opened(kind_of_owner(owner), *self._owner())
            opened.fields = bound_by(frame)
            CURRENT.set(Tracked(frame, opened))
            self._open.setdefault(id(owner), []).append(opened)
        return result

    def _exit(self, original: Original, owner: Any, *error: Any) -> Any:
        opened = self._close(owner)
        if opened is not None and (CURRENT.get().owner is not owner or opened.is_elsewhere()):
            self._misplaced(opened, owner)
        return original(owner, *error)

    def _close(self, owner: object) -> Opened | None:
        stack_of = self._open.get(id(owner))
        if not stack_of:
            return None
        top = CURRENT.get()
        mine = frame_of(owner)
        opened: Opened = getattr(mine or top, "opened", None)  # type: ignore[assignment]
        if opened not in stack_of:
            opened = stack_of[-1]
        with suppress(ValueError):
            stack_of.remove(opened)
        if not stack_of:
            self._open.pop(id(owner), None)
        if opened.closed:  # it went with one below it, which was told
            return None
        opened.closed = True
        return opened

    def _misplaced(self, opened: Opened, owner: object) -> None:
        frames = list(chain(CURRENT.get()))
        found = frame_of(owner) is not None
        if found and opened.is_elsewhere() and any(type(frame.owner) is Steps for frame in frames):
            return  # a decorated generator's: its steps have frames of their own, wherever they run
        by = who(threading.current_thread(), task_now())
        if not found or opened.is_elsewhere():
            opener = who(opened.thread, opened.task)
            other = "in another context" if by == opener else f"by {by}"
            said = f"{opened.what} of {opener} closed {other}: {opened.shown()}"
            self._found.append((opened, Leak(said, opened.places, fix_for(opened))))
            return
        for frame in frames:  # what is open above it goes with it
            if frame.owner is owner:
                return
            if isinstance(frame, Tracked) and not frame.opened.closed:
                inner = frame.opened
                inner.closed = True
                around = f"the {opened.what} of {opened.place}"
                said = f"{inner.what} still open when {around} closed: {inner.shown()}"
                self._found.append((inner, Leak(said, inner.places, fix_for(inner))))

    def _replace(self, original: Original, fields: Any) -> Any:
        before = CURRENT.get()
        result = original(fields)
        frame = CURRENT.get()
        opened = getattr(before, "opened", None)
        if frame.owner is not None:
            if opened is not None:
                CURRENT.set(Tracked(frame, opened))
            return result
        self._binding.note(before, *self._owner())
        return result

    def _start(self, original: Original, thread: Any, *args: Any, **kwargs: Any) -> Any:
        fields = _carried_by(thread)
        if fields and not is_machinery(thread):
            opened = Opened(f"thread {thread.name}", *self._owner())
            opened.fields = fields
            if opened.test is not None:
                self._threads[thread] = opened
        return original(thread, *args, **kwargs)

    # -- OpenTelemetry's spans ----------------------------------------------------------------

    def _watch_spans(self) -> None:
        span = sys.modules[_OTEL].Span
        for patch in (Patch(span, "start", self._span), Patch(span, "end", self._end)):
            patch.apply()
            self._patches.append(patch)

    def _span(self, original: Original, span: Any, *args: Any, **kwargs: Any) -> Any:
        done = original(span, *args, **kwargs)
        if len(self._spans) < MAX_OPEN:
            self._spans[id(span)] = Opened(f"span {span.name!r}", *self._owner())
        return done

    def _end(self, original: Original, span: Any, *args: Any, **kwargs: Any) -> Any:
        self._spans.pop(id(span), None)
        return original(span, *args, **kwargs)


def _carried_by(thread: Any) -> dict[str, object]:
    """Return the fields that a thread which is about to start will run under."""
    carried = thread.__dict__.get(_CARRIED)
    target = thread.__dict__.get("_target")
    if carried is not None:
        return dict(carried[0].fields.values)
    return dict(target.captured().fields.values) if isinstance(target, Wrapped) else {}
