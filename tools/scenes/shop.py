"""What docs/images/console.svg shows: two requests at once, and one that fails."""

import asyncio
import logging

import ctxlog

ctxlog.configure(level="debug", levels={"asyncio": "warning"})
log = ctxlog.get_logger("shop")


def charge(order: int) -> None:
    """Fail, as a library would that logs by itself."""
    logging.getLogger("payments").info("charging order %d", order)
    raise ConnectionError(f"no answer for order {order}")


async def buy(user: str, order: int, turns: asyncio.Barrier) -> None:
    """Serve one request, in step with the other."""
    with ctxlog.scope(request_id=f"r-{order}", user=user):
        log.info("accepted", order=order, items=3)
        await turns.wait()
        log.debug("price looked up", cents=1250)
        await turns.wait()
        if user == "bob":
            log.warning("slow", waited_s=1.5, password="hunter2")  # noqa: S106 - it is masked
        else:
            try:
                charge(order)
            except ConnectionError:
                log.exception("failed", retry=True)
        await turns.wait()
        log.info("answered", status=200 if user == "bob" else 503)


async def main() -> None:
    """Serve both."""
    log.info("started", port=8000)
    turns = asyncio.Barrier(2)
    await asyncio.gather(buy("bob", 7, turns), buy("eve", 8, turns))


asyncio.run(main())
