"""Reconciling without a framework: a scope, a queue that remembers who put, a watch's events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import ctxlog
from ctxlog.errors import UsageError
from ctxlog.kubernetes import work
from ctxlog.kubernetes.reconcile import reconcile
from ctxlog.kubernetes.watching import watched
from ctxlog.kubernetes.work import QueueClosed, WorkQueue
from ctxlog.sampling import Tail
from ctxlog.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = ctxlog.get_logger("operator")


def test_a_reconcile_is_an_entry_closed_by_one_line():
    """What was bound outside does not show, what is bound inside does not stay."""
    with capture() as lines, ctxlog.scope(outside=1):
        body = {"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}
        with reconcile(body, {"a.b": 1}, handler="h", reason="resync", retry=2, c=3):
            ctxlog.bind_context(inside=1)
            ctxlog.annotate(made=4)
            log.info("in")
        log.info("after")
    inside, closing, after = lines.one(event="in"), lines.one(event="reconcile"), lines.one(
        event="after")  # fmt: skip
    expected = {"k8s.object.ref": "Pod/b/a", "handler": "h", "reason": "resync", "retry": 2,
                "a.b": 1, "c": 3}  # fmt: skip
    for line in (inside, closing):
        assert expected.items() <= line.items()
        assert "outside" not in line
    assert inside["reconcile_id"] == closing["reconcile_id"]
    assert ("success", 4, __name__) == (closing["outcome"], closing["made"], closing["logger"])
    assert "inside" not in after
    assert 1 == after["outside"]


def test_a_reconcile_that_fails_says_so_and_raises():
    """The exception goes on, and is on the closing line."""
    with capture() as lines:
        with pytest.raises(ValueError, match="no"), reconcile("a/b", kind="Pod"):
            raise ValueError("no")
        with pytest.raises(UsageError):
            reconcile("a/b", [1])  # type: ignore[arg-type]
    line = lines.one(event="reconcile")
    assert ("error", "ValueError") == (line["outcome"], line["exception.type"])


def test_work_is_linked_to_who_put_it():
    """Each key's line links to its own putter; what is put twice while it waits is worked on once."""
    queue = WorkQueue(kind="Pod", handler="sync")
    with capture() as lines:
        for name in ("r-1", "r-2"):
            with ctxlog.entry({"x-request-id": name}):
                queue.add(f"ns/{name}")
        with ctxlog.entry({"x-request-id": "late"}):
            queue.add("ns/r-1")
        assert 2 == len(queue)
        for _ in range(2):
            with queue.get() as key:
                log.info("worked", key=key)
    for line in lines.where(event="worked"):
        assert line["key"] == f"ns/{line['link.request_id']}"
        assert f"Pod/{line['key']}" == line["k8s.object.ref"]
        assert line["request_id"] != line["link.request_id"]
    assert 2 == lines.one(event="worked", key="ns/r-1")["puts"]


def test_a_key_that_is_worked_on_waits_until_that_is_done():
    """Two workers never have the same object; failures are counted until a success."""
    queue = WorkQueue(kind="Pod")
    queue.add("a")
    work = queue.get()
    with pytest.raises(RuntimeError), work:
        queue.add("a")
        with pytest.raises(TimeoutError):
            queue.get(timeout=0)
        raise RuntimeError
    again = queue.get(timeout=0)
    assert 1 == again.retry
    with again:
        pass
    queue.add("a")
    third = queue.get()
    assert 0 == third.retry
    queue.done("a", failed=True)
    queue.forget("a")
    queue.add("a")
    assert 0 == queue.get().retry
    assert "a" in repr(third)


def test_many_workers_and_putters_lose_nothing_and_mix_nothing():  # noqa: C901 - its threads' own
    """Every key is worked on at least once, by one worker at a time, under its own putter's link."""
    queue = WorkQueue(kind="Pod")
    keys = [f"ns/p-{number}" for number in range(200)]
    busy: Counter[str] = Counter()
    wrong: list[Any] = []

    def put() -> None:
        for key in keys:
            with ctxlog.entry({"x-request-id": key.partition("/")[2]}):
                queue.add(key)

    def work() -> None:
        while True:
            try:
                taken = queue.get(timeout=60)
            except QueueClosed:
                return
            with taken as key:
                busy[key] += 1
                fields = ctxlog.get_context()
                if busy[key] != 1 or f"Pod/{key}" != fields["k8s.object.ref"]:
                    wrong.append(fields)
                if key != f"ns/{fields['link.request_id']}":
                    wrong.append(fields)
                done.add(key)
                busy[key] -= 1

    done: set[str] = set()
    with capture():
        workers = [threading.Thread(target=work) for _ in range(4)]
        putters = [threading.Thread(target=put) for _ in range(4)]
        for thread in (*workers, *putters):
            thread.start()
        for thread in putters:
            thread.join()
        queue.close()
        for thread in workers:
            thread.join()
    assert ([], set(keys)) == (wrong, done)
    queue.add("late")
    assert 0 == len(queue)


