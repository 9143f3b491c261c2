"""Backends: anyio and trio."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.boundaries.lanes import Lane


def _anyio(backend: str, crossing: Callable[..., Any]) -> Callable[[Lane], Any]:
    def cross(lane: Lane) -> Iterator[Any]:
        import anyio

        yield lambda: anyio.run(crossing, lane, backend=backend)

    return cross


async def _to_thread(lane: Lane) -> Any:
    from anyio import to_thread

    return await to_thread.run_sync(lane.read)


async def _from_thread(lane: Lane) -> Any:
    from anyio import from_thread, to_thread

    async def reading() -> Any:
        return lane.read()

    return await to_thread.run_sync(lambda: from_thread.run(reading))


async def _task_group(lane: Lane) -> Any:
    import anyio

    found: list[Any] = []

    async def reading() -> None:
        found.append(lane.read())

    async with anyio.create_task_group() as group:
        group.start_soon(reading)
    return found[0]


for _backend in ("asyncio", "trio"):
    row("B20", f"anyio `to_thread`, on {_backend}")(_anyio(_backend, _to_thread))
    row("B20", f"anyio `from_thread`, on {_backend}")(_anyio(_backend, _from_thread))
    row("B20", f"anyio `TaskGroup.start_soon`, on {_backend}")(_anyio(_backend, _task_group))


@row("B20", "anyio `BlockingPortal.call`")
def portal(lane: Lane) -> Iterator[Any]:
    """A call into a loop that another request started."""
    from anyio.from_thread import start_blocking_portal

    with contextlib.ExitStack() as stack:
        with lane.bind("other"):
            opened = stack.enter_context(start_blocking_portal())
        yield lambda: opened.call(lane.read)


@row("B20", "anyio `to_process`", "`job(function)`")
def to_process(lane: Lane) -> Iterator[Any]:
    """A call in a process of anyio's."""
    import anyio
    from anyio import to_process as boundary

    yield lambda: anyio.run(boundary.run_sync, lane.job(lane.read))


@row("B20", "trio nursery")
def nursery(lane: Lane) -> Iterator[Any]:
    """A child task of trio's."""
    import trio

    found: list[Any] = []

    async def reading() -> None:
        found.append(lane.read())

    async def main() -> Any:
        async with trio.open_nursery() as opened:
            opened.start_soon(reading)
        return found.pop()

    yield lambda: trio.run(main)
