"""Collector: whether the garbage collector is at work.

On 3.11 it may start in the middle of a ``ContextVar.set``. What it finalises then must set no
variable of the current context: the set goes on with memory that has been freed meanwhile, and the
context is empty afterwards, or the process crashes. From 3.12 on it runs between two steps of the
interpreter (https://github.com/python/cpython/issues/97922), where nothing is half done.
"""

from __future__ import annotations

import sys

AFFECTED = sys.version_info < (3, 12)
if sys.version_info < (3, 12):  # here: a finaliser at the interpreter's end can import nothing
    import gc


class Collector:
    """The collector, as far as finalisers have to know it.

    Attributes:
        at_work: whether what runs now may be a finaliser that it calls; ``False`` unless watched.
    """

    __slots__ = ("at_work", "watched")

    def __init__(self) -> None:
        self.at_work = False
        self.watched = False

    def watch(self) -> None:
        """Know from now on; where it makes no difference, nothing is done."""
        if sys.version_info < (3, 12) and not self.watched:
            self.watched = True
            gc.callbacks.append(self._told)

    def _told(self, phase: str, _: object) -> None:
        self.at_work = phase == "start"


COLLECTOR = Collector()
