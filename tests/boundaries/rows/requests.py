"""Requests: what a web server's boundary asks for, without a web server."""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.boundaries.lanes import Lane


@row("C4", "a body is produced after its request's scope", "`generators.carried`")
def streamed(lane: Lane) -> Iterator[Any]:
    """A response's generator runs when the request's scope has gone."""

    def crossing() -> Any:
        mine = lane.read()

        def request() -> Any:
            with lane.bind(mine) if mine != "-" else contextlib.nullcontext():
                return lane.steps(lane.read() for _ in "a")

        body = contextvars.Context().run(request)
        return contextvars.Context().run(next, body)

    yield crossing


@row(
    "C11", "a request starts from nothing, but with the process's fields", "`configure(resource=…)`"
)
def process_wide(lane: Lane) -> Iterator[Any]:
    """Clearing what the last request left must not take the process's own fields."""
    lane.bind_process("shop")

    def crossing() -> Any:
        mine = lane.read()
        if mine == "-":
            return mine
        with lane.entry(mine):
            return mine if lane.read_process() == "shop" else "-"

    yield crossing


@row("C12", "an inbound id that nobody may trust", "`entry(carrier)`")
def untrusted(lane: Lane) -> Iterator[Any]:
    """A good one is continued, one that holds a line break is not."""

    def crossing() -> Any:
        mine = lane.read()
        with lane.incoming(f"id-{mine}"):
            good = lane.read_id()
        with lane.incoming(f"id-{mine}\r\nforged"):
            forged = lane.read_id()
        if "forged" in forged:
            return "a forged line"
        return mine if good == f"id-{mine}" else "-"

    yield crossing
