"""Choosing: records below their logger's level, of those objects that are to be debugged alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ctxlog.adapters.logging.bridge import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Choice(logging.Filter):
    """In front of our handlers: what is below its logger's usual level passes if it was asked for.

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
        if installed.bridge is None:
            return
        if chosen is None:
            installed.open(level, levels)
            return
        usual = _usual(level, levels, loggers)
        lowered = {name: min(number, logging.DEBUG) for name, number in usual.items()}
        installed.open(level, {**levels, **lowered}, Choice(usual, chosen))


def _usual(level: int, levels: Mapping[str, int], loggers: Iterable[str]) -> dict[str, int]:
    """Return the levels that loggers will have before they are lowered."""
    planned = {logging.root.name: level}
    planned.update((logging.getLogger(name).name, number) for name, number in levels.items())

    def usual_of(logger: logging.Logger | None) -> int:
        while logger is not None:
            name = logger.name
            own = planned[name] if name in planned else installed.before(logger)
            if own:
                return own
            logger = logger.parent
        return logging.NOTSET

    named = [logging.getLogger(name) for name in loggers]
    return {logger.name: usual_of(logger) for logger in named}
