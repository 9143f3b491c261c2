"""structlog: taken over if nobody configured it; its chains end in ours; its contextvars show."""

from __future__ import annotations

import io
import json
import logging
import pickle
import subprocess
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from structlog.contextvars import (
    bind_contextvars,
    bound_contextvars,
    clear_contextvars,
    get_contextvars,
)

import ctxlog
from ctxlog.adapters.structlog import LoggerFactory, add_context, deliver
from ctxlog.errors import UsageError
from tests.strategies import events, relaxed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    ctxlog.shutdown()
    structlog.reset_defaults()


def configured(**options: Any) -> io.StringIO:
    """Configure ctxlog and return its stream."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", **options)
    return out


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """Return what was written, parsed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_structlogs_loggers_write_through_our_pipeline():
    """Bound fields, arguments, exceptions and levels arrive; the name is given or the module's."""
    log = structlog.get_logger("shop")
    out = configured(levels={"quiet": "error"})
    with ctxlog.entry({"x-request-id": "r-1"}):
        log.bind(cart=7).info("took %d", 3, items={3}, password="p")
        structlog.get_logger().warning("mine")
        structlog.get_logger("quiet").warning("no")
        try:
            raise ValueError("no")
        except ValueError:
            log.exception("failed")
    took, mine, failed = lines(out)
    assert ("took 3", "r-1", 7, [3], "[redacted]") == tuple(
        took[name] for name in ("event", "request_id", "cart", "items", "password")
    )
    assert (__name__, "warning") == (mine["logger"], mine["level"])
    assert ("error", "ValueError") == (failed["level"], failed["exception.type"])


def test_it_is_the_line_of_our_own_logger():
    """The same event by both loggers is the same line but for its stamp."""
    out = configured()
    with ctxlog.scope(user="bob"):
        structlog.get_logger("shop").info("x", n=1)
        ctxlog.get_logger("shop").info("x", n=1)
    theirs, ours = lines(out)
    assert list(ours) == list(theirs)
    assert {**ours, "timestamp": 0} == {**theirs, "timestamp": 0}


def test_a_configured_structlog_is_left_alone():
    """``auto`` takes over nobody's configuration, ``True`` does, ``False`` touches nothing."""
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    mine = structlog.get_config()["processors"]
    configured()
    assert mine == structlog.get_config()["processors"]
    configured(structlog=True)
    assert [deliver] == structlog.get_config()["processors"]
    ctxlog.shutdown()
    assert not structlog.is_configured()
    configured(structlog=False)
    assert not structlog.is_configured()
    with pytest.raises(UsageError, match="auto"):
        configured(structlog="yes")


