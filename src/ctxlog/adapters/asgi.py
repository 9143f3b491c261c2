"""ASGI: a request's ids on all its lines, back in the response, and one closing line.

>>> async def app(scope, receive, send):
...     await send({"type": "http.response.start", "status": 200, "headers": []})
...     await send({"type": "http.response.body", "body": b"hello"})
>>> app = Middleware(app)
"""

from __future__ import annotations

from contextvars import copy_context
from types import coroutine
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.exchange import (
    CLOSE_CODE,
    DISCONNECTED,
    KEY,
    STATUS,
    Exchange,
    Options,
    ended_now,
    facts_of,
)
from ctxlog.carriers import for_entry
from ctxlog.counting import counters
from ctxlog.operations import CANCELLED, FAILED, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, MutableMapping
    from typing import Literal, TypeAlias

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Any]]
    Send: TypeAlias = Callable[[Any], Awaitable[None]]
    App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

NORMAL, NO_CODE, WENT = 1000, 1005, (1001, 1006)
FORBIDDEN = 403


class Middleware:
    """Make each request, and each WebSocket connection, an entry with one closing line.

    Put it around the whole application, so that the framework's own error handler is inside. What
    is neither (lifespan) passes through. One inside another does nothing.

    Args:
        app: the ASGI application.
        event: of the closing line; ``None``: write none.
        header: the response header that tells the client its request id; ``None``: tell nothing.
        fields: from the ASGI scope to more fields for all the request's lines.
        route: from the ASGI scope to the route's template, called after the application; usually
            that of Starlette and FastAPI is found.
        quiet: paths whose closing line is of level ``debug`` unless it failed, for health checks.
        trace: as of :class:`ctxlog.entry`.
        logger: the name that closing lines are written under.

    Raises:
        UsageError: an option of the wrong type.

    Example:
        >>> Middleware(print, quiet=["/healthz"])
        <ctxlog around <built-in function print>>
    """

    def __init__(  # noqa: PLR0913 - all but the first are options
        self,
        app: App,
        *,
        event: str | None = "request",
        header: str | None = "x-request-id",
        fields: Callable[[Scope], Mapping[str, object]] | None = None,
        route: Callable[[Scope], str | None] | None = None,
        quiet: Iterable[str] = (),
        trace: Literal["auto", "keep", "new"] = "auto",
        logger: str = "ctxlog.web",
    ) -> None:
        self.app = app
        self._options = Options(
            event=event,
            header=header,
            fields=fields,
            route=route or route_of,
            quiet=quiet,
            trace=trace,
            logger=logger,
        )
        self._header = None if header is None else header.lower().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for one connection's scope."""
        kind = scope.get("type")
        if kind not in ("http", "websocket") or KEY in scope:
            await self.app(scope, receive, send)
            return
        try:
            exchange = Exchange(
                self._options,
                for_entry(scope.get("headers") or ()),
                scope,
                facts_of(scope.get("method", "GET"), scope.get("path")),
            )
            make = _Request if kind == "http" else _Connection
            call = make(exchange, scope, receive, send, self._header)
            exchange.__enter__()
            scope[KEY] = exchange.taken
        except Exception:  # noqa: BLE001 - a scope as no server makes it: the application decides
            counters.add("errors.web")
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, call.receive, call.send)
        except BaseException as error:
            exchange.close(scope, call.outcome(error), error)
            raise
        exchange.close(scope, call.outcome(None), None)

    def __repr__(self) -> str:
        return f"<ctxlog around {self.app!r}>"


class _Request:
    """One HTTP request: what the application receives and sends."""

    __slots__ = ("_exchange", "_header", "_receive", "_run", "_send", "complete", "gone")

    def __init__(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, header: bytes | None
    ) -> None:
        self._exchange = exchange
        self._header = header
        self._receive = receive
        self._send = send
        self._run = copy_context().run
        self.complete = self.gone = False

    async def receive(self) -> Any:
        """Receive outside of the request's context: a server goes on reading in what it is called."""
        message = await _outside(self._run, self._receive)
        if not self.complete and message["type"] == "http.disconnect":
            self.gone = True
        return message

    async def send(self, message: Message) -> None:
        """Send; the head of the response in the request's context, for the server's access line."""
        kind = message["type"]
        if kind == "http.response.start":
            self._exchange.work.facts[STATUS] = message.get("status")
            if self._header is not None and self._exchange.request_id is not None:
                message = _with_header(message, self._header, self._exchange.request_id)
            last = False
            sent = self._send(message)
        else:
            last = kind in _BODIES and not message.get("more_body", False)
            self.complete = self.complete or last
            sent = _outside(self._run, self._send, message)
        try:
            await sent
        except OSError:  # the specification's word for a client that has left
            self.gone, self.complete = True, False
            raise
        if last:
            ended_now(self._exchange.work)

    def outcome(self, error: BaseException | None) -> str:
        """Return how it went, as far as the connection tells."""
        if isinstance(error, GeneratorExit) and not self.complete:
            return CANCELLED  # its task was thrown away
        if self.gone and (error is None or _of_leaving(error)):
            return DISCONNECTED
        if error is None and not self.complete:
            return FAILED  # the server says which: without starting, or without completing
        return SUCCESS


