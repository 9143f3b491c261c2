"""Django: what only Django knows of a request, for the closing line of the middleware around it.

The entry is opened by :class:`ctxlog.adapters.wsgi.Middleware` or the ASGI one, around
``get_wsgi_application()``; this goes into ``MIDDLEWARE``, anywhere. Django's test client comes in
by neither: then it is opened here, without a closing line.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from ctxlog.adapters.exchange import KEY, failed, routed, spanned
from ctxlog.carriers import extract
from ctxlog.context.fields import CURRENT
from ctxlog.entries import entry
from ctxlog.names import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Middleware:
    """Tell the closing line the route's template, and the exception that a view has raised."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)  # pyright: ignore[reportDeprecated] - inspect's does not know what is marked, before 3.12
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        if self._is_async:
            return self._answer(request)
        with _unless_around(request):
            response = self.get_response(request)
        _tell_route(request)
        return response

    async def _answer(self, request: Any) -> Any:
        with _unless_around(request):
            response = await self.get_response(request)
        _tell_route(request)
        return response

    def process_exception(self, request: Any, exception: BaseException) -> None:
        """Take note of what a view has raised."""
        failed(exception)


def _unless_around(request: Any) -> AbstractContextManager[object]:
    """Return an entry for a request that none was opened for."""
    place = getattr(request, "scope", request.META)
    if KEY in place or REQUEST_ID in CURRENT.get().fields.values:
        return nullcontext()
    return entry(extract(request.META, kind="wsgi"))


def _tell_route(request: Any) -> None:
    spanned()  # OpenTelemetry's middleware ends its span before the response starts
    path = getattr(getattr(request, "resolver_match", None), "route", None)
    if isinstance(path, str):
        routed(path if path.startswith(("/", "^")) else f"/{path}")
