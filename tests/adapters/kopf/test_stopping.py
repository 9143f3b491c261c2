"""An operator is cancelled while everybody logs: nobody waits for us, no line is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import kopf
import pytest

import ctxlog
from ctxlog.adapters import kopf as adapter
from tests.kubernetes.cluster import body, cluster, operator, until

THREADS, TASKS = 8, 1_000
log = ctxlog.get_logger("stopping")


class Writers:
    """Threads and tasks that log until they are stopped."""

    def __init__(self) -> None:
        self.stop = False
        self.logged = 0
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._thread) for _ in range(THREADS)]
        self.tasks = [asyncio.create_task(self._task()) for _ in range(TASKS)]
        for thread in self.threads:
            thread.start()

    def _done(self, logged: int) -> None:
        with self._lock:
            self.logged += logged

    def _thread(self) -> None:
        logged = 0
        pause = threading.Event()
        while not self.stop:
            log.info("busy", writer=True)
            logged += 1
            pause.wait(0.001)
        self._done(logged)

    async def _task(self) -> None:
        logged = 0
        try:
            while not self.stop:
                log.info("busy", writer=True)
                logged += 1
                await asyncio.sleep(0.05)
        finally:
            self._done(logged)

    async def end(self) -> None:
        """Stop them all."""
        self.stop = True
        await asyncio.gather(*self.tasks)
        for thread in self.threads:
            thread.join()


@pytest.mark.asyncio
async def test_stopping_an_operator_while_everybody_logs_loses_no_line():
    """8 threads and 1,000 tasks log while it is cancelled: lines written are lines logged."""
    written: list[str] = []
    ctxlog.configure(
        level="info",
        renderer="json",
        sinks=[{"target": written.append, "queue": {"size": 1_000_000}}],
        levels={"aiohttp": "error", "asyncio": "error", "kopf": "error"},
    )
    adapter.install()
    registry = kopf.OperatorRegistry()
    handled = []

    @kopf.on.event("widgets", registry=registry)
    async def handler(name: str, **_: Any) -> None:
        handled.append(name)
        log.info("handled", writer=True)

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        handled.append("cleanup")
        log.info("cleaning", writer=True)

    try:
        async with cluster() as there:
            there.put(*(body(number) for number in range(50)))
            async with operator(there, registry) as running:
                writers = Writers()
                await until(lambda: len(handled) >= 50, running)
            await writers.end()
        drained = await asyncio.to_thread(ctxlog.shutdown, 60)
    finally:
        adapter.uninstall()
        ctxlog.shutdown()
    assert drained
    assert "cleanup" in handled
    assert writers.logged > TASKS
    assert writers.logged + len(handled) == sum('"writer":true' in line for line in written)
