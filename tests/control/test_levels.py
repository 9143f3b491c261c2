"""Levels at run time, and debug lines of one object: by call, from a file, at a signal."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import os
import queue
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import ctxlog
from ctxlog import control
from ctxlog.adapters.logging.bridge import installed
from ctxlog.errors import UsageError
from ctxlog.runtime import MAX_NAMES, runtime
from tests.kit import Written, configured, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = ctxlog.get_logger("operator.sub")
POD = {"k8s.object.ref": "Pod/shop/db-0", "k8s.object.namespace": "shop", "k8s.object.name": "db-0"}
OTHER = {
    "k8s.object.ref": "Pod/bank/db-1",
    "k8s.object.namespace": "bank",
    "k8s.object.name": "db-1",
}


@pytest.fixture
def written() -> Iterator[Written]:
    """A configuration at info, with the standard library taken in."""
    before = list(logging.root.handlers)
    logging.root.handlers[:] = []
    with configured(level="info", stdlib=True, levels={"quiet": "error"}) as lines:
        yield lines
    logging.root.handlers[:] = before


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def events(written: Written) -> list[str]:
    """Return the events written so far."""
    return [event["event"] for event in written.events]


def test_levels_hold_as_given_and_go_back(written: Written):
    """What is not mentioned is as it was configured; reset gives that back."""
    control.apply({"level": "error", "levels": {"operator": "debug"}})
    log.debug("1")
    ctxlog.get_logger("x").warning("not")
    ctxlog.get_logger("quiet").warning("not")
    logging.getLogger("operator.x").debug("2")
    control.apply({"levels": {"quiet": "info"}})
    log.debug("not")
    ctxlog.get_logger("quiet").info("3")
    control.reset()
    log.debug("not")
    logging.getLogger("operator.x").debug("not")
    ctxlog.get_logger("quiet").warning("not")
    log.info("4")
    assert ["1", "2", "3", "4"] == events(written)


@pytest.mark.parametrize(
    "debug", [{"objects": ["Pod/shop/db-0"]}, {"objects": ["shop/db-0"]}, {"namespaces": ["shop"]}]
)
def test_debug_lines_of_what_is_named_alone(debug: dict[str, Any], written: Written):
    """One object, or a namespace, at debug; all others as before, through every logger."""
    named = logging.getLogger("operator.named.sub")
    control.apply({"debug": {**debug, "loggers": ["operator.named"]}})
    for fields in (POD, OTHER, {}):
        with ctxlog.scope(fields):
            log.debug("ours", saw=fields.get("k8s.object.name"))
            log.bind(bound=1).debug("bound")
            named.debug("stdlib")
            logging.getLogger("operator.unnamed").debug("unnamed")
            log.info("info")
    log.using(pinned(POD)).debug("pinned")
    log.using(pinned(OTHER)).debug("pinned")
    log.bind(POD).debug("of the logger")
    named.debug("of the record", extra=dict(POD))
    named.debug("of the record", extra=dict(OTHER))
    expected = ["ours", "bound", "stdlib", "info", "info", "info", "pinned", "of the logger",
                "of the record"]  # fmt: skip
    assert expected == events(written)
    assert log.is_enabled_for("debug")
    control.reset()
    assert not log.is_enabled_for("debug")
    named.debug("not")
    assert expected == events(written)


def pinned(fields: dict[str, str]) -> ctxlog.Snapshot:
    """Return a snapshot with these fields."""
    with ctxlog.scope(fields):
        return ctxlog.snapshot()


def test_a_sinks_own_level_still_holds():
    """Debugging an object opens loggers, not sinks."""
    seen: list[Any] = []
    sinks = [{"target": seen.append, "level": "warning", "renderer": "event"}]
    with configured(sinks=sinks, level="info"):
        control.apply({"debug": {"namespaces": ["shop"]}})
        with ctxlog.scope(POD):
            log.debug("not")
            log.warning("written")
    assert ["written"] == [event["event"] for event in seen]


BAD: list[Any] = [
    {"level": "loud"}, {"levels": ["a"]}, {"levels": {"a": "loud"}}, {"debugs": {}}, [],
    {"debug": {"object": []}}, {"debug": {"objects": "Pod/a/b"}}, {"debug": {"objects": [5]}},
    {"level": []}, {5: 1},
]  # fmt: skip


@pytest.mark.parametrize("settings", BAD, ids=repr)
def test_bad_settings_change_nothing(settings: Any, written: Written):
    """They are an error at once, and what held still does."""
    control.apply({"level": "warning"})
    with pytest.raises(UsageError):
        control.apply(settings)
    log.info("not")
    log.warning("written")
    assert ["written"] == events(written)


def test_unconfigured_there_is_nothing_to_control():
    """It says what to call first."""
    with pytest.raises(UsageError, match="configure"):
        control.apply({})
    control.reset()


class Mounted:
    """A directory as the kubelet mounts a ConfigMap: a swapped symlink leads to the content."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self.path = directory / "levels.json"
        self.path.symlink_to(directory / "..data" / "levels.json")

    def write(self, content: str) -> None:
        """Put other content in place at once."""
        self._number += 1
        there = self._directory / f"..{self._number}"
        there.mkdir()
        (there / "levels.json").write_text(content, encoding="utf-8")
        link = self._directory / "..next"
        link.symlink_to(there.name)
        os.replace(link, self._directory / "..data")  # noqa: PTH105 - as the kubelet does


