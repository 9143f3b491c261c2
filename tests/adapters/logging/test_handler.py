"""Handler: what the documentation of logging's handlers promises, and our lines."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import logging.handlers
import pickle
import queue
import re
import sys
import threading
from typing import Any

import pytest
from hypothesis import given

import ctxlog
from ctxlog.adapters.logging.handler import Handler
from ctxlog.errors import UsageError
from tests.strategies import HOSTILE, events, relaxed


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """Return what was written, parsed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def listening(log: logging.Logger, **options: Any) -> io.StringIO:
    """Give a logger one handler of ours and return its stream."""
    out = io.StringIO()
    log.addHandler(Handler(out, **options))
    return out


def test_a_line_is_the_pipelines(log: logging.Logger):
    """Context, ids, message and extra are on the line, in the shape of ctxlog's own logger."""
    out = listening(log)
    own = io.StringIO()
    with ctxlog.entry({"x-request-id": "r-1"}, user="bob"):
        log.info("accepted %d", 3, extra={"items": [1], "ok": True})
        ctxlog.configure(stream=own, renderer="json", stdlib=False)
        ctxlog.get_logger("doors").info("accepted %d", 3, items=[1], ok=True)
    theirs, ours = lines(out)[0], lines(own)[0]
    assert list(ours) == list(theirs)
    del ours["timestamp"], theirs["timestamp"]
    assert ours == theirs


@pytest.mark.parametrize("msg", ["%s %s", "{} {}"], ids=["percent", "brace"])
def test_arguments_that_do_not_fit_lose_nothing(log: logging.Logger, msg: str):
    """A wrong number of arguments costs neither the line nor the arguments."""
    out = listening(log)
    log.info(msg, 1, 2, 3)
    assert [1, 2, 3] == lines(out)[0]["positional_args"]


def test_a_mapping_serves_named_arguments(log: logging.Logger):
    """One dict fills ``%(name)s``, as logging documents."""
    out = listening(log)
    log.info("%(who)s has %(n)d", {"who": "bob", "n": 3})
    assert "bob has 3" == lines(out)[0]["event"]


def test_brace_and_dollar_messages_of_the_cookbook(log: logging.Logger):
    """A message object is asked for its text, as the logging cookbook shows."""

    class Brace:
        def __init__(self, text: str, *args: object) -> None:
            self.text, self.args = text, args

        def __str__(self) -> str:
            return self.text.format(*self.args)

    out = listening(log)
    log.info(Brace("{} of {}", 1, 2))
    assert "1 of 2" == lines(out)[0]["event"]


def test_a_dict_message_is_fields(log: logging.Logger):
    """python-json-logger's way: a dict as the message is the line's fields."""
    out = listening(log)
    log.info({"message": "accepted", "items": 3})
    assert ("accepted", 3) == (lines(out)[0]["event"], lines(out)[0]["items"])


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_any_extra_is_one_valid_line(log: logging.Logger, name: str):
    """Whatever ``extra`` holds, one event is one valid line and the call does not raise."""
    out = listening(log)
    log.info("x", extra={"value": HOSTILE[name]()})
    assert 1 == len(lines(out))
    assert "value" in lines(out)[0]


@relaxed
@given(event=events())
def test_any_fields_are_one_valid_line(event: dict[Any, Any]):
    """Any mapping as ``extra`` gives one line; names a record has of its own are logging's."""
    log, out = logging.Logger("doors.property"), io.StringIO()
    log.addHandler(Handler(out))
    record = log.makeRecord("doors.property", 30, "f.py", 1, "x", (), None)
    record.__dict__.update({k: v for k, v in event.items() if k not in record.__dict__})
    log.handle(record)
    assert 1 == len(lines(out))


def test_reserved_and_secret_names_in_extra(log: logging.Logger):
    """A reserved name moves, a secret is masked, a name with ``_`` is somebody's own."""
    out = listening(log)
    log.info("x", extra={"level": 3, "password": "hunter2", "_private": 1})
    line = lines(out)[0]
    assert ("info", 3) == (line["level"], line["fields.level"])
    assert "[redacted]" == line["password"]
    assert "_private" not in line


def test_exceptions_and_stacks(log: logging.Logger):
    """``exc_info`` in each of its forms, and ``stack_info``, are on the line as data."""
    out = listening(log)
    error = ValueError("no")
    for exc_info in (True, error, (ValueError, error, None)):
        try:
            raise error
        except ValueError:
            log.log(40, "failed", exc_info=exc_info, stack_info=True)
    log.info("fine", exc_info=(None, None, None))
    for line in lines(out)[:3]:
        assert ("ValueError", "no") == (line["exception.type"], line["exception.message"])
        assert "test_handler.py" in line["code.stacktrace"]
    assert "exception.type" not in lines(out)[3]


