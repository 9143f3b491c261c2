"""One protocol inside the other: a WSGI application behind an ASGI server, each with its middleware."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest
from asgiref.wsgi import WsgiToAsgi

import ctxlog
from ctxlog.adapters import asgi, wsgi
from ctxlog.testing import capture
from tests.adapters.web.test_middleware import ask, environ_of, header_of, scope_of, start

log = ctxlog.get_logger("tests.bridges")
ASKED = [{"type": "http.request", "body": b"", "more_body": False}]


def shop(environ: Any, start: Any) -> list[bytes]:
    """A WSGI application."""
    log.info("asked")
    ctxlog.annotate(rows=3)
    start("200 OK", [])
    return [b"x"]


def bridged(**options: Any) -> Any:
    """The application, both its middlewares, and asgiref between them."""
    return asgi.Middleware(WsgiToAsgi(wsgi.Middleware(shop)), **options)


def scope(**more: Any) -> dict[str, Any]:
    """A scope with all that a bridge reads."""
    return scope_of(query_string=b"", http_version="1.1", **more)


@pytest.mark.parametrize("inbound", [[], [(b"x-request-id", b"r-1")]])
def test_a_wsgi_application_behind_asgi(inbound: list[Any]):
    """One request is one entry: one id on all its lines and in the response, one closing line."""
    with capture() as lines:
        sent = ask(bridged(), scope(headers=inbound), ASKED)
    closing = lines.one(event="request")
    assert ("success", 3) == (closing["outcome"], closing["rows"])
    assert [closing["request_id"].encode()] == header_of(sent)
    assert closing["request_id"] == lines.one(event="asked")["request_id"]
    assert closing["trace_id"] == lines.one(event="asked")["trace_id"]


def test_without_a_closing_line_outside():
    """It is the same request too if the outer middleware is to write no line."""
    with capture() as lines:
        sent = ask(bridged(event=None), scope(), ASKED)
    assert ["asked"] == [line["event"] for line in lines]
    assert [lines[0]["request_id"].encode()] == header_of(sent)


def test_behind_a_mount():
    """The path is the whole one at both doors."""
    with capture() as lines:
        ask(bridged(), scope(path="/mounted/a", root_path="/mounted"), ASKED)
    assert "/mounted/a" == lines.one(event="request")["url.path"]


def test_another_request_within():
    """A request that an application makes of another application is one of its own."""

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        wsgi.Middleware(shop)(environ_of(PATH_INFO="/other"), start)
        body: Any = wsgi.Middleware(shop)(environ_of(PATH_INFO="/other"), start)
        list(body)
        body.close()

    with capture() as lines:
        ask(asgi.Middleware(gateway), scope())
    inner = lines.where(event="request", **{"url.path": "/other"})
    assert 2 == len({line["request_id"] for line in inner})
    outer = lines.one(event="request", **{"url.path": "/a"})
    assert outer["request_id"] not in {line["request_id"] for line in inner}


def test_the_same_path_asked_by_what_a_request_left():
    """What a request started, and left running, asks on its own: its request has long ended."""
    left: list[contextvars.Context] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        left.append(contextvars.copy_context())

    with capture() as lines:
        ask(asgi.Middleware(app), scope())
        body: Any = left[0].run(wsgi.Middleware(shop), environ_of(), start)
        list(body)
        body.close()
    first, second = lines.where(event="request")
    assert first["request_id"] != second["request_id"]


def test_an_asgi_application_behind_wsgi():
    """The other way around, with a loop of its own for each request."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        log.info("asked")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    def bridge(environ: Any, start: Any) -> list[bytes]:
        sent = ask(asgi.Middleware(inner), scope(path=environ["PATH_INFO"]))
        headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        start("200 OK", headers)
        return [b"x"]

    told: list[Any] = []
    with capture() as lines:
        body: Any = wsgi.Middleware(bridge)(environ_of(), lambda *args: told.append(args))
        list(body)
        body.close()
    closing = lines.one(event="request")
    assert closing["request_id"] == lines.one(event="asked")["request_id"]
    assert [("x-request-id", closing["request_id"])] == told[0][1]


def test_a_scope_that_is_used_again():
    """Whoever asks again with the same scope, a retry, has an entry again."""
    asked = scope()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        log.info("asked")

    with capture() as lines:
        for _ in range(2):
            ask(asgi.Middleware(app), asked)
    assert 2 == len({line["request_id"] for line in lines.where(event="asked")})
    assert 2 == len(lines.where(event="request"))


def test_an_environ_that_is_used_again():
    """The same for WSGI, where a server may keep a part of it."""
    asked = environ_of()
    with capture() as lines:
        for _ in range(2):
            body: Any = wsgi.Middleware(shop)(asked, start)
            list(body)
            body.close()
    assert 2 == len({line["request_id"] for line in lines.where(event="asked")})


def test_a_scope_that_cannot_be_written():
    """The application gets it, and nothing stays open."""
    from types import MappingProxyType

    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(ctxlog.get_context())

    with capture() as lines:
        asyncio.run(asgi.Middleware(app)(MappingProxyType(scope()), None, None))  # type: ignore[arg-type]
    assert ([{}], []) == (seen, list(lines))
