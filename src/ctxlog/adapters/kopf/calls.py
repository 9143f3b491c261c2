"""Calls: those that kopf makes itself, with the ids of whoever they are made for, and a line each.

They go out by one session of aiohttp's for each login: kopf is given one around it, so that each try
is seen, and what the operator's author sends by the same session stays as it is. (A trace config of
aiohttp's did the same for twice the time: all of its signals are sent then.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters
from ctxlog.kubernetes.calls import AUDIT_HEADER, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.adapters.kopf.state import State
    from ctxlog.kubernetes.calls import Calls

#: Where kopf makes a session of what a login handler returns.
MODULE, CONTEXT = "kopf._cogs.clients.auth", "APIContext"


def around_context(original: Callable[..., None], state: State) -> Callable[..., None]:
    """Wrap the making of what holds a session."""

    def init(made: Any, *args: Any, **kwargs: Any) -> None:
        original(made, *args, **kwargs)
        if state.active and state.calls.active:
            made.session = Session(made.session, state.calls)

    return init


class Session:
    """A session for kopf: what it asks for has our headers and a line, the rest is the session's.

    Args:
        inner: what it goes on to.
        calls: what its requests are among.
    """

    def __init__(self, inner: Any, calls: Calls) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def request(self, method: str, url: Any, **options: Any) -> Any:
        """Make a request."""
        call = None
        if self._calls.active:
            try:
                given = options.get("headers") or {}
                made = self._calls.fresh({*given, *self._inner.headers})
                call = Call(None, method, str(url), None, made.get(AUDIT_HEADER))
                options["headers"] = {**given, **made}
            except Exception:  # noqa: BLE001 - the call must be made
                counters.add("errors.api_call")
        try:
            response = await self._inner.request(method, url, **options)
        except BaseException as error:
            if call is not None:
                call.end(error=error)
            raise
        if call is not None:
            call.end(response)
        return response
