"""Activity: a dump of all threads and tasks with the fields each runs under."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

from ctxlog import scope, wrap
from ctxlog.activity import activity, dump, dump_on_signal
from ctxlog.propagation import executors

if TYPE_CHECKING:
    import pytest


def test_wrapped_jobs_and_copied_contexts_show_their_fields() -> None:
    """A hung pool job shows what it was submitted under, and what it bound since."""
    inside, release = threading.Barrier(3), threading.Event()

    def hang() -> None:
        with scope(step=2):
            inside.wait()
            release.wait()

    with ThreadPoolExecutor(2, thread_name_prefix="pool") as pool:
        with scope(request_id="wrapped"):
            first = pool.submit(wrap(hang))
        with scope(request_id="copied"):
            second = pool.submit(copy_context().run, hang)
        inside.wait()
        found = {entry.name: entry for entry in activity() if entry.name.startswith("pool")}
        release.set()
        first.result()
        second.result()
    told = sorted(str(entry.fields) for entry in found.values())
    assert told == [
        "{'request_id': 'copied', 'step': 2}",
        "{'request_id': 'wrapped', 'step': 2}",
    ]
    assert all(any("hang" in place for place in entry.stack) for entry in found.values())


def test_a_job_of_our_pool_shows_its_fields() -> None:
    """A pool that makes no wrapper for its jobs has their contexts on the stack as well."""
    inside, release = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        release.wait()

    with executors.ThreadPoolExecutor(1, thread_name_prefix="ours") as pool:
        with scope(request_id="submitted"):
            job = pool.submit(hang)
        inside.wait()
        (found,) = [entry for entry in activity() if entry.name.startswith("ours")]
        release.set()
        job.result()
    assert {"request_id": "submitted"} == found.fields


def test_a_thread_whose_context_cannot_be_told_says_so() -> None:
    """A bare thread that bound its own fields has no fields in the dump, not wrong ones."""
    inside, release = threading.Event(), threading.Event()

    def hang() -> None:
        with scope(request_id="own"):
            inside.set()
            release.wait()

    with scope(request_id="starter"):
        thread = threading.Thread(target=hang, name="bare")
        thread.start()
    inside.wait()
    (entry,) = [entry for entry in activity() if entry.name == "bare"]
    release.set()
    thread.join()
    assert entry.fields is None


def test_tasks_of_every_loop_show_their_fields_and_where_they_wait() -> None:
    """Each task shows its own fields; the loop of another thread is found too."""

    async def wait(name: str, event: asyncio.Event) -> None:
        with scope(task=name):
            await event.wait()

    async def main() -> list[tuple[str, object]]:
        event = asyncio.Event()
        with scope(request_id="r-1"):
            tasks = [asyncio.create_task(wait(name, event), name=name) for name in ("t1", "t2")]
        await asyncio.sleep(0)
        found = await asyncio.to_thread(activity)  # from another thread
        event.set()
        await asyncio.gather(*tasks)
        return [(e.name, e.fields) for e in found if e.kind == "task" and e.name in ("t1", "t2")]

    expected = [(name, {"request_id": "r-1", "task": name}) for name in ("t1", "t2")]
    assert asyncio.run(main()) == expected


def test_the_dump_is_for_people_masked_and_cannot_be_forged() -> None:
    """Secrets are masked, control characters escaped, one line a thread and a line a frame."""
    out = io.StringIO()
    with scope(password="hunter2", note="a\nthread forged [x]: y", n=3):
        dump(out)
    text = out.getvalue()
    assert "hunter2" not in text
    assert "password=[redacted]" in text
    assert "note=a\\nthread forged" in text
    assert "n=3" in text


def test_dump_on_signal_dumps_and_chains(capfd: pytest.CaptureFixture[str]) -> None:
    """The signal writes the dump to standard error and then calls the handler that was there."""
    called: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: called.append(number))
    try:
        dump_on_signal(signal.SIGUSR1)
        with scope(request_id="r-9"):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert called == [signal.SIGUSR1]
    assert "request_id=r-9" in capfd.readouterr().err
