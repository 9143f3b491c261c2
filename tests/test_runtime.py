"""Runtime: levels reach every logger there is; reconfiguring under load loses and tears nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from typing import Any

import pytest

import ctxlog
from ctxlog.runtime import runtime
from ctxlog.sinks.file import FileSink
from tests.kit import Written, configured, only_sink, parse_lines

THREADS = 8


def in_threads(work: Any) -> list[BaseException]:
    """Run ``work(number)`` in eight threads that start together; return what they raised."""
    barrier = threading.Barrier(THREADS)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def assert_complete(events: list[dict[str, Any]], lines: int) -> None:
    """Every thread's every number is there exactly once."""
    seen = Counter((event["thread"], event["n"]) for event in events)
    assert {1} == set(seen.values())
    assert THREADS * lines == len(seen)


def log_and_change(change: Any, lines: int) -> list[BaseException]:
    """Log from eight threads while ``change(step)`` runs again and again here."""
    log = ctxlog.get_logger("shop")
    done = threading.Event()
    raised: list[BaseException] = []

    def changing() -> None:
        step = 0
        while not done.is_set() or step < 4:
            step += 1
            try:
                change(step)
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                raised.append(error)

    def work(number: int) -> None:
        with ctxlog.scope(thread=number):
            for n in range(lines):
                log.info("e", n=n, text="é" if n % 2 else "x" * 200)

    changer = threading.Thread(target=changing)
    changer.start()
    raised += in_threads(work)
    done.set()
    changer.join()
    return raised


def test_reconfiguring_under_load(tmp_path):
    """Eight threads log while ``configure`` swaps files: all lines whole, none lost, none raised."""
    lines, paths = 300, [tmp_path / "a.log", tmp_path / "b.log"]
    ctxlog.configure(renderer="json", sinks=[paths[0]])

    def change(step: int) -> None:
        ctxlog.configure(renderer="json", sinks=[paths[step % 2]], resource={"step": step})

    assert [] == log_and_change(change, lines)
    ctxlog.shutdown()
    assert_complete([event for path in paths for event in parse_lines(path.read_bytes())], lines)


def test_a_line_on_its_way_survives_the_close(tmp_path, monkeypatch):
    """The guard that the test above rests on: a file sink writes also after it was closed."""
    path = tmp_path / "a.log"
    with configured(sinks=[path]):
        emit = runtime.emit  # what a thread that was interrupted here would go on to call
        ctxlog.configure(sinks=[])
        emit(ctxlog.get_logger("shop"), 20, "late", (), {})
        (event,) = parse_lines(path.read_bytes())
        assert "late" == event["event"]


def test_adding_and_removing_sinks_under_load(tmp_path):
    """Sinks come and go while eight threads log: the one that stays has every line whole."""
    lines, path = 300, tmp_path / "stays.log"
    ctxlog.configure(renderer="json", sinks=[path])

    def change(step: int) -> None:
        added = ctxlog.add_sink(tmp_path / f"{step % 3}.log", renderer="json")
        ctxlog.remove_sink(added)

    assert [] == log_and_change(change, lines)
    ctxlog.shutdown()
    assert_complete(parse_lines(path.read_bytes()), lines)
    for number in range(3):
        if (tmp_path / f"{number}.log").exists():
            parse_lines((tmp_path / f"{number}.log").read_bytes())


def test_setting_levels_under_load(tmp_path):
    """Levels change while eight threads log: what is above them all the time is not lost."""
    lines, path = 300, tmp_path / "a.log"
    ctxlog.configure(renderer="json", sinks=[path])

    def change(step: int) -> None:
        ctxlog.set_level(None, 10 if step % 2 else 20)
        ctxlog.set_level("shop", 10 if step % 3 else 20)
        ctxlog.get_logger(f"l{step}").debug("ignored", thread=-step, n=0)

    assert [] == log_and_change(change, lines)
    ctxlog.shutdown()
    events = [event for event in parse_lines(path.read_bytes()) if event["thread"] >= 0]
    assert_complete(events, lines)


@pytest.mark.parametrize("make", ["buffered", "raw", "text"])
def test_one_stream_under_load(tmp_path, make):
    """Eight threads on one stream: every line whole, counted exactly."""
    lines, path = 200, tmp_path / "a.log"
    opened: dict[str, Any] = {
        "buffered": lambda: path.open("ab"),
        "raw": lambda: path.open("ab", buffering=0),
        "text": lambda: path.open("a", encoding="utf-8"),
    }
    log = ctxlog.get_logger("shop")

    def work(number: int) -> None:
        for n in range(lines):
            log.info("e", thread=number, n=n)

    with opened[make]() as stream:
        ctxlog.configure(renderer="json", sinks=[stream])
        assert [] == in_threads(work)
        sink = only_sink()
        assert THREADS * lines == ctxlog.counters()[f"sink.{sink.id}.written"]
        ctxlog.shutdown()
    assert_complete(parse_lines(path.read_bytes()), lines)


