"""Sampling: which lines are left out, the same in every process, and what is never."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

import ctxlog
from ctxlog.errors import UsageError
from ctxlog.sampling import Burst, Keep, Sample, Tail, keeps
from ctxlog.testing import capture
from tests.kit import configured, moved
from tests.strategies import HOSTILE, relaxed

IDS = 1_000_000
#: Counts and fingerprints the kept ones of a fixed million of trace ids.
COUNT = f"""
import hashlib, random
from ctxlog.sampling import keeps
ids = random.Random(6)
kept, digest = 0, hashlib.sha256()
for _ in range({IDS}):
    trace_id = f"{{ids.getrandbits(128):032x}}"
    if keeps(trace_id, RATE):
        kept += 1
        digest.update(trace_id.encode())
print(kept, digest.hexdigest())
"""
KEPT = "4bf92f3577b34da6" + "0" * 15 + "1"  # below any rate but 0
LEFT_OUT = "f" * 32


def entered(trace_id: str, **fields: object) -> ctxlog.entry:
    """An entry that continues this trace."""
    return ctxlog.entry({"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}, fields)


@pytest.mark.parametrize("rate", [0.01, 0.25])
def test_the_share_is_the_rate_and_the_same_in_two_processes(rate: float):
    """Of a million fixed ids the share is within 0.1 points, and two processes keep the same ones."""
    ran = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT.replace("RATE", str(rate))],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    one, other = (process.communicate()[0] for process in ran)
    assert one == other
    assert abs(int(one.split()[0]) / IDS - rate) < 0.001


@pytest.mark.parametrize("rate", [0.0, 0.001, 1 / 3, 0.5, 0.999, 1.0])
def test_it_decides_as_opentelemetry_does(rate: float):
    """A line is kept exactly if TraceIdRatioBased samples its span at that rate."""
    sampler, ids = TraceIdRatioBased(rate), random.Random(1)
    for _ in range(2_000):
        trace_id = ids.getrandbits(128) or 1
        sampled = sampler.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE
        assert sampled == keeps(f"{trace_id:032x}", rate)


@relaxed
@given(st.integers(1, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_rate_keeps_what_a_lower_one_keeps(number: int, one: float, other: float):
    """Two services at different rates agree on all that the lower one keeps."""
    trace_id = f"{number:032x}"
    low, high = sorted((one, other))
    assert keeps(trace_id, high) or not keeps(trace_id, low)


def test_a_line_goes_by_its_trace():
    """Kept and left-out traces are told by their ids; lines outside any trace are kept."""
    with moved("dropped.sampled", "dropped.processor") as by:
        with capture(processors=(Sample(0.5),)) as lines:
            log = ctxlog.get_logger("s")
            log.info("outside")
            with entered(KEPT):
                log.info("in")
            with entered(LEFT_OUT):
                log.info("out")
    assert ["outside", "in"] == [line["event"] for line in lines]
    assert {"dropped.sampled": 1, "dropped.processor": 0} == by


FORCED: dict[str, dict[str, Any]] = {
    "level": {"level": "warning"},
    "custom level": {"level": 35},
    "unknown level": {"level": "no level"},
    "status": {"http.response.status_code": 503},
    "short status": {"status": 500},
    "exception": {"exc_info": ValueError("x")},
    "rendered exception": {"exception.type": "ValueError"},
    "match": {"user_tier": "premium"},
    "one of several": {"tenant": "b"},
}


@pytest.mark.parametrize("case", FORCED)
def test_what_is_forced_is_always_kept(case: str):
    """Every line of a forced class is written at rate 0: a hundred of a hundred."""
    keep = Keep(match={"user_tier": "premium", "tenant": ["a", "b"]})
    fields = dict(FORCED[case])
    level = fields.pop("level", "info")
    with capture(processors=(Sample(0.0, keep=keep),)) as lines, entered(LEFT_OUT):
        for _ in range(100):
            ctxlog.get_logger("s").log(level, "forced", **fields)
            ctxlog.get_logger("s").info("ordinary", user_tier="basic", tenant="c", status=404)
    assert 100 == len(lines.where(event="forced"))
    assert 100 == len(lines)


def test_a_match_is_read_from_the_context_too():
    """A field bound for the request keeps all of its lines."""
    sample = Sample(0.0, keep=Keep(match={"user_tier": "premium"}))
    with capture(processors=(sample,)) as lines, entered(LEFT_OUT, user_tier="premium"):
        ctxlog.get_logger("s").debug("kept")
    assert 1 == len(lines)


def test_the_rate_changes_at_run_time():
    """What is set holds from the next line on."""
    sample = Sample(0.0)
    with capture(processors=(sample,)) as lines, entered(LEFT_OUT):
        ctxlog.get_logger("s").info("before")
        sample.rate = 1.0
        ctxlog.get_logger("s").info("after")
    assert ["after"] == [line["event"] for line in lines]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sample(1.1),
        lambda: Sample(True),
        lambda: Sample(float("nan")),
        lambda: setattr(Sample(1), "rate", "all"),
        lambda: Burst(0),
        lambda: Burst(1, 0),
        lambda: Burst(1, seconds=0),
        lambda: Keep(status="500"),  # type: ignore[arg-type]
        lambda: Keep(level="loud"),
        lambda: Tail(per_request=0),
        lambda: Tail(rate=2),
    ],
)
def test_misuse_says_what_is_taken(make):
    """A number out of range, or none, is a UsageError."""
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_values_are_sampled_like_others(name: str):
    """No value of a field makes a sampler fail: the line is written, or held and written."""
    chain = (
        Sample(1.0, keep=Keep(match={"value": "x"})),
        Burst(100, keep=Keep(match={"value": 1})),
        Tail(keep=Keep(match={"value": [1, 2]})),
    )
    with capture(processors=chain) as lines, pytest.raises(ValueError, match="end"):
        with ctxlog.entry():
            ctxlog.get_logger("s").info("held", value=HOSTILE[name]())
            raise ValueError("end")
    assert ["held"] == [line["event"] for line in lines]
    assert "ctxlog.errors" not in lines[0]


# -- bursts ---------------------------------------------------------------------------------------


def test_the_first_and_then_every_so_manyth():
    """Counts start anew each second, and are told apart by event, level and logger."""
    now = [0.0]
    burst = Burst(2, 10, clock=lambda: now[0])
    with moved("dropped.burst") as by, capture(processors=(burst,)) as lines:
        for at in (0.0, 0.5, 1.0):
            now[0] = at
            for number in range(12):
                ctxlog.get_logger("s").info("again", n=number, at=at)
        ctxlog.get_logger("s").warning("again", n="warning")
        ctxlog.get_logger("t").info("again", n="t")
    assert [0, 1, 11] == [line["n"] for line in lines.where(at=0.0)]
    assert [9] == [line["n"] for line in lines.where(at=0.5)]  # the 22nd: 20 after the first two
    assert [0, 1, 11] == [line["n"] for line in lines.where(at=1.0)]
    assert ["warning", "t"] == [line["n"] for line in lines[-2:]]
    assert {"dropped.burst": 38 - len(lines)} == by


def test_a_burst_knows_so_many_events_at_most():
    """Events beyond the bound do not grow it."""
    burst = Burst(1)
    with capture(processors=(burst,)):
        for number in range(5_000):
            ctxlog.get_logger("s").info(f"event {number}")
    assert 4_096 == len(burst._seen)


def test_a_burst_is_exact_under_threads():
    """Eight threads together write what one would."""
    burst = Burst(10, 100, clock=lambda: 0.0)
    with capture(processors=(burst,)) as lines:
        log = ctxlog.get_logger("s")
        threads = [Thread(target=lambda: list(map(log.info, ["again"] * 500))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 10 + (4_000 - 10) // 100 == len(lines)


# -- tails ----------------------------------------------------------------------------------------


def events(lines: Any) -> list[str]:
    """What was written, in order."""
    return [line["event"] for line in lines]


def test_a_good_request_leaves_nothing():
    """Lines of a request that ends well are dropped, and counted."""
    tail = Tail()
    with moved("dropped.tail") as by, capture(processors=(tail,)) as lines:
        with ctxlog.entry():
            ctxlog.get_logger("s").info("one")
            ctxlog.get_logger("s").info("two", status=200)
        ctxlog.get_logger("s").info("outside")
    assert ["outside"] == events(lines)
    assert {"dropped.tail": 2} == by
    assert 0 == tail.held
    assert {} == tail._requests


def test_a_bad_request_leaves_everything_in_order():
    """From the line that is bad on nothing waits, and what waited comes first, with its own time."""
    with capture(processors=(Tail(),)) as lines, ctxlog.entry(step="a"):
        log = ctxlog.get_logger("s")
        log.info("one", items=[1, {"a": 2}])
        ctxlog.bind_context(step="b")
        log.debug("two")
        log.error("bad")
        log.info("three")
    assert ["one", "two", "bad", "three"] == events(lines)
    assert ["a", "b", "b", "b"] == [line["step"] for line in lines]
    assert [1, {"a": 2}] == lines[0]["items"]
    assert sorted(line["timestamp"] for line in lines) == [line["timestamp"] for line in lines]


def test_an_exception_that_leaves_the_entry_is_a_bad_end():
    """Held lines are written when an error leaves; a cancellation is no error."""
    with capture(processors=(Tail(),)) as lines:
        with pytest.raises(ValueError, match="x"), ctxlog.entry():
            ctxlog.get_logger("s").info("failed")
            raise ValueError("x")
        with pytest.raises(asyncio.CancelledError), ctxlog.entry():
            ctxlog.get_logger("s").info("cancelled")
            raise asyncio.CancelledError
    assert ["failed"] == events(lines)


def test_decorated_functions_are_requests_too():
    """A function, a coroutine function and a generator under an entry are each one request."""

    @ctxlog.entry()
    def plain() -> None:
        ctxlog.get_logger("s").info("plain")
        raise ValueError

    @ctxlog.entry()
    async def coroutine() -> None:
        ctxlog.get_logger("s").info("coroutine")
        raise ValueError

    @ctxlog.entry()
    def generator(fails: bool):
        ctxlog.get_logger("s").info(f"generator {fails}")
        yield
        if fails:
            raise ValueError

    tail = Tail()
    with capture(processors=(tail,)) as lines:
        with pytest.raises(ValueError):
            plain()
        with pytest.raises(ValueError):
            asyncio.run(coroutine())
        list(generator(False))
        with pytest.raises(ValueError):
            list(generator(True))
    assert ["plain", "coroutine", "generator True"] == events(lines)
    assert {} == tail._requests


def test_requests_do_not_mix():
    """A bad request releases its own lines only; threads under its snapshot belong to it."""
    with capture(processors=(Tail(),)) as lines, ctxlog.entry():
        ctxlog.get_logger("s").info("good")
        with ctxlog.entry():
            thread = Thread(target=ctxlog.wrap(ctxlog.get_logger("s").info), args=("bad",))
            thread.start()
            thread.join()
            ctxlog.get_logger("s").error("end")
    assert ["bad", "end"] == events(lines)


def test_two_entries_of_one_request_end_together():
    """The same request id in a worker: what the first to end leaves waits for the last."""
    with capture(processors=(Tail(),)) as lines, ctxlog.entry({"x-request-id": "r-1"}):
        ctxlog.get_logger("s").info("outer")
        with ctxlog.entry({"x-request-id": "r-1"}):
            ctxlog.get_logger("s").info("inner")
        ctxlog.get_logger("s").error("bad")
    assert ["outer", "inner", "bad"] == events(lines)


def test_what_is_held_is_bounded():
    """So many lines of a request, so many of all, so many requests; past it they are counted."""
    tail = Tail(per_request=3, in_all=4, requests=2)
    with moved("dropped.tail_full") as by, capture(processors=(tail,)) as lines:
        with ctxlog.entry({"x-request-id": "a"}):
            for number in range(5):
                ctxlog.get_logger("s").info(f"a{number}")
            with ctxlog.entry({"x-request-id": "b"}):
                for number in range(3):
                    ctxlog.get_logger("s").info(f"b{number}")
                assert 4 == tail.held
                with ctxlog.entry({"x-request-id": "c"}):
                    ctxlog.get_logger("s").info("unwatched")
                ctxlog.get_logger("s").error("b bad")
            ctxlog.get_logger("s").error("a bad")
    assert ["unwatched", "b2", "b bad", "a2", "a3", "a4", "a bad"] == events(lines)
    assert {"dropped.tail_full": 4} == by


def test_a_share_of_all_requests_is_written_anyway():
    """``rate`` goes by the trace id, as everywhere."""
    with capture(processors=(Tail(rate=0.5),)) as lines:
        for trace_id in (KEPT, LEFT_OUT):
            with entered(trace_id):
                ctxlog.get_logger("s").info(trace_id)
    assert [KEPT] == events(lines)


def test_what_is_held_is_written_when_the_configuration_goes():
    """Neither a second ``configure`` nor a shutdown loses what nobody has decided about."""
    with configured(processors=[tail := Tail()]) as written, ctxlog.entry():
        ctxlog.get_logger("s").info("first")
        ctxlog.configure(processors=[tail], stream=written, renderer="json", level=0)
        assert b"first" not in written.getvalue()  # the same sampler goes on holding it
        ctxlog.shutdown()
        assert b"first" in written.getvalue()


def test_an_id_that_is_no_text():
    """A request that is known by a mapping is not watched; nothing is raised, nothing held."""
    with capture(processors=(Tail(),)) as lines, ctxlog.entry(request_id={"a": 1}):
        ctxlog.get_logger("shop").info("said")
        assert ["said"] == [line["event"] for line in lines]


def test_an_entry_that_begins_while_the_tail_closes():
    """It is not watched: nobody would say that it has ended."""
    tail = Tail()
    tail.close()
    tail.began("r-1")
    assert not tail._requests


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_leaves_held_lines_to_its_parent():
    """They are written once, and a lock held at the fork does not stop the child."""
    code = """
