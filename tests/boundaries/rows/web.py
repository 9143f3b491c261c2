"""The web: what frameworks do between a request's middleware and its endpoint, in process.

Each request runs in a context of its own, as a server's does, and has its name in a header; the
lane's middleware opens it. What was left in that context is told as well.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from tests.boundaries.rows.row import WAIT, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.boundaries.lanes import Lane

INSTALL = "`starlette.install`"


async def ask(lane: Lane, app: Any, name: str) -> str:
    """Ask an ASGI application as a server does; return what it answered, or what it left behind."""
    import httpx

    context = contextvars.Context()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {} if name == "-" else {"x-request-id": name}

    async def asked() -> str:
        async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
            return (await client.get("/", headers=headers)).text

    found = await asyncio.wait_for(asyncio.create_task(asked(), context=context), WAIT)
    left = context.run(lane.read)
    return found if left == "-" else f"{left} left behind"


def starlette(lane: Lane, endpoint: Any, **options: Any) -> Any:
    """A Starlette application of one route, with the lane's middleware."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    return lane.starlette(Starlette(routes=[Route("/", endpoint)], **options))


def fastapi(lane: Lane, endpoint: Any) -> Any:
    """A FastAPI application of one route, with the lane's middleware."""
    from fastapi import FastAPI

    app = FastAPI()
    app.get("/", response_class=_text())(endpoint)
    return lane.starlette(app)


def _text() -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse


def _answers(lane: Lane, app: Any) -> Callable[[], Any]:
    """A crossing: the request of whoever calls, and what it answered."""

    async def crossing() -> Any:
        return await ask(lane, app, lane.read())

    return crossing


def _tells(lane: Lane, app: Any, telling: list[Any]) -> Callable[[], Any]:
    """A crossing whose name is not in the header: something within the request tells it."""

    async def crossing() -> Any:
        telling[:] = [name for name in [lane.read()] if name != "-"]
        found = await ask(lane, app, "-")
        return lane.told() if found == "done" else found

    return crossing


def _between() -> Any:
    """Starlette's middleware that runs what is behind it in a child task."""
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    return Middleware(BaseHTTPMiddleware, dispatch=dispatch)


@row("C1", "Starlette: an endpoint behind `BaseHTTPMiddleware`", INSTALL)
async def behind_base(lane: Lane) -> AsyncIterator[Any]:
    """It runs in a child task."""

    async def endpoint(_: Any) -> Any:
        return _text()(lane.read())

    yield _answers(lane, starlette(lane, endpoint, middleware=[_between()]))


@row(
    "C1", "Starlette: an endpoint behind `BaseHTTPMiddleware` binds, the closing line", "`annotate`"
)
async def up_through_base(lane: Lane) -> AsyncIterator[Any]:
    """What a child task binds does not go up."""
    telling: list[Any] = []

    async def endpoint(_: Any) -> Any:
        for name in telling:
            lane.tell(name)
        return _text()("done")

    yield _tells(lane, starlette(lane, endpoint, middleware=[_between()]), telling)


@row("C2", "FastAPI: a sync endpoint, in a thread, which binds and does not unbind", INSTALL)
async def sync_endpoint(lane: Lane) -> AsyncIterator[Any]:
    """It has its request's, and leaves nothing in the pool's thread."""

    def endpoint() -> Any:
        found = lane.read()
        lane.bind_loose("left in a thread")
        return found

    yield _answers(lane, fastapi(lane, endpoint))


@row("C2", "FastAPI: a sync dependency binds, the endpoint logs", "an `async def` dependency")
async def dependency_binds(lane: Lane) -> AsyncIterator[Any]:
    """What is bound in a thread stays in its copy of the context."""
    from fastapi import Depends

    telling: list[Any] = []

    def dependency() -> None:
        for name in telling:
            lane.bind_loose(name)

    async def endpoint(_: Any = Depends(lane.dependency(dependency))) -> Any:  # noqa: B008 - FastAPI's way
        return lane.read()

    app = fastapi(lane, endpoint)

    async def crossing() -> Any:
        telling[:] = [name for name in [lane.read()] if name != "-"]
        return await ask(lane, app, "-")

    yield crossing