def test_no_line_carries_anothers_id(tmp_path):
    """Eight threads, each with a loop of tasks: each line has the id of the work that wrote it."""
    path = tmp_path / "a.log"
    ctxlog.configure(renderer="json", sinks=[path], resource={"service.name": "shop"})
    log = ctxlog.get_logger("shop")

    async def request(name: str) -> None:
        with ctxlog.entry(request_id=name):
            for n in range(5):
                log.info("e", mine=name, n=n)
                await asyncio.sleep(0)
                await log.ainfo("e", mine=name, n=n + 5)

    async def serve(number: int) -> None:
        await asyncio.gather(*(request(f"r-{number}-{n}") for n in range(10)))

    assert [] == in_threads(lambda number: asyncio.run(serve(number)))
    ctxlog.shutdown()
    events = parse_lines(path.read_bytes())
    assert THREADS * 10 * 10 == len(events)
    assert [] == [event for event in events if event["request_id"] != event["mine"]]
    traces = {(event["trace_id"], event["mine"]) for event in events}
    assert THREADS * 10 == len(traces)


# -- levels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "expected"), [
    ("a", 30), ("a.b", 40), ("a.b.c.d", 40), ("ab", 20), ("a.bc", 30), ("", 20), ("other", 20),
])  # fmt: skip
def test_levels_go_by_the_longest_dotted_prefix(name, expected):
    """A level holds for its name and what is below it, not for names that only begin alike."""
    with configured(level="info", levels={"a": "warning", "a.b": 40}):
        assert expected == ctxlog.get_logger(name).get_effective_level()


def test_levels_reach_methods_captured_before():
    """``configure`` and ``set_level`` hold for loggers, and their bound methods, that exist."""
    log = ctxlog.get_logger("shop.cart")
    debug, info = log.debug, log.bind(a=1).info
    with configured(level="warning") as written:
        info("no")
        ctxlog.set_level("shop", "debug")
        info("yes")
        debug("yes")
        ctxlog.set_level("shop.cart", "error")
        info("no")
        ctxlog.set_level(None, 0)
        info("no")
    assert ["yes", "yes"] == [event["event"] for event in written.events]


def test_disabled_returns_none():
    """Below its level a method does nothing at all, not even to its arguments."""
    with configured(level="critical") as written:
        log = ctxlog.get_logger("shop")
        for method in (log.debug, log.info, log.warning, log.error):
            assert None is method("e %d", object(), a=1)
        assert None is log.log(5, "e")  # type: ignore[func-returns-value]
        assert not log.is_enabled_for("error")
    assert b"" == written.getvalue()


def test_the_lowest_level_of_the_sinks_counts():
    """When every sink wants more than the global level, less is disabled at once."""
    with configured(level="debug", sinks=[{"target": Written(), "level": "error"}]):
        assert 40 == ctxlog.get_logger("shop").get_effective_level()
        added = ctxlog.add_sink(Written(), level="info")
        assert 20 == ctxlog.get_logger("shop").get_effective_level()
        ctxlog.remove_sink(added)
        assert 40 == ctxlog.get_logger("shop").get_effective_level()
    with configured(level="debug", sinks=[]):
        assert 10 == ctxlog.get_logger("shop").get_effective_level()


def test_channels_of_unused_names_go():
    """A name nobody holds a logger of takes no memory."""
    ctxlog.get_logger("gone.with.it")
    gc.collect()
    assert "gone.with.it" not in runtime._channels


def test_a_sink_removed_elsewhere():
    """Removing what is not there, or when nothing is configured, finds nothing."""
    assert None is runtime.remove_sink(-1)
    with configured():
        assert None is runtime.remove_sink(-1)


def test_slow_lines_are_counted_once():
    """Capturing in the middle and reconfiguring do not count a line twice."""
    from ctxlog.testing import capture

    with configured(processors=[lambda _, __, event: event]):
        before = ctxlog.counters()["slow_path"]
        ctxlog.get_logger("shop").info("a")
        with capture():
            ctxlog.get_logger("shop").info("b")
        ctxlog.get_logger("shop").info("c")
    assert 3 == ctxlog.counters()["slow_path"] - before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # 3.12+: threads and fork
def test_a_forked_child_logs_although_the_lock_was_held(tmp_path):
    """A lock held at the fork by a thread that the child has not does not stop the child."""
    path = tmp_path / "a.log"
    ctxlog.configure(renderer="json", sinks=[path])
    sink = only_sink()
    assert isinstance(sink, FileSink)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with sink._lock, runtime.lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if not child:  # pragma: no cover - another process
        ctxlog.get_logger("in.the.child").info("child")
        os._exit(0)
    release.set()
    thread.join()
    assert (child, 0) == os.waitpid(child, 0)
    ctxlog.shutdown()
    assert ["child"] == [event["event"] for event in parse_lines(path.read_bytes())]
