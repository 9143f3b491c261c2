"""API calls of real clients against a cluster's API on this machine."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import importlib
import json
import logging
import pickle
import threading
import time
import uuid
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aiohttp.web
import kubernetes.aio
import kubernetes.client
import kubernetes.informer.informer as informers
import kubernetes.leaderelection.electionconfig as elections
import kubernetes.stream
import kubernetes_asyncio.client  # pyright: ignore[reportUnusedImport]
import kubernetes_asyncio.stream  # pyright: ignore[reportUnusedImport]
import pytest
from kubernetes.client.exceptions import ApiException

import ctxlog
from ctxlog.adapters import kubernetes_asyncio as for_asyncio
from ctxlog.adapters import kubernetes_client as for_threads
from ctxlog.errors import UsageError
from ctxlog.kubernetes.calls import MAX_PENDING, Calls, described
from ctxlog.kubernetes.clients import Clients
from ctxlog.testing import capture
from tests.kit import configured, moved

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p-1", "namespace": "shop"}}


class Api(ThreadingHTTPServer):
    """Answers what it is told to, and remembers the headers it was sent."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.seen: list[dict[str, str]] = []
        self.status = 200
        self.body: dict[str, Any] = POD
        self.stream: list[bytes] = []


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Api  # pyright: ignore[reportIncompatibleVariableOverride]

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.seen.append({**{k.lower(): v for k, v in self.headers.items()},
                                 "path": self.path})  # fmt: skip
        if "watch=" in self.path:
            data = b"".join(self.server.stream)
        elif self.path.split("?")[0].endswith("pods") and self.command == "GET":
            data = json.dumps({"kind": "PodList", "items": [POD], "metadata": {}}).encode()
        else:
            data = json.dumps(self.server.body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Audit-Id", self.headers.get("Audit-ID") or "none")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    """An API server on a free port."""
    server = Api()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def installed() -> Iterator[None]:
    """Both adapters."""
    for_threads.install()
    for_asyncio.install()
    yield
    for_threads.uninstall()
    for_asyncio.uninstall()


@pytest.fixture
def core(api: Api, installed: None) -> Iterator[Any]:
    """The synchronous client."""
    configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{api.server_port}")
    configuration.retries = False
    with kubernetes.client.ApiClient(configuration) as client:
        yield kubernetes.client.CoreV1Api(client)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_every_call_has_ids_and_a_line(core: Any, api: Api):
    """The server is sent what the line says; each call has an audit id of its own."""
    with capture() as lines, ctxlog.entry({"x-request-id": "r-1"}, {"k8s.object.ref": "Pod/a/b"}):
        core.read_namespaced_pod("p-1", "shop")
        core.read_namespaced_pod("p-1", "shop")
    first, second = lines.where(event="api call")
    assert "debug" == first["level"]
    expected = {"k8s.api.verb": "get", "k8s.api.resource": "pods", "k8s.api.namespace": "shop",
                "k8s.api.name": "p-1", "http.response.status_code": 200, "request_id": "r-1",
                "k8s.object.ref": "Pod/a/b"}  # fmt: skip
    for line, sent in zip((first, second), api.seen, strict=True):
        assert expected.items() <= line.items()
        assert line["duration_s"] >= 0
        assert sent["audit-id"] == line["k8s.audit.id"] == str(uuid.UUID(sent["audit-id"]))
        assert line["trace_id"] == sent["traceparent"].split("-")[1]
        assert "r-1" == sent["x-request-id"]
    assert first["k8s.audit.id"] != second["k8s.audit.id"]


def test_calls_made_by_a_pool_have_their_callers_ids(core: Any, api: Api):
    """``async_req=True``: a hundred callers, and no call has another one's ids."""
    with capture() as lines:
        asked = []
        for number in range(100):
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                asked.append(core.read_namespaced_pod(f"p-{number}", "shop", async_req=True))
        for one in asked:
            one.get()
    calls = lines.where(event="api call")
    assert 100 == len(calls) == len({line["k8s.audit.id"] for line in calls})
    for line in calls:
        assert line["request_id"].removeprefix("r-") == line["k8s.api.name"].removeprefix("p-")
    for sent in api.seen:
        assert sent["path"].endswith(f"/p-{sent['x-request-id'].removeprefix('r-')}")


class Older(kubernetes.client.ApiClient):
    """As clients before 37 did it: what the pool runs is all of a call, the headers' merging too."""

    def call_api(self, path: str, async_req: bool = False) -> Any:  # type: ignore[override]
        """Make a call, here or in the pool."""
        if async_req:
            return self.pool.apply_async(self._call, (path,))
        return self._call(path)

    def _call(self, path: str) -> Any:
        headers: dict[str, Any] = {}
        headers.update(self.default_headers)
        return self.rest_client.request("GET", self.configuration.host + path, headers=headers)


def test_calls_that_a_pool_makes_as_a_whole_have_their_callers_ids(core: Any, api: Api):
    """Nothing of a call is known where it was asked for, but its context is."""
    client: Any = Older(core.api_client.configuration, pool_threads=4)
    with capture() as lines:
        asked = []
        for number in range(100):
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                path = f"/api/v1/namespaces/shop/pods/p-{number}"
                asked.append(client.call_api(path, async_req=True))
        for one in asked:
            one.get()
        client.call_api("/api/v1/namespaces/shop/pods/p-100")
    client.close()
    calls = lines.where(event="api call")
    assert 101 == len(calls)
    for line in calls[:100]:
        assert line["request_id"].removeprefix("r-") == line["k8s.api.name"].removeprefix("p-")
    for sent in api.seen[:100]:
        assert sent["path"].endswith(f"/p-{sent['x-request-id'].removeprefix('r-')}")


def test_a_copy_of_a_client_calls_by_itself(core: Any, api: Api):
    """It has its own configuration: its calls do not go to where the first one's went."""
    first: Any = Older(core.api_client.configuration)
    other = copy.copy(first)
    other.configuration = kubernetes.client.Configuration(host="http://127.0.0.1:1")
    other.configuration.retries = False
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        other.call_api("/api/v1/pods")
    assert [] == api.seen
    first.close()


@pytest.mark.parametrize(("status", "level"), [(409, "info"), (429, "info"), (404, "debug")])
def test_conflicts_and_throttling_are_told(status: int, level: str, core: Any, api: Api):
    """The line says the status; the client's own exception goes on."""
    api.status = status
    with capture() as lines, pytest.raises(ApiException):
        core.replace_namespaced_pod("p-1", "shop", POD)
    line = lines.one(event="api call")
    assert (level, status, "update") == (
        line["level"], line["http.response.status_code"], line["k8s.api.verb"])  # fmt: skip


def test_a_call_that_reaches_nobody_says_so(core: Any, api: Api):
    """No status, but the kind of error."""
    core.api_client.configuration.host = "http://127.0.0.1:1"
    with capture() as lines, pytest.raises(Exception, match=r".+"):
        core.read_namespaced_pod("p-1", "shop")
    line = lines.one(event="api call")
    assert "http.response.status_code" not in line
    assert line["error.type"]


def test_own_headers_win_and_uninstalling_ends_it(core: Any, api: Api):
    """What the application sets by itself is sent; afterwards a call is plain."""
    client = core.api_client
    client.set_default_header("X-Request-ID", "mine")
    assert "mine" == client.default_headers["X-Request-ID"]
    core.read_namespaced_pod("p-1", "shop")
    for_threads.uninstall()
    with capture() as lines:
        core.read_namespaced_pod("p-1", "shop")
    assert ["mine", "mine"] == [sent["x-request-id"] for sent in api.seen]
    assert "audit-id" in api.seen[0]
    assert "audit-id" not in api.seen[1]
    assert [] == lines.where(event="api call")
    plain = kubernetes.client.ApiClient()
    assert type(plain.default_headers) is dict
    plain.close()


def test_an_informers_callbacks_are_entries(core: Any, api: Api):
    """Each event has its object and a link to where the callback was registered; it can be removed."""
    found: list[dict[str, Any]] = []

    def added(pod: Any) -> None:
        found.append(ctxlog.get_context() | {"saw": pod.metadata.name})

    informer = informers.SharedInformer(core.list_namespaced_pod, namespace="shop")
    with capture() as lines:
        with ctxlog.entry({"x-request-id": "starter"}):
            informer.add_event_handler("ADDED", added)
        informer.start()
        wait_for(lambda: found)
        informer.stop()
    fields = found[0]
    assert ("p-1", "p-1", "starter") == (
        fields["saw"], fields["k8s.object.name"], fields["link.request_id"])  # fmt: skip
    assert ("Pod/shop/p-1", "added") == (fields["k8s.object.ref"], fields["reason"])
    assert lines.where(event="reconcile", outcome="success")
    informer.remove_event_handler("ADDED", added)
    assert [] == informer._handlers["ADDED"]


def test_leader_election_callbacks_keep_their_context(installed: None):
    """They run in bare threads; the context is that of whoever made the Config."""
    found: list[dict[str, object]] = []
    with ctxlog.scope(role="leader"):
        config = elections.Config(object(), 17, 15, 5, lambda: found.append(ctxlog.get_context()),
                                  lambda: found.append(ctxlog.get_context()))  # fmt: skip
    for callback in (config.onstarted_leading, config.onstopped_leading):
        thread = threading.Thread(target=callback)
        thread.start()
        thread.join()
    assert [{"role": "leader"}] * 2 == found


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "library", [kubernetes_asyncio, kubernetes.aio], ids=lambda of: of.__name__
)
async def test_asyncio_clients_too(library: Any, api: Api, installed: None):
    """A hundred tasks at once: each call has its own task's ids; conflicts are told."""
    configuration = library.client.Configuration(host=f"http://127.0.0.1:{api.server_port}")
    async with library.client.ApiClient(configuration) as client:
        core = library.client.CoreV1Api(client)

        async def ask(number: int) -> None:
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                await core.read_namespaced_pod(f"p-{number}", "shop")

        with capture() as lines:
            await asyncio.gather(*map(ask, range(100)))
            api.status = 409
            with pytest.raises(library.client.ApiException):
                await core.delete_namespaced_pod("p-1", "shop")
    calls = lines.where(event="api call")
    for line in calls[:100]:
        assert line["request_id"].removeprefix("r-") == line["k8s.api.name"].removeprefix("p-")
    for sent in api.seen[:100]:
        assert sent["path"].endswith(f"/p-{sent['x-request-id'].removeprefix('r-')}")
    assert 101 == len({line["k8s.audit.id"] for line in calls})
    assert ("info", 409, "delete") == (
        calls[100]["level"], calls[100]["http.response.status_code"], calls[100]["k8s.api.verb"]
    )  # fmt: skip


