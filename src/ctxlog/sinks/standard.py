"""Standard streams: the file behind the text that ``sys.stderr`` and ``sys.stdout`` take.

A pipe that does not block may take a part of a line, or nothing of it. The text layer does not say
which: without a buffer (``python -u``, ``PYTHONUNBUFFERED``) it throws the rest away without a word,
with one it runs the rest together with the next line. So lines go past it, as bytes.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

#: Encodings in which a line's bytes do not depend on what came before it.
_PLAIN = frozenset({"utf-8", "ascii", "iso8859-1"})


def behind(stream: Any) -> io.FileIO | None:
    """Return the file behind a standard stream as Python made it; ``None``: it is another one.

    Of any other text stream it cannot be known what it makes of a line's end.

    Example:
        >>> behind(io.TextIOWrapper(io.BytesIO())) is None
        True
    """
    if type(stream) is not io.TextIOWrapper or os.linesep != "\n":
        return None
    if stream is not sys.__stderr__ and stream is not sys.__stdout__:
        return None
    try:
        buffer: Any = stream.buffer
        raw: Any = buffer.raw if type(buffer) is io.BufferedWriter else buffer
        known = type(raw) is io.FileIO and codecs.lookup(stream.encoding).name in _PLAIN
    except (ValueError, LookupError):  # it was detached
        return None
    return raw if known else None


def push(stream: Any) -> None:
    """Push out what the application has in a stream's buffer; ours never goes there.

    So nothing of ours is there to be written again after an error, or by a forked child.
    """
    try:
        stream.flush()
    except RuntimeError as error:
        # this thread's own write into it was interrupted by us: its bytes follow our line
        if "reentrant" not in str(error):
            raise
