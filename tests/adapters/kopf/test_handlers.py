"""Real operators against a cluster's API: each line has the object that it is about."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import json
import logging
import threading
from collections import Counter
from typing import Any

import kopf
import pytest

import ctxlog
from ctxlog.adapters import kopf as adapter
from ctxlog.adapters.kopf.tracing import ANNOTATION, put_trace
from ctxlog.sampling import Tail
from tests.adapters.kopf.conftest import Lines
from tests.kubernetes.cluster import RESOURCE, Cluster, body, cluster, operator, until

pytestmark = pytest.mark.asyncio
OBJECTS = 200
log = ctxlog.get_logger("operator")
stdlib = logging.getLogger("operator.stdlib")
SYNC, ASYNC = "sync", "async"


def write(kind: str, name: str, logger: Any) -> None:
    """Write at every door, saying which object the handler was given."""
    log.info(kind, saw=name)
    stdlib.info(kind, extra={"saw": name})
    logger.info(kind, extra={"saw": name})


def everything(registry: kopf.OperatorRegistry) -> set[str]:  # noqa: C901 - a handler a kind
    """Register a handler of every kind that is told of objects, as both colours."""
    kinds: dict[str, Any] = {
        "create": kopf.on.create,
        "resume": kopf.on.resume,
        "update": kopf.on.update,
        "delete": kopf.on.delete,
        "event": kopf.on.event,
        "index": kopf.index,
    }
    for kind, decorator in kinds.items():

        def plain(name: str, logger: Any, _kind: str = kind, **_: Any) -> None:
            ctxlog.bind_context(leaked=f"{_kind}-{SYNC}")
            write(f"{_kind}-{SYNC}", name, logger)

        async def coroutine(name: str, logger: Any, _kind: str = kind, **_: Any) -> None:
            ctxlog.bind_context(leaked=f"{_kind}-{ASYNC}")
            write(f"{_kind}-{ASYNC}", name, logger)
            await asyncio.sleep(0)
            write(f"{_kind}-{ASYNC}", name, logger)

        for function, colour in ((plain, SYNC), (coroutine, ASYNC)):
            decorator("widgets", id=f"{kind}_{colour}", registry=registry)(function)

    @kopf.on.field("widgets", id="field_async", field="spec.size", registry=registry)
    async def field(name: str, logger: Any, **_: Any) -> None:
        write(f"field-{ASYNC}", name, logger)

    @kopf.on.create("widgets", id="parent", registry=registry)
    async def parent(**_: Any) -> None:
        @kopf.subhandler(id="child")
        async def child(name: str, logger: Any, **_: Any) -> None:
            write(f"child-{ASYNC}", name, logger)

    @kopf.daemon("widgets", id="daemon_async", registry=registry, cancellation_timeout=0.1)
    async def daemon(name: str, logger: Any, stopped: Any, **_: Any) -> None:
        write(f"daemon-{ASYNC}", name, logger)
        await stopped.wait()

    @kopf.timer("widgets", id="timer_sync", interval=3600, registry=registry)
    def timer(name: str, logger: Any, **_: Any) -> None:
        write(f"timer-{SYNC}", name, logger)

    @kopf.timer("widgets", id="timer_async", interval=3600, registry=registry)
    async def timer_async(name: str, logger: Any, **_: Any) -> None:
        write(f"timer-{ASYNC}", name, logger)

    both = {f"{kind}-{colour}" for kind in [*kinds, "timer"] for colour in (SYNC, ASYNC)}
    return both | {f"child-{ASYNC}", f"daemon-{ASYNC}", f"field-{ASYNC}"}


def check(lines: Lines) -> None:
    """Every line that says whom it saw has that object; every line with an object is of one piece."""
    for line in lines:
        if "saw" in line:
            assert line["saw"] == line["k8s.object.name"], line
            number = line["saw"].removeprefix("w-")
            assert f"uid-{number}" == line["k8s.object.uid"]
            assert f"Widget/shop/w-{number}" == line["k8s.object.ref"]
            assert {"reconcile_id", "handler", "reason", "retry", "request_id"} <= line.keys()
            kind, _, colour = line["event"].partition("-")
            told = line["handler"].replace("/", "_").removeprefix("parent_")
            assert told in (f"{kind}_{colour}", kind, f"{kind}_{colour}_spec.size"), line
            assert line.get("leaked", f"{kind}-{colour}") == f"{kind}-{colour}", line
        elif line["logger"] == "kopf.objects":
            number = line["k8s.object.name"].removeprefix("w-")
            assert f"Widget/shop/w-{number}" == line["k8s.object.ref"]
            assert f"uid-{number}" == line["k8s.object.uid"]
            assert "leaked" not in line, line
        assert not {"settings", "k8s_ref", "k8s_skip"} & line.keys(), line


@pytest.mark.timeout(400)  # some seconds; a busy machine is no failure
async def test_every_kind_of_handler_with_200_objects_at_once(lines: Lines):
    """All kinds, both colours, 200 objects in parallel: each line has its object, none another's."""
    registry = kopf.OperatorRegistry()
    kinds = everything(registry)
    handled = {"kopf.zalando.org/last-handled-configuration": json.dumps({"spec": {"size": 0}})}
    async with cluster() as there:
        there.put(*(body(n) for n in range(OBJECTS)))
        there.put(body(OBJECTS, annotations=handled))  # known: it is resumed, and has changed
        async with operator(there, registry, queueing__idle_timeout=0.5) as running:
            known = OBJECTS + 1

            def whom(event: str) -> set[str]:
                return {line["saw"] for line in lines.of(event=event)}

            await until(lambda: len(whom("create-async")) == OBJECTS, running)
            await until(lambda: len(whom("child-async")) == OBJECTS, running)
            await until(lambda: len(whom("timer-sync")) == known, running)
            await until(lambda: len(whom("daemon-async")) == known, running)
            await until(lambda: lines.of(event="resume-async"), running)
            settled = "kopf.zalando.org/last-handled-configuration"
            await until(lambda: settled in there.get(1)["metadata"].get("annotations", {}), running)
            await there.patch(1, {"spec": {"size": 77}})
            await until(lambda: lines.of(event="update-async", saw="w-1"), running)
            await until(lambda: lines.of(event="field-async", saw="w-1"), running)
            await there.delete(1)
            await until(lambda: lines.of(event="delete-async", saw="w-1"), running)
    assert kinds == {line["event"] for line in lines if "saw" in line}
    check(lines)
    closing = lines.of(event="reconcile")
    assert {"success"} == {line["outcome"] for line in closing} - {"cancelled"}
    assert all("duration_s" in line and "k8s.object.ref" in line for line in closing)


