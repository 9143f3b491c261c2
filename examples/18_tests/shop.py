"""A small shop with three bugs that no ordinary test sees."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import ctxlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = ctxlog.get_logger("shop")
pool = ThreadPoolExecutor(2, thread_name_prefix="pictures")


def shrink(picture: str) -> None:
    """Make a picture small."""
    log.info("shrunk", picture=picture)


def upload(picture: str) -> None:
    """Take a picture in; the work is done in a pool."""
    log.info("uploaded", picture=picture)
    pool.submit(shrink, picture).result()


async def orders() -> AsyncIterator[int]:
    """Read orders, one after the other."""
    with ctxlog.scope(table="orders"):
        for order in (1, 2, 3):
            yield order


async def latest_order() -> int | None:
    """Return the first order; the others are not read."""
    async for order in orders():
        return order
    return None


class Mailer:
    """Sends mail in a task of its own, which the first mail starts."""

    def __init__(self) -> None:
        self.mails: asyncio.Queue[str] = asyncio.Queue()
        self.worker: asyncio.Task[None] | None = None

    async def send(self, mail: str) -> None:
        """Leave a mail to be sent."""
        if self.worker is None:
            self.worker = asyncio.create_task(self.work())
        await self.mails.put(mail)

    async def work(self) -> None:
        """Send what is there, for ever."""
        while True:
            mail = await self.mails.get()
            log.info("sent", mail=mail)
            self.mails.task_done()
