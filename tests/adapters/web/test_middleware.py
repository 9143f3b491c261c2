"""The middlewares themselves, without a server around: options, and the edges of both protocols."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import weakref
from contextvars import ContextVar, copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ctxlog
from ctxlog import errors
from ctxlog.adapters import asgi, exchange, wsgi
from ctxlog.operations import Work
from ctxlog.testing import capture
from tests.kit import configured

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

log = ctxlog.get_logger("tests.web")
START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"ok"}


def scope_of(**more: Any) -> dict[str, Any]:
    """An ASGI scope."""
    return {"type": "http", "method": "GET", "path": "/a", "headers": [], **more}


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """A small application."""
    log.info("asked")
    await send(START)
    await send(END)


def ask(app: Any, scope: dict[str, Any] | None = None, received: Any = ()) -> list[dict[str, Any]]:
    """Run an ASGI application for one scope; return what it sent."""
    sent: list[dict[str, Any]] = []
    messages = iter(received)

    async def receive() -> Any:
        await asyncio.sleep(0)
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    async def main() -> None:
        await app(scope_of() if scope is None else scope, receive, send)

    asyncio.run(main())
    return sent


def header_of(sent: list[dict[str, Any]], name: bytes = b"x-request-id") -> list[bytes]:
    """The values of a header of a response."""
    return [value for key, value in sent[0]["headers"] if key.lower() == name]


def start(*_: Any) -> None:
    """WSGI's start_response, deaf."""


