"""The same small service in each framework: what the tests ask it is in `tests.adapters.web.serving`.

Every line that a request writes says by whom it should be: ``by <n>``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import structlog
from loguru import logger as loguru_logger

import ctxlog
from ctxlog.adapters import asgi, wsgi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

own = ctxlog.get_logger("own")
stdlib = logging.getLogger("stdlib")
theirs = structlog.get_logger("theirs")
DOORS = 4


def say(number: object) -> None:
    """One line from each door."""
    own.info(f"by {number}")
    stdlib.info("by %s", number)
    theirs.info(f"by {number}")
    loguru_logger.info(f"by {number}")


def steps(number: object) -> Iterator[bytes]:
    """A body that logs at each step and binds in between."""
    try:
        for step in range(3):
            own.info(f"by {number}")
            ctxlog.bind_context(step=step)
            yield b"x" * 1_000
    finally:
        own.info(f"by {number}")


async def async_steps(number: object) -> AsyncIterator[bytes]:
    """The same, asynchronous."""
    for step in range(3):
        own.info(f"by {number}")
        ctxlog.bind_context(step=step)
        await asyncio.sleep(0)
        yield b"x" * 1_000
    own.info(f"by {number}")


async def long_steps() -> AsyncIterator[bytes]:
    """A body that ends only with its client."""
    while True:
        await asyncio.sleep(0.001)
        yield b"x" * 10_000


def _starlette_parts() -> Any:  # noqa: C901 - an endpoint each
    from starlette.background import BackgroundTask
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route, WebSocketRoute

    async def plain(request: Request) -> Response:
        number = request.path_params["n"]
        body = await request.body()
        say(number)
        await asyncio.sleep(0)
        ctxlog.annotate(n=number)
        say(number)
        return PlainTextResponse(f"{number} {len(body)}")

    def threaded(request: Request) -> Response:
        number = request.path_params["n"]
        say(number)
        ctxlog.bind_context(in_thread=number)
        ctxlog.annotate(n=number)
        say(number)
        return PlainTextResponse(f"{number} 0")

    async def stream(request: Request) -> Response:
        number = request.path_params["n"]
        return StreamingResponse(async_steps(number))

    def sync_stream(request: Request) -> Response:
        number = request.path_params["n"]
        return StreamingResponse(steps(number))

    async def endless(request: Request) -> Response:
        return StreamingResponse(long_steps())

    async def background(request: Request) -> Response:
        number = request.path_params["n"]

        async def later() -> None:
            await asyncio.sleep(0.2)
            own.info(f"by {number}")
            ctxlog.annotate(late=number)

        return PlainTextResponse("done", background=BackgroundTask(later))

    async def boom(request: Request) -> Response:
        own.info(f"by {request.path_params['n']}")
        raise LookupError("no such thing")

    async def echo(socket: WebSocket) -> None:
        number = socket.path_params["n"]
        own.info(f"by {number}")
        await socket.accept()
        text = await socket.receive_text()
        own.info(f"by {number}")
        await socket.send_text(text)
        await socket.close(4001)

    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    async def silent(socket: WebSocket) -> None:
        return

    async def endless_ws(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.receive_text()

    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        async for _ in socket.iter_text():
            pass

    def on_error(request: Request, error: Exception) -> Response:
        own.error(f"by {request.path_params['n']}")
        return PlainTextResponse("sorry", status_code=500)

    return [
        Route("/async/{n:int}", plain, methods=["GET", "POST"]),
        Route("/sync/{n:int}", threaded, methods=["GET", "POST"]),
        Route("/stream/{n:int}", stream),
        Route("/sync-stream/{n:int}", sync_stream),
        Route("/endless", endless),
        Route("/background/{n:int}", background),
        Route("/boom/{n:int}", boom),
        WebSocketRoute("/ws/{n:int}", echo),
        WebSocketRoute("/refuse", refuse),
        WebSocketRoute("/listen", listen),
        WebSocketRoute("/silent", silent),
        WebSocketRoute("/endless-ws", endless_ws),
    ], {Exception: on_error}


def starlette() -> Any:
    """Starlette, with a mount and a middleware that runs the endpoint in a child task."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Mount, Route

    from ctxlog.adapters.starlette import install

    async def between(request: Any, call_next: Any) -> Any:
        own.debug("between")
        return await call_next(request)

    routes, handlers = _starlette_parts()
    inner = next(route for route in routes if isinstance(route, Route))
    app = Starlette(
        routes=[*routes, Mount("/mounted", routes=[inner])],
        exception_handlers=handlers,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=between)],
    )
    return install(app)


def fastapi() -> Any:
    """FastAPI; in a module of its own, for it reads annotations from a module's names."""
    from tests.adapters.web.app_fastapi import make

    return make()


def flask() -> Any:
    """Flask, with a streamed body and endpoints of both kinds."""
    from flask import Flask, Response, request, send_file

    from ctxlog.adapters.flask import install

    app = Flask("tests")

    @app.route("/sync/<int:n>", methods=["GET", "POST"])
    def threaded(n: int) -> str:
        say(n)
        ctxlog.bind_context(bound_here=n)
        ctxlog.annotate(n=n)
        say(n)
        return f"{n} {len(request.get_data())}"

    @app.route("/stream/<int:n>")
    def stream(n: int) -> Response:
        return Response(steps(n))

    @app.route("/file")
    def file() -> Response:
        return send_file(__file__)

    @app.route("/boom/<int:n>")
    def boom(n: int) -> str:
        raise LookupError("no such thing")

    return install(app)


def _django_urls(*, is_async: bool) -> Any:
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    def threaded(request: Any, n: int) -> HttpResponse:
        say(n)
        ctxlog.annotate(n=n)
        say(n)
        return HttpResponse(f"{n} {len(request.body)}".encode())

    async def plain(request: Any, n: int) -> HttpResponse:
        say(n)
        await asyncio.sleep(0)
        ctxlog.annotate(n=n)
        say(n)
        return HttpResponse(f"{n} {len(request.body)}".encode())

    def stream(request: Any, n: int) -> StreamingHttpResponse:
        return StreamingHttpResponse(async_steps(n) if is_async else steps(n))

    def boom(request: Any, n: int) -> HttpResponse:
        raise LookupError("no such thing")

    return [
        path("async/<int:n>", plain),
        path("sync/<int:n>", threaded),
        path("stream/<int:n>", stream),
        path("boom/<int:n>", boom),
    ]


def _django(*, is_async: bool) -> Any:
    import types

    import django
    from django.conf import settings

    urls: Any = types.ModuleType("tests_urls")
    urls.urlpatterns = _django_urls(is_async=is_async)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="tests",
        ROOT_URLCONF=urls,
        LOGGING_CONFIG=None,
        MIDDLEWARE=["ctxlog.adapters.django.Middleware"],
    )
    django.setup(set_prefix=False)


def django_wsgi() -> Any:
    """Django under WSGI."""
    _django(is_async=False)
    from django.core.wsgi import get_wsgi_application

    app: Any = get_wsgi_application()
    return wsgi.Middleware(app)


def django_asgi() -> Any:
    """Django under ASGI."""
    _django(is_async=True)
    from django.core.asgi import get_asgi_application

    return asgi.Middleware(get_asgi_application())