import os, sys, ctxlog
from ctxlog.sampling import Burst, Tail
tail, burst = Tail(), Burst(1)
ctxlog.configure(processors=[tail, burst], stdlib=False)
log = ctxlog.get_logger("shop")
with ctxlog.entry(request_id="r-1"):
    log.info("held")
    with tail._lock, burst._lock:
        pid = os.fork()
    if not pid:
        with ctxlog.entry(request_id="r-2"):
            log.info("child")
            log.error("child's error")
        ctxlog.shutdown()
        os._exit(0)
    os.waitpid(pid, 0)
    log.error("parent's error")
ctxlog.shutdown()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    said = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert ["child", "child's error", "held", "parent's error"] == said


def test_held_lines_meet_the_processors_behind_and_the_sinks_there_are_then():
    """A held line goes on where it left the chain, and to a sink that was added meanwhile."""
    seen: list[str] = []

    def behind(logger: Any, method_name: str, event_dict: Any) -> Any:
        seen.append(event_dict["event"])
        return event_dict

    with configured(processors=[Tail(), behind]) as written:
        later: list[Any] = []
        with ctxlog.entry():
            ctxlog.get_logger("s").info("held", password="hunter2")
            assert [] == seen
            ctxlog.add_sink(later.append, renderer="event")
            ctxlog.get_logger("s").error("bad")
    assert ["held", "bad"] == seen
    assert ["held", "bad"] == [line["event"] for line in later]
    assert "[redacted]" == written.events[0]["password"]


