"""Testing: what is logged as data, and assertions that show the nearest line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import ctxlog
from ctxlog.testing import capture

log = ctxlog.get_logger("shop")


def sell(items: int) -> None:
    """Log from here and from a pool's job: what is under test."""
    with ctxlog.scope(request_id="r-1"), ThreadPoolExecutor(1) as pool:
        log.info("accepted", items=items)
        pool.submit(ctxlog.wrap(log.info), "stored")
    if items > 100:
        log.warning("a large order", items=items)


def test_every_line_has_the_request_id() -> None:
    """Each line of the request has its id, on whatever thread it was written."""
    with capture() as lines:
        sell(3)
    lines.assert_all_have("request_id")
    assert lines.one(event="accepted")["items"] == 3  # noqa: S101 - a test


def test_a_large_order_is_a_warning() -> None:
    """One warning, and only for a large order."""
    with capture(level=30) as lines:
        sell(3)
        assert lines == []  # noqa: S101 - a test
        sell(1000)
    lines.one(event="a large order", level="warning")


def main() -> None:
    """Run the tests, then show what a failing assertion says."""
    test_every_line_has_the_request_id()
    test_a_large_order_is_a_warning()
    print("2 passed; and this is how one fails:\n")
    with capture() as lines:
        sell(1000)
    try:
        lines.assert_all_have("request_id")
    except AssertionError as error:
        print(error)


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# 2 passed; and this is how one fails:
#
# 1 of 3 lines have no request_id:
#   {'timestamp': '2026-11-21T11:16:14.471974Z', 'level': 'warning', 'logger': 'shop', 'event': 'a large order', 'items': 1000}
