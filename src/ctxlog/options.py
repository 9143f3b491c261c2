"""Options: how the arguments of ``configure``, and the environment, are read."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from ctxlog.context.decorate import COROUTINE, kind_of
from ctxlog.errors import CtxlogWarning, UsageError, choices, shown, yes_or_no
from ctxlog.formats import WRITERS, named
from ctxlog.levels import INFO, parse
from ctxlog.limits import Limits
from ctxlog.redact import Redaction
from ctxlog.texts import type_path
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxlog.types import Processor

#: What is read of ours; a snapshot's, from a parent process, is none of the settings.
VARIABLES = ("CTXLOG_LEVEL", "CTXLOG_LEVELS", "CTXLOG_RENDERER", "CTXLOG_SCHEMA", "CTXLOG_STRICT")
RENDERERS = ("auto", "json", "console", "logfmt")
_LONG = 100  # characters of a name that are compared with others
_WARN_DEPTH = 4  # whoever called configure


def known(what: str, given: Any, allowed: tuple[str, ...]) -> None:
    """Check a named choice; a renderer may be a callable too.

    Raises:
        UsageError: it is none of those allowed; it lists them.
    """
    if what == "renderer" and callable(given):
        if kind_of(given) is COROUTINE:
            raise UsageError("renderer is a coroutine function; it is not awaited")
        instance("renderer", given)
        return
    if not isinstance(given, str) or given not in allowed:
        raise choices(what, given, allowed)


def instance(what: str, given: object) -> None:
    """Check that this is no class: calling it would make an object, and write nothing.

    Raises:
        UsageError: it is one.
    """
    if isinstance(given, type):
        name = given.__name__
        raise UsageError(f"{what} is the class {name}, not an instance; write {name}()")


def option(what: str, given: Any, allowed: tuple[str, ...], default: str) -> Any:
    """Return a named choice: the argument, else ``CTXLOG_<WHAT>``, else the default."""
    if given is not None:
        known(what, given, allowed)
        return given
    variable = f"CTXLOG_{what.upper()}"
    text = os.environ.get(variable, "").strip().lower()
    if not text:
        return default
    if text not in allowed:
        _warn(variable, text, f"one of {', '.join(allowed)}")
        return default
    return text


def base_level(given: int | str | None) -> int:
    """Return the global level: the argument, else ``CTXLOG_LEVEL``, else ``info``."""
    if given is not None:
        return parse(given)
    text = os.environ.get("CTXLOG_LEVEL", "").strip()
    try:
        return parse(text) if text else INFO
    except UsageError as error:
        _warn("CTXLOG_LEVEL", text, str(error))
        return INFO


def named_levels(given: Mapping[str, int | str] | None) -> dict[str, int]:
    """Return levels by logger name: the argument over ``CTXLOG_LEVELS``."""
    found: dict[str, int] = {}
    bad: list[str] = []
    text = os.environ.get("CTXLOG_LEVELS", "").strip()
    for pair in text.split(",") if text else ():
        name, _, level = (part.strip() for part in pair.partition("="))
        try:
            if name or level:
                found[_logger_name(name)] = parse(level)
        except UsageError:
            bad.append(pair.strip())
    if bad:
        _warn("CTXLOG_LEVELS", ", ".join(bad), "pairs such as kopf=warning,httpx=error")
    if given is None:
        return found
    if not is_mapping(type(given)):
        raise UsageError(
            f"levels takes a mapping of logger names to levels, not {type(given).__name__}"
        )
    return {**found, **{_logger_name(name): parse(level) for name, level in given.items()}}


def _logger_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise UsageError(f"levels are by logger name, a text, not {shown(name)}")
    return name


def strictness(given: bool | None) -> bool:  # noqa: FBT001 - the argument's own value
    """Return whether failures raise: the argument, else ``CTXLOG_STRICT``, else not."""
    if given is not None:
        return yes_or_no("strict", given)
    text = os.environ.get("CTXLOG_STRICT", "").strip().lower()
    if text in {"", "0", "false", "no", "off"}:
        return False
    if text not in {"1", "true", "yes", "on"}:
        _warn("CTXLOG_STRICT", text, "1 or 0")
        return False
    return True


def environment_resource() -> dict[str, object]:
    """Return the resource that OpenTelemetry's variables tell.

    ``OTEL_RESOURCE_ATTRIBUTES`` holds pairs such as ``service.version=2,team=a%20b``;
    ``OTEL_SERVICE_NAME`` wins over its ``service.name``.
    """
    found: dict[str, object] = {}
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").strip()
    if text:
        from urllib.parse import unquote

        for pair in text.split(","):
            name, equals, value = (part.strip() for part in pair.partition("="))
            if name and equals:
                found[unquote(name)] = unquote(value)
    service = os.environ.get("OTEL_SERVICE_NAME", "").strip()
    if service:
        found["service.name"] = service
    return found


def propagators(given: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the formats that ``configure(propagators=…)`` names, checked."""
    if given is None:
        return None
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"propagators takes several names, not {type(given).__name__}")
    chosen = tuple(given)
    for name in chosen:
        if not isinstance(name, str) or name not in WRITERS:
            raise choices("propagator", name, WRITERS)
    return chosen or ("none",)


