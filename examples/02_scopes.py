"""Scope everywhere: a block, and each call of a function, a coroutine, a generator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import ctxlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

log = ctxlog.get_logger("jobs")


@ctxlog.scope(job="invoices")
def invoices(customer: int) -> None:
    """Run in a scope of its own at each call."""
    ctxlog.bind_context(customer=customer)  # gone when the call returns
    log.info("written")


@ctxlog.scope(job="mails")
async def mails() -> None:
    """Keep its scope over every await, whatever runs in between."""
    log.info("connecting")
    await asyncio.sleep(0)
    log.info("sent")


@ctxlog.scope(job="rows")
def rows() -> Iterator[int]:
    """Keep its fields from step to step; whoever consumes it never sees them."""
    for number in (1, 2):
        ctxlog.bind_context(row=number)
        yield number
        log.info("row is done")


@ctxlog.scope(job="pages")
async def pages() -> AsyncIterator[int]:
    """Do the same, asynchronously."""
    for number in (1, 2):
        ctxlog.bind_context(page=number)
        await asyncio.sleep(0)
        yield number
        log.info("page is done")


async def consume() -> None:
    """Interleave a coroutine and two generators; each line has its own job's fields."""
    await asyncio.gather(mails(), mails())
    for number in rows():
        log.info("got a row", number=number)
    async for number in pages():
        log.info("got a page", number=number)


def main() -> None:
    """Nest scopes; the inner one's fields go first."""
    ctxlog.configure()
    with ctxlog.scope(batch=1):
        invoices(7)
        with ctxlog.scope({"job": "report"}, batch=2):
            log.info("inner")
        log.info("outer")
    asyncio.run(consume())


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"timestamp":"2026-11-21T11:16:13.859054Z","level":"info","logger":"jobs","event":"written","batch":1,"job":"invoices","customer":7}
# {"timestamp":"2026-11-21T11:16:13.859108Z","level":"info","logger":"jobs","event":"inner","batch":2,"job":"report"}
# {"timestamp":"2026-11-21T11:16:13.859127Z","level":"info","logger":"jobs","event":"outer","batch":1}
# {"timestamp":"2026-11-21T11:16:13.859341Z","level":"info","logger":"jobs","event":"connecting","job":"mails"}
# {"timestamp":"2026-11-21T11:16:13.863435Z","level":"info","logger":"jobs","event":"connecting","job":"mails"}
# {"timestamp":"2026-11-21T11:16:13.863481Z","level":"info","logger":"jobs","event":"sent","job":"mails"}
# {"timestamp":"2026-11-21T11:16:13.863502Z","level":"info","logger":"jobs","event":"sent","job":"mails"}
# {"timestamp":"2026-11-21T11:16:13.863568Z","level":"info","logger":"jobs","event":"got a row","number":1}
# {"timestamp":"2026-11-21T11:16:13.863598Z","level":"info","logger":"jobs","event":"row is done","job":"rows","row":1}
# {"timestamp":"2026-11-21T11:16:13.863620Z","level":"info","logger":"jobs","event":"got a row","number":2}
# {"timestamp":"2026-11-21T11:16:13.863640Z","level":"info","logger":"jobs","event":"row is done","job":"rows","row":2}
# {"timestamp":"2026-11-21T11:16:13.863684Z","level":"info","logger":"jobs","event":"got a page","number":1}
# {"timestamp":"2026-11-21T11:16:13.863709Z","level":"info","logger":"jobs","event":"page is done","job":"pages","page":1}
# {"timestamp":"2026-11-21T11:16:13.863729Z","level":"info","logger":"jobs","event":"got a page","number":2}
# {"timestamp":"2026-11-21T11:16:13.863744Z","level":"info","logger":"jobs","event":"page is done","job":"pages","page":2}
