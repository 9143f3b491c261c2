"""Numbered lines: what arrived of them, and whether each is whole and there once."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Arrived:
    """The lines of a file: ``who`` wrote them, and their number ``n``.

    Attributes:
        torn: lines that are no JSON object.
        whole: how many are, those of ctxlog itself aside.
        doubled: how many are there more than once.
        by: numbers by ``who``.
    """

    def __init__(self, path: Path) -> None:
        self.torn: list[bytes] = []
        seen: Counter[tuple[str, int]] = Counter()
        with path.open("rb") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                    if not line.endswith(b"}\n"):
                        raise ValueError("no newline")  # noqa: TRY301 - it is torn, too
                except ValueError:
                    self.torn.append(line)
                    continue
                if event["logger"] != "ctxlog":
                    seen[event["who"], event["n"]] += 1
        self.whole = seen.total()
        self.doubled = self.whole - len(seen)
        self.by: dict[str, set[int]] = {}
        for who, number in seen:
            self.by.setdefault(who, set()).add(number)

    def missing(self, who: str, number: int) -> int:
        """Return how many of the lines 0 to ``number`` are not there."""
        return number - len(self.by.get(who, set()))
