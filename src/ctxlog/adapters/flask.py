"""Flask: the WSGI middleware, told also of exceptions that Flask turns into a response."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import got_request_exception

from ctxlog.adapters.exchange import failed
from ctxlog.adapters.wsgi import Middleware
from ctxlog.errors import UsageError

App = TypeVar("App")


def install(app: App, **options: Any) -> App:
    """Put :class:`ctxlog.adapters.wsgi.Middleware` around a Flask application.

    Args:
        app: a ``flask.Flask``.
        options: of the middleware.

    Returns:
        the same application.

    Raises:
        UsageError: it is no Flask application, or an option is wrong.

    Example:
        >>> import flask
        >>> app = install(flask.Flask("shop"), quiet=["/healthz"])
    """
    known: Any = app
    if not hasattr(known, "wsgi_app"):
        raise UsageError(f"install() takes a Flask application, not {type(app).__name__}")
    known.wsgi_app = Middleware(known.wsgi_app, **options)
    got_request_exception.connect(_failed, known)
    return app


def _failed(_: object, *, exception: BaseException, **__: object) -> None:
    failed(exception)
