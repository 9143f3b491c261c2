"""Outcomes: a closing line says what kopf makes of how a handler ends, and which error it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest import mock

import kopf
import pytest

import ctxlog
from ctxlog.adapters.kopf import units
from tests.kit import moved
from tests.kubernetes.cluster import body, cluster, operator, until

if TYPE_CHECKING:
    from tests.adapters.kopf.conftest import Lines

pytestmark = pytest.mark.asyncio


class TemporaryError(Exception):
    """Some other library's, which kopf knows nothing of."""


class AdmissionError(Exception):
    """Some other library's, too."""

    @property
    def code(self) -> int:
        """Fail when it is read."""
        raise ValueError("no code")


class Refusal(kopf.AdmissionError):
    """Somebody's own refusal, whose code cannot be read."""

    code = property(lambda self: 1 // 0, lambda self, value: None)


@pytest.mark.parametrize("kind", [TemporaryError, AdmissionError, Refusal])
async def test_an_error_is_what_its_class_is_not_what_it_is_called(
    kind: type[Exception], lines: Lines
):
    """Kopf's own line and ours have the handler's error, never one of ours in its place."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", id="seen", registry=registry)
    async def seen(**_: Any) -> None:
        raise kind("theirs")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="reconcile", handler="seen"), running)
    closing = lines.of(event="reconcile", handler="seen")[0]
    kopfs = next(line for line in lines if line["event"].startswith("Handler 'seen' failed"))
    assert "theirs" in kopfs["event"]
    if kind is Refusal:
        assert ("refused", "theirs") == (closing["outcome"], closing["k8s.admission.message"])
    else:
        assert ("error", "theirs") == (closing["outcome"], closing["exception.message"])
        assert "k8s.admission.message" not in closing


async def test_what_fails_on_our_side_does_not_stand_for_the_handlers_error(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """Kopf is told what the handler has raised; a counter says that we have failed."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("widgets", id="seen", registry=registry)
    async def seen(**_: Any) -> None:
        raise KeyError("theirs")

    def broken(*_: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(units.Handling, "failed", broken)
    with moved("errors.kopf") as by:
        async with cluster() as there:
            there.put(body(1))
            async with operator(there, registry) as running:
                await until(lambda: lines.of(event="reconcile", handler="seen"), running)
    assert by["errors.kopf"] >= 1
    assert {"KeyError"} == {x["exception.type"] for x in lines if "failed with" in x["event"]}


@pytest.mark.parametrize("limit", [{"retries": 2}, {"timeout": 2.0}])
async def test_a_temporary_error_that_kopf_gives_up_on_is_no_retry(
    limit: dict[str, Any], lines: Lines
):
    """The last try that ``retries`` or ``timeout`` leaves is a failure, with the handler's error."""
    registry = kopf.OperatorRegistry()

    @kopf.on.create("widgets", id="flaky", registry=registry, **limit)
    async def flaky(**_: Any) -> None:
        ctxlog.bind_context(mine="bound")
        await asyncio.sleep(limit.get("timeout", 0))  # kopf looks at it before the call, too
        raise kopf.TemporaryError("not yet", delay=0.01)

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            last = {"event": "reconcile", "handler": "flaky", "outcome": "error"}
            await until(lambda: lines.of(**last), running)
    closing = lines.of(event="reconcile", handler="flaky")
    expected = {(0, "retry", "warning"), (1, "error", "error")}
    told = {(line["retry"], line["outcome"], line["level"]) for line in closing}
    assert told == (expected if "retries" in limit else {(0, "error", "error")})
    assert {"not yet"} == {line["exception.message"] for line in closing}
    assert {"bound"} == {line["mine"] for line in closing}
    assert {("flaky", "reconcile")} == {(x["handler"], x["event"]) for x in lines if "mine" in x}


@pytest.mark.timeout(60)
async def test_a_mock_is_a_handler(lines: Lines):
    """It has every attribute that is asked for, and so has whatever stands for a function."""
    registry = kopf.OperatorRegistry()
    called = mock.Mock(return_value=None)
    kopf.on.event("widgets", id="mocked", registry=registry)(called)
    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            done = {"event": "reconcile", "handler": "mocked", "outcome": "success"}
            await until(lambda: lines.of(**done), running)
    assert called.called
