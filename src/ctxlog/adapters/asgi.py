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

from ctxlog.adapters.around import Around
from ctxlog.adapters.exchange import (
    CLOSE_CODE,
    DISCONNECTED,
    KEY,
    STATUS,
    Exchange,
    ended_now,
    facts_of,
    under_way,
)
from ctxlog.carriers import for_entry
from ctxlog.context.fields import CURRENT
from ctxlog.context.raised import leaves
from ctxlog.counting import counters
from ctxlog.operations import FAILED, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, MutableMapping
    from typing import TypeAlias

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Any]]
    Send: TypeAlias = Callable[[Any], Awaitable[None]]
    App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

NORMAL, NO_CODE, VANISHED = 1000, 1005, 1006
WENT = (1001, VANISHED)
FORBIDDEN = 403


class Middleware(Around["App", "Scope"]):
    """Make each request, and each WebSocket connection, an entry with one closing line.

    Put it around the whole application, so that the framework's own error handler is inside. What
    is neither (lifespan) passes through. One inside another does nothing.

    Example:
        >>> Middleware(print, quiet=["/healthz"])
        <ctxlog around <built-in function print>>
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for one connection's scope."""
        call = self._begin(scope, receive, send)
        if call is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, call.receive, call.send)
        except BaseException as error:
            call.exchange.close(scope, call.outcome(error), error)
            raise
        call.exchange.close(scope, call.outcome(None), None)

    def _begin(self, scope: Scope, receive: Receive, send: Send) -> _Request | _Connection | None:
        """Open an entry here; ``None``: this is none of its own."""
        try:
            make = _KINDS.get(scope["type"])
            if make is None:
                return None
            facts = facts_of(scope.get("method", "GET"), scope.get("path"))
            if (KEY in scope or CURRENT.get().parent) and under_way(scope, facts, _Exchange.door):
                return None
            headers = scope.get("headers") or ()
            if not isinstance(
                headers, list | tuple
            ):  # any iterable, also one that is read but once
                headers = scope["headers"] = list(headers)
            taken = for_entry(headers)
            exchange = _Exchange(self._options, taken, scope, facts)
            call = make(exchange, receive, send, self._options.header_bytes)
            scope[KEY] = None  # fails before anything is open, if it does
            exchange.__enter__()
            scope[KEY] = exchange.taken
        except Exception:  # noqa: BLE001 - a scope as no server makes it: the application decides
            counters.add("errors.web")
            return None
        return call

    @staticmethod
    def _route_of(asked: Any) -> str | None:
        return route_of(asked)


class _Exchange(Exchange):
    __slots__ = ()

    door = "asgi"


class _Request:
    """One HTTP request: what the application receives and sends."""

    __slots__ = ("_header", "_receive", "_run", "_send", "complete", "exchange", "gone")

    def __init__(
        self, exchange: Exchange, receive: Receive, send: Send, header: bytes | None
    ) -> None:
        self.exchange = exchange
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
            self.exchange.work.facts[STATUS] = message.get("status")
            if self.exchange.instrumented:
                self.exchange.note_span()
            if self._header is not None and self.exchange.request_id is not None:
                message = _with_header(message, self._header, self.exchange.request_id)
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
            ended_now(self.exchange.work)

    def outcome(self, error: BaseException | None) -> str | None:
        """Return how it went, as far as the connection tells."""
        if self.gone and (error is None or _of_leaving(error)):
            return DISCONNECTED
        if error is None and not self.complete:
            return FAILED  # the server says which: without starting, or without completing
        return None


class _Connection:
    """One WebSocket connection."""

    __slots__ = ("_header", "_receive", "_send", "accepted", "exchange", "left")

    def __init__(
        self, exchange: Exchange, receive: Receive, send: Send, header: bytes | None
    ) -> None:
        self.exchange = exchange
        self._header = header
        self._receive = receive
        self._send = send
        self.accepted = self.left = False

    async def receive(self) -> Any:
        """Receive, and remember how the client closed."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._left(message.get("code", NO_CODE))
        return message

    async def send(self, message: Message) -> None:
        """Send, and remember how the application closed."""
        kind = message["type"]
        if kind in _ANSWERS:
            if self.exchange.instrumented:
                self.exchange.note_span()
            if kind == "websocket.accept":
                self.exchange.answered = self.accepted = True
            else:
                self.exchange.work.facts[STATUS] = message.get("status")
            if self._header is not None and self.exchange.request_id is not None:
                message = _with_header(message, self._header, self.exchange.request_id)
        elif kind == "websocket.close":
            if self.accepted:
                self._closed(message.get("code", NORMAL))
            else:  # the server refuses the handshake
                self.exchange.work.facts.setdefault(STATUS, FORBIDDEN)
        try:
            await self._send(message)
        except OSError:  # the specification's word for a client that has left
            self._left(VANISHED)
            raise

    def _left(self, code: object) -> None:
        self.left = CLOSE_CODE not in self.exchange.work.facts
        self._closed(code)

    def _closed(self, code: object) -> None:
        if type(code) is int:
            self.exchange.work.facts.setdefault(CLOSE_CODE, code)
        ended_now(self.exchange.work)

    def outcome(self, error: BaseException | None) -> str | None:
        """Return how it went, as far as the connection tells."""
        facts = self.exchange.work.facts
        if self.left and (error is None or _of_leaving(error)):
            return DISCONNECTED if facts.get(CLOSE_CODE) in WENT else SUCCESS
        if error is None and not self.accepted and STATUS not in facts:
            return FAILED  # the handshake was never answered: the server does it
        return None


_KINDS: dict[str, Callable[..., _Request | _Connection]] = {
    "http": _Request,
    "websocket": _Connection,
}
_BODIES = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
_ANSWERS = frozenset({"websocket.accept", "websocket.http.response.start"})


def _of_leaving(error: BaseException) -> bool:
    """Return whether this is what a client that has left gives: an OSError, a framework's own."""
    return all(
        isinstance(one, OSError | GeneratorExit)
        or not _LEAVING.isdisjoint(kind.__name__ for kind in type(one).__mro__)
        for one in leaves(error)
    )


_LEAVING = frozenset({"ClientDisconnect", "WebSocketDisconnect", "CancelledError", "Cancelled"})


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
                close = getattr(steps, "close", None)
                if close is not None:
                    run(close)
                raise
            except BaseException as error:  # it is the callee's: cancellation above all
                throw = getattr(steps, "throw", None)
                if throw is None:
                    raise
                waiting = run(throw, error)
            else:  # as await does: an iterator need not have a send
                waiting = run(next, steps) if sent is None else run(steps.send, sent)
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