def test_levels_keep_their_names(log: logging.Logger, monkeypatch: pytest.MonkeyPatch):
    """Usual levels are ours; a level that somebody named keeps that name."""
    for names in ("_levelToName", "_nameToLevel"):  # logging has no way to take a name back
        monkeypatch.setattr(logging, names, dict(getattr(logging, names)))
    logging.addLevelName(27, "SUCCESS")
    out = listening(log)
    for level in (10, 20, 27, 30, 40, 50, 33):
        log.log(level, "x")
    expected = ["debug", "info", "success", "warning", "error", "critical", "level 33"]
    assert expected == [line["level"] for line in lines(out)]


def test_the_stamp_is_the_records_own(log: logging.Logger):
    """The time is when the record was made, on both ways through the pipeline."""
    out = listening(log)
    for extra in ({}, {"n": {1}}):
        record = log.makeRecord("doors", 20, "f.py", 1, "x", (), None, None, extra)
        record.created = 1_700_000_000.123456
        log.handle(record)
    stamps = [line["timestamp"] for line in lines(out)]
    assert ["2023-11-14T22:13:20.123456Z"] * 2 == stamps


@pytest.mark.parametrize(
    ("created", "stamp"),
    [
        (1_700_000_000, "2023-11-14T22:13:20.000000Z"),
        (1_700_000_000.9999993, "2023-11-14T22:13:20.999999Z"),
        (1_700_000_000.9999998, "2023-11-14T22:13:21.000000Z"),
        (1_600_000_000.25, "2020-09-13T12:26:40.250000Z"),
        (-0.5, "1969-12-31T23:59:59.500000Z"),
    ],
)
def test_any_second_is_right(log: logging.Logger, created: float, stamp: str):
    """A second's beginning is kept for the next line: one that is earlier, or rounds up, is not in it."""
    out = listening(log)
    for at in (1_700_000_000.0, created, 1_700_000_000.0):
        record = log.makeRecord("doors", 20, "f.py", 1, "x", (), None, None, {"n": 1})
        record.created = at
        log.handle(record)
    assert stamp == lines(out)[1]["timestamp"]


def test_level_and_filters(log: logging.Logger):
    """The handler's level and filters hold; from 3.12 a filter may replace the record."""
    out = listening(log, level="warning")
    handler = log.handlers[0]
    log.info("no")
    handler.addFilter(lambda record: "no" not in record.msg)
    log.warning("no")
    log.warning("yes")
    assert ["yes"] == [line["event"] for line in lines(out)]
    handler.setLevel(logging.DEBUG)
    log.debug("yes too")
    assert 2 == len(lines(out))


def test_a_text_formatter_keeps_its_format(log: logging.Logger):
    """``setFormatter`` gives the text asked for, and it can show what is bound."""
    out = listening(log)
    handler = log.handlers[0]
    handler.setFormatter(logging.Formatter("%(levelname)s [%(request_id)s] %(message)s %(user)s"))
    with ctxlog.entry({"x-request-id": "r-1"}, user="bob\n2099 forged"):
        log.info("in")
    log.info("out")
    assert ["INFO [r-1] in bob\\n2099 forged", "INFO [-] out -"] == out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("style", "text"),
    [("{", "{levelname} {request_id} {message}"), ("$", "$levelname ${request_id} $message")],
)
def test_every_style_shows_context(log: logging.Logger, style: Any, text: str):
    """Formats in ``{`` and ``$`` show it too, and a field of the call stands above the context."""
    out = listening(log)
    log.handlers[0].setFormatter(logging.Formatter(text, style=style))
    with ctxlog.scope(request_id="r-1"):
        log.info("in")
        log.info("own", extra={"request_id": "r-2"})
    assert ["INFO r-1 in", "INFO r-2 own"] == out.getvalue().splitlines()


def test_a_text_format_does_not_touch_the_record(log: logging.Logger):
    """What a format shows is not left on the record for other handlers' formatters."""
    listening(log)
    log.handlers[0].setFormatter(logging.Formatter("%(request_id)s"))
    seen: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    log.addHandler(Keep())
    with ctxlog.scope(request_id="r-1"):
        log.info("x")
    added = {name for name in seen[0].__dict__ if not name.startswith("_")}
    assert "request_id" not in added


