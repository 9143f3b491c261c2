"""What one request leaves behind, under real servers."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.adapters.web.serving import DEADLINE, Client, Served, serving

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def starlette(request: pytest.FixtureRequest) -> Generator[Served]:
    """The service in Starlette under uvicorn."""
    with serving(f"uvicorn:{request.param}", "starlette") as served:
        yield served


@pytest.fixture(scope="module", params=["sync", "gthread"])
def flask(request: pytest.FixtureRequest) -> Generator[Served]:
    """The service in Flask under gunicorn."""
    with serving(f"gunicorn:{request.param}", "flask") as served:
        yield served


def of(served: Served, request_id: str, event: str = "request") -> list[dict[str, object]]:
    """Wait for a request's closing line and a line of the event, and return all of that event."""

    def those(lines: list[dict[str, object]], event: str) -> list[dict[str, object]]:
        return [
            line
            for line in lines
            if line.get("request_id") == request_id and str(line["event"]).startswith(event)
        ]

    lines = served.until(lambda lines: those(lines, "request") and those(lines, event))
    return those(lines, event)


def test_the_closing_line(starlette: Served):
    """It has the method, the template, the status, the duration, and what was annotated."""
    starlette.ask("/async/7", "closing-1")
    (line,) = of(starlette, "closing-1")
    assert ("info", "ctxlog.web", "success") == (line["level"], line["logger"], line["outcome"])
    assert "GET" == line["http.request.method"]
    assert "/async/{n:int}" == line["http.route"]
    assert "/async/7" == line["url.path"]
    assert 200 == line["http.response.status_code"]
    assert 7 == line["n"]
    assert isinstance(line["duration_s"], float)


def test_the_route_under_a_mount(starlette: Served):
    """The template has the mount's path in front."""
    starlette.ask("/mounted/async/7", "mounted-1")
    assert "/mounted/async/{n:int}" == of(starlette, "mounted-1")[0]["http.route"]


def test_no_route(starlette: Served):
    """A path that leads nowhere is on the line; a template is not made up."""
    assert 404 == starlette.ask("/nowhere?token=secret", "nowhere-1").status
    (line,) = of(starlette, "nowhere-1")
    assert "http.route" not in line
    assert ("/nowhere", 404, "success") == (
        line["url.path"],
        line["http.response.status_code"],
        line["outcome"],
    )


@pytest.mark.parametrize("sent", ["two words", "x" * 129, "", "ä", None])
def test_an_id_that_is_made(starlette: Served, sent: str | None):
    """An inbound id that is missing or not valid is replaced, and the new one is sent back."""
    made = starlette.ask("/async/7", sent).headers["x-request-id"]
    assert (32, made) == (len(made), of(starlette, made)[0]["request_id"])


@pytest.mark.parametrize(("path", "count"), [("/stream/5", 4), ("/sync-stream/5", 4)])
def test_a_streamed_body(starlette: Served, path: str, count: int):
    """A body's own lines have the request's ids, and the closing line comes after them."""
    assert 3_000 == len(starlette.ask(path, f"stream{path}").body)
    assert count == len(of(starlette, f"stream{path}", "by "))
    lines = [line for line in starlette.lines() if line.get("request_id") == f"stream{path}"]
    loggers = [line["logger"] for line in lines]
    assert ["ctxlog.web", "own", "uvicorn.access"] == sorted(set(loggers))
    assert "ctxlog.web" == loggers[-1]


def test_a_background_task(starlette: Served):
    """It keeps the ids and may annotate; the duration ends with the response, not with the task."""
    begun = datetime.now(UTC)
    starlette.ask("/background/3", "background-1")
    (line,) = of(starlette, "background-1")
    assert 3 == line["late"]
    assert 1 == len(of(starlette, "background-1", "by 3"))
    whole = (datetime.fromisoformat(str(line["timestamp"])) - begun).total_seconds()
    assert isinstance(line["duration_s"], float)
    assert line["duration_s"] <= whole - 0.15  # the task takes 0.2 s; clocks may differ a little


