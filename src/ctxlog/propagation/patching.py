"""Patching: one attribute of somebody else's module or class, replaced and put back.

A patch that is still outermost is taken out whole. One that others have wrapped since cannot be:
it turns inert, calling straight through, and comes alive again when it is applied again.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH = 100  # of wrappers looked through


class Patch:
    """One replaced attribute.

    Args:
        owner: the module or class.
        name: the attribute.
        around: called with the original and the original's arguments while the patch is alive.
    """

    __slots__ = ("_around", "_own", "_raw", "_replacement", "_switch", "name", "owner")

    def __init__(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        self.owner = owner
        self.name = name
        self._around = around
        self._replacement: Any = None
        self._raw: Any = None
        self._own = False
        self._switch = [False]

    def __str__(self) -> str:
        where = self.owner.__name__
        inside = getattr(self.owner, "__module__", None)
        return f"{inside}.{where}.{self.name}" if inside else f"{where}.{self.name}"

    @property
    def alive(self) -> bool:
        """Whether it does anything."""
        return self._switch[0]

    def apply(self) -> None:
        """Replace the attribute, or revive what was buried under others' wrappers."""
        if self.alive:
            return
        if self._replacement is not None and self._buried():
            self._switch[0] = True
            return
        members = vars(self.owner)
        self._own = self.name in members
        self._raw = members.get(self.name)
        original = getattr(self.owner, self.name)
        self._switch = switch = [True]
        self._replacement = replacement = self._made(original, self._around, switch)
        update_wrapper(replacement, original)
        setattr(self.owner, self.name, replacement)

    def _made(
        self, original: Callable[..., Any], around: Callable[..., Any], switch: list[bool]
    ) -> Callable[..., Any]:
        def replacement(*args: Any, **kwargs: Any) -> Any:
            if switch[0]:
                return around(original, *args, **kwargs)
            return original(*args, **kwargs)

        return replacement

    def remove(self) -> bool:
        """Put back what was there; ``False`` when somebody wraps us and we only turn inert."""
        if not self.alive:
            return True
        self._switch[0] = False
        if vars(self.owner).get(self.name) is not self._replacement:
            return False
        if self._own:
            setattr(self.owner, self.name, self._raw)
        else:
            delattr(self.owner, self.name)
        self._replacement = self._raw = None
        return True

    def _buried(self) -> bool:
        found = vars(self.owner).get(self.name)
        for _ in range(_DEPTH):
            if found is self._replacement:
                return True
            found = getattr(found, "__wrapped__", None)
        return False
