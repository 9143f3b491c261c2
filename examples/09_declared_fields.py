"""Declared fields: a registry of typed variables is on each line, and travels.

Needs the extra: ``pip install '.[registry]'`` in the clone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from contextvars_extras import ContextVarsRegistry  # type: ignore[import-untyped]

import ctxlog
from ctxlog.adapters.registry import register


class Current(ContextVarsRegistry):  # type: ignore[misc]
    """What a request may set, with types; a misspelt name is an AttributeError."""

    user_id: int
    tenant: str = "none"


current = Current()
log = ctxlog.get_logger("shop")


def main() -> None:
    """Set variables for a block; they are read when a line is written."""
    ctxlog.configure()
    register(current, names={"user_id": "user.id", "tenant": "tenant"})
    log.info("nothing is set; a default does not show")
    with current(user_id=7), ctxlog.scope(request_id="r-1"), ThreadPoolExecutor(1) as pool:
        current.tenant = "acme"
        log.info("set")
        pool.submit(ctxlog.wrap(log.info), "in a pool").result()
        with ctxlog.entry({"x-request-id": "r-2"}):
            log.info("an entry starts without them")
        log.info("back")


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"timestamp":"2026-11-21T11:31:03.930627Z","level":"info","logger":"shop","event":"nothing is set; a default does not show"}
# {"timestamp":"2026-11-21T11:31:03.930732Z","level":"info","logger":"shop","event":"set","user.id":7,"tenant":"acme","request_id":"r-1"}
# {"timestamp":"2026-11-21T11:31:03.930945Z","level":"info","logger":"shop","event":"in a pool","user.id":7,"tenant":"acme","request_id":"r-1"}
# {"timestamp":"2026-11-21T11:31:03.932655Z","level":"info","logger":"shop","event":"an entry starts without them","trace_id":"973358f0c3c8e8f630c95f0a5c68c6a0","span_id":"2281f3785a2f5021","trace_flags":"00","request_id":"r-2"}
# {"timestamp":"2026-11-21T11:31:03.932706Z","level":"info","logger":"shop","event":"back","user.id":7,"tenant":"acme","request_id":"r-1"}
