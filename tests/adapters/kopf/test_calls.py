"""kopf's own API calls: the ids of whoever they are made for, and a line each, if asked for."""

from __future__ import annotations

import asyncio
import importlib
import re
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import kopf
import pytest

import ctxlog
from ctxlog.adapters import kopf as adapter
from ctxlog.errors import UsageError
from ctxlog.kubernetes.calls import EVENT
from tests.kubernetes.cluster import Cluster, body, cluster, operator, until

if TYPE_CHECKING:
    from tests.adapters.kopf.conftest import Lines

pytestmark = pytest.mark.asyncio
OBJECTS = 20
POSTER = "kopf._core.engines.posting"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
log = ctxlog.get_logger("operator")


def made_by(there: Cluster, method: str, part: str) -> list[Any]:
    """Return the requests of a kind that reached the cluster."""
    return [one for one in there.requests if one.method == method and part in str(one.url)]


def header(request: Any, name: str) -> str | None:
    """Return a header of a request as it arrived."""
    found = {key.lower(): value for key, value in request.headers.items()}
    return found.get(name)


def refuse(there: Cluster, status: int) -> None:
    """Let the cluster refuse events from now on."""
    _ = there.emulator["post /api/v1/namespaces/shop/events"] << status


@pytest.mark.timeout(400)
async def test_each_patch_has_the_ids_of_the_object_that_it_is_made_for(lines: Lines):
    """Its line, the handler's and the audit log's join: 20 objects at once, each with its own."""
    adapter.install(api_calls=True)
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", registry=registry)
    async def created(name: str, patch: Any, **_: Any) -> None:
        log.info("created", saw=name)
        patch.setdefault("status", {})["seen"] = name

    async with cluster() as there:
        async with operator(there, registry) as running:
            await until(lambda: there.requests, running)
            for number in range(OBJECTS):
                await there.create(body(number))
            await until(lambda: len(lines.of(event="created")) >= OBJECTS, running)
            await until(
                lambda: all("status" in there.get(number) for number in range(OBJECTS)), running
            )
        patches = {
            str(one.url).partition("/widgets/")[2].partition("?")[0]: one
            for one in made_by(there, "PATCH", "/widgets/")
        }
    told = {line["k8s.audit.id"]: line for line in lines.of(event=EVENT)}
    by_name = {line["saw"]: line for line in lines.of(event="created")}
    for name in (f"w-{number}" for number in range(OBJECTS)):
        handler, request = by_name[name], patches[name]
        audit, parent = header(request, "audit-id"), header(request, "traceparent")
        assert UUID.fullmatch(str(audit))
        assert str(parent).split("-")[1] == handler["trace_id"]
        assert audit is not None
        line = told[audit]
        assert ("patch", "widgets.example.dev", "shop", name) == tuple(
            line[f"k8s.api.{part}"] for part in ("verb", "resource", "namespace", "name")
        )
        assert (name, handler["reconcile_id"], handler["trace_id"], "debug", 200) == (
            line["k8s.object.name"],
            line["reconcile_id"],
            line["trace_id"],
            line["level"],
            line["http.response.status_code"],
        )
    assert lines.of(event=EVENT, **{"k8s.api.verb": "watch"})


async def test_without_being_asked_nothing_is_sent(lines: Lines):
    """Kopf's calls are as they were."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", registry=registry)
    async def created(**_: Any) -> None:
        log.info("created")

    async with cluster() as there:
        async with operator(there, registry) as running:
            await until(lambda: there.requests, running)
            await there.create(body(1))
            await until(lambda: lines.of(event="created"), running)
            await until(lambda: made_by(there, "PATCH", "/widgets/"), running)
        assert {None} == {header(one, "audit-id") for one in there.requests}
    assert not lines.of(event=EVENT)


async def test_a_session_of_ones_own_is_told_of_kopfs_calls_alone(lines: Lines):
    """What the operator's author does with the same session has none of these ids."""
    adapter.install(api_calls=True)
    registry = kopf.OperatorRegistry()
    async with cluster() as there, aiohttp.ClientSession() as session:

        @kopf.on.create("widgets", registry=registry)
        async def created(name: str, **_: Any) -> None:
            async with session.get(f"{there.url}/api/v1/namespaces/shop/secrets/{name}") as answer:
                await answer.read()
            log.info("seen")

        there.session = session
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: made_by(there, "PATCH", "/widgets/"), running)
            await until(lambda: lines.of(event=EVENT, **{"k8s.api.verb": "patch"}), running)
        own, patches = made_by(there, "GET", "/secrets/w-1"), made_by(there, "PATCH", "/widgets/")
    assert own
    assert {(None, None)} == {(header(o, "audit-id"), header(o, "traceparent")) for o in own}
    assert not lines.of(event=EVENT, **{"k8s.api.resource": "secrets"})
    told = lines.of(event=EVENT, **{"k8s.api.verb": "patch"})
    assert [header(one, "audit-id") for one in patches] == [line["k8s.audit.id"] for line in told]
    assert {"w-1"} == {line["k8s.object.name"] for line in told}


