"""Probing: the job that is handed over a boundary, and what is made of what it saw."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from ctxlog.context.fields import CURRENT, replace
from ctxlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The field that is bound and looked for; what a job binds itself and leaves behind.
PROBE, OWN = "ctxlog.probe", "ctxlog.probe.left"
STEPS = 3
#: Findings shown of one question.
SHOWN = 2
#: Seconds that two jobs wait for each other: a boundary may do one after the other.
MEET = 0.5
_FIXES = {
    "present": "hand the job over with its context: ctxlog.wrap(job), "
    "ctxlog.propagation.wrap_executor(pool), or hand(item) for a queue",
    "nobody": "start workers with ctxlog.propagation.run_detached(…); run each job under its "
    "submitter's context: ctxlog.wrap(job)",
    "restored": "bind with `with ctxlog.scope(…)` inside the job, never around a yield; decorate "
    "a generator: @ctxlog.scope(…)",
}


class Answers:
    """What was found, by question."""

    def __init__(self, boundary: object) -> None:
        self.name = getattr(boundary, "__qualname__", None) or type(boundary).__qualname__
        self.found: dict[str, list[str]] = {"present": [], "nobody": [], "restored": []}

    def saw(self, who: str, seen: list[dict[str, Any]], case: str) -> None:
        """Judge what a job of ``who`` saw at each of its steps; ``""`` is nobody's."""
        for fields in seen:
            have = fields.get(PROBE, "")
            if have and have != who:
                of = f"{who}'s job" if who else "nobody's job"
                self._add("nobody", f"{of} saw {have}'s fields ({case})")
            elif who and not have:
                self._add("present", f"{who}'s job saw nothing of {who}'s ({case})")
            if fields.get(OWN):
                self._add("restored", f"a job saw what {fields[OWN]}'s job had bound ({case})")

    def kept(self, same: bool, who: str, case: str) -> None:  # noqa: FBT001 - the answer
        """Judge whether whoever submitted has afterwards what it had before."""
        if not same:
            have = dict(CURRENT.get().fields.values)
            self._add("restored", f"afterwards {who or 'nobody'} has {have} ({case})")

    def never(self, who: str, case: str, timeout: float) -> None:
        """A job was not called."""
        __tracebackhide__ = True
        raise AssertionError(
            f"{self.name} did not call the job of {who or 'nobody'} within {timeout:g} s ({case})"
        )

    def _add(self, question: str, said: str) -> None:
        if said not in self.found[question]:
            self.found[question].append(said)

    def judge(self, *questions: str) -> None:
        """Raise if one of these questions was answered with no."""
        __tracebackhide__ = True
        titles = {"present": "present?", "nobody": "nobody else's?", "restored": "restored?"}
        wrong = [question for question in questions if self.found[question]]
        if not wrong:
            return
        verb = "propagate" if "present" in wrong else "isolate"
        lines = [f"{self.name} does not {verb} the context"]
        for question, title in titles.items():
            said = self.found[question]
            more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
            lines.append(
                f"  {title:15} {'no: ' + '; '.join(said[:SHOWN]) + more if said else 'yes'}"
            )
        lines += [f"  fix: {_FIXES[question]}" for question in wrong]
        raise AssertionError("\n".join(lines))


class Job:
    """What is handed over: it looks at its context at each step, binds something, leaves it."""

    def __init__(self, who: str, meet: threading.Barrier | None = None) -> None:
        self.who = who
        self.seen: list[dict[str, Any]] = []
        self.done = threading.Event()
        self._meet = meet
        self._made_in = threading.get_ident()

    def __call__(self) -> None:
        """Be the job."""
        for _ in range(STEPS):
            self.look()
            self._wait()
        self._leave()

    async def later(self) -> None:
        """Be the job, as a coroutine."""
        for _ in range(STEPS):
            self.look()
            await pause(0)
        self._leave()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            "a boundary to another process cannot be asked: the job looks at what is bound in this"
            " one; have a line written over there, and assert on that"
        )

    def look(self) -> None:
        """Note what is bound here."""
        self.seen.append(dict(CURRENT.get().fields.values))

    def _wait(self) -> None:
        if self._meet is None or threading.get_ident() == self._made_in:
            return
        try:
            self._meet.wait(MEET)
        except threading.BrokenBarrierError:  # the boundary does one after the other
            return

    def _leave(self) -> None:
        replace(CURRENT.get().fields.with_values({OWN: self.who or "nobody"}))
        self.done.set()


async def pause(seconds: float) -> None:
    """Let others run, under asyncio or trio."""
    trio = sys.modules.get("trio")
    if trio is not None and "asyncio" not in sys.modules:
        await trio.sleep(seconds)
        return
    import asyncio

    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - `get_running_loop` raises
        await asyncio.sleep(seconds)
    elif trio is not None:
        await trio.sleep(seconds)


async def together(*functions: Callable[[], Any]) -> None:
    """Run coroutine functions at once, each as a task of its own, under asyncio or trio."""
    import asyncio

    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - as above
        async with asyncio.TaskGroup() as group:
            for function in functions:
                group.create_task(function())
        return
    async with sys.modules["trio"].open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(function)
