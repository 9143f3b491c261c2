"""Chunks: how many bytes a target takes in one piece that no other process can write into."""

from __future__ import annotations

import os
import stat
from typing import Any

#: A regular file is locked by the kernel for the whole of a write.
FILE = 1 << 20
#: What POSIX promises of a pipe; a socket or a terminal is treated alike.
PIPE = 4_096


def chunk_bytes(stream: Any) -> int:
    """Return how many bytes of whole lines may be written to a stream or descriptor at once.

    Example:
        >>> import io
        >>> chunk_bytes(io.BytesIO()) == FILE
        True
    """
    try:
        number = stream if isinstance(stream, int) else stream.fileno()
        return FILE if stat.S_ISREG(os.fstat(number).st_mode) else PIPE
    except (AttributeError, ValueError):  # in memory: nobody else is there
        return FILE
    except OSError:
        return PIPE
