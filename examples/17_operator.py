"""An operator: every line says which object, which handler, which try. It needs the extra `kopf`.

In a cluster: `kopf run --all-namespaces 17_operator.py`. The folder beside it has the Dockerfile and
the manifests: CRD, RBAC, Deployment, and a ConfigMap of levels. deployment.yaml says how they are used.
Here: `python 17_operator.py` runs it against a cluster's API on this machine (kmock), changes some
objects, and reads every line that it wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from typing import Any

import kopf

import ctxlog
from ctxlog import control
from ctxlog.adapters import kopf as ctxlog_kopf
from ctxlog.kubernetes import pod

log = ctxlog.get_logger("operator")
lines: list[dict[str, Any]] = []
LEVELS = os.environ.get("LEVELS_FILE", "/etc/operator/levels.json")


def start() -> None:
    """Configure, as the module is loaded: from the first line on, each is whole."""
    alone = __name__ == "__main__"
    here: list[Any] = [{"target": lines.append, "renderer": "event"}]
    levels = {"aiohttp": "error", "ctxlog.kubernetes": "debug"}  # its API calls
    ctxlog.configure(**pod.options(), levels=levels, sinks=here if alone else None)
    ctxlog_kopf.install(api_calls=True)
    if not alone:
        control.watch(LEVELS)


start()


@kopf.on.create("widgets")
async def created(name: str, spec: Any, **_: Any) -> None:
    """Bind, annotate, log: it is gone when the handler ends."""
    ctxlog.bind_context(size=spec["size"])
    log.info("creating", saw=name)
    await asyncio.sleep(0)
    ctxlog.annotate(replicas=spec["size"] * 2)


@kopf.on.update("widgets")
def updated(name: str, diff: Any, **_: Any) -> None:
    """Run in a thread, and have the same fields."""
    log.info("updating", saw=name, changes=len(diff))


@kopf.on.delete("widgets")
async def deleted(name: str, retry: int, **_: Any) -> None:
    """Fail once: the line says which try it is."""
    log.info("deleting", saw=name)
    if retry == 0:
        raise kopf.TemporaryError("not yet", delay=0.01)


# ---- from here on: the cluster's API on this machine

WIDGETS = "/apis/example.dev/v1/namespaces/shop/widgets"
OBJECTS = 30
KINDS = {
    "example.dev/v1/widgets": "Widget",
    "v1/namespaces": "Namespace",
    "v1/events": "Event",
    "apiextensions.k8s.io/v1/customresourcedefinitions": "CustomResourceDefinition",
}


def widget(number: int) -> dict[str, Any]:
    """Return an object as the API server would give it."""
    metadata = {"name": f"w-{number}", "namespace": "shop", "uid": f"uid-{number}",
                "resourceVersion": "1"}  # fmt: skip
    return {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": metadata,
            "spec": {"size": number}}  # fmt: skip


def seen(event: str) -> int:
    """Return of how many objects there is such a line."""
    return len({line.get("k8s.object.name") for line in list(lines) if line["event"] == event})


async def until(event: str, objects: int) -> None:
    """Wait until so many objects have such a line."""
    async with asyncio.timeout(100):
        while seen(event) < objects:  # noqa: ASYNC110 - lines come from wherever they come
            await asyncio.sleep(0.01)


async def main() -> None:
    """Create, change and delete objects; each through the API, as anybody would."""
    import kmock

    async with kmock.KubernetesEmulator() as cluster, kmock.Server(cluster) as server:
        for name, kind in KINDS.items():
            described: Any = {"kind": kind, "namespaced": kind in ("Widget", "Event"),
                              "verbs": ["list", "watch", "patch", "create", "delete"]}  # fmt: skip
            cluster.resources[name] = described

        @kopf.on.login()
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return kopf.ConnectionInfo(server=str(server.url).rstrip("/"))

        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        operator = asyncio.create_task(
            kopf.operator(settings=settings, clusterwide=True, standalone=True)
        )
        for number in range(OBJECTS):
            await server.client.post(WIDGETS, json=widget(number))
        await until("Creation is processed: 1 succeeded; 0 failed.", OBJECTS)
        merge = {"Content-Type": "application/merge-patch+json"}
        for number in range(OBJECTS):
            change = {"spec": {"size": 100}}
            await server.client.patch(f"{WIDGETS}/w-{number}", json=change, headers=merge)
        await until("Updating is processed: 1 succeeded; 0 failed.", OBJECTS)
        await server.client.delete(f"{WIDGETS}/w-1")
        await until("Deletion is processed: 1 succeeded; 0 failed.", 1)
        operator.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await operator


def verify() -> None:
    """Read every line: whose is it, and does it say so."""
    ours = [line for line in lines if "saw" in line]
    of_objects = [line for line in lines if "k8s.object.name" in line]
    keys = {"k8s.object.ref", "k8s.object.uid", "reconcile_id", "trace_id", "request_id"}
    wrong = [line for line in ours if line["saw"] != line["k8s.object.name"]]
    doors = Counter(line["logger"].partition(".")[0] for line in of_objects)
    print("doors that wrote about objects     ", *sorted(doors))
    print("objects created and updated        ", seen("creating"), seen("updating"))
    print("lines of another object            ", len(wrong))
    print("lines without identity or ids      ", sum(not keys <= ln.keys() for ln in of_objects))
    print("lines of kopf with a handler's bind", sum("size" in ln for ln in lines
          if ln["logger"] == "kopf.objects" and "handler" not in ln))  # fmt: skip
    closing = [line for line in lines if line["event"] == "reconcile"]
    tries = {(line["reason"], line["retry"], line["outcome"]) for line in closing}
    print("how w-1's deletion went            ", *sorted(t for t in tries if t[0] == "delete"))
    patches = [line for line in lines if line.get("k8s.api.verb") == "patch"]
    stray = sum(line["k8s.api.name"] != line["k8s.object.name"] for line in patches)
    print("kopf's patches under another object", stray if patches else "none was seen")
    made = next(line for line in closing if line["reason"] == "create")
    print("annotated on the closing line      ", made["replicas"] == made["size"] * 2)


if __name__ == "__main__":
    asyncio.run(main())
    verify()

# It prints, when piped:
#
# doors that wrote about objects      __main__ ctxlog kopf operator
# objects created and updated         30 30
# lines of another object             0
# lines without identity or ids       0
# lines of kopf with a handler's bind 0
# how w-1's deletion went             ('delete', 0, 'retry') ('delete', 1, 'success')
# kopf's patches under another object 0
# annotated on the closing line       True
