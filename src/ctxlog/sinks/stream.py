"""Stream sink: a file object of the application's, text or binary; never closed by us."""

from __future__ import annotations

import io
import sys
from typing import Any

from ctxlog.sinks.chunks import chunk_bytes
from ctxlog.sinks.raw import raw_write
from ctxlog.sinks.sink import Sink
from ctxlog.sinks.standard import behind, push


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
        self._seen: Any = None
        self._behind: io.FileIO | None = None
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
        push(self.stream)

    def _write(self, line: bytes | str) -> None:
        stream = self.target_stream
        if stream is None:
            raise ValueError("sys.stderr is None")
        if stream is not self._seen:
            self._seen, self._behind = stream, behind(stream)
        if self._behind is not None:
            push(stream)
            data, write = _encoded(line, stream), self._behind.write
            if self.torn:
                self._write_whole(write, data)
                return
            taken = write(data)
            if taken != len(data):
                self.write_rest(write, data, taken or 0)
            return
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
        return super().flush(timeout)


def _bytes(line: bytes | str) -> bytes:
    return line.encode() if isinstance(line, str) else line


def _encoded(line: bytes | str, stream: Any) -> bytes:
    encoding = stream.encoding
    if isinstance(line, bytes):
        if encoding == "utf-8":
            return line
        line = line.decode()
    try:
        return line.encode(encoding, stream.errors)
    except UnicodeEncodeError:
        return _ascii(line).encode()


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