def test_a_mounted_config_map_sets_levels_when_it_is_swapped(tmp_path: Path, written: Written):
    """Read at the start, then at each swap; a bad one, or none, keeps the last good state."""
    mounted = Mounted(tmp_path)
    mounted.write(json.dumps({"level": "warning"}))
    watcher = control.watch(mounted.path, interval=0.01)
    try:
        assert not log.is_enabled_for("info")
        mounted.write(json.dumps({"level": "debug"}))
        until(lambda: log.is_enabled_for("debug"))
        with moved("errors.control") as by:
            mounted.write("{nonsense")
            until(lambda: watcher.error)
            assert log.is_enabled_for("debug")
        assert 1 == by["errors.control"]
        mounted.write(json.dumps({"level": "loud"}))
        until(lambda: "loud" in (watcher.error or ""))
        mounted.write(" " * (control.MAX_BYTES + 1))
        until(lambda: "more than" in (watcher.error or ""))
        mounted.path.unlink()
        until(lambda: "FileNotFoundError" in (watcher.error or ""))
        assert log.is_enabled_for("debug")
    finally:
        watcher.stop()
    told = [event for event in written.events if event["logger"] == "ctxlog.control"]
    bad = [event for event in told if event["level"] == "warning"]
    assert 4 == len(bad), "one line for each that is bad"
    assert all(str(mounted.path) == event["path"] for event in bad)
    assert {"level": "debug"} == next(e for e in told if e["level"] == "info")["settings"]


def test_a_later_configuration_is_controlled_too(tmp_path: Path):
    """The file beats what is configured, also when that happens afterwards."""
    path = tmp_path / "levels.json"
    path.write_text('{"level": "error"}', encoding="utf-8")
    watcher = control.watch(path, interval=0.01)
    try:
        with configured(level="debug"):
            until(lambda: not log.is_enabled_for("warning"))
    finally:
        watcher.stop()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no such signals here")
def test_a_signal_reads_the_file_again(tmp_path: Path, written: Written):
    """At once, not at the next look; the handler that was there is called."""
    called = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: called.set())
    path = tmp_path / "levels.json"
    path.write_text("{}", encoding="utf-8")
    watcher = control.watch(path, interval=3600)
    undo = control.reload_on(signal.SIGUSR1)
    try:
        path.write_text('{"level": "debug"}', encoding="utf-8")
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: log.is_enabled_for("debug"))
        assert called.wait(60)
    finally:
        undo()
        watcher.stop()
        signal.signal(signal.SIGUSR1, before)


