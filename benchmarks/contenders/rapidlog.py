"""rapidlog: a thread of its own makes and writes the lines. It binds nothing: calls pass all fields."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from itertools import repeat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from benchmarks.contender import Contender
from benchmarks.scenarios import BURST, LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.contender import Event
    from benchmarks.scenarios import Case, Group

if find_spec("rapidlog") is None:
    raise ModuleNotFoundError("rapidlog", name="rapidlog")


def drained(new: Any, times: int) -> None:
    """Write, and close: its flush ends before the lines are written."""
    for _ in repeat(None, times):
        log = new()
        for _ in repeat(None, BURST):
            log.info(
                "accepted", items=3, user="bob", ok=True,
                request_id="r-1", tenant="acme", region="eu", attempt=1,
            )  # fmt: skip
        log.close()


class Rapidlog(Contender):
    """Its default preset, ``balanced``."""

    name = "rapidlog"
    bodies: ClassVar = {"drained": drained}

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Give it the stream: it knows standard output only."""
        rapidlog: Any = import_module("rapidlog")  # here: it is loaded where it is measured
        rapidlog.sys = SimpleNamespace(stdout=SimpleNamespace(buffer=stream))
        self._new = rapidlog.get_logger

    def logger(self, case: Case) -> Any:
        """Return what makes a logger: one can be drained by closing it only."""
        return self._new

    def enter(self, fields: Mapping[str, object]) -> None:
        """Bind nothing: the calls pass the fields."""

    def stamp(self, event: Event) -> str:
        """Return its nanoseconds as text."""
        return datetime.fromtimestamp(event.pop("ts_ns") / 1e9, UTC).isoformat()

    def common(self, event: Event) -> Event:
        """Take off the thread, add the logger's name, which it has none of."""
        del event["thread"]
        event["event"] = event.pop("msg")
        return {**event, "level": str(event["level"]).lower(), "logger": LOGGER}


CONTENDERS = (Rapidlog,)
