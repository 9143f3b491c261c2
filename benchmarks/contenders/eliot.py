"""eliot: a message with fields, written as JSON by its file destination."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from benchmarks.contender import Contender
from benchmarks.scenarios import LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.contender import Event
    from benchmarks.scenarios import Case, Group

if find_spec("eliot") is None:
    raise ModuleNotFoundError("eliot", name="eliot")


def three(log: Any, times: int) -> None:
    """Write a message; eliot has no levels and no bound fields, so they are passed."""
    write, fields = log
    for _ in repeat(None, times):
        write("accepted", items=3, user="bob", ok=True, **fields)


class Eliot(Contender):
    """One destination."""

    name = "eliot"
    bodies: ClassVar = {"rivals_three": three}

    def __init__(self) -> None:
        self._destination: Any = None

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Give it one destination."""
        import eliot  # type: ignore[import-untyped,unused-ignore] # here: loaded where it is measured

        self._fields: dict[str, object] = {}
        if self._destination is None:
            eliot.add_destinations(str)  # takes what eliot has kept until there is one
        else:
            eliot.remove_destination(self._destination)
        self._destination = eliot.FileDestination(file=stream)
        eliot.add_destinations(self._destination)
        self._write = eliot.log_message

    def logger(self, case: Case) -> Any:
        """Return the function and what it is to pass."""
        return self._write, self._fields

    def enter(self, fields: Mapping[str, object]) -> None:
        """Keep what the loop passes."""
        self._fields.update(fields)

    def stamp(self, event: Event) -> str:
        """Return its seconds since the epoch."""
        return datetime.fromtimestamp(event.pop("timestamp"), UTC).isoformat()

    def common(self, event: Event) -> Event:
        """Take away what eliot adds."""
        left = {k: v for k, v in event.items() if k not in {"task_uuid", "task_level"}}
        return {"level": "info", "logger": LOGGER, "event": left.pop("message_type"), **left}


CONTENDERS = (Eliot,)
