"""Around: what is put around an application of the web. The options that both middlewares take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ctxlog.entries import AUTO, KEEP, NEW
from ctxlog.errors import UsageError, choices
from ctxlog.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal, Never

_TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

OPTIONS = ("event", "header", "fields", "route", "quiet", "trace", "logger")

App = TypeVar("App")
Asked = TypeVar("Asked")


class Options:
    """What both middlewares take, checked once."""

    __slots__ = ("event", "fields", "header", "header_bytes", "log", "quiet", "route", "trace")

    def __init__(  # noqa: PLR0913 - all of them are options
        self,
        *,
        event: str | None,
        header: str | None,
        fields: Callable[[Any], Mapping[str, object]] | None,
        route: Callable[[Any], str | None],
        quiet: Iterable[str],
        trace: Literal["auto", "keep", "new"],
        logger: str,
    ) -> None:
        if trace not in (AUTO, KEEP, NEW):
            raise choices("trace", trace, (AUTO, KEEP, NEW))
        if header is not None and (type(header) is not str or not header or header.strip(_TCHAR)):
            raise UsageError(f"header takes the name of an HTTP header or None, not {header!r}")
        for name, function in (("fields", fields), ("route", route)):
            if function is not None and not callable(function):
                raise UsageError(f"{name} takes a function of the request")
        for name, text in (("event", event), ("logger", logger)):
            if not isinstance(text, str) and (name, text) != ("event", None):
                raise UsageError(f"{name} is text, not {type(text).__name__}")
        self.event = event
        self.header = header.lower() if header is not None else None
        self.header_bytes = None if self.header is None else self.header.encode("ascii")
        self.fields = fields
        self.route = route
        self.quiet = _paths(quiet)
        self.trace: Literal["auto", "keep", "new"] = trace
        self.log = get_logger(logger)


def _paths(given: Iterable[str]) -> frozenset[str]:
    if isinstance(given, str | bytes):
        raise UsageError(f"quiet takes a collection of paths, such as [{given!r}]")
    try:
        paths = frozenset(given)
    except TypeError:
        paths = None
    if paths is None or not all(isinstance(path, str) for path in paths):
        raise UsageError('quiet takes a collection of paths, such as ["/healthz"]')
    return paths


class Around(Generic[App, Asked]):
    """An application and the options of what is around it."""

    app: App

    def __init__(  # noqa: PLR0913 - all but the first are options
        self,
        app: App,
        *,
        event: str | None = "request",
        header: str | None = "x-request-id",
        fields: Callable[[Asked], Mapping[str, object]] | None = None,
        route: Callable[[Asked], str | None] | None = None,
        quiet: Iterable[str] = (),
        trace: Literal["auto", "keep", "new"] = "auto",
        logger: str = "ctxlog.web",
        **unknown: Never,
    ) -> None:
        """Put it around an application.

        Args:
            app: the application.
            event: of the closing line; ``None``: write none.
            header: the response header that tells the client its request id; ``None``: tell nothing.
            fields: from the request (the ASGI scope, the WSGI environ) to more fields for all its
                lines.
            route: from the request to the route's template; that of well-known frameworks is found
                without. ASGI asks it after the application, WSGI when the response starts.
            quiet: paths whose closing line is of level ``debug`` unless it failed, for health checks.
            trace: as of :class:`ctxlog.entry`.
            logger: the name that closing lines are written under.
            unknown: none: a wrong name is answered with the right ones.

        Raises:
            UsageError: an unknown option, or one of the wrong type.
        """
        for name in unknown:
            raise choices("option", name, OPTIONS)
        if not callable(app):
            raise UsageError(f"Middleware takes an application, not {type(app).__name__}")
        self.app = app
        self._options = Options(
            event=event,
            header=header,
            fields=fields,
            route=self._route_of if route is None else route,
            quiet=quiet,
            trace=trace,
            logger=logger,
        )

    @staticmethod
    def _route_of(asked: Any) -> str | None:
        """Return the template of the route that a framework has chosen, if that is known."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<ctxlog around {self.app!r}>"
