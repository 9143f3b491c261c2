"""Lines: what is logged in a block as data, and assertions that say what is nearest.

>>> from ctxlog import get_logger, scope
>>> with capture() as lines, scope(request_id="r-1"):
...     get_logger("shop").info("accepted", items=3)
>>> lines.one(event="accepted")["request_id"]
'r-1'
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ctxlog.context.fields import policy
from ctxlog.context.resource import get_resource
from ctxlog.errors import UsageError, shown
from ctxlog.levels import parse
from ctxlog.pipeline import Pipeline
from ctxlog.runtime import runtime
from ctxlog.sinks.call import CallSink
from ctxlog.texts import safe_str
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Self

    from ctxlog.types import Processor

#: Lines that a failure shows.
SHOWN = 3
_SHORT = 80
_MISSING = object()


class Lines(list[dict[str, Any]]):
    """Captured events, in the order they were written."""

    def where(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> Self:
        """Return the events that have these fields with these values.

        A value is compared as it is; a compiled pattern is searched for in the field's text; what
        can be called (and is no class) is asked, with the field's value: an error of it is a no.

        Example:
            >>> Lines([{"event": "a", "n": 1}, {"event": "b", "n": 1}]).where(n=1, event="b")
            [{'event': 'b', 'n': 1}]
        """
        given = _given(fields, wanted)
        return type(self)(line for line in self if not differences(line, given))

    def one(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> Any:
        """Return the only event that has these fields.

        Raises:
            AssertionError: none has, or several; it shows the nearest and why they do not match.
        """
        __tracebackhide__ = True
        given = _given(fields, wanted)
        found = self.where(given)
        if len(found) != 1:
            raise AssertionError(self._explained(given, found))
        return found[0]

    def assert_any(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> None:
        """Assert that at least one event has these fields.

        Raises:
            AssertionError: none has; it shows the nearest and why they do not match.
        """
        __tracebackhide__ = True
        given = _given(fields, wanted)
        if not self.where(given):
            raise AssertionError(self._explained(given, type(self)()))

    def assert_none(self, fields: Mapping[str, object] | None = None, /, **wanted: object) -> None:
        """Assert that no event has these fields.

        Raises:
            AssertionError: it shows those that have.
        """
        __tracebackhide__ = True
        given = _given(fields, wanted)
        found = self.where(given)
        if found:
            shown = "\n".join(f"  {self._told(line)}" for line in found[:SHOWN])
            raise AssertionError(f"{len(found)} lines of {len(self)} match {given}:\n{shown}")

    def assert_all_have(self, *names: str) -> None:
        """Assert that every event has these fields, and that there are events at all.

        Raises:
            AssertionError: it shows the first events without.
        """
        __tracebackhide__ = True
        if not self:
            raise AssertionError(self._nothing())
        for name in names:
            without = [line for line in self if name not in line]
            if without:
                shown = "\n".join(f"  {self._told(line)}" for line in without[:SHOWN])
                raise AssertionError(
                    f"{len(without)} of {len(self)} lines have no {name}:\n{shown}"
                )

    def assert_order(self, *events: str) -> None:
        """Assert that these events were written in this order; others may stand between.

        Raises:
            AssertionError: it names the first that is missing, and shows what there is.

        Example:
            >>> Lines([{"event": "a"}, {"event": "b"}, {"event": "c"}]).assert_order("a", "c")
        """
        __tracebackhide__ = True
        left = iter(self)
        for number, event in enumerate(events):
            if not any(line.get("event") == event for line in left):
                after = f" after {events[number - 1]!r}" if number else ""
                there = ", ".join(repr(line.get("event")) for line in self) or "nothing"
                raise AssertionError(f"no {event!r}{after}; in order there is: {there}")

    def _told(self, line: dict[str, Any]) -> str:
        return str(line)

    def _nothing(self) -> str:
        return "nothing was logged"

    def _explained(self, wanted: dict[str, object], found: Lines) -> str:
        head = f"{len(found)} lines of {len(self)} match {wanted}"
        if found:
            shown = [f"  {self._told(line)}" for line in found[:SHOWN]]
            return "\n".join([head, "they are:", *shown])
        if not self:
            return f"{head}\n{self._nothing()}"
        ranked = sorted(self, key=lambda line: len(differences(line, wanted)))[:SHOWN]
        near = [
            f"  {self._told(line)}\n    {'; '.join(differences(line, wanted))}" for line in ranked
        ]
        return "\n".join([head, "nearest:", *near])


def _given(fields: object, wanted: dict[str, object]) -> dict[Any, object]:
    """Return what is wanted as one dict."""
    if fields is None:
        return wanted
    if not is_mapping(type(fields)):
        raise UsageError(
            f"lines are asked for by fields, not {shown(fields)}:"
            " by keyword, as in one(event='paid'), or a mapping"
        )
    named: Any = fields
    return {**named, **wanted}


def differences(line: Mapping[str, Any], wanted: Mapping[str, object]) -> list[str]:
    """Return, in words, what keeps a line from being the wanted one.

    Example:
        >>> differences({"event": "a", "n": 1}, {"event": "a", "n": 2, "m": 3})
        ['n is 1, not 2', 'no m']
    """
    found = []
    for name, value in wanted.items():
        have = line.get(name, _MISSING)
        if have is _MISSING:
            found.append(f"no {name}")
        elif isinstance(value, re.Pattern):
            if not value.search(str(have)):
                found.append(f"{name} is {have!r}, without {value.pattern!r}")
        elif callable(value) and not isinstance(value, type):
            said = _refused(value, have)
            if said:
                found.append(f"{name} is {have!r}, {said}")
        elif have != value:
            found.append(f"{name} is {have!r}, not {value!r}")
    return found


def _refused(function: Callable[..., object], value: object) -> str | None:
    name = getattr(function, "__name__", None) or repr(function)
    try:
        return None if function(value) else f"which {name} refuses"
    except Exception as error:  # noqa: BLE001 - it was written for another line's kind of value
        return f"at which {name} raises {type(error).__name__}: {safe_str(error, _SHORT)}"


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
