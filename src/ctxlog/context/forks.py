"""Forks: the child starts from the resource. It is another process, not the request's.

What was forked under is gone in the child: fields, ids, and what accessors carry. To keep it, take
a :func:`~ctxlog.snapshot` before the fork and enter it in the child.
"""

from __future__ import annotations

import os

from ctxlog.context.accessors import enter_carried
from ctxlog.context.fields import CURRENT, ROOT


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=clear)
