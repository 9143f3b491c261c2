"""Lanes: how each library binds, reads, and goes across. Each runs in a process of its own.

Nothing of ctxlog is imported for the other libraries' lanes: its fork hook would empty their
contexts too, which is not what their users have.
"""

from __future__ import annotations

import functools

from tests.boundaries.lane import NOTHING, Lane
from tests.boundaries.ours import Explicit, Installed
from tests.boundaries.rivals import Loguru, OpenTelemetry, Structlog

__all__ = ["LANES", "NOTHING", "OURS", "Explicit", "Lane", "lane"]

LANES: tuple[type[Lane], ...] = (Lane, Structlog, Loguru, OpenTelemetry, Explicit, Installed)
OURS = (Explicit.name, Installed.name)


@functools.cache
def lane(name: str) -> Lane:
    """The lane of a name, the same within a process."""
    return next(kind for kind in LANES if kind.name == name)()
