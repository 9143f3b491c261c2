"""Installing: what one cannot change crosses all the same. Patches on request, never at import.

>>> import threading
>>> from ctxlog.context.fields import get_context
>>> from ctxlog.context.scope import scope
>>> _ = install(only=["threads"])
>>> with scope(request_id="r-1"):
...     thread = threading.Thread(target=lambda: print(get_context()))
...     thread.start()
...     thread.join()
{'request_id': 'r-1'}
>>> uninstall()
()
"""

from __future__ import annotations

import os
from threading import RLock
from typing import TYPE_CHECKING

from ctxlog.errors import UsageError, choices
from ctxlog.propagation.targets import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctxlog.propagation.patching import Patch

_lock = RLock()
_patches: dict[tuple[int, str], Patch] = {}


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - in a forked child its owner may not exist any more
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def install(*, only: Iterable[str] | None = None, without: Iterable[str] = ()) -> tuple[str, ...]:
    """Patch the standard library (and gevent, if loaded) so that context crosses unasked.

    Doing it twice is doing it once. Other libraries' patches of the same functions
    (OpenTelemetry's, Sentry's) may be there before or come after. Threads and processes of pools,
    of ``QueueListener`` and of exporters serve many pieces of work: they start with no context.

    Args:
        only: the groups to patch: ``threads``, ``executors``, ``futures``, ``loops``,
            ``pools``, ``processes``, ``signals``, ``atexit``, ``finalizers``, ``greenlets``.
        without: groups to leave out.

    Returns:
        The names of all that is patched now, as :func:`installed` does.

    Raises:
        UsageError: an unknown group.
    """
    chosen = [group for group in _groups(only, GROUPS) if group not in _groups(without, ())]
    with _lock:
        for group in chosen:
            for patch in GROUPS[group]():
                _patches.setdefault((id(patch.owner), patch.name), patch).apply()
        return installed()


def uninstall() -> tuple[str, ...]:
    """Restore what is still outermost, turn the rest inert.

    Returns:
        The names of what others have wrapped since, and which therefore only turned inert.
    """
    with _lock:
        return tuple(str(patch) for patch in reversed(_patches.values()) if not patch.remove())


def installed() -> tuple[str, ...]:
    """Return the names of all that is patched now, such as ``threading.Thread.start``.

    Example:
        >>> installed()
        ()
    """
    return tuple(str(patch) for patch in _patches.values() if patch.alive)


def _groups(given: Iterable[str] | None, default: Iterable[str]) -> list[str]:
    if given is None:
        return list(default)
    if isinstance(given, str):
        message = f"groups are given as a list: [{given!r}]"
        raise UsageError(message)
    names = list(given)
    for name in names:
        if name not in GROUPS:
            raise choices("group", name, GROUPS)
    return names
