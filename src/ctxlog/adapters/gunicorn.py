"""gunicorn: its master's and its workers' own lines, in our shape; access lines with their ids.

In ``gunicorn.conf.py``::

    import ctxlog

    ctxlog.configure()
    logger_class = "ctxlog.adapters.gunicorn.Logger"
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

from gunicorn.glogging import Logger as _Logger

from ctxlog.adapters.exchange import KEY, Taken
from ctxlog.adapters.servers import adopt
from ctxlog.runtime import runtime

#: What asks for access lines; each worker keeps to it, uvicorn's too.
_ASKED = ("accesslog", "logconfig", "logconfig_dict", "logconfig_json")


class Logger(_Logger):  # type: ignore[misc]  # it has no types
    """gunicorn's logger without handlers of its own, once ctxlog is configured."""

    def setup(self, cfg: Any) -> None:
        """Set levels as gunicorn does, and hand the lines on."""
        super().setup(cfg)
        if runtime.pipeline is not None:  # else nobody would write them
            adopt()

    def close_on_exec(self) -> None:
        """Hand on once more what a worker has set: uvicorn's does so for uvicorn's own loggers."""
        super().close_on_exec()  # the first that a worker asks of its logger, once it is made
        if runtime.pipeline is not None:
            adopt()
            if not any(getattr(self.cfg, name, None) for name in _ASKED):
                logging.getLogger("uvicorn.access").propagate = False

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write an access line in the context of its request, if our middleware has served it."""
        taken = environ.get(KEY) if isinstance(environ, dict) else None
        with taken.scope() if isinstance(taken, Taken) else nullcontext():
            super().access(resp, req, environ, request_time)
