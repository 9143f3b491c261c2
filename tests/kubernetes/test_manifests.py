"""The example's manifests: what one names, another one is; what they set, somebody reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # a client brings it, its types do not come along

from ctxlog.control.settings import read
from ctxlog.kubernetes.pod import resource

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = EXAMPLES / "17_operator"


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    """Every object of every file, in the order in which ``kubectl apply -f FOLDER`` takes them."""
    files = sorted(FOLDER.glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def one(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only object of a kind."""
    (found,) = [manifest for manifest in manifests if kind == manifest["kind"]]
    return found


def test_a_namespace_is_there_before_what_is_in_it(manifests: list[dict[str, Any]]):
    """In an empty cluster, too, one command creates all of it."""
    there: set[str] = set()
    for manifest in manifests:
        if "Namespace" == manifest["kind"]:
            there.add(manifest["metadata"]["name"])
        namespace = manifest["metadata"].get("namespace")
        assert namespace is None or namespace in there


def test_the_deployment_runs_what_the_image_has(manifests: list[dict[str, Any]]):
    """The file that is run is copied to where it is run from; the image has kopf, as its command.

    ctxlog is what is here: the package index has another one of that name.
    """
    (container,) = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    made = (FOLDER / "Dockerfile").read_text()
    copied = dict(re.findall(r"^COPY (\S+) (\S+)$", made, re.MULTILINE))
    assert container["command"][-1] in copied.values()
    assert all((EXAMPLES.parent / source).exists() for source in copied)
    assert ["/src[kopf]"] == re.findall(r'pip install .*?"(.+)"', made)
    assert "/src/src" in copied.values()


def test_the_environment_is_what_the_pod_is_known_by(manifests: list[dict[str, Any]]):
    """Each variable becomes a field, but for the one that the operator itself reads."""
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    names = {variable["name"]: variable.get("value", "x") for variable in container["env"]}
    levels = Path(names.pop("LEVELS_FILE"))
    assert len(names) == len(resource(names))
    (mount,) = container["volumeMounts"]
    (volume,) = pod["volumes"]
    config = one(manifests, "ConfigMap")
    assert mount["mountPath"] == str(levels.parent)
    assert "subPath" not in mount
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert read(json.loads(config["data"][levels.name])).rate == 1.0


def test_a_switch_of_kopf_run_holds_over_the_file(manifests: list[dict[str, Any]]):
    """The file names no global level: ``--verbose`` and ``--quiet`` mean what they mean."""
    assert read(json.loads(one(manifests, "ConfigMap")["data"]["levels.json"])).level is None


def test_the_account_is_the_one_that_is_allowed(manifests: list[dict[str, Any]]):
    """The Deployment's account is bound to the role, which may handle the CRD's objects."""
    account, binding = one(manifests, "ServiceAccount"), one(manifests, "ClusterRoleBinding")
    (subject,) = binding["subjects"]
    assert account["metadata"] == {key: subject[key] for key in ("name", "namespace")}
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    role, crd = one(manifests, "ClusterRole"), one(manifests, "CustomResourceDefinition")["spec"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    allowed = {(group, name): set(rule["verbs"]) for rule in role["rules"]
               for group in rule["apiGroups"] for name in rule["resources"]}  # fmt: skip
    assert {"get", "list", "watch", "patch"} <= allowed[crd["group"], crd["names"]["plural"]]
