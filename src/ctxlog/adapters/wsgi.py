"""WSGI: a request's ids on all its lines, back in the response, and one closing line.

>>> def app(environ, start_response):
...     start_response("200 OK", [])
...     return [b"hello"]
>>> app = Middleware(app)
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.around import Around
from ctxlog.adapters.exchange import (
    DISCONNECTED,
    KEY,
    METHOD,
    STATUS,
    Exchange,
    ended_now,
    facts_of,
    under_way,
)
from ctxlog.carriers import extract
from ctxlog.context.fields import CURRENT
from ctxlog.context.raised import remember
from ctxlog.counting import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Context
    from typing import TypeAlias

    Environ: TypeAlias = dict[str, Any]
    Start: TypeAlias = Callable[..., Any]
    App: TypeAlias = Callable[[Any, Any], Iterable[bytes]]

_NO_BODY = (204, 304)


class Middleware(Around["App", "Environ"]):
    """Make each request an entry with one closing line, written when the server closes the body.

    The application, every step of its body and the body's ``close`` run in one context of their
    own; nothing of it is left in the server's thread. One inside another does nothing.

    Example:
        >>> Middleware(print, quiet=["/healthz"])
        <ctxlog around <built-in function print>>
    """

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Run the application for one request."""
        context = copy_context()
        try:
            facts = facts_of(environ.get("REQUEST_METHOD"), _path(environ))
            exchange = None
            around = KEY in environ or CURRENT.get().parent
            if not (around and under_way(environ, facts, _Exchange.door)):
                exchange = _Exchange(self._options, extract(_headers(environ)), environ, facts)
                context.run(exchange.__enter__)
        except Exception:  # noqa: BLE001 - an environ as no server makes it: the application decides
            counters.add("errors.web")
            exchange = None
        if exchange is None:
            return self.app(environ, start_response)
        environ[KEY] = exchange.taken
        request = _Request(exchange, context, environ)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            request.started(status)
            name = self._options.header
            if name is not None and exchange.request_id is not None:
                headers = [pair for pair in headers if pair[0].lower() != name]
                headers.append((name, exchange.request_id))
            return start_response(status, headers, *error)

        try:
            body = context.run(self.app, environ, start)
        except BaseException as error:
            request.close(error)
            raise
        return request.carry(body)

    @staticmethod
    def _route_of(asked: Any) -> str | None:
        return route_of(asked)


class _Exchange(Exchange):
    __slots__ = ()

    door = "wsgi"


class _Request:
    """One request: its exchange, and the context that all of it runs in."""

    __slots__ = ("_closed", "_environ", "_exchange", "context")

    def __init__(self, exchange: Exchange, context: Context, environ: Environ) -> None:
        self._exchange = exchange
        self._environ = environ
        self._closed = False
        self.context = context

    def started(self, status: str) -> None:
        """The application has said the status."""
        code = status[:3]
        if code.isdecimal():
            self._exchange.work.facts[STATUS] = int(code)
        if self._exchange.instrumented:
            self._exchange.note_span()
        self._exchange.find_route(self._environ)  # Flask forgets it before the body is sent

    def carry(self, body: Any) -> Iterable[bytes]:
        """Return the body with its steps in the request's context."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            try:  # a server sends a file its own way if it gets its own wrapper back
                file: Any = body
                file.close = _Closing(self, getattr(body, "close", None))
            except AttributeError:  # one in C has no room for another close
                pass
            else:
                return file  # type: ignore[no-any-return]
        if isinstance(body, list | tuple):
            return _Sized(self, body)
        return _Body(self, body)

    def finished(self) -> None:
        """The last piece of the body has been handed to the server."""
        ended_now(self._exchange.work)

    def bodiless(self) -> bool:
        """Return whether a server need not ask for the body."""
        facts = self._exchange.work.facts
        return facts.get(METHOD) == "HEAD" or facts.get(STATUS) in _NO_BODY

    def close(self, error: BaseException | None, outcome: str | None = None) -> None:
        """Write the closing line, once."""
        if not self._closed:
            self._closed = True
            self.context.run(self._exchange.close, self._environ, outcome, error)

    def remember(self, error: BaseException) -> None:
        """Put the request's fields on an exception, for the server's own line."""
        remember(error, self._exchange.taken.fields)


class _Body:
    """A body that is consumed outside, each step of it inside the request's context."""

    __slots__ = ("__weakref__", "_body", "_ended", "_error", "_request", "_run", "_steps")

    def __init__(self, request: _Request, body: Any) -> None:
        self._request = request
        self._run = request.context.run
        self._body = body
        self._steps: Iterator[bytes] | None = None
        self._ended = False
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._steps is None:
                self._steps = self._run(iter, self._body)
            return self._run(next, self._steps)  # type: ignore[no-any-return]
        except StopIteration:
            if not self._ended:
                self._ended = True
                self._request.finished()
            raise
        except BaseException as error:
            self._error = error
            self._request.remember(error)
            raise

    def close(self) -> None:
        """Close the application's body, then the exchange."""
        error, self._error = self._error, None
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._run(close)
        except BaseException as failed:
            error = error or failed
            raise
        finally:
            whole = self._ended or error is not None or self._request.bodiless()
            self._request.close(error, None if whole else DISCONNECTED)
            error = None  # it holds this frame


class _Sized(_Body):
    """A body in pieces that are all there: a server may ask how many."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)


class _Closing:
    """The close of a server's own file wrapper, with the exchange's behind it."""

    __slots__ = ("_close", "_request")

    def __init__(self, request: _Request, close: Callable[[], object] | None) -> None:
        self._request = request
        self._close = close

    def __call__(self) -> None:
        close, self._close = self._close, None  # a method of the file, which holds this
        try:
            if close is not None:
                self._request.context.run(close)
        finally:
            self._request.finished()
            self._request.close(None)


def _headers(environ: Environ) -> list[tuple[str, Any]]:
    return [
        (name[5:].replace("_", "-"), value)
        for name, value in environ.items()
        if type(name) is str and name.startswith("HTTP_")
    ]


def _path(environ: Environ) -> str:
    path = f"{environ.get('SCRIPT_NAME') or ''}{environ.get('PATH_INFO') or ''}"
    if path.isascii():
        return path
    return path.encode("latin-1", "replace").decode("utf-8", "replace")  # PEP 3333's way with bytes


def route_of(environ: Environ) -> str | None:
    """Return the template of the route that Flask has chosen, ``None`` elsewhere.

    Example:
        >>> route_of({}) is None
        True
    """
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    path = getattr(rule, "rule", None)
    if not isinstance(path, str):
        return None
    return f"{(environ.get('SCRIPT_NAME') or '').rstrip('/')}{path}"
