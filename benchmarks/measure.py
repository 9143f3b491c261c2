"""The method: many short rounds, all lanes in each, shuffled; ratios are taken within a round."""

from __future__ import annotations

import gc
import random
import statistics
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.lanes import Lane

#: Samples by (case, contender): one figure a round. Those of one group line up round by round.
Samples = dict[tuple[str, str], list[float]]

SLICE_NS = 1_500_000
_LEAST_TURNS = 32
_WARM_UP_ROUNDS = 5


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median of ``values`` with the quartiles around it."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratios(of: Sequence[float], over: Sequence[float]) -> list[float]:
    """Return ``of`` over ``over``, round by round: what slows the machine slows both."""
    return [one / other for one, other in zip(of, over, strict=True)]


def measure(lanes: Sequence[Lane], rounds: int, seed: int = 2) -> tuple[Samples, Samples]:
    """Return nanoseconds a call, and how many lines left the fast path, by round.

    The garbage collector runs between rounds, not in them: a collection in one lane would be paid
    for what another allocated.
    """
    shuffled = random.Random(seed)
    turns = {lane.key: _calibrated(lane) for lane in lanes}
    order = list(lanes)
    samples, slow = Samples(), Samples()
    for lane in lanes:
        samples[lane.key], slow[lane.key] = [], []
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number in range(-_WARM_UP_ROUNDS, rounds):
            shuffled.shuffle(order)
            for lane in order:
                before, calls = lane.contender.slow_lines(), turns[lane.key] * lane.case.calls
                taken = _timed(lane, turns[lane.key])
                if number >= 0:
                    samples[lane.key].append(taken / calls)
                    slow[lane.key].append(lane.contender.slow_lines() - before)
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return samples, slow


def _calibrated(lane: Lane) -> int:
    """Return how many turns of the lane's loop fill a slice."""
    few = max(1, 64 // lane.case.calls)
    _timed(lane, few)
    least = max(1, _LEAST_TURNS // lane.case.calls)
    return max(least, int(SLICE_NS / (min(_timed(lane, few) for _ in range(5)) / few)))


def _timed(lane: Lane, times: int) -> int:
    begun = perf_counter_ns()
    lane.run(times)
    return perf_counter_ns() - begun
