"""Fork: locks are made anew in the child, and no stream is in the middle of a line when it begins.

A lock that another thread holds at the fork stays held in the child for ever: nobody there would
release it. So what has a lock registers here. A fork waits for lines that are being written, but
not for a stalled pipe: :data:`PATIENCE` seconds at the most, for all locks together.
"""

from __future__ import annotations

import os
from _thread import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a fork may wait for others' writes.
PATIENCE = 0.5


class Locked(Protocol):
    """What has a lock that must not stay behind in a child."""

    def hold(self, timeout: float) -> Callable[[], object] | None:
        """Take the lock, unless that takes longer; return what releases it."""

    def renew_lock(self) -> None:
        """Make the lock anew: this is the child, and nobody else is there."""


_locked: WeakSet[Locked] = WeakSet()
_held: dict[int, list[Callable[[], object]]] = {}


def track(one: Locked) -> None:
    """Have a lock held during forks and made anew in children, as long as its owner lives."""
    _locked.add(one)


def _all() -> list[Locked]:
    while True:
        try:
            return list(_locked)
        except RuntimeError:  # another thread made a sink meanwhile
            continue


def before() -> None:
    """Take all locks, in one order, as far as that can be done in time."""
    end = monotonic() + PATIENCE
    held = _held[get_ident()] = []
    for one in sorted(_all(), key=id):  # two threads may fork at once: never each half of them
        release = one.hold(max(0.0, end - monotonic()))
        if release is not None:
            held.append(release)


def in_parent() -> None:
    """Release them."""
    for release in reversed(_held.pop(get_ident(), [])):
        release()


def in_child() -> None:
    """Make all locks anew."""
    _held.clear()
    for one in _all():
        one.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
