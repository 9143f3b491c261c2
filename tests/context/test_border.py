"""What is secret leaves the process as its mask, whichever way its context goes."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextvars import ContextVar
from multiprocessing import get_context as start_method
from typing import TYPE_CHECKING, Any

import pytest
from loguru import logger as loguru_logger
from structlog.contextvars import bound_contextvars, get_contextvars

import ctxlog
from ctxlog import Snapshot, get_context, scope, snapshot, wrap
from ctxlog.context.accessors import unregister_accessor
from ctxlog.context.border import border, leaving
from ctxlog.context.raised import raised_under
from ctxlog.context.travel import REPLACED
from ctxlog.context.variables import carry_var
from ctxlog.propagation import processes
from ctxlog.redact import Redaction
from tests.kit import configured, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HIDDEN = "s-3cr3t"
BOUND: dict[str, Any] = {
    "user": "bob",
    "Api-Key": HIDDEN,
    "login": {"name": "bob", "password": HIDDEN},
    "headers": [["Cookie", HIDDEN], ["Accept", "*/*"]],
    "object": {"kind": "Secret", "data": {"a": HIDDEN}},
}
MASKED: dict[str, Any] = {
    "user": "bob",
    "Api-Key": "[redacted]",
    "login": {"name": "bob", "password": "[redacted]"},
    "headers": [["Cookie", "[redacted]"], ["Accept", "*/*"]],
    "object": {"kind": "Secret", "data": "[redacted]"},
}

WAYS: dict[str, Callable[[Snapshot], tuple[bytes, Snapshot]]] = {
    "bytes": lambda taken: (sent := taken.to_bytes(), Snapshot.from_bytes(sent)),
    "environment": lambda taken: (
        repr(sent := taken.to_environ({})).encode(),
        Snapshot.from_environ(sent),
    ),
    "pickle": lambda taken: (sent := pickle.dumps(taken), pickle.loads(sent)),
}


@pytest.fixture(params=WAYS)
def travels(request: pytest.FixtureRequest) -> Callable[[Snapshot], tuple[bytes, Snapshot]]:
    """One way out of the process: what is sent, and the snapshot that arrives."""
    return WAYS[request.param]


def taken(**fields: object) -> Snapshot:
    """A snapshot with these fields."""
    with scope(fields):
        return snapshot()


def test_secrets_travel_as_their_masks(travels):
    """What lines would mask, at any depth, leaves masked, and is named; the rest as it is."""
    with moved("context.replaced") as by:
        sent, arrived = travels(taken(**BOUND))
    assert HIDDEN.encode() not in sent
    assert {**MASKED, REPLACED: ["Api-Key", "login", "headers", "object"]} == arrived.values()
    assert {"context.replaced": 4} == by


def test_what_holds_no_secret_is_not_named(travels):
    """Fields without one arrive equal, and nothing is said of them."""
    fields = {"a": (1, {"b": "x"}), "big": 1 << 70, "text": "password"}
    with moved("context.replaced") as by:
        _, arrived = travels(taken(**fields))
    assert {"a": [1, {"b": "x"}], "big": 1 << 70, "text": "password"} == arrived.values()
    assert {"context.replaced": 0} == by


def test_the_snapshot_here_keeps_its_values(travels):
    """Sending it changes nothing in this process: what is bound can still be read here."""
    here = taken(**BOUND)
    travels(here)
    assert HIDDEN == here.values()["Api-Key"]


def test_the_running_configuration_says_what_is_secret(travels):
    """Its names, allowed paths, patterns and mask hold at the border too, until it is shut down."""
    redaction = Redaction(
        also=["note"], allow=["page.token"], patterns=[r"sk-\w+"], mask="<hidden>"
    )
    fields = {"note": "n", "page": {"token": "t"}, "text": ["uses sk-1"], "password": "p"}
    with configured(redact=redaction):
        _, arrived = travels(taken(**fields))
    expected = {
        "note": "<hidden>",
        "page": {"token": "t"},
        "text": ["uses <hidden>"],
        "password": "<hidden>",
        REPLACED: ["note", "text", "password"],
    }
    assert expected == arrived.values()
    _, arrived = travels(taken(note="n", password="p"))
    assert {"note": "n", "password": "[redacted]", REPLACED: ["password"]} == arrived.values()


def test_without_redaction_all_travels(travels):
    """Whoever turns masks off has them off at the border as well."""
    with configured(redact=False):
        _, arrived = travels(taken(password=HIDDEN))
    assert {"password": HIDDEN} == arrived.values()


def test_structlogs_and_logurus_context_leave_masked():
    """What other libraries bound for their lines is masked by name, in bytes and in pickles."""
    with (
        bound_contextvars(user="bob", token=HIDDEN),
        loguru_logger.contextualize(user="bob", token=HIDDEN, thing=["a"]),
    ):
        here = snapshot()
    for way in WAYS.values():
        sent, arrived = way(here)
        assert HIDDEN.encode() not in sent
        assert {"user": "bob", "token": "[redacted]"} == arrived.run(get_contextvars)
    _, arrived = WAYS["pickle"](here)
    loguru = next(value for accessor, value in arrived.carried if accessor.name == "loguru")
    assert {"user": "bob", "token": "[redacted]", "thing": ["a"]} == loguru


@pytest.fixture
def carried() -> Iterator[ContextVar[str]]:
    """A variable of the application's that travels."""
    var: ContextVar[str] = ContextVar("api_token")
    carry_var(var)
    yield var
    unregister_accessor("api_token")


