"""Threads and callbacks: what Python does not carry, ``wrap`` and ``snapshot`` do."""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread, Timer

import ctxlog

log = ctxlog.get_logger("work")


def job(what: str) -> None:
    """Write one line, wherever it runs."""
    log.info(what)


def joined(thread: Thread) -> None:
    """Start a thread and wait for it."""
    thread.start()
    thread.join()


def finished(future: Future[int]) -> None:
    """Tell of a job that is done, on the pool's thread."""
    log.info("done callback", result=future.result())


def threads() -> None:
    """Wrap what is handed to a thread, a timer, a pool, a future."""
    joined(Thread(target=job, args=["thread, not wrapped"]))
    joined(Thread(target=ctxlog.wrap(job), args=["thread"]))
    joined(Timer(0.01, ctxlog.wrap(job), ["timer"]))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ctxlog.wrap(job), "pool job").result()
        pool.submit(sum, (1, 2)).add_done_callback(ctxlog.wrap(finished))


def snapshots() -> None:
    """Put a snapshot beside each item; the worker enters it, or logs under it."""
    items: queue.SimpleQueue[tuple[ctxlog.Snapshot, str] | None] = queue.SimpleQueue()

    def worker() -> None:
        while (item := items.get()) is not None:
            taken, what = item
            with taken.scope():
                log.info("in the snapshot", what=what)
            log.using(taken).info("under the snapshot, without entering it", what=what)
            log.info("after it")

    thread = Thread(target=worker)
    thread.start()
    for number in (1, 2):
        with ctxlog.scope(request_id=f"r-{number}"):
            items.put((ctxlog.snapshot(), f"item {number}"))
    items.put(None)
    thread.join()


def registries() -> None:
    """Show that a wrapped callback equals the function it wraps: it is found again."""
    callbacks = [ctxlog.wrap(job)]
    callbacks.remove(job)
    log.info("removed", left=len(callbacks))


def main() -> None:
    """Run them."""
    ctxlog.configure()
    with ctxlog.scope(request_id="r-0"):
        threads()
    snapshots()
    registries()


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"timestamp":"2026-11-21T11:16:13.956211Z","level":"info","logger":"work","event":"thread, not wrapped"}
# {"timestamp":"2026-11-21T11:16:13.956398Z","level":"info","logger":"work","event":"thread","request_id":"r-0"}
# {"timestamp":"2026-11-21T11:16:13.967417Z","level":"info","logger":"work","event":"timer","request_id":"r-0"}
# {"timestamp":"2026-11-21T11:16:13.971474Z","level":"info","logger":"work","event":"pool job","request_id":"r-0"}
# {"timestamp":"2026-11-21T11:16:13.971601Z","level":"info","logger":"work","event":"done callback","request_id":"r-0","result":3}
# {"timestamp":"2026-11-21T11:16:13.975555Z","level":"info","logger":"work","event":"in the snapshot","request_id":"r-1","what":"item 1"}
# {"timestamp":"2026-11-21T11:16:13.975588Z","level":"info","logger":"work","event":"under the snapshot, without entering it","request_id":"r-1","what":"item 1"}
# {"timestamp":"2026-11-21T11:16:13.975627Z","level":"info","logger":"work","event":"after it"}
# {"timestamp":"2026-11-21T11:16:13.975649Z","level":"info","logger":"work","event":"in the snapshot","request_id":"r-2","what":"item 2"}
# {"timestamp":"2026-11-21T11:16:13.975662Z","level":"info","logger":"work","event":"under the snapshot, without entering it","request_id":"r-2","what":"item 2"}
# {"timestamp":"2026-11-21T11:16:13.975679Z","level":"info","logger":"work","event":"after it"}
# {"timestamp":"2026-11-21T11:16:13.975764Z","level":"info","logger":"work","event":"removed","left":0}
