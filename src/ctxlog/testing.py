"""Testing: capture what is logged as data, and assertions that say what is nearest.

>>> from ctxlog import get_logger, scope
>>> with capture() as lines, scope(request_id="r-1"):
...     get_logger("shop").info("accepted", items=3)
>>> lines.one(event="accepted")["request_id"]
'r-1'
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import policy
from ctxlog.context.resource import get_resource
from ctxlog.levels import parse
from ctxlog.pipeline import Pipeline
from ctxlog.runtime import runtime
from ctxlog.sinks.call import CallSink

if TYPE_CHECKING:
    from collections.abc import Generator

    from ctxlog.types import Processor

_MISSING = object()


class Lines(list[dict[str, Any]]):
    """Captured events, in the order they were written."""

    def where(self, **wanted: object) -> Lines:
        """Return the events that have these fields with these values.

        Example:
            >>> Lines([{"event": "a", "n": 1}, {"event": "b", "n": 1}]).where(n=1, event="b")
            [{'event': 'b', 'n': 1}]
        """
        return Lines(line for line in self if not _differences(line, wanted))

    def one(self, **wanted: object) -> dict[str, Any]:
        """Return the only event that has these fields.

        Raises:
            AssertionError: none has, or several; it shows the nearest and why they do not match.
        """
        found = self.where(**wanted)
        if len(found) != 1:
            raise AssertionError(self._explained(wanted, len(found)))
        return found[0]

    def assert_all_have(self, *names: str) -> None:
        """Assert that every event has these fields, and that there are events at all.

        Raises:
            AssertionError: it shows the first events without.
        """
        if not self:
            raise AssertionError("nothing was logged")
        for name in names:
            without = [line for line in self if name not in line]
            if without:
                shown = "\n".join(f"  {line}" for line in without[:3])
                raise AssertionError(
                    f"{len(without)} of {len(self)} lines have no {name}:\n{shown}"
                )

    def _explained(self, wanted: dict[str, object], found: int) -> str:
        head = f"{found} lines of {len(self)} match {wanted}"
        ranked = sorted(self, key=lambda line: len(_differences(line, wanted)))[:3]
        near = [f"  {line}\n    {'; '.join(_differences(line, wanted))}" for line in ranked]
        return "\n".join([head, "nearest:", *near] if near else [head, "nothing was logged"])


def _differences(line: dict[str, Any], wanted: dict[str, object]) -> list[str]:
    found = []
    for name, value in wanted.items():
        have = line.get(name, _MISSING)
        if have is _MISSING:
            found.append(f"no {name}")
        elif have != value:
            found.append(f"{name} is {have!r}, not {value!r}")
    return found


@contextmanager
def capture(
    level: int | str = 0, *, processors: tuple[Processor, ...] = (), strict: bool = False
) -> Generator[Lines]:
    """Capture every event written in the block, whatever is configured, and put that back.

    Args:
        level: the lowest level captured, by number or name.
        processors: run in front, as ``configure(processors=…)`` would.
        strict: raise what the pipeline would otherwise guard.

    Raises:
        UsageError: the level is unknown.
    """
    lines = Lines()
    lowest = parse(level)
    sink = CallSink(lines.append)
    sink.wants_event = True
    with runtime.lock:
        before, (base, levels) = runtime.pipeline, runtime.levels()
        strict_before = policy.strict
        pipeline = Pipeline(
            sinks=(runtime.adopt(sink),),
            processors=processors,
            resource=get_resource(),
            strict=strict,
        )
        runtime.install(pipeline, lowest, {})
        policy.strict = strict
    try:
        yield lines
    finally:
        with runtime.lock:
            policy.strict = strict_before
            runtime.install(before, base, levels)
