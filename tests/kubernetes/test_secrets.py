"""What must never reach a line: a Secret's data, managed fields, what annotations keep of them."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import io
import json
import logging
from collections import UserList, deque
from decimal import Decimal
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import kopf
import pydantic
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from kopf._cogs.structs.bodies import Body
from kubernetes import client
from kubernetes.dynamic.resource import ResourceInstance
from kubernetes_asyncio import client as aio

import ctxlog
from ctxlog.redact import Redaction
from tests.kit import configured

if TYPE_CHECKING:
    from collections.abc import Callable

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


@dataclasses.dataclass
class Held:
    """What a program keeps an object in."""

    body: Any


@attrs.define
class Defined:
    """The same with attrs."""

    body: Any


class Modelled(pydantic.BaseModel):
    """The same with pydantic."""

    body: Any


@attrs.define(repr=False)
class Hiding:
    """What says itself what is shown of it."""

    value: str

    def __repr__(self) -> str:
        return "<hiding>"


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "dataclass": Held,
    "attrs": Defined,
    "pydantic": lambda body: Modelled(body=body),
    "SimpleNamespace": lambda body: SimpleNamespace(body=body),
    "argparse": lambda body: argparse.Namespace(body=body),
    "UserList": lambda body: UserList([body]),
    "deque": lambda body: deque([body]),
    "values": lambda body: {"body": body}.values(),
    "items": lambda body: {"body": body}.items(),
    "attributes": lambda body: SimpleNamespace(**body) if type(body) is dict else body,
}


@pytest.mark.parametrize("body", [BODY, models(client)[0]], ids=["dict", "model"])
@pytest.mark.parametrize("holder", HOLDERS)
def test_whatever_holds_a_secret_shows_none_of_its_data(holder: str, body: Any):
    """As a field, bound, as an argument and as the event: its own text would show it all."""
    held = HOLDERS[holder](body)
    with configured(stdlib=True) as written:
        log = ctxlog.get_logger("t")
        log.info("got", held=held)
        with ctxlog.scope(held=held):
            log.info("got")
        log.info("got %s", held)
        log.info(held)
        logging.getLogger("t").warning("got %s %r", held, held)
    text = written.getvalue().decode()
    assert 5 == text.count("\n")
    assert NEEDLE not in text
    assert "nobody-sees-this" not in text
    assert 5 <= text.count("'db'") + text.count('"db"')


def test_what_holds_no_secret_has_its_own_text():
    """In a message; as a field its parts are told by name, unless it says itself what is shown."""
    with configured() as written:
        log = ctxlog.get_logger("t")
        log.info("got %s %s %r", Held(1), Defined(2), Hiding("x"))
        log.info("got", one=Held(1), two=Defined(2), three=Modelled(body=3), four=Hiding("x"))
    said, told = written.events
    assert "got Held(body=1) Defined(body=2) <hiding>" == said["event"]
    assert ({"body": 1}, {"body": 2}, {"body": 3}, "<hiding>") == tuple(
        told[name] for name in ("one", "two", "three", "four")
    )


@pytest.mark.parametrize("how", ["call", "bound", "logger", "message", "extra", "annotated"])
def test_a_secret_given_as_the_fields_themselves_shows_none_of_its_data(how: str):
    """``**body``, and wherever a mapping of fields is taken."""
    with configured(stdlib=True) as written:
        log = ctxlog.get_logger("t")
        if how == "call":
            log.info("got", **BODY)
        elif how == "bound":
            with ctxlog.scope(BODY):
                log.info("got")
        elif how == "logger":
            log.bind(**BODY).info("got")
        elif how == "message":
            logging.getLogger("t").warning(BODY)
        elif how == "extra":
            logging.getLogger("t").warning("got", extra=BODY)
        else:
            with ctxlog.operation("got"):
                ctxlog.annotate(BODY)
        log.info("other", kind="ConfigMap", data={"level": "debug"})
    text = written.getvalue().decode()
    assert NEEDLE not in text
    secret, other = written.events
    assert ("Secret", "[redacted]") == (secret["kind"], secret["data"])
    assert {"level": "debug"} == other["data"]


def test_headers_and_keys_of_a_connection_are_masked():
    """Headers as the standard library has them; what kopf and a kubeconfig connect with."""
    headers = HTTPMessage()
    headers["Authorization"] = NEEDLE
    headers["Accept"] = "text/plain"
    connection = kopf.ConnectionInfo(
        server="https://api", token=NEEDLE, password=NEEDLE, private_key_data=NEEDLE.encode()
    )
    users = {"users": [{"name": "me", "user": {"client-key-data": NEEDLE}}]}
    with configured(stdlib=True) as written:
        for held in (headers, connection, users):
            ctxlog.get_logger("t").info("got %s", held, held=held)
            logging.getLogger("t").warning("got %s %s", held, 1, extra={"held": held})
    text = written.getvalue().decode()
    assert NEEDLE not in text
    assert text.count("text/plain") == 4
    assert "https://api" in text


@given(st.lists(st.tuples(*[st.sampled_from(["kind", "data", "items", "other"])] * 3), max_size=6))
@example([("data", "data", "data"), ("kind", "kind", "data")])
@example([("kind", "other", "other"), ("data", "kind", "other"), ("other", "other", "data")])
def test_whatever_was_on_lines_before_a_secret_given_one_by_one_is_masked(before: list[Any]):
    """What is remembered of names never lets ``kind`` and ``data`` through together."""
    needle = {"a": NEEDLE}
    values = {"kind": "Secret", "data": needle, "items": [{"data": needle}], "other": 1}
    harmless = {"kind": "Pod", "data": 1, "items": [], "other": 1}
    with configured() as written:
        log = ctxlog.get_logger("t")
        for bound, own, called in before:
            with ctxlog.scope({bound: harmless[bound]}):
                log.bind(**{own: harmless[own]}).info("e", **{called: harmless[called]})
            with ctxlog.scope({bound: values[bound]}):
                log.bind(**{own: values[own]}).info("e", **{called: values[called]})
                log.info("e", **{called: values[called]})
            log.info("e", **{called: harmless[called]})
        for _ in range(2):
            log.info("got", kind="Secret", data=needle)
            log.info("got", kind="Secret", items=[{"data": needle}])
    for event in written.events:
        if event.get("kind") == "Secret":
            assert NEEDLE not in str(event)


def raised(error: BaseException, *, cause: BaseException | None = None) -> BaseException:
    """Return an exception as one that was caught."""
    try:
        raise error from cause
    except BaseException as caught:  # noqa: BLE001 - it is looked at
        return caught


class ToldError(Exception):
    """Says itself what is shown."""

    def __str__(self) -> str:
        return f"told {len(self.args)}"


ERRORS: dict[str, Callable[[Any], BaseException]] = {
    "alone": ValueError,
    "beside": lambda body: RuntimeError("could not handle", body),
    "key": KeyError,
    "cause": lambda body: raised(RuntimeError("outer"), cause=ValueError(body)),
    "group": lambda body: ExceptionGroup("several", [ValueError(body), LookupError("x", [body])]),
    "in another": lambda body: RuntimeError(ValueError(body)),
    "among others": lambda body: RuntimeError([ValueError(body)], {"e": KeyError(body)}),
    "told": ToldError,
}


@pytest.mark.parametrize("body", [BODY, models(client)[0], {"password": NEEDLE}],
                         ids=["dict", "model", "password"])  # fmt: skip
@pytest.mark.parametrize("kind", ERRORS)
def test_an_exception_that_was_raised_with_a_secret_shows_none_of_it(kind: str, body: Any):
    """Its text is its arguments': in the message, the traceback, the causes, in groups."""
    error = ERRORS[kind](body)
    with configured(stdlib=True) as written:
        log = ctxlog.get_logger("t")
        log.error("failed", exc_info=raised(error))
        log.error("failed: %s", error, error=error)
        log.error(error)
        logging.getLogger("t").error("failed: %s %s", error, 1, exc_info=raised(error))
        if "password" not in body if isinstance(body, dict) else True:
            with ctxlog.scope(error=error):  # as it is bound nothing is known of names
                log.error("failed")
        try:
            with ctxlog.operation("op"):
                raise error
        except type(error):
            pass
    text = written.getvalue().decode()
    assert NEEDLE not in text
    assert "nobody-sees-this" not in text
    assert type(error).__name__ in written.events[0]["exception.stacktrace"]


