"""Accessors: how one more thing travels in a snapshot, beside the fields.

An accessor answers three questions, also for the empty case:

* ``capture()``: what is there now, or :data:`MISSING` when there is nothing;
* ``enter(value)``: make it current and return how to undo that; for :data:`MISSING` *nothing* must
  be current afterwards: a boundary replaces what it finds, it never merges into it;
* ``leave(undo)``: put back what was there before, whatever has become current since. It is called
  only where the block's own frame is found, but that may be a copy of the context that ``enter``
  ran in: set the old value, do not reset a token.

One that has ``stays = True`` carries what is a process's or a thread's rather than a piece of
work's (an operator's queue, a client): for the empty case it is not asked, what is there stays.
One with ``peeks = True`` captures in next to no time: where that gives what was captured already, a
call in a copied context does not enter it.

They are entered in the order of registration and left in reverse. One that raises is counted
(``errors.accessor``) and costs its own thing only: that one is not carried.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock

from ctxlog.counting import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, TypeAlias

    class Accessor(Protocol):
        """How one more thing travels; see the module's docstring."""

        @property
        def name(self) -> str:
            """What tells it from others."""
            ...

        def capture(self) -> Any:
            """What is there now."""

        def enter(self, value: Any, /) -> Any:
            """Make it current; return what :meth:`leave` needs."""

        def leave(self, undo: Any, /) -> None:
            """Put back what was there before."""

    Carried: TypeAlias = tuple[tuple[Accessor, Any], ...]
    Undo: TypeAlias = tuple[tuple[Accessor, Any], ...]


