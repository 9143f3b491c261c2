"""The benchmark of the web: its lanes do the same work, and it says what it found."""

from __future__ import annotations

import pytest

from benchmarks import web
from benchmarks.web import BARE, LANES, OURS, RIVAL


@pytest.mark.parametrize("inbound", [True, False])
def test_every_lane_answers(inbound: bool):
    """Each lane serves in a process of its own, as often as it is asked."""
    taken = web.alone(2, inbound=inbound)
    assert dict.fromkeys(LANES, 2) == {lane: len(rounds) for lane, rounds in taken.items()}
    assert all(one > 0 for rounds in taken.values() for one in rounds)


def test_the_ratio_is_of_what_is_added():
    """The application's own cost is taken off both, round by round."""
    taken = {BARE: [10.0, 20.0, 5.0], RIVAL: [30.0, 40.0, 15.0], OURS: [20.0, 30.0, 10.0]}
    assert 0.5 == web.ratio(taken)
