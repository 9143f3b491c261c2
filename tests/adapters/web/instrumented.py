"""A program for tests: an application that OpenTelemetry instruments too. It prints spans and lines."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ctxlog

log = ctxlog.get_logger("shop")


def handle() -> str:
    """The view."""
    log.info("handled")
    return "hello"


def by_flask(first: str, headers: dict[str, str]) -> None:
    """Ask an application of Flask."""
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    from ctxlog.adapters.flask import install

    app = flask.Flask("shop")
    app.get("/x")(handle)
    steps: list[Any] = [install, FlaskInstrumentor().instrument_app]
    for step in steps if first == "ours" else reversed(steps):
        step(app)
    app.test_client().get("/x", headers=headers).close()


def by_fastapi(first: str, headers: dict[str, str]) -> None:
    """Ask an application of FastAPI."""
    import fastapi
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    from ctxlog.adapters.starlette import install

    app = fastapi.FastAPI()
    app.get("/x")(handle)
    steps: list[Any] = [install, FastAPIInstrumentor.instrument_app]
    for step in steps if first == "ours" else reversed(steps):
        step(app)
    ask_asgi(app, headers)


def by_starlette(first: str, headers: dict[str, str]) -> None:
    """Ask an application of Starlette whose view fails: its answer comes from outside of all layers."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from starlette.applications import Starlette
    from starlette.routing import Route

    from ctxlog.adapters.starlette import install

    def view(_: Any) -> Any:
        raise LookupError(handle())

    app = Starlette(routes=[Route("/x", view)])
    if first == "ours":
        install(app)
    app.add_middleware(OpenTelemetryMiddleware)  # as its instrumentation does
    if first != "ours":
        install(app)
    with suppress(LookupError):
        ask_asgi(app, headers)


def ask_asgi(app: Any, headers: dict[str, str]) -> None:
    """Ask without a client of httpx's."""
    import asyncio

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/x", "raw_path": b"/x", "headers": raw,
             "query_string": b"", "scheme": "http", "http_version": "1.1",
             "server": ("shop", 80), "client": ("127.0.0.1", 1)}  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        """Take what the application sends."""

    asyncio.run(app(scope, receive, send))


def by_django(_: str, headers: dict[str, str]) -> None:
    """Ask an application of Django, whose middlewares have an order of their own."""
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse
    from django.urls import path
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from werkzeug.test import Client

    from ctxlog.adapters.wsgi import Middleware

    def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(handle().encode())

    settings.configure(
        ROOT_URLCONF=(path("x", view),),
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["ctxlog.adapters.django.Middleware"],
        LOGGING_CONFIG=None,
    )
    DjangoInstrumentor().instrument()
    django.setup()
    application: Any = get_wsgi_application()
    Client(Middleware(application)).get("/x", headers=headers).close()


def main(by: str, first: str, inbound: str) -> None:
    """Ask once; print the server's spans and all lines."""
    exporter, out = InMemorySpanExporter(), io.StringIO()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    ctxlog.configure(stream=out, renderer="json")
    headers = {"x-request-id": "r-1"}
    if inbound:
        headers["traceparent"] = inbound
    {"flask": by_flask, "fastapi": by_fastapi, "django": by_django, "starlette": by_starlette}[by](
        first, headers
    )
    ended: list[Any] = [*exporter.get_finished_spans()]
    spans = [
        {
            "kind": span.kind.name,
            "trace_id": f"{span.context.trace_id:032x}",
            "span_id": f"{span.context.span_id:016x}",
            "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        }
        for span in ended
        if span.name in {"GET /x", "GET x"}
    ]
    sys.stdout.write(
        json.dumps([spans, [json.loads(line) for line in out.getvalue().splitlines()]])
    )


main(*sys.argv[1:])
