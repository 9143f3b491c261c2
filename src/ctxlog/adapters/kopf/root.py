"""Root: our configuration instead of kopf's handler on the root logger; its switches still hold.

``kopf run`` adds its handler and sets the root's level before the operator's modules are loaded.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ctxlog.runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

_HANDLER = "_KopfStreamHandler"


class _Root:
    def __init__(self) -> None:
        self.level: int | None = None
        self.taken: list[logging.Handler] = []
        self.kept_for: Any = None
        self.active = False


_root = _Root()


def take_over() -> None:
    """Replace kopf's handler, now and whenever kopf or ctxlog is configured again."""
    _root.active = True
    _root.level = level_asked()
    _root.kept_for = None
    keep()


def give_back() -> None:
    """Put kopf's handler back."""
    _root.active = False
    for handler in _root.taken:
        if handler not in logging.root.handlers:
            logging.root.addHandler(handler)
    _root.taken.clear()
    _root.kept_for = None


def keep() -> None:
    """Let what was taken over hold for the configuration there is now."""
    pipeline = runtime.pipeline
    if pipeline is _root.kept_for or not _root.active:
        return
    if pipeline is None or not _writes_logging():
        return  # nobody else would show these lines
    _root.kept_for = pipeline
    for handler in list(logging.root.handlers):
        if type(handler).__name__ == _HANDLER:
            logging.root.removeHandler(handler)
            _root.taken.append(handler)
    if _root.level is not None:
        runtime.set_level(None, _root.level)
        logging.root.setLevel(_root.level)


def _writes_logging() -> bool:
    """Whether a handler of ours is on the root logger."""
    return any(
        type(handler).__module__.startswith("ctxlog.adapters.logging")
        for handler in logging.root.handlers
    )


def level_asked() -> int | None:
    """Return the level that ``kopf run`` was told by a switch; ``None``: it was told none."""
    import click  # kopf brings it

    context = click.get_current_context(silent=True)
    while context is not None:
        level = _level_of(context.params)
        if level is not None:
            return level
        context = context.parent
    return None


def _level_of(asked: Any) -> int | None:
    if asked.get("debug") or asked.get("verbose"):
        return logging.DEBUG
    return logging.WARNING if asked.get("quiet") else None


def around_configure(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``kopf.configure``: it sets the level it is asked for, and its handler goes again."""

    def configure(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if _root.active:
            given = dict(zip(("debug", "verbose", "quiet"), args, strict=False)) | kwargs
            _root.level = _level_of(given)
            _root.kept_for = None
            keep()
        return result

    return configure