def test_an_exceptions_arguments_are_masked_by_the_names_that_are_configured():
    """As fields are: a name that was added, one that was allowed, the mask that was chosen."""
    body = {"plan": NEEDLE, "password": "allowed"}
    redact = Redaction(also={"plan"}, allow={"password"}, mask="<gone>")
    with configured(redact=redact) as written:
        try:
            raise ValueError(body)
        except ValueError:
            ctxlog.get_logger("t").exception("failed")
    (line,) = written.events
    for name in ("exception.message", "exception.stacktrace"):
        assert NEEDLE not in line[name]
        assert "<gone>" in line[name]
        assert "allowed" in line[name]


def test_an_exception_without_a_secret_keeps_its_text():
    """As Python has it, whatever it was raised with."""
    errors = [ValueError({"a": [1, 2]}), KeyError("k"), KeyError({"a": 1}), OSError(2, "no", "f"),
              RuntimeError("x", (1,), {2}), ToldError({"password": NEEDLE})]  # fmt: skip
    with configured() as written:
        for error in errors:
            ctxlog.get_logger("t").error("failed: %s", error, exc_info=error)
    for error, line in zip(errors, written.events, strict=True):
        assert f"failed: {error}" == line["event"]
        assert str(error) == line["exception.message"]
        assert line["exception.stacktrace"].endswith(f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("renderer", [None, "%(levelname)s %(message)s %(held)s"])
@pytest.mark.parametrize("body", [BODY, Defined(BODY), ValueError(BODY), *models(client)],
                         ids=lambda case: type(case).__name__)  # fmt: skip
def test_a_formatter_shows_no_secret(body: Any, renderer: str | None):
    """In a handler of anybody's, as JSON and as text, without `configure`."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(ctxlog.Formatter(renderer))
    log = logging.getLogger("t.formatter")
    log.propagate = False
    log.addHandler(handler)
    try:
        log.warning("got %s %d", body, 1, extra={"held": body})
        log.warning("got %(body)s", {"body": body}, extra={"held": 1})
        log.warning(body, extra={"held": 1})
        log.warning("failed", exc_info=raised(RuntimeError("x", body)), extra={"held": 1})
    finally:
        log.removeHandler(handler)
        log.propagate = True
    text = handler.stream.getvalue()
    assert NEEDLE not in text
    assert "nobody-sees-this" not in text
    assert 2 == text.count("got ")
    assert "RuntimeError" in text


def test_a_formatter_leaves_other_arguments_as_they_are():
    """Numbers of any kind, and what has a text of its own."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(ctxlog.Formatter("%(message)s"))
    record = logging.LogRecord("t", 20, "", 0, "%d %05.1f %s %s %r", (True, Decimal("2.25"),
                               Held(1), ValueError("no"), Hiding("x")), None)  # fmt: skip
    handler.emit(record)
    assert "1 002.2 Held(body=1) no <hiding>\n" == handler.stream.getvalue()


@pytest.mark.asyncio
async def test_structlogs_arguments_show_no_secret():
    """Where it writes through our pipeline, with each of its methods; others' chains get the text."""
    seen: list[Any] = []

    def chain(_: Any, __: str, event: Any) -> Any:
        seen.append(dict(event))
        raise structlog.DropEvent

    with configured(structlog=True) as written:
        log = structlog.get_logger("t")
        names = ("debug", "info", "warning", "warn", "error", "critical", "fatal", "exception")
        for name in names:
            getattr(log, name)("got %s %d", BODY, 1)
            await getattr(log, f"a{name}")("got %s %d", BODY, 1)
        log.log(20, "got %s %d", BODY, 1)
        await log.alog(20, "got %s %d", BODY, 1)
        log.info("%(name)s %(data)s", {"name": "got", "data": Defined(BODY)})
        log.info("got %d", "no number")
        log.info("no arguments: %s")
        structlog.configure(processors=[chain])
        log = structlog.get_logger("t")
        log.info("got %d", 3)
        log.log(20, "got %d", 4)
        await log.ainfo("got %d", 5)
        structlog.reset_defaults()
    assert NEEDLE not in written.getvalue().decode()
    lines = written.events
    assert 21 == len(lines)
    for line in lines[:18]:
        assert line["event"].startswith("got {'kind': 'Secret'")
        assert line["event"].endswith("} 1")
    assert ("got %d", ["no number"]) == (lines[19]["event"], lines[19]["positional_args"])
    assert "no arguments: %s" == lines[20]["event"]
    assert ["got 3", "got 4", "got 5"] == [event["event"] for event in seen]