def environ_of(**more: Any) -> dict[str, Any]:
    """A WSGI environ."""
    return {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", **more}


# ---- ASGI ----------------------------------------------------------------------------------------


def test_lifespan_passes_through():
    """Its lines are of no request, and there is no closing line."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert "ctxlog" not in scope
        log.info("starting")

    with capture() as lines:
        ask(asgi.Middleware(app), {"type": "lifespan"})
    assert ["starting"] == [line["event"] for line in lines]
    assert "request_id" not in lines[0]


def test_nothing_is_left_behind():
    """After a request, its caller has its own context again, also after an exception."""

    async def boom(scope: Any, receive: Any, send: Any) -> None:
        ctxlog.bind_context(left="behind")
        raise LookupError("boom")

    async def main() -> None:
        with ctxlog.scope(outer=1):
            for app in (answer, boom):
                with pytest.raises(LookupError) if app is boom else capture():
                    await asgi.Middleware(app)(scope_of(), never, deaf)
                assert {"outer": 1} == ctxlog.get_context()

    with capture() as lines:
        asyncio.run(main())
    line = lines.one(event="request", outcome="error")
    assert (500, "error", "LookupError") == (
        line["http.response.status_code"],
        line["level"],
        line["exception.type"],
    )


async def never() -> Any:
    """Receive nothing."""
    raise AssertionError("nobody was to ask")


async def deaf(message: Any) -> None:
    """Send nowhere."""


def test_what_was_bound_outside_does_not_show():
    """A request starts fresh, whatever its server's context holds."""
    with capture() as lines, ctxlog.scope(stale="yes", request_id="r-stale"):
        ask(asgi.Middleware(answer))
    assert all("stale" not in line and line["request_id"] != "r-stale" for line in lines)


def test_one_inside_another():
    """One entry, one closing line, one header."""
    with capture() as lines:
        sent = ask(asgi.Middleware(asgi.Middleware(answer)))
    assert 1 == len(lines.where(event="request"))
    assert 1 == len(header_of(sent))


def test_the_header_replaces_one_of_that_name():
    """The client is told the id that is on the lines; the application's own list is left alone."""
    theirs = [(b"X-Request-Id", b"other"), (b"x", b"y")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": theirs})
        await send(END)

    with capture():
        sent = ask(asgi.Middleware(app), scope_of(headers=[(b"x-request-id", b"r-1")]))
    assert [b"r-1"] == header_of(sent)
    assert 2 == len(theirs)


def test_options():
    """Another event, logger and header, no header, fields and a route of one's own, quiet paths."""
    app = asgi.Middleware(
        answer,
        event="served",
        logger="http",
        header="X-Trace",
        fields=lambda scope: {"client.address": scope["client"][0]},
        route=lambda scope: "/of/mine",
        quiet=["/healthz"],
    )
    with capture() as lines:
        sent = ask(app, scope_of(client=("10.0.0.1", 1)))
        ask(app, scope_of(client=("10.0.0.1", 1), path="/healthz"))
    assert [lines[0]["request_id"].encode()] == header_of(sent, b"x-trace")
    line = lines.one(event="served", level="info")
    assert ("http", "/of/mine") == (line["logger"], line["http.route"])
    assert "debug" == lines.one(event="served", **{"url.path": "/healthz"})["level"]
    assert all(each["client.address"] == "10.0.0.1" for each in lines)
    with capture() as lines:
        sent = ask(asgi.Middleware(answer, event=None, header=None))
    assert ([], ["asked"]) == (header_of(sent), [line["event"] for line in lines])
    assert 32 == len(lines[0]["request_id"])


def test_a_closing_line_that_is_off():
    """Below its logger's level there is none; nothing is abandoned either."""
    before = ctxlog.counters().get("operation.abandoned", 0)
    with capture("error") as lines:
        ask(asgi.Middleware(answer))
    gc.collect()
    assert [] == lines
    assert before == ctxlog.counters().get("operation.abandoned", 0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("trace", "sometimes"),
        ("header", "two words"),
        ("header", ""),
        ("header", b"x"),
        ("quiet", "/healthz"),
        ("quiet", None),
        ("quiet", 5),
        ("quiet", [[]]),
        ("quiet", [1]),
        ("fields", {"a": 1}),
        ("fields", {}),
        ("route", "/a"),
        ("route", ""),
        ("event", 7),
        ("logger", None),
    ],
)
@pytest.mark.parametrize("middleware", [asgi.Middleware, wsgi.Middleware])
def test_wrong_options(middleware: Any, option: str, value: object):
    """A wrong option is an error when the middleware is made, not in the first request."""
    with pytest.raises(errors.UsageError):
        middleware(answer, **{option: value})


@pytest.mark.parametrize("middleware", [asgi.Middleware, wsgi.Middleware])
def test_no_application(middleware: Any):
    """What is no application is an error when the middleware is made, too."""
    with pytest.raises(errors.UsageError, match="NoneType"):
        middleware(None)


@pytest.mark.parametrize("middleware", [asgi.Middleware, wsgi.Middleware])
def test_an_option_that_there_is_not(middleware: Any):
    """It is answered with those there are; ``install`` hands options on."""
    with pytest.raises(errors.UsageError, match=r"'quite': did you mean 'quiet'\? Known: event, "):
        middleware(print, quite=["/healthz"])


def test_options_that_are_read_but_once():
    """Starlette gets the middleware that was checked, not another made of what is left."""
    from starlette.applications import Starlette

    from ctxlog.adapters.starlette import install

    app = install(Starlette(), quiet=(path for path in ["/healthz"]))
    with capture() as lines:
        ask(app, scope_of(path="/healthz"))
    assert "debug" == lines.one(event="request")["level"]


def test_a_request_has_whatever_an_operation_has():
    """The two are set up side by side, for speed: none of the attributes is forgotten."""
    asked = exchange.Asked("request", ctxlog.get_logger("web"), {})
    assert [] == [
        name for name in Work.__slots__ if name != "__weakref__" and not hasattr(asked, name)
    ]


def test_functions_that_raise():
    """An option's function that raises costs its own fields only."""

    def bad(_: Any) -> Any:
        raise ValueError("bad")

    before = ctxlog.counters().get("errors.web", 0)
    with capture() as lines:
        sent = ask(asgi.Middleware(answer, fields=bad, route=bad))
    assert 200 == sent[0]["status"]
    assert 200 == lines.one(event="request")["http.response.status_code"]
    assert before + 2 == ctxlog.counters()["errors.web"]


@pytest.mark.parametrize(
    "broken", [{"type": []}, {"headers": 7}, {"headers": [()]}, {"headers": [(1, 2)]}]
)
def test_a_scope_as_no_server_makes_it(broken: dict[str, Any]):
    """The application gets it all the same."""
    with capture():
        assert 200 == ask(asgi.Middleware(answer), scope_of(**broken))[0]["status"]


def test_what_a_framework_tells_within_an_operation():
    """The route and the exception are the request's, whatever operation is open around the view."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with ctxlog.operation("inner"):
            exchange.routed("/of/mine")
            exchange.failed(LookupError("turned into a response"))
        await send({**START, "status": 500})
        await send(END)

    with capture() as lines:
        ask(asgi.Middleware(app))
    line = lines.one(event="request")
    assert ("/of/mine", "LookupError") == (line["http.route"], line["exception.type"])
    assert "http.route" not in lines.one(event="inner")


def test_what_a_framework_tells_in_a_thread():
    """Where a snapshot brought the request's context, it is the request's as well."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        taken = ctxlog.snapshot()
        for tell, told in ((exchange.routed, "/of/mine"), (exchange.failed, LookupError())):
            thread = threading.Thread(target=taken.run, args=(tell, told))
            thread.start()
            thread.join()
        await send({**START, "status": 500})
        await send(END)

    with capture() as lines:
        ask(asgi.Middleware(app))
    line = lines.one(event="request")
    assert ("/of/mine", "LookupError") == (line["http.route"], line["exception.type"])


def test_what_a_framework_tells_outside():
    """Without a request it goes nowhere, and harms nobody."""
    exchange.routed("/of/mine")
    exchange.failed(LookupError())


def test_an_application_that_says_nothing():
    """Neither started nor completed: an error, though nothing was raised."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        return

    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send(START)

    with capture() as lines:
        ask(asgi.Middleware(silent))
        ask(asgi.Middleware(half))
    assert ["error", "error"] == [line["outcome"] for line in lines]
    assert ["error", "error"] == [line["level"] for line in lines]
    assert [500, 200] == [line["http.response.status_code"] for line in lines]


def test_a_status_of_500_without_an_exception():
    """It is an error as well."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 503})
        await send(END)

    with capture() as lines:
        ask(asgi.Middleware(app))
    assert ("error", "error", 503) == (
        lines[0]["level"],
        lines[0]["outcome"],
        lines[0]["http.response.status_code"],
    )


def test_cancellation():
    """A request that is cancelled says so; it is no error."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(asgi.Middleware(slow)(scope_of(), never, deaf))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture() as lines:
        asyncio.run(main())
    assert ("info", "cancelled") == (lines[0]["level"], lines[0]["outcome"])
    assert "http.response.status_code" not in lines[0]


def test_a_coroutine_thrown_away_in_another_request():
    """Its closing line has its own ids, wherever it is collected, and is no success."""

    class Never:
        def __await__(self) -> Generator[None]:
            yield

    async def waiting() -> None:
        await Never()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    asked: Any = scope_of(headers=[(b"x-request-id", b"r-a")])
    with capture() as lines:
        call: Any = asgi.Middleware(app)(asked, waiting, deaf)
        context = copy_context()  # as a task has: it lives as long as the task
        context.run(call.send, None)
        with ctxlog.entry(request_id="r-b"):
            call.close()
    assert ("r-a", "cancelled") == (lines[0]["request_id"], lines[0]["outcome"])


def test_a_requests_headers_that_are_read_but_once():
    """A server may have them as any iterable: the application gets all of them."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await answer(scope, receive, send)

    given = [(b"x-request-id", b"r-1"), (b"accept", b"*/*")]
    with capture() as lines:
        ask(asgi.Middleware(app), scope_of(headers=iter(given)))
    assert (given, "r-1") == (seen, lines.one(event="request")["request_id"])


def test_a_server_whose_awaitables_are_iterators():
    """What a server's receive returns may be anything that can be awaited."""

    class Received:
        def __await__(self) -> Iterator[None]:
            return iter([None])

    def receive() -> Any:
        return Received()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TypeError):  # an iterator ends without a value: no message
            await receive()

    with capture():
        asyncio.run(asgi.Middleware(app)(scope_of(), receive, deaf))