def test_misuse_of_watch():
    """An interval is a number above 0."""
    for interval in (0, -1, True, "5"):
        with pytest.raises(UsageError, match="interval"):
            control.watch("x", interval=interval)  # type: ignore[arg-type]


def test_levels_change_under_load(written: Written):
    """Threads write while what is debugged changes: nobody else's debug line is ever written."""
    stop = threading.Event()

    def work(fields: dict[str, str]) -> None:
        with ctxlog.scope(fields):
            while not stop.is_set():
                log.debug("seen")

    threads = [threading.Thread(target=work, args=(fields,)) for fields in (POD, OTHER)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        control.apply({"debug": {"namespaces": ["shop"]}})
        control.reset()
    stop.set()
    for thread in threads:
        thread.join()
    assert {"db-0"} >= {event["k8s.object.name"] for event in written.events}


@pytest.mark.parametrize("name", ["ref", "namespace", "name"])
def test_a_name_of_any_type_does_not_break_a_line(name: str, written: Written):
    """What cannot be hashed is nobody's name."""
    control.apply({"debug": {"objects": ["a"], "namespaces": ["n"], "loggers": ["operator.any"]}})
    fields: Any = {f"k8s.object.{name}": {"a": []}}
    with ctxlog.scope(fields):
        log.debug("not")
    logging.getLogger("operator.any").debug("not", extra={"k8s.object.ref": "z", **fields})
    assert [] == events(written)


def test_names_of_loggers_are_not_kept_for_ever(written: Written):
    """While some objects alone are debugged, the memory for names is bounded."""
    control.apply({"debug": {"objects": ["a"]}})
    for number in range(MAX_NAMES * 2):
        ctxlog.get_logger(f"one.{number}").debug("not")
    assert len(runtime._normal) <= MAX_NAMES


@pytest.mark.parametrize("root", ["root", ""])
def test_the_root_logger_may_be_debugged_for_one_object(root: str, written: Written):
    """Every logger of the standard library then, and still that object's lines alone."""
    control.apply({"debug": {"objects": ["Pod/shop/db-0"], "loggers": [root]}})
    for fields in (POD, OTHER, {}):
        with ctxlog.scope(fields):
            logging.getLogger("any.library").debug("debugged")
            logging.getLogger().debug("of the root")
            logging.getLogger("any.library").info("told")
    assert ["debugged", "of the root", "told", "told", "told"] == events(written)
    assert {"db-0"} == {
        event["k8s.object.name"] for event in written.events if "debug" == event["level"]
    }


def test_a_configured_level_below_a_named_logger_still_holds(written: Written):
    """What is at debug for everybody is not narrowed to the object that is debugged."""
    levels = {"operator.db": "debug", "operator.noisy": "error"}
    control.apply(
        {"levels": levels, "debug": {"objects": ["Pod/shop/db-0"], "loggers": ["operator"]}}
    )
    own = logging.getLogger("operator.own")
    own.setLevel(logging.DEBUG)  # the application's
    try:
        with ctxlog.scope(OTHER):
            logging.getLogger("operator.db.pool").debug("db")
            logging.getLogger("operator.own.x").debug("own")
            logging.getLogger("operator.noisy").warning("not")
            logging.getLogger("operator.other").debug("not")
    finally:
        own.setLevel(logging.NOTSET)
    assert ["db", "own"] == events(written)


def test_levels_that_stay_are_never_another_meanwhile(
    written: Written, monkeypatch: pytest.MonkeyPatch
):
    """Each change of a file sets all levels anew; a line of another thread must not fall through."""
    settings = {"level": "info", "levels": {"operator": "info", "operator.told": "debug"}}
    control.apply(settings)
    seen: list[tuple[str, int]] = []
    before = logging.Logger.setLevel

    def watched(self: logging.Logger, level: Any) -> None:
        seen.append((self.name, level))
        if "operator.lowered" == self.name:  # else others' debug lines would get through
            assert installed.bridge is not None
            assert installed.bridge.filters
        before(self, level)

    monkeypatch.setattr(logging.Logger, "setLevel", watched)
    debug = {"objects": ["Pod/shop/db-0"], "loggers": ["operator.lowered"]}
    control.apply({**settings, "debug": debug})
    control.apply(settings)
    lowered = {("operator.lowered", 10), ("operator.lowered", 0)}
    assert {("root", 20), ("operator", 20), ("operator.told", 10), *lowered} >= set(seen)
    control.apply({"level": "info", "levels": {"operator": "info"}})
    assert ("operator.told", 0) == seen[-1]
    assert 20 == logging.getLogger("operator.told").getEffectiveLevel()


def test_a_level_of_notset_is_the_parents(written: Written):
    """Also for a logger that is debugged, whatever the application has set for it."""
    own = logging.getLogger("operator.sub")
    own.setLevel(logging.CRITICAL)
    debug = {"objects": ["Pod/shop/db-0"], "loggers": ["operator.sub"]}
    try:
        control.apply({"levels": {"operator": "warning", "operator.sub": 0}, "debug": debug})
        own.info("not")
        own.warning("told")
        with ctxlog.scope(POD):
            own.debug("debugged")
        control.reset()
        assert logging.CRITICAL == own.level
    finally:
        own.setLevel(logging.NOTSET)
    assert ["told", "debugged"] == events(written)


@pytest.mark.parametrize("later", [False, True])
def test_handlers_of_ours_write_debug_lines_of_what_is_named_alone(later: bool, written: Written):
    """Wherever they are, made before or afterwards, also behind a queue: as our bridge does."""
    named = logging.getLogger("operator.named")
    ahead: queue.SimpleQueue[Any] = queue.SimpleQueue()
    out, queued = io.StringIO(), io.StringIO()
    debug = {"objects": ["Pod/shop/db-0"], "loggers": [named.name]}
    if later:
        control.apply({"debug": debug})
    handlers = [ctxlog.Handler(out, renderer="json"), logging.handlers.QueueHandler(ahead)]
    listener = logging.handlers.QueueListener(ahead, ctxlog.Handler(queued, renderer="json"))
    if not later:
        control.apply({"debug": debug})
    named.handlers[:] = handlers
    undo = ctxlog.stamp_records()
    try:
        for fields in (OTHER, POD, {}):
            with ctxlog.scope(fields):
                named.debug("debugged")
                named.info("told")
        listener.start()
        listener.stop()
        control.apply({"levels": {named.name: "debug"}})
        named.debug("all of them")
    finally:
        undo()
        named.handlers.clear()
    told = ["told", "debugged", "told", "told"]
    for shown, expected in ((out, [*told, "all of them"]), (queued, told)):
        assert expected == [json.loads(line)["event"] for line in shown.getvalue().splitlines()]
    assert '"level":"debug"' not in out.getvalue().splitlines()[0]
    assert "Pod/shop/db-0" in out.getvalue().splitlines()[1]


def test_another_configuration_ends_what_is_debugged(written: Written):
    """Its levels hold for the loggers that were debugged too, and for handlers of ours."""
    named, out = logging.getLogger("operator.named"), io.StringIO()
    named.handlers[:] = [ctxlog.Handler(out, renderer="json")]
    try:
        control.apply({"debug": {"objects": ["Pod/shop/db-0"], "loggers": [named.name]}})
        with configured(level="debug", stdlib=True) as again:
            named.debug("wanted")
            assert ["wanted"] == [json.loads(line)["event"] for line in out.getvalue().splitlines()]
            named.handlers.clear()
            named.debug("wanted too")
            assert ["wanted too"] == events(again)
    finally:
        named.handlers.clear()


def test_the_root_logger_by_its_name_gets_its_level_back(written: Written):
    """It is one logger, however it is called."""
    control.apply({"levels": {"root": "error"}})
    assert 40 == logging.root.level
    control.reset()
    assert 20 == logging.root.level
    ctxlog.shutdown()
    assert 30 == logging.root.level
