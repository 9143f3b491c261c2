"""Providers: read when a line is written, for what changes during a piece of work.

A provider is a callable of no arguments that returns a mapping of fields, or ``None``. Its fields
stand below the context's own and above the resource. A *foreign* one (another library's context)
stands below the resource.
"""

from __future__ import annotations

import os
from _thread import RLock

from ctxlog.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Provider: TypeAlias = Callable[[], Mapping[str, object] | None]

# Both are swapped whole, so that readers need no lock.
_own: tuple[Provider, ...] = ()
_foreign: tuple[Provider, ...] = ()
_lock = RLock()
_listeners: list[Callable[[], None]] = []


def add_provider(provider: Provider, *, foreign: bool = False) -> None:
    """Read ``provider`` for every line from now on; adding one twice is no error.

    Args:
        provider: what to call.
        foreign: it reads another library's context, and stands below the resource.

    Raises:
        UsageError: it cannot be called.

    Example:
        >>> def shard():
        ...     return {"shard": 3}
        >>> add_provider(shard)
        >>> providers() == (shard,)
        True
        >>> remove_provider(shard)
        >>> providers()
        ()
    """
    global _own, _foreign
    if not callable(provider):
        message = f"a provider is a callable of no arguments, not {type(provider).__name__}"
        raise UsageError(message)
    with _lock:
        own, rest = _without(_own, provider), _without(_foreign, provider)
        _own, _foreign = (own, (*rest, provider)) if foreign else ((*own, provider), rest)
    _tell()


def remove_provider(provider: Provider) -> None:
    """Read ``provider`` no more; an unknown one is no error."""
    global _own, _foreign
    with _lock:
        before = len(_own) + len(_foreign)
        _own, _foreign = _without(_own, provider), _without(_foreign, provider)
        changed = before != len(_own) + len(_foreign)
    if changed:
        _tell()


def _without(known: tuple[Provider, ...], provider: Provider) -> tuple[Provider, ...]:
    return tuple(each for each in known if each != provider)


def providers() -> tuple[Provider, ...]:
    """Return the providers whose fields stand below the context's own."""
    return _own


def foreign_providers() -> tuple[Provider, ...]:
    """Return the providers of other libraries' contexts."""
    return _foreign


def on_change(listener: Callable[[], None]) -> None:
    """Call ``listener`` whenever a provider came or went: pipelines are built anew then."""
    _listeners.append(listener)


def _tell() -> None:
    for listener in _listeners:
        listener()


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - in a forked child its owner may not exist any more
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
