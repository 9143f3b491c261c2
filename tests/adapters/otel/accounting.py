"""Lines from eight threads to a receiver that stalls and is cut off once, and what became of each.

    python -m tests.adapters.otel.accounting grpc 100000 2

A process of its own: gRPC does not like to be forked, which other tests do. It prints the account
as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import ctxlog
from tests.adapters.otel.receiver import attributes_of, environment, receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

THREADS = 8


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("it did not come to pass")
        time.sleep(0.005)


def dropped(counts: dict[str, int]) -> int:
    """How many lines of one account were dropped."""
    return sum(
        number
        for name, number in counts.items()
        if ".dropped." in name and name.startswith(("sink.", "closed."))
    )


@contextmanager
def _variables(protocol: str, port: int, queue: int) -> Generator[None]:
    os.environ.update(environment(protocol, port))
    os.environ["OTEL_BLRP_MAX_QUEUE_SIZE"] = str(queue)
    yield


def run(protocol: str, lines: int, stall: float) -> dict[str, Any]:
    """Send lines, stall the receiver, cut it off, let it go on, stop; return the account."""
    small = lines < 50_000
    with (
        receiver(protocol) as (received, proxy),
        _variables(protocol, proxy.port, 256 if small else 2_048),
    ):
        ctxlog.configure(
            sinks=[],
            stdlib=False,
            resource={"service.name": "shop"},
            otlp={"queue": {"size": 300 if small else 10_000, "retries": 0}},
        )
        began = time.perf_counter()
        log = ctxlog.get_logger("shop")

        def work(thread: int) -> None:
            for number in range(lines // THREADS):
                log.info("line", id=f"{thread}.{number}")

        threads = [Thread(target=work, args=(number,)) for number in range(THREADS)]
        received.going.clear()
        stalled = time.monotonic()
        for thread in threads:
            thread.start()
        wait_for(lambda: received_one(received) or dropped(ctxlog.counters()) > 0)
        while time.monotonic() < stalled + stall:
            time.sleep(0.01)
        wait_for(lambda: dropped(ctxlog.counters()) > 0)
        proxy.cut()
        received.going.set()
        for thread in threads:
            thread.join()
        logged = time.perf_counter() - began
        stopped = ctxlog.shutdown(60)
        counts = ctxlog.counters()
        ids = Counter(attributes_of(r)["id"] for r, _, _ in received.records() if r.attributes and any(a.key == "id" for a in r.attributes))  # fmt: skip
        return {
            "protocol": protocol,
            "logged": lines // THREADS * THREADS,
            "acknowledged": counts["closed.acknowledged"],
            "unconfirmed": counts["closed.unconfirmed"] + counts["closed.unknown"],
            "dropped": dropped(counts),
            "waiting": counts["closed.waiting"] + counts["closed.depth"],
            "received": len(ids),
            "received twice": sum(number > 1 for number in ids.values()),
            "stopped": stopped,
            "seconds": round(time.perf_counter() - began, 2),
            "logging seconds": round(logged, 2),
        }


def received_one(received: Any) -> bool:
    """Whether anything has come in."""
    return any(received.requests["logs"])


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))  # noqa: T201 - its result
