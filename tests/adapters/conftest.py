"""For every door: nothing is configured, and what a test changes in ``logging`` is put back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

import ctxlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _stdlib_as_it_was() -> Iterator[None]:
    root, factory = logging.root, logging.getLogRecordFactory()
    handlers, level = list(root.handlers), root.level
    root.handlers[:] = []  # pytest's own raise what a handler is to survive
    yield
    ctxlog.shutdown()
    logging.setLogRecordFactory(factory)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in [name for name in root.manager.loggerDict if name.startswith("doors")]:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.propagate, logger.disabled = True, False
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def log() -> logging.Logger:
    """A logger of the standard library at DEBUG that nobody else listens to."""
    logger = logging.Logger("doors", logging.DEBUG)  # pytest listens to those it can find
    logger.propagate, logger.parent = False, logging.root
    return logger
