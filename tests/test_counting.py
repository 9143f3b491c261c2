"""Counters: exact under threads, and without a lock to wait for."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from itertools import count
from threading import Thread
from typing import Any

import pytest

from ctxlog.counting import Counters, counted


def test_counters_move_by_what_they_are_told():
    """A name counts from nought, by one or by a number."""
    tally = Counters()
    tally.add("a")
    tally.add("a", 3)
    tally.add("b", 0)
    assert {"a": 4, "b": 0} == tally.read()
    assert (4, 0) == (tally["a"], tally["never"])


def test_reading_a_count_does_not_move_it():
    """What an itertools.count says of itself is how often it moved."""
    moves = count()
    for _ in range(12_345):
        next(moves)
    assert 12_345 == counted(moves) == counted(moves)


def test_they_are_exact_under_threads():
    """Eight threads that count at once lose nothing, on new names and on old ones."""
    tally = Counters()

    def work() -> None:
        for turn in range(5_000):
            tally.add("all")
            tally.add(f"name {turn % 50}", 2)
            if not turn % 500:
                tally.read()

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40_000 == tally["all"]
    assert {800 * 2} == {value for name, value in tally.read().items() if name != "all"}


def test_a_finaliser_may_count_while_its_thread_counts():
    """A collection in the middle of an addition that counts too neither hangs nor loses."""
    tally, made = Counters(), 0

    class Finalised:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            tally.add("finalised")

    threshold = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(2_000):
            Finalised()
            made += 1
            tally.add("made")
            tally.add(f"new {made}")
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert (made, made) == (tally["made"], tally["finalised"])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no timer here")
def test_a_signal_handler_may_count_while_its_thread_counts():
    """A handler that interrupts an addition counts, and both are counted."""
    tally, fired = Counters(), 0

    def handler(number: int, frame: Any) -> None:
        nonlocal fired
        fired += 1
        tally.add("all")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    turns = 0
    try:
        while fired < 50:
            tally.add("all")
            turns += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert fired + turns == tally["all"]


FORK = """
import os, threading, warnings
from ctxlog.counting import counters
warnings.simplefilter("ignore")
stop = threading.Event()
def hammer():
    while not stop.is_set():
        counters.add("hammer")
threading.Thread(target=hammer).start()
codes = []
for _ in range(20):
    child = os.fork()
    if not child:
        counters.add("hammer")
        counters.add("fork")
        os._exit(counters["fork"])
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
print(codes == [1] * 20)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_counts():
    """Forked while another thread counts, the child's counters move at once."""
    found = subprocess.run(  # in no tracer's process: those do not survive a fork under threads
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{FORK}"],
        capture_output=True, text=True, timeout=60, check=False, env={},
    )  # fmt: skip
    assert "True\n" == found.stdout, found.stderr
