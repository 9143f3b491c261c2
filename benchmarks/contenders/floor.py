"""The floor: the finished dict through orjson, and one write. No logging library can be faster."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from benchmarks.contender import Contender
from benchmarks.scenarios import LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.contender import Body
    from benchmarks.scenarios import Case, Group


class Floor(Contender):
    """``stream.write(orjson.dumps(event))``."""

    name = "floor"

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Keep the stream."""
        self._stream = stream

    def logger(self, case: Case) -> BinaryIO:
        """Return the stream."""
        return self._stream

    def enter(self, fields: Mapping[str, object]) -> None:
        """The fields are in the finished dict."""

    def body(self, case: Case) -> Body:
        """Return a loop over the finished dict."""
        stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        event = {"timestamp": stamp, "level": case.level, "logger": LOGGER, **case.line}

        def run(stream: Any, times: int) -> None:
            write, dumps, newline = stream.write, orjson.dumps, orjson.OPT_APPEND_NEWLINE
            for _ in repeat(None, times):
                write(dumps(event, None, newline))

        return run


CONTENDERS = (Floor,)
