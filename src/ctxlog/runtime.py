"""Runtime: the one mutable cell. What is configured now, every logger's threshold, the counters."""

from __future__ import annotations

import sys
from threading import RLock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ctxlog.context.providers import on_change
from ctxlog.counting import counters
from ctxlog.levels import INFO
from ctxlog.sinks import forking
from ctxlog.sinks.stopping import closed
from ctxlog.unconfigured import hand_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.pipeline import Pipeline
    from ctxlog.sinks.sink import Sink


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
    """

    def __init__(self, unconfigured: Callable[..., None]) -> None:
        self.unconfigured = unconfigured
        self.emit: Callable[..., None] = unconfigured
        self.pipeline: Pipeline | None = None
        self.lock = RLock()
        forking.track(self)
        self._level = INFO
        self._levels: dict[str, int] = {}
        self._channels: WeakValueDictionary[str, Channel] = WeakValueDictionary()
        self._next_sink = 1
        on_change(self.rebuild)

    # -- loggers and levels -------------------------------------------------------------------

    def channel(self, name: str) -> Channel:
        """Return the channel of a name, the same for all its loggers."""
        with self.lock:
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = Channel(name, self.threshold(name))
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

    def _spread(self) -> None:
        for channel in list(self._channels.values()):
            channel.threshold = self.threshold(channel.name)

    # -- configuration ------------------------------------------------------------------------

    def install(self, pipeline: Pipeline | None, level: int, levels: Mapping[str, int]) -> None:
        """Make a pipeline (or none) current. Lines under way finish in the one before."""
        with self.lock:
            emit = self._emit_for(pipeline)  # the step that can fail comes first
            self._level, self._levels = level, dict(levels)
            self._swap(pipeline, emit)

    def _emit_for(self, pipeline: Pipeline | None) -> Callable[..., None]:
        if pipeline is None:
            return self.unconfigured
        from ctxlog import fastpath  # here: an unconfigured library loads no renderer

        return fastpath.build(pipeline)

    def _swap(self, pipeline: Pipeline | None, emit: Callable[..., None]) -> None:
        self.pipeline = pipeline
        self.emit = emit
        self._spread()

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


runtime = Runtime(hand_over)