class _Connection:
    """One WebSocket connection."""

    __slots__ = ("_exchange", "_header", "_receive", "_send", "accepted")

    def __init__(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, header: bytes | None
    ) -> None:
        self._exchange = exchange
        self._header = header
        self._receive = receive
        self._send = send
        self.accepted = False

    async def receive(self) -> Any:
        """Receive, and remember how the client closed."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed(message.get("code", NO_CODE))
        return message

    async def send(self, message: Message) -> None:
        """Send, and remember how the application closed."""
        kind = message["type"]
        if kind in _ANSWERS:
            if kind == "websocket.accept":
                self._exchange.answered = self.accepted = True
            else:
                self._exchange.work.facts[STATUS] = message.get("status")
            if self._header is not None and self._exchange.request_id is not None:
                message = _with_header(message, self._header, self._exchange.request_id)
        elif kind == "websocket.close":
            if self.accepted:
                self._closed(message.get("code", NORMAL))
            else:  # the server refuses the handshake
                self._exchange.work.facts.setdefault(STATUS, FORBIDDEN)
        await self._send(message)

    def _closed(self, code: object) -> None:
        if type(code) is int:
            self._exchange.work.facts.setdefault(CLOSE_CODE, code)
        ended_now(self._exchange.work)

    def outcome(self, error: BaseException | None) -> str:
        """Return how it went, as far as the connection tells."""
        code = self._exchange.work.facts.get(CLOSE_CODE)
        if code in WENT and (error is None or _of_leaving(error)):
            return DISCONNECTED
        return SUCCESS


_BODIES = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
_ANSWERS = frozenset({"websocket.accept", "websocket.http.response.start"})


def _of_leaving(error: BaseException) -> bool:
    """Return whether this is what a client that has left gives: an OSError, a framework's own."""
    names = {kind.__name__ for kind in type(error).__mro__}
    leaving = {"ClientDisconnect", "WebSocketDisconnect", "CancelledError", "Cancelled"}
    return isinstance(error, OSError) or bool(names & leaving)


def _with_header(message: Message, name: bytes, value: str) -> Message:
    """Return the message with our header in place of one of that name; lists are left alone."""
    theirs = [*(message.get("headers") or ())]  # any iterable, also one that is read but once
    for pair in theirs:
        if pair[0].lower() == name:
            theirs = [other for other in theirs if other[0].lower() != name]
            break
    headers = [*theirs, (name, value.encode("ascii"))]
    return {**message, "headers": headers}


@coroutine
def _outside(
    run: Callable[..., Any], function: Callable[..., Awaitable[Any]], *args: Any
) -> Generator[Any, Any, Any]:
    """Await what ``function`` returns with each of its steps run by ``run``, in another context.

    A server that resumes reading, or starts the next request of a connection, does so in the
    context that it is called in, and keeps it.
    """
    steps: Any = run(function, *args).__await__()
    try:
        waiting = run(next, steps)
        while True:
            try:
                sent = yield waiting
            except GeneratorExit:
                run(steps.close)
                raise
            except BaseException as error:  # noqa: BLE001 - it is the callee's: cancellation above all
                waiting = run(steps.throw, error)
            else:
                waiting = run(steps.send, sent)
    except StopIteration as done:
        return done.value


def route_of(scope: Scope) -> str | None:
    """Return the template of the route that Starlette or FastAPI has chosen, ``None`` elsewhere.

    Example:
        >>> class Route:
        ...     path = "/orders/{order_id}"
        >>> route_of({"root_path": "/shop", "route": Route()})
        '/shop/orders/{order_id}'
        >>> route_of({}) is None
        True
    """
    route = scope.get("route")
    path = getattr(route, "path", None)
    if not isinstance(path, str):
        return None
    root = scope.get("root_path") or ""
    if hasattr(route, "routes"):  # a mount: its own path is in the root by now
        return root or "/"
    return f"{root.rstrip('/')}{path}"
