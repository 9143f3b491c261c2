"""Sampling at run time: by call, from a file, at a signal, with samplers configured and without."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import ctxlog
from ctxlog import control
from ctxlog.errors import UsageError
from ctxlog.runtime import runtime
from ctxlog.sampling import Burst, Keep, Sample, Tail
from tests.control.test_levels import POD, events, until
from tests.kit import Written, configured, moved

log = ctxlog.get_logger("operator.sampled")
#: A trace that a rate of 0.5 keeps, and one that it leaves out.
LOW, HIGH = "a" * 16 + "1" * 16, "a" * 16 + "f" * 16


def say(event: str, trace_id: str = HIGH, level: str = "info", **fields: Any) -> None:
    """Write a line of a trace."""
    with ctxlog.entry({"traceparent": f"00-{trace_id}-{'b' * 16}-01"}):
        log.log(level, event, **fields)


def test_a_rate_by_call_without_a_sampler_configured():
    """Of the others stay warnings, failures and lines outside of any trace; all is counted."""
    with configured() as written, moved("dropped.sampled") as by:
        control.apply({"sampling": {"rate": 0.5}})
        say("kept", LOW)
        say("not")
        say("failed", status=500)
        say("warned", level="warning")
        log.info("no trace")
        control.reset()
        say("all again")
    assert ["kept", "failed", "warned", "no trace", "all again"] == events(written)
    assert {"dropped.sampled": 1} == by


def test_it_holds_for_every_door():
    """The standard library's lines, also those of a handler of ours in another schema."""
    stream = io.StringIO()
    handler = ctxlog.Handler(stream, renderer="json", schema="ecs")
    own = logging.getLogger("sampled.by.handler")
    own.addHandler(handler)
    try:
        with configured(stdlib=True, level="info") as written:
            for rate in (0.0, 1.0):
                control.apply({"sampling": {"rate": rate}})
                with ctxlog.entry():
                    logging.getLogger("sampled").warning("w %s", rate)
                    logging.getLogger("sampled").info("i %s", rate)
                    own.info("h %s", rate)
    finally:
        own.removeHandler(handler)
    assert ["w 0.0", "w 1.0", "i 1.0"] == events(written)
    assert "h 0.0" not in stream.getvalue()
    assert "h 1.0" in stream.getvalue()


def test_a_configured_sampler_gets_another_rate_in_its_place():
    """It is not sampled twice, the sampler itself does not change, and what it keeps stays."""
    sample = Sample(0.0, keep=Keep(match={"tier": "premium"}))
    with configured(processors=[sample]) as written:
        say("not")
        control.apply({"sampling": {"rate": 0.5}})
        say("kept", LOW)
        say("not")
        say("premium", tier="premium")
        control.apply({"sampling": {"rate": 1.0}})
        say("all")
        control.reset()
        say("not", LOW)
        say("premium again", tier="premium")
    assert ["kept", "premium", "all", "premium again"] == events(written)
    assert 0.0 == sample.rate


def test_what_is_kept_by_call():
    """``keep`` in place of what the samplers keep; a rate that code sets meanwhile still holds."""
    sample = Sample(0.0)
    with configured(processors=[sample]) as written:
        control.apply({"sampling": {"keep": {"level": "error", "match": {"tier": ["a", "b"]}}}})
        say("not", level="warning")
        say("error", level="error")
        say("tier", tier="b")
        sample.rate = 1.0
        say("all")
    assert ["error", "tier", "all"] == events(written)


def test_bursts_by_call():
    """In place of a configured one, or where there is none; ``first`` and then ``every``."""
    for processors in ((), (Burst(1),)):
        with configured(processors=processors) as written, moved("dropped.burst") as by:
            control.apply({"sampling": {"burst": {"first": 2, "every": 3, "seconds": 1000}}})
            for number in range(9):
                log.info("again", n=number)
        assert [0, 1, 4, 7] == [event["n"] for event in written.events]
        assert {"dropped.burst": 5} == by


def test_a_tail_gets_another_rate_and_goes_on_holding():
    """What it holds of a request under way is neither lost nor written twice."""
    tail = Tail()
    with configured(processors=[tail]) as written:
        with ctxlog.entry({"traceparent": f"00-{HIGH}-{'b' * 16}-01"}):
            log.info("before")
            control.apply({"sampling": {"rate": 0.5}})
            log.info("after")
            assert 2 == tail.held
            log.error("bad")
        say("kept", LOW)
        say("dropped")
        control.apply({"sampling": {"keep": {"level": "critical"}}})
        say("dropped", level="info", status=500)
    assert ["before", "after", "bad", "kept"] == events(written)[:4]
    assert not tail._requests


