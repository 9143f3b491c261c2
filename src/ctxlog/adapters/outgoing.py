"""Outgoing: to which hosts ids are sent. What the adapters of HTTP clients share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY = "*"


class Hosts:
    """The hosts that may know our ids.

    Args:
        hosts: names as in a URL; ``".example.org"`` is everything below ``example.org``; ``"*"``
            is every host there is.

    Raises:
        UsageError: no collection of names.

    Example:
        >>> known = Hosts(["store", ".internal"])
        >>> "Store" in known, "db.internal" in known, "internal.evil.org" in known
        (True, True, False)
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        try:
            names = [hosts] if isinstance(hosts, str) else list(hosts)
        except TypeError:
            names = []
        wrong = [name for name in names if not isinstance(name, str) or not name.strip(".")]
        if not names or wrong:
            raise UsageError(
                'hosts takes names such as ["store.internal", ".example.org"], or "*" for all'
            )
        if any("/" in name for name in names):
            raise UsageError("hosts takes the names of hosts, not URLs")
        plain = [name.lower().rstrip(".") for name in names]
        self._all = ANY in plain
        self._names = frozenset(name for name in plain if not name.startswith("."))
        self._below = tuple(name for name in plain if name.startswith("."))

    def __contains__(self, host: object) -> bool:
        if self._all:
            return True
        if not isinstance(host, str):
            return False
        name = host.lower().rstrip(".")
        return name in self._names or (bool(self._below) and name.endswith(self._below))
