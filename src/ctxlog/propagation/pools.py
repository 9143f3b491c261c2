"""Pools of :mod:`multiprocessing`: what is handed in runs under the context of whoever did it.

Callbacks run on the pool's own thread, under the same context.
"""

from __future__ import annotations

from multiprocessing import pool
from typing import TYPE_CHECKING, Any

from ctxlog.propagation import generators
from ctxlog.propagation.jobs import Initializer, job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: The methods that take a function first; the keywords under which they take callbacks.
METHODS = (
    "apply",
    "apply_async",
    "imap",
    "imap_unordered",
    "map",
    "map_async",
    "starmap",
    "starmap_async",
)
CALLBACKS = ("callback", "error_callback")
_BY_PLACE = {"apply_async": 3, "map_async": 3, "starmap_async": 3}  # of the first callback
_LAZY = frozenset({"imap", "imap_unordered"})


def carried(
    method: str, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, ...]:
    """Return a method's arguments with the function and its callbacks under the context of now.

    So is what ``imap`` iterates, which it does on the pool's own thread.
    """
    for name in CALLBACKS:
        if options.get(name) is not None:
            options[name] = job(options[name])
    if method in _LAZY:
        if "iterable" in options:
            options["iterable"] = _under_now(options["iterable"])
        elif args:
            args = (_under_now(args[0]), *args[1:])
    place = _BY_PLACE.get(method, len(args) + 1) - 1
    callbacks = [given if given is None else job(given) for given in args[place:]]
    return (job(func), *args[:place], *callbacks)


def _under_now(iterable: Any) -> Any:
    return iterable if type(iterable) in _PLAIN else generators.carried(iterable)


_PLAIN = frozenset({list, tuple, range, dict, set, frozenset, str, bytes})  # run nobody's code


class _Carries:
    """The methods of a pool, each under the context of now."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *args: Any,
        **options: Any,
    ) -> None:
        rest = (Initializer(initializer), initargs, *args)
        super().__init__(processes, *rest, **options)  # type: ignore[call-arg] # a mixin's


def _method(name: str) -> Callable[..., Any]:
    def method(self: Any, func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        arguments = carried(name, func, args, options)
        return getattr(super(_Carries, self), name)(*arguments, **options)

    method.__name__ = name
    method.__doc__ = f"``{name}`` under the context of now."
    return method


for _name in METHODS:
    setattr(_Carries, _name, _method(_name))


class Pool(_Carries, pool.Pool):
    """:class:`multiprocessing.pool.Pool`; ``context=get_context("spawn")`` picks a start method.

    Each job goes to its worker with the context it was handed in under, pickled.
    """


class ThreadPool(_Carries, pool.ThreadPool):
    """:class:`multiprocessing.pool.ThreadPool`, jobs under the context they were handed in under.

    Example:
        >>> from ctxlog.context.fields import get_context
        >>> from ctxlog.context.scope import scope
        >>> with ThreadPool(1) as threads, scope(a=1):
        ...     threads.apply(get_context)
        {'a': 1}
    """
