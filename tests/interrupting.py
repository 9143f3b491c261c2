"""Interrupting: run code again and again, with other code called between any two of its steps.

A signal handler, a finaliser or a garbage collection may come between any two byte codes, on the
thread that runs them. Here it comes at the first, then at the second, and so on to the last.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import ctxlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_OURS = os.path.dirname(ctxlog.__file__)  # noqa: PTH120 - compared as text with a code's file name
#: Seconds that one step may take; it takes about a millisecond.
DEADLINE = 20.0


class _Interrupt:
    """Calls ``handler`` before one byte code of the code in some files: the one numbered ``at``."""

    def __init__(self, at: int, handler: Callable[[], object], files: tuple[str, ...]) -> None:
        self.left = at
        self.handler = handler
        self.files = files
        self.where: str | None = None

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        """Look at each byte code; ``sys.settrace`` calls it."""
        if event == "call":
            if not frame.f_code.co_filename.startswith(self.files):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode" and self.where is None:
            if not self.left:
                self.where = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
                self.handler()  # not traced itself
            self.left -= 1
        return self.trace


def interrupted(
    work: Callable[[], object],
    handler: Callable[[], object],
    check: Callable[[str], object] = lambda _: None,
    *,
    files: tuple[str, ...] = (_OURS,),
    every: int = 1,
) -> int:
    """Call ``work`` once for each of its byte codes, interrupted there by ``handler``.

    Args:
        work: what is interrupted; makes anew what it needs.
        handler: what comes in between, on the same thread.
        check: called after each with where it was; it asserts.
        files: whose byte codes, by how the names of their files begin.
        every: only every so-manyth of them.

    Returns:
        At how many places it was interrupted.

    Raises:
        AssertionError: it hangs; with the thread's stack.
    """
    current: list[_Interrupt] = []
    said: SimpleQueue[BaseException | int | str] = SimpleQueue()

    def run() -> None:
        number, again = 0, True
        try:
            while True:
                interrupt = _Interrupt(number * every, handler, files)
                current[:] = [interrupt]
                before = sys.gettrace()
                sys.settrace(interrupt.trace)
                try:
                    work()
                finally:
                    sys.settrace(before)
                if interrupt.where is None and not number and again:
                    again = False  # from Python 3.12 on code may be told of from its second call on
                    continue
                if interrupt.where is None:
                    said.put(number)
                    return
                check(interrupt.where)
                said.put(interrupt.where)
                number += 1
        except BaseException as error:  # noqa: BLE001 - raised below, on the test's own thread
            said.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while True:
        try:
            found = said.get(timeout=DEADLINE)
        except Exception:  # noqa: BLE001 - empty
            frame = sys._current_frames().get(thread.ident or 0)
            stack = "".join(traceback.format_stack(frame))
            raise AssertionError(f"interrupted at {current[0].where} it hangs:\n{stack}") from None
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, int):
            thread.join(DEADLINE)
            return found