class Plain:
    """An awaitable of a server's in another language: its iterator has nothing but a next."""

    def __await__(self) -> Plain:
        return self

    def __iter__(self) -> Plain:
        return self

    def __next__(self) -> None:
        return None


def test_cancellation_where_a_servers_awaitables_cannot_be_thrown_into():
    """It is raised where the application waits, as ``await`` does: granian's streams are stopped so."""
    seen: list[type[BaseException]] = []

    def receive() -> Any:
        return Plain()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            try:
                await receive()
            except BaseException as error:
                seen.append(type(error))
                if isinstance(error, GeneratorExit):
                    raise

    with capture() as lines:
        call: Any = asgi.Middleware(app)(scope_of(), receive, deaf)
        call.send(None)
        call.throw(asyncio.CancelledError())
        call.close()
    assert [asyncio.CancelledError, GeneratorExit] == seen
    assert "cancelled" == lines.one(event="request")["outcome"]


def test_a_failure_of_what_is_thrown_away_in_another_request():
    """Its exception has its own ids for whoever logs it, and nothing of the other request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await receive()
        finally:
            raise LookupError("in the end")

    asked: Any = scope_of(headers=[(b"x-request-id", b"r-a")])

    class Never:
        def __await__(self) -> Generator[None]:
            yield

    async def waiting() -> None:
        await Never()

    with capture() as lines:
        call: Any = asgi.Middleware(app)(asked, waiting, deaf)
        copy_context().run(call.send, None)
        with pytest.raises(LookupError) as raised, ctxlog.entry(request_id="r-b", other=1):
            call.throw(GeneratorExit())
        log.error("by the server", exc_info=raised.value)
    line = lines.one(event="by the server")
    assert ("r-a", None) == (line["request_id"], line.get("other"))


def test_headers_that_are_read_but_once():
    """An application may send its headers as any iterable: all of them go out."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": iter([(b"a", b"1"), (b"b", b"2")])})
        await send(END)

    with capture():
        sent = ask(asgi.Middleware(app))
    assert [b"a", b"b", b"x-request-id"] == [name for name, _ in sent[0]["headers"]]


