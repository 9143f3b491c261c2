"""Inside: the sinks whose calls the current context is part of; what they log does not come back."""

from __future__ import annotations

from contextvars import ContextVar

INSIDE: ContextVar[tuple[object, ...]] = ContextVar("ctxlog_inside_sinks", default=())
