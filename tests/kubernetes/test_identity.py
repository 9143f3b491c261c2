"""One identity out of every shape, and nothing hostile gets through it."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kopf._cogs.structs.bodies import Body
from kubernetes import client
from kubernetes.dynamic.resource import ResourceInstance
from kubernetes_asyncio import client as aio

import ctxlog
from ctxlog.kubernetes.identity import MAX_CHARS, identify, kind_of_model, ref
from tests.kit import configured
from tests.strategies import anything

BODY: Any = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "db-0", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"},
    "spec": {},
}
WHOLE = {
    "k8s.object.kind": "Pod",
    "k8s.object.api_version": "v1",
    "k8s.object.namespace": "shop",
    "k8s.object.name": "db-0",
    "k8s.object.uid": "u-1",
    "k8s.object.resource_version": "7",
    "k8s.object.ref": "Pod/shop/db-0",
}


def model(library: Any, **more: Any) -> Any:
    """Return the pod as a client library's model."""
    meta = library.V1ObjectMeta(name="db-0", namespace="shop", uid="u-1", resource_version="7")
    return library.V1Pod(metadata=meta, **more)


SHAPES: dict[str, Any] = {
    "body": BODY,
    "kopf's body": Body(BODY),
    "watch event": {"type": "ADDED", "object": BODY, "raw_object": BODY},
    "kubernetes": model(client, kind="Pod", api_version="v1"),
    "kubernetes_asyncio": model(aio, kind="Pod", api_version="v1"),
    "dynamic": ResourceInstance(None, BODY),
    "model's watch event": {"type": "ADDED", "object": model(client, kind="Pod", api_version="v1")},
    "reference": client.V1ObjectReference(
        kind="Pod", api_version="v1", name="db-0", namespace="shop", uid="u-1", resource_version="7"
    ),
    "reference of asyncio": aio.V1ObjectReference(
        kind="Pod", api_version="v1", name="db-0", namespace="shop", uid="u-1", resource_version="7"
    ),
    "reference as a dict": {
        "kind": "Pod", "apiVersion": "v1", "name": "db-0", "namespace": "shop", "uid": "u-1",
        "resourceVersion": "7",
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_the_same_identity(shape: str):
    """Handlers, clients and references name one object in one way."""
    assert WHOLE == identify(SHAPES[shape])


@pytest.mark.parametrize(
    "thing",
    ["shop/db-0", BODY["metadata"], model(client), model(aio), model(client).metadata],
    ids=["key", "metadata", "listed", "listed asyncio", "metadata model"],
)
def test_what_does_not_say_its_kind_is_told_it(thing: Any):
    """A key, metadata and the items of a list lead to the same key to join on."""
    assert "Pod/shop/db-0" == identify(thing, kind="Pod")["k8s.object.ref"]


def test_the_kind_of_a_listed_model_is_its_class():
    """Lists leave out the kind of their items."""
    assert "Pod/shop/db-0" == identify(model(client))["k8s.object.ref"]
    assert "Pod/shop/db-0" == identify(model(aio))["k8s.object.ref"]
    assert kind_of_model(SimpleNamespace) is None


def test_kopfs_reference_is_an_identity():
    """What kopf's records carry has no resource version."""
    named = {"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "u-1", "namespace": "shop"}
    whole = {name: value for name, value in WHOLE.items() if "resource_version" not in name}
    assert whole == identify(named)


def test_a_cluster_scoped_object_has_a_key_without_namespace():
    """A node is in none."""
    assert "Node/n-1" == identify({"kind": "Node", "metadata": {"name": "n-1"}})["k8s.object.ref"]


OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "db", "uid": "u-1"}


@pytest.mark.parametrize("owner", [
    {**OWNER, "controller": True},
    {**OWNER, "blockOwnerDeletion": False},
    client.V1OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="db", uid="u-1"),
])  # fmt: skip
def test_an_owner_reference_joins_with_its_object_or_has_no_key(owner: Any):
    """It does not say the namespace: a key without one would be a cluster-scoped object's."""
    known = identify(owner)
    assert ("db", "u-1") == (known["k8s.object.name"], known["k8s.object.uid"])
    assert "k8s.object.ref" not in known
    there = identify(owner, namespace="shop")
    assert ("shop", "ReplicaSet/shop/db") == (
        there["k8s.object.namespace"],
        there["k8s.object.ref"],
    )


@pytest.mark.parametrize("thing", [{"kind": "Node", "name": "n-1"}, "n-1"])
def test_a_reference_is_in_the_namespace_that_is_given(thing: Any):
    """One that is told, where the thing does not say; metadata without a namespace says that it is in none."""
    assert "Node/shop/n-1" == identify(thing, kind="Node", namespace="shop")["k8s.object.ref"]
    whole = {"kind": "Node", "metadata": {"name": "n-1"}}
    assert "Node/n-1" == identify(whole, namespace="shop")["k8s.object.ref"]


def test_no_object_is_no_fields():
    """Activities have none, and that is no problem."""
    assert {} == identify(None)


class Raises:
    """An object that raises at every attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


BAD: list[tuple[Any, str]] = [
    ({}, "no metadata"),
    ({"kind": "Pod"}, "no metadata"),
    ({"kind": "Pod", "metadata": None}, "no metadata"),
    ({"kind": "Pod", "metadata": []}, "metadata is no mapping"),
    ({"kind": "Pod", "metadata": {}}, "no name"),
    ({"kind": "Pod", "metadata": {"name": 5}}, "no name"),
    ({"kind": "Pod", "metadata": {"name": ""}}, "no name"),
    ({"type": "ERROR", "object": None}, "not an object: NoneType"),
    (42, "not an object: int"),
    ("", "no name"),
    (Raises(), "unreadable: RuntimeError"),
]


@pytest.mark.parametrize(("thing", "problem"), BAD, ids=lambda case: repr(case)[:30])
def test_what_has_no_identity_says_why(thing: Any, problem: str):
    """A clear field, no exception, and never a key that would join with another object's."""
    found = identify(thing)
    assert problem == found.get("k8s.object.problem", "")
    assert "k8s.object.ref" not in found


def test_a_name_with_a_slash_forges_no_key():
    """No object can be called so that its lines join with another's."""
    assert "Pod/a/b%2Fc" == ref("Pod", "a", "b/c")
    assert ref("Pod", "a", "b/c") != ref("Pod", "a/b", "c")


def test_a_megabyte_of_annotations_is_not_read():
    """Only identity is looked at; long parts are cut."""
    big = {"name": "x" * 10_000, "annotations": {"a": "y" * 1_000_000}, "managedFields": [{}]}
    found = identify({"kind": "Pod", "metadata": big})
    assert all(len(str(value)) <= MAX_CHARS + 8 for value in found.values())


PART = st.one_of(
    st.none(), st.integers(), st.sampled_from(["", "a", "a/b", "x" * MAX_CHARS, "x" * (MAX_CHARS + 1)])
)  # fmt: skip
METADATA = st.dictionaries(
    st.sampled_from(["name", "namespace", "uid", "resourceVersion", "resource_version"]), PART
)
BODIES = st.builds(
    lambda body, metadata: {**body, "metadata": metadata},
    st.dictionaries(st.sampled_from(["kind", "apiVersion", "api_version", "name"]), PART),
    METADATA,
)


@given(BODIES, st.sampled_from([None, "Pod", ""]))
def test_a_body_has_one_identity_as_a_dict_and_as_any_other_mapping(body: Any, kind: str | None):
    """The short way for what a server sends finds what the long way finds, in its order."""
    found = identify(body, kind=kind, api_version="v1")
    assert list(identify(MappingProxyType(body), kind=kind, api_version="v1").items()) == list(
        found.items()
    )


PARTS = st.sampled_from(["metadata", "kind", "name", "type", "object", "apiVersion"])


@given(st.one_of(anything(), st.dictionaries(PARTS, anything())))
def test_anything_has_an_identity_that_can_be_logged(thing: Any):
    """Whatever it is, nothing is raised, and the line is valid."""
    found = identify(thing)
    assert all(isinstance(value, str) for value in found.values())
    with configured() as written, ctxlog.scope(found):
        ctxlog.get_logger("t").info("seen")
    assert "seen" == written.event["event"]
