"""Generators: who sees what is bound around a ``yield``."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.boundaries.lanes import Lane


@row("B10", "an abandoned async generator", "`@scope(…)`, `generators.carried_async`")
async def abandoned(lane: Lane) -> AsyncIterator[Any]:
    """What an abandoned generator bound must not stay, and its end must not fail."""
    loop = asyncio.get_running_loop()
    failed: list[Any] = []
    loop.set_exception_handler(lambda _loop, context: failed.append(context))

    async def generator() -> Any:
        with lane.bind("generator's"):
            yield 1
            yield 2

    async def crossing() -> Any:
        async for _ in lane.asteps(generator()):
            break
        gc.collect()
        await asyncio.sleep(0.01)
        return failed.pop()["exception"].__class__.__name__ if failed else lane.read()

    yield crossing


@row("B11", "`with` around a `yield`", "`@scope(…)`, `generators.carried`")
def yielding(lane: Lane) -> Iterator[Any]:
    """The consumer must not see the generator's fields."""

    def generator() -> Any:
        with lane.bind("generator's"):
            yield 1
            yield 2

    def crossing() -> Any:
        steps = lane.steps(generator())
        next(steps)
        found = lane.read()
        steps.close()
        return found

    yield crossing


@row("B12", "interleaved generators", "`@scope(…)`, `generators.carried`")
def interleaved(lane: Lane) -> Iterator[Any]:
    """Each resumes with what it bound."""

    def generator(name: str) -> Any:
        with lane.bind(name):
            yield 1
            yield lane.read()

    def crossing() -> Any:
        mine = lane.read()
        one, two = lane.steps(generator(mine)), lane.steps(generator("other"))
        next(one)
        next(two)
        found, foreign = next(one), next(two)
        one.close()
        two.close()
        return found if foreign == "other" else foreign

    yield crossing
