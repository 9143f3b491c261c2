"""Clients that mean no good, over raw sockets: clean lines, no exception, no growth."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.adapters.web.serving import DEADLINE, Served, closings, serving

if TYPE_CHECKING:
    from collections.abc import Generator

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()


@pytest.fixture(
    scope="module",
    params=[
        ("uvicorn:asyncio", "starlette"),
        ("uvicorn:uvloop", "starlette"),
        ("gunicorn:sync", "flask"),
        ("gunicorn:gthread", "flask"),
    ],
    ids=lambda param: param[0],
)
def served(request: pytest.FixtureRequest) -> Generator[Served]:
    """A server, which must end with its whole log in order."""
    with serving(*request.param) as served:
        yield served


def say(served: Served, *headers: bytes, path: bytes = b"/sync/1") -> tuple[int, str]:
    """Send a request as it is; return the status (0: none came) and the id sent back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as raw:
        answer = b""
        with suppress(ConnectionError):
            raw.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
            raw.sendall(b"".join(header + b"\r\n" for header in headers) + b"\r\n")
            while part := raw.recv(65_536):
                answer += part
    if not answer:
        return 0, ""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    ids = [line.partition(":")[2].strip() for line in head if line.lower().startswith("x-request")]
    assert len(ids) <= 1, head
    return int(head[0].split()[1]), ids[0] if ids else ""


def closing(served: Served, request_id: str) -> dict[str, object]:
    """The closing line of a request."""
    lines = served.until(lambda lines: [n for n in lines if n.get("request_id") == request_id])
    del lines
    found = served.until(
        lambda lines: [n for n in closings(lines) if n["request_id"] == request_id]
    )
    (line,) = [n for n in closings(found) if n["request_id"] == request_id]
    return line


BAD_IDS = {
    "too long": b"x" * 5_000,
    "two words": b"two words",
    "not UTF-8": b"\xff\xfe\x80",
    "a line feed, written out": b"a%0Aevent=forged",
    "quotes": b'","level":"critical',
    "escape codes": b"\x1b[31mred",
    "nothing": b"",
}


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_ids_that_are_none(served: Served, bad: bytes):
    """An id that is not valid shows nowhere: another is made, or the server refuses the request."""
    status, sent_back = say(served, b"X-Request-ID: " + bad)
    if status == 200:
        assert 32 == len(sent_back)
        closing(served, sent_back)
    else:
        assert status in {0, 400, 431}
    assert "forged" not in served.text()
    assert "xxxxx" not in served.text()


def test_a_megabyte_of_an_id(served: Served):
    """One that no server takes does it no harm."""
    status, _ = say(served, b"X-Request-ID: " + b"x" * 1_000_000)
    assert status in {0, 400, 413, 431}
    closing(served, say(served, b"X-Request-ID: after-1")[1])


def test_a_flood_of_headers(served: Served):
    """Many headers are refused or read; the id that comes twice, with two values, is none."""
    say(served, *(b"X-%d: 1" % number for number in range(5_000)))
    status, sent_back = say(
        served, *(b"X-%d: 1" % number for number in range(60)), b"X-Request-ID: flood-1"
    )
    assert (200, "flood-1") == (status, sent_back)


def test_ids_that_contradict(served: Served):
    """A header that comes twice with two values is as if it were not there."""
    other = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
    status, sent_back = say(
        served,
        b"X-Request-ID: one-1",
        b"X-Request-ID: two-1",
        b"traceparent: " + PARENT,
        b"traceparent: " + other,
    )
    assert 200 == status
    assert 32 == len(sent_back)
    line = closing(served, sent_back)
    assert line["trace_id"] not in {TRACE, "1" * 32}


@pytest.mark.parametrize(
    "parent",
    [b"nonsense", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"ff" + PARENT[2:], b"\xff" * 55],
)
def test_a_traceparent_that_is_none(served: Served, parent: bytes):
    """It is not continued; a trace id is made."""
    status, sent_back = say(served, b"traceparent: " + parent)
    if status == 200:
        assert 32 == len(str(closing(served, sent_back)["trace_id"]))


def test_a_traceparent_that_is_one(served: Served):
    """It is continued."""
    _, sent_back = say(served, b"traceparent: " + PARENT)
    assert TRACE == closing(served, sent_back)["trace_id"]


def test_injected_lines(served: Served):
    """A path with line ends, quotes and bytes that are no text stays one line of JSON."""
    path = b"/%0D%0A%22%7D%7B%22event%22%3A%22forged%22/%FF%FE/%E2%80%A8"
    status, sent_back = say(served, path=path)
    assert 404 == status
    line = closing(served, sent_back)
    assert str(line["url.path"]).startswith('/\r\n"}{')
    assert [] == [n for n in served.lines() if n["event"] == "forged"]


def test_a_long_path(served: Served):
    """A path is cut."""
    status, sent_back = say(served, path=b"/" + b"p" * 3_000)
    assert 404 == status
    assert 1_025 == len(str(closing(served, sent_back)["url.path"]))


def test_bare_line_ends_in_a_header(served: Served):
    """A header split by its client is not a second header of ours."""
    status, sent_back = say(served, b"X-Request-ID: split-1\r\n continued: yes\r\nX: y")
    assert status in {0, 200, 400}
    assert sent_back != "split-1 continued: yes"


def test_many_that_leave_in_the_middle(served: Served):
    """Clients that leave in mid-request and mid-answer leave no exception and nothing open."""
    for number in range(100):
        with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as raw:
            raw.sendall(b"POST /async/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n")
            if number % 2:
                raw.sendall(b"\r\n" + b"x" * 1_000)
        with (
            socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as raw,
            suppress(ConnectionError),
        ):
            raw.sendall(b"GET /stream/1 HTTP/1.1\r\nHost: x\r\n\r\n")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    closing(served, say(served, b"X-Request-ID: survived-1")[1])


def test_the_whole_log(served: Served):
    """After all that: only JSON, no exception of ours, each request closed once; no growth."""
    for number in range(200):
        assert 200 == say(served, b"X-Request-ID: last-%d" % number)[0]
    before = resident(served)
    for number in range(400):
        say(served, b"X-Request-ID: grown-%d" % number, b"X-Junk: " + b"j" * 4_000)
    closing(served, "grown-399")
    assert resident(served) - before < 16 * 1024 * 1024
    lines = served.lines()
    # Starlette raises what uvicorn then logs, when a client leaves in the middle of its body
    raised = [n for n in lines if "exception.type" in n]
    assert {n["exception.type"] for n in raised} <= {"starlette.requests.ClientDisconnect"}
    left = [n for n in closings(lines) if n["outcome"] == "disconnected"]
    assert {n["request_id"] for n in raised} <= {n["request_id"] for n in left}
    assert {"info"} >= {n["level"] for n in left}
    ids = [n["request_id"] for n in closings(lines)]
    assert len(set(ids)) == len(ids)


def resident(served: Served) -> int:
    """Bytes resident of the server and its workers (Linux)."""
    total = 0
    pids = [served.process.pid]
    for pid in pids:
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096
            for thread in Path(f"/proc/{pid}/task").iterdir():
                pids.extend(map(int, (thread / "children").read_text().split()))
    return total
