"""Rows: all of them, a module a family, in the order of the page.

A row is a generator, or an async one, that yields its crossing once and then cleans up. The driver
(``tests.boundaries.measure``) calls the crossing for request A, for request B, and for nobody.
"""

from __future__ import annotations

from importlib import import_module

from tests.boundaries.rows.row import ROWS, Row

FAMILIES = (
    "threads",
    "executors",
    "tasks",
    "generators",
    "queues",
    "values",
    "callbacks",
    "backends",
    "requests",
    "web",
    "servers",
    "processes",
)
for _family in FAMILIES:
    import_module(f"{__name__}.{_family}")

__all__ = ["ROWS", "Row"]
