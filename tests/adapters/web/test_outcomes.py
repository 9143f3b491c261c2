"""How a request went: what leaves an application, and who left first, say the same at both doors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocket, WebSocketDisconnect

from ctxlog.adapters import asgi, wsgi
from ctxlog.testing import capture
from tests.adapters.web.test_middleware import (
    END,
    START,
    ask,
    deaf,
    environ_of,
    never,
    scope_of,
    start,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

SOCKET = {"type": "websocket", "path": "/ws", "headers": []}


class GreenletExit(BaseException):
    """As gevent's: what kills a greenlet."""


def by_asgi(error: BaseException) -> None:
    """An ASGI application that raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    call: Any = asgi.Middleware(app)(scope_of(), never, deaf)
    call.send(None)


def by_wsgi(error: BaseException) -> None:
    """A WSGI application that raises when it is called."""

    def app(environ: Any, start: Any) -> list[bytes]:
        raise error

    wsgi.Middleware(app)(environ_of(), start)


def by_step(error: BaseException) -> None:
    """A WSGI application that raises in a step of its body."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            raise error

    def app(environ: Any, start: Any) -> Any:
        return Body()

    consume(wsgi.Middleware(app)(environ_of(), start))


def by_close(error: BaseException) -> None:
    """A WSGI application that raises when its body is closed."""

    class Body(list[bytes]):
        def close(self) -> None:
            """Fail."""
            raise error

    def app(environ: Any, start: Any) -> Any:
        return Body([b"x"])

    consume(wsgi.Middleware(app)(environ_of(), start))


def consume(body: Any) -> None:
    """Take all of a body, as a server does."""
    try:
        for _ in body:
            pass
    finally:
        body.close()


@pytest.mark.parametrize("raising", [by_asgi, by_wsgi, by_step, by_close])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (GeneratorExit(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (GreenletExit(), "cancelled"),
        (SystemExit(), "cancelled"),
        (SystemExit(3), "error"),
        (KeyboardInterrupt(), "error"),
        (BaseExceptionGroup("all", [asyncio.CancelledError(), GeneratorExit()]), "cancelled"),
        (BaseExceptionGroup("some", [asyncio.CancelledError(), LookupError()]), "error"),
        (StopAsyncIteration(), "error"),
    ],
    ids=repr,
)
def test_what_leaves_an_application(
    raising: Callable[[BaseException], None], error: BaseException, outcome: str
):
    """What stops a request from outside is ``cancelled``; anything else is an error with its name."""
    with capture() as lines:
        with pytest.raises(BaseException) as raised:
            raising(error)
        assert error is raised.value
    (line,) = lines.where(event="request")
    assert (outcome, "info" if outcome == "cancelled" else "error") == (
        line["outcome"],
        line["level"],
    )
    assert ("error" == outcome) == ("exception.type" in line)


def test_an_iterator_that_is_empty():
    """``next`` of nothing, where a WSGI application is called, is a mistake of its own."""
    with capture() as lines, pytest.raises(StopIteration):
        by_wsgi(StopIteration())
    assert ("error", 500) == (lines[0]["outcome"], lines[0]["http.response.status_code"])


def test_a_generator_whose_client_leaves():
    """One that is closed at a step ends in ``disconnected``: the server has said no more."""

    def app(environ: Any, start: Any) -> Generator[bytes]:
        start("200 OK", [])
        yield b"x"
        yield b"x"

    with capture() as lines:
        body: Any = wsgi.Middleware(app)(environ_of(), start)
        next(body)
        body.close()
    assert ("disconnected", "info") == (lines[0]["outcome"], lines[0]["level"])


def test_a_task_thrown_away_after_its_response():
    """A background task that is thrown away is cancelled, as one that is cancelled is."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(END)
        await asyncio.sleep(60)

    def throw_away(call: Any) -> None:
        call.close()

    def cancel(call: Any) -> None:
        with pytest.raises(asyncio.CancelledError):
            call.throw(asyncio.CancelledError())

    async def main(end: Any) -> None:
        call: Any = asgi.Middleware(app)(scope_of(), never, deaf)
        call.send(None)
        end(call)

    with capture() as lines:
        asyncio.run(main(throw_away))
        asyncio.run(main(cancel))
    assert [("cancelled", 200)] * 2 == [
        (line["outcome"], line["http.response.status_code"]) for line in lines
    ]


def test_a_group_of_clients_that_left():
    """Leaving, raised in a task group, is leaving."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ExceptionGroup("in a group", [ExceptionGroup("in it", [ClientDisconnect()])])

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ExceptionGroup("in a group", [ClientDisconnect(), LookupError()])

    with capture() as lines:
        for each in (app, failing):
            with pytest.raises(ExceptionGroup):
                ask(asgi.Middleware(each))
    assert ["disconnected", "error"] == [line["outcome"] for line in lines]


