"""Servers: uvicorn's and gunicorn's own lines, in our shape.

Both set handlers of their own on their loggers and let nothing through to the root. That is undone
here, so that ``configure(stdlib=True)`` gets their lines. Who starts uvicorn from code needs none
of it: ``uvicorn.run(app, log_config=None)``. For gunicorn's master, see
:mod:`ctxlog.adapters.gunicorn`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi",
          "gunicorn.error", "gunicorn.access")  # fmt: skip


def adopt() -> Callable[[], None]:
    """Let the servers' lines go to the root logger, and to no handler of their own.

    For a program that the server has started, after the server has set its handlers:
    in the module of ``uvicorn shop:app``, after ``configure``.

    Returns:
        what puts the handlers back.

    Example:
        >>> undo = adopt()
        >>> logging.getLogger("uvicorn.access").propagate
        True
        >>> undo()
    """
    before = []
    for name in _NAMES:
        logger = logging.getLogger(name)
        before.append((logger, logger.handlers[:], logger.propagate))
        logger.handlers[:] = []
        logger.propagate = True

    def undo() -> None:
        for logger, handlers, propagate in before:
            logger.handlers[:] = handlers
            logger.propagate = propagate

    return undo