def test_what_a_tail_holds_is_written_when_the_configuration_goes_under_control():
    """The sampler that stands in for it does not hide it from the one who closes it."""
    with configured(processors=[Tail()]) as written, ctxlog.entry():
        control.apply({"sampling": {"rate": 0.0}})
        log.info("held")
        ctxlog.shutdown()
        assert ["held"] == events(written)


def test_held_lines_go_on_through_what_is_sampled_by_then():
    """They are taken up behind the place of the one who held them."""
    with configured(processors=[Tail()]) as written, ctxlog.entry():
        for _ in range(3):
            log.info("again")
        control.apply({"sampling": {"burst": {"first": 1, "seconds": 1000}}})
        log.error("bad")
    assert ["again", "bad"] == events(written)


@pytest.mark.parametrize(
    "processors",
    [(Sample(0.0),), (Burst(1),), (Tail(),), ()],
    ids=["sample", "burst", "tail", "none"],
)
def test_what_is_debugged_is_never_sampled(processors: tuple[Any, ...]):
    """Whoever debugs one object sees all its lines, whatever is sampled."""
    with configured(level="info", processors=processors) as written:
        control.apply({"debug": {"objects": ["Pod/shop/db-0"]}, "sampling": {"rate": 0.0}})
        for _ in range(3):
            with ctxlog.entry(None, POD):
                log.debug("of the object")
    assert ["of the object"] * 3 == events(written)


def test_a_burst_at_run_time_lets_through_what_is_debugged():
    """Also one that was not configured; other objects' lines are counted."""
    with configured(level="info") as written:
        sampling = {"burst": {"first": 1, "seconds": 1000}}
        control.apply({"debug": {"namespaces": ["shop"]}, "sampling": sampling})
        for fields in (POD, {}, POD, {}):
            with ctxlog.scope(fields):
                log.info("again", whose=len(fields))
    assert [3, 3] == [event["whose"] for event in written.events]


def test_without_sampling_the_fast_way_stays():
    """Nothing is put into the chain where nothing would be left out: also at a rate of 1."""
    nothing: list[dict[str, Any]] = [
        {}, {"sampling": {}}, {"sampling": {"rate": 1.0}}, {"sampling": {"rate": 1}},
    ]  # fmt: skip
    for settings in nothing:
        with configured(), moved("slow_path") as by:
            control.apply(settings)
            say("fast", LOW)
        assert {"slow_path": 0} == by
    with configured(), moved("slow_path") as by:
        control.apply({"sampling": {"rate": 0.5}})
        control.reset()
        say("fast", LOW)
        assert runtime.pipeline is not None
        assert () == runtime.pipeline.processors
    assert {"slow_path": 0} == by


def test_the_processors_that_are_configured_see_every_line():
    """A sampler that is added comes last: what counts or enriches lines misses none."""
    seen: list[str] = []

    def counting(_: Any, __: str, event: Any) -> Any:
        seen.append(event["event"])
        event["tier"] = "premium"
        return event

    with configured(processors=[counting]) as written:
        control.apply({"sampling": {"rate": 0.0}})
        say("left out")
        control.apply({"sampling": {"rate": 0.0, "keep": {"match": {"tier": "premium"}}}})
        say("enriched")
    assert ["left out", "enriched"] == seen
    assert ["enriched"] == events(written)


class Own(Sample):
    """Somebody's own."""

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> Any:
        """Mark every line."""
        return {**event_dict, "own": True}


def test_a_sampler_of_somebodys_own_is_left_alone():
    """What its class does is not known; a rate that is asked for holds behind it."""
    with configured(processors=[Own(0.0)]) as written:
        control.apply({"sampling": {"rate": 0.5}})
        say("not")
        say("kept", LOW)
    assert [("kept", True)] == [(event["event"], event["own"]) for event in written.events]


def test_another_configuration_and_sinks_that_come_and_go():
    """A sink that is added keeps the sampling; another configuration begins without."""
    with configured() as written:
        control.apply({"sampling": {"rate": 0.0}})
        more: list[Any] = []
        added = ctxlog.add_sink(more.append, renderer="event")
        say("not")
        ctxlog.remove_sink(added)
        say("not")
        ctxlog.configure(stream=written, renderer="json")
        say("another configuration")
        control.apply({"sampling": {"rate": 0.0}})
        control.reset()
        say("reset")
    assert ["another configuration", "reset"] == events(written)
    assert [] == more


