"""What a user writes, for type checkers: read by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_type

import ctxlog
from ctxlog.kubernetes import pod
from ctxlog.propagation.queues import (
    AsyncLifoQueue,
    AsyncPriorityQueue,
    AsyncQueue,
    Handed,
    LifoQueue,
    PriorityQueue,
    Queue,
)
from ctxlog.renderers.json import JsonRenderer

log = ctxlog.get_logger(__name__, {"service.name": "shop"}, component="cart")
assert_type(log, ctxlog.BoundLogger)
assert_type(log.bind(a=1), ctxlog.BoundLogger)
assert_type(log.using(ctxlog.snapshot()), ctxlog.BoundLogger)
assert_type(log.is_enabled_for("info"), bool)
assert_type(ctxlog.add_sink(print, level="error"), int)
assert_type(ctxlog.flush(), bool)
assert_type(ctxlog.counters(), dict[str, int])
log.info("paid %d", 3, items=3)
log.log("notice", "event")


def processor(_: Any, __: str, event: Any) -> dict[str, Any]:
    """Be a processor."""
    return dict(event)


ctxlog.configure(level="debug", levels={"kopf": 30}, renderer="json", processors=[processor])
ctxlog.configure(renderer=JsonRenderer())


async def coroutine() -> None:
    """Log from a coroutine."""
    assert_type(await log.ainfo("event"), None)


# what a class of the standard library is replaced by takes the same type
jobs: Queue[int] = Queue()
jobs.put(3)
assert_type(jobs.get(), int)
with jobs.receive() as job:
    assert_type(job, int)
assert_type(PriorityQueue[str]().get_nowait(), str)
assert_type(LifoQueue[str](maxsize=3).receive(timeout=1.0), Handed[str])


async def queues(tasks: AsyncQueue[bytes]) -> None:
    """Take from a queue of asyncio's."""
    assert_type(await tasks.get(), bytes)
    with await tasks.receive() as task:
        assert_type(task, bytes)
    assert_type(tasks.receive_nowait(), Handed[bytes])
    await AsyncPriorityQueue[int]().put(3)
    await AsyncLifoQueue[int]().put("3")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


ctxlog.configure(**pod.options(), renderer="json")
ctxlog.configure(levl="debug")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
ctxlog.configure(level=1.5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
ctxlog.add_sink(print, colour=True)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
ctxlog.get_logger(3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
ctxlog.konfigure()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
log.inform("event")  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
