"""Ids on what goes out: to hosts that are named, and to no other, redirects included."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests

import ctxlog
from ctxlog import errors
from ctxlog.adapters import aiohttp as for_aiohttp
from ctxlog.adapters import httpx as for_httpx
from ctxlog.adapters import requests as for_requests
from ctxlog.adapters.outgoing import Hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INBOUND = {"x-request-id": "r-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


class Store:
    """A server that keeps the headers it got, by path; ``/to?<url>`` redirects there."""

    def __init__(self) -> None:
        got: dict[str, Any] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Answer."""
                path, _, target = self.path.partition("?")
                got[path] = dict(self.headers)
                self.send_response(302 if target else 200)
                if target:
                    self.send_header("Location", target)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self.got = got
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@pytest.fixture
def store() -> Generator[Store]:
    """A server on loopback: it is ``127.0.0.1``, and ``localhost`` too."""
    made = Store()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def by_requests(hosts: Any, *urls: str, headers: dict[str, str] | None = None) -> None:
    """Ask with a session of requests."""
    with for_requests.send_ids(requests.Session(), hosts=hosts) as session:
        session.trust_env = False
        for url in urls:
            session.get(url, timeout=30, headers=headers).close()


def by_httpx(hosts: Any, *urls: str, headers: dict[str, str] | None = None) -> None:
    """Ask with a client of httpx."""
    with for_httpx.send_ids(
        httpx.Client(follow_redirects=True, trust_env=False), hosts=hosts
    ) as client:
        for url in urls:
            client.get(url, headers=headers)


def by_async_httpx(hosts: Any, *urls: str, headers: dict[str, str] | None = None) -> None:
    """Ask with an asynchronous client of httpx."""

    async def ask() -> None:
        client = for_httpx.send_ids(
            httpx.AsyncClient(follow_redirects=True, trust_env=False), hosts=hosts
        )
        async with client:
            for url in urls:
                await client.get(url, headers=headers)

    asyncio.run(ask())


def by_aiohttp(hosts: Any, *urls: str, headers: dict[str, str] | None = None) -> None:
    """Ask with a session of aiohttp."""

    async def ask() -> None:
        async with for_aiohttp.send_ids(aiohttp.ClientSession(), hosts=hosts) as session:
            for url in urls:
                async with session.get(url, headers=headers) as response:
                    await response.read()

    asyncio.run(ask())


CLIENTS = pytest.mark.parametrize("ask", [by_requests, by_httpx, by_async_httpx, by_aiohttp])


def ids_of(headers: dict[str, str]) -> tuple[str | None, str | None]:
    """The request id and the trace id that arrived."""
    found = {name.lower(): value for name, value in headers.items()}
    parent = found.get("traceparent")
    return found.get("x-request-id"), parent and parent.split("-")[1]


@CLIENTS
def test_a_host_that_is_named(ask: Callable[..., None], store: Store):
    """It gets the ids of the entry that asks."""
    with ctxlog.entry(INBOUND):
        ask(["127.0.0.1"], f"http://127.0.0.1:{store.port}/a")
    assert ("r-1", TRACE) == ids_of(store.got["/a"])


@CLIENTS
def test_a_host_that_is_not_named(ask: Callable[..., None], store: Store):
    """It gets none."""
    with ctxlog.entry(INBOUND):
        ask(["store.internal"], f"http://127.0.0.1:{store.port}/a")
    assert (None, None) == ids_of(store.got["/a"])


@CLIENTS
def test_every_host(ask: Callable[..., None], store: Store):
    """A star is every host."""
    with ctxlog.entry(INBOUND):
        ask("*", f"http://localhost:{store.port}/a")
    assert ("r-1", TRACE) == ids_of(store.got["/a"])


@CLIENTS
def test_a_redirect_to_a_third_party(ask: Callable[..., None], store: Store):
    """Ids that were sent to a host do not follow its redirect to another."""
    first = f"http://127.0.0.1:{store.port}"
    with ctxlog.entry(INBOUND):
        ask(["127.0.0.1"], f"{first}/to?http://localhost:{store.port}/other", f"{first}/after")
    assert ("r-1", TRACE) == ids_of(store.got["/to"])
    assert (None, None) == ids_of(store.got["/other"])
    assert ("r-1", TRACE) == ids_of(store.got["/after"])


@CLIENTS
def test_a_redirect_back(ask: Callable[..., None], store: Store):
    """A redirect to a host that is named has them."""
    with ctxlog.entry(INBOUND):
        ask(
            ["localhost"],
            f"http://127.0.0.1:{store.port}/to?http://localhost:{store.port}/named",
        )
    assert (None, None) == ids_of(store.got["/to"])
    assert ("r-1", TRACE) == ids_of(store.got["/named"])


@CLIENTS
def test_outside_of_an_entry(ask: Callable[..., None], store: Store):
    """Nothing is invented."""
    ask("*", f"http://127.0.0.1:{store.port}/a")
    assert (None, None) == ids_of(store.got["/a"])


def test_one_session_under_many_entries(store: Store):
    """Each request has the ids of its own entry, on a session that threads share."""
    with for_requests.send_ids(requests.Session(), hosts="127.0.0.1") as session:
        session.trust_env = False

        def ask(number: int) -> None:
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                session.get(f"http://127.0.0.1:{store.port}/{number}", timeout=30).close()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [f"r-{n}" for n in range(20)] == [ids_of(store.got[f"/{n}"])[0] for n in range(20)]


