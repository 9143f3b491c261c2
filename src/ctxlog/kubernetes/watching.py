"""Watching: an entry for each event of a watch, whatever yields the events.

>>> from ctxlog.context.fields import get_context
>>> stream = [{"type": "ADDED", "object": {"kind": "Pod", "metadata": {"name": "a"}}}]
>>> for event in watched(stream):
...     with event as body:
...         get_context()["k8s.object.ref"], get_context()["reason"]
('Pod/a', 'added')
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeGuard, TypeVar

from ctxlog.errors import UsageError
from ctxlog.kubernetes.reconcile import logger_of, reconcile

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
    from types import TracebackType

Item = TypeVar("Item")


class WatchEvent(Generic[Item]):
    """One event of a watch: ``with`` it, it is an entry of its own and gives the event.

    Attributes:
        item: the event as the watch gave it.
    """

    __slots__ = ("_logger", "_options", "_running", "item")

    def __init__(self, item: Item, logger: str, options: dict[str, Any]) -> None:
        self.item = item
        self._logger = logger
        self._options = options
        self._running: reconcile | None = None

    def __enter__(self) -> Item:
        options = dict(self._options)
        options.setdefault("reason", reason_of(self.item))
        thing = self.item[1] if _is_pair(self.item) else self.item
        self._running = reconcile(thing, logger=self._logger, **options)
        self._running.__enter__()
        return self.item

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<watch event {reason_of(self.item)}>"


class watched:  # noqa: N801 - reads as a function
    """Iterate over a watch's events, each a block to enter; with ``for`` or ``async for``.

    A loop cannot bind for its body from outside, so each event is entered: ``with event as item``.

    Args:
        stream: what yields events: dicts with ``type`` and ``object``, pairs of both, or bare objects.
        options: what :func:`~ctxlog.kubernetes.reconcile.reconcile` takes by keyword.

    Raises:
        UsageError: it cannot be iterated over.
    """

    def __init__(self, stream: Iterable[Item] | AsyncIterable[Item], **options: Any) -> None:
        if not hasattr(stream, "__iter__") and not hasattr(stream, "__aiter__"):
            raise UsageError(f"watched takes what yields events, not {type(stream).__name__}")
        self._stream: Any = stream
        self._options = options
        self._logger = logger_of(options.pop("logger", None), sys._getframe(1).f_globals)  # noqa: SLF001

    def __iter__(self) -> Iterator[WatchEvent[Any]]:
        for item in self._stream:
            yield WatchEvent(item, self._logger, self._options)

    async def __aiter__(self) -> AsyncIterator[WatchEvent[Any]]:
        async for item in self._stream:
            yield WatchEvent(item, self._logger, self._options)


def reason_of(item: object) -> str:
    """Return an event's type, in lower case; what was only listed is ``"listed"``.

    Example:
        >>> reason_of({"type": "DELETED", "object": {}}), reason_of(("ADDED", {})), reason_of({})
        ('deleted', 'added', 'listed')
    """
    given = item.get("type") if isinstance(item, Mapping) else None
    if _is_pair(item):
        given = item[0]
    return given.lower()[:64] if isinstance(given, str) and given else "listed"


def _is_pair(item: object) -> TypeGuard[tuple[str, Any]]:
    """Say whether it is a type and its object, as lightkube, kr8s and pykube yield them."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)  # noqa: PLR2004
