"""The doors under real servers: each request's lines have its ids, and no other's."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.adapters.web.serving import ask_many, closings, serving

TOTAL = 1_000
BOTH = ["/async/{n}", "/sync/{n}"]
UNDER = [
    ("uvicorn:asyncio", "starlette", [*BOTH, "/stream/{n}", "/sync-stream/{n}"]),
    ("uvicorn:uvloop", "starlette", BOTH),
    ("uvicorn:asyncio", "fastapi", BOTH),
    ("uvicorn:uvloop", "fastapi", BOTH),
    ("uvicorn:uvloop", "django_asgi", [*BOTH, "/stream/{n}"]),
    ("gunicorn:uvicorn.workers.UvicornWorker", "fastapi", BOTH),
    ("gunicorn:sync", "flask", ["/sync/{n}", "/stream/{n}"]),
    ("gunicorn:gthread", "flask", ["/sync/{n}", "/stream/{n}"]),
    ("gunicorn:gevent", "flask", ["/sync/{n}", "/stream/{n}"]),
    ("gunicorn:sync", "django_wsgi", ["/sync/{n}", "/stream/{n}"]),
    ("gunicorn:gthread", "django_wsgi", [*BOTH, "/stream/{n}"]),
]


@pytest.mark.parametrize(("server", "framework", "paths"), UNDER)
def test_a_thousand_requests_at_once(server: str, framework: str, paths: list[str]):
    """1,000 interleaved requests with distinct ids, lines from all doors: 0 without, 0 wrong."""
    with serving(server, framework) as served:
        asyncio.run(ask_many(served.port, paths, total=TOTAL, clients=25))
        lines = served.until(lambda lines: len(closings(lines)) >= TOTAL)
        served.process.terminate()
        served.process.wait(30)
        lines = served.lines()
    said = [line for line in lines if line["event"].startswith("by ")]
    wrong = [line for line in said if line.get("request_id") != f"r-{line['event'][3:]}"]
    assert [] == wrong[:3]
    assert 4 * TOTAL <= len(said)
    closed = closings(lines)
    assert {f"r-{n}": 1 for n in range(TOTAL)} == Counter(line["request_id"] for line in closed)
    assert {200} == {line["http.response.status_code"] for line in closed}
    assert {"success"} == {line["outcome"] for line in closed}
    routes = {line.get("http.route", "").partition("/")[2].partition("/")[0] for line in closed}
    assert {path.split("/")[1] for path in paths} == routes
    assert all("{" in line["http.route"] or "<" in line["http.route"] for line in closed)
    for line in closed:
        number = int(line["request_id"][2:])
        assert line["url.path"].endswith(f"/{number}")
        if "stream" not in line["url.path"]:
            assert number == line["n"]
    strays = [line for line in lines if line["logger"] in {"uvicorn.error", "gunicorn.error"}]
    assert strays  # the servers' own lines are in our shape,
    assert [] == [line for line in strays if "request_id" in line]  # and of no request
    access = [line for line in lines if line["logger"].endswith(".access")]
    assert TOTAL == len(access)
    for line in access:
        assert f"/{line['request_id'][2:]} HTTP" in line["event"]
    assert not any("color_message" in line for line in lines)  # the event again, for a terminal


@pytest.mark.parametrize("worker", ["gthread", "uvicorn.workers.UvicornWorker"])
def test_access_lines_are_gunicorns_to_switch(worker: str, monkeypatch: pytest.MonkeyPatch):
    """Without ``accesslog`` there are none, whichever worker serves."""
    monkeypatch.setenv("QUIET", "1")
    framework = "flask" if worker == "gthread" else "fastapi"
    with serving(f"gunicorn:{worker}", framework) as served:
        served.ask("/sync/1")
        served.closing(1)
        served.process.terminate()
        served.process.wait(30)
        lines = served.lines()
    assert [] == [line for line in lines if line["logger"].endswith(".access")]
    assert [line for line in lines if line["logger"] == "gunicorn.error"]
