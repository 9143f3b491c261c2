"""File sink: lines appended to a path that the sink opened itself."""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from ctxlog.counting import counters
from ctxlog.sinks.chunks import chunk_bytes
from ctxlog.sinks.raw import raw_write
from ctxlog.sinks.sink import Sink

#: Readable by its owner alone: lines hold what users do.
MODE = 0o600
#: How often it is looked whether the path still leads to the file: after a move, another is made.
LOOK_SECONDS = 1.0
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | _NONBLOCK
_AWAIT = 0.05  # seconds that a write of another process may take, where it cannot be known


class FileSink(Sink):
    """Lines to a file, one ``write`` each, appended; created with mode 0600, folders not made.

    Several processes may write one file: the kernel appends each line whole. A file that was moved
    away is opened anew within a second of the next line, or by :meth:`reopen` at once; so it is if
    other code has closed its descriptor (``errors.descriptor`` moves). A pipe needs a reader.

    Args:
        path: opened at once, so that a wrong path is an error at configuration.
        options: level, renderer and filter, see :class:`~ctxlog.sinks.sink.Sink`.

    Raises:
        OSError: the path cannot be opened.
    """

    kind = "file"
    keeps_time = True

    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        super().__init__(**options)
        self.path = os.path.abspath(path)  # noqa: PTH100 - the process may change its folder later
        self._ended = self._stuck = False
        fd = _opened(self.path)
        # The object stays the same, for its `write` is handed on; the descriptor may be another
        # one later. It is closed here, where it is known whether it still is this file's.
        self._file = io.FileIO(fd, "wb", closefd=False)
        self._know(fd)
        self.chunk_bytes = chunk_bytes(fd)
        self._look_at = monotonic() + LOOK_SECONDS
        self.__dict__["write"] = raw_write(self, self._file.write, self._look_now_and_then)

    @property
    def name(self) -> str:
        """The path."""
        return f"file {self.path}"

    @property
    def is_closed(self) -> bool:  # type: ignore[override]
        """Whether :meth:`close` was called."""
        return self._file.closed

    def _write(self, line: bytes | str) -> None:
        data = line.encode() if isinstance(line, str) else line
        if self._ended:
            # closed by a reconfiguration while this line was on its way: it still goes where it
            # was meant to
            with io.FileIO(_opened(self.path), "wb") as file:
                self._write_whole(file.write, data)
            return
        if not self._file.closed:
            self._look_now_and_then()
        if self._file.closed:  # there is nothing to write into: each line asks for the path
            self._put_in(_opened(self.path))
        self._write_whole(self._file.write, data)

    # -- a file that was moved, a descriptor that was closed --------------------------------------

    def _know(self, fd: int) -> None:
        """Remember which file it is: other code may close the descriptor, and open its own there."""
        about = os.fstat(fd)
        self._identity = (about.st_dev, about.st_ino)
        self._regular = stat.S_ISREG(about.st_mode)
        self.torn = self._ends_torn()

    def _is_ours(self) -> bool:
        try:
            about = os.fstat(self._file.fileno())
        except OSError:
            return False
        return (about.st_dev, about.st_ino) == self._identity

    def _look_now_and_then(self) -> None:
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._is_ours():
            if not self._regular:
                return
            try:
                there = os.stat(self.path)  # noqa: PTH116 - no pathlib needed
                if (there.st_dev, there.st_ino) == self._identity:
                    return
            except OSError:  # it is gone, or its folder is: the line must not pay for the look
                pass
        else:
            counters.add("errors.descriptor")
        self._put_anew()
        if self.torn and self._file.write(b"\n") == 1:
            self.torn = False

    def reopen(self) -> None:
        """Open the path anew: it was moved, and lines are to go into a new file.

        If it cannot be opened, lines go on into the old one, and ``errors.reopen`` moves. Waits for
        no write: the next line will see to it if another is under way. For signal handlers, too.
        """
        if not self.between_lines(self._put_anew, 0):
            self._look_at = 0.0

    def _put_anew(self) -> None:
        if self._file.closed:
            return
        old = self._file.fileno() if self._is_ours() else None
        try:
            fd = _opened(self.path)
        except OSError:
            counters.add("errors.reopen")
            if old is not None and self._regular and not os.fstat(old).st_nlink:
                os.close(old)  # it was deleted: what goes in nobody will read
                old = None
            if old is None:  # nor into what somebody else has open
                self._file.close()
                self.torn = False
            return
        self._put_in(fd)
        if old is not None:
            os.close(old)

    def _put_in(self, fd: int) -> None:
        self._file.__init__(fd, "wb", closefd=False)  # type: ignore[misc] # it does not close the old
        self._know(fd)

    # -- lines that were cut off ----------------------------------------------------------------

    def _ends_torn(self) -> bool:
        """Whether the file ends in the middle of a line: whoever wrote it was killed.

        Or is in the middle of it now: then the file is longer once that write has come to its end.
        """
        if not self._regular:
            return False
        try:
            with self._reader() as reader:
                size = os.fstat(reader.fileno()).st_size
                if not size or os.pread(reader.fileno(), 1, size - 1) == b"\n":
                    return False
                self._await_writes()
                return size == os.fstat(reader.fileno()).st_size
        except OSError:  # it may be written but not read
            return False

    def _await_writes(self) -> None:
        """Wait for writes that are under way: a change of mode takes the lock that they hold."""
        fd = self._file.fileno()
        try:
            os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode))
        except OSError:  # the file is somebody else's
            sleep(_AWAIT)

    def _cut_off(self, part: bytes) -> bool:
        """Cut the first part of a line off the file, if it is still its end."""
        try:
            fd = self._file.fileno()
            with self._reader() as reader:
                ours, there = os.fstat(fd), os.fstat(reader.fileno())
                end = ours.st_size - len(part)
                if ours.st_ino != there.st_ino or not self._regular or end < 0:
                    return False
                if os.pread(reader.fileno(), len(part), end) != part:
                    return False
            os.ftruncate(fd, end)
        except (OSError, ValueError):
            return False
        return True

    def _reader(self) -> io.FileIO:
        """Open the path to read: not to wait for a writer, if a pipe is there now."""
        return io.FileIO(os.open(self.path, os.O_RDONLY | _NONBLOCK), "rb")

    # -- the end ----------------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> bool:
        """Close the file, unless another thread's write into it takes longer."""
        wait = -1.0 if timeout is None else timeout
        self._stuck = not self.between_lines(self._shut, wait)
        return not self._stuck

    def close(self) -> None:
        """Close the file; one that a :meth:`stop` has found stuck goes with the sink."""
        if not self._stuck:
            self.between_lines(self._shut)

    def _shut(self) -> None:
        self._ended = True
        if not self._file.closed and self._is_ours():
            os.close(self._file.fileno())
        self._file.close()

    def __del__(self) -> None:
        with suppress(Exception):  # half made, or the interpreter is half gone
            self._shut()


def _opened(path: str) -> int:
    """Open a path to append to it; does not wait for a reader, if it is a pipe."""
    try:
        fd = os.open(path, _FLAGS, MODE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(error.errno, "it is a pipe that nobody reads", path) from None
        raise
    if _NONBLOCK:
        os.set_blocking(fd, True)
    return fd
