"""Unseen: a function put around another one, on the stack under that one's module name.

Logging libraries look for who called them by the names of the modules on the stack, and skip their
own. A frame of ours between theirs would be taken for the application.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


_before: Any = None  # these three stand in: each copy of the function has its own
_original: Any = None
_after: Any = None


def _around(*args: Any, **kwargs: Any) -> Any:
    token = _before(*args, **kwargs)
    try:
        return _original(*args, **kwargs)
    finally:
        _after(token)


class Unseen:
    """One replaced method of somebody else's class.

    Args:
        owner: the class.
        name: the method.
        module: the name its frame shall have.
        before: called with the method's arguments, must not raise; what it returns goes to
        after: called when the method has returned or raised.
    """

    def __init__(
        self,
        owner: Any,
        name: str,
        module: str,
        before: Callable[..., Any],
        after: Callable[[Any], None],
    ) -> None:
        self._owner = owner
        self._name = name
        self._original = original = getattr(owner, name)
        self._alive = True
        names = {
            "__name__": module,
            "__builtins__": __builtins__,
            "_original": original,
            "_before": lambda *args, **kwargs: before(*args, **kwargs) if self._alive else None,
            "_after": lambda token: after(token) if self._alive else None,
        }
        self._replacement = FunctionType(_around.__code__, names, name)
        setattr(owner, name, self._replacement)

    def remove(self) -> None:
        """Put back what was there; when somebody has wrapped it since, only do nothing any more."""
        self._alive = False
        if vars(self._owner).get(self._name) is self._replacement:
            setattr(self._owner, self._name, self._original)
