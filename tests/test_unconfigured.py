"""Unconfigured: events go to the host's ``logging``, with their context, as the host decides."""

from __future__ import annotations

import logging
import sys

import pytest

import ctxlog
from ctxlog.context.providers import add_provider, remove_provider
from ctxlog.context.resource import set_resource
from tests.kit import Written, moved
from tests.strategies import HOSTILE, BoomError


@pytest.fixture
def host(caplog):
    """The host's logging, listening from ``debug`` on."""
    ctxlog.shutdown()
    caplog.set_level(logging.DEBUG)
    return caplog


def test_an_event_with_its_context(host):
    """Name, level, message and caller are the record's; fields are its attributes, by precedence."""
    with ctxlog.entry(request_id="r-1", a="context", b="context"):
        ctxlog.get_logger("lib.part", a="logger").bind(c=1).warning("paid %d", 3, d=[1], a="call")
        line = sys._getframe().f_lineno - 1
    (record,) = host.records
    assert ("lib.part", 30, "paid 3") == (record.name, record.levelno, record.getMessage())
    assert (__file__, line, "test_an_event_with_its_context") == (
        record.pathname, record.lineno, record.funcName
    )  # fmt: skip
    assert ("r-1", "call", "context", 1, [1]) == (
        record.request_id, record.a, record.b, record.c, record.d
    )  # fmt: skip
    assert 32 == len(record.trace_id)


def test_the_host_decides_on_levels(host):
    """A level the host does not listen to is not even put together."""
    host.set_level(logging.ERROR, "lib")
    log = ctxlog.get_logger("lib")
    log.info("no", value=ctxlog.lazy(lambda: pytest.fail("computed")))
    log.error("yes")
    assert ["yes"] == [record.getMessage() for record in host.records]
    assert (False, True, 40) == (
        log.is_enabled_for("info"), log.is_enabled_for(40), log.get_effective_level()
    )  # fmt: skip


def test_names_that_a_record_has(host):
    """A field called as an attribute of the record moves, and nothing is lost."""
    ctxlog.get_logger("lib").info("e", **{"name": "n", "args": 1, "message": "m", "fields.name": 2})
    (record,) = host.records
    assert "lib" == record.name
    assert (1, "m") == (record.__dict__["fields.args"], record.__dict__["fields.message"])
    assert {"n", 2} == {record.__dict__["fields.name"], record.__dict__["fields.fields.name"]}


def test_exceptions_and_stacks(host):
    """``exc_info``, ``stack_info`` and ``stacklevel`` mean what they mean in logging."""

    def helper() -> None:
        ctxlog.get_logger("lib").info("e", stack_info=True, stacklevel=2)

    try:
        raise BoomError("no")
    except BoomError as error:
        ctxlog.get_logger("lib").exception("e")
        raised = error
    helper()
    ctxlog.get_logger("lib").info("e", stacklevel=10_000)
    with_error, with_stack, no_caller = host.records
    assert raised is with_error.exc_info[1]
    assert with_stack.stack_info.startswith("Stack (most recent call last):\n")
    assert "test_exceptions_and_stacks" == with_stack.funcName
    assert "(unknown file)" == no_caller.pathname


def test_resource_providers_and_pinned_context(host):
    """Every layer is attached; one that fails is counted; a pinned context replaces the current."""

    def fails() -> None:
        raise BoomError("no")

    with ctxlog.entry(request_id="r-1"):
        taken = ctxlog.snapshot()
    set_resource({"service.name": "shop"})
    add_provider(fails)
    try:
        with ctxlog.scope(request_id="other"), moved("errors.provider") as by:
            ctxlog.get_logger("lib").using(taken).info("e", trace_id="mine")
    finally:
        remove_provider(fails)
        set_resource()
    (record,) = host.records
    assert ("r-1", "shop") == (record.request_id, record.__dict__["service.name"])
    assert "mine" == record.__dict__["fields.trace_id"]
    assert {"errors.provider": 1} == by


def test_secrets_are_masked(host):
    """Redaction is on here too."""
    ctxlog.get_logger("lib").info("e", password="hunter2", nested={"token": "t"})
    (record,) = host.records
    assert ("[redacted]", {"token": "[redacted]"}) == (record.password, record.nested)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values(name, host):
    """Nothing that is logged raises."""
    ctxlog.get_logger("lib").info(HOSTILE[name](), value=HOSTILE[name]())
    assert 1 == len(host.records)


def test_a_host_that_fails(host):
    """A filter of the host's that raises is counted; the application goes on."""

    def refuse(_: logging.LogRecord) -> bool:
        raise BoomError("no")

    logger = logging.getLogger("lib.refusing")
    logger.addFilter(refuse)
    with moved("errors.unconfigured") as by:
        ctxlog.get_logger("lib.refusing").info("e")
    assert {"errors.unconfigured": 1} == by


def test_a_handler_that_logs(host):
    """A host's handler that logs through ctxlog does not recurse for ever."""
    calls: list[str] = []

    class Talks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            calls.append(record.getMessage())
            if len(calls) < 3:
                ctxlog.get_logger("lib.inner").info("inner")

    logger = logging.getLogger("lib.talks")
    handler = Talks()
    logging.getLogger("lib").addHandler(handler)
    try:
        ctxlog.get_logger(logger.name).info("outer")
    finally:
        logging.getLogger("lib").removeHandler(handler)
    assert ["outer", "inner", "inner"] == calls


def test_the_root_logger(host):
    """A logger without a name is the root."""
    ctxlog.get_logger().warning("e")
    assert ["root"] == [record.name for record in host.records]


@pytest.mark.parametrize(
    ("event", "args"), [("%d", ("x",)), ("e", (1, 2)), ("100%", (1,)), ("%(a)s", ({"b": 1},))]
)
def test_arguments_that_do_not_fit_are_not_lost(host, event, args):
    """The record can be written, with its arguments as a field, as the pipeline would write it."""
    with moved("errors.arguments") as by:
        ctxlog.get_logger("lib").info(event, *args, a=1)
    (record,) = host.records
    assert (event, 1) == (record.getMessage(), record.a)
    assert list(args) == record.positional_args
    assert {"errors.arguments": 1} == by


def test_arguments_that_do_not_fit_are_said_once_by_our_handler(host):
    """A handler of ours makes of the record what the pipeline makes of the event."""
    out = Written()
    handler = ctxlog.Handler(out, renderer="json")
    logging.getLogger("lib").addHandler(handler)
    try:
        ctxlog.get_logger("lib").info("%d", "x")
    finally:
        logging.getLogger("lib").removeHandler(handler)
    assert ("%d", ["x"]) == (out.event["event"], out.event["positional_args"])
    assert "positional_args~2" not in out.event


def test_a_lone_keyword_event_is_the_message(host):
    """As when configured; no record says None."""
    ctxlog.get_logger("lib").info(event="lone", n=1)
    (record,) = host.records
    assert ("lone", 1) == (record.getMessage(), record.n)
    assert "fields.event" not in record.__dict__
