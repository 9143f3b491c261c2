"""Queues: an item remembers who put it. Whoever takes it decides to work under that context.

:func:`hand` makes any item remember, for any queue, channel or broker that takes Python objects (it
pickles). The queue classes do so by themselves:

>>> from ctxlog.context.fields import get_context
>>> from ctxlog.context.scope import scope
>>> jobs = Queue()
>>> with scope(request_id="r-1"):
...     jobs.put("resize")
>>> with jobs.receive() as item:
...     item, get_context()
('resize', {'request_id': 'r-1'})

``get()`` returns the bare item and leaves the taker's context alone.
"""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ctxlog.context.accessors import capture
from ctxlog.context.fields import CURRENT, frame_of
from ctxlog.context.snapshot import Snapshot

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed import SupportsRichComparison

    from ctxlog.context.captured import SnapshotScope

Item = TypeVar("Item")
Ordered = TypeVar("Ordered", bound="SupportsRichComparison")  # as typeshed has it


class Handed(Generic[Item]):
    """An item and the context it was put under; a block gives the item and enters the context.

    It compares as its item, so that a priority queue orders it.

    Attributes:
        item: what was put.
        snapshot: the context it was put under.
    """

    __slots__ = ("_scopes", "item", "snapshot")

    def __init__(self, item: Item, snapshot: Snapshot) -> None:
        self.item = item
        self.snapshot = snapshot
        self._scopes: list[SnapshotScope] = []

    def __enter__(self) -> Item:
        scope = self.snapshot.scope()
        scope.__enter__()
        self._scopes.append(scope)
        return self.item

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # one that was put into two queues has blocks that overlap: this one's is in this chain
        entered = self._scopes[::-1]
        scope = next((each for each in entered if frame_of(each) is not None), entered[0])
        self._scopes.remove(scope)
        scope.__exit__(kind, error, traceback)

    def __eq__(self, other: object) -> bool:
        return bool(self.item == (other.item if isinstance(other, Handed) else other))

    def __lt__(self, other: Handed[Any]) -> bool:
        return bool(self.item < other.item)

    def __hash__(self) -> int:
        return hash(self.item)

    def __reduce__(self) -> tuple[Any, ...]:
        return Handed, (self.item, self.snapshot)

    def __repr__(self) -> str:
        return f"<{self.item!r} from {self.snapshot!r}>"


def hand(item: Item) -> Handed[Item]:
    """Return ``item`` with the context of now, to be put into any queue.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> with scope(a=1):
        ...     handed = hand("job")
        >>> with handed as item:
        ...     item, get_context()
        ('job', {'a': 1})
    """
    return Handed(item, Snapshot(CURRENT.get().fields, capture()))


def _handed(item: Any) -> Handed[Any]:
    return item if type(item) is Handed else hand(item)


class _Hands(Generic[Item]):
    """A thread queue's methods; each item is put with the context of its putter."""

    def _put(self: Any, item: Any) -> None:
        super()._put(_handed(item))  # type: ignore[misc] # a mixin's

    def get(self: Any, block: bool = True, timeout: float | None = None) -> Item:  # noqa: FBT001, FBT002 - as queue.Queue
        """Take the bare item; the taker's own context stays."""
        item: Item = super().get(block, timeout).item  # type: ignore[misc] # a mixin's
        return item

    def receive(self: Any, block: bool = True, timeout: float | None = None) -> Handed[Item]:  # noqa: FBT001, FBT002 - as get
        """Take an item with its context: ``with q.receive() as item``.

        Raises:
            queue.Empty: as ``get`` does.
        """
        handed: Handed[Item] = super().get(block, timeout)  # type: ignore[misc] # a mixin's
        return handed


class Queue(_Hands[Item], queue.Queue[Item]):
    """:class:`queue.Queue` whose items remember who put them."""


class LifoQueue(_Hands[Item], queue.LifoQueue[Item]):
    """:class:`queue.LifoQueue` whose items remember who put them."""


class PriorityQueue(_Hands[Ordered], queue.PriorityQueue[Ordered]):
    """:class:`queue.PriorityQueue` whose items remember who put them."""


class _AsyncHands(Generic[Item]):
    """An asyncio queue's methods; each item is put with the context of its putter."""

    def _put(self: Any, item: Any) -> None:
        super()._put(_handed(item))  # type: ignore[misc] # a mixin's

    def _get(self: Any) -> Any:
        self._taken = handed = super()._get()  # type: ignore[misc] # a mixin's
        return handed.item

    async def get(self: Any) -> Item:
        """Take the bare item; the taker's own context stays."""
        item: Item = await super().get()  # type: ignore[misc] # a mixin's
        self._taken = None  # a worker that waits for the next one holds the last one no more
        return item

    async def receive(self: Any) -> Handed[Item]:
        """Take an item with its context: ``with await q.receive() as item``."""
        await super().get()  # type: ignore[misc] # a mixin's
        return _last(self)  # nothing runs between _get and here: a finished await does not switch

    def receive_nowait(self: Any) -> Handed[Item]:
        """Take an item with its context.

        Raises:
            asyncio.QueueEmpty: as ``get_nowait`` does.
        """
        self.get_nowait()
        return _last(self)


def _last(taken_from: Any) -> Handed[Any]:
    handed: Handed[Any] = taken_from._taken  # noqa: SLF001 - a mixin's
    taken_from._taken = None  # noqa: SLF001 - keep no item alive
    return handed


class AsyncQueue(_AsyncHands[Item], asyncio.Queue[Item]):
    """:class:`asyncio.Queue` whose items remember who put them."""


class AsyncLifoQueue(_AsyncHands[Item], asyncio.LifoQueue[Item]):
    """:class:`asyncio.LifoQueue` whose items remember who put them."""


class AsyncPriorityQueue(_AsyncHands[Ordered], asyncio.PriorityQueue[Ordered]):
    """:class:`asyncio.PriorityQueue` whose items remember who put them."""
