"""Callbacks: called later, elsewhere, while somebody else works."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import weakref
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.boundaries.lanes import Lane


@row("B14", "a signal handler, while another request runs", "`signal.signal(…, wrap(…))`")
def signalled(lane: Lane) -> Iterator[Any]:
    """A handler has the context it was registered in."""
    before = signal.getsignal(signal.SIGUSR1)
    found: list[Any] = []

    def crossing() -> Any:
        signal.signal(signal.SIGUSR1, lane.wrap(lambda *_: found.append(lane.read())))
        with lane.bind("other"):
            signal.raise_signal(signal.SIGUSR1)
        return found.pop()

    yield crossing
    signal.signal(signal.SIGUSR1, before)


@row("B14", "`loop.call_later`")
async def call_later(lane: Lane) -> AsyncIterator[Any]:
    """A timer of the loop."""

    async def crossing() -> Any:
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, lambda: done.set_result(lane.read()))
        return await done

    yield crossing


@row("B14", "`weakref.finalize`, while another request runs", "`finalize(…, wrap(…))`")
def finalizer(lane: Lane) -> Iterator[Any]:
    """A finalizer has the context it was registered in."""
    found: list[Any] = []

    def crossing() -> Any:
        things: list[Any] = [type("Thing", (), {})()]
        weakref.finalize(things[0], lane.wrap(lambda: found.append(lane.read())))
        with lane.bind("other"):
            things.clear()
            gc.collect()
        return found.pop()

    yield crossing


@row("B16", "a scope left in another context than it was entered in")
def left_elsewhere(lane: Lane) -> Iterator[Any]:
    """Leaving there neither fails nor changes what is current there."""

    def crossing() -> Any:
        scope = lane.bind("inner")
        contextvars.copy_context().run(scope.__enter__)
        scope.__exit__(None, None, None)
        return lane.read()

    yield crossing


@row("A13", "blinker: a receiver, sent by another request", "`callbacks.as_function`")
def blinker(lane: Lane) -> Iterator[Any]:
    """A receiver that wants the context it was connected in."""
    from blinker import Signal

    def crossing() -> Any:
        sent = Signal()
        receiver = lane.wrap(lambda _: lane.read())
        sent.connect(receiver, weak=False)
        with lane.bind("other"):
            return sent.send(None)[0][1]

    yield crossing
