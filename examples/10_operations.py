"""Operations: one closing line a job; exceptions with their fields; who hangs, and for whom."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ctxlog
from ctxlog.activity import dump

log = ctxlog.get_logger("shop")


def show(event: dict[str, Any]) -> None:
    """Print an event, less its time, its traceback and how long it took."""
    left_out = ("timestamp", "exception.stacktrace", "duration_s")
    print(json.dumps({name: event[name] for name in event if name not in left_out}))


def price(item: str) -> None:
    """Annotate the order's operation from a worker thread."""
    ctxlog.annotate({f"price.{item}": len(item)})


@ctxlog.operation("order")
def order(*items: str) -> None:
    """Price items in a pool, and fail for an empty order."""
    ctxlog.annotate(items=len(items))
    with ctxlog.scope(order=7), ThreadPoolExecutor(2) as pool:
        if not items:
            message = "nothing to order"
            raise ValueError(message)
        list(pool.map(ctxlog.wrap(price), items))


def hung() -> str:
    """Return what a dump says of a job that hangs."""
    inside, release = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        release.wait()

    with ThreadPoolExecutor(1, thread_name_prefix="worker") as pool:
        with ctxlog.scope(request_id="r-9"):
            pool.submit(ctxlog.wrap(hang))
        inside.wait()
        text = io.StringIO()
        dump(text)
        release.set()
    return next(line for line in text.getvalue().splitlines() if "worker" in line)


def main() -> None:
    """Order, fail to, and hang."""
    ctxlog.configure(sinks=[{"target": show, "renderer": "event"}])
    order("tea", "milk")
    try:
        order()
    except ValueError:
        log.exception("not ordered")
    print(hung())


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"level": "info", "logger": "__main__", "event": "order", "items": 2, "price.tea": 3, "price.milk": 4, "outcome": "success"}
# {"level": "error", "logger": "__main__", "event": "order", "items": 0, "outcome": "error", "exception.type": "ValueError", "exception.message": "nothing to order", "error.type": "ValueError", "order": 7}
# {"level": "error", "logger": "shop", "event": "not ordered", "exception.type": "ValueError", "exception.message": "nothing to order", "error.type": "ValueError", "order": 7}
# thread worker_0 [worker_0]: request_id=r-9
