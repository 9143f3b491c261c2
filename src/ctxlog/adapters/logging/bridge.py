"""Bridge: what libraries log goes through the configured pipeline, from the root logger.

``configure(stdlib=True)`` adds it beside the handlers that are there. It passes over records that
a :class:`ctxlog.Handler` has written or will write.
"""

from __future__ import annotations

import logging
from threading import RLock
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.logging import bodies
from ctxlog.adapters.logging.handler import SEEN, Handler, narrow, widen, will_write
from ctxlog.adapters.logging.records import DOOR, encoder_of, is_here, process
from ctxlog.encoder import encoder_for
from ctxlog.runtime import runtime
from ctxlog.stamps import ATTRIBUTE, stamp_now
from ctxlog.tracebacks import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxlog.pipeline import Pipeline


class Bridge(logging.Handler):
    """A handler on the root logger, in front of the configured pipeline. The sinks lock."""

    def __init__(self) -> None:
        super().__init__()
        self._pipeline: Pipeline | None = None
        self._fast: Callable[[logging.LogRecord], bytes | None] | None = None
        self._targets: tuple[tuple[int, Callable[[Any], None], Any], ...] = ()
        self._around: list[logging.Handler] = []
        self._others: tuple[logging.Handler, ...] = ()

    def handle(self, record: logging.LogRecord) -> Any:
        """Take a record that the filters let through, without a lock: each sink has its own."""
        passed: Any = self.filter(record) if self.filters else record
        if isinstance(passed, logging.LogRecord):  # from 3.12 a filter may put another in its place
            record = passed
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:  # noqa: C901 - a call costs a step
        """Take a record through the pipeline, unless a handler of ours writes it."""
        if SEEN in record.__dict__:
            return
        # ours alone is on the root as a rule, so the call is made when it is not
        if (logging.root.handlers != self._around or self._others) and self._will_be_seen(record):
            return
        pipeline = runtime.pipeline
        if pipeline is None:
            return
        if pipeline is not self._pipeline:
            self._make(pipeline)
        line = None if self._fast is None else self._fast(record)
        if line is None:
            try:
                process(pipeline, record)
            except Exception:
                if pipeline.strict:
                    raise
                self.handleError(record)
            return
        level = record.levelno
        for threshold, write, sink in self._targets:
            if level >= threshold:
                try:
                    write(line)
                except Exception as error:  # noqa: BLE001 - the other sinks still get the line
                    pipeline.output.sink_failed(sink, line, error)

    def _make(self, pipeline: Pipeline) -> None:
        self._targets = tuple(
            (sink.level, sink.write, sink) for sink in pipeline.sinks if sink.door != DOOR
        )
        self._fast = encoder_of(pipeline, encoder_for(pipeline))
        self._pipeline = pipeline

    def _will_be_seen(self, record: logging.LogRecord) -> bool:
        handlers = logging.root.handlers
        if handlers != self._around:
            self._look(handlers)
        for handler in self._others:
            if will_write(handler, record):
                if not isinstance(handler, Handler):
                    _stamp(record)
                return True
        return False

    def _look(self, handlers: list[logging.Handler]) -> None:
        """Note who may write a record still: who comes later, and who has it but keeps it."""
        around = handlers[:]
        at = around.index(self) if self in around else len(around)  # taken out meanwhile
        keeping = [one for one in around[:at] if hasattr(one, "target") or hasattr(one, "listener")]
        self._others = (*keeping, *around[at + 1 :])
        self._around = around  # last: another thread believes what it finds


def _stamp(record: logging.LogRecord) -> None:
    """Stamp a record that is written later: in a buffer it would meet another request's ids."""
    if ATTRIBUTE not in record.__dict__ and is_here(record):
        error = resolve(record.exc_info) if record.exc_info else None
        record.__dict__[ATTRIBUTE] = stamp_now(error)


class _Installed:
    """What ``configure`` has changed in ``logging``, to put it back."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.bridge: Bridge | None = None
        self.levels: dict[
            str, tuple[int, int]
        ] = {}  # ours, and the one before; the root's is "root"
        self.chosen: logging.Filter | None = None  # in front of all handlers of ours

    def open(
        self, level: int, levels: Mapping[str, int], chosen: logging.Filter | None = None
    ) -> None:
        """Add the bridge, set levels and what is ``chosen``, in place of those of the last time.

        A logger whose level stays has no other one meanwhile: its lines must not fall through. What
        both filters let through is let through in between, and what neither does is not.
        """
        with self.lock:
            if self.bridge is None:
                self.bridge = Bridge()
                bodies.add()
            wanted = {logging.root.name: level}
            for name, number in levels.items():
                wanted[logging.getLogger(name).name] = number
            before, self.chosen = self.chosen, chosen
            if chosen is not None:
                self.bridge.addFilter(chosen)
                narrow(chosen)
            self._restore(staying=wanted)
            for name, number in wanted.items():
                self.set_level(name, number)
            if self.bridge not in logging.root.handlers:
                logging.root.addHandler(self.bridge)
            self._widen(before)

    def _widen(self, chosen: logging.Filter | None) -> None:
        if chosen is not None:
            widen(chosen)
            if self.bridge is not None:
                self.bridge.removeFilter(chosen)

    def set_level(self, name: str | None, level: int) -> None:
        """Set a stdlib logger's level, if the bridge is in; ``None`` is the root's."""
        with self.lock:
            if self.bridge is None:
                return
            logger = logging.getLogger(name)
            before = self.before(logger)
            self.levels[logger.name] = (level, before)
            if logger.level != level:
                logger.setLevel(level)

    def before(self, logger: logging.Logger) -> int:
        """Return the level that a logger has without us; what others have set since is theirs."""
        ours, before = self.levels.get(logger.name, (None, 0))
        return before if logger.level == ours else logger.level

    def close(self) -> None:
        """Take the bridge out and put levels back that are still ours."""
        with self.lock:
            if self.bridge is not None:
                logging.root.removeHandler(self.bridge)
                self.bridge = None
                bodies.remove()
            self._restore()
            chosen, self.chosen = self.chosen, None
            self._widen(chosen)

    def _restore(self, staying: Mapping[str, int] | None = None) -> None:
        for name in [name for name in self.levels if not staying or name not in staying]:
            logger = logging.getLogger(name)
            before = self.before(logger)
            if logger.level != before:
                logger.setLevel(before)
            del self.levels[name]


installed = _Installed()
