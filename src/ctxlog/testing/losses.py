"""Losses: a line without its id, or with another's: where that happened, and how it is mended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxlog.testing.crossings import (
    CALLBACK,
    POOL,
    QUEUE,
    RAW,
    STREAM,
    SUBMIT,
    TASK,
    THREAD,
    Crossing,
)
from ctxlog.testing.shown import shown, shown_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctxlog.testing.places import Place
    from ctxlog.testing.recording import Record

_SHORT = 80
#: Crossings shown of the way of a line that nobody had given its id.
_STEPS = 3
MAIN = "MainThread"
_FIXES = {
    THREAD: "start it with its context: {cls}(…) from ctxlog.propagation.threads, "
    "or target=ctxlog.wrap({what})",
    RAW: "start it with its context: ctxlog.wrap({what})",
    SUBMIT: "submit it with its context: submit(ctxlog.wrap({what}), …), "
    "or make the pool with ctxlog.propagation.wrap_executor(…)",
    POOL: "hand it in with its context: {method}(ctxlog.wrap({what}), …), "
    "or make the pool with ThreadPool from ctxlog.propagation.pools",
    CALLBACK: "register it with its context: ctxlog.wrap({what})",
    TASK: "the loop took it along, and something there dropped it: clear_context(), "
    "unbind_context(), or a context of its own; bind it again, or log before",
    QUEUE: "put it with its context: a queue of ctxlog.propagation.queues, taken by "
    "`with queue.receive()` (asyncio's: `with await`), or put hand(item) and take it by "
    "`with item:`",
    STREAM: "send hand(item) and take it by `with item:`; hand is from ctxlog.propagation",
}
_SUBCLASS = (
    "derive {what} from Thread of ctxlog.propagation.threads, or call "
    "ctxlog.propagation.install() if it is not yours"
)
_INHERITED = (
    "start the worker with ctxlog.propagation.run_detached(…), and make each piece of its work "
    "an entry of its own: with ctxlog.entry(link=…)"
)
_NEVER = "bind it where the work comes in: with ctxlog.entry(…) or ctxlog.scope({name}=…)"
_UNSEEN = (
    "; if it was handed over in a way that is not seen (queue.SimpleQueue, a list, a signal, "
    "C code), hand its context over: ctxlog.wrap(…), hand(item)"
)
_LIBRARY = "; or leave the library's own lines out: ctxlog_required_except = {logger}"
_PACKAGES = frozenset({"site-packages", "dist-packages"})
_LEFT = "log inside the scope, or let what outlives it take its context along: ctxlog.wrap(…)"


class Loss:
    """One line that lacks a field, or has another's value of it.

    Attributes:
        name: the field.
        record: the line.
        boundary: the crossing where it was lost, ``None`` when the work crossed none.
        last: the place that had it last, ``None`` when none had.
        value: its value there.
        wrong: whether the line has another's value, not none.
        left: whether ``last`` is the last line that had it, rather than a crossing.
        elsewhere: whether the line may have come in a way that is not seen.
        anywhere: whether another line of the test has the field.
        fix: what mends it, in one sentence.
    """

    def __init__(
        self,
        name: str,
        record: Record,
        before: Record | None = None,
        *,
        elsewhere: bool = False,
        anywhere: bool = False,
    ) -> None:
        self.name = name
        self.anywhere = anywhere
        self.elsewhere = elsewhere
        self.record = record
        self.boundary: Crossing | None = None
        self.last: Place | None = None
        self.value: object = None
        self.wrong = record.value(name) is not None
        self.left = False
        step = record.origin
        while step is not None and step.value(name) is None:
            step = step.parent
        if step is not None:
            self.boundary, self.last, self.value = step, step.place, step.value(name)
        elif before is not None:
            self.left, self.last, self.value = True, before.place, before.value(name)
        self.fix = self._fix()

    @property
    def place(self) -> Place | None:
        """The line of code; when the job is the logger's own method, where it was handed over."""
        record = self.record
        if record.place is None and record.origin is not None:
            return record.origin.place
        return record.place

    @property
    def key(self) -> tuple[str, str]:
        """The boundary and the place it was crossed, or what is known instead."""
        crossing = self.boundary
        if self.wrong and crossing is not None and crossing.taker is not None:
            crossing = crossing.taker  # the item came across; its worker had come from elsewhere
        if crossing is not None:
            return crossing.name, crossing.place.at if crossing.place else "?"
        return ("after its scope" if self.left else "never bound"), self.at

    @property
    def at(self) -> str:
        """``file:line`` of the line."""
        return self.place.at if self.place else "?"

    def _fix(self) -> str:
        crossing = self.boundary
        if self.wrong:
            return _INHERITED
        if crossing is None:
            fix = (_LEFT if self.left else _NEVER).format(name=self.name)
            if self.place is not None and not _PACKAGES.isdisjoint(Path(self.place.file).parts):
                fix += _LIBRARY.format(logger=self.record.logger.partition(".")[0])
            return fix + (_UNSEEN if self.elsewhere and self.anywhere else "")
        cls, _, method = crossing.name.partition(".")
        if crossing.kind == THREAD and cls not in ("Thread", "Timer"):
            return _SUBCLASS.format(what=cls)
        return _FIXES[crossing.kind].format(what=crossing.what, cls=cls, method=method)

    def told(self) -> str:
        """Tell it for people, the fix last."""
        record, name = self.record, self.name
        said = shown_text(record.event, _SHORT)
        where = f"thread {record.thread}" + (f", task {record.task}" if record.task else "")
        have = record.value(name)
        lack = (
            f"has another's {name}={shown(name, have, _SHORT)}" if self.wrong else f"has no {name}"
        )
        lines = [f"{self.place}: {said} {lack} ({record.door}, {where})"]
        if self.boundary is not None:
            crossing = self.boundary
            opened = f", bound at {crossing.opened}" if crossing.opened else ""
            lines += [
                f"  last had:  {name}={shown(name, self.value, _SHORT)} at {crossing.place}{opened}",
                f"  lost at:   {crossing.name}({crossing.what}) at {crossing.place}",
            ]
            if self.wrong and crossing.taker is not None:
                taker = crossing.taker
                lines[-1] = (
                    f"  came from: {taker.name}({taker.what}) at {taker.place}, "
                    f"made under {name}={shown(name, have, _SHORT)}"
                )
        elif self.last is not None:
            lines += [
                f"  last had:  {name}={shown(name, self.value, _SHORT)} at {self.last}",
                "  lost at:   the end of that scope: no thread, pool, callback or queue was crossed",
            ]
        elif self.elsewhere:
            lines.append("  last had:  nobody on the way that was seen")
            step = record.origin
            for _ in range(_STEPS):
                if step is not None:
                    lines.append(f"  came by:   {step.name}({step.what}) at {step.place}")
                    step = step.parent
        else:
            lines.append(
                f"  last had:  nobody that was seen: {name} was not bound on the way to this line"
            )
        lines.append(f"  fix:       {self.fix}")
        return "\n".join(lines)


