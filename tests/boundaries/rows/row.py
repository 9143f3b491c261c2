"""A row: one boundary. Each gives a crossing: called by a request, it returns what was read there.

A row is a generator, or an async one, that yields its crossing once and then cleans up. The driver
(``measure``) calls the crossing for request A, for request B, and for nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 20.0


class Row(NamedTuple):
    """A boundary: its number in the catalogue, what it is, and how it is crossed."""

    number: str
    title: str
    cross: Callable[[Any], Any]
    way: str


ROWS: list[Row] = []


def row(number: str, title: str, way: str = "nothing to do") -> Callable[[Any], Any]:
    """Register a row; ``way`` is how ctxlog's users go across explicitly."""

    def register(cross: Any) -> Any:
        ROWS.append(Row(number, title, cross, way))
        return cross

    return register


def in_thread(make: Callable[[Callable[[], None]], Any], read: Callable[[], Any]) -> Any:
    """Start the thread that ``make`` returns and return what was read in it."""
    found: list[Any] = []
    thread = make(lambda: found.append(read()))
    thread.start()
    thread.join(WAIT)
    return found[0]