async def test_what_a_handler_binds_is_gone_for_everything_after_it(lines: Lines):
    """The next handler, the next event and kopf's own lines see nothing of it."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def first(**_: Any) -> None:
        ctxlog.bind_context(secretly="bound")
        log.info("first")

    @kopf.on.event("widgets", registry=registry)
    async def second(**_: Any) -> None:
        log.info("second")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="second"), running)
            await there.patch(1, {"spec": {"size": 5}})
            await until(lambda: len(lines.of(event="second")) >= 2, running)
    assert {"bound"} == {line["secretly"] for line in lines.of(event="first")}
    later = [line for line in lines if line["event"] not in ("first", "reconcile")]
    assert not [line for line in later if "secretly" in line]


async def test_handlers_of_one_event_share_its_ids_and_events_do_not(lines: Lines):
    """One handling of an object is one reconcile: the same id on all its lines, and only on those."""
    registry = kopf.OperatorRegistry()
    for name in ("one", "two"):

        @kopf.on.event("widgets", id=name, registry=registry)
        async def handler(_name: str = name, **_: Any) -> None:
            log.info("seen", by=_name)

    async with cluster() as there:
        there.put(body(1), body(2))
        async with operator(there, registry) as running:
            await until(lambda: len(lines.of(event="seen")) >= 4, running)
    seen = lines.of(event="seen")
    by_object = {(line["k8s.object.name"], line["reconcile_id"], line["trace_id"]) for line in seen}
    assert len({name for name, *_ in by_object}) == 2
    counted = Counter(line["reconcile_id"] for line in seen)
    assert {2} == set(counted.values())
    assert len(counted) == len({line["request_id"] for line in seen})


async def test_a_timer_is_a_new_root_at_each_run_linked_to_its_origin(lines: Lines):
    """Ids are never frozen with the event that spawned it."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def spawned(**_: Any) -> None:
        log.info("spawned")

    @kopf.timer("widgets", interval=0.05, registry=registry)
    async def tick(**_: Any) -> None:
        log.info("tick")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: len(lines.of(event="tick")) >= 3, running)
    ticks = lines.of(event="tick")
    for name in ("trace_id", "request_id", "reconcile_id"):
        assert len(ticks) == len({line[name] for line in ticks})
    origin = lines.of(event="spawned")[0]
    assert {origin["trace_id"]} == {line["link.trace_id"] for line in ticks}
    assert {origin["request_id"]} == {line["link.request_id"] for line in ticks}
    assert {"timer"} == {line["reason"] for line in ticks}