def test_a_status_of_an_enumeration():
    """``HTTPStatus.BAD_GATEWAY`` is 502: the request has failed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": HTTPStatus.BAD_GATEWAY})
        await send(END)

    with capture() as lines:
        ask(asgi.Middleware(app))
    assert ("error", 502) == (lines[0]["outcome"], lines[0]["http.response.status_code"])


def test_a_request_id_from_baggage_is_checked():
    """One with a line break reaches neither the response nor a line."""
    bad = (b"baggage", b"b=x%0d%0aSet-Cookie:%20a")
    with configured(baggage={"b": "request_id"}):
        sent = ask(asgi.Middleware(answer), scope_of(headers=[bad]))
        both = scope_of(headers=[(b"x-request-id", b"x\r\ny"), bad])
        twice = ask(asgi.Middleware(answer), both)
        alone = ask(asgi.Middleware(answer), scope_of(headers=[(b"x-request-id", b"x\r\ny")]))
        with ctxlog.extract([bad]).scope():
            assert "request_id" not in ctxlog.get_context()
    for answered in (sent, twice, alone):
        assert [32] == [len(value) for value in header_of(answered)]


def test_a_websocket_that_fails_when_it_is_open():
    """No status is made up: the handshake was answered long ago."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        raise LookupError("boom")

    with capture() as lines, pytest.raises(LookupError):
        ask(asgi.Middleware(app), {"type": "websocket", "path": "/ws", "headers": []})
    assert "error" == lines[0]["outcome"]
    assert "http.response.status_code" not in lines[0]