def test_structlog_that_is_imported_later():
    """An application may import structlog after configure: it is taken over then."""
    code = (
        "import sys, ctxlog; ctxlog.configure(renderer='json')\n"
        "assert 'structlog' not in sys.modules\n"
        "import structlog\n"
        "structlog.contextvars.bind_contextvars(user='bob')\n"
        "structlog.get_logger('shop').info('x')\n"
        "ctxlog.get_logger('own').info('y')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    x, y = map(json.loads, done.stderr.splitlines())
    assert ("x", "shop", "bob") == (x["event"], x["logger"], x["user"])
    assert "bob" == y["user"]


def test_an_applications_chain_ends_in_ours():
    """What structlog's processors add is the line's own: level, logger, time, exception."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            deliver,
        ],
        logger_factory=LoggerFactory(),
    )
    out = configured()
    log = structlog.get_logger("shop")
    with bound_contextvars(user="bob"):
        log.info("x", stack_info=True)
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed")
    x, failed = lines(out)
    assert ["timestamp", "level", "logger", "event"] == list(x)[:4]
    assert ("bob", "info", "shop") == (x["user"], x["level"], x["logger"])
    assert "test_structlog.py" in x["code.stacktrace"]
    assert not [name for name in x if name.startswith("fields.")]
    assert "ValueError: no" in failed["exception.stacktrace"]


def test_a_stamp_of_theirs_is_kept():
    """ISO text and epoch seconds are the line's time; what is neither moves aside."""
    structlog.configure(processors=[deliver], logger_factory=LoggerFactory())
    out = configured()
    log = structlog.get_logger("shop")
    log.info("x", timestamp="2024-01-02T03:04:05.000006Z")
    log.info("x", timestamp=1_700_000_000.5)
    log.info("x", timestamp="yesterday")
    iso, epoch, odd = lines(out)
    assert "2024-01-02T03:04:05.000006Z" == iso["timestamp"]
    assert "2023-11-14T22:13:20.500000Z" == epoch["timestamp"]
    assert "yesterday" == odd["fields.timestamp"]


def test_a_foreign_renderer_before_our_factory():
    """A chain that renders by itself still reaches our sinks: its text is the event."""
    structlog.configure(
        processors=[add_context, structlog.processors.KeyValueRenderer(key_order=["event"])],
        logger_factory=LoggerFactory(),
    )
    out = configured()
    with ctxlog.entry({"x-request-id": "r-1"}):
        structlog.get_logger("shop").warning("x")
    line = lines(out)[0]
    assert ("warning", "r-1") == (line["level"], line["request_id"])
    assert line["event"].startswith("event='x'")
    assert "request_id='r-1'" in line["event"]


def test_structlogs_contextvars_show_at_every_door():
    """What is bound with structlog.contextvars is below everything of ours, on each door's lines."""
    out = configured()
    with bound_contextvars(user="bob", tenant="acme"), ctxlog.scope(tenant="ours"):
        ctxlog.get_logger("own").info("x")
        structlog.get_logger("theirs").info("x")
        logging.getLogger("doors.lib").info("x")
    ctxlog.get_logger("own").info("after")
    for line in lines(out)[:3]:
        assert ("bob", "ours") == (line["user"], line["tenant"])
    assert "user" not in lines(out)[3]


def test_structlogs_contextvars_travel_and_an_entry_clears_them():
    """A snapshot carries them to another thread; an entry starts without; after it they are back."""
    out = configured()
    log = ctxlog.get_logger("own")
    with bound_contextvars(user="bob"):
        taken = ctxlog.snapshot()
        with ctxlog.entry():
            log.info("entry")
            bind_contextvars(user="eve")
        log.info("back")
    clear_contextvars()
    thread = threading.Thread(target=taken.run, args=(log.info, "thread"))
    thread.start()
    thread.join()
    log.info("none")
    users = {line["event"]: line.get("user") for line in lines(out)}
    assert {"entry": None, "back": "bob", "thread": "bob", "none": None} == users


def test_off_they_are_not_read():
    """With ``structlog=False`` nothing of structlog's shows."""
    out = configured(structlog=False)
    with bound_contextvars(user="bob"):
        ctxlog.get_logger("own").info("x")
        ctxlog.get_logger("own").info("y", n={1})
    assert all("user" not in line for line in lines(out))


def test_unconfigured_it_goes_to_logging():
    """A chain that ends in ours before configure writes with the standard library."""
    structlog.configure(processors=[deliver], logger_factory=LoggerFactory())
    out = io.StringIO()
    logging.root.addHandler(ctxlog.Handler(out))
    structlog.get_logger("shop").warning("x", n=1)
    assert ("x", 1, "shop") == tuple(lines(out)[0][name] for name in ("event", "n", "logger"))


def test_wrap_for_formatter_reaches_us_as_fields():
    """Structlog on top of logging (``wrap_for_formatter``) is fields too, once."""
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    out = configured()
    structlog.get_logger("doors.lib").info("x", n=1)
    assert [("x", 1)] == [(line["event"], line["n"]) for line in lines(out)]


def test_what_structlog_hands_to_its_formatter_is_in_our_shape():
    """Level, logger and traceback are the line's own, each once; what differs stays."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    out = configured()
    log = structlog.get_logger("doors.lib")
    try:
        raise LookupError("x")
    except LookupError:
        log.exception("a")
        log.error("b", exc_info=True)
    log.warning("c", exception="of rules")
    logging.getLogger("doors.lib").error({"event": "d", "level": "mine", "exception": "e"})
    first, second, third, fourth = lines(out)
    head = {"timestamp", "level", "logger", "event"}
    error = {"exception.type", "exception.message", "exception.stacktrace", "error.type"}
    assert head | error == set(first)
    assert head | {"exception.stacktrace"} == set(second)
    assert "LookupError: x" in second["exception.stacktrace"]
    assert "of rules" == third["exception.stacktrace"]
    assert ("mine", "e") == (fourth["fields.level"], fourth["exception"])


class Liar:
    """An object that answers no question about itself."""

    def __getattribute__(self, name: str) -> Any:
        """Raise."""
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        """Raise, as an array of two numbers does."""
        raise RuntimeError("truth")


@pytest.mark.parametrize("name", ["logger", "logger_name", "level", "level_number", "timestamp",
                                  "stack", "exception"])  # fmt: skip
@pytest.mark.parametrize("kind", [list, Liar, type(None)])
def test_a_field_called_as_structlogs_own_and_of_another_kind(name: str, kind: type):
    """It neither raises into the application nor vanishes: it is a field like any other."""
    out = configured()
    structlog.get_logger("shop").info("x", **{name: kind()})
    (line,) = lines(out)
    assert ("x", "shop", "info") == (line["event"], line["logger"], line["level"])
    shown = {"logger": "fields.logger", "level": "fields.level", "timestamp": "fields.timestamp"}
    found = line[shown.get(name, name)]
    assert "Liar" in found if kind is Liar else kind() == found


@relaxed
@given(event=events())
def test_anything_is_one_valid_line(event: dict[Any, Any]):
    """Whatever a structlog event holds, it is one valid line, or its own DropEvent."""
    out = configured()
    log = structlog.get_logger("shop")
    named = {str(key): value for key, value in event.items() if str(key).isidentifier()}
    named = {k: v for k, v in named.items() if k not in {"event", "self", "level"}}
    log.info("x", **named)
    assert 1 == len(lines(out))


@pytest.fixture
def stray_name() -> Iterator[None]:
    """A name that is no text in structlog's registry, as only code that writes there itself leaves."""
    var: ContextVar[Any] = ContextVar("structlog_stray")
    var.set("s")
    structlog.contextvars._CONTEXT_VARS[7] = var  # type: ignore[index]
    yield
    structlog.contextvars._CONTEXT_VARS.pop(7, None)  # type: ignore[call-overload]


@pytest.mark.usefixtures("stray_name")
def test_a_name_in_structlogs_registry_that_is_no_text_costs_nobody_the_rest():
    """It shows as text; what was bound properly shows and travels, also to another process."""
    with bound_contextvars(good=1):
        out = configured()
        ctxlog.get_logger("shop").info("x")
        taken = ctxlog.snapshot()
        (line,) = lines(out)
        assert (1, "s") == (line["good"], line["7"])
        assert "ctxlog.errors" not in line
        sent = taken.to_bytes()
        pickled = pickle.dumps(taken)
    structlog.contextvars._CONTEXT_VARS.pop(7)  # type: ignore[call-overload]
    assert 1 == ctxlog.Snapshot.from_bytes(sent).run(get_contextvars)["good"]
    assert 1 == pickle.loads(pickled).run(get_contextvars)["good"]
