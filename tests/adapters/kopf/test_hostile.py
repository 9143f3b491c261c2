"""Handlers as odd as they come, and who calls them: each line is still of the right object."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import kmock
import kopf
import pytest

import ctxlog
from ctxlog.adapters import kopf as adapter
from ctxlog.adapters.kopf import units
from tests.kubernetes.cluster import body, cluster, operator, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapters.kopf.conftest import Lines

pytestmark = pytest.mark.asyncio
log = ctxlog.get_logger("operator")


class Plain:
    """An object that is called."""

    def __call__(self, **_: Any) -> None:
        """Be called itself."""
        log.info("said", by="callable")

    def method(self, **_: Any) -> None:
        """Be called by way of its object."""
        log.info("said", by="method")

    async def coroutine(self, **_: Any) -> None:
        """Be awaited."""
        log.info("said", by="coroutine")


def plain(by: str, **_: Any) -> None:
    """Take part of its arguments from a partial."""
    log.info("said", by=by)


async def awaited(by: str, **_: Any) -> None:
    """The same, as a coroutine."""
    log.info("said", by=by)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a coroutine function, as many a library does."""

    @functools.wraps(function)
    async def wrapper(**kwargs: Any) -> Any:
        return await function(**kwargs)

    return wrapper


def nameless() -> Callable[..., None]:
    """Return a function that knows no module of its own."""

    def function(**_: Any) -> None:
        log.info("said", by="nameless")

    function.__module__ = None  # type: ignore[assignment]
    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "callable": Plain(),
    "method": Plain().method,
    "coroutine": Plain().coroutine,
    "partial": functools.partial(plain, "partial"),
    "awaited": functools.partial(awaited, "awaited"),
    "twice": functools.partial(functools.partial(plain), "twice"),
    "lambda": lambda **_: log.info("said", by="lambda"),
    "decorated": decorated(functools.partial(awaited, "decorated").func),
    "nameless": nameless(),
    "scope": ctxlog.scope(mine=1)(functools.partial(plain, "scope").func),
    "operation": ctxlog.operation("mine")(functools.partial(awaited, "operation").func),
}


async def test_functions_of_every_kind_are_handlers(lines: Lines):
    """Each runs, in its own colour, with its object and one closing line."""
    registry = kopf.OperatorRegistry()
    for name, function in FUNCTIONS.items():
        told = name in ("decorated", "scope", "operation")  # the others say it by themselves
        one = functools.partial(function, by=name) if told else function
        kopf.on.event("widgets", id=name, registry=registry)(one)
    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(
                lambda: FUNCTIONS.keys() <= {line["by"] for line in lines.of(event="said")}, running
            )
    for line in lines.of(event="said"):
        assert ("Widget/shop/w-1", line["by"]) == (line["k8s.object.ref"], line["handler"])
    said = Counter((line["by"], line["reconcile_id"]) for line in lines.of(event="said"))
    closed = Counter((c["handler"], c["reconcile_id"]) for c in lines.of(event="reconcile"))
    assert {1} == set(said.values())
    assert said == closed


async def test_uninstalling_and_installing_while_a_handler_runs(lines: Lines):
    """What has begun ends as it began; nothing is raised, nothing comes twice."""
    registry = kopf.OperatorRegistry()
    go_on = asyncio.Event()

    @kopf.on.event("widgets", registry=registry)
    async def seen(**_: Any) -> None:
        log.info("before")
        await go_on.wait()
        log.info("after")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="before"), running)
            adapter.uninstall()
            adapter.install()
            adapter.uninstall()
            go_on.set()
            await until(lambda: lines.of(event="after"), running)
            plain = len(lines.of(event="after"))
            adapter.install()
            await there.patch(1, {"spec": {"size": 7}})
            await until(lambda: len(lines.of(event="after")) > plain, running)
    first, last = lines.of(event="after")[0], lines.of(event="after")[-1]
    assert "Widget/shop/w-1" == first["k8s.object.ref"] == last["k8s.object.ref"]
    assert first["reconcile_id"] != last["reconcile_id"]
    ids = [line["reconcile_id"] for line in lines.of(event="reconcile")]
    assert len(ids) == len(set(ids))


