"""Hooks: exceptions that nobody caught, and warnings, as events.

Each is chained: a hook that somebody had set is still called. The interpreter's own is not: it
would write a second time, as bare text.
"""

from __future__ import annotations

import sys
import threading
import warnings
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from ctxlog.counting import counters
from ctxlog.loading import forget, when_loaded
from ctxlog.logger import get_logger
from ctxlog.runtime import runtime
from ctxlog.texts import safe_repr, safe_str

if TYPE_CHECKING:
    from collections.abc import Callable

_log = get_logger("uncaught")
_warned = get_logger("py.warnings")


class Hook:
    """One hook of a module: ours in front of the one that was there."""

    def __init__(
        self, module: Any, name: str, default: Any, say: Callable[..., bool | None]
    ) -> None:
        self.module = module
        self.name = name
        self.default = default
        self.say = say
        self.before: Any = None
        self.active = False

    def install(self) -> None:
        """Take the place of what is there now."""
        if self.active and getattr(self.module, self.name) == self:
            return
        self.before = getattr(self.module, self.name)
        self.active = True
        setattr(self.module, self.name, self)

    def uninstall(self) -> None:
        """Put back what was there, if this is still outermost; else only pass on."""
        if self.active and getattr(self.module, self.name) is self:
            setattr(self.module, self.name, self.before)
            self.before = None
        self.active = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Say it, and pass it on to a hook that somebody had set."""
        said = False
        pipeline = runtime.pipeline
        if self.active and pipeline is not None and pipeline.sinks:  # else nobody would see it
            try:
                said = self.say(*args, **kwargs) is not False
            except Exception:  # noqa: BLE001 - then the hook that was there tells
                counters.add("errors.uncaught")
        before = self.before if self.before is not None else self.default
        if not said or before is not self.default:
            return before(*args, **kwargs)
        return None


def _uncaught(kind: type[BaseException], error: BaseException | None, _: Any) -> bool:
    if issubclass(kind, KeyboardInterrupt):
        return False  # Ctrl-C is no failure; the interpreter says what it always does
    _log.critical("uncaught exception", exc_info=error if error is not None else (kind, None, None))
    return True


def _in_thread(args: threading.ExceptHookArgs, /) -> bool:
    if args.exc_type is SystemExit:
        return False
    fields: dict[str, Any] = {}
    if args.thread is not None:
        fields = {"thread.name": args.thread.name, "thread.id": args.thread.ident}
    fields["exc_info"] = args.exc_value
    _log.error("uncaught exception in a thread", **fields)
    return True


def _unraisable(unraisable: sys.UnraisableHookArgs, /) -> bool:
    fields: dict[str, Any] = {"exc_info": unraisable.exc_value}
    if unraisable.object is not None:
        fields["object"] = safe_repr(unraisable.object, 200)
    _log.error(unraisable.err_msg or "exception ignored", **fields)
    return True


def _warning(  # noqa: PLR0913 - warnings.showwarning's signature
    message: Any,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,  # noqa: ARG001 - warnings.showwarning's
) -> bool:
    if file is not None:
        return False
    _warned.warning(
        safe_str(message, 4_096),
        **{
            "warning.category": category.__name__,
            "code.file.path": filename,
            "code.line.number": lineno,
        },
    )
    return True


UNCAUGHT = (
    Hook(sys, "excepthook", sys.__excepthook__, _uncaught),
    Hook(threading, "excepthook", threading.__excepthook__, _in_thread),
    Hook(sys, "unraisablehook", sys.__unraisablehook__, _unraisable),
)
WARNINGS = Hook(
    warnings, "showwarning", getattr(warnings, "_showwarning_orig", warnings.showwarning), _warning
)


# -- asyncio --------------------------------------------------------------------------------------


class LoopHook:
    """An event loop's class: its default handler runs in the context of the task it tells of.

    What it writes ("Task exception was never retrieved") is a record of the logger ``asyncio``;
    this gives that record the task's context instead of that of whoever collected the task.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        self.owner: Any = None
        self.before: Any = None
        self.ours: Any = None

    def install(self) -> None:
        """Patch the class, now or once its module is loaded."""
        when_loaded(self.module, self.patch)

    def patch(self) -> None:
        """Patch the class, once."""
        owner = getattr(sys.modules[self.module], self.name, None)
        if owner is None or self.owner is not None:
            return
        before = owner.default_exception_handler

        def default_exception_handler(loop: Any, context: dict[str, Any]) -> None:
            found = context_of(context)
            if found is None:
                before(loop, context)
            else:
                found.copy().run(before, loop, context)  # a copy: it may be entered right now

        self.before = owner.__dict__.get("default_exception_handler")
        self.ours = default_exception_handler
        owner.default_exception_handler = default_exception_handler
        self.owner = owner

    def uninstall(self) -> None:
        """Put back what was there, if ours is still there."""
        forget(self.patch)
        owner, self.owner = self.owner, None
        if owner is None or owner.__dict__.get("default_exception_handler") is not self.ours:
            return
        if self.before is None:
            del owner.default_exception_handler
        else:
            owner.default_exception_handler = self.before


def context_of(told: dict[str, Any]) -> Context | None:
    """Return the Context of the task or handle that an event loop's message is about."""
    for name in ("task", "future", "handle"):
        about = told.get(name)
        if about is None:
            continue
        get = getattr(about, "get_context", None)  # of tasks and handles from 3.12
        if get is not None:
            with suppress(Exception):
                return get()  # type: ignore[no-any-return]
        own = getattr(about, "_context", None)
        if isinstance(own, Context):
            return own
        import gc  # here: a failed task on 3.11 alone, whose C type shows its Context to nobody else

        for part in gc.get_referents(about):
            if isinstance(part, Context):
                return part
    return None


LOOPS = (LoopHook("asyncio.base_events", "BaseEventLoop"), LoopHook("uvloop", "Loop"))


def install(*, uncaught: bool, warned: bool) -> None:
    """Set the hooks that are wanted and take out the others."""
    for hook in (*UNCAUGHT, *LOOPS):
        if uncaught:
            hook.install()
        else:
            hook.uninstall()
    if warned and warnings.showwarning.__module__ != "logging":  # captureWarnings has them already
        WARNINGS.install()
    else:
        WARNINGS.uninstall()


def uninstall() -> None:
    """Take all hooks out."""
    install(uncaught=False, warned=False)