def test_sampling_changes_under_load():
    """Threads write while rates come and go: each line is written or counted, and none twice."""
    stop, logged = threading.Event(), [0] * 4

    def work(place: int) -> None:
        while not stop.is_set():
            say("busy", HIGH if logged[place] % 2 else LOW, n=logged[place], of=place)
            logged[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    with configured(level="info") as written, moved("dropped.sampled", "dropped.burst") as by:
        for thread in threads:
            thread.start()
        for number in range(100):
            burst = {"first": 1, "every": 2, "seconds": 1000}
            control.apply({"sampling": {"rate": number % 3 / 4, "burst": burst}})
            control.apply({"sampling": {"rate": 0.5}})
            control.reset()
        before = ctxlog.counters().get("dropped.sampled", 0)
        control.apply({"sampling": {"rate": 0.5}})
        until(lambda: ctxlog.counters().get("dropped.sampled", 0) > before)
        stop.set()
        for thread in threads:
            thread.join()
    seen = [(event["of"], event["n"]) for event in written.events]
    assert len(seen) == len(set(seen))
    assert sum(logged) == len(seen) + by["dropped.sampled"] + by["dropped.burst"]


BAD: list[tuple[Any, str]] = [
    ({"rat": 0.5}, "did you mean 'rate'.*rate, keep, burst"),
    ({"rate": 2}, "sampling.rate.*0.0 to 1.0"),
    ({"rate": True}, "sampling.rate"),
    ({"rate": "0.5"}, "sampling.rate"),
    ({"rate": float("nan")}, "sampling.rate"),
    ([], "sampling: a mapping"),
    ({"keep": {"levels": 1}}, "did you mean 'level'.*level, status, exceptions, match"),
    ({"keep": {"level": "loud"}}, "sampling.keep.*unknown level"),
    ({"keep": {"status": "500"}}, "sampling.keep.*status"),
    ({"keep": {"exceptions": "no"}}, "exceptions"),
    ({"keep": {"match": ["a"]}}, "sampling.keep.match"),
    ({"keep": 5}, "sampling.keep: a mapping"),
    ({"burst": {"every": 5}}, "first"),
    ({"burst": {"first": 0}}, "sampling.burst.*first"),
    ({"burst": {"first": 1, "every": 0}}, "sampling.burst.*every"),
    ({"burst": {"first": 1, "seconds": -1}}, "sampling.burst.*seconds"),
    ({"burst": {"first": 1, "second": 1}}, "did you mean 'seconds'"),
]


@pytest.mark.parametrize(("sampling", "says"), BAD, ids=repr)
def test_bad_sampling_changes_nothing(sampling: Any, says: str):
    """It is an error at once that says where and what, and what held still does."""
    with configured() as written:
        control.apply({"sampling": {"rate": 0.0}})
        with pytest.raises(UsageError, match=says):
            control.apply({"level": "error", "sampling": sampling})
        say("not")
        log.info("level as it was")
    assert ["level as it was"] == events(written)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no such signals here")
def test_a_file_and_a_signal_set_the_rate(tmp_path: Path):
    """A bad file keeps the last good rate, and says which setting is wrong."""
    path = tmp_path / "levels.json"
    path.write_text('{"sampling": {"rate": 0.0}}', encoding="utf-8")
    before = signal.getsignal(signal.SIGUSR1)
    with configured(level="info") as written:
        watcher = control.watch(path, interval=3600)
        undo = control.reload_on(signal.SIGUSR1)
        try:
            say("not")
            path.write_text('{"sampling": {"rate": 3}}', encoding="utf-8")
            os.kill(os.getpid(), signal.SIGUSR1)
            until(lambda: watcher.error)
            say("still not")
            path.write_text('{"sampling": {"rate": 1.0}}', encoding="utf-8")
            os.kill(os.getpid(), signal.SIGUSR1)
            until(lambda: runtime.pipeline is not None and not runtime.pipeline.processors)
            say("all")
            assert watcher.error is None
        finally:
            undo()
            watcher.stop()
    assert signal.getsignal(signal.SIGUSR1) is before
    assert ["control file applied"] == of(written, "info")[:1]
    assert "all" in events(written)
    assert "sampling.rate" in next(e["error"] for e in written.events if "error" in e)
    assert {"not", "still not"}.isdisjoint(events(written))


def of(written: Written, level: str) -> list[str]:
    """Return the events of a level."""
    return [event["event"] for event in written.events if event["level"] == level]


def test_the_examples_config_map_is_one_that_can_be_read():
    """What is shown works."""
    shown = Path(__file__).parents[2] / "examples" / "17_operator" / "levels.yaml"
    content = shown.read_text(encoding="utf-8").partition("levels.json: |")[2]
    with configured():
        control.apply(json.loads(content))