class Sockets:
    """A server that takes an exec: it accepts the upgrade and says one line, or refuses."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.refuses = False

    async def answer(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        """Answer one request."""
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        audit = {"Audit-Id": request.headers.get("Audit-ID", "made-by-the-server")}
        if self.refuses:
            return aiohttp.web.Response(status=403, headers=audit)
        socket = aiohttp.web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        socket.headers.update(audit)
        await socket.prepare(request)
        await socket.send_bytes(b"\x01hello")
        await socket.close()
        return socket


@asynccontextmanager
async def sockets() -> AsyncGenerator[tuple[Sockets, str]]:
    """Serve on a free port."""
    there = Sockets()
    app = aiohttp.web.Application()
    app.router.add_route("*", "/{path:.*}", there.answer)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield there, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


EXEC = {"k8s.api.verb": "get", "k8s.api.resource": "pods/exec", "k8s.api.namespace": "shop",
        "k8s.api.name": "p-1", "request_id": "r-1"}  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client's own
async def test_an_exec_is_a_call(installed: None):
    """Over a WebSocket, which the client opens without our headers: its line has the server's id."""
    async with sockets() as (there, host):
        config = kubernetes.client.Configuration(host=host)

        def run() -> Any:
            with (
                kubernetes.client.ApiClient(config) as client,
                ctxlog.entry({"x-request-id": "r-1"}),
            ):
                core = kubernetes.client.CoreV1Api(client)
                ask = core.connect_get_namespaced_pod_exec
                return kubernetes.stream.stream(ask, "p-1", "shop", command=["secret"])

        with capture() as lines:
            assert "hello" == await asyncio.to_thread(run)
            there.refuses = True
            with pytest.raises(ApiException, match="403"):
                await asyncio.to_thread(run)
    told = {**EXEC, "k8s.audit.id": "made-by-the-server"}
    done, refused = lines.where(event="api call")
    assert {**told, "http.response.status_code": 101}.items() <= done.items()
    assert {**told, "http.response.status_code": 403}.items() <= refused.items()
    assert "secret" not in str([done, refused])
    gc.collect()  # the client left the refused socket open: warned of here, not in another test


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "library", [kubernetes_asyncio, kubernetes.aio], ids=lambda of: of.__name__
)
async def test_an_exec_that_is_awaited_is_a_call(library: Any, installed: None):
    """It sends our headers, and its line has the id that the server was sent."""
    async with (
        sockets() as (there, host),
        library.stream.WsApiClient(library.client.Configuration(host=host)) as client,
    ):
        ask = library.client.CoreV1Api(client).connect_get_namespaced_pod_exec
        with capture() as lines, ctxlog.entry({"x-request-id": "r-1"}):
            assert "hello" == await ask("p-1", "shop", command=["date"])
            there.refuses = True
            with pytest.raises(Exception, match="403"):
                await ask("p-1", "shop", command=["date"])
    done, refused = lines.where(event="api call")
    for line, sent in zip((done, refused), there.seen, strict=True):
        assert EXEC.items() <= line.items()
        assert "r-1" == sent["x-request-id"]
        assert sent["audit-id"] == line["k8s.audit.id"]
    assert 403 == refused["http.response.status_code"]


