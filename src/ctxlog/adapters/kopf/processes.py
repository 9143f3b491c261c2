"""Processes: handlers in a process pool. kopf hands over a Context there, which does not pickle.

kopf calls the pool with ``partial(context.run, partial(function, **kwargs))``. Here the function is
taken out of it and sent with a snapshot instead; what cannot be pickled of its arguments stays
behind, and what the handler puts into its ``patch`` comes back. So does what it raises, or an error
of the same kind, if that one does not come out of a pickle again.
"""

from __future__ import annotations

import inspect
import logging
import pickle
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import kopf

from ctxlog.propagation.jobs import job
from ctxlog.texts import safe_str, type_path

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER, _PATCH = "logger", "patch"


class ProcessExecutor(Executor):
    """An executor in front of a process pool, for one call of one handler."""

    def __init__(self, pool: Executor, cause: Any) -> None:
        self._pool = pool
        self._patch = getattr(cause, "patch", None)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit what kopf made of a handler, without its Context."""
        call = partial(fn, *args, **kwargs) if args or kwargs else fn
        inner = call.args[0] if isinstance(call, partial) and call.args else call
        function, given = inner, {}
        if isinstance(inner, partial):
            function, given = partial(inner.func, *inner.args), inner.keywords
        sent = self._pool.submit(job(_work), function, _portable(function, given))
        result: Future[Any] = Future()
        sent.add_done_callback(partial(self._finish, result))
        result.add_done_callback(lambda done: sent.cancel() if done.cancelled() else None)
        return result

    def _finish(self, result: Future[Any], sent: Future[Any]) -> None:
        if sent.cancelled():  # the pool has been shut down: whoever waits must hear of it
            result.cancel()
        if not result.set_running_or_notify_cancel():
            return
        try:
            value, patch, functions = sent.result()
            if self._patch is not None:
                self._patch.update(patch)
                if functions:
                    self._patch.fns.extend(functions)
        except BaseException as error:  # noqa: BLE001 - the handler's, or the pool's
            result.set_exception(error)
        else:
            result.set_result(value)


def settings_for(settings: Any, cause: Any) -> Any:
    """Return the settings that kopf is to invoke a handler with: another executor if need be."""
    executor: Any = getattr(getattr(settings, "execution", None), "executor", None)
    if not isinstance(getattr(executor, "wrapped", executor), ProcessPoolExecutor):
        return settings
    return SimpleNamespace(execution=SimpleNamespace(executor=ProcessExecutor(executor, cause)))


def _work(
    function: Callable[..., Any], given: dict[str, Any]
) -> tuple[Any, dict[str, Any], list[Any]]:
    """Call a handler, in the other process; return its result and what it has put into its patch."""
    given = _as_kopfs(given)
    patch = given.get(_PATCH)
    try:
        result = function(**given)
    except Exception as error:
        if _travels(error):
            raise
        raise _stand_in(error) from error
    functions = list(getattr(patch, "fns", ()))
    try:
        pickle.dumps(functions)
    except Exception as error:
        raise TypeError(
            f"what patch.fns holds cannot come back from another process: {error}"
        ) from error
    return result, plain_dict(patch) if patch is not None else {}, functions


def _travels(error: Exception) -> bool:
    """Whether an error comes out of a pickle again: one that does not takes the whole pool along."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own, of a moment ago
    except Exception:  # noqa: BLE001 - its class may do anything
        return False
    return True


def _stand_in(error: Exception) -> Exception:
    """Return an error that travels, and is for kopf what the handler's was."""
    kind, text = type(error), safe_str(error)
    if issubclass(kind, kopf.AdmissionError):
        return kopf.AdmissionError(text, code=getattr(error, "code", None))
    if issubclass(kind, kopf.PermanentError):
        return kopf.PermanentError(text)
    if issubclass(kind, kopf.TemporaryError):
        return kopf.TemporaryError(text, delay=getattr(error, "delay", None))
    return RuntimeError(f"{type_path(kind)}: {text}")


def _as_kopfs(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as kopf gives them, read and patched by attributes.

    They stay plain data where this kopf makes them otherwise.
    """
    try:
        from kopf._cogs.structs import bodies, patches

        makes: dict[str, Callable[[Any], Any]] = {
            "body": bodies.Body,
            "meta": lambda part: bodies.Body({"metadata": part}).metadata,
            "spec": lambda part: bodies.Body({"spec": part}).spec,
            "status": lambda part: bodies.Body({"status": part}).status,
            _PATCH: patches.Patch,
        }
        made = {name: make(given[name]) for name, make in makes.items() if name in given}
    except Exception:  # noqa: BLE001 - another version: the handler may do with less
        return given
    return {**given, **made}


def _portable(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return those arguments that the function takes and that can be sent, as plain data."""
    wanted = _wanted(function)
    sent: dict[str, Any] = {}
    for name, value in given.items():
        if wanted is not None and name not in wanted:
            continue
        if name == _LOGGER:
            sent[name] = _adapter(value)
            continue
        plain = plain_dict(value) if hasattr(value, "items") else value
        try:
            pickle.dumps(plain)
        except Exception:  # noqa: BLE001, S112 - a stopper, an index, somebody's memo
            continue
        sent[name] = plain
    return sent


def _wanted(function: Callable[..., Any]) -> set[str] | None:
    """Return the names that a function takes; ``None``: all of them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # one written in C, which tells none
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


class _ObjectLogger(logging.LoggerAdapter[logging.Logger]):
    """Kopf's object logger over there: what a call gives stays beside the object's reference."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Merge both, as kopf's does."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def _adapter(logger: Any) -> Any:
    """Return an object logger that can be sent: the reference, without kopf's settings."""
    extra = getattr(logger, "extra", None) or {}
    return _ObjectLogger(
        logging.getLogger(getattr(logger, "name", "kopf.objects")),
        {name: value for name, value in extra.items() if name != "settings"},
    )


def plain_dict(value: Any) -> Any:
    """Return a mapping, and mappings in it, as dicts.

    Example:
        >>> from types import MappingProxyType
        >>> plain_dict(MappingProxyType({"a": [MappingProxyType({})]}))
        {'a': [{}]}
    """
    if hasattr(value, "items"):
        return {name: plain_dict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_dict(item) for item in value]
    return value