def test_an_exception(starlette: Served):
    """The handler's lines, the closing line and the server's own have the ids; so has the answer."""
    answer = starlette.ask("/boom/4", "boom-1")
    assert (500, b"sorry", "boom-1") == (
        answer.status,
        answer.body,
        answer.headers["x-request-id"],
    )
    (server,) = of(starlette, "boom-1", "Exception in ASGI application")
    (closing,) = of(starlette, "boom-1")
    for line in (server, closing):
        assert "error" == line["level"]
        assert "no such thing" in str(line)
        assert server["trace_id"] == line["trace_id"]
    assert (500, "error") == (closing["http.response.status_code"], closing["outcome"])
    assert 2 == len(of(starlette, "boom-1", "by 4"))  # the endpoint's and the handler's


def test_a_client_that_leaves(starlette: Served):
    """One who leaves in the middle of a body is an outcome, not an error."""
    with socket.create_connection(("127.0.0.1", starlette.port)) as raw:
        raw.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\nX-Request-ID: left-1\r\n\r\n")
        raw.recv(1_000)
    (line,) = of(starlette, "left-1")
    assert ("info", "disconnected") == (line["level"], line["outcome"])
    assert "exception.type" not in line


def test_a_request_after_a_large_body(starlette: Served):
    """On one connection, the server's lines between requests are nobody's."""

    async def talk() -> None:
        async with asyncio.timeout(DEADLINE):
            client = await Client.to(starlette.port)
            for number in range(5):
                answer = await client.ask(f"/async/{number}", f"large-{number}", b"b" * 300_000)
                assert f"{number} 300000".encode() == answer.body
            client.writer.write(b"nonsense\r\n\r\n")
            assert 400 == (await client.read()).status
            await client.close()

    asyncio.run(talk())
    lines = starlette.until(
        lambda lines: [line for line in lines if "Invalid HTTP" in line["event"]]
    )
    invalid = [line for line in lines if "Invalid HTTP" in line["event"]]
    assert [None] * len(invalid) == [line.get("request_id") for line in invalid]


def test_pipelined_requests(starlette: Served):
    """Requests that one packet brings have each its own id, and the one without a made one."""

    async def talk() -> list[str]:
        async with asyncio.timeout(DEADLINE):
            client = await Client.to(starlette.port)
            for path, header in [
                ("/async/41", "X-Request-ID: piped-41\r\n"),
                ("/stream/42", "X-Request-ID: piped-42\r\n"),
                ("/sync/43", "X-Request-ID: piped-43\r\n"),
                ("/async/44", ""),
            ]:
                client.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
            answers = [await client.read() for _ in range(4)]
            await client.close()
            return [answer.headers["x-request-id"] for answer in answers]

    *sent, made = asyncio.run(talk())
    assert ["piped-41", "piped-42", "piped-43"] == sent
    assert 32 == len(made)
    for number, request_id in zip(range(41, 45), [*sent, made], strict=True):
        assert {f"by {number}"} == {line["event"] for line in of(starlette, request_id, "by ")}
        (line,) = of(starlette, request_id)
        assert str(line["url.path"]).endswith(f"/{number}")


def test_a_websocket(starlette: Served):
    """A connection is one entry, its id goes back with the handshake, it closes with its code."""
    with connect(
        f"ws://127.0.0.1:{starlette.port}/ws/9", additional_headers={"X-Request-ID": "ws-1"}
    ) as client:
        assert client.response is not None
        assert "ws-1" == client.response.headers["x-request-id"]
        client.send("hello")
        assert "hello" == client.recv()
        with pytest.raises(ConnectionClosed):
            client.recv()
    (line,) = of(starlette, "ws-1")
    assert (4001, "/ws/{n:int}") == (line["websocket.close_code"], line["http.route"])
    assert 2 == len(of(starlette, "ws-1", "by 9"))


def test_a_websocket_refused(starlette: Served):
    """A handshake that is refused says so."""
    with (
        pytest.raises(InvalidStatus),
        connect(
            f"ws://127.0.0.1:{starlette.port}/refuse",
            additional_headers={"X-Request-ID": "refused-1"},
        ),
    ):
        raise AssertionError("it was to be refused")
    (line,) = of(starlette, "refused-1")
    assert (403, "info") == (line["http.response.status_code"], line["level"])


