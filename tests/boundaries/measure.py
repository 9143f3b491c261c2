"""Measure: a row in a lane, for request A, for request B and for nobody; three answers."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import warnings
from typing import TYPE_CHECKING, Any

from tests.boundaries.lanes import NOTHING
from tests.boundaries.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.boundaries.lanes import Lane
    from tests.boundaries.rows import Row

YES = "yes"


def outcome(a: Any, b: Any, nobody: Any, after: tuple[Any, ...]) -> str:
    """Say what happened, in the words of the page."""
    wrong = [
        f"{found} for {who}"
        for who, found in (("A", a), ("B", b), ("nobody", nobody))
        if found not in (who, NOTHING)
    ]
    if wrong:
        return f"**wrong**: {wrong[0]}"
    lost = [who for who, found in (("A", a), ("B", b)) if found != who]
    if lost:
        return "lost"
    return YES if after == ("A", "B", NOTHING) else "not restored"


def measure(row: Row, lane: Lane) -> str:
    """Run one row in one lane; an error is an outcome too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about forks beside threads: that is the row
            return contextvars.copy_context().run(_measure, row.cross(lane), lane)
    except Exception as error:  # noqa: BLE001 - it goes into the table
        return f"{type(error).__name__}"


def _measure(opened: Any, lane: Lane) -> str:
    if inspect.isasyncgen(opened):
        return asyncio.run(_measure_async(opened, lane))
    with contextlib.closing(opened):
        crossing = next(opened)
        with lane.bind("A"):
            a, after_a = crossing(), lane.read()
        with lane.bind("B"):
            b, after_b = crossing(), lane.read()
        result = outcome(a, b, crossing(), (after_a, after_b, lane.read()))
        next(opened, None)
        return result


async def _measure_async(opened: Any, lane: Lane) -> str:
    async with contextlib.aclosing(opened):
        crossing = await anext(opened)
        a, after_a = await _request(lane, "A", crossing)
        b, after_b = await _request(lane, "B", crossing)
        result = outcome(a, b, await crossing(), (after_a, after_b, lane.read()))
        await anext(opened, None)
        return result


async def _request(lane: Lane, name: str, crossing: Callable[[], Any]) -> tuple[Any, Any]:
    with lane.bind(name):
        return await crossing(), lane.read()


def measure_all(lane: Lane) -> dict[str, str]:
    """Run every row in one lane, in this process."""
    lane.start()
    return {f"{row.number} {row.title}": measure(row, lane) for row in ROWS}
