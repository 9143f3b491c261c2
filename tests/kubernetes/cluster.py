"""A cluster's API on this machine, and operators that run against it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import kmock
import kopf

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

RESOURCE = kmock.resource("example.dev", "v1", "widgets")
PATH = "/apis/example.dev/v1/widgets"
DEADLINE = 100.0
VERBS = ["get", "list", "watch", "create", "update", "patch", "delete"]
#: Ours, and what kopf does not begin without.
RESOURCES = (
    (RESOURCE, "Widget", True),
    (kmock.resource("", "v1", "namespaces"), "Namespace", False),
    (kmock.resource("", "v1", "events"), "Event", True),
    (kmock.resource("", "v1", "secrets"), "Secret", True),
    (
        kmock.resource("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        "CustomResourceDefinition",
        False,
    ),
)


def body(number: int, namespace: str = "shop", **metadata: Any) -> dict[str, Any]:
    """Return an object as the API server would give it."""
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Widget",
        "metadata": {
            "name": f"w-{number}",
            "namespace": namespace,
            "uid": f"uid-{number}",
            "resourceVersion": str(number + 1),
            **metadata,
        },
        "spec": {"size": number},
    }


class Emulator(kmock.KubernetesEmulator):
    """An emulator that does not look through all its past requests at each one."""

    async def _handle(self, request: Any) -> Any:
        seen: list[Any] = getattr(self, "seen", [])
        seen.append(request)
        object.__setattr__(self, "seen", seen)
        del self._requests[:-1]
        return await super()._handle(request)


class Cluster:
    """The emulator, and where it listens.

    Attributes:
        session: what operators go to it with; by default one that kopf makes.
    """

    def __init__(self, emulator: Emulator, url: str) -> None:
        self.emulator = emulator
        self.url = url
        self.session: aiohttp.ClientSession | None = None

    @property
    def requests(self) -> list[Any]:
        """Every request there was."""
        return list(getattr(self.emulator, "seen", ()))

    def put(self, *bodies: dict[str, Any]) -> None:
        """Have objects from the start."""
        for one in bodies:
            metadata = one["metadata"]
            key = (RESOURCE, metadata.get("namespace"), metadata.get("name"))
            self.emulator.objects[key] = one

    async def call(self, method: str, path: str, payload: Any = None) -> None:
        """Change the cluster, as somebody else would."""
        kind = "application/json" if method != "PATCH" else "application/merge-patch+json"
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, self.url + path, json=payload, headers={"Content-Type": kind}
            ) as response,
        ):
            await response.read()
            assert response.status < 300, await response.text()

    async def create(self, one: dict[str, Any]) -> None:
        """Create an object."""
        namespace = one["metadata"]["namespace"]
        await self.call("POST", f"/apis/example.dev/v1/namespaces/{namespace}/widgets", one)

    async def patch(self, number: int, change: dict[str, Any], namespace: str = "shop") -> None:
        """Change an object."""
        path = f"/apis/example.dev/v1/namespaces/{namespace}/widgets/w-{number}"
        await self.call("PATCH", path, change)

    async def delete(self, number: int, namespace: str = "shop") -> None:
        """Delete an object."""
        path = f"/apis/example.dev/v1/namespaces/{namespace}/widgets/w-{number}"
        await self.call("DELETE", path)

    def get(self, number: int, namespace: str = "shop") -> dict[str, Any]:
        """Return an object as it is now."""
        found: dict[str, Any] = self.emulator.objects[RESOURCE, namespace, f"w-{number}"].raw
        return found


@asynccontextmanager
async def cluster() -> AsyncGenerator[Cluster]:
    """Serve the API on a free port of this machine."""
    async with Emulator() as emulator, kmock.Server(emulator) as server:
        for resource, kind, namespaced in RESOURCES:
            described: Any = {
                "kind": kind, "singular": kind.lower(), "namespaced": namespaced,
                "subresources": [], "verbs": VERBS,
            }  # fmt: skip
            emulator.resources[resource] = described
        yield Cluster(emulator, str(server.url).rstrip("/"))


@asynccontextmanager
async def operator(
    there: Cluster, registry: kopf.OperatorRegistry, **settings: Any
) -> AsyncGenerator[asyncio.Task[None]]:
    """Run a real operator until the block ends; it is stopped by cancelling its task."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo | kopf.AiohttpSession:
        if there.session is not None:
            return kopf.AiohttpSession(aiohttp_session=there.session, server=there.url)
        return kopf.ConnectionInfo(server=there.url)

    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.persistence.finalizer = "example.dev/finalizer"
    for path, value in settings.items():
        part, _, name = path.partition("__")
        setattr(getattr(chosen, part), name, value)
    task = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=chosen,
            clusterwide=True,
            standalone=True,
            lifecycle=kopf.lifecycles.all_at_once,  # one patch for all handlers of an event
        )
    )
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object], task: asyncio.Task[None] | None = None) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends, "it did not come to pass"
        if task is not None and task.done():
            task.result()
            raise AssertionError("the operator has ended")
        await asyncio.sleep(0.01)