def test_terminator_set_stream_and_format(log: logging.Logger):
    """``terminator``, ``setStream`` (the old one comes back) and ``format`` are logging's own."""
    out, other = listening(log), io.StringIO()
    handler = log.handlers[0]
    assert isinstance(handler, Handler)
    handler.terminator = "\r\n"
    log.info("one")
    assert out is handler.setStream(other)
    assert handler.setStream(other) is None
    log.info("two")
    assert out.getvalue().endswith('"event":"one"}\r\n')
    assert "two" == json.loads(other.getvalue())["event"]
    record = log.makeRecord("doors", 20, "f.py", 1, "three", (), None)
    assert handler.format(record).endswith('"event":"three"}')
    handler.flush()
    handler.close()


def test_standard_error_is_looked_up_when_written(log: logging.Logger, capsys: Any):
    """Without a stream, lines go to what ``sys.stderr`` is then."""
    handler = ctxlog.Handler()
    log.addHandler(handler)
    log.info("x")
    assert "x" == json.loads(capsys.readouterr().err)["event"]
    assert handler.stream is sys.stderr


@pytest.mark.parametrize("stream", [io.BytesIO(), io.TextIOWrapper(io.BytesIO(), "ascii")])
def test_binary_and_ascii_streams(log: logging.Logger, stream: Any):
    """Bytes go into a binary stream; what an encoding cannot hold is escaped, not lost."""
    log.addHandler(Handler(stream))
    log.info("Größe")
    data = getattr(stream, "buffer", stream).getvalue()
    assert b'"event":"Gr' in data
    assert 1 == data.count(b"\n")


def test_a_stream_without_flush(log: logging.Logger):
    """A stream that only writes is enough, as for StreamHandler."""
    got: list[str] = []

    class Writes:
        def write(self, text: str) -> None:
            got.append(text)

    log.addHandler(Handler(Writes()))
    log.info("x")
    assert "x" == json.loads(got[0])["event"]


def test_handle_error(log: logging.Logger, capsys: Any):
    """A stream that fails goes to ``handleError``; it prints only if ``raiseExceptions``."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("full")

    handler = Handler(Broken())
    log.addHandler(handler)
    log.info("x")
    assert "OSError: full" in capsys.readouterr().err
    told: list[logging.LogRecord] = []
    handler.handleError = told.append  # type: ignore[method-assign,assignment]
    log.info("y")
    assert ["y"] == [record.msg for record in told]


def test_a_subclass_may_override(log: logging.Logger):
    """``format``, ``flush`` and ``filter`` of a subclass are used."""
    flushed: list[int] = []

    class Mine(Handler):
        def format(self, record: logging.LogRecord) -> str:
            return f"<{record.getMessage()}>"

        def flush(self) -> None:
            flushed.append(1)

        def filter(self, record: logging.LogRecord) -> bool:
            return record.msg != "no"

    out = io.StringIO()
    log.addHandler(Mine(out))
    log.info("yes")
    log.info("no")
    assert "<yes>\n" == out.getvalue()
    assert flushed


def test_dict_config_and_file_config(tmp_path: Any):
    """Both name the classes as they would logging's own; options are keywords."""
    out = io.StringIO()
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"class": "ctxlog.Formatter", "format": "%(levelname)s %(request_id)s"},
            "line": {"()": "ctxlog.Formatter", "schema": "ecs"},
        },
        "handlers": {
            "a": {"class": "ctxlog.Handler", "stream": out, "level": "INFO", "renderer": "logfmt"},
            "b": {"class": "logging.StreamHandler", "stream": out, "formatter": "text"},
            "c": {"class": "logging.StreamHandler", "stream": out, "formatter": "line"},
        },
        "loggers": {"doors.dict": {"handlers": ["a", "b", "c"], "level": "INFO",
                                   "propagate": False}},
    })  # fmt: skip
    with ctxlog.scope(request_id="r-1"):
        logging.getLogger("doors.dict").info("x")
    logfmt, text, ecs = out.getvalue().splitlines()
    assert "request_id=r-1" in logfmt
    assert "INFO r-1" == text
    assert ("x", "r-1") == (json.loads(ecs)["message"], json.loads(ecs)["http.request.id"])

    ini = tmp_path / "logging.ini"
    ini.write_text(
        "[loggers]\nkeys=root,doors\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n"
        "[logger_root]\nhandlers=\n"
        "[logger_doors]\nqualname=doors.ini\nhandlers=h\nlevel=INFO\npropagate=0\n"
        "[handler_h]\nclass=ctxlog.Handler\nargs=(sys.stdout,)\nformatter=f\n"
        "[formatter_f]\nclass=ctxlog.Formatter\nformat=%(message)s %(request_id)s\n"
    )
    logging.config.fileConfig(ini, disable_existing_loggers=False)
    handler = logging.getLogger("doors.ini").handlers[0]
    assert isinstance(handler, Handler)
    handler.setStream(out)
    logging.getLogger("doors.ini").info("y")
    assert "y -" == out.getvalue().splitlines()[-1]


