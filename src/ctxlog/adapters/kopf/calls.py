"""Calls: those that kopf makes itself, with the ids of whoever they are made for, and a line each.

They go out by one session of aiohttp's for each login: a trace config of it sees every try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from ctxlog.adapters.aiohttp import add, take_back, target
from ctxlog.counting import counters

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL  # aiohttp's own

    from ctxlog.adapters.kopf.state import State
    from ctxlog.kubernetes.calls import Calls

#: Where kopf makes a session of what a login handler returns.
MODULE, CONTEXT = "kopf._cogs.clients.auth", "APIContext"


class Observer(aiohttp.TraceConfig):
    """A trace config of ours.

    Attributes:
        calls: what it writes lines for.
    """

    calls: Calls


def around_context(original: Callable[..., None], state: State) -> Callable[..., None]:
    """Wrap the making of what holds a session."""

    def init(made: Any, *args: Any, **kwargs: Any) -> None:
        original(made, *args, **kwargs)
        if state.active and state.calls.active:
            try:
                observe(made.session, made.server, state.calls)
            except Exception:  # noqa: BLE001 - kopf must get its session
                counters.add("errors.api_call")

    return init


def observe(session: aiohttp.ClientSession, server: str, calls: Calls) -> None:
    """Put ids on what a session sends to a cluster, and write a line for each.

    Args:
        session: kopf's, or the operator's author's own: what it sends elsewhere stays as it is.
        server: the cluster's URL.
        calls: what they are among.
    """
    if any(type(one) is Observer and one.calls is calls for one in session.trace_configs):
        return  # a login handler may return the same one again

    async def begin(_: Any, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        context.sent, context.call = {}, None
        if not _is_at(params.url, server):
            return
        sent = context.sent = calls.headers(set(params.headers))
        params.headers.update(sent)
        context.call = calls.begin(params.method, str(params.url), None, sent)

    async def redirect(_: Any, context: Any, params: aiohttp.TraceRequestRedirectParams) -> None:
        if not _is_at(target(params), server):
            take_back(params.headers, context.sent)

    async def end(_: Any, context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        if context.call is not None:
            context.call.end(params.response)

    async def fail(_: Any, context: Any, params: aiohttp.TraceRequestExceptionParams) -> None:
        if context.call is not None:
            context.call.end(error=params.exception)

    config = Observer()
    config.calls = calls
    config.on_request_start.append(begin)
    config.on_request_redirect.append(redirect)
    config.on_request_end.append(end)
    config.on_request_exception.append(fail)
    add(session, config)


def _is_at(url: URL | None, server: str) -> bool:
    """Whether a URL is the cluster's."""
    if url is None:
        return False
    try:
        return bool(url.origin() == type(url)(server).origin())
    except ValueError:  # no absolute one
        return False