def test_in_a_chain_of_structlogs_own_a_tail_lets_everything_pass():
    """Nobody there could write a held line later."""
    with ctxlog.entry() as _:
        event = {"event": "x", "request_id": ctxlog.get_context()["request_id"]}
        assert event == Tail()(None, "info", dict(event))


def test_a_line_keeps_its_door_while_it_is_held():
    """A held line of ``logging`` does not go back to a handler of ``logging``."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            got.append(record.getMessage())

    got: list[str] = []
    handler = Handler()
    logging.getLogger("sampling.door").addHandler(handler)
    try:
        with configured(sinks=[handler], processors=[Tail()], stdlib=True), ctxlog.entry():
            logging.getLogger("sampling.door").warning("once")
    finally:
        logging.getLogger("sampling.door").removeHandler(handler)
    assert ["once"] == got


def test_the_rule_is_what_it_was():
    """It is part of the contract: another release must keep the same traces."""
    ids = random.Random(6)
    kept = [i for i in range(2_000) if keeps(f"{ids.getrandbits(128):032x}", 0.005)]
    assert [375, 655, 692, 694, 911, 936, 1146, 1341, 1684, 1864] == kept


@pytest.mark.parametrize("sink", ["stderr", "{'target': stderr, 'queue': True}"])
def test_what_is_held_when_the_interpreter_ends_is_written(sink: str):
    """Nobody knows how these requests end; their lines are not lost, also through a queue."""
    code = (
        "from sys import stderr\n"
        "import ctxlog\n"
        "from ctxlog.sampling import Tail\n"
        f"ctxlog.configure(processors=[Tail()], sinks=[{sink}], renderer='json')\n"
        "ctxlog.entry(request_id='r-1').__enter__()\n"
        "ctxlog.get_logger('x').info('held')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ["held"] == [json.loads(line)["event"] for line in done.stderr.splitlines()]


def test_long_texts_are_told_apart_and_not_kept():
    """A text with data in it may be of any length, and there are thousands of them."""
    burst = Burst(1, clock=lambda: 0.0)
    with capture(processors=(burst,)) as lines:
        for number in range(50):
            for _ in range(2):
                ctxlog.get_logger("shop").info("x" * 100_000 + str(number))
    assert 50 == len(lines)
    kept = sum(len(str(text)) for key in burst._seen for text in key)
    assert kept < 50 * 1_000
