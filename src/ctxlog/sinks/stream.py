"""Stream sink: a file object of the application's, text or binary; never closed by us."""

from __future__ import annotations

import io
import sys
from typing import Any

from ctxlog.sinks.chunks import chunk_bytes
from ctxlog.sinks.raw import raw_write
from ctxlog.sinks.sink import Sink


class StreamSink(Sink):
    """Lines to a stream, flushed after each: it waits as long as the stream does.

    Args:
        stream: text or binary; ``None`` is :data:`sys.stderr`, looked up when a line is written.
        options: level, renderer and filter, see :class:`~ctxlog.sinks.sink.Sink`.
    """

    kind = "stream"

    def __init__(self, stream: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.stream = stream
        self._binary = stream is not None and is_binary(stream)
        self._raw = isinstance(stream, io.RawIOBase)
        # `write` as an attribute: what the pipeline looks up once, per configuration
        if isinstance(stream, io.RawIOBase | io.BytesIO):
            self.__dict__["write"] = raw_write(self, stream.write)
        elif type(stream) is io.BufferedWriter:
            self.__dict__["write"] = raw_write(self, stream.raw.write, self._flush_buffer)
        if "write" in self.__dict__:
            self.chunk_bytes = chunk_bytes(stream)

    @property
    def name(self) -> str:
        """The stream's own name, if it has one."""
        target = getattr(self.stream, "name", None) if self.stream is not None else "stderr"
        return f"stream {target if isinstance(target, str) else type(self.stream).__name__}"

    @property
    def target_stream(self) -> object:
        """The stream itself, or what is standard error now."""
        return real(self.stream if self.stream is not None else sys.stderr)

    def _flush_buffer(self) -> None:
        """Push out what the application has in the stream's buffer; ours never goes there.

        So nothing of ours is there to be written again after an error, or by a forked child.
        """
        try:
            self.stream.flush()
        except RuntimeError as error:
            # this thread's own write into it was interrupted by us: its bytes follow our line
            if "reentrant" not in str(error):
                raise

    def _write(self, line: bytes | str) -> None:
        stream = self.target_stream
        if stream is None:
            raise ValueError("sys.stderr is None")
        self._put(stream, line)
        flush = getattr(stream, "flush", None)
        if flush is not None:
            flush()

    def _put(self, stream: Any, line: bytes | str) -> None:
        if self._raw or type(stream) is io.BytesIO:
            self._write_whole(stream.write, _bytes(line))
            return
        if type(stream) is io.BufferedWriter:
            self._flush_buffer()
            self._write_whole(stream.raw.write, _bytes(line))
            return
        if self._binary:
            stream.write(_bytes(line))
            return
        text = line if isinstance(line, str) else line.decode()
        try:
            stream.write(text)
        except UnicodeEncodeError:  # an ASCII terminal: better escaped than lost
            stream.write(_ascii(text))
        except TypeError:
            if self.stream is None:
                raise
            stream.write(text.encode())  # a file object of nobody's making that takes bytes
            self._binary = True

    def flush(self, timeout: float | None = None) -> bool:
        """Flush the stream, if it can."""
        flush = getattr(self.target_stream, "flush", None)
        if flush is not None:
            flush()
        return True


def _bytes(line: bytes | str) -> bytes:
    return line.encode() if isinstance(line, str) else line


def real(stream: Any) -> Any:
    """Return a stream, or what is behind it when its lines become events: they must not again."""
    behind = getattr(stream, "ctxlog_behind", None)
    return stream if behind is None else behind


def is_binary(stream: Any) -> bool:
    """Return whether a stream takes bytes."""
    if isinstance(stream, io.TextIOBase):
        return False
    if isinstance(stream, io.RawIOBase | io.BufferedIOBase):
        return True
    return "b" in str(getattr(stream, "mode", ""))


def _ascii(text: str) -> str:
    r"""Escape what is not ASCII so that it is valid in JSON too: ``\uXXXX``, in pairs if need be."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = (units[at] << 8 | units[at + 1] for at in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)  # noqa: PLR2004
