"""The standard library: ``logging`` for disabled levels, ``contextvars`` for carrying a context."""

from __future__ import annotations

import logging
from contextvars import copy_context
from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from benchmarks.contender import Contender
from benchmarks.scenarios import nothing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.scenarios import Case, Group


def three(log: Any, times: int) -> None:
    """Pass fields as `logging` takes them."""
    for _ in repeat(None, times):
        log.debug("accepted", extra={"items": 3, "user": "bob", "ok": True})
        log.debug("accepted", extra={"items": 3, "user": "bob", "ok": True})
        log.debug("accepted", extra={"items": 3, "user": "bob", "ok": True})
        log.debug("accepted", extra={"items": 3, "user": "bob", "ok": True})
        log.debug("accepted", extra={"items": 3, "user": "bob", "ok": True})


def snapshot(_: Any, times: int) -> None:
    """Copy the context."""
    for _ in repeat(None, times):
        copy_context()


def wrap(_: Any, times: int) -> None:
    """Copy the context and call in it."""
    for _ in repeat(None, times):
        copy_context().run(nothing)


class Stdlib(Contender):
    """A ``logging`` logger at INFO with one handler."""

    name = "stdlib"
    bodies: ClassVar = {"disabled_three": three, "snapshot": snapshot, "wrap": wrap}

    def open(self, stream: BinaryIO, group: Group) -> None:
        """Set the level and one handler."""
        log = logging.getLogger("benchmarks.stdlib")
        log.handlers = [logging.StreamHandler(stream)]  # type: ignore[type-var,unused-ignore]
        log.propagate = False
        log.setLevel(logging.INFO)

    def logger(self, case: Case) -> logging.Logger:
        """Return the logger."""
        return logging.getLogger("benchmarks.stdlib")

    def enter(self, fields: Mapping[str, object]) -> None:
        """It has no context of its own."""


CONTENDERS = (Stdlib,)
