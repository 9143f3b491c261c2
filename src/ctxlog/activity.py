"""Activity: who is doing what. Every thread and task, and the fields each runs under.

For a program that hangs: by call, or by a signal sent from outside. Nothing is recorded while the
program runs. A task's context is asked from the task; a thread's is found on its stack, where a
job wrapped by us, or run in a copied context (``asyncio.to_thread``), holds it. A thread that bound
its fields itself, without either, shows its stack only.
"""

from __future__ import annotations

import gc
import sys
import threading
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from ctxlog.context.fields import CURRENT, Fields, thaw
from ctxlog.redact import Redaction
from ctxlog.renderers.escaping import escape_text
from ctxlog.texts import safe_repr, safe_str

if TYPE_CHECKING:
    from types import FrameType

#: Frames shown of a stack, the innermost.
MAX_FRAMES = 8
#: Characters shown of a value.
SHORT = 120
_redaction = Redaction()


class Activity:
    """One thread or task: what it is, the fields it runs under, and where it is.

    Attributes:
        kind: ``"thread"`` or ``"task"``.
        name: the thread's or task's own name.
        fields: what is bound there, secrets masked; ``None`` when it cannot be told.
        stack: ``file:line function``, the innermost first.
        thread: the name of the thread; of a task, its loop's.
    """

    __slots__ = ("fields", "kind", "name", "stack", "thread")

    def __init__(
        self, kind: str, name: str, fields: dict[str, Any] | None, stack: list[str], thread: str
    ) -> None:
        self.kind = kind
        self.name = name
        self.fields = fields
        self.stack = stack
        self.thread = thread

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} {self.fields}>"


def activity() -> list[Activity]:
    """Return every thread and every asyncio task of the process, the calling thread first.

    Example:
        >>> from ctxlog.context.scope import scope
        >>> with scope(request_id="r-1"):
        ...     activity()[0].fields
        {'request_id': 'r-1'}
    """
    here = threading.get_ident()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - as faulthandler shows
    found = []
    for ident in sorted(frames, key=lambda ident: ident != here):
        frame = frames[ident]
        name = names.get(ident, f"thread {ident}")
        fields = CURRENT.get().fields if ident == here else fields_on_stack(frame)
        found.append(Activity("thread", name, _shown(fields), _stack(frame), name))
    found.extend(_tasks())
    return found


def dump(file: TextIO | None = None) -> None:
    """Write :func:`activity` for people, to standard error unless ``file`` says otherwise.

    Example:
        >>> import io
        >>> out = io.StringIO()
        >>> dump(out)
        >>> out.getvalue().splitlines()[0].startswith("ctxlog: ")
        True
    """
    target = file if file is not None else sys.stderr
    if target is None:
        return
    entries = activity()
    lines = [f"ctxlog: {len(entries)} threads and tasks"]
    for entry in entries:
        fields = entry.fields
        told = "fields unknown" if fields is None else " ".join(
            f"{escape_text(name)}={escape_text(_value(value))}" for name, value in fields.items()
        ) or "no fields"  # fmt: skip
        lines.append(
            f"{entry.kind} {escape_text(entry.name)} [{escape_text(entry.thread)}]: {told}"
        )
        lines.extend(f"    {escape_text(frame)}" for frame in entry.stack)
    target.write("\n".join(lines) + "\n")
    target.flush()


def dump_on_signal(number: int) -> None:
    """Dump whenever the process gets this signal, such as ``signal.SIGUSR1``; chained.

    The handler that was there is called after the dump. Python runs signal handlers on the main
    thread between two steps of its code: while that sits in C code, nothing is dumped.

    Raises:
        ValueError: not called on the main thread, or the signal cannot be handled.
    """
    import signal

    before = signal.getsignal(number)

    def handler(received: int, frame: FrameType | None) -> None:
        with suppress(Exception):  # a dump must not harm a program that hangs already
            dump()
        if callable(before):
            before(received, frame)

    signal.signal(number, handler)


def _tasks() -> list[Activity]:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:  # nobody has loaded it: there are no tasks
        return []
    found = []
    for loop in _loops(asyncio.AbstractEventLoop):
        thread = _thread_of(loop)
        for task in sorted(asyncio.all_tasks(loop), key=lambda task: str(task.get_name())):
            fields = _of_context(context_of(task))
            stack = [_place(frame) for frame in reversed(task.get_stack(limit=MAX_FRAMES))]
            found.append(Activity("task", task.get_name(), _shown(fields), stack, thread))
    return found


def _loops(base: type) -> list[Any]:
    """Return every event loop that is not closed: asyncio keeps no list of those of all threads."""
    found = []
    for thing in gc.get_objects():
        try:
            if issubclass(type(thing), base) and not thing.is_closed():
                found.append(thing)
        except Exception:  # noqa: BLE001, S112 - somebody's half-made object
            continue
    return found


def _thread_of(loop: Any) -> str:
    ident = getattr(loop, "_thread_id", None)  # asyncio's and uvloop's own name for it
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread.name
    return "no thread"


def context_of(task: Any) -> Context | None:
    """Return the context that an asyncio task runs in, if it can be told."""
    get_context = getattr(task, "get_context", None)  # 3.12
    if get_context is not None:
        context = get_context()
        return context if isinstance(context, Context) else None
    # before, a task tells its context to the garbage collector alone
    return next((part for part in gc.get_referents(task) if type(part) is Context), None)


def _of_context(context: Context | None) -> Fields | None:
    if context is None:
        return None
    frame = context.get(CURRENT)
    return Fields({}) if frame is None else frame.fields


def fields_on_stack(frame: FrameType | None) -> Fields | None:
    """Return the fields of the innermost context that a stack shows, ``None`` without one."""
    while frame is not None:
        for value in list(frame.f_locals.values()):
            context = _context_in(value)
            if context is not None:
                return _of_context(context)
        frame = frame.f_back
    return None


def _context_in(value: Any) -> Context | None:
    if type(value) is Context:
        return value
    if type(value).__name__ == "_WorkItem":  # concurrent.futures', for to_thread and its like
        value = getattr(value, "fn", None)
    if type(value) is partial:
        value = value.func
    owner = getattr(value, "__self__", None) if type(value) is _BUILTIN else None
    return owner if type(owner) is Context else None


_BUILTIN = type(Context().run)


def _stack(frame: FrameType | None) -> list[str]:
    found: list[str] = []
    while frame is not None and len(found) < MAX_FRAMES:
        found.append(_place(frame))
        frame = frame.f_back
    return found


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"


def _shown(fields: Fields | None) -> dict[str, Any] | None:
    if fields is None:
        return None
    shown = {name: thaw(value) for name, value in fields.values.items()}
    if fields.ids is not None:
        shown.setdefault("trace_id", fields.ids.trace_id)
    return dict(_redaction.apply(shown))


def _value(value: object) -> str:
    return safe_str(value, SHORT) if type(value) is str else safe_repr(value, SHORT)