def test_unconfigured_events_of_ctxlogs_own_loggers():
    """Handed-over events come out once, in the pipeline's shape, whatever their fields are."""
    out, own = io.StringIO(), io.StringIO()
    logging.root.addHandler(Handler(out))
    logging.root.setLevel(logging.INFO)
    log = ctxlog.get_logger("doors.own", component="cart")

    def write() -> None:
        with ctxlog.entry({"x-request-id": "r-1"}, user="bob", name="n"):
            log.info("took %d", 3, items={3}, level="x", password="p", args=[1])
            try:
                raise ValueError("no")
            except ValueError:
                log.exception("failed")

    write()
    ctxlog.configure(stream=own, renderer="json", stdlib=False)
    write()
    expected = [re.sub(r'"(timestamp|trace_id|span_id)":"[^"]*"', "", line)
                for line in own.getvalue().splitlines()]  # fmt: skip
    actual = [re.sub(r'"(timestamp|trace_id|span_id)":"[^"]*"', "", line)
              for line in out.getvalue().splitlines()]  # fmt: skip
    assert expected == actual


def test_two_handlers_of_a_record(log: logging.Logger):
    """Two streams get a line each; one stream gets a record once, from root and a named logger."""
    log.propagate = True
    one, two = listening(log), io.StringIO()
    logging.root.addHandler(Handler(two))
    logging.root.addHandler(Handler(one))
    log.warning("x")
    assert (1, 1) == (len(lines(one)), len(lines(two)))


def test_a_record_can_be_pickled_after_us(log: logging.Logger):
    """What we leave on a record pickles: a socket's handler may come after ours."""
    listening(log)
    sent: queue.Queue[Any] = queue.Queue()
    log.addHandler(logging.handlers.QueueHandler(sent))
    log.info("x", extra={"n": 1})
    assert "x" == pickle.loads(pickle.dumps(sent.get())).getMessage()


def test_configured_processors_and_redaction_hold(log: logging.Logger):
    """Once configured, its processors, resource and schema hold; unconfigured, none."""
    out = listening(log)
    log.info("before")

    def drop(_: Any, __: str, event: Any) -> Any:
        from structlog import DropEvent

        if event["event"] == "drop":
            raise DropEvent
        return {**event, "zone": "b"}

    ctxlog.configure(sinks=[], processors=[drop], resource={"service.name": "shop"}, schema="gcp")
    log.info("drop")
    log.info("after")
    ctxlog.shutdown()
    log.info("again")
    before, after, again = lines(out)
    assert ("after", "b", "shop") == (after["message"], after["zone"], after["service.name"])
    assert {*before} == {*again} == {"timestamp", "level", "logger", "event"}


def test_renderers(log: logging.Logger):
    """A named renderer or a callable makes the line."""
    out = listening(log, renderer="console")
    log.addHandler(Handler(out, renderer=lambda _, __, event: f"<{event['event']}>"))
    log.info("x")
    first, second = out.getvalue().splitlines()
    assert "x" in first
    assert "<x>" == second


@pytest.mark.parametrize(
    "options", [{"renderer": "yaml"}, {"schema": "loki"}, {"level": "loud"}], ids=str
)
def test_misuse(options: dict[str, Any]):
    """A wrong option is an error at once, with the candidates."""
    with pytest.raises(UsageError, match="nown"):
        Handler(**options)


def test_threads_write_whole_lines(log: logging.Logger):
    """Eight threads, each under its own id: every line whole, none lost, none with another's."""
    out = listening(log)

    def work(number: int) -> None:
        with ctxlog.scope(request_id=f"r-{number}"):
            for _ in range(200):
                log.info("x", extra={"owner": f"r-{number}"})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1_600 == len(lines(out))
    assert all(line["owner"] == line["request_id"] for line in lines(out))


@pytest.mark.parametrize(
    "wrong", [{"renderer": "jsn"}, {"schema": "ecss"}, {"level": "inof"}, {"stream": "sys.stdout"}]
)
def test_a_handler_that_was_refused_is_none(wrong):
    """``logging`` does not know it: at exit it would flush, and raise, what was never made."""
    known = len(logging._handlerList)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UsageError) as caught:
        ctxlog.Handler(**wrong)
    assert known == len(logging._handlerList)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    assert caught.value.__traceback__ is not None  # it holds what was half made