@pytest.mark.asyncio
async def test_coroutines_take_from_the_same_queue():
    """Keys put from threads wake waiting tasks; a cancelled one leaves nothing behind."""
    queue = WorkQueue(kind="Pod")
    found: list[str] = []

    async def work() -> None:
        while True:
            with await queue.aget() as key:
                found.append(ctxlog.get_context()["k8s.object.ref"] + key)

    def put_all() -> None:
        for number in range(50):
            queue.add(f"k{number}")

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    with capture():
        await asyncio.to_thread(put_all)
        queue.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {QueueClosed} == {type(result) for result in results}
    assert sorted(f"Pod/k{n}k{n}" for n in range(50)) == sorted(found)
    idle = WorkQueue()
    waiting = asyncio.create_task(idle.aget())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert [] == idle._idle


STREAM = [
    {"type": kind, "object": {"kind": "Pod", "metadata": {"name": f"p-{n}"}}}
    for n, kind in enumerate(["ADDED", "MODIFIED", "DELETED"])
]


def test_each_event_of_a_watch_is_an_entry():
    """The reason is the event's type; between events nothing is bound."""
    with capture() as lines:
        for event in watched(STREAM, handler="watch"):
            assert {} == ctxlog.get_context()
            with event as item:
                log.info("seen", saw=item["object"]["metadata"]["name"])
    seen = lines.where(event="seen")
    assert ["added", "modified", "deleted"] == [line["reason"] for line in seen]
    assert all(line["saw"] == line["k8s.object.name"] for line in seen)
    assert 3 == len({line["reconcile_id"] for line in seen}) == len(lines.where(event="reconcile"))
    assert {__name__} == {line["logger"] for line in lines.where(event="reconcile")}


@pytest.mark.asyncio
async def test_an_asynchronous_watch_too():
    """``async for`` gives the same."""

    async def stream() -> AsyncIterator[dict[str, Any]]:
        for item in STREAM:
            yield item

    refs = []
    with capture():
        async for event in watched(stream()):
            with event:
                await asyncio.sleep(0)
                refs.append(ctxlog.get_context()["k8s.object.ref"])
    assert ["Pod/p-0", "Pod/p-1", "Pod/p-2"] == refs
    with pytest.raises(UsageError, match="yields events"):
        watched(5)  # type: ignore[arg-type]


def test_tail_sampling_ends_with_each_reconcile():
    """What a good one logged is dropped after its closing line, what a bad one logged is written."""
    tail = Tail()
    with capture(processors=(tail,)) as lines:
        for name in ("good", "bad"):
            with reconcile(f"shop/{name}", kind="Pod"):
                log.info("seen")
                if name == "bad":
                    log.error("broken")
        assert 0 == tail.held
    assert ["seen", "broken", "reconcile"] == [line["event"] for line in lines]
    assert {"bad"} == {line["k8s.object.name"] for line in lines}


def test_a_reconcile_decorates_too():
    """Each call is a run of its own, with an id of its own."""

    @reconcile("shop/db", kind="Pod", handler="resync", link=ctxlog.snapshot())
    def resync(number: int) -> int:
        log.info("in", number=number)
        return number

    with capture() as lines:
        assert [1, 2] == [resync(1), resync(2)]
    inside = [line for line in lines if line["event"] == "in"]
    assert {("db", "resync")} == {(line["k8s.object.name"], line["handler"]) for line in lines}
    assert 2 == len({line["reconcile_id"] for line in inside})
    assert 4 == len(lines)


class Taken(Counter[str]):
    """What workers of two kinds took from a queue until it was closed."""

    def __init__(self, queue: WorkQueue) -> None:
        super().__init__()
        self.queue = queue
        self.lock = threading.Lock()

    def take(self, work: Any) -> None:
        """Count a key, its work done."""
        with self.lock:
            self[work.key] += 1
        self.queue.done(work.key)

    def thread(self, timeout: float | None) -> None:
        """Work as a thread."""
        with suppress(QueueClosed):
            while True:
                with suppress(TimeoutError):
                    self.take(self.queue.get(timeout))

    async def coroutine(self) -> None:
        """Work as a coroutine."""
        with suppress(QueueClosed):
            while True:
                self.take(await self.queue.aget())

    async def coroutines(self) -> None:
        """Work as four of them."""
        await asyncio.gather(*(self.coroutine() for _ in range(4)))


