"""First lines: configure once, log anywhere, bind for a block."""

from __future__ import annotations

import ctxlog

log = ctxlog.get_logger("shop")  # at import, before anything is configured


def main() -> None:
    """Write lines with fields of the process, the context, the logger and the call."""
    ctxlog.configure(resource={"service.name": "shop"})
    log.info("started")
    with ctxlog.scope(request_id="r-1"):
        log.info("accepted", items=3)
        ctxlog.bind_context({"user.id": 42})  # from here to the end of the scope
        log.warning("stock is low", sku="tea", left=2)
    log.bind(cart=7).info("paid", amount_eur=12.5)  # that logger's own
    log.debug("not written: the level is info")


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"timestamp":"2026-11-21T11:16:13.730242Z","level":"info","logger":"shop","event":"started","service.name":"shop"}
# {"timestamp":"2026-11-21T11:16:13.730317Z","level":"info","logger":"shop","event":"accepted","service.name":"shop","request_id":"r-1","items":3}
# {"timestamp":"2026-11-21T11:16:13.730369Z","level":"warning","logger":"shop","event":"stock is low","service.name":"shop","request_id":"r-1","user.id":42,"sku":"tea","left":2}
# {"timestamp":"2026-11-21T11:16:13.730404Z","level":"info","logger":"shop","event":"paid","service.name":"shop","cart":7,"amount_eur":12.5}