@row("C2", "FastAPI: a sync dependency binds, the closing line", "`annotate`")
async def dependency_tells(lane: Lane) -> AsyncIterator[Any]:
    """A thread has something to say of the whole request."""
    from fastapi import Depends

    telling: list[Any] = []

    def dependency() -> None:
        for name in telling:
            lane.tell(name)

    async def endpoint(_: Any = Depends(dependency)) -> Any:  # noqa: B008 - FastAPI's way
        return "done"

    yield _tells(lane, fastapi(lane, endpoint), telling)


@row("B16", "asgiref: a middleware's two halves, each in a `sync_to_async`")
async def halves(lane: Lane) -> AsyncIterator[Any]:
    """As Django calls a sync middleware's under ASGI: what one binds, the other takes back."""
    from asgiref.sync import sync_to_async

    async def crossing() -> Any:
        scope = lane.bind("inner")
        await sync_to_async(scope.__enter__)()
        found = lane.read()
        await sync_to_async(scope.__exit__)(None, None, None)
        return lane.read() if found == "inner" else found

    yield crossing


@row("C3", "Starlette: the handler of status 500, outside of all middleware", INSTALL)
async def handler_of_500(lane: Lane) -> AsyncIterator[Any]:
    """It runs when a correct middleware has restored."""

    async def endpoint(_: Any) -> Any:
        raise LookupError

    async def handler(*_: Any) -> Any:
        return _text()(lane.read(), status_code=500)

    yield _answers(lane, starlette(lane, endpoint, exception_handlers={Exception: handler}))


@row("C4", "Starlette: a streamed body, an async generator", INSTALL)
async def async_body(lane: Lane) -> AsyncIterator[Any]:
    """It is consumed after the endpoint has returned."""
    from starlette.responses import StreamingResponse

    async def body() -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        yield lane.read()

    async def endpoint(_: Any) -> Any:
        return StreamingResponse(body())

    yield _answers(lane, starlette(lane, endpoint))


@row("C4", "Starlette: a streamed body, a generator, in a thread", INSTALL)
async def sync_body(lane: Lane) -> AsyncIterator[Any]:
    """Each step in a thread of a pool."""
    from starlette.responses import StreamingResponse

    def body() -> Iterator[Any]:
        yield ""
        yield lane.read()

    def endpoint(_: Any) -> Any:
        return StreamingResponse(body())

    yield _answers(lane, starlette(lane, endpoint))


@row("C4", "Flask: a body that is a generator", "`wsgi.Middleware`, `flask.install`")
def flask_body(lane: Lane) -> Iterator[Any]:
    """The server consumes it when the application has returned."""
    from flask import Flask, Response

    app: Any = Flask("boundaries")

    @app.get("/")
    def endpoint() -> Any:
        return Response(lane.read() for _ in "a")

    app.wsgi_app = lane.wsgi(app.wsgi_app)

    def crossing() -> Any:
        mine = lane.read()
        headers = {} if mine == "-" else {"x-request-id": mine}
        context = contextvars.Context()
        answer = context.run(app.test_client().get, "/", headers=headers)
        found, left = context.run(lambda: answer.text), context.run(lane.read)
        context.run(answer.close)
        return found if left == "-" else f"{left} left behind"

    yield crossing


def _background(*, sync: bool) -> Callable[[Lane], Any]:
    async def cross(lane: Lane) -> AsyncIterator[Any]:
        from starlette.background import BackgroundTask

        found: list[Any] = []

        async def later() -> None:
            await asyncio.sleep(0)
            found.append(lane.read())

        def answer() -> Any:
            task: Any = (lambda: found.append(lane.read())) if sync else later
            return _text()("done", background=BackgroundTask(task))

        async def on_the_loop(_: Any) -> Any:
            return answer()

        def in_a_thread(_: Any) -> Any:
            return answer()

        app = starlette(lane, in_a_thread if sync else on_the_loop)

        async def crossing() -> Any:
            answered = await ask(lane, app, lane.read())
            return found.pop() if answered == "done" else answered

        yield crossing

    return cross


row("C5", "Starlette: a background task of an async route", INSTALL)(_background(sync=False))
row("C5", "Starlette: a sync background task of a sync route", INSTALL)(_background(sync=True))