def test_one_who_waits_is_woken_for_each_key():
    """Threads with and without a timeout, and coroutines, wait together; none sleeps over a key."""
    queue = WorkQueue(kind="Pod")
    taken = Taken(queue)
    keys = [f"shop/p-{number}" for number in range(300)]
    workers = [threading.Thread(target=taken.thread, args=(n,)) for n in (None, 0.001, 30)]
    workers.append(threading.Thread(target=asyncio.run, args=(taken.coroutines(),)))
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + 100
    for number, key in enumerate(keys, 1):
        queue.add(key)
        while number % 3 == 0 and sum(taken.values()) < number:  # all sleep again now and then
            assert time.monotonic() < deadline, f"somebody sleeps over {key}"
            time.sleep(0)
    queue.close()
    for worker in workers:
        worker.join(100)
    assert Counter(keys) == taken


@pytest.mark.asyncio
async def test_who_is_cancelled_when_woken_has_another_one_woken():
    """A key does not wait because the one who was woken for it went away."""
    queue = WorkQueue(kind="Pod")
    first = asyncio.create_task(queue.aget())
    await asyncio.sleep(0)
    second = asyncio.create_task(queue.aget())
    await asyncio.sleep(0)
    assert 2 == len(queue._idle)
    queue.add("shop/db")  # the last one who came is woken
    second.cancel()
    work = await asyncio.wait_for(first, 100)
    assert "shop/db" == work.key


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: reconcile("a/b", kind="Pod", **options),
        WorkQueue,
        lambda **options: watched([], **options),
    ],
)
def test_a_logger_that_is_no_name_is_an_error_at_once(make: Any):
    """Not when the block is left, with the work done and its own exception in the way."""
    with pytest.raises(UsageError, match="logger takes a logger's name, not 5"):
        make(logger=5)


def test_all_workers_end_when_the_last_key_of_a_closed_queue_is_taken():
    """Those who wait for a key that is worked on and waits again are told that none will come."""
    queue = WorkQueue(kind="Pod")
    queue.add("a/b")
    busy = queue.get()
    queue.add("a/b")  # while it is worked on
    taken = Taken(queue)
    threads = [threading.Thread(target=taken.thread, args=(None,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 100

    def waiting() -> None:
        while len(queue._idle) < 3:
            assert time.monotonic() < deadline
            time.sleep(0)

    waiting()
    queue.close()
    waiting()  # woken, and back again: a key waits still
    queue.done(busy.key)
    for thread in threads:
        thread.join(100)
    assert [False, False, False] == [thread.is_alive() for thread in threads]
    assert {"a/b": 1} == taken


def test_a_worker_that_is_woken_when_its_time_is_nearly_over_is_not_woken_twice(
    monkeypatch: pytest.MonkeyPatch,
):
    """Its wait ended by itself just before it was woken; who puts the next key must not suffer."""
    queue = WorkQueue(kind="Pod")
    waits: list[int] = []

    class Late:
        """A lock: its first wait ends just before the wake, in its second one a key is put."""

        def __init__(self) -> None:
            self._lock = threading.Lock()
            self.release = self._lock.release

        def acquire(self, timeout: float = -1) -> bool:
            """Take it, or see what happens around a wait with a timeout."""
            if timeout < 0:
                return self._lock.acquire()
            waits.append(len(waits))
            if len(waits) == 1:
                queue._idle.pop()()
                return False
            queue.add("shop/db")
            return self._lock.acquire(timeout=0)

    parts = {"Lock": Late, "RLock": threading.RLock, "TIMEOUT_MAX": threading.TIMEOUT_MAX}
    monkeypatch.setattr(work, "threading", SimpleNamespace(**parts))
    assert "shop/db" == queue.get(timeout=1_000).key
    assert [0, 1] == waits


class Pair(NamedTuple):
    """As pykube has it."""

    type: str
    object: Any


def test_events_that_come_as_pairs_are_told_as_others():
    """A type and its object: so lightkube, kr8s and pykube yield them."""
    body = {"kind": "Pod", "metadata": {"name": "db", "namespace": "shop"}}
    with capture() as lines:
        for event in watched([("ADDED", body), Pair("DELETED", body)]):
            with event as item:
                assert body is item[1]
    assert [("added", "Pod/shop/db"), ("deleted", "Pod/shop/db")] == [
        (line["reason"], line["k8s.object.ref"]) for line in lines
    ]
