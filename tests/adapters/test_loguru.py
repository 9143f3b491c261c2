"""loguru, both ways, with the real library."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from loguru import logger

import ctxlog
from ctxlog.adapters.loguru import LoguruSink, patcher, sink
from tests.strategies import events, relaxed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _loguru_as_it_was() -> Iterator[None]:
    logger.remove()
    yield
    logger.remove()
    logger.configure(extra={})
    logger._core.patcher = None  # type: ignore[attr-defined] # configure() takes None for "as it is"
    ctxlog.shutdown()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """Return what was written, parsed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def configured(**options: Any) -> io.StringIO:
    """Configure ctxlog and return its stream."""
    out = io.StringIO()
    ctxlog.configure(stream=out, renderer="json", level="trace", **options)
    return out


@pytest.mark.parametrize("enqueue", [False, True])
@pytest.mark.parametrize("serialize", [False, True])
def test_records_arrive_with_everything(enqueue: bool, serialize: bool):
    """bind, contextualize, patch, arguments and the emitting thread's context, queued or not."""
    out = configured()
    logger.add(sink, enqueue=enqueue, serialize=serialize, level=0)
    patched = logger.patch(lambda record: record["extra"].update(patched=True))

    def work(number: int) -> None:
        with (
            ctxlog.entry({"x-request-id": f"r-{number}"}),
            logger.contextualize(task=number),
        ):
            patched.bind(user=f"u-{number}").info("took {n} of {what}", n=number, what="it")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.complete()
    logger.remove()
    assert 5 == len(lines(out))
    for line in lines(out):
        number = line["n"]
        assert f"took {number} of it" == line["event"]
        assert (f"r-{number}", f"u-{number}", number, True, __name__) == tuple(
            line[name] for name in ("request_id", "user", "task", "patched", "logger")
        )
        assert "trace_id" in line


class OddError(Exception):
    """One that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


@pytest.mark.parametrize("enqueue", [False, True])
def test_exceptions(enqueue: bool):
    """``exception`` and ``opt(exception=…)`` are data, also from behind a queue."""
    out = configured()
    logger.add(sink, enqueue=enqueue)

    try:
        raise OddError("no")
    except OddError:
        logger.exception("failed")
    logger.opt(exception=ValueError("given")).error("given")
    logger.complete()
    logger.remove()
    failed, given_ = lines(out)
    assert failed["exception.type"].endswith("OddError")
    assert "test_loguru.py" in failed["exception.stacktrace"]
    assert ("ValueError", "given") == (given_["exception.type"], given_["exception.message"])


def test_levels():
    """Loguru's levels keep their names, also its own and the application's."""
    out = configured()
    logger.add(sink, level=0)
    with contextlib.suppress(ValueError):  # another test has
        logger.level("AUDIT", no=35)
    logger.trace("x")
    logger.debug("x")
    logger.success("x")
    logger.log("AUDIT", "x")
    logger.critical("x")
    expected = ["trace", "debug", "success", "audit", "critical"]
    assert expected == [line["level"] for line in lines(out)]


def test_levels_of_configure_hold():
    """``levels`` by logger name holds for loguru's lines."""
    out = configured(levels={__name__: "error"})
    logger.add(sink)
    logger.info("no")
    logger.error("yes")
    assert ["yes"] == [line["event"] for line in lines(out)]


def test_the_call_site():
    """With ``callsite`` a line says where loguru was called."""
    out = configured(callsite=True)
    logger.add(sink)
    logger.info("x")
    line = lines(out)[0]
    assert line["code.file.path"].endswith("test_loguru.py")
    assert line["code.function.name"].endswith("test_the_call_site")


def test_the_patcher_that_was_there():
    """It still runs; when our sink is removed it is the patcher again."""

    def theirs(record: Any) -> None:
        record["extra"]["theirs"] = True

    logger.configure(patcher=theirs)
    out = configured()
    added = logger.add(sink)
    logger.info("x")
    logger.remove(added)
    assert lines(out)[0]["theirs"]
    assert logger._core.patcher is theirs  # type: ignore[attr-defined]
    assert not patcher.installed


def test_our_events_with_loguru():
    """Message, level, time, name and fields arrive in loguru's sinks, as they are."""
    got: list[Any] = []
    logger.add(got.append, format="{message}", level=0)
    ctxlog.configure(sinks=[LoguruSink()], level="debug")
    with ctxlog.entry({"x-request-id": "r-1"}):
        ctxlog.get_logger("shop").warning("{braces} and <red>tags</red>", items=3)
    record = got[0].record
    assert ("{braces} and <red>tags</red>", "WARNING", "shop") == (
        record["message"], record["level"].name, record["name"],
    )  # fmt: skip
    assert ("r-1", 3) == (record["extra"]["request_id"], record["extra"]["items"])
    assert record["time"].tzinfo is not None


def test_no_event_comes_back():
    """Both ways at once: each event is in each place once, whoever wrote it."""
    got: list[str] = []
    logger.add(lambda message: got.append(message.record["message"]), level=0)
    logger.add(sink, level=0)
    out = io.StringIO()
    ctxlog.configure(sinks=[out, LoguruSink()], renderer="json")
    ctxlog.get_logger("own").info("own")
    logging.getLogger("doors.lib").info("lib")
    logger.info("loguru")
    assert ["own", "lib", "loguru"] == got
    assert ["own", "lib", "loguru"] == [line["event"] for line in lines(out)]


def test_unconfigured_it_goes_to_logging_without_a_loop():
    """Unconfigured, lines go to logging; the usual InterceptHandler does not send them round."""
    out = io.StringIO()
    logging.root.addHandler(ctxlog.Handler(out))

    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.log(record.levelname, record.getMessage())

    logging.root.addHandler(Intercept())
    logger.add(sink, level=0)
    with ctxlog.scope(request_id="r-1"):
        logger.warning("x", n=1)
    assert [("x", "r-1", 1)] == [(e["event"], e["request_id"], e["n"]) for e in lines(out)]


def test_contextualize_shows_at_every_door_and_travels():
    """What loguru's contextualize binds is on our lines, in snapshots, and not in an entry."""
    out = configured()
    log = ctxlog.get_logger("own")
    with logger.contextualize(user="bob"):
        log.info("x")
        taken = ctxlog.snapshot()
        with ctxlog.entry():
            log.info("entry")
        log.info("back")
    log.info("after")
    thread = threading.Thread(target=taken.run, args=(log.info, "thread"))
    thread.start()
    thread.join()
    users = {line["event"]: line.get("user") for line in lines(out)}
    expected = {"x": "bob", "entry": None, "back": "bob", "after": None, "thread": "bob"}
    assert expected == users


def test_another_core_of_logurus():
    """A deep copy of the logger is not patched; on the same thread its context is still right."""
    import copy

    out = configured()
    other = copy.deepcopy(logger)
    other.add(sink)
    with ctxlog.scope(request_id="r-1"):
        other.info("x")
    assert "r-1" == lines(out)[0]["request_id"]


@relaxed
@given(event=events())
def test_anything_is_one_valid_line(event: dict[Any, Any]):
    """Whatever loguru's extra holds is one valid line."""
    out = configured()
    logger.remove()
    logger.add(sink, format="{message}", catch=False)
    logger.patch(lambda record: record["extra"].update(event)).info("x")
    assert 1 == len(lines(out))