async def test_retries_and_failures_say_what_they_are(lines: Lines):
    """A temporary error is the outcome ``retry``; the retry's number counts up; failures are errors."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", registry=registry)
    async def flaky(retry: int, **_: Any) -> None:
        if retry < 2:
            raise kopf.TemporaryError("not yet", delay=0.01)
        raise kopf.PermanentError("never")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="reconcile", outcome="error"), running)
    closing = lines.of(event="reconcile")
    # the emulator lists an object and tells of it again: the first try may be made twice
    told = {(line["retry"], line["outcome"], line["level"]) for line in closing}
    assert {(0, "retry", "warning"), (1, "retry", "warning"), (2, "error", "error")} == told
    assert len(closing) == len({line["reconcile_id"] for line in closing})


async def test_activities_run_as_operations_without_an_object(lines: Lines):
    """Start-up, cleanup and logins are entries too."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def starting(**_: Any) -> None:
        log.info("starting")

    @kopf.on.cleanup(registry=registry)
    def cleaning(**_: Any) -> None:
        log.info("cleaning")

    async with cluster() as there, operator(there, registry) as running:
        await until(lambda: lines.of(event="starting"), running)
    for event, reason in (("starting", "startup"), ("cleaning", "cleanup")):
        (line,) = lines.of(event=event)
        assert reason == line["reason"]
        assert "reconcile_id" in line
        assert "k8s.object.ref" not in line
        assert lines.of(event="activity", reconcile_id=line["reconcile_id"], outcome="success")


async def test_an_admission_request_has_the_ids_of_its_headers(lines: Lines):
    """A webhook continues what the API server sent, whatever the case of its headers."""
    registry = kopf.OperatorRegistry()
    asked: dict[str, Any] = {}
    trace = "a" * 32

    @kopf.on.validate("widgets", id="check", registry=registry)
    def validate(name: str, **_: Any) -> None:
        log.info("validated", saw=name)

    @kopf.on.mutate("widgets", id="fill", registry=registry)
    async def mutate(name: str, **_: Any) -> None:
        log.info("mutated", saw=name)

    async def server(call: Any) -> Any:
        yield {"url": "https://nowhere.invalid"}
        request = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "review-1",
                "operation": "CREATE",
                "resource": {"group": "example.dev", "version": "v1", "resource": "widgets"},
                "object": body(7),
                "oldObject": None,
                "dryRun": False,
                "userInfo": {},
            },
        }
        headers = {"Traceparent": f"00-{trace}-{'b' * 16}-01"}
        while "answer" not in asked:
            try:
                asked["answer"] = await call(request, headers=headers)
            except Exception:  # noqa: BLE001 - the resource is not discovered yet
                await asyncio.sleep(0.01)
        await asyncio.Event().wait()

    async with cluster() as there:
        settings = {"admission__server": server}
        async with operator(there, registry, **settings) as running:
            await until(lambda: "answer" in asked, running)
    assert asked["answer"]["response"]["allowed"]
    for event, handler in (("validated", "check"), ("mutated", "fill")):
        (line,) = lines.of(event=event)
        assert (trace, "w-7", handler) == (line["trace_id"], line["saw"], line["handler"])
        assert "review-1" == line["k8s.admission.uid"]
        assert "Widget/shop/w-7" == line["k8s.object.ref"]


