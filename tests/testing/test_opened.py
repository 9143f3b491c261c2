"""What is said of something that a test left open."""

from __future__ import annotations

from ctxlog.testing.opened import Opened


def test_a_secret_is_not_shown():
    """A report goes to CI's log: values under secret names are masked there as on a line."""
    opened = Opened("scope", None)
    opened.fields = {"user": "bob", "password": "hunter2"}
    assert "user='bob', password=[redacted]" == opened.shown()