async def test_a_session_that_logs_in_again_has_one_line_a_call(lines: Lines):
    """After a 401 a login handler may return the same session once more."""
    auth = importlib.import_module("kopf._cogs.clients.auth")
    async with cluster() as there, aiohttp.ClientSession() as session:
        info = kopf.AiohttpSession(aiohttp_session=session, server=there.url)
        url = f"{there.url}/api/v1/namespaces/shop/secrets/s"
        context: Any = None
        for _ in range(2):
            adapter.uninstall()  # and installing again is no other
            adapter.install(api_calls=True)
            auth.APIContext(info)
            context = auth.APIContext(info)
            lines.clear()
            response = await context.session.request(method="get", url=url, headers=None)
            await response.read()
            (line,) = lines.of(event=EVENT)
            assert ("get", 404) == (line["k8s.api.verb"], line["http.response.status_code"])
        adapter.uninstall()
        lines.clear()
        response = await context.session.request(method="get", url=url)
        await response.read()
        assert not lines.of(event=EVENT)
        assert not context.session.closed


async def test_a_call_that_fails_is_told_with_its_error(lines: Lines):
    """Nobody answers there; kopf gets the very error."""
    auth = importlib.import_module("kopf._cogs.clients.auth")
    adapter.install(api_calls=True)
    async with aiohttp.ClientSession() as session:
        info = kopf.AiohttpSession(aiohttp_session=session, server="http://127.0.0.1:9")
        with pytest.raises(aiohttp.ClientConnectorError):
            await auth.APIContext(info).session.request("get", "http://127.0.0.1:9/api/v1/pods")
    (line,) = lines.of(event=EVENT)
    assert ("list", "pods", "ClientConnectorError") == (
        line["k8s.api.verb"], line["k8s.api.resource"], line["error.type"],
    )  # fmt: skip


async def test_each_try_of_a_call_that_fails_has_a_line(lines: Lines):
    """A cluster that refuses is told with its status, each try with an id of its own."""
    adapter.install(api_calls=True)
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def seen(body: Any, **_: Any) -> None:
        kopf.info(body, reason="Seen", message="by hand")
        log.info("seen")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry, posting__enabled=True) as running:
            refuse(there, 429)
            await until(lambda: lines.of(**{"http.response.status_code": 429}), running)
    first = lines.of(**{"http.response.status_code": 429})[0]
    assert ("info", "create", "events", "Widget/shop/w-1") == (
        first["level"], first["k8s.api.verb"], first["k8s.api.resource"], first["k8s.object.ref"],
    )  # fmt: skip
    assert lines.of(event="seen")[0]["trace_id"] == first["trace_id"]


async def test_kopfs_line_of_an_event_that_could_not_be_posted_has_the_object(lines: Lines):
    """The poster works for all objects at once; what it says of one has that one's fields."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def seen(body: Any, name: str, **_: Any) -> None:
        kopf.info(body, reason="Seen", message=name)
        log.info("seen", saw=name)

    async with cluster() as there:
        refuse(there, 400)
        there.put(*(body(number) for number in range(OBJECTS)))
        async with operator(there, registry, posting__enabled=True) as running:
            await until(lambda: len(lines.of(logger=POSTER)) >= OBJECTS, running)
    handled = {(line["saw"], line["reconcile_id"]) for line in lines.of(event="seen")}
    for line in lines.of(logger=POSTER):
        (name,) = re.findall(r"message='(w-\d+)'", line["event"])
        assert name == line["k8s.object.name"]
        assert (name, line["reconcile_id"]) in handled


async def test_an_event_posted_from_a_bare_thread_has_the_object_that_it_is_about(lines: Lines):
    """Nothing is current there: the reference says which object it is."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", registry=registry)
    async def created(logger: Any, **_: Any) -> None:
        thread = threading.Thread(target=logger.info, args=("from a thread",))
        thread.start()
        await asyncio.to_thread(thread.join)

    async with cluster() as there:
        refuse(there, 400)
        there.put(body(1))
        async with operator(
            there, registry, posting__enabled=True, posting__loggers=True
        ) as running:
            await until(lambda: lines.of(logger=POSTER), running)
    line = lines.of(logger=POSTER)[0]
    assert "Widget/shop/w-1" == line["k8s.object.ref"]


async def test_misuse_says_what_is_taken(lines: Lines):
    """A switch is a bool."""
    wrong: Any = "yes"
    with pytest.raises(UsageError, match="api_calls"):
        adapter.install(api_calls=wrong)