async def test_a_trace_goes_on_through_an_annotation_if_asked(lines: Lines):
    """What one operator created under a trace, another handles under it; unasked, it does not."""
    from ctxlog.adapters import kopf as adapter

    with ctxlog.entry() as _:
        created = put_trace(body(1))
        trace = created["metadata"]["annotations"][ANNOTATION].split("-")[1]
    for asked in (None, ANNOTATION):
        adapter.install(trace_annotation=asked)
        lines.clear()
        registry = kopf.OperatorRegistry()

        @kopf.on.event("widgets", registry=registry)
        async def seen(**_: Any) -> None:
            log.info("seen")

        async with cluster() as there:
            there.put(copy.deepcopy(created))
            async with operator(there, registry) as running:
                await until(lambda: lines.of(event="seen"), running)
        same = {trace} == {line["trace_id"] for line in lines.of(event="seen")}
        assert same is (asked is not None)


async def test_the_object_logger_works_from_a_thread_of_ones_own(lines: Lines):
    """kopf#676: the line is written with its object, the event posted, nothing is raised."""
    registry = kopf.OperatorRegistry()
    raised: list[BaseException] = []

    @kopf.on.create("widgets", registry=registry)
    def created(logger: Any, body: Any, **_: Any) -> None:
        def work() -> None:
            try:
                logger.warning("from a thread")
            except BaseException as error:  # noqa: BLE001 - that is the question
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    async with cluster() as there:
        there.put(body(1))
        posting = {"posting__enabled": True, "posting__loggers": True}
        async with operator(there, registry, **posting) as running:
            await until(lambda: [r for r in there.requests if "/events" in str(r.url)], running)
    assert [] == raised
    written = lines.of(event="from a thread")
    assert written
    assert {"Widget/shop/w-1"} == {line["k8s.object.ref"] for line in written}


def in_a_process(name: str, logger: Any, patch: Any, **_: Any) -> str:
    """A handler that runs in another process: nothing of it may be unpicklable."""
    fields = ctxlog.get_context()
    logger.info("quiet")
    patch.setdefault("status", {})["ref"] = fields["k8s.object.ref"]
    patch["status"]["handler"] = fields["handler"]
    return name


def by_attributes(body: Any, meta: Any, spec: Any, status: Any, patch: Any, **_: Any) -> None:
    """A handler as kopf's own documentation writes them, in another process."""
    patch.status["name"] = body.metadata.name
    patch.status["labels"] = dict(meta.labels)
    patch.status["same"] = [body.spec["size"], spec["size"], dict(body.status), dict(status)]
    patch.metadata.annotations["made"] = "there"
    patch.fns.append(functools.partial(add_size, by=7))


def add_size(body: Any, by: int) -> None:
    """Change a body, as kopf's ``patch.fns`` do."""
    body["spec"]["size"] += by


def with_a_closure(patch: Any, **_: Any) -> None:
    """Leave behind what no process can send."""
    patch.fns.append(lambda body: None)


async def test_arguments_in_a_process_are_kopfs_own(lines: Lines):
    """Handlers read and patch by attributes there too; what cannot come back is an error."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    registry = kopf.OperatorRegistry()
    kopf.on.create("widgets", id="remote", registry=registry)(by_attributes)
    kopf.on.create("widgets", id="closure", registry=registry, errors=kopf.ErrorsMode.PERMANENT)(
        with_a_closure
    )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        async with cluster() as there:
            there.put(body(1, labels={"tier": "premium"}))
            async with operator(there, registry, execution__executor=pool) as running:
                await until(lambda: there.get(1).get("status", {}).get("name"), running)
                # 8, or 15: kopf handles it twice if its first PATCH is back before its second
                await until(lambda: there.get(1)["spec"]["size"] in (8, 15), running)
                status, metadata = there.get(1)["status"], there.get(1)["metadata"]
                failed = {"event": "reconcile", "handler": "closure", "outcome": "error"}
                await until(lambda: lines.of(**failed), running)
    assert ("w-1", {"tier": "premium"}) == (status["name"], status["labels"])
    assert [1, 1, {}, {}] == status["same"]
    assert "there" == metadata["annotations"]["made"]
    assert "patch.fns" in lines.of(**failed)[0]["exception.message"]


async def test_handlers_in_a_process_pool_have_their_context(lines: Lines):
    """Alone, kopf cannot send them; the context goes along, and what they patch comes back."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    registry = kopf.OperatorRegistry()
    kopf.on.create("widgets", id="remote", registry=registry)(in_a_process)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        async with cluster() as there:
            there.put(body(1))
            async with operator(there, registry, execution__executor=pool) as running:
                await until(lambda: "status" in there.get(1), running)
                status = there.get(1)["status"]
    assert ("Widget/shop/w-1", "remote") == (status["ref"], status["handler"])
    assert lines.of(event="reconcile", handler="remote", outcome="success")


