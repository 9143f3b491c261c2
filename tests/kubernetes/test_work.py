"""A work queue against a model of it: whatever is done in whatever order."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ctxlog.kubernetes import work as module
from ctxlog.kubernetes.work import QueueClosed, Work, WorkQueue
from ctxlog.testing import capture

KEYS = st.sampled_from(["shop/a", "shop/b", "c"])


class Model(RuleBasedStateMachine):
    """Keys that wait, in order; those that are worked on, by whom; failures in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = WorkQueue(kind="Pod")
        self.order: list[str] = []
        self.again: list[str] = []
        self.working: dict[str, Work] = {}
        self.taken: list[Work] = []
        self.failures: dict[str, int] = {}
        self.closed = False

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        """Put a key."""
        self.queue.add(key)
        if not self.closed and key not in self.order and key not in self.again:
            (self.again if key in self.working else self.order).append(key)

    @rule()
    def get(self) -> None:
        """Take one, if there is one."""
        if self.order:
            taken = self.queue.get(0)
            key = self.order.pop(0)
            assert (key, self.failures.get(key, 0)) == (taken.key, taken.retry)
            self.working[key] = taken
            self.taken.append(taken)
        else:
            none = QueueClosed if self.closed and not self.again else TimeoutError
            with pytest.raises(none):
                self.queue.get(0)

    def _end(self, key: str, *, failed: bool) -> None:
        del self.working[key]
        self.failures[key] = self.failures.get(key, 0) + 1 if failed else 0
        if key in self.again:
            self.again.remove(key)
            self.order.append(key)

    @rule(key=KEYS, failed=st.booleans())
    def done(self, key: str, failed: bool) -> None:
        """Say that a key is done, be it taken or not."""
        self.queue.done(key, failed=failed)
        if key in self.working:
            self._end(key, failed=failed)

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), failed=st.booleans())
    def leave(self, data: Any, failed: bool) -> None:
        """Enter and leave what was taken at some time; of some it was said that they are done."""
        taken: Work = data.draw(st.sampled_from(self.taken))
        self.taken.remove(taken)
        with capture():
            try:
                with taken as key:
                    if failed:
                        raise LookupError(key)
            except LookupError:
                pass
        key = taken.key
        if self.working.get(key) is taken:
            self._end(key, failed=failed)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        """Count no failures any more."""
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule()
    def close(self) -> None:
        """Take no more."""
        self.queue.close()
        self.closed = True

    @invariant()
    def waits(self) -> None:
        """As many wait as there are."""
        assert len(self.order) + len(self.again) == len(self.queue)


TestModel = Model.TestCase


def test_failures_of_objects_that_are_gone_do_not_add_up(monkeypatch: pytest.MonkeyPatch):
    """The key that failed first is forgotten first; one that fails on is remembered."""
    monkeypatch.setattr(module, "MAX_FAILURES", 3)
    queue = WorkQueue()
    for key in ("kept", "a", "b", "kept", "c", "kept", "d", "kept"):
        queue.add(key)
        queue.get(0)
        queue.done(key, failed=True)
    retries = {}
    for key in ("kept", "a", "d"):
        queue.add(key)
        retries[key] = queue.get(0).retry
    assert {"kept": 4, "a": 0, "d": 1} == retries


def test_a_coroutine_whose_loop_has_stopped_keeps_no_key_from_a_thread():
    """It is woken, as far as it can be; the thread that waits is too."""
    queue = WorkQueue()
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(queue.get(100).key))
    thread.start()
    while not queue._idle:
        pass
    loop = asyncio.new_event_loop()
    task = loop.create_task(queue.aget())
    loop.run_until_complete(asyncio.sleep(0))
    queue.add("a")
    thread.join(50)
    assert ["a"] == got
    queue.add("b")
    assert "b" == loop.run_until_complete(task).key
    loop.close()
