"""Installing: the one call, and what it does with a kopf that it does not know."""

from __future__ import annotations

import functools
import inspect
import logging
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

import kopf

from ctxlog.adapters.kopf import calls, posting, records, root
from ctxlog.adapters.kopf.state import State
from ctxlog.adapters.kopf.units import told
from ctxlog.adapters.kopf.wrappers import (
    around_daemon,
    around_event,
    around_function,
    around_handler,
    around_review,
    around_stop,
)
from ctxlog.context.providers import add_provider, remove_provider
from ctxlog.errors import UsageError
from ctxlog.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

_log = get_logger("ctxlog.kopf")
_CORE = "kopf._core"
#: Where kopf has what is wrapped, the arguments it must have, and by what.
PARTS: tuple[tuple[str, str, frozenset[str], Callable[..., Any]], ...] = (
    (
        f"{_CORE}.reactor.processing",
        "process_resource_event",
        frozenset({"raw_event", "resource"}),
        around_event,
    ),
    (
        f"{_CORE}.actions.execution",
        "execute_handler_once",
        frozenset({"handler", "cause", "state"}),
        around_handler,
    ),
    (
        f"{_CORE}.actions.invocation",
        "invoke",
        frozenset({"fn", "settings", "kwargsrc", "kwargs"}),
        around_function,
    ),
    (f"{_CORE}.engines.daemons", "_runner", frozenset({"cause", "handler"}), around_daemon),
    (f"{_CORE}.engines.daemons", "stop_daemon", frozenset({"daemon"}), around_stop),
    (
        f"{_CORE}.engines.admission",
        "serve_admission_request",
        frozenset({"request", "headers"}),
        around_review,
    ),
    (f"{_CORE}.engines.posting", "poster", frozenset({"event_queue"}), posting.around_poster),
    ("kopf._cogs.clients.events", "post_event", frozenset({"ref"}), posting.around_post),
)


class _Installed:
    """What is in place.

    Attributes:
        state: told to all wrappers of one install.
        patched: where, what was there, what is there now.
        identity: the filter on kopf's logger.
    """

    def __init__(self) -> None:
        self.state = State()
        self.patched: list[tuple[Any, str, Any, Any]] = []
        self.identity: records.Identity | None = None


_installed = _Installed()
_lock = RLock()  # each of two embedded operators may install it when it starts


def current() -> State:
    """Return the state of the latest install: for whoever measures what it costs."""
    return _installed.state


def install(*, trace_annotation: str | None = None, api_calls: bool = False) -> None:
    """Let every handler of kopf run in an entry of its own; call it after ``ctxlog.configure``.

    At import of the operator's module, or before ``kopf.operator()``. Calling it again changes
    what was asked for. With a kopf whose inside differs, one warning says what is missing, and
    the rest holds.

    Args:
        trace_annotation: an annotation of the handled object that a trace is continued from, such
            as :data:`ctxlog.adapters.kopf.tracing.ANNOTATION`. Each handling of that object goes on
            with it, for as long as it has it.
        api_calls: whether the calls that kopf makes itself (its patches, watches, posted events)
            are as those of the clients: ``traceparent`` and request id of whoever they are made
            for, an ``Audit-ID`` each, a line each. It holds for logins from now on.

    Raises:
        UsageError: ``trace_annotation`` is no text, or ``api_calls`` no bool.

    Example:
        >>> install()
        >>> uninstall()
    """
    if trace_annotation is not None and not isinstance(trace_annotation, str):
        raise UsageError(
            f"trace_annotation takes an annotation's name, not {type(trace_annotation).__name__}"
        )
    if not isinstance(api_calls, bool):
        raise UsageError(f"api_calls takes True or False, not {type(api_calls).__name__}")
    with _lock:
        _install(trace_annotation, api_calls=api_calls)


def _install(trace_annotation: str | None, *, api_calls: bool) -> None:
    state = _installed.state
    root.take_over()
    if state.active:
        state.annotation = trace_annotation
        state.calls.active = api_calls
        return
    state = _installed.state = State()
    state.active = True
    state.annotation = trace_annotation
    state.calls.active = api_calls
    missing = [
        f"{module}.{name}"
        for module, name, wanted, wrapper in PARTS
        if not _wrap(module, name, wanted, wrapper)
    ]
    state.handlers = not any(name.endswith(".execute_handler_once") for name in missing)
    execution = _module(f"{_CORE}.actions.execution")
    state.handler_var = getattr(execution, "handler_var", None)
    state.cause_var = getattr(execution, "cause_var", None)
    missing += [
        f"{_CORE}.actions.execution.{name}"
        for name in ("handler_var", "cause_var")
        if getattr(state, name) is None
    ]
    missing += _install_posting()
    missing += _install_calls()
    _wrap_configure()
    _installed.identity = records.Identity()
    logging.getLogger(records.LOGGER).addFilter(_installed.identity)
    if any(".actions." in name for name in missing):
        add_provider(current_cause)
    missing += _missing_of_lines()
    if missing:
        _log.warning(
            "this version of kopf is not known: some lines have fewer fields, or come twice",
            missing=missing,
            **{"kopf.version": _version()},
        )