BAD = [
    {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "a\nb/../c", "uid": "u"}},
    body(1, annotations={"big": "x" * 1_000_000}),
    body(2, labels={"\u2028": "\x00"}, uid="x" * 10_000),
    {**body(3), "spec": None},
]  # fmt: skip


async def test_kopfs_lines_of_an_object_without_a_uid_have_it_all(lines: Lines):
    """Some kinds have none: it is known by its name."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", id="seen", registry=registry)
    async def seen(logger: Any, **_: Any) -> None:
        logger.info("mine")

    bare = body(1)
    del bare["metadata"]["uid"]
    async with cluster() as there:
        there.put(bare)
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="mine"), running)
    line = lines.of(event="mine")[0]
    assert ("Widget/shop/w-1", "2") == (
        line["k8s.object.ref"], line["k8s.object.resource_version"])  # fmt: skip


async def test_a_line_of_another_object_has_nothing_of_the_handled_one(lines: Lines):
    """What a handler logs with another object's logger: a Node is in no namespace."""
    from kopf._cogs.structs.bodies import Body
    from kopf._core.actions.loggers import ObjectLogger

    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    whole: Any = {"name": "node-1", "uid": "uid-node"}
    others: dict[str, dict[str, Any]] = {
        "whole": {"apiVersion": "v1", "kind": "Node", "metadata": whole},
        "bare": {"kind": "Node", "metadata": {"name": "node-1"}},
        "nameless": {},
    }

    @kopf.on.event("widgets", registry=registry)
    async def seen(logger: Any, **_: Any) -> None:
        for event, other in others.items():
            ObjectLogger(body=Body(other), settings=settings).info(event)  # type: ignore[arg-type]
        logger.info("mine")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="mine"), running)
    assert "shop" == lines.of(event="mine")[0]["k8s.object.namespace"]
    for event in others:
        line = lines.of(event=event)[0]
        told = {n: v for n, v in line.items() if n.startswith("k8s.object.") and v is not None}
        expected = {
            "whole": {
                "k8s.object.kind": "Node", "k8s.object.name": "node-1",
                "k8s.object.ref": "Node/node-1", "k8s.object.uid": "uid-node",
                "k8s.object.api_version": "v1",
            },
            "bare": {
                "k8s.object.kind": "Node", "k8s.object.name": "node-1",
                "k8s.object.ref": "Node/node-1",
            },
            "nameless": {"k8s.object.problem": "no name"},
        }[event]  # fmt: skip
        assert expected == told


async def test_bad_objects_give_clear_lines(lines: Lines):
    """Hostile names, a megabyte of annotations: the handler runs, its lines are whole and short."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def noticed(**_: Any) -> None:
        log.info("seen")

    async with cluster() as there:
        for number, bad in enumerate(BAD):
            there.emulator.objects[RESOURCE, "shop", f"bad-{number}"] = copy.deepcopy(bad)
        async with operator(there, registry) as running:
            await until(lambda: len(lines.of(event="seen")) >= len(BAD), running)
    written = lines.of(event="seen")
    assert all(len(json.dumps(line)) < 2_000 for line in written)
    refs = {line["k8s.object.ref"] for line in written}
    assert {"Widget/a\nb%2F..%2Fc", "Widget/shop/w-1", "Widget/shop/w-2", "Widget/shop/w-3"} == refs
    assert lines.of(event="reconcile", outcome="success")


async def stored(installed: bool) -> dict[str, Any]:
    """Return what kopf keeps in an object's annotations while and after it is handled."""
    from ctxlog.adapters import kopf as adapter

    (adapter.install if installed else adapter.uninstall)()
    registry = kopf.OperatorRegistry()
    tries: list[int] = []

    @kopf.on.create("widgets", registry=registry)
    def created(**_: Any) -> dict[str, int]:
        return {"made": 1}

    @kopf.on.create("widgets", registry=registry)
    async def flaky(retry: int, **_: Any) -> None:
        tries.append(retry)
        if retry == 0:
            raise kopf.TemporaryError("again", delay=0.01)

    seen: dict[str, Any] = {}
    last = "kopf.zalando.org/last-handled-configuration"
    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: last in there.get(1)["metadata"].get("annotations", {}), running)
            seen["last"] = there.get(1)["metadata"]["annotations"][last]
            seen["status"] = there.get(1).get("status")
            seen["history"] = sorted(
                {
                    name
                    for request in there.requests
                    for name in ((request.data or {}).get("metadata") or {}).get("annotations", {})
                    if request.method.value == "PATCH" and "touch-dummy" not in name
                }
            )
    assert len(seen["history"]) >= 3  # each handler's progress, and what was handled last
    return seen