def check_environment(given: object) -> None:
    """Warn of variables of ours that nothing reads, and of what cannot be read in OpenTelemetry's.

    Args:
        given: ``configure(propagators=…)``, which goes before the variable.
    """
    unread = [
        name
        for name, value in os.environ.items()
        if name.startswith("CTXLOG_") and name not in VARIABLES and value.strip()
    ]
    if unread:
        _warn_unread(unread)
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    bad = [pair for pair in text.split(",") if pair.strip() and not pair.partition("=")[0].strip()]
    bad += [pair for pair in text.split(",") if pair.strip() and "=" not in pair]
    if bad:
        _warn("OTEL_RESOURCE_ATTRIBUTES", ",".join(bad), "pairs such as service.version=2,team=a")
    unknown = [] if given is not None else [name for name in named() if name not in WRITERS]
    if unknown:
        from importlib.metadata import entry_points  # here: others bring propagators, too

        found = "opentelemetry_propagator"
        bad = [name for name in unknown if not entry_points(group=found, name=name)]
        if bad:
            _warn("OTEL_PROPAGATORS", ",".join(bad), f"names such as {', '.join(WRITERS)}")


def baggage(given: Iterable[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Return the members of baggage that become fields, and what these are called."""
    if given is None:
        return {}
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"baggage takes several names, or a mapping, not {type(given).__name__}")
    names: Any = given
    allowed: dict[Any, Any] = dict(names) if is_mapping(type(given)) else {n: n for n in names}
    for name in (*allowed, *allowed.values()):
        if not isinstance(name, str) or not name:
            raise UsageError(f"baggage names members and fields by text, not {name!r:.80}")
    return allowed


def processor_chain(given: Iterable[Processor] | None) -> tuple[Processor, ...]:
    """Return the user's processors."""
    if given is None:
        return ()
    if callable(given) or isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"processors takes a sequence of callables, not {type(given).__name__}")
    chain = tuple(given)
    for place, processor in enumerate(chain):
        if not callable(processor):
            raise UsageError(
                f"processors[{place}] cannot be called: {shown(processor)};"
                " a processor is a callable (logger, method_name, event_dict) -> event_dict"
            )
        instance(f"processors[{place}]", processor)
        if kind_of(processor) is COROUTINE:
            raise UsageError(f"processors[{place}] is a coroutine function; it is not awaited")
    return tuple(map(_among_ours, chain))


def _among_ours(processor: Processor) -> Processor:
    """Let structlog's processors that look for the caller's frame pass over ours."""
    if not type_path(type(processor)).startswith("structlog."):  # a proxy may answer anything
        return processor
    ignores: Any = getattr(processor, "_additional_ignores", _NO_IGNORES)
    if ignores is _NO_IGNORES:
        return processor
    from copy import copy

    other: Any = copy(processor)
    other._additional_ignores = [*(ignores or ()), "ctxlog"]  # noqa: SLF001 - no other way in
    return other  # type: ignore[no-any-return] # a copy of what it was


_NO_IGNORES = object()


def take_over(given: object) -> None:
    """Check what ``configure(structlog=…)`` was given."""
    if type(given) is not bool and (type(given) is not str or given != "auto"):
        raise UsageError(f"structlog takes 'auto', True or False, not {shown(given)}")


def limits(given: object) -> Limits:
    """Return the limits that ``configure(limits=…)`` was given."""
    if not isinstance(given, Limits):
        raise UsageError(f"limits takes ctxlog.limits.Limits(...), not {type(given).__name__}")
    return given


def redaction(given: Redaction | bool) -> Redaction:  # noqa: FBT001 - the argument's own value
    """Return the redaction that ``configure(redact=…)`` was given."""
    if given is True:
        return Redaction()
    if given is False:
        return Redaction(names=())
    if not isinstance(given, Redaction):
        raise UsageError(
            f"redact takes True, False or ctxlog.redact.Redaction(...), not {shown(given)}"
        )
    return given


def _warn_unread(variables: list[str]) -> None:
    import re  # here, as the next: only who has such variables pays for them
    from difflib import get_close_matches

    from ctxlog.context.travel import ENVIRON

    # what Kubernetes sets in each pod for a service of that name
    service = re.compile(r".*(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")
    unread = sorted(name for name in variables if name != ENVIRON and not service.fullmatch(name))
    if not unread:
        return
    first = unread[0]
    close = get_close_matches(first[:_LONG], VARIABLES, n=1, cutoff=0.8)
    meant = f": did you mean {close[0]!r}?" if close else "."
    more = f" and {len(unread) - 1} more" if unread[1:] else ""
    told = f"unknown variable {shown(first)}{more}{meant} Known: {', '.join(VARIABLES)}"
    warnings.warn(told, CtxlogWarning, stacklevel=_WARN_DEPTH)


def _warn(variable: str, got: str, wanted: str) -> None:
    told = f"{variable}={shown(got)} is ignored: {wanted}"
    warnings.warn(told, CtxlogWarning, stacklevel=_WARN_DEPTH)
