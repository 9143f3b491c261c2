"""Outcomes: a closing line says what kopf makes of how a handler ends, and which error it was."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import kopf
import pytest

from tests.kubernetes.cluster import body, cluster, operator, until

if TYPE_CHECKING:
    from tests.adapters.kopf.conftest import Lines

pytestmark = pytest.mark.asyncio


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
