"""What context costs an operator, and whether any line lacks it.

    python -m benchmarks.operators [--write]

1. 10,000 events of 2,000 objects through an informer's path (a line of JSON from a watch, a cache,
   a work queue, a handler that writes three lines) at 10,000 a second: how many lines have all
   their fields.
2. Time per handled event against the same pipeline without context, in short runs by turns: a kopf
   operator's whole handling of an event, and the informer's path alone.
3. A stop in the middle: 8 threads and 1,000 tasks log while an operator is cancelled.
4. Memory after 10,000 and after 100,000 reconciles.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import json
import logging
import os
import platform
import random
import sys
import threading
import tracemalloc
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import ctxlog
from ctxlog.kubernetes.identity import identify
from ctxlog.kubernetes.reconcile import new_reconcile_id, reconcile
from ctxlog.kubernetes.work import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "operators.md"
BEGIN = "<!-- figures: begin; written by `python -m benchmarks.operators --write` -->"
END = "<!-- figures: end -->"
EVENTS, RATE = 10_000, 10_000
OBJECTS = 200
#: So many that a hundredth of them says what their 99th percentile is.
KOPF_EVENTS = UPDATES = 10_000
#: An informer's: with each event another object its cache only grows, which the interpreter's
#: garbage collector alone makes too slow for the rate.
INFORMED = 2_000
#: Events of one run, with or without: an operator has its own code in the processor's caches.
RUN = 20
WANTED = {"k8s.object.kind", "k8s.object.name", "k8s.object.namespace", "k8s.object.uid",
          "k8s.object.ref", "reconcile_id", "handler", "reason", "retry", "trace_id",
          "request_id"}  # fmt: skip
log = ctxlog.get_logger("operator")


def watch_line(number: int, version: int = 0) -> bytes:
    """Return one event as an API server sends it: a Deployment of ordinary size."""
    env = [{"name": f"VARIABLE_{n}", "value": f"value of {n}"} for n in range(10)]
    containers = [{"name": f"c-{n}", "image": f"registry/app:{n}", "env": env} for n in range(3)]
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"web-{number}", "namespace": f"ns-{number % 50}", "uid": f"uid-{number}",
            "resourceVersion": str(version), "labels": {"app": "web", "tier": "front"},
            "annotations": {"note": "x" * 200},
        },
        "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}] * 3},
    }  # fmt: skip
    return json.dumps({"type": "MODIFIED", "object": body}).encode()


# ---- 1: every line has its fields


def fields_at_rate() -> tuple[int, int, int, float]:
    """Return lines, lines without all fields, lines of another object, and events a second."""
    shown: list[str] = []
    ctxlog.configure(level="info", sinks=[{"target": shown.append, "renderer": "json"}])
    lines = [watch_line(number % INFORMED, number) for number in range(EVENTS)]
    queue = WorkQueue(kind="Deployment", handler="sync", logger="operator")
    cache: dict[str, Any] = {}
    kept: list[float] = []

    def watch() -> None:
        began = perf_counter()
        for number, line in enumerate(lines):
            behind = began + number / RATE - perf_counter()
            if behind > 0:
                sleep(behind)
            event = json.loads(line)
            metadata = event["object"]["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            cache[key] = event["object"]
            queue.add(key)
        kept.append(EVENTS / (perf_counter() - began))
        queue.close()

    def work() -> None:
        from ctxlog.kubernetes.work import QueueClosed

        while True:
            try:
                taken = queue.get()
            except QueueClosed:
                return
            body = cache[taken.key]
            with reconcile(body, handler="sync", reason="modified", retry=taken.retry):
                log.info("looked at", saw=body["metadata"]["name"])
                log.info("in order", saw=body["metadata"]["name"])
            queue.done(taken.key)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    watch()
    for one in workers:
        one.join()
    ctxlog.shutdown()
    written = [json.loads(line) for line in shown]
    lacking = sum(not line.keys() >= WANTED for line in written)
    wrong = sum(line.get("saw", line["k8s.object.name"]) != line["k8s.object.name"]
                for line in written)  # fmt: skip
    return len(written), lacking, wrong, kept[0]


# ---- 2: what it costs


class Ratio(NamedTuple):
    """Times with context over times without."""

    name: str
    median: float
    low: float
    high: float
    p99: float
    p99_low: float
    p99_high: float
    without_us: float
    with_us: float


def p99(times: list[float]) -> float:
    """Return the 99th percentile."""
    return quantiles(times, n=100)[98]


def ratio(name: str, without: list[float], having: list[float], rounds: int = 400) -> Ratio:
    """Return both ratios with a 95 % confidence interval, by resampling whole events."""
    chance = random.Random(7)
    medians, tails = [], []
    for _ in range(rounds):
        one = chance.choices(without, k=len(without))
        other = chance.choices(having, k=len(having))
        medians.append(median(other) / median(one))
        tails.append(p99(other) / p99(one))
    medians.sort()
    tails.sort()
    low, high = int(rounds * 0.025), int(rounds * 0.975)
    return Ratio(
        name,
        median(having) / median(without), medians[low], medians[high],
        p99(having) / p99(without), tails[low], tails[high],
        median(without) * 1e6, median(having) * 1e6,
    )  # fmt: skip


def informer_path(*, by_hand: bool) -> Ratio:
    """Return what a reconcile adds to the path alone: nothing but JSON, a queue and three lines."""
    with open(os.devnull, "wb", buffering=0) as null:  # noqa: PTH123 - a raw sink
        ctxlog.configure(level="info", renderer="json", stream=null)
        times: tuple[list[float], list[float]] = ([], [])
        turns = Turns()
        lines = [watch_line(number) for number in range(1_000)]
        queue: deque[str] = deque()
        cache: dict[str, Any] = {}
        gc.disable()
        for number in range(4 * EVENTS):
            having = turns.next()
            line = lines[number % len(lines)]
            began = perf_counter()
            event = json.loads(line)
            metadata = event["object"]["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            cache[key] = event["object"]
            queue.append(key)
            body = cache[queue.popleft()]
            if having:
                with reconcile(body, handler="sync", reason="modified", retry=0):
                    log.info("looked at", replicas=3)
                    log.info("in order", ready=3)
            elif by_hand:
                fields = identify(body)
                fields["reconcile_id"] = new_reconcile_id()
                fields.update(handler="sync", reason="modified", retry=0)
                log.info("looked at", replicas=3, **fields)
                log.info("in order", ready=3, **fields)
                took = round(perf_counter() - began, 6)
                log.info("reconcile", outcome="success", duration_s=took, **fields)
            else:
                log.info("looked at", replicas=3)
                log.info("in order", ready=3)
                took = round(perf_counter() - began, 6)
                log.info("reconcile", outcome="success", duration_s=took)
            if number >= EVENTS // 5:
                times[having].append(perf_counter() - began)
            if number % 500 == 0:
                gc.collect()
        gc.enable()
        ctxlog.shutdown()
    base = "the same fields given by hand" if by_hand else "no fields at all"
    return ratio(f"the path alone, against {base}", *times)


SERVER = """
import http.server, json
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", 65536  # one segment: no delayed acknowledgement
    data = json.dumps({"kind": "Deployment", "metadata": {"name": "web"}}).encode()
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        self.wfile.write(self.data)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