async def test_what_kopf_stores_is_unchanged(lines: Lines):
    """Handler ids, progress and the last handled configuration are as without us."""
    assert await stored(installed=False) == await stored(installed=True)


async def test_after_uninstall_kopf_is_as_it_was(lines: Lines):
    """Nothing of ours is left, and an operator still runs."""
    from ctxlog.adapters import kopf as adapter
    from ctxlog.adapters.kopf.installing import PARTS, _module

    def ours() -> list[str]:
        places = [*((_module(module), name) for module, name, *_ in PARTS), (kopf, "configure")]
        functions = {name: getattr(module, name) for module, name in places}
        return [n for n, f in functions.items() if f.__globals__["__name__"].startswith("ctxlog")]

    assert len(PARTS) + 1 == len(ours())
    adapter.uninstall()
    assert [] == ours()
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def seen(**_: Any) -> None:
        log.info("seen")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="seen"), running)
    assert "k8s.object.ref" not in lines.of(event="seen")[0]


@pytest.mark.timeout(400)
async def test_tail_sampling_ends_with_each_event():
    """Nothing is held for events that are over: well, dropped; badly, written."""
    tail, found, handled = Tail(), Lines(), [0]
    ctxlog.configure(
        levels={"asyncio": "error", "aiohttp": "error", "kopf": "warning"},
        processors=(tail,),
        sinks=[{"target": found.append, "renderer": "event"}],
    )
    adapter.install()
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def handler(name: str, **_: Any) -> None:
        log.info("seen", saw=name)
        handled[0] += 1
        if name == "w-1":
            raise ValueError(name)

    try:
        async with cluster() as there:
            there.put(*(body(number) for number in range(3)))
            async with operator(there, registry) as running:
                await until(lambda: handled[0] >= 3 and not tail.held, running)
                assert {"w-1"} == {line["saw"] for line in found.of(event="seen")}
    finally:
        adapter.uninstall()
        ctxlog.shutdown()


@pytest.mark.timeout(400)
async def test_handlers_of_an_event_of_an_object_without_a_uid_share_its_ids(lines: Lines):
    """Some kinds have none."""
    registry = kopf.OperatorRegistry()
    for name in "ab":

        @kopf.on.event("widgets", id=name, registry=registry)
        async def seen(**_: Any) -> None:
            log.info("seen")

    bare = body(1)
    del bare["metadata"]["uid"]
    async with cluster() as there:
        there.put(bare)
        async with operator(there, registry) as running:
            await until(lambda: len(lines.of(event="seen")) >= 4, running)
    counted = Counter(line["reconcile_id"] for line in lines.of(event="seen"))
    assert {2} == set(counted.values())


def posts(there: Cluster) -> list[Any]:
    """Return what was posted to the cluster's events."""
    return [one for one in there.requests if one.method == "POST" and "events" in str(one.url)]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("operators", [1, 2])
