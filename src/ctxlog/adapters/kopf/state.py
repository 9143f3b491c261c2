"""State: what one install was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.kubernetes.calls import Calls

if TYPE_CHECKING:
    from contextvars import ContextVar


class State:
    """One ``install``: what was asked for, until its ``uninstall``.

    Each has its own wrappers: what others have wrapped since stays where it is, and must not come
    alive again below those of the next.

    Attributes:
        active: whether its wrappers do anything; after ``uninstall`` they never do.
        handlers: whether the wrapper of one handler is in place.
        annotation: the annotation that a trace is continued from.
        calls: kopf's own API calls, if they were asked for.
        handler_var, cause_var: kopf's own context, where it has them.
    """

    def __init__(self) -> None:
        self.active = False
        self.handlers = True
        self.annotation: str | None = None
        self.calls = Calls()
        self.calls.active = False
        self.handler_var: ContextVar[Any] | None = None
        self.cause_var: ContextVar[Any] | None = None
