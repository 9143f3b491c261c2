"""Doors: the front doors that ``configure`` opens, and ``shutdown`` closes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ctxlog.context.foreign import LOGURU, STRUCTLOG
from ctxlog.loading import forget, when_loaded
from ctxlog.runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MINE = "ctxlog.adapters.structlog"
#: What the doors that are open now were opened with.
_wanted: dict[str, Any] = {}


def open_doors(  # noqa: PLR0913 - a door each
    *,
    level: int,
    levels: Mapping[str, int],
    stdlib: bool,
    structlog: bool | str,
    warned: bool,
    uncaught: bool,
) -> None:
    """Open the doors that are wanted, close the others."""
    _wanted.update(
        level=level, levels=levels, stdlib=stdlib, structlog=structlog,
        warned=warned, uncaught=uncaught,
    )  # fmt: skip
    if stdlib:
        from ctxlog.adapters.logging.bridge import installed

        installed.open(level, levels)
    else:
        _close_stdlib()
    if uncaught or warned or "ctxlog.adapters.logging.hooks" in sys.modules:
        from ctxlog.adapters.logging.hooks import install

        install(uncaught=uncaught, warned=warned)
    forget(_take_over)
    forget(_take_over_always)
    forget(runtime.rebuild)
    if structlog:
        when_loaded("structlog", _take_over_always if structlog is True else _take_over)
        if STRUCTLOG not in sys.modules:
            when_loaded(STRUCTLOG, runtime.rebuild)
    else:
        _close_structlog()
    if LOGURU not in sys.modules:
        when_loaded(LOGURU, runtime.rebuild)


def close_doors() -> None:
    """Close all doors; what was there before is there again."""
    _wanted.clear()
    _close_stdlib()
    if "ctxlog.adapters.logging.hooks" in sys.modules:
        from ctxlog.adapters.logging.hooks import uninstall

        uninstall()
    forget(_take_over)
    forget(_take_over_always)
    forget(runtime.rebuild)
    _close_structlog()


def kept_doors() -> Callable[[], None]:
    """Return what opens the doors again that are open now, and closes the others."""
    wanted = dict(_wanted)
    return lambda: open_doors(**wanted) if wanted else close_doors()


def set_stdlib_level(name: str | None, level: int) -> None:
    """Set the level of a stdlib logger too, if that door is open."""
    if "ctxlog.adapters.logging.bridge" in sys.modules:
        from ctxlog.adapters.logging.bridge import installed

        installed.set_level(name, level)


def _take_over() -> None:
    from ctxlog.adapters.structlog import take_over

    take_over()


def _take_over_always() -> None:
    from ctxlog.adapters.structlog import take_over

    take_over(always=True)


def _close_stdlib() -> None:
    if "ctxlog.adapters.logging.bridge" in sys.modules:
        from ctxlog.adapters.logging.bridge import installed

        installed.close()


def _close_structlog() -> None:
    if _MINE in sys.modules:
        from ctxlog.adapters.structlog import give_back

        give_back()
