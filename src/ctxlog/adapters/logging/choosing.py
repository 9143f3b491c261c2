"""Choosing: records below their logger's level, of those objects that are to be debugged alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ctxlog.adapters.logging.bridge import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Choice(logging.Filter):
    """In front of our bridge: what is below its logger's usual level passes if it was asked for.

    Other handlers see the records of a lowered logger too, of all objects: give them a level.
    """

    def __init__(self, usual: Mapping[str, int], chosen: Callable[[object], bool]) -> None:
        super().__init__()
        self._usual = usual
        self._root = usual.get(logging.root.name)
        self._chosen = chosen

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is written."""
        usual = self._usual_of(record.name)
        return usual is None or record.levelno >= usual or self._chosen(record)

    def _usual_of(self, name: str) -> int | None:
        """Return the level that a logger had before it was lowered; ``None``: it was not."""
        loggers = logging.root.manager.loggerDict
        while name:
            usual = self._usual.get(name)
            if usual is not None:
                return usual
            if getattr(loggers.get(name), "level", 0):
                return None  # a level of its own, below a logger that was lowered
            name = name.rpartition(".")[0]
        return self._root


def choose(
    level: int,
    levels: Mapping[str, int],
    loggers: Iterable[str],
    chosen: Callable[[object], bool] | None,
) -> None:
    """Set the standard library's levels, and lower those of ``loggers`` for what is ``chosen``.

    Without our bridge on the root logger nothing is done.
    """
    with installed.lock:
        bridge = installed.bridge
        if bridge is None:
            return
        for one in [one for one in bridge.filters if isinstance(one, Choice)]:
            bridge.removeFilter(one)
        installed.open(level, levels)
        if chosen is None:
            return
        named = [logging.getLogger(name) for name in loggers]
        usual = {logger.name: logger.getEffectiveLevel() for logger in named}
        bridge.addFilter(Choice(usual, chosen))
        for name, number in usual.items():
            installed.set_level(name, min(number, logging.DEBUG))
