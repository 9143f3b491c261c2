"""Stopping: flush and close many sinks within one deadline, whatever each of them waits for."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from ctxlog.counting import Counters, counted, counters
from ctxlog.sinks.native import thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from itertools import count

    from ctxlog.sinks.native import Thread
    from ctxlog.sinks.sink import Sink

_closed = Counters()
#: The counters of sinks that were closed last, and where they stood: a line that was on its way
#: arrives all the same, and is counted by its sink.
_late: deque[tuple[count[int], int]] = deque()
_LATE = 64


def flush_all(sinks: Iterable[Sink], timeout: float | None = None) -> bool:
    """Flush every sink; ``True`` when all of it is out. Returns within ``timeout`` seconds."""
    end = None if timeout is None else monotonic() + timeout
    sinks = list(sinks)
    for sink in sinks:
        sink.hurry(on=True)
    try:
        done = [in_time(sink, sink.flush, "errors.flush", end) for sink in sinks]
    finally:
        for sink in sinks:
            sink.hurry(on=False)
    return all(done)


def close_all(sinks: Iterable[Sink], timeout: float | None = None) -> bool:
    """Stop and close every sink; ``True`` when all of it is out. Returns within ``timeout``.

    A sink that does not come back in time is left as it is: its lines are counted.
    """
    end = None if timeout is None else monotonic() + timeout
    return _close([(sink, end) for sink in sinks])


def replace_all(sinks: Iterable[Sink]) -> None:
    """Stop and close the sinks of a configuration that another one replaced.

    Each has its own ``stop_seconds``, all of them at once: many that are stuck cost as much as the
    one with the most. Those that have none come last, and may take as long as it takes.
    """
    now = monotonic()
    ends = [(sink, None if (own := sink.stop_seconds) is None else now + own) for sink in sinks]
    _close(sorted(ends, key=lambda one: one[1] is None))


def _close(ends: Iterable[tuple[Sink, float | None]]) -> bool:
    """Stop and close every sink by its own end; whether all of it is out."""
    done = True
    ends = list(ends)
    for sink, _ in ends:
        sink.hurry(on=True)  # for good: it does not come back
    for sink, end in ends:
        stopped = in_time(sink, sink.stop, "errors.close", end)
        try:
            if stopped or sink.keeps_time:  # else it is being written to, and would not close
                sink.close()
        except Exception:  # noqa: BLE001 - a stream that is gone cannot be closed
            counters.add("errors.close")
            stopped = False
        _add_up(sink)
        done = done and stopped
    return done


def _add_up(sink: Sink) -> None:
    counts = sink.counts()
    for name, number in counts.items():
        _closed.add(name, number)
    _late.append((sink.direct, counts["written"] - sink.settled))
    while len(_late) > _LATE:
        counter, before = _late.popleft()
        _closed.add("written", counted(counter) - before)


def closed() -> dict[str, int]:
    """Return what sinks that are closed by now have counted."""
    counts = _closed.read()
    late = sum(counted(counter) - before for counter, before in list(_late))
    if late:
        counts["written"] = counts.get("written", 0) + late
    return counts


def in_time(
    sink: Sink, act: Callable[[float | None], bool], counter: str, end: float | None
) -> bool:
    """Call ``act`` with the time that is left, aside if it may not keep to it by itself.

    One aside a sink: while one that was not waited for any more is at it, no other is started.
    """
    said: list[bool] = []

    def run() -> None:
        try:
            said.append(act(_left(end)))
        except Exception:  # noqa: BLE001 - a closed stream must not stop the others
            counters.add(counter)

    if end is None or sink.keeps_time:
        run()
        return said == [True]
    if sink.aside is not None:
        sink.aside.join(_left(end))
        if sink.aside.is_alive():
            return False
    sink.aside = start_aside(run, counter)
    if sink.aside is not None:
        sink.aside.join(_left(end))
    return said == [True]


def start_aside(run: Callable[..., object], name: str, *args: object) -> Thread | None:
    """Run a function on a thread that nothing waits for; ``None`` when none can be started."""
    aside = thread(run, *args, name=f"ctxlog {name}")
    try:
        aside.start()
    except RuntimeError:  # the interpreter is ending: what waits on the stream was logged so
        return None
    return aside


def within(function: Callable[[], object], end: float | None) -> bool:
    """Call a function that may wait for a sink; whether it had ended by then."""
    aside = None if end is None else start_aside(function, "aside")
    if aside is None:
        function()
        return True
    aside.join(_left(end))
    return not aside.is_alive()


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - monotonic())