async def updates(*, api_calls: bool = False) -> Ratio:
    """Return what the adapter adds to kopf's handling of an update: the commonest event there is.

    A handler of three lines, and the PATCH with which kopf itself says that it is handled, to an
    API server in another process.

    Args:
        api_calls: whether that call has ids of ours, too.
    """
    from kopf import OperatorRegistry, on

    from ctxlog.adapters import kopf as adapter
    from ctxlog.adapters.kopf.installing import current
    from tests.kubernetes.cluster import Cluster, Emulator, operator, until

    registry = OperatorRegistry()
    closing = ctxlog.get_logger("closing")
    handled = [0]

    def reached(count: int) -> bool:
        return handled[0] >= count

    @on.create("widgets", registry=registry)
    @on.resume("widgets", registry=registry)
    @on.update("widgets", registry=registry)
    async def handler(**_: Any) -> None:
        log.info("looked at", replicas=3)
        log.info("in order", ready=3)
        handled[0] += 1
        if not current().active:  # without the adapter somebody writes it by hand
            closing.info("reconcile", outcome="success", duration_s=0.001)

    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.apiserver", str(OBJECTS),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    there = Cluster(Emulator(), (await server.stdout.readline()).decode().strip())
    with installed(api_calls=api_calls) as null:
        timed = Timed(counts=lambda: handled[0], api_calls=api_calls)
        try:
            async with operator(there, registry, queueing__batch_window=0) as running:
                await until(lambda: handled[0] >= OBJECTS, running)
                await asyncio.sleep(1)
                for number in range(UPDATES):
                    target = handled[0] + 1
                    change = {
                        "metadata": {"resourceVersion": f"{number + 10_000}"},
                        "spec": {"size": number + 10_000},
                    }
                    await there.patch(number % OBJECTS, change)
                    await until(functools.partial(reached, target), running)
                    await asyncio.sleep(0.01)  # kopf's own PATCH comes back as an event
        finally:
            timed.stop()
            adapter.uninstall()
            null.flush()
            server.kill()
            await server.wait()
    what = "kopf's handling of an update, with the PATCH that it makes itself"
    return ratio(f"{what}, and `api_calls`" if api_calls else what, *timed.times)


