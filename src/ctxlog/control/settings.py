"""Settings: what a running process may be told, checked as a whole before any of it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ctxlog.control.debugged import Debugged
from ctxlog.errors import UsageError, choices, yes_or_no
from ctxlog.levels import parse
from ctxlog.sampling.burst import Burst
from ctxlog.sampling.rates import Keep, rate_of

KEYS = ("level", "levels", "debug", "sampling")
DEBUG_KEYS = ("objects", "namespaces", "loggers")
SAMPLING_KEYS = ("rate", "keep", "burst")
KEEP_KEYS = ("level", "status", "exceptions", "match")
BURST_KEYS = ("first", "every", "seconds")


class Settings(NamedTuple):
    """What was asked for; ``None`` or empty: as configured.

    Attributes:
        level: the global one.
        levels: by logger name.
        debugged: whose lines are written from debug on.
        loggers: the standard library's loggers that are debugged with them.
        rate: the share of traces that samplers keep.
        keep: what they keep of the others.
        burst: how often an event that repeats is written.
    """

    level: int | None
    levels: dict[str, int]
    debugged: Debugged | None
    loggers: tuple[str, ...]
    rate: float | None
    keep: Keep | None
    burst: Burst | None


def read(settings: object) -> Settings:
    """Return settings that have been checked.

    Raises:
        UsageError: one of them cannot be what it should be; it lists the candidates.

    Example:
        >>> read({"sampling": {"rate": 0.5}}).rate
        0.5
    """
    given = _mapping("control settings", settings, KEYS)
    level = parse(given["level"]) if given.get("level") is not None else None
    named = _mapping("levels", _or(given.get("levels"), {}), None)
    levels = {name: parse(value) for name, value in named.items()}
    debug = _mapping("debug", _or(given.get("debug"), {}), DEBUG_KEYS)
    objects, namespaces, loggers = (_names(debug, key) for key in DEBUG_KEYS)
    debugged = None
    if objects or namespaces:
        debugged = Debugged(frozenset(objects), frozenset(namespaces))
    sampling = _mapping("sampling", _or(given.get("sampling"), {}), SAMPLING_KEYS)
    return Settings(
        level,
        levels,
        debugged,
        loggers if debugged else (),
        None if sampling.get("rate") is None else _within("rate", rate_of, sampling["rate"]),
        _keep(sampling.get("keep")),
        _burst(sampling.get("burst")),
    )


def _or(value: object, default: object) -> object:
    return default if value is None else value


def _within(key: str, make: Any, *args: Any, **options: Any) -> Any:
    """Return what ``make`` returns; its error names the setting."""
    try:
        return make(*args, **options)
    except UsageError as error:
        raise UsageError(f"sampling.{key}: {error}") from None


def _keep(given: object) -> Keep | None:
    if given is None:
        return None
    options = _mapping("sampling.keep", given, KEEP_KEYS)
    if "exceptions" in options:
        yes_or_no("sampling.keep.exceptions", options["exceptions"])
    if options.get("match") is not None:
        options["match"] = _mapping("sampling.keep.match", options["match"], None)
    kept: Keep = _within("keep", Keep, **options)
    return kept


def _burst(given: object) -> Burst | None:
    if given is None:
        return None
    options = _mapping("sampling.burst", given, BURST_KEYS)
    if "first" not in options:
        raise UsageError("sampling.burst: 'first' is needed: how many of each are written at once")
    burst: Burst = _within("burst", Burst, **options)
    return burst


def _mapping(what: str, value: object, keys: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{what}: a mapping is needed, not {type(value).__name__}")
    for name in value:
        if not isinstance(name, str):
            raise UsageError(f"{what}: names are text, not {type(name).__name__}")
        if keys is not None and name not in keys:
            raise choices(what, name, keys)
    return dict(value)


def _names(debug: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = _or(debug.get(key), ())
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise UsageError(f"debug.{key}: a list of names is needed, not {type(value).__name__}")
    for name in value:
        if not isinstance(name, str):
            raise UsageError(f"debug.{key}: names are text, not {type(name).__name__}")
    return tuple(value)
