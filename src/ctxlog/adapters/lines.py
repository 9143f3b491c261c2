"""Lines: a file object whose lines become events.

For ``print``, for libraries that want a stream, for a subprocess's pipe. A line that is a JSON object or logfmt arrives with its fields; anything else whole, as the event.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

import orjson

from ctxlog import names
from ctxlog.context.fields import CURRENT
from ctxlog.context.snapshot import snapshot
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.levels import name_of, parse
from ctxlog.line import Line
from ctxlog.runtime import runtime
from ctxlog.stamps import Stamp, stamp_now

if TYPE_CHECKING:
    from collections.abc import Generator

    from ctxlog.context.fields import Fields

#: Characters of a line that has not ended yet; past it a piece is written, marked ``partial``.
MAX_LINE = 65_536
#: Unfinished lines at once, one a thread; more of them are written as they are.
MAX_OPEN = 1_024
_EVENT = (names.EVENT, "message", "msg")
_LEVEL = (names.LEVEL, "severity", "levelname", "lvl", "log.level")
_TIME = (names.TIMESTAMP, "time", "ts", "@timestamp")
_LOGGER = (names.LOGGER, "logger_name", "log.logger")
_LEAST_PAIRS = 2


class Lines(io.TextIOBase):
    """A text stream: each line written to it becomes an event, under the context of its writer.

    What is left of a line when its writer's context changes is written as it is: a line has one
    request's ids or none.

    Args:
        logger: the logger's name.
        level: the level of lines that do not say theirs.
        parse: take JSON objects and logfmt apart.
        behind: the stream it stands in for; where our own lines go if a sink is aimed at this
            object. Default is the process's standard error.

    Raises:
        UsageError: an unknown level, or a name that is no text.

    Example:
        >>> from contextlib import redirect_stdout
        >>> from ctxlog.testing import capture
        >>> with capture() as lines, redirect_stdout(Lines("stdout")):
        ...     print("two", "words")
        ...     print('{"event": "parsed", "level": "warning", "n": 3}')
        ...     print("level=error msg=broken n=4")
        >>> [(line["level"], line["event"], line.get("n")) for line in lines]
        [('info', 'two words', None), ('warning', 'parsed', 3), ('error', 'broken', '4')]
    """

    def __init__(
        self,
        logger: str = "stdout",
        *,
        level: int | str = "info",
        parse: bool = True,
        behind: Any = None,
    ) -> None:
        super().__init__()
        self._lock = RLock()  # first of all: one that is refused below is closed too
        self._open: dict[int, tuple[str, Fields, Stamp]] = {}
        self._writing: set[int] = set()
        if not isinstance(logger, str):
            raise UsageError(f"a logger's name is text, not {type(logger).__name__}")
        self.logger = logger
        self.level = _number(level)
        self.parse = parse
        self._behind = behind

    @property
    def ctxlog_behind(self) -> Any:
        """Where a line goes that may not become an event: it is one already."""
        return sys.__stderr__ if self._behind is None else self._behind

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """``utf-8``, for libraries that ask."""
        return "utf-8"

    def writable(self) -> bool:
        """Return ``True``."""
        return True

    def isatty(self) -> bool:
        """Return ``False``: nobody sees colours here."""
        return False

    def write(self, text: Any) -> int:
        """Take text, or bytes in UTF-8; whole lines become events at once.

        Raises:
            ValueError: it is closed.
        """
        if self.closed:
            raise ValueError("write to a closed stream of lines")
        size = len(text)
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8", "backslashreplace")
        me = threading.get_ident()
        if me in self._writing:  # a sink, a processor: it must not come in again
            behind = self.ctxlog_behind
            if behind is not None:
                behind.write(text)
            return size
        self._take(me, text)
        return size

    def _take(self, me: int, text: str) -> None:
        begun, text = self._begun(me, text)
        if begun is not None:
            self._emit(*begun)
        *whole, rest = text.split("\n")
        for line in whole:
            self._emit(line, None)
        while len(rest) > MAX_LINE:
            self._emit(rest[:MAX_LINE], None, partial=True)
            rest = rest[MAX_LINE:]
        if rest:
            ours = (rest, CURRENT.get().fields, stamp_now())
            with self._lock:
                before = self._open.pop(me, None)  # of what has interrupted this, and prints
                full = len(self._open) >= MAX_OPEN
                if not full:
                    self._open[me] = ours
            if before is not None:
                self._emit(before[0], before[2])
            if full:
                self._emit(rest, None, partial=True)

    def _begun(self, me: int, text: str) -> tuple[tuple[str, Stamp] | None, str]:
        """Return what to write first, and the text with what this thread has begun before it."""
        if me not in self._open:
            return None, text
        with self._lock:
            begun = self._open.pop(me, None)
        if begun is None:  # taken by what has interrupted this print, and prints
            return None, text
        rest, fields, stamp = begun
        if fields is CURRENT.get().fields:
            return None, rest + text
        return (rest, stamp), text

    def flush(self) -> None:
        """Do nothing: a line is written when it ends."""

    def close(self) -> None:
        """Write what has not ended, each under its writer's context."""
        if not self.closed:
            while self._open:  # what interrupts this may print
                try:
                    _, (rest, _, stamp) = self._open.popitem()
                except KeyError:
                    break
                self._emit(rest, stamp)
        super().close()

    def _emit(self, line: str, stamp: Stamp | None, *, partial: bool = False) -> None:
        line = line.removesuffix("\r")
        if not line.strip():
            return
        me = threading.get_ident()
        self._writing.add(me)
        try:
            self._send(line, stamp, partial=partial)
        except Exception:  # noqa: BLE001 - print() must not fail because of its log
            counters.add("errors.lines")
        finally:
            self._writing.discard(me)

    def _send(self, line: str, stamp: Stamp | None, *, partial: bool) -> None:
        fields = parsed(line) if self.parse and not partial else None
        event: object = line
        level, text, stamp_ns, logger = self.level, None, None, self.logger
        if fields is not None:
            event = _taken(fields, _EVENT)
            level, text = self._level_in(fields)
            stamp_ns = _time_in(fields)
            named = _taken(fields, _LOGGER)
            logger = named if isinstance(named, str) and named else logger
        elif partial:
            fields = {"partial": True}
        fields = fields or {}
        pipeline = runtime.pipeline
        if pipeline is None:
            runtime.unconfigured(_Plain(logger), level, event or "", (), fields)
        elif level >= runtime.threshold(logger):
            said = "" if event is None else event
            made = Line(logger, level, said, (), fields, None)
            made.stamp_ns, made.level_text = stamp_ns, text
            made.written_at(stamp)
            pipeline.process(made)

    def _level_in(self, fields: dict[str, Any]) -> tuple[int, str | None]:
        for name in _LEVEL:
            given = fields.get(name)
            if isinstance(given, str | int) and not isinstance(given, bool):
                try:
                    number = parse(given)
                except UsageError:
                    continue
                del fields[name]
                return number, name_of(number)
        return self.level, None

    @contextmanager
    def pipe(self) -> Generator[int]:
        """Return the writing end of a pipe whose lines become events, for a subprocess.

        They are read on a thread, under the context of the block. At its end the rest is read.

        Example:
            >>> import subprocess, sys
            >>> from ctxlog.testing import capture
            >>> with capture() as lines, Lines("child").pipe() as fd:
            ...     done = subprocess.run([sys.executable, "-c", "print('hello')"], stdout=fd)
            >>> lines[0]["event"], lines[0]["logger"]
            ('hello', 'child')
        """
        reading, writing = os.pipe()
        under = snapshot().wrap(self._read)
        thread = Thread(target=under, args=(reading,), name=f"ctxlog lines {self.logger}")
        thread.start()
        try:
            yield writing
        finally:
            os.close(writing)
            thread.join()

    def _read(self, fd: int) -> None:
        with os.fdopen(fd, "rb") as pipe:
            while True:
                line = pipe.readline(MAX_LINE)
                if not line:
                    return
                ended = line.endswith(b"\n")
                text = line.rstrip(b"\n").decode("utf-8", "backslashreplace")
                self._emit(text, None, partial=not ended and len(line) >= MAX_LINE)


