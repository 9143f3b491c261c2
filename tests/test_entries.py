"""Entry: a fresh scope; what it continues and what it makes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from threading import Barrier, Thread
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ctxlog import get_logger
from ctxlog.carriers import extract, inject
from ctxlog.context import spans
from ctxlog.context.fields import CURRENT, bind_context, clear_context, get_context
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import snapshot
from ctxlog.entries import entry
from ctxlog.errors import UsageError
from ctxlog.ids import TraceIds, valid_request_id, valid_span_id, valid_trace_id
from ctxlog.sampling import Tail
from ctxlog.testing import capture

log = get_logger(__name__)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = TraceIds("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")
tracer = TracerProvider().get_tracer("tests")
unsampled = TracerProvider(sampler=ALWAYS_OFF).get_tracer("tests")


def ids_now() -> Any:
    """Return the ids a line would have."""
    return spans.current_ids() or CURRENT.get().fields.ids


def ids_of(span: Any) -> TraceIds:
    """Return a span's ids as text."""
    about = span.get_span_context()
    return TraceIds(f"{about.trace_id:032x}", f"{about.span_id:016x}", f"{about.trace_flags:02x}")


@pytest.fixture(params=["with", "without"])
def library(request, monkeypatch):
    """Be with OpenTelemetry, and without it."""
    if request.param == "without":
        monkeypatch.setattr(spans, "_library", None)
        monkeypatch.setattr(spans, "_modules", {})
    return request.param


def test_nothing_of_before_shows(library):
    """Fields are those of the entry alone; what was bound comes back after it."""
    with scope(stale="yes", request_id="other"):
        with entry({"x-request-id": "r-1"}, {"a.b": 1}, job="import"):
            assert {"request_id": "r-1", "a.b": 1, "job": "import"} == get_context()
        assert {"stale": "yes", "request_id": "other"} == get_context()


def test_ids_are_made_where_none_come_in(library):
    """Without a carrier the request id, trace id and span id are new, and unsampled."""
    seen = set()
    for _ in range(3):
        with entry():
            ids = ids_now()
            assert valid_trace_id(ids.trace_id)
            assert valid_span_id(ids.span_id)
            assert "00" == ids.trace_flags
            assert valid_request_id(get_context()["request_id"])
            seen |= {ids.trace_id, ids.span_id, get_context()["request_id"]}
    assert 9 == len(seen)
    assert ids_now() is None


def test_a_carrier_is_continued(library):
    """The caller's ids are on the lines, as one unit."""
    with entry({"traceparent": PARENT, "X-Request-ID": "r-1"}):
        assert IDS == ids_now()
        assert "r-1" == get_context()["request_id"]


def test_the_ids_of_an_entry_are_the_calls_too(library):
    """Inject sends what the lines say."""
    headers: dict[str, str] = {}
    with entry():
        inject(headers)
        ids = ids_now()
        assert f"00-{ids.trace_id}-{ids.span_id}-00" == headers["traceparent"]
        assert get_context()["request_id"] == headers["x-request-id"]


@pytest.mark.parametrize("inbound", ["", " ", "a b", "r\r\nx: y", "r" * 129, "é", b"\xff\xfe", 5])
def test_an_invalid_request_id_is_made_anew(inbound):
    """What a stranger sends as an id is checked."""
    with entry({"x-request-id": inbound}):
        found = get_context()["request_id"]
    assert 32 == len(found)  # type: ignore[arg-type]
    assert found != inbound


def test_an_own_request_id_wins():
    """One given by keyword or mapping is the entry's."""
    with entry({"x-request-id": "theirs"}, request_id="ours"):
        assert "ours" == get_context()["request_id"]


