"""Binding: what was bound or unbound outside any scope, and stays when the test has gone."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from ctxlog.activity import fields_on_stack
from ctxlog.context.fields import CURRENT, ROOT, Fields, Frame
from ctxlog.testing.opened import FIX_BIND, Leak, Opened, Tracked, Wide, chain
from ctxlog.testing.shown import shown_all
from ctxlog.testing.workers import in_job, is_worker

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Binds of threads that are remembered of one test; of one context, those that still show.
MOST, EARLIER = 1_000, 50
_MISSING = object()
_FIX_UNBIND = "unbind inside a scope: with ctxlog.scope(), whose end brings it back"
_FIX_IMPORT = (
    "bind in a fixture: with ctxlog.scope(…): yield; what belongs to the process is its resource: "
    "ctxlog.configure(resource=…)"
)
_FIX_FIXTURE = "bind inside a scope in the fixture, around its yield: with ctxlog.scope(…): yield"


class Bound(Opened):
    """One bind or unbind outside any scope, and those before it that still show.

    Attributes:
        gone: what it unbound, by name: the value.
        binders: who had bound that, by name.
        earlier: the binds before it in this context whose doing still shows.
        of_worker: whether a job of a pool did it.
    """

    __slots__ = ("binders", "earlier", "gone", "of_worker")

    def __init__(
        self, before: Frame, have: Mapping[str, object], test: object, fixture: Wide | None
    ) -> None:
        super().__init__("bind_context", test, fixture)
        had = before.fields.values
        self.fields = {n: v for n, v in have.items() if had.get(n, _MISSING) is not v}
        self.gone = {n: v for n, v in had.items() if n not in have}
        known = all_of(before)
        self.binders = {n: one for one in known for n in one.fields if n in self.gone}
        self.earlier = tuple(one for one in known if one.shows(have))[-EARLIER:]
        self.of_worker = False

    def shows(self, have: Mapping[str, object]) -> bool:
        """Whether its doing still shows in these fields."""
        return any(have.get(n, _MISSING) is v for n, v in self.fields.items()) or any(
            n not in have for n in self.gone
        )


def all_of(frame: Frame) -> tuple[Bound, ...]:
    """Return the binds outside any scope that show in a frame, the first one first."""
    opened = getattr(frame, "opened", None)
    return (*opened.earlier, opened) if isinstance(opened, Bound) else ()


def bottom(frame: Frame) -> Frame:
    """Return the frame below all scopes."""
    return list(chain(frame))[-1]


class Binding:
    """Binds and unbinds outside any scope: of the test's own context, and of threads."""

    def __init__(self) -> None:
        self._in_threads: list[Bound] = []
        self._ended: frozenset[Wide] = frozenset()
        self._told_import = False

    @property
    def is_clean(self) -> bool:
        """Whether nothing was bound that has to be looked at."""
        return not self._in_threads

    def note(self, before: Frame, test: object, fixture: Wide | None) -> None:
        """Something was bound, or unbound, in the current frame, which no scope owns."""
        frame = CURRENT.get()
        have = frame.fields.values
        opened = Bound(before, have, test, fixture)
        CURRENT.set(Tracked(frame, opened))
        here = threading.current_thread()
        for one in self._in_threads:
            one.closed = one.closed or (one.thread is here and not one.shows(have))
        if here is threading.main_thread() or opened.task is not None or test is None:
            return
        stack = sys._getframe(2)  # noqa: SLF001 - whose it is tells where it stays
        if not opened.fields or len(self._in_threads) >= MOST or fields_on_stack(stack) is not None:
            return  # a copied context ends with its call
        if is_worker(here):
            if not in_job(stack):
                return  # the initializer's are for all its jobs
            opened.of_worker = True
        self._in_threads.append(opened)

    def at_import(self) -> list[Leak]:
        """Return what is bound already as the first test begins, once."""
        first, self._told_import = not self._told_import, True
        frame = bottom(CURRENT.get())
        if not first or isinstance(frame, Tracked) or not frame.fields.values:
            return []
        told = shown_all(frame.fields.values)
        said = f"bound before the first test, and there for all of them: {told}"
        return [Leak(said, ("at import, or in a conftest's or plugin's hook",), _FIX_IMPORT)]

    def finish(self, before: Frame, ended: frozenset[Wide]) -> list[Leak]:
        """Return what the test, and fixtures that have ended, left so; put back what can be."""
        self._ended = ended
        after = CURRENT.get()
        low = bottom(after)
        known = all_of(low)
        found: list[Leak] = []
        if known:
            have, had = low.fields.values, bottom(before).fields.values
            for one in known:
                found.extend(self._of_test(one, have, had))
            if low is after and (low is not before or self._ended):
                self._put_back(low, before, known)
        return found

    def _of_test(
        self, one: Bound, have: Mapping[str, object], had: Mapping[str, object]
    ) -> list[Leak]:
        bound = {n: v for n, v in one.fields.items() if have.get(n, _MISSING) is v}
        if one.test is None:
            if one.fixture not in self._ended or not bound:
                return []
            said = f"bound by {one.fixture}, and left after it: {shown_all(bound)}"
            return [Leak(said, one.places, _FIX_FIXTURE)]
        found = []
        new = {n: v for n, v in bound.items() if had.get(n, _MISSING) is not v}
        if new:
            said = f"bound outside any scope, and left after the test: {shown_all(new)}"
            found.append(Leak(said, one.places, FIX_BIND))
        gone = {
            n: v
            for n, v in one.gone.items()
            if n not in have and n in had and not self._is_taken_back(one, n)
        }
        if gone:
            said = f"unbound outside any scope, and missing after the test: {shown_all(gone)}"
            found.append(Leak(said, one.places, _FIX_UNBIND))
        return found

    def _is_taken_back(self, one: Bound, name: str) -> bool:
        """Whether a fixture has bound it, which has ended."""
        binder = one.binders.get(name)
        return binder is not None and binder.test is None and binder.fixture in self._ended

    def _put_back(self, low: Frame, before: Frame, known: tuple[Bound, ...]) -> None:
        """The next test begins as this one did, and with what fixtures that go on have bound."""
        have, start = low.fields.values, bottom(before)
        gone = {
            n for one in (*known, *all_of(start)) if one.fixture in self._ended for n in one.fields
        }
        kept = [one for one in known if one.test is None and one.fixture not in self._ended]
        values = {n: v for n, v in start.fields.values.items() if n not in gone}
        values |= {
            n: v for one in kept for n, v in one.fields.items() if have.get(n, _MISSING) is v
        }
        same = values.keys() == start.fields.values.keys()
        if same and all(values[n] is v for n, v in start.fields.values.items()):
            CURRENT.set(start)
        elif kept:
            last = kept[-1]
            last.earlier = tuple(kept[:-1])
            fields = Fields(values, start.fields.ids, start.fields.operation)
            CURRENT.set(Tracked(Frame(fields, start.parent, start.owner, start.undo), last))
        else:
            CURRENT.set(Frame(Fields(values), None, None) if values else ROOT)

    def in_threads(self) -> list[Leak]:
        """Return what jobs, and threads that go on, have left in their threads."""
        found = []
        for one in self._in_threads:
            alive = one.thread.is_alive()
            if not one.closed and (alive or one.of_worker):
                verb = "is" if alive else "was"
                said = f"thread {one.thread.name} {verb} left with {one.shown()}"
                found.append(Leak(said, one.places, FIX_BIND))
        self._in_threads.clear()
        return found
