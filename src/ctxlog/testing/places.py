"""Places: where something happened, kept as it is cheap to keep and told as people read it.

>>> str(Place.here()).endswith("in <module>")
True
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType

#: Packages whose frames are no place of the application's.
MACHINERY = frozenset({
    "_pytest", "anyio", "asyncio", "concurrent", "contextlib", "contextvars", "ctxlog", "doctest",
    "functools", "hypothesis", "logging", "loguru", "multiprocessing", "opentelemetry", "pluggy",
    "pytest", "pytest_asyncio", "queue", "structlog", "sybil", "threading", "trio", "unittest",
    "weakref",
})  # fmt: skip
#: Frames kept of a stack, the innermost of the application's.
DEPTH = 5
_LOOKED_THROUGH = 60
_known: dict[str, bool] = {}  # by file: asked for every line and scope


class Place:
    """A line of code: ``file``, ``line``, ``function``; the number is looked up when it is asked."""

    __slots__ = ("_code", "_instruction")

    def __init__(self, frame: FrameType) -> None:
        self._code: CodeType = frame.f_code
        self._instruction = frame.f_lasti

    @classmethod
    def here(cls, depth: int = 1) -> Place | None:
        """Return the application's innermost place on this stack, ``depth`` frames up or more."""
        frame = application(sys._getframe(depth))  # noqa: SLF001 - logging does the same
        return None if frame is None else cls(frame)

    @property
    def line(self) -> int:
        """The line's number."""
        for start, end, line in self._code.co_lines():
            if start <= self._instruction < end and line is not None:
                return line
        return self._code.co_firstlineno

    @property
    def file(self) -> str:
        """The file's path."""
        return self._code.co_filename

    @property
    def function(self) -> str:
        """The function's qualified name."""
        return self._code.co_qualname

    @property
    def is_in_generator(self) -> bool:
        """Whether the function is a generator or an async generator."""
        return bool(self._code.co_flags & 0x220)  # CO_GENERATOR, CO_ASYNC_GENERATOR

    @property
    def at(self) -> str:
        """``file:line``, relative to the current directory if it is below it."""
        return f"{shortened(self.file)}:{self.line}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and (self.file, self.line) == (other.file, other.line)

    def __hash__(self) -> int:
        return hash((self.file, self.line))

    def __str__(self) -> str:
        return f"{self.at} in {self.function}"


def stack(depth: int = 1) -> tuple[Place, ...]:
    """Return the application's innermost places, ``depth`` frames up or more.

    Example:
        >>> [place.function for place in stack()][:1]
        ['<module>']
    """
    found: list[Place] = []
    frame = application(sys._getframe(depth))  # noqa: SLF001 - as above
    while frame is not None and len(found) < DEPTH:
        if not is_machinery(frame):
            found.append(Place(frame))
        elif found:  # the runner, the loop: nothing of the application's is below
            break
        frame = frame.f_back
    return tuple(found)


def application(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of a stack that is the application's."""
    for _ in range(_LOOKED_THROUGH):
        if frame is None or not is_machinery(frame):
            return frame
        frame = frame.f_back
    return None


def is_machinery(frame: FrameType) -> bool:
    """Whether a frame belongs to a logging library, the standard library's pools, the runner."""
    file = frame.f_code.co_filename
    known = _known.get(file)
    if known is None:
        module = frame.f_globals.get("__name__")
        known = type(module) is str and module.partition(".")[0] in MACHINERY
        if file.startswith("<"):  # a docstring's example has the name of our module
            known = file.startswith("<frozen")
        _known[file] = known
    return known


def shortened(file: str) -> str:
    """Return a path relative to the current directory, if it is below it.

    Example:
        >>> shortened(os.path.join(os.getcwd(), "shop.py"))
        'shop.py'
    """
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # the directory is gone; another drive
        return file
    return file if relative.startswith("..") else relative
