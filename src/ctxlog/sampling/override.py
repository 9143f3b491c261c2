"""Override: samplers with another rate than they were made with; they themselves do not change.

A sampler that stands in for another one shares what that one has counted and holds.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Any, Protocol

from ctxlog.sampling.burst import Burst
from ctxlog.sampling.rates import Sample, bound_of
from ctxlog.sampling.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import TypeAlias

    from ctxlog.types import Processor

    Kept: TypeAlias = Callable[[Mapping[str, Any]], bool]


class Sampler(Protocol):
    """A sampler that can be asked what it would do with other bounds."""

    @property
    def keep(self) -> Kept | None:
        """What it never leaves out."""
        ...

    def decide(
        self, logger: Any, event: MutableMapping[str, Any], keep: Kept | None, bound: int | None
    ) -> MutableMapping[str, Any]:
        """Return the event, drop it, or have it held."""
        ...


class Overridden:
    """A sampler as it is, but for its rate, or for what is kept in any case.

    Args:
        sampler: whose place it takes.
        rate: its rate; ``None``: the sampler's own, whatever that is then.
        keep: what it keeps; ``None``: what the sampler does.
        always: what is kept besides.
    """

    __slots__ = ("_bound", "_kept", "_sampler")

    def __init__(
        self,
        sampler: Sampler,
        rate: float | None = None,
        keep: Kept | None = None,
        always: Kept | None = None,
    ) -> None:
        self._sampler = sampler
        self._bound = None if rate is None else bound_of(rate)
        self._kept = _either(always, sampler.keep if keep is None else keep)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event, drop it, or have it held."""
        return self._sampler.decide(logger, event_dict, self._kept, self._bound)

    def __repr__(self) -> str:
        return f"<{type(self._sampler).__name__} overridden>"


def _either(first: Kept | None, second: Kept | None) -> Kept | None:
    if first is None or second is None:
        return second if first is None else first
    one, other = first, second
    return lambda event: one(event) or other(event)


def overridden(
    processors: tuple[Processor, ...],
    *,
    rate: float | None = None,
    keep: Kept | None = None,
    burst: Burst | None = None,
    always: Kept | None = None,
) -> tuple[Processor, ...]:
    """Return a configuration's processors with the samplers among them overridden.

    Each keeps its place. Where there is none of the kind that is asked for, one is put last: there
    all others have seen every line. A class of somebody's own is left alone.

    Args:
        processors: as configured.
        rate: the share of traces that each :class:`Sample` and :class:`Tail` keeps.
        keep: what these keep of the others.
        burst: in place of each :class:`Burst`.
        always: what none of them leaves out.

    Returns:
        ``processors`` itself if nothing is another than before.

    Example:
        >>> overridden((), rate=1.0)
        ()
    """

    def standing_in(processor: Any) -> Processor:
        kind = type(processor)
        if kind is Burst:
            counting = processor if burst is None else burst
            return counting if always is None else Overridden(counting, always=always)
        if kind in _RATED and not (rate is None and keep is None and always is None):
            return Overridden(processor, rate, keep, always)
        return processor  # type: ignore[no-any-return]

    found = [standing_in(processor) for processor in processors]
    kinds = set(map(type, processors))
    if rate is not None and rate < 1 and kinds.isdisjoint(_RATED):
        found.append(Overridden(Sample(rate), keep=keep, always=always))
    if burst is not None and Burst not in kinds:
        found.append(standing_in(burst))
    same = len(found) == len(processors) and all(map(is_, found, processors))
    return processors if same else tuple(found)


_RATED = frozenset({Sample, Tail})
