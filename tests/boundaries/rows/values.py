"""Values: what was bound is what it was when it was bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.boundaries.lanes import Lane


@row("A18", "a bound value is changed afterwards", "values are what they were")
def changed_later(lane: Lane) -> Iterator[Any]:
    """What was bound stays as it was when it was bound."""

    def crossing() -> Any:
        mine = lane.read()
        value = [mine]
        with lane.bind(value):
            value[0] = "changed"
            return lane.read()[0] if mine != "-" else mine

    yield crossing


@row("B15", "a child task changes a value that it finds bound", "values are what they were")
async def changed_by_child(lane: Lane) -> AsyncIterator[Any]:
    """What a child does to a list must not show on its parent's lines."""

    async def child() -> None:
        lane.value().append("child's")

    async def crossing() -> Any:
        mine = lane.read()
        with lane.bind([mine]):
            await asyncio.create_task(child())
            found = lane.read()
        return mine if mine == "-" or found == [mine] else found[-1]

    yield crossing