class Turns:
    """Runs of events, by chance with or without; half of them each."""

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self._left: list[bool] = []

    def next(self) -> bool:
        """Say whether the next event is one with context."""
        if not self._left:
            first = self._chance.random() < 0.5
            self._left = [first] * RUN + [not first] * RUN
        return self._left.pop()


class Timed:
    """Times kopf's whole handling of each event, in turns with and without the adapter.

    Args:
        counts: what moves when a handler has run; events without one are not counted.
        api_calls: whether kopf's own calls have ids with the adapter.
    """

    def __init__(self, counts: Callable[[], int], *, api_calls: bool = False) -> None:
        from kopf._core.reactor import processing

        self.times: tuple[list[float], list[float]] = ([], [])
        self.seen = 0
        self.done = asyncio.Event()
        self._counts = counts
        self._api_calls = api_calls
        self._turns = Turns()
        self._module = processing
        self._process = processing.process_resource_event
        processing.process_resource_event = self._timed  # type: ignore[assignment]

    async def _timed(self, **options: Any) -> Any:
        from ctxlog.adapters.kopf.installing import current

        having = self._turns.next()
        current().active = having
        current().calls.active = having and self._api_calls
        before = self._counts()
        gc.disable()
        began = perf_counter()
        try:
            return await self._process(**options)
        finally:
            took = perf_counter() - began
            gc.enable()
            self.seen += 1
            self.done.set()
            if self._counts() > before and self._counts() > 500:
                self.times[having].append(took)

    def stop(self) -> None:
        """Put kopf's own back."""
        from ctxlog.adapters.kopf.installing import current

        self._module.process_resource_event = self._process
        current().active = True


@contextmanager
def installed(*, api_calls: bool = False) -> Generator[Any]:
    """Configure ctxlog to write JSON to nowhere, and install the adapter."""
    from ctxlog.adapters import kopf as adapter

    with open(os.devnull, "wb", buffering=0) as null:  # noqa: PTH123 - a raw sink
        ctxlog.configure(level="info", renderer="json", stream=null,
                         levels={"aiohttp": "error", "asyncio": "error", "kopf": "warning"})  # fmt: skip
        adapter.install(api_calls=api_calls)
        try:
            yield null
        finally:
            adapter.uninstall()
            ctxlog.shutdown()


async def kopf_path(*, calls: bool) -> Ratio:
    """Return what the adapter adds to kopf's whole handling of an event, three lines each.

    Args:
        calls: whether the handler makes one API call, to another process of this machine.
    """
    import aiohttp
    import kopf

    from ctxlog.adapters.kopf.installing import current
    from tests.kubernetes.cluster import RESOURCE, body, cluster, operator, until

    registry = kopf.OperatorRegistry()
    closing = ctxlog.get_logger("closing")
    handled = [0]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(await server.stdout.readline())}/"
    session = aiohttp.ClientSession()

    @kopf.on.event("widgets", registry=registry)
    async def handler(**_: Any) -> None:
        log.info("looked at", replicas=3)
        if calls:
            async with session.get(url) as response:
                await response.read()
        log.info("in order", ready=3)
        handled[0] += 1
        if not current().active:
            closing.info("reconcile", outcome="success", duration_s=0.001)

    with installed():
        timed = Timed(counts=lambda: handled[0])
        try:
            async with (
                cluster() as there,
                operator(there, registry, queueing__batch_window=0) as running,
            ):
                bus = there.emulator._buses[RESOURCE]  # noqa: SLF001 - events without HTTP's other way
                await until(lambda: there.requests, running)
                await asyncio.sleep(1)
                for number in range(KOPF_EVENTS):  # one at a time: nothing else runs meanwhile
                    timed.done.clear()
                    one = body(number % OBJECTS, labels={"turn": str(number)})
                    await bus.put({"type": "MODIFIED", "object": one})
                    await asyncio.wait_for(timed.done.wait(), 60)
        finally:
            timed.stop()
            await session.close()
            server.kill()
            await server.wait()
    what = "that makes one API call" if calls else "that does nothing else"
    return ratio(f"kopf's handling of an event, by a handler {what}", *timed.times)


# ---- 3: a stop in the middle


class Stop(NamedTuple):
    """What came of it."""

    logged: int
    written: int
    longest_ms: float
    idle_ms: float  # the longest of as many calls that do nothing: what the machine itself takes


