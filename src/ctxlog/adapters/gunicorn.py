"""gunicorn: its master's and its workers' own lines, in our shape.

In ``gunicorn.conf.py``::

    import ctxlog

    ctxlog.configure()
    logger_class = "ctxlog.adapters.gunicorn.Logger"
"""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger as _Logger

from ctxlog.adapters.servers import adopt
from ctxlog.runtime import runtime


class Logger(_Logger):  # type: ignore[misc]  # it has no types
    """gunicorn's logger without handlers of its own, once ctxlog is configured."""

    def setup(self, cfg: Any) -> None:
        """Set levels as gunicorn does, and hand the lines on."""
        super().setup(cfg)
        if runtime.pipeline is not None:  # else nobody would write them
            adopt()
