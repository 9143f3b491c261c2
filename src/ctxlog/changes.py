"""Changes: what an application changes of the running configuration, and what it can read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import targets
from ctxlog.context.decorate import COROUTINE, kind_of
from ctxlog.doors import set_stdlib_level
from ctxlog.errors import UsageError, choices, seconds, shown
from ctxlog.levels import parse
from ctxlog.runtime import runtime
from ctxlog.sinks.stopping import replace_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Never

    from ctxlog.sinks.queue_options import QueueOptions
    from ctxlog.types import Renderer

ADD_SINK = ("renderer", "level", "filter", "queue")
ADD_HOOK = ("level", "filter", "timeout")


def add_sink(
    target: Any,
    *,
    renderer: str | Renderer | None = None,
    level: int | str = 0,
    filter: Callable[[Mapping[str, Any]], bool] | None = None,  # noqa: A002 - loguru's word
    queue: QueueOptions | Mapping[str, Any] | str | bool | None = None,
    **unknown: Never,
) -> int:
    """Add a sink to the running configuration and return its id for :func:`remove_sink`.

    Args:
        target: a stream (text or binary), a path, a callable, a coroutine function, or a
            ``logging.Handler``.
        renderer: as in :func:`~ctxlog.wiring.configure`, or ``"event"``: callables get the event, a dict of their
            own. Default: ``"auto"``, decided by this sink's own stream.
        level: the sink's own lowest level.
        filter: called with the event; the line is written here if it returns true.
        queue: a bounded queue with a writer thread of its own in front of the sink: ``True``, a
            policy's name, or :class:`~ctxlog.sinks.queue_options.QueueOptions`, also as a mapping.
        unknown: none: a wrong name is answered with the right ones.

    Raises:
        UsageError: nothing is configured yet, or an argument cannot be what it should be.
        OSError: a path cannot be opened.

    Example:
        >>> from ctxlog.wiring import configure, shutdown
        >>> lines = []
        >>> configure(level="info", sinks=[])
        >>> added = add_sink(lines.append, level="error", renderer="event")
        >>> from ctxlog import get_logger
        >>> get_logger("shop").info("quiet")
        >>> get_logger("shop").error("loud")
        >>> [line["event"] for line in lines]
        ['loud']
        >>> remove_sink(added)
        >>> shutdown()
        True
    """
    for name in unknown:
        raise choices("option", name, ADD_SINK)
    pipeline = runtime.pipeline
    if pipeline is None:
        raise UsageError("nothing is configured yet: call ctxlog.configure(...) before add_sink")
    if target is None:
        raise UsageError(
            "add_sink takes a stream, a path, a callable or a coroutine function, not None"
        )
    sink = targets.sink(
        target,
        renderer="auto" if renderer is None else renderer,
        limits=pipeline.limits,
        schema=pipeline.schema,
        level=level,
        accept=filter,
        queue=queue,
    )
    identity = runtime.add_sink(sink)
    if identity is None:  # shut down meanwhile
        replace_all([sink])
        raise UsageError("ctxlog was shut down while the sink was being added")
    return identity


def add_hook(
    target: Callable[[dict[str, Any]], object],
    *,
    level: int | str = "error",
    filter: Callable[[Mapping[str, Any]], bool] | None = None,  # noqa: A002 - as in add_sink
    timeout: float = 30.0,
    **unknown: Never,
) -> int:
    """Call a function for events, an alert or a push, off the path of the code that logs.

    It runs on a thread of its own under the context that emitted the event, where
    :func:`ctxlog.time_left` tells what that operation has left. It may be slow, raise, hang or log:
    nobody waits for it, and what it logs does not come back to it.

    Args:
        target: called with the event, a dict of its own.
        level: the lowest level it is told of.
        filter: called with the event; the hook is told if it returns true.
        timeout: seconds after which a call counts as hanging: it keeps its thread, the next event
            gets another; after two the hook is disabled, and that is said.
        unknown: none: a wrong name is answered with the right ones.

    Returns:
        An id for :func:`remove_sink`.

    Raises:
        UsageError: nothing is configured yet, or an argument cannot be what it should be.

    Example:
        >>> from ctxlog.wiring import configure, flush, shutdown
        >>> told = []
        >>> configure(sinks=[])
        >>> added = add_hook(told.append)
        >>> from ctxlog import get_logger
        >>> get_logger("shop").error("the till is stuck")
        >>> flush(5), told[0]["event"]
        (True, 'the till is stuck')
        >>> shutdown()
        True
    """
    for name in unknown:
        raise choices("option", name, ADD_HOOK)
    if not callable(target):
        raise UsageError(f"add_hook takes a callable, not {type(target).__name__}")
    if kind_of(target) is COROUTINE:
        raise UsageError("a hook is not awaited; add_sink takes coroutine functions")
    accept, patience = targets.predicate(filter), seconds("timeout", timeout, zero=False)
    from ctxlog.sinks.hook import HookSink

    sink = HookSink(target, timeout=patience, level=parse(level), accept=accept)
    identity = None if runtime.pipeline is None else runtime.add_sink(sink)
    if identity is None:
        raise UsageError("nothing is configured: call ctxlog.configure(...) before add_hook")
    return identity


def remove_sink(sink: int) -> None:
    """Take a sink out of the running configuration, and close what it opened.

    Raises:
        UsageError: there is no sink of that id; it lists those there are.
    """
    removed = runtime.remove_sink(sink)
    if removed is None:
        if runtime.pipeline is None:
            raise UsageError("nothing is configured: there is no sink to remove")
        known = ", ".join([str(other.id) for other in runtime.pipeline.sinks])
        raise UsageError(f"unknown sink id {shown(sink)}. Known: {known}")
    replace_all([removed])


def set_level(name: str | None, level: int | str) -> None:
    """Set the level of a logger and everything below it; ``None`` sets the global one.

    Raises:
        UsageError: the level is unknown, and it lists the candidates; or nothing is configured
            yet: stdlib ``logging`` decides then.

    Example:
        >>> from ctxlog.wiring import configure, shutdown
        >>> configure(sinks=[])
        >>> set_level("kopf", "warning")
        >>> set_level(None, "debug")
        >>> from ctxlog import get_logger
        >>> get_logger("kopf.objects").is_enabled_for("info"), get_logger("x").is_enabled_for(10)
        (False, True)
        >>> shutdown()
        True
    """
    if name is not None and not isinstance(name, str):
        raise UsageError(f"set_level takes a logger's name or None, not {type(name).__name__}")
    number = parse(level)
    if runtime.pipeline is None:
        raise UsageError("nothing is configured yet: configure(level=..., levels=...) sets levels")
    runtime.set_level(name or None, number)
    set_stdlib_level(name or None, number)


def counters() -> dict[str, int]:
    """Return what happened to lines and contexts so far, by name.

    ``slow_path`` counts lines that took the full way through the chain, ``errors.<step>`` what
    failed, ``dropped.<why>`` and ``lost`` what was not written, ``sink.<id>.written`` and
    ``.failed`` each sink's lines, ``context.foreign_exit`` scopes that were left elsewhere.

    Example:
        >>> "slow_path" in counters()
        True
    """
    return runtime.counters()