def uninstall() -> None:
    """Put back what is still ours; what others have wrapped since then turns inert."""
    with _lock:
        _uninstall()


def _uninstall() -> None:
    _installed.state.active = _installed.state.calls.active = False
    remove_provider(current_cause)
    for owner, name, original, wrapped in reversed(_installed.patched):
        if getattr(owner, name, None) is wrapped:
            setattr(owner, name, original)
    _installed.patched.clear()
    posting.drop()
    if _installed.identity is not None:
        logging.getLogger(records.LOGGER).removeFilter(_installed.identity)
        _installed.identity = None
    root.give_back()


def current_cause() -> dict[str, object] | None:
    """Return the fields of the handler that runs here: a provider, where nothing can be wrapped."""
    state = _installed.state
    if state.cause_var is None or state.handler_var is None:
        return None
    cause = state.cause_var.get(None)
    return None if cause is None else told(cause, state.handler_var.get(None), None)


def _wrap(module: str, name: str, wanted: frozenset[str], wrapper: Callable[..., Any]) -> bool:
    owner = _module(module)
    original = getattr(owner, name, None)
    if original is None or not _is_awaited(original):
        return False
    try:
        takes = set(inspect.signature(original).parameters)
    except (TypeError, ValueError):  # one that was compiled, or badly wrapped
        return False
    if not wanted <= takes:
        return False
    _put(owner, name, original, wrapper(original, _installed.state))
    return True


def _is_awaited(function: Any) -> bool:
    """Whether calling it returns a coroutine; one that others have wrapped may not look like it."""
    inner = inspect.unwrap(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inner)


def _put(owner: Any, name: str, original: Any, wrapped: Any) -> None:
    functools.update_wrapper(wrapped, original)
    setattr(owner, name, wrapped)
    _installed.patched.append((owner, name, original, wrapped))


def _put_gated(owner: Any, name: str, original: Any, wrapped: Any) -> None:
    """Put what does not know by itself whether its install still holds."""
    state = _installed.state

    def call(*args: Any, **kwargs: Any) -> Any:
        return (wrapped if state.active else original)(*args, **kwargs)

    _put(owner, name, original, call)


def _install_posting() -> list[str]:
    module = _module(f"{_CORE}.engines.posting")
    original = getattr(module, "enqueue", None)
    variables = [name for name in posting.VARIABLES if not hasattr(module, name)]
    if original is None or variables:
        return [f"{_CORE}.engines.posting.{name}" for name in variables or ["enqueue"]]
    posting.carry(module)
    _put_gated(module, "enqueue", original, posting.around_enqueue(original, module))
    return []


def _install_calls() -> list[str]:
    """Wrap the making of sessions; they are left alone until they are asked for."""
    context: Any = getattr(_module(calls.MODULE), calls.CONTEXT, None)
    if not isinstance(context, type) or "__init__" not in vars(context):
        return [f"{calls.MODULE}.{calls.CONTEXT}"]
    original = vars(context)["__init__"]
    _put(context, "__init__", original, calls.around_context(original, _installed.state))
    return []


def _missing_of_lines() -> list[str]:
    """Return what kopf's own lines are not written with, though we look for it there."""
    module = _module(f"{_CORE}.actions.loggers")
    missing = []
    if getattr(getattr(module, "logger", None), "name", None) != records.LOGGER:
        missing.append("logger")
    if not hasattr(module, root.HANDLER):
        missing.append(root.HANDLER)
    return [f"{_CORE}.actions.loggers.{name}" for name in missing]


def _wrap_configure() -> None:
    """Wrap both names of kopf's configuration: the public one, and what ``kopf run`` calls."""
    for owner in (kopf, _module(f"{_CORE}.actions.loggers")):
        original = getattr(owner, "configure", None)
        if original is not None:
            _put_gated(owner, "configure", original, root.around_configure(original))


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("kopf")
    except PackageNotFoundError:
        return "unknown"
