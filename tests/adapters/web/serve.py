"""A server in a process of its own: `python -m tests.adapters.web.serve uvicorn:asyncio starlette FD`.

Every line goes to standard error, as JSON. It ends on SIGTERM.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import ctxlog
from tests.adapters.web import apps


def configure() -> None:
    """All doors, into one stream."""
    from loguru import logger as loguru_logger

    from ctxlog.adapters.loguru import sink

    ctxlog.configure(renderer="json", level="info")
    loguru_logger.remove()
    loguru_logger.add(sink)


def uvicorn(app: Any, loop: str, fd: int) -> None:
    """Serve under uvicorn."""
    import uvicorn as server

    server.run(app, fd=fd, loop=loop, log_config=None, timeout_graceful_shutdown=5)


def after(worker: Any, request: Any, environ: Any, response: Any) -> None:
    """Say something where the server is done with a request."""
    worker.log.info("after a request")


def gunicorn(app: Any, worker: str, fd: int) -> None:
    """Serve under gunicorn, one worker of a kind."""
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]  # it has no types
        def load_config(self) -> None:
            self.cfg.set("bind", f"fd://{fd}")
            self.cfg.set("worker_class", worker)
            self.cfg.set("threads", 8 if worker == "gthread" else 1)
            self.cfg.set("logger_class", "ctxlog.adapters.gunicorn.Logger")
            if not os.environ.get("QUIET"):
                self.cfg.set("accesslog", "-")
            self.cfg.set("control_socket_disable", True)
            self.cfg.set("post_request", after)

        def load(self) -> Any:
            return app

    Application().run()


def main(served: str, framework: str, fd: str) -> None:
    """Serve until told to stop."""
    server, _, kind = served.partition(":")
    configure()
    app = getattr(apps, framework)()
    {"uvicorn": uvicorn, "gunicorn": gunicorn}[server](app, kind, int(fd))


if __name__ == "__main__":
    main(*sys.argv[1:])
