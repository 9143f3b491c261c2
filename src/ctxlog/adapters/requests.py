"""Requests: the ids of here on what a ``requests.Session`` sends to hosts that may know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import BaseAdapter

from ctxlog.adapters.outgoing import Hosts, headers_beside

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests


class Adapter(BaseAdapter):
    """A transport adapter in front of another: it adds the headers to a copy of the request.

    A redirect is made from the request without them, so they stay with the hosts that are named.
    """

    def __init__(self, inner: BaseAdapter, hosts: Hosts) -> None:
        super().__init__()
        self.inner = inner
        self.hosts = hosts

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request, with the ids if its host may know them."""
        if _host(request.url) in self.hosts:
            request = request.copy()
            request.headers.update(headers_beside(request.headers))
        return self.inner.send(request, *args, **kwargs)

    def close(self) -> None:
        """Close the adapter behind."""
        self.inner.close()


def send_ids(session: requests.Session, *, hosts: Iterable[str]) -> requests.Session:
    """Let a session send ``traceparent`` and ``x-request-id`` to these hosts.

    A header that the caller has set goes as it is. Every adapter that is mounted now is put behind
    one that adds the headers; mount your own first.

    Args:
        session: the session.
        hosts: names as in a URL; ``".example.org"`` is everything below it; ``"*"`` is every host.

    Returns:
        the same session.

    Raises:
        UsageError: ``hosts`` is no collection of names.

    Example:
        >>> import requests
        >>> session = send_ids(requests.Session(), hosts=["store.internal"])
        >>> session.close()
    """
    known = Hosts(hosts)
    for prefix, adapter in list(session.adapters.items()):
        inner = adapter.inner if isinstance(adapter, Adapter) else adapter
        session.mount(prefix, Adapter(inner, known))
    return session


def _host(url: str | None) -> str | None:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url or "").hostname
    except ValueError:
        return None