@pytest.mark.parametrize(
    ("bound", "continued"),
    [("r-1", True), (7, True), (True, False), ("no good", False), (None, False), ([1], False)],
)
def test_a_snapshot_is_continued_by_its_ids_alone(bound, continued):
    """Its ids and a usable request id go on; its other fields do not."""
    with entry({"traceparent": PARENT}), scope(request_id=bound, more=1):
        taken = snapshot()
    with entry(taken):
        assert IDS == ids_now()
        assert ["request_id"] == list(get_context())
        assert continued is (get_context()["request_id"] == bound)


def test_an_extracted_carrier_is_one_too():
    """entry(extract(headers)) is entry(headers)."""
    with entry(extract({"traceparent": PARENT, "x-request-id": "r-1"})):
        assert (IDS, {"request_id": "r-1"}) == (ids_now(), get_context())


# -- under OpenTelemetry --------------------------------------------------------------------------


def test_auto_keeps_a_live_span():
    """Under an instrumented server its span and baggage stay, whatever the carrier says."""
    with tracer.start_as_current_span("server") as span:
        token = otel.attach(baggage.set_baggage("k", "v"))
        with entry({"traceparent": PARENT}):
            assert ids_of(span) == ids_now()
            assert "v" == baggage.get_baggage("k")
        otel.detach(token)


def test_auto_keeps_an_unsampled_span():
    """That a trace is not sampled is a decision to pass on."""
    with unsampled.start_as_current_span("server") as span, entry({"traceparent": PARENT}):
        assert ids_of(span) == ids_now()


@pytest.mark.parametrize("stale", ["ended", "remote", "none"])
@pytest.mark.parametrize("carrier", [None, {"traceparent": PARENT}])
def test_auto_takes_the_carrier_where_no_span_is_live(stale, carrier):
    """An ended span, or another message's remote one, is not continued; then the carrier is."""
    context = otel.get_current()
    if stale == "ended":
        span = tracer.start_span("old")
        span.end()
        context = trace.set_span_in_context(span)
    elif stale == "remote":
        context = spans.remote_context(TraceIds("a" * 32, "b" * 16, "01"))
    token = otel.attach(context)
    try:
        before = ids_now()
        with entry(carrier):
            found = ids_now()
            assert carrier is None or found == IDS
            assert found != before
            if carrier is None:
                assert spans.current_ids() is None
        assert context is otel.get_current()
    finally:
        otel.detach(token)


@pytest.mark.parametrize("carrier", [None, {"traceparent": PARENT}])
def test_new_starts_a_trace_whatever_came_in(carrier):
    """With trace="new" neither the span nor the carrier is continued; the request id is."""
    with tracer.start_as_current_span("server") as span:
        with entry({**(carrier or {}), "x-request-id": "r-1"}, trace="new"):
            assert spans.current_ids() is None
            assert ids_now().trace_id not in (ids_of(span).trace_id, IDS.trace_id)
            assert "r-1" == get_context()["request_id"]
        assert ids_of(span) == ids_now()


def test_keep_leaves_the_context_as_it_is():
    """With trace="keep" even an ended span stays; the carrier only fills the gap."""
    span = tracer.start_span("old")
    span.end()
    token = otel.attach(trace.set_span_in_context(span))
    context = otel.get_current()
    with entry({"traceparent": PARENT}, trace="keep"):
        assert ids_of(span) == ids_now()
        assert context is otel.get_current()
    otel.detach(token)
    with entry({"traceparent": PARENT}, trace="keep"):
        assert IDS == ids_now()


def test_an_unknown_trace_is_misuse():
    """The error lists what is known."""
    with pytest.raises(UsageError, match="auto, keep, new"):
        entry(trace="always")  # type: ignore[arg-type]


# -- links ----------------------------------------------------------------------------------------


def test_a_link_shows_where_it_came_from():
    """A worker's entry has its own ids, and those of its origin under link."""
    with entry({"traceparent": PARENT, "x-request-id": "r-1"}):
        origin = snapshot()
    with entry(link=origin):
        found = get_context()
        assert IDS.trace_id != ids_now().trace_id
        assert found.pop("request_id") != "r-1"
    assert {
        "link.trace_id": IDS.trace_id,
        "link.span_id": IDS.span_id,
        "link.request_id": "r-1",
    } == found


