"""Things that tests carry: a ContextVar with an accessor, and what keeps records of steps."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ctxlog.context.accessors import MISSING

tenant: ContextVar[Any] = ContextVar("tenant", default=MISSING)


class Tenant:
    """Carries ``tenant``; fails where it is told to."""

    def __init__(self, name: str = "tenant", *, fails: tuple[str, ...] = ()) -> None:
        self.name = name
        self.fails = fails
        self.calls: list[Any] = []

    def capture(self) -> Any:
        """Return what is set."""
        self._fail("capture")
        return tenant.get()

    def enter(self, value: Any, /) -> Any:
        """Set it; return what was set before."""
        self.calls.append(("enter", value))
        self._fail("enter nothing" if value is MISSING else "enter")
        before = tenant.get()
        tenant.set(value)
        return before

    def leave(self, before: Any, /) -> None:
        """Set what was set before."""
        self.calls.append(("leave", before))
        self._fail("leave")
        tenant.set(before)

    def _fail(self, step: str) -> None:
        if step in self.fails:
            raise RuntimeError(step)