def test_a_failure_after_the_client_left():
    """A status of 500 is an error, though nobody was there to read it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({**START, "status": 503})
        await send(END)

    def plain(environ: Any, start: Any) -> Iterator[bytes]:
        start("503 Service Unavailable", [])
        yield b"x"
        yield b"x"

    with capture() as lines:
        ask(asgi.Middleware(app))
        body: Any = wsgi.Middleware(plain)(environ_of(), start)
        next(body)
        body.close()
    assert [("error", "error", 503)] * 2 == [
        (line["outcome"], line["level"], line["http.response.status_code"]) for line in lines
    ]


# ---- WebSocket -----------------------------------------------------------------------------------


async def listens(scope: Any, receive: Any, send: Any) -> None:
    """What FastAPI's tutorial does: read until the client has gone, which raises."""
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    while True:
        await socket.receive_text()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(1000, "success"), (1005, "success"), (4000, "success"), (1001, "disconnected"),
     (1006, "disconnected")],
)  # fmt: skip
def test_a_client_that_closes(code: int, outcome: str):
    """An endpoint that does not catch it has not failed."""
    closed = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": code}]
    with capture() as lines, pytest.raises(WebSocketDisconnect):
        ask(asgi.Middleware(listens), dict(SOCKET), closed)
    assert (outcome, "info", code) == (
        lines[0]["outcome"],
        lines[0]["level"],
        lines[0]["websocket.close_code"],
    )
    assert "exception.type" not in lines[0]


def test_a_client_that_is_gone_when_it_is_sent_to():
    """What a server raises then is leaving: with the code of a connection that broke."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x"})

    async def refuse(message: Any) -> None:
        if message["type"] == "websocket.send":
            raise BrokenPipeError

    with capture() as lines, pytest.raises(BrokenPipeError):
        asyncio.run(asgi.Middleware(app)(dict(SOCKET), never, refuse))
    assert ("disconnected", 1006) == (lines[0]["outcome"], lines[0]["websocket.close_code"])


def test_a_server_that_goes_away():
    """An application that closes with 1001 itself was not left by its client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1001})

    with capture() as lines:
        ask(asgi.Middleware(app), dict(SOCKET))
    assert ("success", 1001) == (lines[0]["outcome"], lines[0]["websocket.close_code"])


def test_leaving_that_is_not_the_clients():
    """The same exception, when the application has closed, is the application's own mistake."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        raise WebSocketDisconnect(1000)

    with capture() as lines, pytest.raises(WebSocketDisconnect):
        ask(asgi.Middleware(app), dict(SOCKET))
    assert "error" == lines[0]["outcome"]


def test_a_handshake_that_is_not_answered():
    """An application that returns without a word has failed: the server answers with 500."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        return

    async def told(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    gone = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}]
    with capture() as lines:
        ask(asgi.Middleware(silent), dict(SOCKET))
        ask(asgi.Middleware(told), dict(SOCKET), gone)
    assert [("error", 500), ("disconnected", None)] == [
        (line["outcome"], line.get("http.response.status_code")) for line in lines
    ]


def test_a_connection_thrown_away():
    """A coroutine thrown away while the connection is open is cancelled, not a success."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.sleep(60)

    async def main() -> None:
        call: Any = asgi.Middleware(app)(dict(SOCKET), never, deaf)
        call.send(None)
        call.close()

    with capture() as lines:
        asyncio.run(main())
    assert ("cancelled", "info") == (lines[0]["outcome"], lines[0]["level"])


# ---- what is kept --------------------------------------------------------------------------------


def test_an_exception_is_let_go():
    """With its request closed, nothing of ours holds an exception, and what its frames hold."""
    command = [sys.executable, "-m", "tests.adapters.web.letting_go"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "asgi yes\nwsgi yes\n" == done.stdout
