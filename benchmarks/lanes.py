"""A lane is one contender at one case, ready to run; and the check that all lanes do the work."""

from __future__ import annotations

import contextvars
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FunctionType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from opentelemetry.context import attach
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from benchmarks.contender import contenders
from benchmarks.scenarios import LOGGER, SPAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.contender import Body, Contender, Event
    from benchmarks.scenarios import Case, Group

_FRESH_SECONDS = 60
_FOREIGN = [contextvars.ContextVar[int](f"foreign_{number}") for number in range(200)]


class ContentError(AssertionError):
    """A contender did not write what the case asks for, so that its time means nothing."""


@dataclass(frozen=True)
class Lane:
    """One contender at one case, in a Context of its own."""

    case: Case
    contender: Contender
    log: Any
    context: contextvars.Context
    body: Body

    @property
    def key(self) -> tuple[str, str]:
        """Return what samples are found by: the case's key and the contender's name."""
        return self.case.key, self.contender.name

    def run(self, times: int) -> None:
        """Make ``times`` turns of the case's loop."""
        self.context.run(self.body, self.log, times)


def own_code(body: Body) -> Body:
    """Return ``body`` with a code object of its own.

    The interpreter specialises bytecode in place: two loggers in one loop would each slow the
    other down.
    """
    function = cast("FunctionType", body)
    return FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def lanes(group: Group, stream: BinaryIO) -> list[Lane]:
    """Return the lanes of ``group``: each case by each of its contenders that is installed."""
    made: list[Lane] = []
    names = dict.fromkeys(name for case in group.cases for name in case.contenders)
    for contender in [contenders()[name] for name in names if name in contenders()]:
        contender.open(stream, group)
        for case in group.cases:
            if contender.name in case.contenders:
                context = contextvars.Context()
                context.run(_fill, contender, case)
                log = context.run(contender.logger, case)
                made.append(Lane(case, contender, log, context, own_code(contender.body(case))))
    return made


def _fill(contender: Contender, case: Case) -> None:
    for var in _FOREIGN[: case.foreign]:
        var.set(1)
    if case.span:
        attach(set_span_in_context(NonRecordingSpan(SPAN)))
    if case.context:
        contender.enter(case.context)


def check(group: Group) -> None:
    """Raise ContentError unless every lane writes exactly the lines its case asks for.

    The lines go to a file that is read while it is still open: a line must have left the process
    when its call returns.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in {name for case in group.cases for name in case.contenders}:
            path = os.path.join(folder, name)  # noqa: PTH118
            buffering = -1 if group.buffered else 0
            with open(path, "wb", buffering) as stream, open(path, "rb") as reader:  # noqa: PTH123
                for lane in lanes(group, stream):
                    if lane.contender.name == name:
                        before = lane.contender.failures()
                        lane.run(2)
                        _compare(lane, reader.read().splitlines())
                        if failed := lane.contender.failures() - before:
                            raise ContentError(f"{lane.key}: {failed} failures were swallowed")


def _compare(lane: Lane, lines: Iterable[bytes]) -> None:
    events = [json.loads(line) for line in lines]
    case, wanted = lane.case, 2 * lane.case.calls if lane.case.writes else 0
    if len(events) != wanted:
        raise ContentError(f"{lane.key}: {len(events)} lines, not {wanted}")
    expected = {"level": case.level, "logger": LOGGER, **case.line}
    for event in events:
        _check_stamp(lane, event)
        actual = lane.contender.common(event)
        if expected != actual:
            raise ContentError(f"{lane.key}:\n  expected {expected}\n  actual   {actual}")


def _check_stamp(lane: Lane, event: Event) -> None:
    stamp = lane.contender.stamp(event)
    age = datetime.now(UTC) - datetime.fromisoformat(stamp) if stamp else None
    if age is None or abs(age.total_seconds()) > _FRESH_SECONDS:
        raise ContentError(f"{lane.key}: timestamp {stamp!r}")