class _Plain:
    """A logger for one line, without fields of its own."""

    fields = None
    pinned = None

    def __init__(self, name: str) -> None:
        self.name = name


def _number(level: int | str) -> int:
    return parse(level)


def _taken(fields: dict[str, Any], of: tuple[str, ...]) -> Any:
    for name in of:
        if name in fields:
            return fields.pop(name)
    return None


def _time_in(fields: dict[str, Any]) -> int | None:
    for name in _TIME:
        given = fields.get(name)
        try:
            if isinstance(given, str):
                at = datetime.fromisoformat(given)
                seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
            elif isinstance(given, int | float) and not isinstance(given, bool):
                seconds = float(given)
            else:
                continue
        except ValueError:
            continue
        if 0 <= seconds < 1 << 33:
            del fields[name]
            return round(seconds * 1e6) * 1_000
    return None


def parsed(line: str) -> dict[str, Any] | None:
    """Return the fields of a line that is a JSON object or logfmt, ``None`` of any other.

    logfmt it is when every word is a pair and there are two of them at least.

    Example:
        >>> parsed('{"n": 1}'), parsed('a=1 b="two words"'), parsed("x = 1"), parsed("[1]")
        ({'n': 1}, {'a': '1', 'b': 'two words'}, None, None)
    """
    text = line.strip()
    if text.startswith("{") and text.endswith("}"):
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None
    return _logfmt(text) if "=" in text else None


def _logfmt(text: str) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    at, end = 0, len(text)
    while at < end:
        equals = text.find("=", at)
        if equals <= at:
            return None
        key = text[at:equals]
        if not key.isprintable() or any(mark in key for mark in ' "\t'):
            return None
        at = equals + 1
        if text.startswith('"', at):
            value, at = _quoted(text, at + 1)
            if at < 0 or (at < end and text[at] != " "):
                return None
        else:
            space = text.find(" ", at)
            stop = end if space < 0 else space
            value, at = text[at:stop], stop
        if key in found:  # said twice: whole is better than one of them lost
            return None
        found[key] = value
        while at < end and text[at] == " ":
            at += 1
    return found if len(found) >= _LEAST_PAIRS else None


_CODE = re.compile("x([0-9a-f]{2})|u(?!d[89a-f])([0-9a-f]{4})")  # as escape_text writes them


def _quoted(text: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    while at < len(text):
        mark = text[at]
        if mark == '"':
            return "".join(out), at + 1
        if mark == "\\" and at + 1 < len(text):
            at += 1
            code = _CODE.match(text, at)
            if code is not None:
                at = code.end()
                out.append(chr(int(code[1] or code[2], 16)))
                continue
            mark = {"n": "\n", "t": "\t", "r": "\r"}.get(text[at], text[at])
        out.append(mark)
        at += 1
    return "", -1
