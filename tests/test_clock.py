"""Clock: stamps under clocks that slew, step, stop and sleep."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxlog.clock import EARLIEST, LATEST, NEAR, SECOND, STEP, Clock, text_of
from tests.strategies import relaxed

START = 1_700_000_000 * SECOND + 123_456_789


class Times:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 5_000

    def clock(self) -> Clock:
        """Return a clock that reads these."""
        return Clock(wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def pass_by(self, ns: int, drift: int = 0) -> None:
        """Let time go by; the wall clock is off by ``drift`` more than before."""
        self.monotonic += ns
        self.wall += ns + drift


def stamp(clock: Clock) -> int:
    """Return a stamp in nanoseconds."""
    return clock.ns(*clock.now())


def test_a_stamp_is_the_wall_time_in_microseconds():
    """At first, and as long as both clocks agree, stamps are the wall's."""
    times = Times()
    clock = times.clock()
    for _ in range(50):
        assert times.wall // 1000 * 1000 - 1000 <= stamp(clock) <= times.wall
        times.pass_by(123_456_789)


def test_text_is_rfc_3339_in_utc():
    """What is written reads back as the same microsecond."""
    times = Times()
    clock = times.clock()
    tick, micro = clock.now()
    text = clock.text(tick, micro)
    assert "2023-11-14T22:13:20.123456Z" == text
    assert text_of(START) == text
    read = datetime.fromisoformat(text)
    assert UTC == read.tzinfo
    assert START // 1000 == round(read.timestamp() * 1_000_000)


@relaxed
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * SECOND) | st.integers(0, 10 * 3600 * SECOND),
            st.just(0)
            | st.integers(-SECOND // 10, SECOND // 10)
            | st.integers(-3600 * SECOND, 3600 * SECOND),
        ),
        max_size=60,
    )
)
def test_stamps_never_go_back(moves):
    """Whatever the wall clock does, a later stamp is not an earlier time, nor a wrong second."""
    times = Times()
    clock = times.clock()
    last = stamp(clock)
    for gone, drift in moves:
        times.pass_by(gone, drift)
        tick, micro = clock.now()
        assert 0 <= micro < 1_000_000
        assert last <= (last := clock.ns(tick, micro))
        assert tick.start <= times.monotonic < tick.end
        if tick.ahead_ns:
            assert STEP < tick.ahead_ns


@relaxed
@given(
    st.integers(-SECOND + 10_000, SECOND - 10_000),
    st.integers(100_000_000, 5 * SECOND),
    st.integers(1, 40),
)
def test_a_small_difference_is_slewed_at_most_a_thousandth(drift, every, lines):
    """No stretch of stamps is faster or slower than time by more than 0.1 % (and a microsecond)."""
    times = Times()
    clock = times.clock()
    before = stamp(clock)
    times.wall += drift
    for _ in range(lines):
        times.pass_by(every)
        now = stamp(clock)
        assert abs((now - before) - every) <= every // 999 + 2_000
        before = now


