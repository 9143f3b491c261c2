"""Django's test client: it comes in by neither wsgi.py nor asgi.py."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import asyncio, logging, sys, types
import django, ctxlog
from ctxlog.adapters.asgi import Middleware as Asgi
from ctxlog.adapters.wsgi import Middleware as Wsgi
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def sync(request):
    logging.getLogger("shop").info("sync", extra={"ids": len(ctxlog.get_context())})
    return HttpResponse("x")

async def coroutine(request):
    logging.getLogger("shop").info("coroutine")
    return HttpResponse("x")

sys.modules["urls"] = urls = types.ModuleType("urls")
urls.urlpatterns = [path("sync", sync), path("coroutine", coroutine)]
settings.configure(
    ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None,
    MIDDLEWARE=["ctxlog.adapters.django.Middleware", "django.middleware.common.CommonMiddleware"],
)
django.setup(set_prefix=False)
ctxlog.configure(renderer="json")
from django.test import AsyncClient, Client

def ask(url, **headers):
    Client().get(url, headers=headers)
    assert not ctxlog.get_context(), ctxlog.get_context()

async def aask(url, **headers):
    await AsyncClient().get(url, headers=headers)
    assert not ctxlog.get_context(), ctxlog.get_context()
"""


def lines(code: str) -> list[dict[str, Any]]:
    """Return what is logged by some requests of the test client's."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + code], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("way", ["ask({url!r}, {header})", "asyncio.run(aask({url!r}, {header}))"])
@pytest.mark.parametrize("url", ["/sync", "/coroutine"])
def test_a_request_of_the_test_clients_is_an_entry(way: str, url: str):
    """Each has an id of its own, or the one that it was sent; and leaves nothing."""
    code = "\n".join(
        way.format(url=url, header=header) for header in ("", "**{'X-Request-ID': 'r-1'}", "")
    )
    first, second, third = lines(code)
    assert "r-1" == second["request_id"]
    assert 3 == len({line["request_id"] for line in (first, second, third)})
    assert 3 == len({line["trace_id"] for line in (first, second, third)})


def test_what_is_around_stays():
    """Whoever has opened an entry around the client's call means that one."""
    (line,) = lines("with ctxlog.entry({'x-request-id': 'r-2'}): Client().get('/sync')")
    assert "r-2" == line["request_id"]


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_under_the_middleware_nothing_is_added(protocol: str):
    """The entry of ``wsgi.py`` or ``asgi.py`` is the request's, with one closing line."""
    wsgi = """
from django.core.wsgi import get_wsgi_application
import wsgiref.util
environ = {"PATH_INFO": "/sync", "HTTP_X_REQUEST_ID": "r-3"}
wsgiref.util.setup_testing_defaults(environ)
body = Wsgi(get_wsgi_application())(environ, lambda *_: None)
b"".join(body)
body.close()
"""
    asgi = """
from django.core.asgi import get_asgi_application
scope = {"type": "http", "method": "GET", "path": "/sync", "query_string": b"",
         "headers": [(b"x-request-id", b"r-3"), (b"host", b"shop")]}
async def receive():
    if left: return left.pop()
    await asyncio.Event().wait()
async def send(message): pass
left = [{"type": "http.request", "body": b""}]
asyncio.run(Asgi(get_asgi_application())(scope, receive, send))
"""
    view, closing = lines({"wsgi": wsgi, "asgi": asgi}[protocol])
    assert ["r-3", "r-3"] == [view["request_id"], closing["request_id"]]
    assert view["span_id"] == closing["span_id"]
    assert ("request", "/sync") == (closing["event"], closing["http.route"])
