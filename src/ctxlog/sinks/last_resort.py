"""Last resort: where a line goes when its sink fails, the process's original standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters
from ctxlog.names import ERRORS
from ctxlog.renderers.json import encode
from ctxlog.sinks.standard import behind, push
from ctxlog.texts import encodable, safe_str

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

_torn: list[bool] = []  # something is in it: a line was cut off

#: Characters of an error's text that a note repeats.
TEXT = 300


def said(part: str, error: BaseException) -> str:
    """Return the note on what failed: the part, the error's type and text.

    Example:
        >>> said("stream stderr", ValueError("it is closed"))
        'stream stderr: ValueError: it is closed'
    """
    return encodable(f"{part}: {type(error).__name__}: {safe_str(error, TEXT)}")


def noted(event: Mapping[str, Any], *notes: str) -> dict[str, Any]:
    """Return a copy of an event that says what failed, besides what it says already.

    Example:
        >>> noted({"event": "paid"}, "sink: full")
        {'event': 'paid', 'ctxlog.errors': ['sink: full']}
    """
    before = event.get(ERRORS, [])
    return {**event, ERRORS: [*(before if type(before) is list else [before]), *notes]}


def rescue(part: str, line: object, error: BaseException, avoid: object, event: Any = None) -> None:
    """Take a line that a sink failed to write, and what failed, to :func:`write`; never raises.

    Args:
        part: what the sink is called.
        line: as the sink was given it: bytes, text, or the event itself.
        error: what the sink raised.
        avoid: the stream that failed.
        event: the event the line was made of, if that is known.
    """
    try:
        counters.add("errors.sink")
        note = said(part, error)
        if event is None and isinstance(line, dict):
            event = line
        if event is not None:
            line = encode(noted(event, note)) + b"\n"
        elif isinstance(line, bytes) and line.endswith(b"}\n"):
            line = line[:-2] + b"," + encode({ERRORS: [note]})[1:] + b"\n"
        write(line if isinstance(line, bytes | str) else f"{note}\n", avoid)
    except Exception:  # noqa: BLE001 - nothing is left to try; the counter tells
        counters.add("lost")


def write(line: bytes | str, avoid: object = None) -> bool:
    """Write a line to the original standard error, unless that is the stream that failed.

    Returns:
        Whether the line arrived; if not, the counter ``lost`` has moved.
    """
    stream = sys.__stderr__
    if stream is None or stream is avoid:
        counters.add("lost")
        return False
    try:
        raw = behind(stream)
        if raw is not None:
            push(stream)
            _write_whole(raw, line if isinstance(line, bytes) else line.encode("utf-8", "replace"))
        else:
            stream.write(line if isinstance(line, str) else line.decode("utf-8", "replace"))
            stream.flush()
    except Exception:  # noqa: BLE001 - nowhere left to go; the counter tells
        counters.add("lost")
        return False
    counters.add("last_resort")
    return True


def _write_whole(raw: io.FileIO, data: bytes) -> None:
    """Write a line into what may take only a part; the next begins on a line of its own."""
    if _torn:
        data = b"\n" + data
    left = data
    while left:
        taken = raw.write(left)
        if not taken:
            if len(left) < len(data):
                _torn.append(True)
            raise BlockingIOError("it is full")
        left = left[taken:]
        _torn.clear()
