"""Rates: a share of all traces, the same ones in every service, and what is always kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.counting import counters
from ctxlog.errors import UsageError
from ctxlog.freezing import freeze_fields
from ctxlog.ids import valid_trace_id
from ctxlog.levels import ERROR, WARNING, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

#: A trace id's last 64 bits decide: the same ones that OpenTelemetry's TraceIdRatioBased looks at.
DIGITS = 16
SPACE = 1 << 64
STATUS = ("http.response.status_code", "status_code", "status")
_levels: dict[str, int] = {}
_UNKNOWN_LEVELS = 256


def keeps(trace_id: str, rate: float) -> bool:
    """Say whether a trace is among the share ``rate``: in every process the same answer.

    Kept is a trace whose last 64 bits, as a number, are below ``rate * 2**64``. That is how
    OpenTelemetry's ``TraceIdRatioBased`` decides of spans, and these bits are random also in ids
    that X-Ray, Datadog and 64-bit B3 make. A higher rate keeps all that a lower one keeps.

    Args:
        trace_id: 32 lower-case hex digits.
        rate: 0.0 to 1.0.

    Example:
        >>> keeps("4bf92f3577b34da6" + "0" * 15 + "1", 0.01), keeps("f" * 32, 0.99)
        (True, False)
    """
    return int(trace_id[DIGITS:], 16) < bound_of(rate)


def bound_of(rate: float) -> int:
    """Return what the last 64 bits of a trace id are below, if the trace is kept.

    Example:
        >>> bound_of(1.0) == 2**64, bound_of(0.0)
        (True, 0)
    """
    return round(rate * SPACE)


class Keep:
    """What is never left out: lines at a level, of failed requests, with an exception, of a match.

    Args:
        level: lines at or above it; ``None``: the level decides nothing.
        status: lines whose ``http.response.status_code`` (``status_code``, ``status``) is that or
            above; ``None``: it decides nothing.
        exceptions: lines with an exception.
        match: fields and the value, or the values (a list, a set), that keep a line.

    Raises:
        UsageError: an argument cannot be what it should be.

    Example:
        >>> keep = Keep(match={"user_tier": "premium"})
        >>> keep({"level": "info", "user_tier": "premium"}), keep({"level": "info"})
        (True, False)
    """

    __slots__ = ("exceptions", "level", "match", "status")

    def __init__(
        self,
        *,
        level: int | str | None = WARNING,
        status: int | None = 500,
        exceptions: bool = True,
        match: Mapping[str, object] | None = None,
    ) -> None:
        if status is not None and (isinstance(status, bool) or not isinstance(status, int)):
            raise UsageError(f"status takes a number such as 500, not {type(status).__name__}")
        self.level = None if level is None else parse(level)
        self.status = status
        self.exceptions = bool(exceptions)
        self.match = tuple(
            (name, _alternatives(value)) for name, value in freeze_fields(match, {}).items()
        )

    def __call__(self, event: Mapping[str, Any]) -> bool:
        """Say whether a line must not be left out."""
        if self.level is not None and level_of(event) >= self.level:
            return True
        if self.exceptions and (event.get("exc_info") or "exception.type" in event):
            return True
        if self.status is not None:
            for name in STATUS:
                status = event.get(name)
                if type(status) is int and status >= self.status:
                    return True
        for name, wanted in self.match:
            try:
                if name in event and event[name] in wanted:
                    return True
            except Exception:  # noqa: BLE001 - a value of the application's may compare as it likes
                return True
        return False


def _alternatives(value: object) -> tuple[object, ...]:
    return value if type(value) is tuple else (value,)


def level_of(event: Mapping[str, Any]) -> int:
    """Return the number of a line's level; one that nobody knows counts as an error: it is kept."""
    text = event.get(names.LEVEL)
    if type(text) is not str:
        return ERROR
    number = _levels.get(text)
    if number is None:
        try:
            number = parse(text.removeprefix("level "))
        except UsageError:
            number = ERROR
        if len(_levels) >= _UNKNOWN_LEVELS:
            _levels.clear()
        _levels[text] = number
    return number


def rate_of(rate: object) -> float:
    """Return a rate; raises UsageError for what is none."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise UsageError(f"a rate is a number from 0.0 to 1.0, not {rate!r:.80}")
    return float(rate)


def number_of(what: str, number: object) -> int:
    """Return a whole number from 1; raises UsageError for what is none."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise UsageError(f"{what} takes a whole number from 1, not {number!r:.80}")
    return number


def drop() -> BaseException:
    """Return what says to whoever runs the chain that a line is left out, and counted."""
    from structlog import DropEvent  # here: whoever does not sample does not load it

    error: BaseException = DropEvent(_COUNTED)
    return error


_COUNTED = "ctxlog has counted it"


def is_counted(error: BaseException) -> bool:
    """Say whether the drop that a processor asks for has been counted here."""
    return error.args == (_COUNTED,)


class Sample:
    """Keep a share of all traces, and everything that matters of the others.

    Whether a trace is kept is read from its id, so all its services agree, in every process. Lines
    outside any trace are kept: there is nobody to agree with.

    Args:
        rate: the share of traces that are kept, 0.0 to 1.0; :attr:`rate` may be set at any time.
        keep: what is kept of the others; default is ``Keep()``: warnings and worse, status 500 and
            above, exceptions.

    Raises:
        UsageError: the rate is no number from 0.0 to 1.0.

    Example:
        >>> from ctxlog import entry, get_logger
        >>> from ctxlog.testing import capture
        >>> with capture(processors=(Sample(0.0),)) as lines, entry():
        ...     get_logger("shop").info("left out")
        ...     get_logger("shop").error("kept")
        >>> [line["event"] for line in lines]
        ['kept']
    """

    def __init__(
        self, rate: float, *, keep: Callable[[Mapping[str, Any]], bool] | None = None
    ) -> None:
        self.rate = rate
        self.keep = Keep() if keep is None else keep

    @property
    def rate(self) -> float:
        """The share of traces that are kept; setting it holds from the next line on."""
        return self._share

    @rate.setter
    def rate(self, rate: float) -> None:
        self._share = rate_of(rate)
        self._bound = bound_of(self._share)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event, or drop it."""
        return self.decide(logger, event_dict, self.keep, self._bound)

    def decide(
        self,
        logger: Any,
        event: MutableMapping[str, Any],
        keep: Callable[[Mapping[str, Any]], bool] | None,
        bound: int | None,
    ) -> MutableMapping[str, Any]:
        """Return the event, or drop it, under these bounds; ``None``: its own rate."""
        trace_id = event.get(names.TRACE_ID)
        if (
            type(trace_id) is not str
            or not valid_trace_id(trace_id)
            or int(trace_id[DIGITS:], 16) < (self._bound if bound is None else bound)
            or (keep is not None and keep(event))
        ):
            return event
        counters.add("dropped.sampled")
        raise drop()
