"""Root: our configuration instead of kopf's handler on the root logger; its switches still hold.

``kopf run`` adds its handler and sets the root's level before the operator's modules are loaded.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import kopf

from ctxlog.adapters.logging.bridge import installed
from ctxlog.runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

#: The class of kopf's handler on the root logger.
HANDLER = "_KopfStreamHandler"


class _Root:
    """What is asked of the root logger.

    Attributes:
        level: what a switch has asked for; ``None``: it is as configured.
        taken: kopf's handler that was taken out last: it has one at a time.
        kept_for: the configuration that kopf's handlers were taken out for.
        set_for: the configuration that the level was set for.
    """

    def __init__(self) -> None:
        self.level: int | None = None
        self.taken: logging.Handler | None = None
        self.kept_for: Any = None
        self.set_for: Any = None
        self.active = False


_root = _Root()


def take_over() -> None:
    """Replace kopf's handler, now and whenever kopf or ctxlog is configured again."""
    if _root.active:
        keep()
        return
    _root.active = True
    _begin(level_asked())


def give_back() -> None:
    """Put kopf's handler back."""
    _root.active = False
    if _root.taken is not None and not _theirs():
        logging.root.addHandler(_root.taken)
    _root.taken = None
    _root.kept_for = _root.set_for = None


def keep() -> None:
    """Let what was taken over hold for the configuration there is now.

    Once for each: the resource is the same one as sinks come and go, which make other pipelines.
    """
    pipeline = runtime.pipeline
    configured = None if pipeline is None else pipeline.resource
    if not _root.active or (configured is not None and configured is _root.kept_for):
        return
    if _root.level is not None and configured is not None and _root.set_for is not configured:
        _root.set_for = configured
        runtime.switched = _root.level
        if not runtime.controlled:
            runtime.set_level(None, _root.level)
        _set_root(runtime.levels()[0])
    if not _writes_logging():  # nobody else would show these lines, yet
        for handler in _theirs():
            handler.addFilter(_unless_ours)
        return
    _root.kept_for = configured
    for handler in _theirs():
        logging.root.removeHandler(handler)
        _root.taken = handler


def _begin(level: int | None) -> None:
    """Take over anew: kopf has configured logging, or may have."""
    _root.level = level
    _root.kept_for = _root.set_for = None
    if level is None and runtime.pipeline is not None and installed.bridge is not None:
        _set_root(runtime.levels()[0])  # without a switch kopf has set its own default
    keep()


def _set_root(level: int) -> None:
    if installed.bridge is None:
        logging.root.setLevel(level)
    else:
        installed.set_level(None, level)  # and what was before comes back with the configuration


def _theirs() -> list[logging.Handler]:
    return [handler for handler in logging.root.handlers if type(handler).__name__ == HANDLER]


def _unless_ours(_record: logging.LogRecord) -> bool:
    """Say whether kopf's handler is to write: from the configuration on it is not, taken out or not."""
    return not (_root.active and _writes_logging())


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
        level = _level_of(context.params) if _is_kopfs(context.command) else None
        if level is not None:
            return level
        context = context.parent
    return None


def _is_kopfs(command: Any) -> bool:
    """Whether a command is kopf's: a program of somebody's own may have a `--debug` of its own."""
    module = str(getattr(command.callback, "__module__", None))
    return module.partition(".")[0] == kopf.__name__


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
            _begin(_level_of(given))
        return result

    return configure
