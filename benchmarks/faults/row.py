"""A row of the fault table."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What was tried, what came out, and whether it is what is promised."""

    what: str
    figures: str
    held: bool
