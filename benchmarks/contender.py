"""What a contender is, and where all of them are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.scenarios import Case, Group

Processor = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]
Body = Callable[[Any, int], None]
Event = dict[str, Any]


class Contender:
    """One way to write lines. A subclass is one file in ``contenders/``.

    ``name`` is what the table calls it. ``bodies`` holds its own loops, by the case's key, where
    the call is not written the way structlog and ctxlog write it.
    """

    name: ClassVar[str]
    bodies: ClassVar[Mapping[str, Body]] = {}
    #: Statements that import it, set it up to write JSON into the binary file ``stream`` and write
    #: one line, for a fresh interpreter; empty where starting up is not measured.
    first_line: ClassVar[str] = ""

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Set the library up as ``group`` asks, writing JSON lines into ``stream``."""
        raise NotImplementedError

    def logger(self, case: Case) -> Any:
        """Return a logger that has the fields of ``case.bound``."""
        raise NotImplementedError

    def enter(self, fields: Mapping[str, object]) -> None:
        """Bind ``fields`` in the current context, for as long as that context lives."""
        raise NotImplementedError

    def body(self, case: Case) -> Body:
        """Return the loop that makes the calls of ``case``."""
        return self.bodies.get(case.key) or case.body

    def stamp(self, event: Event) -> str:
        """Take a parsed line's time out of it, as ISO text; empty where it has none."""
        return str(event.pop("timestamp", ""))

    def common(self, event: Event) -> Event:
        """Return a parsed line under the names that all contenders are compared by."""
        return event

    def failures(self) -> int:
        """Return how many failures were swallowed so far; 0 where they are not counted."""
        return 0

    def slow_lines(self) -> int:
        """Return how many lines have left the fast path so far; 0 where there is none."""
        return 0


@cache
def contenders() -> dict[str, Contender]:
    """Return every contender by name: one for each file whose third party is installed."""
    package = importlib.import_module("benchmarks.contenders")
    found: dict[str, Contender] = {}
    for info in pkgutil.iter_modules(package.__path__, "benchmarks.contenders."):
        try:
            module = importlib.import_module(info.name)
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.partition(".")[0] in {"benchmarks", "ctxlog"}:
                raise
            continue
        found.update({one.name: one() for one in module.CONTENDERS})
    return found


def traceback_in_common(kind: str, message: str, frames: int) -> Event:
    """Return what is compared of an exception: contenders lay it out each in its own way."""
    return {"exception": f"{kind}: {message}", "frames": frames}
