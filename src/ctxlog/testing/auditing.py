"""Auditing: a run in figures. Small, of plain values, so that parts of a run can be added up."""

from __future__ import annotations

import os
from hashlib import blake2b
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from ctxlog.testing.shown import redaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctxlog.testing.losses import Loss
    from ctxlog.testing.recording import Record

#: Ids and places remembered; more are counted and left out.
MAX_IDS, MAX_PLACES = 20_000, 1_000
SHOWN = 10
#: Fields that belong to one piece of work each.
ID_FIELDS = ("request_id", "trace_id")
_APART = "\0"
#: The same in all workers of a run with pytest-xdist, and nowhere else.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", token_hex(16)).encode()[:64]


class Audit:
    """Lines, how many had a context, what was lost where, and ids that two tests had.

    Example:
        >>> audit = Audit()
        >>> audit.summary()["lines"]
        0
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = tuple(dict.fromkeys((*ID_FIELDS, *names)))
        self.tests = 0
        self.lines = 0
        self.with_context = 0
        self.left_out = 0
        self.losses: dict[tuple[str, str, str, str], int] = {}
        self.ids: dict[tuple[str, str], list[str]] = {}

    def add(self, test: str, records: Iterable[Record], losses: Iterable[Loss]) -> None:
        """Add what one test has logged and lost."""
        self.tests += 1
        for record in records:
            self.lines += 1
            self.with_context += record.has_context
            for name in self.names:
                value = record.value(name)
                if type(value) is str or type(value) is int:
                    self._seen(name, _kept(name, str(value)), test)
        for loss in losses:
            boundary, at = loss.key
            self._lost((loss.name, boundary, at, loss.at), 1)

    def _seen(self, name: str, value: str, test: str) -> None:
        tests = self.ids.get((name, value))
        if tests is None:
            if len(self.ids) >= MAX_IDS:
                self.left_out += 1
                return
            tests = self.ids[name, value] = []
        if test not in tests and len(tests) < SHOWN:
            tests.append(test)

    def _lost(self, key: tuple[str, str, str, str], number: int) -> None:
        if key in self.losses or len(self.losses) < MAX_PLACES:
            self.losses[key] = self.losses.get(key, 0) + number
        else:
            self.left_out += number

    def merge(self, part: dict[str, Any]) -> None:
        """Add what another process has made of its tests: :meth:`parts` there."""
        self.tests += int(part["tests"])
        self.lines += int(part["lines"])
        self.with_context += int(part["with_context"])
        self.left_out += int(part["left_out"])
        for key, number in part["losses"]:
            self._lost(tuple(key), int(number))
        for (name, value), tests in part["ids"]:
            for test in tests:
                self._seen(name, value, test)

    def parts(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "tests": self.tests,
            "lines": self.lines,
            "with_context": self.with_context,
            "left_out": self.left_out,
            "losses": [[list(key), number] for key, number in self.losses.items()],
            "ids": [[list(key), tests] for key, tests in self.ids.items()],
        }

    @property
    def share(self) -> float:
        """The share of lines with a context, 1 without any line."""
        return self.with_context / self.lines if self.lines else 1.0

    def shared(self) -> list[dict[str, Any]]:
        """Return the ids that more than one test had."""
        return [
            {"field": name, "value": value.partition(_APART)[0], "tests": sorted(tests)}
            for (name, value), tests in sorted(self.ids.items())
            if len(tests) > 1
        ]

    def summary(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {
            "tests": self.tests,
            "lines": self.lines,
            "with_context": self.with_context,
            "share_with_context": round(self.share, 4),
            "losses": [
                {"field": field, "boundary": boundary, "at": at, "line": line, "tests": number}
                for (field, boundary, at, line), number in sorted(
                    self.losses.items(), key=lambda pair: (-pair[1], pair[0])
                )
            ],
            "ids_in_two_tests": self.shared(),
            "left_out": self.left_out,
        }

    def told(self) -> list[str]:
        """Return the summary for people, a line each."""
        told = [
            f"{self.lines} lines in {self.tests} tests, {self.share:.0%} of them with a context"
        ]
        losses = self.summary()["losses"]
        told += [f"{len(losses)} places lose a field" + (":" if losses else "")]
        told += [
            f"  {loss['field']}: {loss['boundary']} at {loss['at']}, seen at {loss['line']}"
            f" (tests: {loss['tests']})"
            for loss in losses[:SHOWN]
        ]
        shared = self.shared()
        told += [f"{len(shared)} ids were seen in two tests" + (":" if shared else "")]
        told += [
            f"  {one['field']}={one['value']}: {', '.join(one['tests'][:3])}"
            for one in shared[:SHOWN]
        ]
        if self.left_out:
            told.append(f"{self.left_out} more were not kept apart")
        return told


def _kept(name: str, value: str) -> str:
    """Return a value as it may be kept: a masked one with what tells it from others of this run."""
    masks = redaction()
    shown = str(masks.mask if masks.is_secret(name) else masks.apply({name: value})[name])
    if shown == value:
        return value
    return f"{shown}{_APART}{blake2b(value.encode(errors='replace'), key=_RUN).hexdigest()}"
