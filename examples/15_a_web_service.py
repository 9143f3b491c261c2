"""A web service: each request's lines, its id sent back, and one closing line. No framework."""

from __future__ import annotations

import io
import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

import ctxlog
from ctxlog.adapters.wsgi import Middleware

if TYPE_CHECKING:
    from collections.abc import Iterator

log = ctxlog.get_logger("shop")


def shop(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Answer: a generator, which the server consumes step by step."""
    if environ["PATH_INFO"] == "/boom":
        raise LookupError("no such order")
    start_response("200 OK", [("Content-Type", "text/plain")])
    for item in ("bread", "milk"):
        logging.getLogger("shop.stock").info("found", extra={"item": item})
        yield item.encode() + b"\n"
    ctxlog.annotate(items=2)


class Handler(WSGIRequestHandler):
    """wsgiref's, without its own lines about requests: ours say more."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Say nothing."""

    def get_stderr(self) -> Any:
        """Where wsgiref writes a traceback: nowhere, it is on the closing line."""
        return io.StringIO()


SHOWN = ("level", "request_id", "event", "item", "items", "url.path",
         "http.response.status_code", "outcome", "exception.type")  # fmt: skip


def show(event: dict[str, Any]) -> None:
    """Print the parts of a line that are the same in each run."""
    print(*(event[name] for name in SHOWN if name in event))


def main() -> None:
    """Serve on a port of its own, and ask twice."""
    ctxlog.configure(sinks=[{"target": show, "renderer": "event"}])
    app: Any = Middleware(shop, quiet=["/healthz"])
    with make_server("127.0.0.1", 0, app, handler_class=Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        for path, request_id in (("/orders/7", "r-1"), ("/boom", "not an id")):
            asked = Request(f"http://127.0.0.1:{server.server_port}{path}")
            asked.add_header("X-Request-ID", request_id)
            try:
                with urlopen(asked, timeout=30) as answer:  # noqa: S310 - this machine's own
                    answer.read()
            except HTTPError as error:
                error.close()
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# info r-1 found bread
# info r-1 found milk
# info r-1 request 2 /orders/7 200 success
# error a5c0a730514940c78d8778d00ce750b5 request /boom 500 error LookupError
