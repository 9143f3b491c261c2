"""configure(stdlib=True): what libraries log, once, beside the handlers that are there."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import queue
from typing import Any

import pytest

import ctxlog
from ctxlog.adapters.logging.handler import Handler


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """Return what was written, parsed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


class Foreign(logging.Handler):
    """Somebody's own handler."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.got.append(record.getMessage())


def test_libraries_lines_come_out_once_beside_foreign_handlers():
    """Ours and theirs each see a record once; neither is removed."""
    out, foreign = io.StringIO(), Foreign()
    logging.root.addHandler(foreign)
    for _ in range(3):  # configuring again doubles nothing
        ctxlog.configure(stream=out, renderer="json")
    with ctxlog.scope(request_id="r-1"):
        logging.getLogger("doors.lib").info("x", extra={"n": 1})
    assert ["x"] == foreign.got
    assert [("x", "r-1", 1)] == [(e["event"], e["request_id"], e["n"]) for e in lines(out)]
    ctxlog.shutdown()
    left = [handler for handler in logging.root.handlers if "Capture" not in repr(handler)]
    assert foreign in left
    assert not [handler for handler in left if type(handler).__module__.startswith("ctxlog")]


@pytest.mark.parametrize("first", ["handler", "configure"])
@pytest.mark.parametrize("where", ["root", "named", "both"])
def test_no_line_twice_and_none_lost(first: str, where: str):
    """Root, a named logger and configure all have handlers: each record is on one stream once."""
    out = io.StringIO()
    named = logging.getLogger("doors.named")

    def add() -> None:
        if where in {"root", "both"}:
            logging.root.addHandler(Handler(out))
        if where in {"named", "both"}:
            named.addHandler(Handler(out))

    if first == "handler":
        add()
    ctxlog.configure(stream=out, renderer="json")
    if first == "configure":
        add()
    named.info("named")
    logging.getLogger("doors.other").info("other")
    ctxlog.get_logger("doors.own").info("own")
    assert ["named", "other", "own"] == [line["event"] for line in lines(out)]


def test_what_a_handler_of_ours_refuses_is_not_lost():
    """A handler that is there but above the level, or filters, leaves the record to configure."""
    out, other = io.StringIO(), io.StringIO()
    ctxlog.configure(stream=out, renderer="json")
    high = Handler(other, level="error")
    high.addFilter(lambda record: "no" not in record.msg)
    logging.root.addHandler(high)
    log = logging.getLogger("doors.lib")
    log.info("low")
    log.error("no")
    log.error("yes")
    assert ["low", "no"] == [line["event"] for line in lines(out)]
    assert ["yes"] == [line["event"] for line in lines(other)]


def test_a_handler_of_ours_behind_a_memory_handler():
    """A record that will reach a handler of ours later is left to it."""
    out, other = io.StringIO(), io.StringIO()
    ctxlog.configure(stream=out, renderer="json")
    memory = logging.handlers.MemoryHandler(10, target=Handler(other))
    logging.root.addHandler(memory)
    logging.getLogger("doors.lib").info("x")
    memory.flush()
    memory.close()
    assert (0, 1) == (len(lines(out)), len(lines(other)))


@pytest.mark.parametrize("kind", ["memory", "queue"])
@pytest.mark.parametrize("first", ["theirs", "configure"])
def test_a_record_that_is_kept_for_a_handler_of_ours(first: str, kind: str):
    """It is one line, in whichever order they were added, and never with the ids of who flushes."""
    out = io.StringIO()
    target = Handler(out)
    waiting: queue.Queue[Any] = queue.Queue()
    listener = logging.handlers.QueueListener(waiting, target)
    theirs: Any = logging.handlers.MemoryHandler(10, target=target)
    if kind == "queue":
        theirs = logging.handlers.QueueHandler(waiting)
        theirs.listener = listener  # as dictConfig does from 3.12 on
    if first == "theirs":
        logging.root.addHandler(theirs)
    ctxlog.configure(stream=out, renderer="json")
    logging.root.addHandler(theirs)  # twice is once
    with ctxlog.entry(request_id="r-1"):
        logging.getLogger("doors.lib").warning("x")
    with ctxlog.entry(request_id="r-2"):
        listener.start()
        theirs.flush()
        listener.stop()
    theirs.close()
    (line,) = lines(out)
    copied = kind == "queue" and first == "theirs"  # before ours could see it
    assert ("x", None if copied else "r-1") == (line["event"], line.get("request_id"))


def test_levels_are_set_and_restored():
    """``level`` and ``levels`` hold for stdlib loggers, ``set_level`` too, until the next time."""
    noisy = logging.getLogger("doors.noisy")
    noisy.setLevel(logging.INFO)
    logging.root.setLevel(logging.ERROR)
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", level="debug", levels={"doors.noisy": "error"})
    noisy.warning("no")
    logging.getLogger("doors.lib").debug("yes")
    ctxlog.set_level("doors.noisy", "debug")
    noisy.debug("now")
    ctxlog.configure(stream=out, renderer="json", level="info")
    assert (logging.INFO, logging.INFO) == (logging.root.level, noisy.level)
    ctxlog.configure(stream=out, renderer="json", stdlib=False)
    assert logging.ERROR == logging.root.level
    noisy.info("not ours")
    assert ["yes", "now"] == [line["event"] for line in lines(out)]


def test_a_level_somebody_changed_since_is_left():
    """What the host has set after us is not restored over."""
    ctxlog.configure(sinks=[], level="debug")
    logging.root.setLevel(logging.CRITICAL)
    ctxlog.shutdown()
    assert logging.CRITICAL == logging.root.level


def test_sinks_levels_filters_and_failures():
    """Each sink's own level and filter hold; one that fails leaves the others their line."""
    loud, filtered = io.StringIO(), io.StringIO()

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("full")

    ctxlog.configure(renderer="json", sinks=[Broken(), {"target": loud, "level": "error"}])
    log = logging.getLogger("doors.lib")
    log.info("x")
    log.error("y")
    assert ["y"] == [line["event"] for line in lines(loud)]
    ctxlog.add_sink(filtered, filter=lambda event: event["event"] == "z")
    log.info("z")
    log.info("no")
    assert ["z"] == [line["event"] for line in lines(filtered)]


