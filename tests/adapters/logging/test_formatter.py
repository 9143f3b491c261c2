"""Formatter with a text format: what a record holds forges no line and acts on no terminal."""

from __future__ import annotations

import io
import logging
from decimal import Decimal
from typing import Any

import pytest

import ctxlog
from tests.kit import ACTIVE

HOSTILE = "paid\n2026 INFO forged\r\x1b[31m\u2028\x85\u202e\x00"


def record_of(message: Any, *args: Any, name: str = "shop", **extra: Any) -> logging.LogRecord:
    """Return a record as a logger makes it."""
    return logging.getLogger(name).makeRecord(
        name, 20, "shop.py", 7, message, args, None, None, extra
    )


@pytest.mark.parametrize(("style", "fmt"), [
    ("%", "%(name)s %(message)s %(user)s %(bound)s %(threadName)s"),
    ("{", "{name} {message} {user} {bound} {threadName}"),
    ("$", "$name ${message} $user $bound $threadName"),
])  # fmt: skip
def test_no_value_forges_a_line(style: Any, fmt: str):
    """Message, name, extra and context stay on the record's line, escaped; the record is as it was."""
    record = record_of("%s", HOSTILE, name=f"n{HOSTILE}", user=HOSTILE)
    record.threadName = HOSTILE
    with ctxlog.scope(bound=HOSTILE):
        text = ctxlog.Formatter(fmt, style=style).format(record)
    assert set() == ACTIVE & set(text)
    assert 5 == text.count("paid\\n2026 INFO forged\\r\\x1b[31m\\u2028\\x85\\u202e\\x00")
    assert (HOSTILE, f"n{HOSTILE}", HOSTILE) == (
        record.getMessage(), record.name, record.__dict__["user"]
    )  # fmt: skip


def test_an_extra_that_is_no_text():
    """What an object prints as is escaped; a number keeps its format, an object its attributes."""

    class Odd:
        name = HOSTILE

        def __str__(self) -> str:
            return HOSTILE

    record = record_of("m", user=Odd(), took=Decimal("1.5"))
    text = ctxlog.Formatter("%(user)s %(user)r %(took).3f %(took)d %(lineno)d").format(record)
    assert text.endswith(" 1.500 1 7")
    assert set() == ACTIVE & set(text)
    braced = ctxlog.Formatter("{user.name} {user} {took:.3f} {user!s:>3}", style="{").format(record)
    assert set() == ACTIVE & set(braced)
    assert " 1.500 " in braced


def test_a_format_keeps_its_own_line_breaks_and_colours():
    """They are the host's, not a value's."""
    formatter = ctxlog.Formatter("\x1b[32m%(levelname)s\x1b[0m\n\t%(message)s")
    assert "\x1b[32mINFO\x1b[0m\n\tno" == formatter.format(record_of("no"))


def test_a_traceback_keeps_its_lines_and_nothing_else():
    """It is many lines, as logging's own; what would act on a terminal in it is escaped."""
    out = io.StringIO()
    log = logging.getLogger("shop.traceback")
    log.propagate = False
    handler = logging.StreamHandler(out)
    handler.setFormatter(ctxlog.Formatter("%(message)s"))
    other = logging.StreamHandler(io.StringIO())  # it leaves its own text on the record
    log.handlers = [other, handler]
    try:
        try:
            raise ValueError("a\r\x1b[31m\u2028b")
        except ValueError:
            log.exception("failed", stack_info=True)
    finally:
        log.handlers = []
    lines = out.getvalue().split("\n")
    assert ["failed", "Traceback (most recent call last):"] == lines[:2]
    assert "ValueError: a\\r\\x1b[31m\\u2028b" in lines
    assert "Stack (most recent call last):" in lines
    assert set() == ACTIVE & set("".join(lines))
