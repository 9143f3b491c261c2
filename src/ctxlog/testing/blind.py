"""Blind: what could not be looked at. It is counted and said at the end; no test fails by it.

>>> with looking():
...     1 / 0
>>> told()
'ctxlog could not look at 1 thing (errors.watching): ZeroDivisionError: division by zero'
>>> told()
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctxlog.counting import counters
from ctxlog.texts import safe_str

if TYPE_CHECKING:
    from collections.abc import Generator

_SHORT = 120


class _Seen:
    """How often, and the last error."""

    def __init__(self) -> None:
        self.times = 0
        self.last = ""


_seen = _Seen()


@contextmanager
def looking() -> Generator[None]:
    """Keep an error of the block from whoever is watched."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - who watches must not fail the test
        counters.add("errors.watching")
        _seen.times += 1
        _seen.last = f"{type(error).__name__}: {safe_str(error, _SHORT)}"


def told() -> str | None:
    """Return in one sentence what could not be looked at since the last time, if anything."""
    times, _seen.times = _seen.times, 0
    if not times:
        return None
    things = "1 thing" if times == 1 else f"{times} things"
    return f"ctxlog could not look at {things} (errors.watching): {_seen.last}"
