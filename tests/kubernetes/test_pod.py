"""The pod: who is writing, and lines that a container runtime does not split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given

import ctxlog
from ctxlog.kubernetes import pod
from tests.kit import configured
from tests.strategies import events

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_the_pod_tells_of_itself(tmp_path: Path):
    """Without the downward API, the service account and the host's name are what there is."""
    account = tmp_path / "namespace"
    account.write_text("ops\n")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "op-1"}
    expected = {"k8s.pod.name": "op-1", "k8s.namespace.name": "ops"}
    assert expected == pod.resource(environ, account=account)
    assert {"k8s.pod.name": "op-1"} == pod.resource(environ, account=tmp_path / "none")
    assert {} == pod.resource({"HOSTNAME": "laptop"}, account=account)


def test_what_is_said_explicitly_wins():
    """OTEL_SERVICE_NAME over OTEL_RESOURCE_ATTRIBUTES over the downward API."""
    environ = {
        "POD_NAME": "downward",
        "NODE_NAME": "node-1",
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=attribute,service.name=attribute,x=%2C",
        "OTEL_SERVICE_NAME": "named",
    }
    expected = {
        "k8s.pod.name": "attribute",
        "k8s.node.name": "node-1",
        "service.name": "named",
        "x": ",",
    }
    assert expected == pod.resource(environ)


@given(events())
def test_no_line_is_longer_than_a_runtime_takes_whole(event: dict[str, Any]):
    """16 KiB, newline included, whatever is logged."""
    with configured(**pod.options({})) as written, ctxlog.scope(big="é" * 9_000):
        ctxlog.get_logger("t").bind(event).info("x" * 9_000, more="\n" * 9_000, body=[event] * 9)
    for line in written.getvalue().splitlines(keepends=True):
        assert len(line) <= 16 * 1024
