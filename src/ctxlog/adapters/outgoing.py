"""Outgoing: to which hosts ids are sent, and which. What the adapters of HTTP clients share."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ctxlog.carriers import inject
from ctxlog.errors import UsageError
from ctxlog.formats import HEADERS, TRACESTATE, X_TRACE_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY = "*"
#: What tells of a trace; one of them that the caller has set is not mixed with ours.
_OF_TRACE = HEADERS - {X_TRACE_ID} | {TRACESTATE}


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
        for name in names:
            _check(name)
        plain = [_plain(name) for name in names]
        self._all = ANY in plain
        self._names = frozenset(name for name in plain if not name.startswith("."))
        self._below = tuple(name for name in plain if name.startswith("."))

    def __contains__(self, host: object) -> bool:
        if self._all:
            return True
        if not isinstance(host, str):
            return False
        name = _plain(host)
        return name in self._names or (bool(self._below) and name.endswith(self._below))


def headers_beside(given: Iterable[str]) -> dict[str, str]:
    """Return the headers with the ids of here, without those that the caller has set.

    Args:
        given: names of the headers that are there.

    Example:
        >>> from ctxlog.entries import entry
        >>> with entry({"x-request-id": "r-1"}):
        ...     headers_beside(["Traceparent"]), headers_beside(["X-Request-ID", "b3"])
        ({'x-request-id': 'r-1'}, {})
    """
    theirs = {name.lower() for name in given}
    if not theirs.isdisjoint(_OF_TRACE):
        theirs |= _OF_TRACE
    ours: dict[str, str] = {}
    inject(ours)
    return {name: value for name, value in ours.items() if name not in theirs}


def _check(name: str) -> None:
    """Refuse what is no host's name, and would never be one's."""
    if "/" in name:
        raise UsageError(f"hosts takes the names of hosts, not URLs such as {name!r}")
    if ANY in name and name != ANY:
        raise UsageError(f'hosts takes ".example.org" for all below example.org, not {name!r}')
    if ":" in name and not _is_address(name):
        raise UsageError(
            f"hosts takes names without a port, and addresses as they are: not {name!r}"
        )
    if "@" in name or name != name.strip():
        raise UsageError(f"hosts takes the names of hosts alone, not {name!r}")


def _is_address(name: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(name)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    """Return a host's name as it is compared: as DNS has it, where it is not ASCII."""
    if not name.isascii():
        with suppress(UnicodeError):  # a name that no host has
            labels = [label.encode("idna").decode("ascii") for label in name.split(".")]
            name = ".".join(labels)
    return name.lower().rstrip(".")
