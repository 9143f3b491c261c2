"""Forks: the child starts from the resource. It is another process, not the request's.

What was forked under is gone in the child: fields, ids, and what accessors carry. To keep it, take
a :func:`~ctxlog.snapshot` before the fork and enter it in the child.

What another thread is importing at a fork can never be imported in the child: the module's lock
stays held. So a fork waits for imports of what binding and snapshots load when they first need it.
"""

from __future__ import annotations

import os
import sys

from ctxlog.context.accessors import enter_carried
from ctxlog.context.fields import CURRENT, ROOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Those modules: they take no lock, log nothing, and change nothing else as they are imported.
_LATER = (
    "ctxlog.context.",
    "ctxlog.errors.",
    "ctxlog.freeze_walk.",
    "ctxlog.ids.",
    "ctxlog.names.",
    "ctxlog.objects.",
    "ctxlog.readers.",
    "ctxlog.redact.",
    "ctxlog.values.",
    "ctxlog.walk.",
    "importlib.",
    "json.",
    "re.",
    "pickle.",
)
#: Looks at most: one import begins another; and this very thread may fork in the middle of one.
_LOOKS = 20


def clear() -> None:
    """Empty the context of the thread that forked.

    Example:
        >>> from contextvars import copy_context
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     child = copy_context()
        >>> child.run(get_context), child.run(clear), child.run(get_context)
        ({'request_id': 'r-1'}, None, {})
    """
    CURRENT.set(ROOT)
    enter_carried(())


def let_imports_end() -> None:
    """Wait for what other threads are importing of that; the locks are known by no public name."""
    for _ in range(_LOOKS):
        under_way = [name for name in list(_locks()) if f"{name}.".startswith(_LATER)]
        if not under_way:
            return
        for name in under_way:
            try:
                __import__(name)
            except Exception:  # noqa: BLE001, S112 - who imports it is told
                continue


def _locks() -> dict[str, Any]:
    found: Any = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", None)
    return found if type(found) is dict else {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=let_imports_end, after_in_child=clear)