def test_a_handler_as_a_sink():
    """A ``logging.Handler`` takes our lines; with a formatter, the event and its fields."""
    out, text = io.StringIO(), io.StringIO()
    plain, formatted = logging.StreamHandler(out), logging.StreamHandler(text)
    formatted.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(items)s"))
    ctxlog.configure(sinks=[plain, formatted], renderer="json")
    ctxlog.get_logger("doors.own").warning("low", items=3)
    logging.getLogger("doors.lib").warning("lib", extra={"items": 4})
    assert ["low", "lib"] == [line["event"] for line in lines(out)]
    expected = ["doors.own WARNING low 3", "doors.lib WARNING lib 4"]
    assert expected == text.getvalue().splitlines()


def test_a_sink_that_is_on_a_logger_gets_nothing_back():
    """An event remembers its door: a handler that saw the record does not get it again."""
    foreign = Foreign()
    logging.root.addHandler(foreign)
    ctxlog.configure(sinks=[foreign], renderer="json")
    logging.getLogger("doors.lib").warning("lib")
    assert ["lib"] == foreign.got
    ctxlog.get_logger("doors.own").warning("own")
    assert 2 == len(foreign.got)


def test_the_call_site_is_the_records():
    """With ``callsite`` a record says where it was made."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", callsite=True)
    logging.getLogger("doors.lib").info("x")
    assert lines(out)[0]["code.file.path"].endswith("test_bridge.py")


def test_what_opentelemetrys_instrumentation_puts_on_records():
    """It says what the line says: on neither way it is a field, but where the context is unknown."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json")
    theirs = {"otelTraceID": "0", "otelSpanID": "0", "otelTraceSampled": False,
              "otelServiceName": "shop"}  # fmt: skip
    log = logging.getLogger("doors.lib")
    head = {"timestamp", "level", "logger", "event", "n"}
    before = ctxlog.counters()["slow_path"]
    for _ in range(2):
        log.info("short", extra={**theirs, "n": 1})
    assert before == ctxlog.counters()["slow_path"]
    log.info("full", extra={**theirs, "n": {1}})
    sent = log.makeRecord("doors.lib", 20, "", 0, "x", (), None, extra={**theirs, "n": 1})
    sent.process = -1
    log.handle(sent)
    assert [head, head, head, head | set(theirs)] == [set(line) for line in lines(out)]


class Liar:
    """A message that answers no question about itself."""

    def __getattribute__(self, name: str) -> Any:
        """Raise."""
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "given",
    [
        {"created": float("nan")},
        {"created": float("inf")},
        {"msg": Liar(), "exc_info": (ValueError, ValueError("x"), None)},
    ],
)
def test_a_record_as_nobody_makes_it(given: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    """One from elsewhere, with a time or a message that is none, is a line all the same."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json")
    made = {"name": "doors.lib", "levelno": 30, "levelname": "WARNING", "msg": "x", **given}
    logging.getLogger("doors.lib").handle(logging.makeLogRecord(made))
    assert ["warning"] == [line["level"] for line in lines(out)]
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("schema", ["ecs", "gcp", "datadog"])
def test_every_schema_is_the_same_on_both_ways(schema: str):
    """A record on the short way and one on the full way have the same names."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", schema=schema)
    with ctxlog.entry({"x-request-id": "r-1"}):
        before = ctxlog.counters()["slow_path"]
        logging.getLogger("doors.lib").info("x", extra={"n": 1})
        assert before == ctxlog.counters()["slow_path"]
        logging.getLogger("doors.lib").info("x", extra={"n": {1}})
        ctxlog.get_logger("doors.lib").info("x", n=1)
    names = [list(line) for line in lines(out)]
    assert names[0] == names[1] == names[2]
