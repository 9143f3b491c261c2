"""All doors at once: a thousand interleaved tasks, each line with its own request's ids."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.handlers
import queue
from typing import Any

import pytest
import structlog
from loguru import logger as loguru_logger

import ctxlog
from ctxlog.adapters.lines import Lines
from ctxlog.adapters.loguru import sink

TASKS = 1_000


@pytest.mark.parametrize("schema", ["otel", "ecs"])
def test_every_line_of_every_door_has_its_requests_ids(schema: str):
    """1,000 interleaved tasks with distinct ids, lines from all doors: 0 without, 0 wrong, 0 lost."""
    out = io.StringIO()
    structlog.reset_defaults()
    loguru_logger.remove()
    ctxlog.configure(stream=out, renderer="json", schema=schema)
    loguru_logger.add(sink, enqueue=True)
    printed = Lines("stdout")
    doors: dict[str, Any] = {
        "own": ctxlog.get_logger("own").info,
        "stdlib": logging.getLogger("doors.lib").info,
        "structlog": structlog.get_logger("theirs").info,
        "loguru": loguru_logger.info,
        "print": lambda text: print(text, file=printed),
    }

    async def work(number: int) -> None:
        with ctxlog.entry({"x-request-id": f"r-{number}"}, owner=number):
            for write in doors.values():
                await asyncio.sleep(0)
                write(f"by {number}")
            await asyncio.to_thread(doors["stdlib"], f"by {number}")

    async def main() -> None:
        await asyncio.gather(*map(work, range(TASKS)))

    asyncio.run(main())
    loguru_logger.complete()
    loguru_logger.remove()
    ctxlog.shutdown()
    structlog.reset_defaults()
    name, event = ("request_id", "event") if schema == "otel" else ("http.request.id", "message")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    lines = [line for line in lines if line.get(event, "").startswith("by ")]
    assert TASKS * (len(doors) + 1) == len(lines)
    wrong = [line for line in lines if line.get(name) != f"r-{line[event][3:]}"]
    assert [] == wrong


def test_a_queue_listener_under_the_same_load():
    """The same through a QueueHandler and QueueListener, once the factory stamps records."""
    out = io.StringIO()
    records: queue.Queue[Any] = queue.Queue()
    log = logging.Logger("doors.queue")
    log.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, ctxlog.Handler(out))

    async def work(number: int) -> None:
        with ctxlog.entry({"x-request-id": f"r-{number}"}):
            await asyncio.sleep(0)
            log.info("by %d", number)

    async def main() -> None:
        await asyncio.gather(*map(work, range(TASKS)))

    with ctxlog.stamp_records():
        listener.start()
        asyncio.run(main())
        listener.stop()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert TASKS == len(lines)
    assert all(line["event"] == f"by {line['request_id'][2:]}" for line in lines)