async def stop_under_load() -> Stop:  # noqa: PLR0915 - told from top to bottom
    """Cancel an operator while 8 threads and 1,000 tasks log."""
    import kopf

    from ctxlog.adapters import kopf as adapter
    from tests.kubernetes.cluster import body, cluster, operator, until

    written: list[str] = []
    sink = {"target": written.append, "queue": {"size": 5_000_000}}
    ctxlog.configure(level="info", renderer="json", sinks=[sink],
                     levels={"aiohttp": "error", "asyncio": "error", "kopf": "error"})  # fmt: skip
    adapter.install()
    registry = kopf.OperatorRegistry()
    handled, counts, longest, idle = [0], [0], [0.0], [0.0]
    lock = threading.Lock()
    ended = threading.Event()

    @kopf.on.event("widgets", registry=registry)
    async def handler(**_: Any) -> None:
        handled[0] += 1

    def call() -> float:
        began = perf_counter()
        log.info("busy", writer=True)
        ended_at = perf_counter()
        for _ in range(200):
            pass
        idle[0] = max(idle[0], perf_counter() - ended_at)
        return ended_at - began

    def thread() -> None:
        mine, slow = 0, 0.0
        while not ended.is_set():
            slow = max(slow, call())
            mine += 1
            ended.wait(0.001)
        with lock:
            counts[0] += mine
            longest[0] = max(longest[0], slow)

    async def task() -> None:
        mine, slow = 0, 0.0
        while not ended.is_set():
            slow = max(slow, call())
            mine += 1
            await asyncio.sleep(0.05)
        with lock:
            counts[0] += mine
            longest[0] = max(longest[0], slow)

    async with cluster() as there:
        there.put(*(body(number) for number in range(200)))
        async with operator(there, registry) as running:
            tasks = [asyncio.create_task(task()) for _ in range(1_000)]
            threads = [threading.Thread(target=thread) for _ in range(8)]
            for one in threads:
                one.start()
            await until(lambda: handled[0] >= 200, running)
        ended.set()
        await asyncio.gather(*tasks)
        for one in threads:
            one.join()
    await asyncio.to_thread(ctxlog.shutdown, 60)
    adapter.uninstall()
    arrived = sum('"writer":true' in line for line in written)
    return Stop(counts[0], arrived, longest[0] * 1e3, idle[0] * 1e3)


# ---- 4: memory


def growth() -> float:
    """Return by how many MiB traced memory grows between 10,000 and 100,000 reconciles."""
    ctxlog.configure(level="info", sinks=[{"target": lambda _: None}], renderer="json")
    at: list[int] = []
    tracemalloc.start()
    queue = WorkQueue(kind="Pod", logger="operator")
    for number in range(100_001):
        if number in (10_000, 100_000):
            gc.collect()
            at.append(tracemalloc.get_traced_memory()[0])
        queue.add(f"ns/p-{number}")
        with queue.get():
            log.info("seen", number=number)
    tracemalloc.stop()
    ctxlog.shutdown()
    return (at[1] - at[0]) / 2**20


# ---- the page


def report() -> Iterator[str]:
    """Measure everything, and yield the page's lines."""
    yield f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}."
    yield ""
    yield "| what | measured | must |"
    yield "|---|---|---|"
    lines, lacking, wrong, rate = fields_at_rate()
    share = 100 * (1 - lacking / lines)
    yield f"| lines with all their fields, of {lines:,} at {rate:,.0f} events a second | {share:.3f} % | 100 % |"
    yield f"| of these, lines with another object's | {wrong} | 0 |"
    stop = asyncio.run(stop_under_load())
    yield f"| stop under load: lines written of {stop.logged:,} logged | {stop.written:,} | all |"
    yield (
        f"| the longest call meanwhile (of as long that do nothing: {stop.idle_ms:.1f} ms) "
        f"| {stop.longest_ms:.1f} ms | 50 ms |"
    )
    yield f"| growth from 10,000 to 100,000 reconciles | {growth():.2f} MiB | 5 MiB |"
    yield ""
    yield "| time per event with three lines | without | with | ratio of medians (95 %) | ratio of p99 (95 %) |"
    yield "|---|---|---|---|---|"
    measures: tuple[Callable[[], Ratio], ...] = (
        lambda: asyncio.run(updates()),
        lambda: asyncio.run(updates(api_calls=True)),
        lambda: asyncio.run(kopf_path(calls=True)),
        lambda: asyncio.run(kopf_path(calls=False)),
        lambda: informer_path(by_hand=True),
        lambda: informer_path(by_hand=False),
    )
    for measure in measures:
        r = measure()
        yield (
            f"| {r.name} | {r.without_us:.1f} µs | {r.with_us:.1f} µs "
            f"| {r.median:.3f} ({r.low:.3f} … {r.high:.3f}) "
            f"| {r.p99:.3f} ({r.p99_low:.3f} … {r.p99_high:.3f}) |"
        )


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into the docs")
    asked = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    found = []
    for line in report():
        print(line, flush=True)
        found.append(line)
    if asked.write:
        before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        figures = "\n".join(found)
        PAGE.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