@pytest.mark.asyncio
async def test_an_exec_that_is_talked_to_is_a_call_once_it_is_open(installed: None):
    """What the client returns opens nothing yet: its line says what the server answered."""
    async with (
        sockets() as (there, host),
        kubernetes_asyncio.stream.WsApiClient(
            kubernetes_asyncio.client.Configuration(host=host)
        ) as client,
    ):
        core: Any = kubernetes_asyncio.client.CoreV1Api(client)
        ask = functools.partial(
            core.connect_get_namespaced_pod_exec,
            "p-1", "shop", command=["date"], _preload_content=False,
        )  # fmt: skip
        with capture() as lines, ctxlog.entry({"x-request-id": "r-1"}):
            opening = await ask()
            assert not lines.where(event="api call")
            async with opening as socket:
                assert b"\x01hello" == (await socket.receive()).data
            socket = await (await ask())
            await socket.close()
            there.refuses = True
            with pytest.raises(Exception, match="403"):
                await (await ask())
    told = lines.where(event="api call")
    assert [101, 101, 403] == [line["http.response.status_code"] for line in told]
    for line, sent in zip(told, there.seen, strict=True):
        assert EXEC.items() <= line.items()
        assert sent["audit-id"] == line["k8s.audit.id"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "library", [kubernetes_asyncio, kubernetes.aio], ids=lambda of: of.__name__
)
async def test_leader_election_coroutines_keep_their_context(library: Any, installed: None):
    """A function or a coroutine, run by whatever task: the context is that of the Config's maker."""
    found: list[dict[str, object]] = []

    async def led() -> None:
        await asyncio.sleep(0)
        found.append(ctxlog.get_context())

    config: Any = importlib.import_module(f"{library.__name__}.leaderelection.electionconfig")
    with ctxlog.scope(role="leader"):
        made = config.Config(object(), 17, 15, 5, led(), led)
    for callback in (made.onstarted_leading, made.onstopped_leading):
        led_by: Any = callback() if callable(callback) else callback
        await asyncio.create_task(led_by)
    assert [{"role": "leader"}] * 2 == found


