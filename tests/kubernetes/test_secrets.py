"""What must never reach a line: a Secret's data, managed fields, what annotations keep of them."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kopf._cogs.structs.bodies import Body
from kubernetes import client
from kubernetes.dynamic.resource import ResourceInstance
from kubernetes_asyncio import client as aio

import ctxlog
from tests.kit import configured

NEEDLE = "bm9ib2R5LXNlZXMtdGhpcw=="
META: Any = {
    "name": "db",
    "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"a": NEEDLE}}),
        "kopf.zalando.org/last-handled-configuration": json.dumps({"data": {"a": NEEDLE}}),
    },
    "managedFields": [{"manager": NEEDLE}],
}
BODY: Any = {"kind": "Secret", "metadata": META, "data": {"a": NEEDLE}, "stringData": {"b": NEEDLE}}


def models(library: Any) -> list[Any]:
    """Return a Secret as a client library gives it, alone and in a list."""
    meta = library.V1ObjectMeta(name="db", annotations=META["annotations"])
    data = {"a": NEEDLE}
    if library is client:
        data = {"a": base64.b64decode(NEEDLE)}  # type: ignore[dict-item]
    alone = library.V1Secret(metadata=meta, data=data, string_data={"b": NEEDLE})
    return [alone, library.V1SecretList(items=[alone])]


CASES = [
    BODY,
    Body(BODY),
    {"kind": "SecretList", "items": [{"metadata": META, "data": {"a": NEEDLE}}]},
    {"type": "ADDED", "object": BODY},
    [BODY],
    *models(client),
    *models(aio),
    ResourceInstance(None, BODY),
    *(model.to_dict() for model in [*models(client), *models(aio)]),  # they tell no kind
    [item.to_dict() for item in models(client)[1].items],
    {"metadata": META, "data": {"a": NEEDLE}, "stringData": None},
]


@pytest.mark.parametrize("where", ["call", "bound", "logger"])
@pytest.mark.parametrize("body", CASES, ids=lambda case: type(case).__name__)
def test_a_secret_logged_whole_shows_none_of_its_data(body: Any, where: str):
    """However an object is logged, its secret parts are masked, and its name stays."""
    with configured() as written:
        log = ctxlog.get_logger("t")
        if where == "call":
            log.info("got", body=body)
        elif where == "bound":
            with ctxlog.scope(body=body):
                log.info("got")
        else:
            log.bind(body=body).info("got")
    text = written.getvalue().decode()
    assert NEEDLE not in text
    assert "nobody-sees-this" not in text
    assert '"db"' in text or "items" in text
    assert written.event["event"] == "got"


@pytest.mark.parametrize("door", ["ctxlog", "stdlib", "event"])
@pytest.mark.parametrize("body", CASES, ids=lambda case: type(case).__name__)
def test_a_secret_as_an_argument_shows_none_of_its_data(body: Any, door: str):
    """``%s`` of a model would print all that it has."""
    with configured(stdlib=True) as written:
        if door == "ctxlog":
            ctxlog.get_logger("t").info("got %s", body)
        elif door == "stdlib":
            logging.getLogger("t").warning("got %s %s", body, 1)
        else:
            ctxlog.get_logger("t").info(body)
    text = written.getvalue().decode()
    assert NEEDLE not in text
    assert "nobody-sees-this" not in text
    assert "db" in text or "items" in text


class Evil(type):
    """A metaclass whose attributes raise."""

    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Odd(metaclass=Evil):
    """Of that kind."""

    def __str__(self) -> str:
        return "odd"


def test_an_argument_of_any_class_is_printed():
    """Asking what it is may raise."""
    with configured() as written:
        ctxlog.get_logger("t").info("got %s and %s", Odd(), client.V1ObjectMeta)
    assert written.event["event"].startswith("got odd and <class")


def test_a_config_map_keeps_its_data():
    """Only Secrets are masked: a ConfigMap's data is what one wants to see."""
    with configured() as written:
        ctxlog.get_logger("t").info("got", body={"kind": "ConfigMap", "data": {"level": "debug"}})
    assert {"level": "debug"} == written.event["body"]["data"]


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_a_kind_of_any_type_does_not_break_a_line(kind: Any):
    """What is called ``kind`` may be anything."""
    with configured() as written:
        ctxlog.get_logger("t").info("got", body={"kind": kind, "data": 1}, deep=[{"kind": kind}])
    assert "kind" in written.event["body"]
