"""Processors and sinks: change each event, send it to several places, change that as it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from structlog.processors import CallsiteParameter, CallsiteParameterAdder

import ctxlog

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

log = ctxlog.get_logger("shop")


def in_cents(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Replace a price. A processor has structlog's signature; if it fails, the line says so."""
    if "price_eur" in event:
        event["price_cents"] = round(event["price_eur"] * 100)
        del event["price_eur"]
    return event


# One of structlog's own: they run here as they are.
where = CallsiteParameterAdder({CallsiteParameter.FUNC_NAME}, additional_ignores=["ctxlog"])


def is_sale(event: Mapping[str, Any]) -> bool:
    """Say which events the accountants get."""
    return "price_cents" in event


def run(everything: Path) -> None:
    """Log to standard error, a file and a list; then add one, take it away, change a level."""
    sales: list[dict[str, Any]] = []
    ctxlog.configure(
        level="debug",
        processors=[in_cents, where],
        sinks=[
            {"target": sys.stderr, "level": "info", "renderer": "logfmt"},
            everything,
            {"target": sales.append, "renderer": "event", "filter": is_sale},
        ],
    )
    log.debug("only in the file")
    log.info("sold", price_eur=1.5)
    log.info("sold", price_eur="cheap")

    errors: list[str] = []
    added = ctxlog.add_sink(errors.append, level="error", renderer="logfmt")
    ctxlog.set_level("shop", "error")
    log.warning("below the level of its logger")
    log.error("out of tea")
    ctxlog.remove_sink(added)
    log.error("out of milk")

    print("the file:", everything.read_text(encoding="utf-8").count("\n"), "lines")
    print("the accountants:", [(event["event"], event["price_cents"]) for event in sales])
    print("the sink that was added:", len(errors), "line")
    print("failures of a processor:", ctxlog.counters()["errors.processor"])
    ctxlog.shutdown()


def main() -> None:
    """Run it in a folder that goes away."""
    with TemporaryDirectory() as folder:
        run(Path(folder) / "everything.log")


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# timestamp=2026-11-21T11:16:14.142081Z level=info logger=shop event=sold price_cents=150 func_name=run
# timestamp=2026-11-21T11:16:14.142169Z level=info logger=shop event=sold price_eur=cheap func_name=run ctxlog.errors="[\"processor in_cents: TypeError: type str doesn't define __round__ method\"]"
# timestamp=2026-11-21T11:16:14.142299Z level=error logger=shop event="out of tea" func_name=run
# timestamp=2026-11-21T11:16:14.142370Z level=error logger=shop event="out of milk" func_name=run
# the file: 5 lines
# the accountants: [('sold', 150)]
# the sink that was added: 1 line
# failures of a processor: 1
