"""Levels: names and numbers, ours and those of logging."""

from __future__ import annotations

import enum
import logging
import subprocess
import sys
from typing import Any

import pytest

from ctxlog import levels
from ctxlog.errors import UsageError


class Loud(enum.IntEnum):
    """A level of somebody's own."""

    VERY = 45


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("info", 20), (" Warning ", 30), ("WARN", 30), ("fatal", 50), ("exception", 40),
        ("notset", 0), ("trace", 5), ("notice", 25), ("35", 35), (35, 35), (-1, -1), (Loud.VERY, 45),
    ],
)  # fmt: skip
def test_names_and_numbers_are_read(given, expected):
    """Names in any case, numbers, and numbers as text give a number."""
    number = levels.parse(given)
    assert expected == number
    assert int is type(number)


@pytest.mark.parametrize(
    "given", ["", "loud", "-5", "1e3", "٣", "9" * 5_000, "x" * 5_000, "1" * 10]
)
def test_an_unknown_name_lists_the_candidates(given):
    """Whatever the text, the error is a UsageError that names what is known, and short."""
    with pytest.raises(UsageError, match="Known: notset, trace") as raised:
        levels.parse(given)
    assert 500 > len(str(raised.value))


@pytest.mark.parametrize("given", [None, True, 2.5, b"info", ["info"]])
def test_another_type_is_misuse(given):
    """Neither a name nor a number."""
    with pytest.raises(UsageError, match="a name or a number"):
        levels.parse(given)


def test_names_of_logging_are_known():
    """A name added with addLevelName is read and written, in lower case."""
    logging.addLevelName(33, "AUDIT")
    try:
        assert 33 == levels.parse("audit")
        assert "audit" == levels.name_of(33)
    finally:
        _forget(33, "AUDIT")
    assert "level 33" == levels.name_of(33)


def test_what_addlevelname_was_given_wrongly_is_passed_over():
    """A level that is no number, or a name that is no text, breaks nothing."""
    wrong: Any = object()
    logging.addLevelName(wrong, "WRONG")
    logging.addLevelName(34, wrong)
    try:
        assert "level 34" == levels.name_of(34)
        with pytest.raises(UsageError):
            levels.parse("wrong")
    finally:
        _forget(wrong, "WRONG")
        _forget(34, wrong)


@pytest.mark.parametrize("number", list(levels.NAMES))
def test_names_and_numbers_agree(number):
    """A level's name gives its number."""
    assert number == levels.parse(levels.name_of(number))


def test_logging_need_not_be_imported():
    """Without logging our own names are all there is, and it is not imported for more."""
    code = (
        "import sys; from ctxlog import levels;"
        "print(levels.name_of(33), levels.parse('info'), 'logging' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "level 33 20 False\n" == found.stdout


def _forget(level: Any, name: Any) -> None:
    logging._levelToName.pop(level)
    logging._nameToLevel.pop(name)
