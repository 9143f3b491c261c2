"""Starlette and FastAPI: the ASGI middleware where their handler of errors is inside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ctxlog.adapters.asgi import Middleware
from ctxlog.adapters.exchange import spanned
from ctxlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

App = TypeVar("App")


def install(app: App, **options: Any) -> App:
    """Put :class:`ctxlog.adapters.asgi.Middleware` around everything the application does.

    ``app.add_middleware(Middleware)`` would leave out the handler of status 500, which stands
    outside of all middleware: its lines would have no ids, its response no header.

    Args:
        app: a ``Starlette`` or ``FastAPI`` application that has not begun to serve.
        options: of the middleware.

    Returns:
        the same application.

    Raises:
        UsageError: it is no such application, it serves already, or an option is wrong.

    Example:
        >>> from starlette.applications import Starlette
        >>> app = install(Starlette(), quiet=["/healthz"])
    """
    known: Any = app
    build: Callable[[], Any] | None = getattr(known, "build_middleware_stack", None)
    if build is None or not hasattr(known, "middleware_stack"):
        kind = type(app).__name__
        raise UsageError(
            f"install() takes a Starlette or FastAPI application, not {kind};"
            " wrap any other: app = ctxlog.adapters.asgi.Middleware(app)"
        )
    if known.middleware_stack is not None:
        raise UsageError("install() comes before the application's first request")
    around: Any = Middleware(known, **options)  # a wrong option is an error here

    def built() -> Any:
        around.app = build()
        _note_spans(around.app)
        if known.build_middleware_stack is built:
            return around
        # OpenTelemetry's FastAPI instrumentation came later: it looks for this layer, and without
        # it instruments nothing
        from starlette.middleware.errors import ServerErrorMiddleware

        return ServerErrorMiddleware(around)

    known.build_middleware_stack = built
    return app


def _note_spans(layer: Any) -> None:
    """Have OpenTelemetry's span noted where it begins: after an exception the response is outside."""
    while layer is not None:
        if type(layer).__module__.startswith("opentelemetry."):
            layer.app = _noting(layer.app)
            return
        layer = getattr(layer, "app", None)


def _noting(app: Any) -> Any:
    async def noting(scope: Any, receive: Any, send: Any) -> None:
        spanned()
        await app(scope, receive, send)

    return noting
