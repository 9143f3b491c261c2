"""Somebody else wraps what we have wrapped, in any order: each handling is one entry, one line."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

import kopf
import pytest

import ctxlog
from ctxlog.adapters import kopf as adapter
from ctxlog.adapters.kopf.installing import PARTS
from tests.kubernetes.cluster import body, cluster, operator, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.adapters.kopf.conftest import Lines

log = ctxlog.get_logger("operator")
PLACES = [
    *((module, name) for module, name, *_ in PARTS),
    ("kopf._core.engines.posting", "enqueue"),
]


class Others:
    """Somebody else's wrappers around all that we wrap."""

    def __init__(self, *, tells: bool) -> None:
        self._tells = tells
        self._before: list[tuple[Any, str, Any]] = []
        self.calls = 0

    def wrap(self) -> None:
        """Put a wrapper around each place."""
        for module, name in PLACES:
            owner = importlib.import_module(module)
            inner = getattr(owner, name)
            self._before.append((owner, name, inner))
            setattr(owner, name, self._around(inner))

    def unwrap(self) -> None:
        """Put back what was there."""
        for owner, name, inner in reversed(self._before):
            setattr(owner, name, inner)
        self._before.clear()

    def _around(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        import inspect

        if inspect.iscoroutinefunction(inspect.unwrap(inner)):

            async def awaited(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                return await inner(*args, **kwargs)

            theirs: Callable[..., Any] = awaited
        else:

            def called(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                return inner(*args, **kwargs)

            theirs = called
        if self._tells:
            return functools.wraps(inner)(theirs)
        theirs.__signature__ = inspect.signature(inner)  # type: ignore[attr-defined]
        return theirs


@pytest.fixture
def kopf_as_it_was() -> Iterator[None]:
    """Whatever was wrapped is gone afterwards."""
    adapter.uninstall()
    places = [(importlib.import_module(module), name) for module, name in PLACES]
    before = [getattr(owner, name) for owner, name in places]
    yield
    adapter.uninstall()
    for (owner, name), function in zip(places, before, strict=True):
        setattr(owner, name, function)


async def handled(lines: Lines) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Let an operator handle one event, and return its closing lines and what is linked."""
    registry = kopf.OperatorRegistry()
    lines.clear()

    @kopf.on.event("widgets", id="seen", registry=registry)
    async def seen(**_: Any) -> None:
        log.info("seen")

    @kopf.timer("widgets", id="tick", interval=3600, registry=registry)
    async def tick(**_: Any) -> None:
        log.info("tick")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="seen") and lines.of(event="tick"), running)
    return lines.of(event="reconcile"), lines.of(event="seen")


ORDERS: dict[str, list[str]] = {
    "uninstalled below it": ["install", "wrap", "uninstall", "install"],
    "twice": ["install", "wrap", "uninstall", "install", "wrap", "uninstall", "install"],
    "taken away": ["install", "wrap", "uninstall", "unwrap", "install"],
    "two of them": ["install", "wrap", "uninstall", "other", "install"],
    "first": ["wrap", "install", "uninstall", "install"],
    "without us": ["install", "wrap", "install", "uninstall", "unwrap", "uninstall", "install"],
}


@pytest.mark.asyncio
@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("order", ORDERS)
async def test_whatever_the_order_each_handling_is_one(
    order: str, tells: bool, lines: Lines, kopf_as_it_was: None
):
    """No closing line comes twice, and no entry is inside of another one."""
    others, third = Others(tells=tells), Others(tells=tells)
    steps: dict[str, Callable[[], None]] = {
        "install": adapter.install, "uninstall": adapter.uninstall,
        "wrap": others.wrap, "unwrap": others.unwrap, "other": third.wrap,
    }  # fmt: skip
    for step in ORDERS[order]:
        steps[step]()
    assert [] == lines.of(level="warning")
    closing, seen = await handled(lines)
    for line in seen:
        assert "Widget/shop/w-1" == line["k8s.object.ref"]
        ended = [c for c in closing if (c["handler"], c["reconcile_id"]) == (
            "seen", line["reconcile_id"])]  # fmt: skip
        assert 1 == len(ended), ended
        assert "link.trace_id" not in line
    ticks = [c for c in closing if c["handler"] == "tick"]
    assert len(ticks) == len({c["reconcile_id"] for c in ticks}) == len(lines.of(event="tick"))
    adapter.uninstall()
    plain, seen = await handled(lines)
    assert [] == plain
    assert "k8s.object.ref" not in seen[0]


def test_kopfs_configuration_that_others_wrap(lines: Lines, kopf_as_it_was: None):
    """Its switch is read once, from whoever called it."""
    before = kopf.configure
    try:
        adapter.install()
        inner = kopf.configure

        def theirs(*args: Any, **kwargs: Any) -> Any:
            return inner(*args, **kwargs)

        kopf.configure = theirs
        adapter.uninstall()
        adapter.install()
        kopf.configure(quiet=True)
        assert not log.is_enabled_for("info")
    finally:
        adapter.uninstall()
        kopf.configure = before