def test_a_variable_that_was_told_to_travel_does(carried, travels):
    """What the application carries by ``carry_var`` is its own, and is no field of a line."""
    before = carried.set("t")
    here = snapshot()
    carried.reset(before)
    _, arrived = travels(here)
    assert "t" == arrived.run(carried.get)


def test_an_exception_takes_no_secret_along():
    """What an exception was raised under is masked when it is pickled, as a pool does it."""
    with pytest.raises(ValueError, match="bad") as caught, scope(BOUND):
        raise ValueError("bad")
    sent = pickle.dumps(caught.value)
    assert HIDDEN.encode() not in sent
    (raised,) = raised_under(pickle.loads(sent))
    assert "[redacted]" == raised.values["Api-Key"]
    assert {"name": "bob", "password": "[redacted]"} == raised.values["login"]


class Keeping(logging.Handler):
    """A handler that keeps its records."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self.records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.records.append(record)


def test_a_record_takes_no_secret_along():
    """What a record of ``logging`` was stamped with is masked when a handler pickles it."""
    records: list[logging.LogRecord] = []
    undo = ctxlog.stamp_records()
    try:
        logger = logging.Logger("border")
        logger.addHandler(Keeping(records))
        with scope(BOUND):
            logger.warning("x")
    finally:
        undo()
    sent = pickle.dumps(records[0])
    assert HIDDEN.encode() not in sent
    assert b"[redacted]" in sent


def test_a_pools_worker_and_a_subprocess_see_masks():
    """A job in a spawned worker, and a child that is handed the environment, get no secret."""
    with scope(user="bob", password=HIDDEN):
        with ProcessPoolExecutor(1, mp_context=start_method("spawn")) as pool:
            seen = pool.submit(wrap(get_context)).result()
        environ = processes.environ({**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert {"user": "bob", "password": "[redacted]", REPLACED: ["password"]} == seen
    code = (
        "import os, ctxlog; print(ctxlog.Snapshot.from_environ().values());"
        f"print({HIDDEN!r} in repr(dict(os.environ)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert f"{seen}\nFalse\n" == found.stdout


def test_the_border_is_the_configurations_own():
    """The next configuration replaces what masks; a mask of a mask stays one."""
    with configured(redact=Redaction(names=["note"])):
        assert {"note": "[redacted]", "password": "p"} == leaving({"note": "n", "password": "p"})
    assert Redaction() == border.redaction
    told: list[str] = []
    ctxlog.configure(redact=True, sinks=[])
    try:
        assert {"password": "[redacted]"} == leaving({"password": "[redacted]"}, told.append)
    finally:
        ctxlog.shutdown()
    assert not told
