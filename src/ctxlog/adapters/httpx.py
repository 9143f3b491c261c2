"""httpx: the ids of here on what a client sends to hosts that may know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import httpx

from ctxlog.adapters.outgoing import Hosts, headers_beside
from ctxlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)
#: In a request's extensions, which a redirect takes along: what we put on the request before.
_SENT = "ctxlog"


def send_ids(client: Client, *, hosts: Iterable[str]) -> Client:
    """Let a client send ``traceparent`` and ``x-request-id`` to these hosts.

    A header that the caller has set goes as it is. A redirect to another host goes without ours. It
    is a hook of the client's for ``request``, so transports, proxies and mounts stay as they are.

    Args:
        client: an ``httpx.Client`` or ``httpx.AsyncClient``.
        hosts: names as in a URL; ``".example.org"`` is everything below it; ``"*"`` is every host.

    Returns:
        the same client.

    Raises:
        UsageError: it is no client, or ``hosts`` is no collection of names.

    Example:
        >>> client = send_ids(httpx.Client(), hosts=["store.internal"])
        >>> client.close()
    """
    known = Hosts(hosts)
    if isinstance(client, httpx.AsyncClient):

        async def hook(request: httpx.Request) -> None:
            _write(request, known)

        client.event_hooks["request"].append(hook)
    elif isinstance(client, httpx.Client):
        client.event_hooks["request"].append(lambda request: _write(request, known))
    else:
        raise UsageError(f"send_ids() takes an httpx client, not {type(client).__name__}")
    return client


def _write(request: httpx.Request, hosts: Hosts) -> None:
    sent = request.extensions.get(_SENT) or {}
    for name, value in sent.items():
        if request.headers.get(name) == value:
            del request.headers[name]
    if request.url.host in hosts:
        ours = headers_beside(request.headers)
        request.headers.update(ours)
        request.extensions = {**request.extensions, _SENT: ours}
