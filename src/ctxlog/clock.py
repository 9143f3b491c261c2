"""Clock: stamps that never go back, anchored to the wall clock and slewed to it.

A *tick* covers the stretch of monotonic time in which the displayed second stays the same; all that
a second of lines shares is worked out once for it. The wall clock is asked when a tick begins:

* a small difference is slewed away, at most 0.1 % faster or slower;
* the wall clock ahead by more than a second (the machine slept): stamps step forward;
* the wall clock set *back* by more: stamps hold, running at half speed until it has caught up, and
  each line says by how much its second began ahead (``clock_ahead_s``), so that the wall time can
  be told. Nothing need hold where nothing was written meanwhile.

So a step shows within a second. Stamps are RFC 3339, UTC, microseconds. They are a property of
events, not of the order of lines in a file: the stamp is taken before the sink's lock.
"""

from __future__ import annotations

from time import gmtime, monotonic_ns, time_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000
_MICRO = 1_000
#: A difference up to here is slewed away; beyond it stamps step forward, or hold.
STEP = SECOND
#: A difference below this is left: a second's slew is a millisecond, and would overshoot.
NEAR = 500_000
#: What :func:`text_of` can write: years 1 to 9999, in seconds.
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
#: The mark on lines whose stamp is ahead of a wall clock that was set back, in seconds.
AHEAD = "clock_ahead_s"


class Tick:
    """One displayed second.

    From ``start`` until ``end`` (monotonic ns) stamps read ``base + (now - start) // divisor``
    microseconds into ``second``.
    """

    __slots__ = (
        "after",
        "ahead_ns",
        "base",
        "closing",
        "divisor",
        "end",
        "opening",
        "second",
        "start",
        "text",
    )

    def __init__(self, start: int, wall: int, divisor: int, ahead_ns: int) -> None:
        self.start = start
        self.second, sub = divmod(wall, SECOND)
        self.base = sub // _MICRO
        self.divisor = divisor
        self.end = start + (1_000_000 - self.base) * divisor
        self.ahead_ns = ahead_ns
        self.after: dict[None, Tick] = {}  # the tick that follows, once there is one
        parts = gmtime(self.second)
        self.text = (
            f"{parts.tm_year:04d}-{parts.tm_mon:02d}-{parts.tm_mday:02d}"
            f"T{parts.tm_hour:02d}:{parts.tm_min:02d}:{parts.tm_sec:02d}."
        )
        # what a JSON line begins with, before and after the microseconds
        self.opening = b'{"timestamp":"' + self.text.encode()
        self.closing = b'Z"' + (
            b',"%s":%.6f' % (AHEAD.encode(), ahead_ns / SECOND) if ahead_ns else b""
        )


class Clock:
    """Monotonic stamps in UTC.

    Args:
        wall: the wall clock, in nanoseconds since the epoch.
        monotonic: a clock that never goes back, in nanoseconds.

    Example:
        >>> ticks = iter([0, 250_000_000])
        >>> clock = Clock(wall=lambda: 0, monotonic=lambda: next(ticks))
        >>> clock.text(*clock.now())
        '1970-01-01T00:00:00.250000Z'
    """

    def __init__(
        self,
        wall: Callable[[], int] = time_ns,
        monotonic: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self.tick = Tick(monotonic(), wall(), _MICRO, 0)

    def now(self) -> tuple[Tick, int]:
        """Return the tick of now and the microseconds into its second."""
        tick = self.tick
        now = self._monotonic()
        if now >= tick.end:
            tick = self.advance(now)
            now = max(now, tick.start)  # another thread may have been ahead
        return tick, tick.base + (now - tick.start) // tick.divisor

    def advance(self, now: int) -> Tick:
        """Begin the tick that holds the monotonic time ``now``, asking the wall clock again.

        Two threads may do so at once: a tick has one that follows it, whoever made it, so that
        all stamps lie on one line that never goes back. Without a lock: a signal handler or a
        forked child could wait for it for ever.
        """
        tick = self.tick
        while now >= tick.end:
            following = tick.after.get(None)
            if following is None:
                # the one single step that makes this thread's tick, or another's, the only one
                following = tick.after.setdefault(None, self._following(tick, now))
            tick = self.tick = following
        return tick

    def _following(self, old: Tick, now: int) -> Tick:
        """Return the tick that begins ``now``, as ``old`` and the wall clock have it."""
        shown = (old.second + 1) * SECOND  # no stamp has reached it yet
        gone = now - old.end
        wall = self._wall()
        ahead = shown + gone - wall
        if ahead < -STEP:  # it slept, or the clock was set forward
            shown = wall
        elif ahead > STEP:
            shown = max(shown, wall)
        else:  # all that could be slewed while nothing was written, and no more
            shown = min(max(wall, shown + gone * 1000 // 1001), shown + gone * 1000 // 999)
        ahead = shown - wall
        if ahead > STEP:
            return Tick(now, shown, 2 * _MICRO, ahead)
        return Tick(now, shown, _MICRO + (0 if abs(ahead) < NEAR else 1 if ahead > 0 else -1), 0)

    def text(self, tick: Tick, micro: int) -> str:
        """Return the stamp as RFC 3339 text, UTC, microseconds, ``Z``."""
        return f"{tick.text}{micro:06d}Z"

    def ns(self, tick: Tick, micro: int) -> int:
        """Return the stamp as nanoseconds since the epoch."""
        return tick.second * SECOND + micro * _MICRO


def text_of(ns: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 text, UTC, microseconds, ``Z``.

    Times outside the years 1 to 9999 become the nearest within.

    Example:
        >>> text_of(1_500_000_000)
        '1970-01-01T00:00:01.500000Z'
    """
    tick = Tick(0, min(max(ns, EARLIEST * SECOND), LATEST * SECOND), _MICRO, 0)
    return f"{tick.text}{tick.base:06d}Z"
