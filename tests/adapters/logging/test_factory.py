"""The record factory: records keep the context they were made in, wherever they are handled."""

from __future__ import annotations

import functools
import io
import json
import logging
import logging.handlers
import multiprocessing
import pickle
import queue
from typing import Any

import ctxlog
from ctxlog.adapters.logging.handler import Handler
from ctxlog.context.providers import add_provider, remove_provider


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """Return what was written, parsed."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def through_queue(log: logging.Logger, target: logging.Handler) -> logging.handlers.QueueListener:
    """Send a logger's records to a handler on another thread."""
    records: queue.Queue[Any] = queue.Queue()
    log.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, target)
    listener.start()
    return listener


def test_a_queue_listener_keeps_the_context(log: logging.Logger):
    """Theirs: the record is handled on the listener's thread, with the context of its writer."""
    out = io.StringIO()
    with ctxlog.stamp_records():
        listener = through_queue(log, Handler(out))
        with ctxlog.entry({"x-request-id": "r-1"}, user="bob"):
            log.info("hello %s", "you", extra={"n": 1})
            try:
                raise ValueError("no")
            except ValueError:
                log.exception("failed")
        listener.stop()
    hello, failed = lines(out)
    assert ("hello you", "r-1", "bob", 1) == tuple(
        hello[name] for name in ("event", "request_id", "user", "n")
    )
    assert ("failed", "ValueError") == (failed["event"], failed["exception.type"])


def test_without_the_factory_a_foreign_thread_gives_nothing(log: logging.Logger):
    """Right or absent: the listener's own context is never taken for the writer's."""
    out = io.StringIO()
    with ctxlog.scope(request_id="listener"):
        listener = ctxlog.snapshot().run(through_queue, log, Handler(out))
    with ctxlog.scope(request_id="r-1"):
        log.info("x")
    listener.stop()
    assert "request_id" not in lines(out)[0]


def test_a_text_formatter_after_a_queue(log: logging.Logger):
    """A format that shows what is bound does so on the listener's thread too."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(ctxlog.Formatter("%(request_id)s %(message)s"))
    with ctxlog.stamp_records():
        listener = through_queue(log, handler)
        with ctxlog.scope(request_id="r-1"):
            log.info("x")
        listener.stop()
    assert "r-1 x\n" == out.getvalue()


def test_what_is_added_is_one_private_attribute_of_builtins(log: logging.Logger):
    """It pickles, also with a secret or an exception, to what needs no ctxlog to be read."""
    with ctxlog.stamp_records(), ctxlog.entry({"x-request-id": "r-1"}, token=ctxlog.Secret("t")):
        try:
            raise ValueError("no")
        except ValueError as error:
            info = (type(error), error, error.__traceback__)
            record = log.makeRecord("doors", 20, "f.py", 1, "x", (), info)
    plain = logging.LogRecord("doors", 20, "f.py", 1, "x", (), None)
    assert {"_ctxlog"} == set(record.__dict__) - set(plain.__dict__)
    sent = pickle.loads(pickle.dumps(record.__dict__["_ctxlog"], 1))
    assert dict is type(sent)
    assert {"request_id": "r-1", "token": "[redacted]"} == sent["fields"]
    assert "ValueError" == sent["exception"]["exception.type"]


def _in_child(data: bytes) -> str:
    out = io.StringIO()
    Handler(out).handle(logging.makeLogRecord(pickle.loads(data)))
    return out.getvalue()


def test_another_process_reads_it(log: logging.Logger):
    """A record that was sent to a process has its writer's context there."""
    with ctxlog.stamp_records(), ctxlog.entry({"x-request-id": "r-1"}):
        trace_id = (ctxlog.snapshot().ids or 0).trace_id  # type: ignore[union-attr]
        record = log.makeRecord("doors", 20, "f.py", 1, "x", (), None)
        data = logging.handlers.SocketHandler("localhost", 1).makePickle(record)[4:]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        line = json.loads(pool.apply(_in_child, (data,)))
    assert ("r-1", trace_id) == (line["request_id"], line["trace_id"])


def test_make_log_record_is_left_alone():
    """A record received from elsewhere is not stamped with what is bound here."""
    out = io.StringIO()
    with ctxlog.stamp_records(), ctxlog.scope(request_id="here"):
        record = logging.makeLogRecord({"msg": "x", "thread": 1, "process": 2})
        assert "_ctxlog" not in record.__dict__
        Handler(out).handle(record)
    assert "request_id" not in lines(out)[0]


def test_it_is_chained_and_undone():
    """The factory that was there makes the records; one that came later stays, ours rests."""
    made: list[str] = []

    class Own(logging.LogRecord):
        """An application's own record."""

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made.append("own")
        return Own(*args, **kwargs)

    logging.setLogRecordFactory(factory)
    undo = ctxlog.stamp_records()
    assert isinstance(logging.getLogRecordFactory()("a", 20, "", 0, "x", (), None), Own)
    again = ctxlog.stamp_records()
    again()
    assert logging.getLogRecordFactory() is factory
    undo = ctxlog.stamp_records()
    ours = logging.getLogRecordFactory()
    logging.setLogRecordFactory(functools.partial(ours))
    undo()
    record = logging.getLogRecordFactory()("a", 20, "", 0, "x", (), None)
    assert "_ctxlog" not in record.__dict__
    assert ["own", "own"] == made


def test_providers_are_asked_where_the_line_is_written(log: logging.Logger):
    """What a provider says is stamped too; one that fails costs its fields alone."""
    out = io.StringIO()

    def shard() -> dict[str, object]:
        return {"shard": 3}

    def broken() -> dict[str, object]:
        raise ValueError("no")

    add_provider(shard)
    add_provider(broken)
    listener = through_queue(log, Handler(out))
    try:
        with ctxlog.stamp_records():
            log.info("x")
    finally:
        remove_provider(shard)
        remove_provider(broken)
        listener.stop()
    assert 3 == lines(out)[0]["shard"]


def test_a_received_stamp_is_checked():
    """Nonsense in place of a stamp costs nothing but the context."""
    out = io.StringIO()
    for sent in (7, {}, {"fields": 3, "ids": ["x"]}, {"ids": ["a" * 32, "b" * 16, "zz"]}):
        Handler(out).handle(logging.makeLogRecord({"msg": "x", "_ctxlog": sent}))
    assert 4 == len(lines(out))
    assert "trace_id" not in lines(out)[2]