@pytest.mark.asyncio
async def test_one_client_of_either_colour_is_instrumented(api: Api):
    """By the one function: what it makes of a client is what that client awaits, or does not."""
    host = f"http://127.0.0.1:{api.server_port}"
    try:
        with capture() as lines:
            config = kubernetes.aio.client.Configuration(host=host)
            async with kubernetes.aio.client.ApiClient(config) as waits:
                core = kubernetes.aio.client.CoreV1Api(for_threads.instrument(waits))
                await core.read_namespaced_pod("p-1", "shop")
            with kubernetes.client.ApiClient(kubernetes.client.Configuration(host=host)) as calls:
                kubernetes.client.CoreV1Api(for_threads.instrument(calls)).list_namespaced_pod(
                    "shop"
                )
        assert [("get", 200), ("list", 200)] == [
            (line["k8s.api.verb"], line["http.response.status_code"]) for line in lines]  # fmt: skip
    finally:
        for_threads.uninstall()


URLS = {
    ("GET", "/api/v1/pods"): ("list", "pods", None, None),
    ("GET", "/api/v1/pods?watch=true"): ("watch", "pods", None, None),
    ("GET", "/apis/apps/v1/namespaces/a/deployments/b/scale"): ("get", "deployments.apps/scale", "a", "b"),
    ("POST", "/api/v1/namespaces"): ("create", "namespaces", None, None),
    ("GET", "/api/v1/namespaces/a"): ("get", "namespaces", None, "a"),
    ("DELETE", "https://h:1/k8s/clusters/c/api/v1/namespaces/a/pods"): ("deletecollection", "pods", "a", None),
    ("PATCH", "/apis/example.dev/v1/namespaces/a/widgets/x%2Fy"): ("patch", "widgets.example.dev", "a", "x/y"),
    ("GET", "/version"): (None, None, None, None),
    ("GET", "/apis"): (None, None, None, None),
    ("GET", "/apis/apps/v1"): (None, None, None, None),
}  # fmt: skip


