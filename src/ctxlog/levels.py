"""Levels: the numbers of :mod:`logging`, their names, and how either is read.

>>> parse("warning"), name_of(25)
(30, 'notice')
"""

from __future__ import annotations

import sys

from ctxlog.errors import UsageError, choices

TRACE = 5
DEBUG = 10
INFO = 20
NOTICE = 25
WARNING = 30
ERROR = 40
CRITICAL = 50

#: Numbers of :mod:`logging`; ``trace`` and ``notice`` sit where OpenTelemetry's severities put them.
NAMES: dict[int, str] = {
    TRACE: "trace",
    DEBUG: "debug",
    INFO: "info",
    NOTICE: "notice",
    WARNING: "warning",
    ERROR: "error",
    CRITICAL: "critical",
}

NUMBERS: dict[str, int] = {
    "notset": 0,
    **{name: number for number, name in NAMES.items()},
    "warn": WARNING,
    "fatal": CRITICAL,
    "exception": ERROR,
}

#: Digits of a level given as text.
DIGITS = 9


def parse(level: object) -> int:
    """Return the number of a level given by number or by name (any case).

    Names added with :func:`logging.addLevelName` are known too.

    Raises:
        UsageError: for an unknown name or another type; it lists the candidates.

    Example:
        >>> parse("INFO"), parse(10), parse("35")
        (20, 10, 35)
    """
    if isinstance(level, bool) or not isinstance(level, int | str):
        message = f"a level is a name or a number, not {type(level).__name__}"
        raise UsageError(message)
    if isinstance(level, int):
        return int(level)
    text = level.strip().lower()
    number = NUMBERS.get(text)
    if number is not None:
        return number
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        return int(text)
    number = _foreign_numbers().get(text)
    if number is None:
        raise choices("level", str(level), [*NUMBERS, *_foreign_numbers()])
    return number


def name_of(number: int) -> str:
    """Return the lower-case name of a level, or ``"level <n>"`` when nobody named it.

    Example:
        >>> name_of(20), name_of(33)
        ('info', 'level 33')
    """
    name = NAMES.get(number)
    if name is not None:
        return name
    for foreign, value in _foreign_numbers().items():
        if value == number:
            return foreign
    return f"level {number}"


def _foreign_numbers() -> dict[str, int]:
    logging = sys.modules.get("logging")  # names can only be there if somebody imported it
    if logging is None or not hasattr(logging, "getLevelNamesMapping"):
        return {}
    mapping: dict[str, int] = logging.getLevelNamesMapping()
    return {
        name.lower(): number
        for name, number in mapping.items()
        if isinstance(name, str) and isinstance(number, int)  # addLevelName takes anything
    }
