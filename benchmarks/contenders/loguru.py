"""loguru with ``serialize=True``: what is bound is in its contextualize."""

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

if find_spec("loguru") is None:
    raise ModuleNotFoundError("loguru", name="loguru")


def three(log: Any, times: int) -> None:
    """Pass fields as loguru takes them."""
    for _ in repeat(None, times):
        log.info("accepted", items=3, user="bob", ok=True)


class Loguru(Contender):
    """The one logger, with one serialising sink."""

    name = "loguru"
    bodies: ClassVar = {"rivals_three": three}

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Give it one sink."""
        from loguru import logger  # here: once it is loaded, every snapshot looks at its context

        def write(message: str) -> None:
            stream.write(message.encode())

        self._log = logger
        logger.remove()
        logger.add(write, serialize=True, format="{message}", level="INFO")

    def logger(self, case: Case) -> Any:
        """Return it, with the fields bound."""
        return self._log.bind(**case.bound)

    def enter(self, fields: Mapping[str, object]) -> None:
        """Bind in this context."""
        from loguru._logger import context  # its block would be left by the collector, elsewhere

        with self._log.contextualize(**fields):
            bound = context.get()
        context.set(bound)

    def stamp(self, event: Event) -> str:
        """Return its record's time."""
        seconds = event["record"]["time"]["timestamp"]
        return datetime.fromtimestamp(seconds, UTC).isoformat()

    def common(self, event: Event) -> Event:
        """Take what is compared out of its record."""
        record = event["record"]
        return {
            "level": record["level"]["name"].lower(),
            "logger": LOGGER,  # it has the module's name
            "event": record["message"],
            **record["extra"],
        }


CONTENDERS = (Loguru,)
