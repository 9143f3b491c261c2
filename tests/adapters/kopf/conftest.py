"""For tests of operators: lines as events, and kopf as it was afterwards."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from ctxlog.adapters import kopf as adapter

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lines(list[dict[str, Any]]):
    """Events, in the order in which they were written."""

    def of(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the lines that have all of these fields."""
        return [line for line in list(self) if wanted.items() <= line.items()]


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """What kopf configures of the standard library's loggers is put back."""
    loggers = [logging.getLogger(n) for n in ("asyncio", "aiohttp", "kopf", "kopf.objects")]
    before = [(one.level, one.propagate, list(one.handlers)) for one in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged at any level, from the start of a test with the adapter installed."""
    found = Lines()
    ctxlog.configure(
        level="debug",
        levels={"asyncio": "warning", "aiohttp": "warning"},
        sinks=[{"target": found.append, "renderer": "event"}],
    )
    adapter.install()
    yield found
    adapter.uninstall()
    ctxlog.shutdown()