@pytest.mark.parametrize("asked", URLS, ids=" ".join)
def test_a_call_is_told_as_its_audit_event_tells_it(asked: tuple[str, str]):
    """Verb, resource, namespace and name of a URL."""
    fields = described(*asked)
    names = ("k8s.api.verb", "k8s.api.resource", "k8s.api.namespace", "k8s.api.name")
    assert URLS[asked] == tuple(fields.get(name) for name in names)


def test_a_query_beside_the_url_counts():
    """Clients give it in either place, and in any shape."""
    assert "watch" == described("GET", "/api/v1/pods", [("watch", True)])["k8s.api.verb"]
    assert "watch" == described("GET", "/api/v1/pods", {"watch": "True"})["k8s.api.verb"]
    assert "list" == described("GET", "/api/v1/pods", 5)["k8s.api.verb"]


def test_calls_that_are_never_made_are_forgotten():
    """Headers are made, and the call fails before it is sent: memory stays bounded."""
    calls = Calls()
    for _ in range(MAX_PENDING + 10):
        calls.headers(set())
    assert MAX_PENDING == len(calls._pending)


def test_what_fails_on_our_side_does_not_fail_the_call():
    """A counter moves."""
    calls = Calls()
    with moved("errors.api_call") as by:
        call = calls.begin("GET", 5, None, {})  # type: ignore[arg-type]
        assert call is not None
        with capture():
            call.end(object())
    assert 1 == by["errors.api_call"]
    with pytest.raises(UsageError, match="ApiClient"):
        for_threads.instrument(object())


def test_installing_after_one_client_was_instrumented(api: Api):
    """The clients that are made from then on have ids too."""
    configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{api.server_port}")
    alone = kubernetes.client.ApiClient(configuration)
    for_threads.instrument(alone)
    plain = kubernetes.client.ApiClient(configuration)
    try:
        for_threads.install()
        made = kubernetes.client.ApiClient(configuration)
        with capture() as lines:
            for client in (alone, plain, made):
                kubernetes.client.CoreV1Api(client).read_namespaced_pod("p-1", "shop")
                client.close()
        assert 2 == len(lines.where(event="api call"))
        assert [True, False, True] == ["audit-id" in sent for sent in api.seen]
    finally:
        for_threads.uninstall()


