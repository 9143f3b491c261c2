"""kubernetes: ids on every API call, and a line for each; an entry for each event of an informer.

Also for ``kubernetes.aio``, the client for asyncio that newer versions of this library have.

>>> install()  # loads nothing: it holds once ``kubernetes`` is imported
>>> uninstall()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxlog.kubernetes.clients import Clients, EventHandler

if TYPE_CHECKING:
    from typing import TypeVar

    Client = TypeVar("Client")

__all__ = ["EventHandler", "install", "instrument", "uninstall"]

_clients = Clients("kubernetes", waits=False)
_waiting = Clients("kubernetes.aio", waits=True)


def install() -> None:
    """Put ids on every call of every client, and give callbacks their context.

    Each call has ``traceparent`` and ``x-request-id`` of whoever makes it and an ``Audit-ID`` of
    its own, and writes a line: event ``api call``, logger ``ctxlog.kubernetes``, at debug; conflicts
    (409) and throttling (429) at info. Callbacks of informers run in an entry an event, those of a
    leader election under the context that its ``Config`` was made in. May be called before the
    library is imported; calling it again changes nothing.
    """
    _clients.install()
    _waiting.install()


def uninstall() -> None:
    """Put everything back; clients that were instrumented make plain calls again."""
    _waiting.uninstall()
    _clients.uninstall()


def instrument(client: Client) -> Client:
    """Put ids on the calls of one ``ApiClient``, without the rest of :func:`install`.

    Returns:
        The same client.

    Raises:
        UsageError: it is no API client.
    """
    modules = [kind.__module__ for kind in type(client).__mro__]
    awaited = any(module.startswith("kubernetes.aio.") for module in modules)
    (_waiting if awaited else _clients).instrument(client)
    return client