def test_a_client_that_leaves():
    """An application that is told so, or cannot send, ends in ``disconnected``."""

    async def told(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def refused(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    async def main() -> None:
        with pytest.raises(BrokenPipeError):
            await asgi.Middleware(answer)(scope_of(), never, refused)

    with capture() as lines:
        ask(asgi.Middleware(told), received=[{"type": "http.request"}])
        asyncio.run(main())
    closing = lines.where(event="request")
    assert ["disconnected"] * 2 == [line["outcome"] for line in closing]
    assert ["info"] * 2 == [line["level"] for line in closing]


def test_a_server_goes_on_in_its_own_context():
    """What a server makes while it receives and sends a body (readers, tasks) has no request's ids."""
    seen: list[Any] = []
    other: ContextVar[str] = ContextVar("other", default="server")

    async def receive() -> Any:
        seen.append((ctxlog.get_context(), other.get()))
        await asyncio.sleep(0)
        seen.append((ctxlog.get_context(), other.get()))
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            seen.append((ctxlog.get_context(), other.get()))
            await asyncio.sleep(0)
            seen.append((ctxlog.get_context(), other.get()))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        other.set("request")
        await receive()
        await send(START)
        await send(END)
        assert ctxlog.get_context()
        assert "request" == other.get()

    with capture():
        asyncio.run(asgi.Middleware(app)(scope_of(), receive, send))
    assert [({}, "server")] * 4 == seen


def test_cancellation_reaches_what_the_server_waits_for():
    """An application that is cancelled while it receives cancels the server's receive."""
    reached: list[str] = []

    async def receive() -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            reached.append("receive")
            raise

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        await send(START)
        await send(END)

    with capture() as lines:
        asyncio.run(asgi.Middleware(app)(scope_of(), receive, deaf))
    assert ["receive"] == reached
    assert "success" == lines[0]["outcome"]


def test_the_snapshot_in_the_scope():
    """Who stands outside of the middleware finds the request's context in the scope."""
    scope = scope_of(headers=[(b"x-request-id", b"r-1")])
    with capture() as lines:
        ask(asgi.Middleware(answer), scope)
        with scope["ctxlog"].scope():
            log.info("outside")
    assert "r-1" == lines.one(event="outside")["request_id"]


def test_child_tasks_annotate():
    """Annotations made in a child task, or a thread, are on the closing line."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def child() -> None:
            ctxlog.annotate(rows=3)

        await asyncio.create_task(child())
        await asyncio.to_thread(ctxlog.annotate, cached=True)
        await answer(scope, receive, send)

    with capture() as lines:
        ask(asgi.Middleware(app))
    assert {"rows": 3, "cached": True} == {
        name: lines.one(event="request")[name] for name in ("rows", "cached")
    }


@pytest.mark.parametrize("code", [None, 1000, 4000])
def test_a_websocket_closed_by_the_application(code: int | None):
    """The closing line has its code; 1000 if it named none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", **({} if code is None else {"code": code})})

    with capture() as lines:
        ask(asgi.Middleware(app), {"type": "websocket", "path": "/ws", "headers": []})
    assert (code or 1000, "success") == (lines[0]["websocket.close_code"], lines[0]["outcome"])


def test_a_websocket_that_fails():
    """An exception is an error, with no status: there was none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        raise LookupError("boom")

    with capture() as lines, pytest.raises(LookupError):
        ask(
            asgi.Middleware(app),
            {"type": "websocket", "path": "/ws", "headers": []},
            [{"type": "websocket.disconnect", "code": 1000}],
        )
    assert ("error", 1000) == (lines[0]["outcome"], lines[0]["websocket.close_code"])
    assert "http.response.status_code" not in lines[0]


def test_a_copied_middleware():
    """It can be copied, and says what it is around."""
    assert "answer" in repr(copy.copy(asgi.Middleware(answer)))


# ---- WSGI ----------------------------------------------------------------------------------------


def steps(environ: Any, start: Any) -> Iterator[bytes]:
    """An application that is a generator: nothing of it runs before the first step."""
    log.info("begun")
    start("200 OK", [])
    try:
        for step in range(3):
            ctxlog.bind_context(step=step)
            log.info("step")
            yield b"x"
    finally:
        log.info("ended")


def test_each_step_of_a_body():
    """It has its context at every step, and at its close; its consumer never has."""
    with capture() as lines:
        body: Any = wsgi.Middleware(steps)(environ_of(HTTP_X_REQUEST_ID="r-1"), start)
        for _ in body:
            assert {} == ctxlog.get_context()
        body.close()
        assert {} == ctxlog.get_context()
    lines.assert_all_have("request_id")
    assert {"r-1"} == {line["request_id"] for line in lines}
    assert [0, 1, 2, 2, 2] == [line["step"] for line in lines if "step" in line]
    assert ("request", 200) == (lines[-1]["event"], lines[-1]["http.response.status_code"])


def test_interleaved_bodies():
    """Two bodies that one thread consumes in turns keep their own ids."""
    app = wsgi.Middleware(steps)
    with capture() as lines:
        bodies: Any = [app(environ_of(HTTP_X_REQUEST_ID=f"r-{n}", PATH_INFO=f"/{n}"), start)
                       for n in range(3)]  # fmt: skip
        for _ in zip(*bodies, strict=True):
            assert {} == ctxlog.get_context()
        for body in bodies:
            body.close()
    for n in range(3):
        assert f"r-{n}" == lines.one(event="request", **{"url.path": f"/{n}"})["request_id"]
        assert 3 == len(lines.where(event="step", request_id=f"r-{n}"))


def test_a_body_closed_on_another_thread():
    """A server may iterate here and close there."""
    with capture() as lines:
        body: Any = wsgi.Middleware(steps)(environ_of(HTTP_X_REQUEST_ID="r-1"), start)
        next(body)
        thread = threading.Thread(target=body.close)
        thread.start()
        thread.join()
    assert "disconnected" == lines.one(event="request")["outcome"]
    assert "r-1" == lines.one(event="ended")["request_id"]


def test_a_body_that_nobody_closes():
    """A server that forgets to close leaves a line that says so."""
    with capture() as lines:
        body: Any = wsgi.Middleware(steps)(environ_of(), start)
        next(body)
        del body
        gc.collect()
    assert "abandoned" == lines.one(event="request")["outcome"]


def test_a_body_in_pieces():
    """A list keeps its length, which servers use."""

    def app(environ: Any, start: Any) -> list[bytes]:
        start("404 Not Found", [("X-Request-ID", "other")])
        return [b"a", b"b"]

    told: list[Any] = []
    with capture() as lines:
        body: Any = wsgi.Middleware(app)(environ_of(), lambda *args: told.append(args))
        assert (2, [b"a", b"b"]) == (len(body), list(body))
        body.close()
        body.close()  # twice is no harm
    line = lines.one(event="request")
    assert (404, "success") == (line["http.response.status_code"], line["outcome"])
    assert [("404 Not Found", [("x-request-id", line["request_id"])])] == told


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_body_that_is_not_asked_for(method: str):
    """HEAD needs none; with GET it means that the client has left."""
    with capture() as lines:
        body: Any = wsgi.Middleware(steps)(environ_of(REQUEST_METHOD=method), start)
        body.close()
    outcome = "success" if method == "HEAD" else "disconnected"
    assert outcome == lines.one(event="request")["outcome"]


def test_wsgi_exceptions():
    """Before the body, in it, and at its close: one closing line each, with the exception."""

    def before(environ: Any, start: Any) -> list[bytes]:
        raise LookupError("before")

    def within(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"x"
        raise LookupError("within")

    class Closing(list[bytes]):
        def close(self) -> None:
            """Fail."""
            raise LookupError("closing")

    def closing(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return Closing([b"x"])

    for app in (before, within, closing):
        with capture() as lines:
            with pytest.raises(LookupError) as raised:
                body: Any = wsgi.Middleware(app)(environ_of(HTTP_X_REQUEST_ID="r-1"), start)
                try:
                    list(body)
                finally:
                    body.close()
            log.error("by the server", exc_info=raised.value)
        line = lines.one(event="request")
        assert ("error", "error") == (line["outcome"], line["level"])
        assert str(raised.value) == line["exception.message"]
        assert "r-1" == lines.one(event="by the server")["request_id"]


def test_a_file_that_the_server_sends():
    """A server gets its own wrapper back; one that has no room for a close is wrapped."""

    class Wrapper:
        def __init__(self) -> None:
            self.closed = False

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"file"])

        def close(self) -> None:
            """Close the file."""
            log.info("closed")

    class Tight(Wrapper):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            if name == "close":
                raise AttributeError(name)
            super().__setattr__(name, value)

    for kind in (Wrapper, Tight):
        made = kind()

        def app(environ: Any, start: Any, made: Wrapper = made) -> Wrapper:
            start("200 OK", [])
            return made

        with capture() as lines:
            body: Any = wsgi.Middleware(app)(environ_of(**{"wsgi.file_wrapper": kind}), start)
            assert (kind is Wrapper) == (body is made)
            assert [b"file"] == list(body)
            body.close()
        assert "success" == lines.one(event="request")["outcome"]
        lines.assert_all_have("request_id")


def test_a_file_is_let_go():
    """A server's wrapper, and the file in it, are gone when it is closed, not when memory is swept."""

    class Wrapper:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"file"])

        def close(self) -> None:
            """Close the file."""

    def app(environ: Any, start: Any) -> Wrapper:
        start("200 OK", [])
        return Wrapper()

    gc.disable()
    try:
        with capture():
            asked = environ_of(**{"wsgi.file_wrapper": Wrapper})
            body: Any = wsgi.Middleware(app)(asked, start)
            body.close()
            body.close()  # twice is no harm
        held = weakref.ref(body)
        del body
        assert held() is None
    finally:
        gc.enable()


