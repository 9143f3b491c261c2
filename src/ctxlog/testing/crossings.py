"""Crossings: where work was handed to another thread, task or queue.

They are noted while :mod:`ctxlog.testing.ways` watches. What is noted travels with the work in a
ContextVar of its own, so that a line knows the way it came. What the program binds is not changed.
"""

from __future__ import annotations

import sys
import weakref
from contextvars import ContextVar
from threading import RLock
from typing import Any

from ctxlog.context.fields import CURRENT, Fields
from ctxlog.context.foreign import foreign_values
from ctxlog.context.spans import current_ids
from ctxlog.testing.blind import looking
from ctxlog.testing.places import Place

THREAD, RAW, SUBMIT, POOL = "thread", "raw thread", "submit", "pool"
CALLBACK, TASK, QUEUE, STREAM = "callback", "task", "queue", "stream"
#: Steps that are remembered of the way a piece of work has come.
MAX_STEPS = 100
#: Items in queues that are remembered; one put later than that has no crossing.
MAX_ITEMS = 10_000


class Crossing:
    """One handing-over: what kind, what was called, where, and what was bound there.

    Attributes:
        kind: one of the words above; ``TASK`` is what a loop takes, context and all.
        name: what was called: ``"ThreadPoolExecutor.submit"``.
        what: what was handed over, in words.
        place: where.
        fields: what was bound there.
        foreign: what other libraries had bound there.
        ids: a current span's, else the entry's.
        opened: the place where that was bound, if it is known.
        parent: the way the work had come until then.
        taker: for an item of a queue, the way that who took it had come.
    """

    __slots__ = (
        "fields",
        "foreign",
        "ids",
        "kind",
        "name",
        "opened",
        "parent",
        "place",
        "steps",
        "taker",
        "what",
    )

    def __init__(self, kind: str, name: str, what: object, depth: int = 3) -> None:
        frame = CURRENT.get()
        self.kind = kind
        self.name = name
        self.what = _named(what)
        self.place = Place.here(depth)
        fields = frame.fields
        if fields.operation is not None:  # what holds an operation keeps it from being abandoned
            fields = Fields(fields.values, fields.ids)
        self.fields: Fields = fields
        self.ids = current_ids() or fields.ids
        self.foreign: dict[str, object] | None = None
        with looking():
            self.foreign = foreign_values()
        self.opened: Place | None = getattr(getattr(frame, "opened", None), "place", None)
        parent = ORIGIN.get()
        self.steps: int = 0 if parent is None else parent.steps + 1
        if self.steps >= MAX_STEPS:  # a job that submits itself again, for ever
            parent, self.steps = None, 0
        self.parent: Crossing | None = parent
        self.taker: Crossing | None = None

    def value(self, name: str) -> object:
        """Return what was bound under a name where the work was handed over."""
        for values in (self.fields.values, self.foreign):
            if values and name in values:
                return values[name]
        return getattr(self.ids, name, None) if name in ("trace_id", "span_id") else None


#: The way the work that runs here has come.
ORIGIN: ContextVar[Crossing | None] = ContextVar("ctxlog_origin", default=None)


def _named(what: object) -> str:
    for _ in range(10):
        inner = getattr(what, "__wrapped__", None) or getattr(what, "func", None)
        if inner is None:
            break
        what = inner
    name = getattr(what, "__name__", None)
    return name if isinstance(name, str) else type(what).__name__


def task_now() -> str | None:
    """Return the name of the asyncio or trio task that runs here, if one does."""
    asyncio = sys.modules.get("asyncio.events")
    if asyncio is not None:
        loop = asyncio._get_running_loop()  # noqa: SLF001 - `current_task` raises without a loop
        if loop is not None:
            task = sys.modules["asyncio.tasks"].current_task(loop)
            return None if task is None else str(task.get_name())
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return str(trio.lowlevel.current_task().name)
        except (AttributeError, RuntimeError):  # half loaded; no loop runs here
            return None
    return None


class Carried:
    """A callable that remembers where it was handed over; it compares as what it calls."""

    __slots__ = ("__weakref__", "__wrapped__", "_crossing")

    def __init__(self, function: Any, crossing: Crossing) -> None:
        self.__wrapped__ = function
        self._crossing = crossing

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it, knowing the way."""
        token = ORIGIN.set(self._crossing)
        try:
            return self.__wrapped__(*args, **kwargs)
        finally:
            ORIGIN.reset(token)

    def __getattr__(self, name: str) -> Any:
        if name in Carried.__slots__:
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == getattr(other, "__wrapped__", other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)


class Waiting:
    """Items that are in queues, and who put them; told apart by identity, first in first out."""

    def __init__(self) -> None:
        self._items: dict[int, dict[int, list[Crossing]]] = {}  # by queue, by item
        self._queues: dict[int, weakref.ref[Any]] = {}
        self._lock = RLock()  # a queue may be collected while it is held
        self._count = 0

    def put(self, queue: Any, item: object, crossing: Crossing) -> None:
        """Remember who has put it."""
        key = id(queue)
        with self._lock:
            if self._count >= MAX_ITEMS:
                return
            if key not in self._queues:
                try:
                    self._queues[key] = weakref.ref(queue, lambda _: self._forget(key))
                except TypeError:
                    return
            self._count += 1
            self._items.setdefault(key, {}).setdefault(id(item), []).append(crossing)

    def got(self, queue: Any, item: object) -> Crossing | None:
        """Return who had put it, if that was seen."""
        with self._lock:
            items = self._items.get(id(queue), {})
            crossings = items.get(id(item))
            if not crossings:
                return None
            self._count -= 1
            found = crossings.pop(0)
            if not crossings:
                items.pop(id(item), None)  # what interrupts a get may get
            return found

    def _forget(self, key: int) -> None:
        with self._lock:  # another queue may get the same address
            self._queues.pop(key, None)
            self._count -= sum(map(len, self._items.pop(key, {}).values()))

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._items.clear()
            self._queues.clear()
            self._count = 0