async def test_what_a_handler_leaves_behind_keeps_its_object(lines: Lines):
    """A task of a handler's goes on when others are handled, and says whose it was."""
    registry = kopf.OperatorRegistry()
    go_on = asyncio.Event()
    left: set[asyncio.Task[None]] = set()

    async def later(name: str) -> None:
        await go_on.wait()
        log.info("later", saw=name)

    @kopf.on.event("widgets", registry=registry)
    async def seen(name: str, **_: Any) -> None:
        left.add(asyncio.create_task(later(name)))
        log.info("seen", saw=name)

    async with cluster() as there:
        there.put(*(body(number) for number in range(20)))
        async with operator(there, registry) as running:
            await until(lambda: len({x["saw"] for x in lines.of(event="seen")}) == 20, running)
            go_on.set()
            await until(lambda: len({x["saw"] for x in lines.of(event="later")}) == 20, running)
    for line in lines.of(event="later"):
        assert line["saw"] == line["k8s.object.name"]
    runs = {(line["saw"], line["reconcile_id"]) for line in lines.of(event="seen")}
    assert {(line["saw"], line["reconcile_id"]) for line in lines.of(event="later")} <= runs


async def test_sub_handlers_of_sub_handlers(lines: Lines):
    """Each is a run of its own of the same object, as often as it is tried."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", id="top", registry=registry)
    def top(**_: Any) -> None:
        @kopf.subhandler(id="middle")
        async def middle(**_: Any) -> None:
            @kopf.subhandler(id="leaf")
            def leaf(name: str, retry: int, **_: Any) -> None:
                log.info("leaf", saw=name)
                if retry == 0:
                    raise kopf.TemporaryError("again", delay=0.01)

    async with cluster() as there:
        there.put(body(1), body(2))
        async with operator(there, registry) as running:
            done = {"event": "reconcile", "handler": "top/middle/leaf", "outcome": "success"}
            await until(lambda: len({x["k8s.object.name"] for x in lines.of(**done)}) == 2, running)
    for line in lines.of(event="leaf"):
        assert line["saw"] == line["k8s.object.name"]
        assert "top/middle/leaf" == line["handler"]
    for handler in ("top", "top/middle", "top/middle/leaf"):
        closing = lines.of(event="reconcile", handler=handler)
        assert {0, 1} == {line["retry"] for line in closing}
        assert all(line["k8s.object.ref"].startswith("Widget/shop/w-") for line in closing)
    leaf = lines.of(event="reconcile", handler="top/middle/leaf")
    leaves = {(line["retry"], line["outcome"]) for line in leaf}
    assert {(0, "retry"), (1, "success")} == leaves


async def test_a_daemon_does_not_hold_the_body_of_the_event_that_spawned_it(lines: Lines):
    """It may run for months; and a body may have a megabyte."""
    registry = kopf.OperatorRegistry()
    running_now = []

    @kopf.daemon("widgets", registry=registry, cancellation_timeout=0.1)
    async def daemon(stopped: Any, **_: Any) -> None:
        running_now.append(1)
        await stopped.wait()

    @kopf.timer("widgets", interval=3600, registry=registry)
    async def timer(**_: Any) -> None:
        running_now.append(1)

    def held() -> int:
        gc.collect()
        cycles = [one for one in gc.get_objects() if type(one) is units.Cycle]
        assert cycles
        return sum(cycle.body is not units.GONE for cycle in cycles)

    async with cluster() as there:
        there.put(*(body(number) for number in range(5)))
        async with operator(there, registry, queueing__idle_timeout=0.05) as running:
            await until(lambda: len(running_now) == 10, running)
            await until(lambda: held() == 0, running)


SECRETS = kmock.resource("", "v1", "secrets")
NEEDLE = "bm9ib2R5LXNlZXMtdGhpcw=="


async def test_nothing_of_a_secret_that_is_handled_is_on_any_line(lines: Lines):
    """Created, changed and patched, at debug: not by kopf's lines, nor by those of a failure."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("secrets", registry=registry)
    async def created(logger: Any, body: Any, patch: Any, **_: Any) -> None:
        patch.setdefault("stringData", {})["made"] = NEEDLE
        log.info("made", body=body)
        log.info("made of %s", body)
        logger.info("told of %s", body)

    @kopf.on.update("secrets", registry=registry)
    def updated(body: Any, logger: Any, retry: int, **_: Any) -> None:
        logger.info("changed", extra={"body": body})
        if retry == 0:
            raise kopf.TemporaryError("again", delay=0.01)

    path = "/api/v1/namespaces/shop/secrets/s"
    async with cluster() as there:
        there.emulator.objects[SECRETS, "shop", "s"] = {
            "apiVersion": "v1", "kind": "Secret", "data": {"key": NEEDLE},
            "metadata": {"name": "s", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
        }  # fmt: skip
        async with operator(there, registry) as running:
            await until(lambda: [x for x in lines if "Creation is proc" in x["event"]], running)
            await there.call("PATCH", path, {"data": {"other": NEEDLE}})
            done = {"event": "reconcile", "reason": "update", "outcome": "success"}
            await until(lambda: lines.of(**done), running)
    assert lines.of(event="changed")
    assert [] == [line for line in lines if NEEDLE in json.dumps(line, default=str)]


def check_refusal(lines: Lines) -> None:
    """A refusal is an answer: it closes without an error, and says what was answered."""
    closing = lines.of(event="reconcile")
    assert len(closing) == len({line["reconcile_id"] for line in closing})
    (refusal,) = [line for line in closing if line["outcome"] != "success"]
    assert {
        "outcome": "refused", "level": "info", "k8s.admission.uid": "review-3",
        "k8s.admission.code": 403, "k8s.admission.message": "not this one",
    }.items() <= refusal.items()  # fmt: skip
    assert not {name for name in refusal if name.startswith("exception")}
    (kopfs,) = [line for line in lines if "failed permanently" in line["event"]]
    assert "review-3" == kopfs["k8s.admission.uid"]


async def test_a_real_webhook_server_with_many_requests_at_once(lines: Lines):
    """Each line has the ids and the object of its own request; credentials are on none."""
    registry = kopf.OperatorRegistry()

    @kopf.on.validate("widgets", id="check", registry=registry)
    def check(name: str, **_: Any) -> None:
        log.info("checked", saw=name)
        if name == "w-3":
            raise kopf.AdmissionError("not this one", code=403)

    @kopf.on.mutate("widgets", id="fill", registry=registry)
    async def fill(name: str, patch: Any, **_: Any) -> None:
        await asyncio.sleep(0)
        log.info("filled", saw=name)
        patch["spec"] = {"filled": True}

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = kopf.WebhookServer(addr="127.0.0.1", port=port, insecure=True)
    widgets = {"group": "example.dev", "version": "v1", "resource": "widgets"}

    async def ask(number: int, handler: str) -> dict[str, Any]:
        request = {
            "uid": f"review-{number}", "operation": "CREATE", "resource": widgets,
            "object": body(number), "oldObject": None, "dryRun": False, "userInfo": {},
        }  # fmt: skip
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": request,
        }
        headers = {
            "TRACEPARENT": f"00-{number:032x}-{'b' * 16}-01",
            "X-Request-Id": f"request-{number}",
            "Authorization": "Bearer the-token",
        }
        url = f"http://127.0.0.1:{port}/{handler}"
        async with session.post(url, json=review, headers=headers) as response:
            answer: dict[str, Any] = (await response.json())["response"]
            return answer

    async with cluster() as there, operator(there, registry, admission__server=server) as running:
        async with aiohttp.ClientSession() as session:

            async def is_ready() -> bool:
                try:
                    return not (await ask(3, "check"))["allowed"]  # discovered, and handled
                except (aiohttp.ClientError, KeyError):
                    return False

            async with asyncio.timeout(60):
                while not await is_ready():
                    assert not running.done()
                    await asyncio.sleep(0.01)
            lines.clear()
            asked = [(number, name) for number in range(1, 51) for name in ("check", "fill")]
            answers = await asyncio.gather(*(ask(*one) for one in asked))
    refused = [one for one, answer in zip(asked, answers, strict=True) if not answer["allowed"]]
    assert [(3, "check")] == refused
    told = lines.of(event="checked") + lines.of(event="filled")
    assert 100 == len(told)
    for line in told:
        number = int(line["saw"].removeprefix("w-"))
        assert f"{number:032x}" == line["trace_id"]
        assert f"request-{number}" == line["request_id"]
        assert f"Widget/shop/w-{number}" == line["k8s.object.ref"]
        assert f"review-{number}" == line["k8s.admission.uid"]
    assert 100 == len(lines.of(event="reconcile"))
    check_refusal(lines)
    assert [] == [line for line in lines if "the-token" in json.dumps(line, default=str)]