def test_wsgi_one_inside_another():
    """One entry and one closing line."""
    with capture() as lines:
        body: Any = wsgi.Middleware(wsgi.Middleware(steps))(environ_of(), start)
        list(body)
        body.close()
    assert 1 == len(lines.where(event="request"))


def test_an_environ_as_no_server_makes_it():
    """The application gets it all the same."""
    with capture():
        environ: Any = {"PATH_INFO": 7, 3: 4}
        body: Any = wsgi.Middleware(steps)(environ, start)
        assert 3 == len(list(body))
        body.close()


def test_a_path_in_utf_8():
    """PEP 3333 has paths as bytes in latin-1: the line has the text."""
    with capture() as lines:
        path = "/grüße".encode().decode("latin-1")
        body: Any = wsgi.Middleware(steps)(environ_of(PATH_INFO=path, SCRIPT_NAME="/app"), start)
        list(body)
        body.close()
    assert "/app/grüße" == lines.one(event="request")["url.path"]


# ---- anything ------------------------------------------------------------------------------------

HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"x-request-id", b"traceparent", b"x-trace-id", b"cookie"]) | st.binary(),
        st.binary(max_size=200),
    ),
    max_size=8,
)


@given(headers=HEADERS, path=st.text(), method=st.text())
def test_any_request(headers: list[tuple[bytes, bytes]], path: str, method: str):
    """Whatever comes in, the answer goes out, with a valid id and one closing line."""
    with capture() as lines:
        sent = ask(asgi.Middleware(answer), scope_of(headers=headers, path=path, method=method))
    line = lines.one(event="request")
    assert [line["request_id"].encode()] == header_of(sent)
    assert ctxlog.extract([("x-request-id", line["request_id"])]).values()


@given(
    values=st.dictionaries(
        st.sampled_from(["HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT"]) | st.text(), st.text()
    ),
    path=st.text(),
)
def test_any_environ(values: dict[str, str], path: str):
    """The same through WSGI."""
    told: list[Any] = []

    def take(status: str, headers: list[Any]) -> None:
        told.extend(headers)

    with capture() as lines:
        body: Any = wsgi.Middleware(steps)({**values, "PATH_INFO": path}, take)
        list(body)
        body.close()
    assert [("x-request-id", lines.one(event="request")["request_id"])] == told