def test_one_session_of_many_tasks(store: Store):
    """Each request has the ids of the entry that its task is in."""

    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        with ctxlog.entry({"x-request-id": f"r-{number}"}):
            async with session.get(f"http://127.0.0.1:{store.port}/{number}") as response:
                await response.read()

    async def main() -> None:
        async with for_aiohttp.send_ids(aiohttp.ClientSession(), hosts="127.0.0.1") as session:
            await asyncio.gather(*(ask(session, number) for number in range(20)))

    asyncio.run(main())
    assert [f"r-{n}" for n in range(20)] == [ids_of(store.got[f"/{n}"])[0] for n in range(20)]


def test_an_id_of_ones_own(store: Store):
    """A header that the caller set for a third party stays."""
    with for_httpx.send_ids(httpx.Client(trust_env=False), hosts=["store"]) as client:
        client.get(f"http://127.0.0.1:{store.port}/a", headers={"X-Request-ID": "own"})
    assert "own" == ids_of(store.got["/a"])[0]


@CLIENTS
@pytest.mark.parametrize("name", ["X-Request-ID", "x-request-id"])
def test_an_id_of_ones_own_for_a_host_that_is_named(
    ask: Callable[..., None], name: str, store: Store
):
    """It wins, also behind a redirect; the rest is ours."""
    base = f"http://127.0.0.1:{store.port}"
    with ctxlog.entry(INBOUND):
        ask(["127.0.0.1"], f"{base}/to?{base}/behind", headers={name: "own"})
    assert [("own", TRACE)] * 2 == [ids_of(store.got[path]) for path in ("/to", "/behind")]


@CLIENTS
@pytest.mark.parametrize("name", ["Traceparent", "b3", "tracestate"])
def test_a_trace_of_ones_own(ask: Callable[..., None], name: str, store: Store):
    """It is not mixed with ours, in whatever format: the receiver would take one of the two."""
    own = {name: f"00-{'a' * 32}-{'b' * 16}-01"}
    with ctxlog.entry(INBOUND):
        ask(["127.0.0.1"], f"http://127.0.0.1:{store.port}/a", headers=own)
    got = {key.lower(): value for key, value in store.got["/a"].items()}
    assert "r-1" == got["x-request-id"]
    kept = {key: got.get(key) for key in ("traceparent", "b3", "tracestate") if key in got}
    assert {name.lower(): own[name]} == kept


def test_a_request_that_is_sent_again_elsewhere(store: Store):
    """A request of httpx that is sent under another entry has that one's ids: ours are no header of its own."""
    url = f"http://127.0.0.1:{store.port}"
    with for_httpx.send_ids(httpx.Client(trust_env=False), hosts="127.0.0.1") as client:
        request = client.build_request("GET", f"{url}/a")
        for number in range(2):
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                client.send(request)
            assert f"r-{number}" == ids_of(store.got["/a"])[0]


def test_twice():
    """Naming hosts again replaces them for requests; adapters do not pile up."""
    with requests.Session() as session:
        for_requests.send_ids(session, hosts="a")
        for_requests.send_ids(session, hosts="b")
        adapter: Any = session.get_adapter("https://b/")
        assert not isinstance(adapter.inner, for_requests.Adapter)
        assert "b" in adapter.hosts


def test_twice_with_aiohttp(store: Store):
    """The hosts that are named last are those that may know."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for hosts in ("127.0.0.1", "localhost"):
                for_aiohttp.send_ids(session, hosts=hosts)
            for host in ("127.0.0.1", "localhost"):
                async with session.get(f"http://{host}:{store.port}/{host}") as response:
                    await response.read()
            assert 1 == len(session.trace_configs)

    with ctxlog.entry(INBOUND):
        asyncio.run(main())
    assert (None, None) == ids_of(store.got["/127.0.0.1"])
    assert ("r-1", TRACE) == ids_of(store.got["/localhost"])


@pytest.mark.parametrize("hosts", [[], "", [""], ["."], [1], None, ["http://store/"], 7,
                                   ["store:8080"], ["*.example.org"], ["[::1]"], ["user@store"],
                                   [" store"]])  # fmt: skip
def test_what_are_no_hosts(hosts: Any):
    """A wrong list of hosts is an error at once, and says what is right."""
    with pytest.raises(errors.UsageError, match=r"hosts takes"):
        Hosts(hosts)


def test_what_is_no_client():
    """So is something that is no client."""
    client: Any = object()
    with pytest.raises(errors.UsageError, match="httpx client"):
        for_httpx.send_ids(client, hosts="*")
    with pytest.raises(errors.UsageError, match="aiohttp session"):
        for_aiohttp.send_ids(client, hosts="*")


@pytest.mark.parametrize(
    ("hosts", "host", "known"),
    [
        (["store"], "STORE.", True),
        ([".example.org"], "a.b.example.org", True),
        ([".example.org"], "example.org", False),
        ([".example.org"], "badexample.org", False),
        (["store.internal"], "store.internal.evil.org", False),
        (["::1"], "::1", True),
        (["*"], "anything", True),
        (["bücher.example"], "xn--bcher-kva.example", True),
        (["xn--bcher-kva.example"], "bücher.example", True),
        ([".bücher.example"], "a.bücher.example", True),
        (["store"], "ü" * 100, False),
        (["store"], None, False),
    ],
)
def test_names_of_hosts(hosts: list[str], host: str | None, known: bool):
    """Whole names count, in any case; a leading dot is everything below."""
    assert known == (host in Hosts(hosts))
