"""Raw writes: one closure for targets that take bytes and may take only a part of them.

What a line costs at its sink is this function: acquire, write, compare the length, release, count.
The general way (:meth:`Sink.write`, twice as long) takes over for what is not ordinary: a line
logged while this thread is writing one, a line that was cut off before, a target that was closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.sinks.sink import Sink


def raw_write(
    sink: Sink,
    put: Callable[[bytes], int | None],
    first: Callable[[], object] | None = None,
) -> Callable[[Any], None]:
    """Return ``write`` for a sink.

    Args:
        sink: whose lock and counters are used.
        put: writes bytes and returns how many were taken, ``None``: none, it would have to wait.
        first: called under the lock before each line.
    """
    acquire, release = sink.acquire, sink.release
    count, pending, general = sink.count, sink.pending, sink.write_generally

    def write(line: Any) -> None:
        if type(line) is not bytes or sink.busy or sink.torn:
            general(line)
            return
        try:
            acquire()
            sink.busy = True
            if first is not None:
                first()
            taken = put(line)
            if taken != len(line):
                sink.write_rest(put, line, taken or 0)
            count()
        except BaseException as error:
            # Ctrl-C while it waited for the lock: then it is not ours to release
            owned = sink.is_owned()
            try:
                if owned:
                    sink.write_pending()
            finally:
                if owned:
                    sink.busy = False
                    release()
            if type(error) is ValueError and sink.is_closed:
                general(line)
                return
            raise
        if pending:
            try:
                sink.write_pending()
            finally:
                sink.busy = False
                release()
            return
        sink.busy = False
        release()

    return write