def test_a_link_may_be_ids_or_have_none():
    """Bare trace ids link; an empty snapshot adds nothing."""
    with entry(link=IDS):
        assert IDS.trace_id == get_context()["link.trace_id"]
        assert "link.request_id" not in get_context()
    with entry(link=snapshot()):
        assert ["request_id"] == list(get_context())


def test_no_link_is_misuse():
    """Anything else is refused at once."""
    with pytest.raises(UsageError, match="link takes"):
        entry(link="4bf92f35")  # type: ignore[arg-type]


# -- as a decorator, and in numbers ---------------------------------------------------------------


def test_each_call_is_an_entry_of_its_own():
    """Functions and coroutines get fresh ids at every call."""

    @entry(job="tick")
    def tick() -> Any:
        bind_context(more=1)
        return get_context()["request_id"], ids_now().trace_id

    @entry()
    async def atick() -> Any:
        await asyncio.sleep(0)
        return get_context()["request_id"], ids_now().trace_id

    async def main() -> list[Any]:
        return list(await asyncio.gather(atick(), atick(), atick()))

    with scope(stale=1):
        found = [tick(), tick(), *asyncio.run(main())]
        assert {"stale": 1} == get_context()
    assert 10 == len({each for pair in found for each in pair})
    assert "<entry job>" == repr(entry(job=1))


def test_one_entry_object_in_many_threads():
    """Entered by eight threads at once, each gives back what was there."""
    block, barrier = entry(job=1), Barrier(8)
    wrong: list[Any] = []

    def work(number: int) -> None:
        span = tracer.start_span("x")
        otel.attach(trace.set_span_in_context(span))
        context = otel.get_current()
        with scope(number=number):
            for _ in range(30):
                barrier.wait()
                with block, block:
                    if "number" in get_context():
                        wrong.append(get_context())
                if otel.get_current() is not context or get_context() != {"number": number}:
                    wrong.append(number)
        span.end()

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


def test_clearing_stays_within():
    """clear_context in an entry empties it; what was outside is there after it."""
    with scope(a=1):
        with entry():
            clear_context()
            assert {} == get_context()
        assert {"a": 1} == get_context()


def test_one_entry_object_in_several_blocks_at_once_ends_each_request_for_who_watches() -> None:
    """Tail sampling holds and drops by request, also of one entry object entered by two tasks."""
    shared = entry()

    async def request(first: asyncio.Event, then: asyncio.Event, *, bad: bool) -> None:
        with contextlib.suppress(ValueError), shared:
            log.info("held", bad=bad)
            bind_context(request_id="bound over it")
            first.set()
            await then.wait()
            if bad:
                raise ValueError

    async def main(*, bad: bool) -> None:
        one, two, go = asyncio.Event(), asyncio.Event(), asyncio.Event()
        waits = asyncio.create_task(request(one, go, bad=bad))
        await one.wait()
        ended = asyncio.create_task(request(two, two, bad=not bad))
        await ended
        go.set()
        await waits

    for bad in (False, True):
        tail = Tail()
        with capture(processors=(tail,)) as lines:
            asyncio.run(main(bad=bad))
            assert 0 == tail.held
        assert [True] == [line["bad"] for line in lines]
        assert {} == tail._requests


def test_entries_of_a_recursion_are_left_one_by_one():
    """As deep as calls nest: no block of a chain that is being left is let go of."""
    wrong: list[int] = []

    def descend(left: int) -> None:
        with entry(left=left):
            if left:
                descend(left - 1)
            if get_context()["left"] != left:
                wrong.append(left)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3_000)
    try:
        descend(900)
    finally:
        sys.setrecursionlimit(limit)
    assert not wrong