def test_a_websocket_that_is_not_answered(starlette: Served):
    """An application that says nothing to a handshake has failed, and the server says 500."""
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(
            f"ws://127.0.0.1:{starlette.port}/silent",
            additional_headers={"X-Request-ID": "silent-1"},
        ),
    ):
        raise AssertionError("it was to be refused")
    (line,) = of(starlette, "silent-1")
    assert 500 == refused.value.response.status_code
    assert (500, "error") == (line["http.response.status_code"], line["outcome"])


@pytest.mark.parametrize("code", [1000, 4000])
def test_a_websocket_whose_client_closes(starlette: Served, code: int):
    """An endpoint that lets the exception for it pass has not failed."""
    name = f"closed-{code}"
    with connect(
        f"ws://127.0.0.1:{starlette.port}/endless-ws", additional_headers={"X-Request-ID": name}
    ) as client:
        client.close(code)
    (line,) = of(starlette, name)
    assert (code, "success", "info") == (
        line["websocket.close_code"],
        line["outcome"],
        line["level"],
    )


def test_a_websocket_whose_client_leaves(starlette: Served):
    """A client that vanishes, or goes away, is an outcome."""
    with connect(
        f"ws://127.0.0.1:{starlette.port}/listen", additional_headers={"X-Request-ID": "gone-1"}
    ) as client:
        client.close(1001)
    (line,) = of(starlette, "gone-1")
    assert (1001, "disconnected") == (line["websocket.close_code"], line["outcome"])


def test_a_wsgi_body(flask: Served):
    """A generator that the server consumes has its context at every step; then the line closes."""
    assert 3_000 == len(flask.ask("/stream/5", "stream-1").body)
    of(flask, "stream-1")
    lines = [line for line in flask.lines() if line.get("request_id") == "stream-1"]
    assert [*["own"] * 4, "ctxlog.web"] == [
        line["logger"] for line in lines if not line["logger"].startswith("gunicorn")
    ]
    assert [None, 0, 1, 2] == [line.get("step") for line in lines if line["logger"] == "own"]


def test_the_servers_thread_keeps_nothing(flask: Served):
    """What gunicorn logs after a request, in the thread that served it, has nobody's ids.

    Its access line alone has, by the request's environ.
    """
    before = len(flask.until(lambda _: True))
    flask.ask("/sync/5", "thread-1")

    def written_since(lines: list[dict[str, Any]], **wanted: str) -> list[dict[str, Any]]:
        return [line for line in lines[before:] if wanted.items() <= line.items()]

    lines = flask.until(
        lambda lines: (
            written_since(lines, event="after a request")
            and written_since(lines, logger="gunicorn.access", request_id="thread-1")
        )
    )
    after = written_since(lines, event="after a request")
    assert [None] * len(after) == [line.get("request_id") for line in after]


def test_a_file(flask: Served):
    """A file that the server sends its own way closes its request as well."""
    assert b"The same small service" in flask.ask("/file", "file-1").body
    (line,) = of(flask, "file-1")
    assert ("/file", "success") == (line["http.route"], line["outcome"])


def test_an_exception_in_flask(flask: Served):
    """Flask's own line and the closing line have the exception and the ids; so has the answer."""
    answer = flask.ask("/boom/4", "boom-1")
    assert (500, "boom-1") == (answer.status, answer.headers["x-request-id"])
    (line,) = of(flask, "boom-1")
    (theirs,) = of(flask, "boom-1", "Exception on /boom/4")
    for each in (line, theirs):
        assert "LookupError" == each["exception.type"]
    assert ("error", 500, "/boom/<int:n>") == (
        line["outcome"],
        line["http.response.status_code"],
        line["http.route"],
    )


@pytest.mark.parametrize(
    ("server", "framework"),
    [("uvicorn:uvloop", "django_asgi"), ("gunicorn:gthread", "django_wsgi")],
)
def test_an_exception_in_django(server: str, framework: str):
    """Django's own line and the closing line have the exception and the ids."""
    with serving(server, framework) as served:
        answer = served.ask("/boom/4", "boom-1")
        assert (500, "boom-1") == (answer.status, answer.headers["x-request-id"])
        (line,) = of(served, "boom-1")
        (theirs,) = of(served, "boom-1", "Internal Server Error")
        for each in (line, theirs):
            assert "LookupError" == each["exception.type"]
        assert ("error", "/boom/<int:n>") == (line["outcome"], line["http.route"])