def test_slewing_reaches_the_wall_and_stays():
    """After a difference of 50 ms, half a minute and more brings them together, without swinging."""
    for drift in (50_000_000, -50_000_000):
        times = Times()
        clock = times.clock()
        times.wall += drift
        apart = []
        for _ in range(800):
            times.pass_by(SECOND // 10)
            apart.append(stamp(clock) - times.wall)
        assert max(map(abs, apart[:10])) > 45_000_000
        assert max(map(abs, apart[-100:])) <= NEAR + 3_000


def test_an_idle_hour_does_not_overshoot():
    """A slew goes on while nothing is written, but not past the wall clock."""
    for drift in (50_000_000, -50_000_000):
        times = Times()
        clock = times.clock()
        times.wall += drift
        times.pass_by(SECOND)
        clock.now()
        times.pass_by(3600 * SECOND)
        assert abs(stamp(clock) - times.wall) <= 3_000


def test_a_forward_step_is_followed():
    """Set forward, or woken after sleep, the clock's stamps are the wall's within a second."""
    times = Times()
    clock = times.clock()
    times.pass_by(10, 8 * 3600 * SECOND)
    times.pass_by(SECOND)
    tick, micro = clock.now()
    assert abs(clock.ns(tick, micro) - times.wall) <= 2_000
    assert 0 == tick.ahead_ns
    assert b'Z"' == tick.closing


def test_a_backward_step_holds_and_marks_the_line():
    """Set back ten seconds: stamps go on at half speed, each with the mark, until they agree."""
    times = Times()
    clock = times.clock()
    times.wall -= 10 * SECOND
    times.pass_by(SECOND)
    marked, last = 0, stamp(clock)
    for _ in range(400):
        times.pass_by(SECOND // 10)
        tick, micro = clock.now()
        now = clock.ns(tick, micro)
        assert now >= last
        if tick.ahead_ns:
            marked += 1
            assert 2000 == tick.divisor
            assert b',"clock_ahead_s":%.6f' % (tick.ahead_ns / SECOND) in tick.closing
            # by the mark the wall time can be told, to a second
            assert -2_000 <= times.wall - (now - tick.ahead_ns) <= SECOND + 2_000
        last = now
    assert 170 <= marked <= 200
    assert abs(last - times.wall) <= STEP


def test_a_backward_step_while_nothing_is_written_needs_no_hold():
    """Nothing was stamped in between: the next line has the wall's time, and no mark."""
    times = Times()
    clock = times.clock()
    clock.now()
    times.pass_by(3600 * SECOND, -600 * SECOND)
    tick, micro = clock.now()
    assert abs(clock.ns(tick, micro) - times.wall) <= 2_000
    assert 0 == tick.ahead_ns


def test_a_tick_has_one_that_follows():
    """A thread that was held up at a boundary takes the tick that another made."""
    times = Times()
    clock = times.clock()
    old = clock.tick
    late = old.end + 10
    times.pass_by(2 * SECOND, 5 * SECOND)  # the wall is asked at another time
    first = clock.advance(late + 5)
    clock.tick = old  # as the late one sees it
    assert first is clock.advance(late + 5)
    assert first is clock.advance(late)
    assert first is clock.tick
    clock.tick = old
    times.pass_by(10 * SECOND)
    later = clock.advance(times.monotonic)
    assert first is not later
    assert first.after[None] is later
    assert later is clock.advance(late)


def test_a_stamp_before_a_ticks_start_is_its_start():
    """A thread whose time was read before another's tick began gets that tick's first stamp."""
    times = Times()
    clock = times.clock()
    times.pass_by(3 * SECOND)
    following = clock.advance(times.monotonic)
    old = Clock(wall=lambda: times.wall, monotonic=lambda: following.start - 5).tick
    clock.tick = old
    old.end, old.after[None] = 0, following
    reads = iter([following.start - 5])
    clock._monotonic = lambda: next(reads)
    assert (following, following.base) == clock.now()


class Unsteady:
    """A wall clock that jumps about by milliseconds, and lets other threads in."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        """Return a time, somewhat off."""
        self.calls += 1
        time.sleep(0)
        return time.time_ns() + self.calls * 7_919_000 % 2_500_000_000


def test_threads_at_a_tick_boundary_never_go_back():
    """Eight threads over many boundaries: no stamp is before one that was taken before it."""
    start = time.monotonic_ns()
    clock = Clock(wall=Unsteady(), monotonic=lambda: start + (time.monotonic_ns() - start) * 400)
    barrier, wrong = Barrier(8), []
    last = [0]
    interval = sys.getswitchinterval()

    def work() -> None:
        barrier.wait()
        for _ in range(3_000):
            before = last[0]
            now = stamp(clock)
            if now < before:
                wrong.append((before, now))
            last[0] = max(now, last[0]) if now >= before else last[0]

    sys.setswitchinterval(1e-5)
    try:
        threads = [Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert [] == wrong


def test_the_machines_own_clocks_are_the_default():
    """Without arguments a stamp is the time of day."""
    assert abs(stamp(Clock()) - time.time_ns()) < SECOND


@pytest.mark.parametrize(
    ("ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (EARLIEST * SECOND, "0001-01-01T00:00:00.000000Z"), (-(10**30), "0001-01-01T00:00:00.000000Z"),
        (10**30, "9999-12-31T23:59:59.000000Z"), (LATEST * SECOND, "9999-12-31T23:59:59.000000Z"),
    ],
)  # fmt: skip
def test_any_number_of_nanoseconds_is_a_text(ns, expected):
    """Times that no calendar has become the nearest that one has."""
    assert expected == text_of(ns)
