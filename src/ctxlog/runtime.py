"""Runtime: the one mutable cell. What is configured now, every logger's threshold, the counters."""

from __future__ import annotations

import sys
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ctxlog.context.providers import on_change
from ctxlog.counting import counters
from ctxlog.levels import DEBUG, INFO
from ctxlog.sinks import forking
from ctxlog.sinks.stopping import closed
from ctxlog.unconfigured import hand_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.pipeline import Pipeline
    from ctxlog.sinks.sink import Sink
    from ctxlog.types import Processor


#: Logger names whose own level is remembered while some objects alone are debugged.
MAX_NAMES = 1_000


class Channel:
    """All loggers of one name: the name, and the level below which they return at once."""

    __slots__ = ("__weakref__", "name", "threshold")

    def __init__(self, name: str, threshold: int) -> None:
        self.name = name
        self.threshold = threshold


class Runtime:
    """The current pipeline, swapped in one assignment, and the levels.

    Attributes:
        emit: ``(logger, level, event, args, fields)``; what every logger calls.
        pipeline: the configured one, ``None`` before ``configure``.
        controlled: whether control has set the global level: it beats the switch.
        switched: the level of a command line's switch, asked for since control last looked.
    """

    def __init__(self, unconfigured: Callable[..., None]) -> None:
        self.unconfigured = unconfigured
        self.emit: Callable[..., None] = unconfigured
        self.pipeline: Pipeline | None = None
        self.lock = RLock()
        forking.track(self)
        self._level = INFO
        self.controlled = False
        self.switched: int | None = None
        self._levels: dict[str, int] = {}
        self._channels: WeakValueDictionary[str, Channel] = WeakValueDictionary()
        self._next_sink = 1
        self._chosen: Callable[[Any], bool] | None = None
        self._normal: dict[str, int] = {}
        self._around: Callable[[Callable[..., None]], Callable[..., None]] | None = None
        on_change(self.rebuild)

    # -- loggers and levels -------------------------------------------------------------------

    def channel(self, name: str) -> Channel:
        """Return the channel of a name, the same for all its loggers."""
        with self.lock:
            channel = self._channels.get(name)
            if channel is None:
                made = Channel(name, self._lowest(name))
                # not the one of before: what interrupts this may have asked for the same name
                channel = self._channels.setdefault(name, made)
            return channel

    def threshold(self, name: str) -> int:
        """Return the level below which loggers of this name write nothing."""
        if self.pipeline is None:
            return 0  # stdlib logging decides
        level = self._level_of(name)
        sinks = self.pipeline.sinks
        return max(level, min((sink.level for sink in sinks), default=level))

    def _level_of(self, name: str) -> int:
        """Return the level of the longest dotted prefix that has one, else the global level."""
        prefix = name
        while prefix:
            level = self._levels.get(prefix)
            if level is not None:
                return level
            prefix = prefix.rpartition(".")[0]
        return self._level

    def set_level(self, name: str | None, level: int) -> None:
        """Set the global level, or that of a name and everything below it."""
        with self.lock:
            if name is None:
                self._level = level
            else:
                self._levels = {**self._levels, name: level}
            self._spread()

    def levels(self) -> tuple[int, dict[str, int]]:
        """Return the global level and those of names."""
        return self._level, dict(self._levels)

    def set_levels(
        self,
        level: int,
        levels: Mapping[str, int],
        chosen: Callable[[Any], bool] | None = None,
        processors: tuple[Processor, ...] | None = None,
    ) -> None:
        """Set all levels at once, and the processors.

        Args:
            level: the global one.
            levels: those of names; what is not here has none of its own any more.
            chosen: asked, with the logger, for each line below its logger's level and at debug or
                above: written if it says so.
            processors: those of the current pipeline from now on; ``None``: as they are.
        """
        with self.lock:
            pipeline = self.pipeline
            if pipeline is not None and processors is not None:
                pipeline = pipeline.with_processors(processors)
            self._level, self._levels = level, dict(levels)
            if chosen is None and self._chosen is not None:
                chosen = _nobody  # a thread may be between asking its logger's level and writing
            self._chosen = chosen
            self._swap(pipeline, self._emit_for(pipeline))

    def _lowest(self, name: str) -> int:
        """Return the level below which loggers of this name need not ask whether they write."""
        if self._chosen in (None, _nobody) or self.pipeline is None:
            return self.threshold(name)
        least = min((sink.level for sink in self.pipeline.sinks), default=DEBUG)
        return min(self.threshold(name), max(DEBUG, least))

    def _spread(self) -> None:
        self._normal = {}
        for channel in list(self._channels.values()):
            channel.threshold = self._lowest(channel.name)

    # -- configuration ------------------------------------------------------------------------

    def install(self, pipeline: Pipeline | None, level: int, levels: Mapping[str, int]) -> None:
        """Make a pipeline (or none) current. Lines under way finish in the one before."""
        with self.lock:
            self._chosen = None  # whoever chose did so for the configuration before
            emit = self._emit_for(pipeline)  # the step that can fail comes first
            self._level, self._levels, self.switched = level, dict(levels), None
            self.controlled = False
            self._swap(pipeline, emit)

    def kept(self) -> Callable[[], None]:
        """Return what makes the current pipeline and levels current again; under the lock."""
        pipeline, level, levels = self.pipeline, self._level, self._levels
        chosen, controlled, switched = self._chosen, self.controlled, self.switched

        def put_back() -> None:
            self._level, self._levels, self._chosen = level, levels, chosen
            self.controlled, self.switched = controlled, switched
            self._swap(pipeline, self._emit_for(pipeline))

        return put_back

    def _emit_for(self, pipeline: Pipeline | None) -> Callable[..., None]:
        if pipeline is None:
            return self.unconfigured
        from ctxlog import fastpath  # here: an unconfigured library loads no renderer

        emit = fastpath.build(pipeline)
        return emit if self._chosen is None else self._choosing(emit, self._chosen)

    def _choosing(
        self, emit: Callable[..., None], chosen: Callable[[Any], bool]
    ) -> Callable[..., None]:
        """Return what writes lines below their logger's level only where they are asked for."""

        def choose(logger: Any, level: int, *args: Any, **options: Any) -> None:
            known = self._normal  # replaced whole when levels change: no old one gets into the new
            normal = known.get(logger.name)
            if normal is None:
                if len(known) >= MAX_NAMES:
                    known.clear()
                normal = known[logger.name] = self.threshold(logger.name)
            if level >= normal or chosen(logger):
                emit(logger, level, *args, **options)

        return choose

    def _swap(self, pipeline: Pipeline | None, emit: Callable[..., None]) -> None:
        self.pipeline = pipeline
        self.emit = emit if self._around is None else self._around(emit)
        self._spread()

    def watch(self, around: Callable[[Callable[..., None]], Callable[..., None]] | None) -> None:
        """Put a function around ``emit``, now and whenever it is replaced; ``None`` takes it away.

        For tests that look at every event, whatever is configured: see
        :mod:`ctxlog.testing.recording`.
        """
        with self.lock:
            self._around = around
            self._swap(self.pipeline, self._emit_for(self.pipeline))

    def _replace(self, pipeline: Pipeline) -> None:
        self._swap(pipeline, self._emit_for(pipeline))

    def rebuild(self) -> None:
        """Build the current pipeline's function anew: a provider came or went."""
        with self.lock:
            if self.pipeline is not None:
                self._replace(self.pipeline.with_sinks(self.pipeline.sinks))

    def adopt(self, sink: Sink) -> Sink:
        """Give a sink its id."""
        with self.lock:
            sink.id = self._next_sink
            self._next_sink += 1
        return sink

    def add_sink(self, sink: Sink) -> int | None:
        """Add a sink to the current pipeline and return its id; ``None`` without a pipeline."""
        with self.lock:
            pipeline = self.pipeline
            if pipeline is None:
                return None
            self._replace(pipeline.with_sinks((*pipeline.sinks, self.adopt(sink))))
            return sink.id

    def remove_sink(self, identity: int) -> Sink | None:
        """Take a sink out of the current pipeline; ``None`` when there is none of that id."""
        with self.lock:
            pipeline = self.pipeline
            if pipeline is None:
                return None
            for sink in pipeline.sinks:
                if sink.id == identity:
                    rest = tuple(other for other in pipeline.sinks if other is not sink)
                    self._replace(pipeline.with_sinks(rest))
                    return sink
            return None

    def counters(self) -> dict[str, int]:
        """Return every counter by name, each sink's as ``sink.<id>.<name>``."""
        pipelines = sys.modules.get("ctxlog.pipeline")
        read = {"slow_path": pipelines.full_lines() if pipelines else 0, **counters.read()}
        read.update((f"closed.{name}", number) for name, number in closed().items())
        for sink in () if self.pipeline is None else self.pipeline.sinks:
            read.update((f"sink.{sink.id}.{name}", n) for name, n in sink.counts().items())
        return read

    def hold(self, timeout: float) -> Callable[[], object] | None:
        """Take the lock for a fork, so that no change is half done in the child."""
        return self.lock.release if self.lock.acquire(timeout=timeout) else None

    def renew_lock(self) -> None:
        """Make the lock anew in a forked child: its owner may not exist there."""
        self.lock = RLock()


def _nobody(_: object) -> bool:
    return False


runtime = Runtime(hand_over)