class _Missing:
    """The one value that says: there was nothing to capture."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = _Missing()
#: The name of the accessor that carries OpenTelemetry's context, and so the ids a line has.
SPANS = "opentelemetry"

_modules = sys.modules


class Unloaded:
    """Stands for the accessor of a library, until that library has been imported.

    Then ``home`` is imported: the module here that knows the library, and registers the accessor.
    """

    __slots__ = ("home", "name")

    def __init__(self, name: str, home: str) -> None:
        self.name = name
        self.home = home

    def load(self) -> None:
        """Import it, holding no lock: another thread may be importing it, and will want ours."""
        try:
            __import__(self.home)
        except Exception:  # noqa: BLE001 - a finaliser's, when the interpreter ends: nothing is imported
            counters.add("errors.accessor")


class Table:
    """The accessors at work, and those that wait; both are swapped whole: readers need no lock.

    Attributes:
        replacing: those of them that replace what is there where nothing was captured.
        looked: how many modules were loaded when it was looked for those waited for. Their number
            is one step to read, and no library comes alone.
        quiet: the same number if there is nothing to capture or enter, else 0. Hot paths compare
            it with the number there is now, and have their whole answer.
        peeks: whether there is one accessor only, and it captures in next to no time.
    """

    __slots__ = ("accessors", "looked", "peeks", "quiet", "replacing", "waiting")

    def __init__(self) -> None:
        self.accessors: tuple[Accessor, ...] = ()
        self.replacing: tuple[Accessor, ...] = ()
        self.waiting: tuple[tuple[str, Accessor | Unloaded], ...] = ()
        self.looked = 0
        self.quiet = 0
        self.peeks = False

    def settle(self) -> None:
        """Say whether there is anything to do; called under the lock after each change."""
        while True:
            accessors, looked = self.accessors, self.looked
            self.replacing = tuple(each for each in accessors if not getattr(each, "stays", False))
            self.quiet = 0 if accessors else looked
            self.peeks = len(accessors) == 1 and getattr(accessors[0], "peeks", False)
            if accessors is self.accessors and looked == self.looked:
                return  # no finaliser of this thread has changed it meanwhile


TABLE = Table()
_lock = RLock()  # a finaliser may capture, and so wake an accessor, while its thread registers one


def register_accessor(accessor: Accessor, *, when_loaded: str | None = None) -> None:
    """Let ``accessor``'s thing travel in every snapshot from now on.

    Args:
        accessor: one of the same name is replaced.
        when_loaded: a module's name; the accessor rests until somebody has imported that module.

    Raises:
        UsageError: a part of the protocol is missing.

    Example:
        >>> from contextvars import ContextVar
        >>> tenant = ContextVar("tenant", default=MISSING)
        >>> class Tenant:
        ...     name = "tenant"
        ...
        ...     def capture(self):
        ...         return tenant.get()
        ...
        ...     def enter(self, value):
        ...         before = tenant.get()
        ...         tenant.set(value)
        ...         return before
        ...
        ...     def leave(self, before):
        ...         tenant.set(before)
        >>> register_accessor(Tenant())
        >>> unregister_accessor("tenant")
    """
    name: Any = getattr(accessor, "name", None)
    methods = ("capture", "enter", "leave")
    missing = [each for each in methods if not callable(getattr(accessor, each, None))]
    if not isinstance(name, str):
        missing = ["name, a text", *missing]
    if missing:
        from ctxlog.errors import UsageError  # here: only whoever errs pays for the import

        who = name if isinstance(name, str) else type(accessor).__name__
        message = f"an accessor has name, capture, enter and leave; {who!r} has no {missing[0]}"
        raise UsageError(message)
    with _lock:
        unregister_accessor(name)
        if when_loaded is not None and when_loaded not in _modules:
            TABLE.waiting = (*TABLE.waiting, (when_loaded, accessor))
            TABLE.looked = 0  # it may have been loaded meanwhile
        else:
            TABLE.accessors = (*TABLE.accessors, accessor)
        TABLE.settle()


def await_library(name: str, library: str, home: str) -> None:
    """Import ``home`` once ``library`` has been: it registers the accessor of that name.

    Example:
        >>> await_library("example", "example.library", "example.accessor")
        >>> unregister_accessor("example")
    """
    with _lock:
        TABLE.waiting = (*TABLE.waiting, (library, Unloaded(name, home)))
        TABLE.looked = 0  # it may have been loaded already
        TABLE.settle()


def unregister_accessor(name: str) -> None:
    """Take an accessor out by its name; an unknown name is no error."""
    with _lock:
        TABLE.accessors = tuple(known for known in TABLE.accessors if known.name != name)
        TABLE.waiting = tuple(pair for pair in TABLE.waiting if pair[1].name != name)
        TABLE.settle()


def active() -> tuple[Accessor, ...]:
    """Return the accessors at work now, waking those whose library has been imported since."""
    if len(_modules) != TABLE.looked:
        _look()
    return TABLE.accessors


def _look() -> None:
    """Wake the accessors whose library has been imported since modules were counted last."""
    for module, accessor in TABLE.waiting:
        if module in _modules and isinstance(accessor, Unloaded):
            accessor.load()
    with _lock:
        number = len(_modules)
        woken: list[Accessor] = []
        still: list[tuple[str, Accessor | Unloaded]] = []
        for module, accessor in TABLE.waiting:
            if isinstance(accessor, Unloaded) or module not in _modules:
                still.append((module, accessor))
            else:
                woken.append(accessor)
        if woken:
            TABLE.accessors = (*TABLE.accessors, *woken)
            TABLE.waiting = tuple(still)
        TABLE.looked = number
        TABLE.settle()


def capture() -> Carried:
    """Capture everything that is registered; one that raises is counted and left out."""
    if len(_modules) != TABLE.looked:  # active(), without the call: every snapshot comes by
        _look()
    accessors = TABLE.accessors
    if not accessors:
        return ()
    if len(accessors) == 1:  # nearly always: OpenTelemetry's alone
        try:
            return ((accessors[0], accessors[0].capture()),)
        except Exception:  # noqa: BLE001 - as below
            counters.add("errors.accessor")
            return ()
    carried = []
    for accessor in accessors:
        try:
            carried.append((accessor, accessor.capture()))
        except Exception:  # noqa: BLE001 - a foreign library must not break the capture
            counters.add("errors.accessor")
    return tuple(carried)


def enter_carried(carried: Carried) -> Undo:
    """Enter what was captured, and nothing for accessors that were not; return how to undo it."""
    if len(_modules) != TABLE.looked:  # active(), without the call
        _look()
    accessors = TABLE.accessors if carried else TABLE.replacing
    if not accessors:
        return ()
    if len(carried) == len(accessors) == 1 and carried[0][0] is accessors[0]:
        # nearly always: OpenTelemetry's alone; 0.3 us of a wrapped call
        accessor, value = carried[0]
        try:
            return ((accessor, accessor.enter(value)),)
        except Exception:  # noqa: BLE001 - a foreign library must not break the block
            return _instead(accessor, value)
    pairs = carried
    if len(carried) != len(accessors) or not all(map(_same, carried, accessors)):
        # somebody registered or woke since the capture
        captured = {accessor.name: value for accessor, value in carried}
        replacing = TABLE.replacing
        pairs = tuple(
            (each, captured.get(each.name, MISSING))
            for each in accessors
            if each.name in captured or each in replacing
        )
    undo: list[tuple[Accessor, Any]] = []
    for accessor, value in pairs:
        try:
            undo.append((accessor, accessor.enter(value)))
        except Exception:  # noqa: BLE001 - the others still have to be entered
            undo.extend(_instead(accessor, value))
    return tuple(undo)


def replace_carried(carried: Carried) -> None:
    """Enter what was captured in a context that ends with the call: nothing is undone there."""
    accessors = TABLE.accessors if len(_modules) == TABLE.looked else active()
    if TABLE.peeks and len(carried) == 1:  # nearly always: OpenTelemetry's alone
        accessor, value = carried[0]
        if accessor is accessors[0]:
            try:
                if accessor.capture() is not value:
                    accessor.enter(value)
            except Exception:  # noqa: BLE001 - as below
                _instead(accessor, value)
            return
    if len(carried) == len(accessors):
        for number, (accessor, value) in enumerate(carried):
            if accessor is not accessors[number]:
                break  # somebody registered or woke since: all of them, once more
            try:
                accessor.enter(value)
            except Exception:  # noqa: BLE001 - the same
                _instead(accessor, value)
        else:
            return
    enter_carried(carried)


def _same(pair: tuple[Accessor, Any], accessor: Accessor) -> bool:
    return pair[0] is accessor


def _instead(accessor: Accessor, value: Any) -> Undo:
    """Count that a value cannot be entered, and enter nothing: right or absent, never what was there."""
    counters.add("errors.accessor")
    if value is MISSING:
        return ()
    try:
        return ((accessor, accessor.enter(MISSING)),)
    except Exception:  # noqa: BLE001 - then it cannot be helped
        counters.add("errors.accessor")
        return ()


def leave_carried(undo: Undo) -> None:
    """Undo :func:`enter_carried`, in reverse."""
    for accessor, before in reversed(undo):
        try:
            accessor.leave(before)
        except Exception:  # noqa: BLE001 - a foreign context may refuse; the rest still goes back
            counters.add("errors.accessor")


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - in a forked child its owner may not exist any more
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