def wrapped_by_others(owner: Any, name: str) -> Callable[[], None]:
    """Put somebody else's wrapper around a method, and return what takes it away."""
    inner = getattr(owner, name)

    def theirs(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    setattr(owner, name, theirs)
    return lambda: setattr(owner, name, inner)


ORDERS: dict[str, list[str]] = {
    "uninstalled below it": ["install", "wrap", "uninstall", "install"],
    "twice": ["install", "wrap", "uninstall", "install", "wrap", "uninstall", "install"],
    "taken away": ["install", "wrap", "uninstall", "unwrap", "install"],
    "first": ["wrap", "install", "uninstall", "install"],
}


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_others_wrap_meanwhile_a_call_is_one_line_and_an_event_one_entry(
    order: str, api: Api
):
    """Wrapped by others, uninstalled, installed again, in any order."""
    places = [(kubernetes.client.ApiClient, "__init__"),
              (informers.SharedInformer, "add_event_handler"),
              (elections.Config, "__init__")]  # fmt: skip
    before = [getattr(owner, name) for owner, name in places]
    undo: list[Callable[[], None]] = []
    found: list[dict[str, Any]] = []
    client: Any = None
    try:
        for step in ORDERS[order]:
            if step == "wrap":
                undo += [wrapped_by_others(owner, name) for owner, name in places]
            elif step == "unwrap":
                while undo:
                    undo.pop()()
            else:
                getattr(for_threads, step)()
        configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{api.server_port}")
        client = kubernetes.client.ApiClient(configuration)
        core = kubernetes.client.CoreV1Api(client)
        informer = informers.SharedInformer(core.list_namespaced_pod, namespace="shop")
        informer.add_event_handler("ADDED", lambda _: found.append(ctxlog.get_context()))
        with capture() as lines:
            core.read_namespaced_pod("p-1", "shop")
            for handler in informer._handlers["ADDED"]:
                handler(POD)
        assert 1 == len(lines.where(event="api call"))
        assert 1 == len(lines.where(event="reconcile"))
        assert 1 == len(found)
    finally:
        for_threads.uninstall()
        for (owner, name), function in zip(places, before, strict=True):
            setattr(owner, name, function)
        if client is not None:
            client.close()


def test_headers_that_are_replaced_do_not_double_a_call(core: Any, api: Api):
    """A client that is instrumented again after that has ids again, and one line a call."""
    core.api_client.default_headers = {"User-Agent": "mine"}
    for_threads.instrument(core.api_client)
    with capture() as lines:
        core.read_namespaced_pod("p-1", "shop")
    assert 1 == len(lines.where(event="api call"))
    assert "audit-id" in api.seen[0]
    assert "mine" == api.seen[0]["user-agent"]


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda headers: pickle.loads(pickle.dumps(headers)),
    "copy": lambda headers: headers.copy(),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_clients_headers_is_plain(how: str, core: Any):
    """It is made as one of a dict is, and has no ids in it: they would be those of now for ever."""
    core.api_client.set_default_header("X-Team", "shop")
    copied = COPIES[how](core.api_client.default_headers)
    assert type(copied) is dict
    assert {"X-Team", "User-Agent"} == copied.keys()


def test_headers_taken_from_another_client_bring_no_ids_of_then(core: Any, api: Api):
    """Each call of the other client has ids of its own, however the headers were merged."""
    with ctxlog.entry({"x-request-id": "then"}):
        merged = {**core.api_client.default_headers, "X-Team": "shop"}
    configuration = core.api_client.configuration
    with kubernetes.client.ApiClient(configuration) as updated:
        updated.default_headers.update(merged)
        with kubernetes.client.ApiClient(configuration) as replaced:
            replaced.default_headers = merged
            for_threads.instrument(replaced)
            for client in (updated, replaced):
                for number in range(2):
                    with ctxlog.entry({"x-request-id": f"r-{number}"}):
                        kubernetes.client.CoreV1Api(client).read_namespaced_pod("p-1", "shop")
    assert ["r-0", "r-1", "r-0", "r-1"] == [sent["x-request-id"] for sent in api.seen]
    assert 4 == len({sent["audit-id"] for sent in api.seen})
    assert {"shop"} == {sent["x-team"] for sent in api.seen}


def sized(pod: Any, size: int = 0) -> int:
    """Stand for an informer's callback."""
    return size


class Odd:
    """A callback whose own attributes are no names."""

    def __init__(self) -> None:
        self.__qualname__: Any = 5
        self.__module__ = ["no", "name"]  # type: ignore[assignment]

    def __call__(self, pod: Any) -> int:
        """Be told of a pod."""
        return 7


def test_callbacks_of_any_kind_are_called_and_named():
    """A partial is known by its function; one without names is called all the same."""
    with capture() as lines:
        assert 3 == for_threads.EventHandler(functools.partial(sized, size=3), "ADDED")(POD)
        assert 7 == for_threads.EventHandler(Odd(), "ADDED")(POD)
    first, second = lines.where(event="reconcile")
    assert ("sized", __name__) == (first["handler"], first["logger"])
    assert ("Odd", "kubernetes") == (second["handler"], second["logger"])
    assert "Pod/shop/p-1" == first["k8s.object.ref"] == second["k8s.object.ref"]


@pytest.mark.asyncio
async def test_a_body_that_a_client_logs_shows_no_secret(api: Api):
    """At debug it writes each response whole."""
    api.body = {
        "kind": "Secret",
        "metadata": {"name": "db", "managedFields": [{"manager": "needle"}]},
        "data": {"a": "needle"},
    }
    host = f"http://127.0.0.1:{api.server_port}"
    with configured(stdlib=True, level="debug") as written:
        config = kubernetes_asyncio.client.Configuration(host=host)
        async with kubernetes_asyncio.client.ApiClient(config) as client:
            core = kubernetes_asyncio.client.CoreV1Api(client)
            assert {"a": "needle"} == (await core.read_namespaced_secret("db", "shop")).data
        log = logging.getLogger("kubernetes.client.rest")  # until its version 35
        log.debug("response body: %s", json.dumps([api.body]))
        log.debug("response body: %s", "no JSON: needle-free")
        log.debug("response body: %s %d", b"3", 4)
        log.debug("%(body)s", {"body": json.dumps(api.body)[:9]})
    lines = [line for line in written.events if line["logger"].endswith(".client.rest")]
    assert 5 == len(lines)
    assert "'name': 'db'" in lines[0]["event"]
    assert ["response body: no JSON: needle-free", "response body: b'3' 4"] == [
        line["event"] for line in lines[2:4]]  # fmt: skip
    assert "needle'" not in written.getvalue().decode()
    assert not log.filters


def test_tls_that_fails_is_no_status(api: Api, installed: None):
    """The client tells of it as an ApiException whose status is 0."""
    configuration = kubernetes.client.Configuration(host=f"https://127.0.0.1:{api.server_port}")
    configuration.retries = False
    with kubernetes.client.ApiClient(configuration) as client, capture() as lines:
        with pytest.raises(ApiException):
            kubernetes.client.CoreV1Api(client).read_namespaced_pod("p-1", "shop")
    line = lines.one(event="api call")
    assert "SSLError" == line["error.type"]
    assert "http.response.status_code" not in line


def library_of_another_version(tmp_path: Any, name: str) -> None:
    """Write a client library that is made as no known one is."""
    package = tmp_path / name
    for folder in ("", "client", "informer", "leaderelection", "stream"):
        (package / folder).mkdir(parents=True, exist_ok=True)
        (package / folder / "__init__.py").write_text("")
    (package / "client" / "api_client.py").write_text(
        "class ApiClient:\n    def __init__(self): self.transport = None\n"
    )
    for module in ("informer/informer", "leaderelection/electionconfig", "stream/ws_client"):
        (package / f"{module}.py").write_text("")


@pytest.mark.parametrize("waits", [False, True])
def test_a_version_that_is_not_known_is_said_once(
    waits: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    """One warning for each of its modules, and everything of it works as without us."""
    name = f"unknown_client_{waits}".lower()
    library_of_another_version(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    clients = Clients(name, waits=waits)
    with capture() as lines:
        clients.install()
        for module in ("informer.informer", "leaderelection.electionconfig", "stream.ws_client"):
            importlib.import_module(f"{name}.{module}")
        made = importlib.import_module(f"{name}.client.api_client")
        assert [None, None] == [made.ApiClient().transport for _ in range(2)]
        clients.uninstall()
        clients.install()
        clients.uninstall()
    assert "__init__" in vars(made.ApiClient)
    modules = ["client.api_client", "informer.informer", "leaderelection.electionconfig",
               "stream.ws_client"]  # fmt: skip
    assert [f"{name}.{module}" for module in modules] == sorted(
        line["module"] for line in lines.where(level="warning")
    )
