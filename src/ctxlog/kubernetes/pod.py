"""Pod: who is writing. The resource of a process in a pod, and limits that fit a container's log.

>>> resource({"POD_NAME": "operator-1", "POD_NAMESPACE": "ops", "OTEL_SERVICE_NAME": "shop-op"})
{'k8s.pod.name': 'operator-1', 'k8s.namespace.name': 'ops', 'service.name': 'shop-op'}
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ctxlog.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Bytes of a line, its newline not counted, that a container runtime does not split: containerd,
#: CRI-O and Docker cut what a process writes after 16 KiB.
LINE_BYTES = 16 * 1024 - 1
#: Limits whose every line stays whole in a container's log.
LIMITS = Limits(
    value_bytes=LINE_BYTES // 4,
    line_bytes=LINE_BYTES,
    depth=DEFAULT_LIMITS.depth,
    items=DEFAULT_LIMITS.items,
)

#: What the downward API is asked for as a rule, and the field each becomes.
DOWNWARD = {
    "POD_NAME": "k8s.pod.name",
    "POD_NAMESPACE": "k8s.namespace.name",
    "POD_UID": "k8s.pod.uid",
    "POD_IP": "k8s.pod.ip",
    "NODE_NAME": "k8s.node.name",
    "CONTAINER_NAME": "k8s.container.name",
    "CLUSTER_NAME": "k8s.cluster.name",
    "DEPLOYMENT_NAME": "k8s.deployment.name",
}
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_MAX_CHARS = 256


def resource(
    environ: Mapping[str, str] | None = None, *, account: str | os.PathLike[str] = _ACCOUNT
) -> dict[str, object]:
    """Return the fields of this process, for ``configure(resource=…)``; what is unknown is left out.

    ``OTEL_SERVICE_NAME`` beats ``OTEL_RESOURCE_ATTRIBUTES``, which beat the downward API's
    variables, which beat what the pod tells of itself: the service account's namespace, and the
    host's name where a cluster's variables are set.

    Args:
        environ: instead of ``os.environ``.
        account: the service account's namespace file. It is read once, here.

    Example:
        >>> resource({"OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,k8s.pod.name=db-0,broken"})
        {'k8s.pod.name': 'db-0', 'team': 'a b'}
    """
    given = os.environ if environ is None else environ
    fields: dict[str, object] = {}
    if given.get("KUBERNETES_SERVICE_HOST"):
        fields["k8s.pod.name"] = given.get("HOSTNAME")
        fields["k8s.namespace.name"] = _namespace(Path(account))
    for variable, name in DOWNWARD.items():
        fields[name] = given.get(variable) or fields.get(name)
    for pair in given.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            fields[unquote(name.strip())] = unquote(value.strip())
    fields["service.name"] = given.get("OTEL_SERVICE_NAME") or fields.get("service.name")
    return {name: value for name, value in fields.items() if value}


def _namespace(account: Path) -> str | None:
    try:
        with account.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_CHARS).strip()
    except OSError:
        return None


def options(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return options for ``configure`` in a pod: its resource, and limits that keep lines whole.

    Example:
        >>> sorted(options({}))
        ['limits', 'resource']
    """
    return {"resource": resource(environ), "limits": LIMITS}
