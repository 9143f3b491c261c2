"""aiohttp: the ids of here on what a client session sends to hosts that may know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from ctxlog.adapters.outgoing import Hosts, headers_beside
from ctxlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yarl import URL  # aiohttp's own


class _Sending(aiohttp.TraceConfig):
    """A trace config of ours."""


def send_ids(session: aiohttp.ClientSession, *, hosts: Iterable[str]) -> aiohttp.ClientSession:
    """Let a session send ``traceparent`` and ``x-request-id`` to these hosts.

    A header that the caller has set goes as it is. A redirect to another host goes without ours. It
    is a trace config of the session's, so connectors and middlewares stay as they are.

    Args:
        session: the session.
        hosts: names as in a URL; ``".example.org"`` is everything below it; ``"*"`` is every host.

    Returns:
        the same session.

    Raises:
        UsageError: it is no session, or ``hosts`` is no collection of names.

    Example:
        >>> import asyncio
        >>> async def ask():
        ...     async with send_ids(aiohttp.ClientSession(), hosts=["store.internal"]) as session:
        ...         return len(session.trace_configs)
        >>> asyncio.run(ask())
        1
    """
    if not isinstance(session, aiohttp.ClientSession):
        raise UsageError(f"send_ids() takes an aiohttp session, not {type(session).__name__}")
    known = Hosts(hosts)

    async def begin(_: Any, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        context.sent = _write(params.url, params.headers, known)

    async def redirect(_: Any, context: Any, params: aiohttp.TraceRequestRedirectParams) -> None:
        _take_back(params.headers, context.sent)
        context.sent = _write(_target(params), params.headers, known)

    for before in [one for one in session.trace_configs if type(one) is _Sending]:
        session.trace_configs.remove(before)  # hosts named again replace the others
    config = _Sending()
    config.on_request_start.append(begin)
    config.on_request_redirect.append(redirect)
    config.freeze()
    session.trace_configs.append(config)
    return session


def _take_back(headers: Any, sent: dict[str, str]) -> None:
    """Remove what we put on a request before, as far as nobody has replaced it."""
    for name, value in sent.items():
        if headers.get(name) == value:
            del headers[name]


def _target(params: aiohttp.TraceRequestRedirectParams) -> URL | None:
    """Return where a redirect goes; ``None`` if nobody can: aiohttp will say so itself."""
    url, answered = params.url, params.response.headers
    try:
        return url.join(type(url)(answered.get("Location") or answered.get("URI") or ""))
    except ValueError:
        return None


def _write(url: URL | None, headers: Any, hosts: Hosts) -> dict[str, str]:
    if url is None or url.host not in hosts:
        return {}
    ours = headers_beside(headers)
    headers.update(ours)
    return ours
