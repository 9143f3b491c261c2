"""What must hold, as one table; and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import ratios, spread
from benchmarks.startup import FIRST_LINE, IMPORT, IMPORT_CONTEXT, WRAP, WRAP_SPANS

if TYPE_CHECKING:
    from benchmarks.measure import Samples

#: Samples that are counts, not times.
SLOW_LINES = ("slow lines in fast cases", "ctxlog")
THIRD_PARTIES = ("third parties loaded by import", "ctxlog")

Key = tuple[str, str]


@dataclass(frozen=True)
class Budget:
    """At most ``at_most``: of the ratio to ``over``, or of the figure itself in ``unit``."""

    title: str
    of: Key
    at_most: float
    over: Key | None = None
    at_least: float = 0
    unit: str = "x"

    def outcome(self, samples: Samples) -> Outcome:
        """Return whether it holds. What was not measured does not hold."""
        of, over = samples.get(self.of), samples.get(self.over) if self.over else None
        if not of or (self.over and not over):
            return Outcome(self.title, None, self.limit, held=False)
        figure = spread(ratios(of, over) if over else of).median / _UNITS[self.unit]
        # what is printed is what is judged
        held = self.at_least <= round(figure, 3) <= self.at_most
        return Outcome(self.title, round(figure, 3), self.limit, held=held)

    @property
    def limit(self) -> str:
        """Return the limit in words."""
        unit = "" if self.unit == "x" else f" {self.unit}"
        least = f"{self.at_least:g} to " if self.at_least else "at most "
        return f"{least}{self.at_most:g}{unit}".rstrip()


@dataclass(frozen=True)
class Outcome:
    """A budget, measured."""

    title: str
    figure: float | None
    limit: str
    held: bool

    def __str__(self) -> str:
        figure = "not measured" if self.figure is None else f"{self.figure:g}"
        return f"{'held' if self.held else 'NOT held':9}{self.title}: {figure} ({self.limit})"


_UNITS = {"x": 1, "lines": 1, "modules": 1, "µs": 1_000, "ms": 1_000_000}


def _beside(case: str, title: str, at_most: float, rival: str = "structlog") -> Budget:
    return Budget(f"{title}, of {rival}", (case, "ctxlog"), at_most, (case, rival))


BUDGETS: tuple[Budget, ...] = (
    _beside("headline", "3 fields, 4 in the context", 0.50),
    Budget("the same with every door open, of structlog", ("whole", "ctxlog whole"), 0.50,
           ("whole", "structlog")),
    Budget("no line of a fast case leaves the fast path", SLOW_LINES, 0, unit="lines"),
    Budget("through logging, of python-json-logger", ("stdlib_three", "ctxlog.Handler"), 0.80,
           ("stdlib_three", "python-json-logger")),
    _beside("text", "text that is not ASCII", 1.0),
    _beside("nested", "a nested value", 1.0),
    _beside("arguments", "% arguments", 1.0),
    _beside("twice", "a name bound twice", 1.0),
    _beside("url", "a URL", 1.0),
    _beside("processor", "one processor of the user's", 1.0),
    _beside("exc_info", "exc_info", 1.0),
    _beside("exception", "log.exception", 1.0),
    _beside("disabled", "disabled, bare", 1.1, "stdlib"),
    _beside("disabled_three", "disabled, 3 fields", 1.0, "stdlib"),
    Budget("64 fields in the context, of 4", ("bound_64", "ctxlog"), 1.25, ("bound_4", "ctxlog")),
    Budget("200 foreign ContextVars, of none", ("foreign_200", "ctxlog"), 1.05,
           ("foreign_0", "ctxlog")),
    Budget("wrap and call", (WRAP, "ctxlog"), 1.5, unit="µs"),
    Budget("wrap and call, OpenTelemetry loaded", (WRAP_SPANS, "ctxlog"), 1.5, unit="µs"),
    Budget("import ctxlog", (IMPORT, "ctxlog"), 5, unit="ms"),
    Budget("import ctxlog.context", (IMPORT_CONTEXT, "ctxlog"), 3, unit="ms"),
    # the same on any machine: where the 3 ms were set, structlog's import took 58
    Budget("import ctxlog.context, of import structlog", (IMPORT_CONTEXT, "ctxlog"), 0.05,
           (IMPORT, "structlog")),
    Budget("third parties loaded by import ctxlog", THIRD_PARTIES, 0, unit="modules"),
    _beside(FIRST_LINE, "first line after import", 1.0),
    Budget("the harness: structlog beside itself", ("headline", "structlog again"), 1.02,
           ("headline", "structlog"), at_least=0.98),
)  # fmt: skip