def lost(
    records: Iterable[Record], names: Iterable[str], left_out: frozenset[str] = frozenset()
) -> list[Loss]:
    """Return what the lines lack of these fields, and where they have another's, once a place.

    Args:
        records: lines in the order they were written.
        names: fields that each of them must have.
        left_out: loggers whose lines, and those of loggers below them, need not have them.
    """
    wanted = tuple(names)
    records = [record for record in records if not _is_left_out(record.logger, left_out)]
    anywhere = {name: any(r.value(name) is not None for r in records) for name in wanted}
    found: dict[tuple[Any, ...], Loss] = {}
    before: dict[tuple[str, str, str | None], Record] = {}
    for record in records:
        for name in wanted:
            value, here = record.value(name), (name, record.thread, record.task)
            if value is None:
                moved = record.origin is not None or anywhere[name] or record.thread != MAIN
                elsewhere = moved and here not in before
                known = before.get(here)
                loss = Loss(name, record, known, elsewhere=elsewhere, anywhere=anywhere[name])
            elif is_anothers(record, name, value):
                loss = Loss(name, record)
            else:
                before[here] = record
                continue
            found.setdefault((name, loss.place, loss.wrong, *loss.key), loss)
    return list(found.values())


def _is_left_out(logger: str, left_out: frozenset[str]) -> bool:
    while logger not in left_out:
        logger = logger.rpartition(".")[0]
        if not logger:
            return False
    return True


def is_anothers(record: Record, name: str, value: object) -> bool:
    """Whether a line shows what its worker was started under, not what its item was put under."""
    item = record.origin
    if item is None or item.kind not in (QUEUE, STREAM) or item.taker is None:
        return False
    put = item.value(name)
    return put is not None and put != value and item.taker.value(name) == value


def report(losses: list[Loss], names: Iterable[str], most: int = 10) -> str:
    """Tell them all for people."""
    lines = len(losses)
    wanted = ", ".join(names)
    head = f"context lost at {lines} {'place' if lines == 1 else 'places'}; required: {wanted}"
    told = [head, *("\n" + loss.told() for loss in losses[:most])]
    if lines > most:
        told.append(f"\n… and {lines - most} more")
    return "\n".join(told)