async def test_kopfs_own_events_are_posted_from_handlers(operators: int, lines: Lines):
    """Kopf finds its settings and its queue in a handler, as without us; also beside another operator."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", registry=registry)
    async def handler(body: Any, name: str, **_: Any) -> None:
        if name == "w-1":
            kopf.info(body, reason="Seen", message="seen by hand")
            await asyncio.to_thread(kopf.warn, body, reason="Thread", message="from a thread")
            log.info("seen")

    async with cluster() as there, contextlib.AsyncExitStack() as stack:
        there.put(body(1))
        running = [
            await stack.enter_async_context(operator(there, registry, posting__enabled=True))
            for _ in range(operators)
        ]
        await until(lambda: len(lines.of(event="seen")) >= operators, running[0])
        await until(lambda: len(posts(there)) >= 2 * operators, running[0])
    assert not lines.of(level="error")


async def test_a_thread_posts_to_the_operator_that_runs_not_to_one_that_has_ended(lines: Lines):
    """One that is started again in the same process: what is left of the first does not count."""
    left: list[ctxlog.Snapshot] = []  # holds the queue of the operator that it was taken in

    async def run(there: Cluster, said: str) -> None:
        registry = kopf.OperatorRegistry()

        @kopf.on.event("widgets", registry=registry)
        def seen(logger: Any, **_: Any) -> None:
            left.append(ctxlog.snapshot())
            ctxlog.get_logger("operator").info(said)

        @kopf.on.create("widgets", registry=registry)
        @kopf.on.resume("widgets", registry=registry)
        def created(logger: Any, **_: Any) -> None:
            thread = threading.Thread(target=logger.warning, args=(said,))
            thread.start()
            thread.join()

        posting = {"posting__enabled": True, "posting__loggers": True}
        async with operator(there, registry, **posting) as running:
            await until(lambda: said in str([one.data for one in posts(there)]), running)

    async with cluster() as there:
        there.put(body(1))
        for said in ("by the first", "by the second"):
            await run(there, said)


@pytest.mark.timeout(400)
async def test_a_handler_whose_children_are_unfinished_closes_as_a_retry(lines: Lines):
    """Its own function has returned; it is run again because of them. Its line has what it bound."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", id="top", registry=registry)
    async def top(**_: Any) -> None:
        ctxlog.bind_context(mine="top's")

        @kopf.subhandler(id="leaf")
        def leaf(retry: int, **_: Any) -> None:
            if retry == 0:
                raise kopf.TemporaryError("again", delay=0.01)

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            done = {"event": "reconcile", "handler": "top", "outcome": "success"}
            await until(lambda: lines.of(**done), running)
    closing = [(line["handler"], line["outcome"]) for line in lines.of(event="reconcile")]
    assert [("top/leaf", "retry"), ("top", "retry")] == closing[:2]
    assert [("top/leaf", "success"), ("top", "success")] == closing[-2:]
    bound = {(line["handler"], line["event"]) for line in lines if "mine" in line}
    assert {("top", "reconcile")} == bound


@pytest.mark.timeout(400)
async def test_a_handlers_name_is_as_it_was_given(lines: Lines):
    """Kopf's own lines and annotations have it so."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", id="createPod", registry=registry)
    async def seen(**_: Any) -> None:
        log.info("seen")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="seen"), running)
    assert "createPod" == lines.of(event="seen")[0]["handler"]


async def test_what_kopf_says_of_a_daemon_when_the_operator_stops_is_of_that_daemon(lines: Lines):
    """Whoever stops them all is no event of any object: the daemon's own ids are on these lines."""
    registry = kopf.OperatorRegistry()

    @kopf.daemon("widgets", id="watches", registry=registry, cancellation_timeout=0.1)
    async def watches(name: str, **_: Any) -> None:
        log.info("watching", saw=name)
        await asyncio.Event().wait()

    @kopf.daemon("widgets", id="leaves", registry=registry)
    async def leaves(stopped: Any, name: str, **_: Any) -> None:
        log.info("watching", saw=name)
        await stopped.wait()

    async with cluster() as there:
        there.put(*(body(number) for number in range(5)))
        async with operator(there, registry) as running:
            await until(lambda: len(lines.of(event="watching")) >= 10, running)
    lives = {  # one that ends early is spawned once more
        (line["handler"], line["saw"], line["link.trace_id"]) for line in lines.of(event="watching")
    }
    told = [line for line in lines.of(logger="kopf.objects") if " exit" in line["event"]]
    assert {"watches", "leaves"} == {line["handler"] for line in told}
    assert 10 <= len(told)
    for line in told:
        assert f"'{line['handler']}'" in line["event"]
        assert "daemon" == line["reason"]
        assert (line["handler"], line["k8s.object.name"], line["link.trace_id"]) in lives
