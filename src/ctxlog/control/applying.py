"""Applying: what is asked for holds; what is not mentioned is as ``configure`` set it."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from ctxlog.control.settings import Settings, read
from ctxlog.errors import UsageError
from ctxlog.runtime import runtime
from ctxlog.sampling.override import overridden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxlog.pipeline import Pipeline


class _Baseline:
    """What was configured, to go back to what the control does not mention."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.configured: object = None
        self.level = 0
        self.levels: dict[str, int] = {}


_base = _Baseline()


def apply(settings: Mapping[str, Any]) -> None:
    """Let levels and sampling hold as given; what is not mentioned is as ``configure`` set it.

    Args:
        settings: ``level``: the global one. ``levels``: by logger name. ``debug``: whose lines are
            written from debug on, whatever the levels, and never sampled: ``objects``
            (``"Kind/namespace/name"``, ``"namespace/name"``), ``namespaces``; and ``loggers``, the
            names of standard library loggers that are to be debugged with them (ctxlog's own all
            are). ``sampling``: ``rate``, the share of traces that the configured
            :class:`~ctxlog.sampling.Sample` and :class:`~ctxlog.sampling.Tail` keep, or one that
            is put last where there is none; ``keep``, the arguments of
            :class:`~ctxlog.sampling.Keep`; ``burst``, those of :class:`~ctxlog.sampling.Burst`.

    Raises:
        UsageError: nothing is configured, or a setting cannot be what it should be; then nothing
            has changed.
    """
    asked = read(settings)
    with _base.lock, runtime.lock:
        pipeline = runtime.pipeline
        if pipeline is None:
            raise UsageError("nothing is configured yet: call ctxlog.configure(...) before control")
        if not _is_ours(pipeline):
            _base.level, _base.levels = runtime.levels()
        elif runtime.switched is not None:
            _base.level = runtime.switched
        runtime.switched = None
        _base.configured = pipeline.resource
        runtime.controlled = asked.level is not None
        base = _base.level if asked.level is None else asked.level
        by_name = {**_base.levels, **asked.levels}
        runtime.set_levels(base, by_name, asked.debugged, _sampled(pipeline, asked))
        if "ctxlog.adapters.logging.bridge" in sys.modules:
            from ctxlog.adapters.logging.choosing import choose

            choose(base, by_name, asked.loggers, asked.debugged)


def reset() -> None:
    """Go back to the levels and the sampling that ``configure`` set."""
    if runtime.pipeline is not None:
        apply({})


def _is_ours(pipeline: Pipeline) -> bool:
    """Whether levels were set by us for this configuration: adding a sink makes another pipeline."""
    return _base.configured is pipeline.resource


def _sampled(pipeline: Pipeline, asked: Settings) -> tuple[Any, ...]:
    """Return the processors; those that were configured if nothing is asked of samplers."""
    always = None if asked.debugged is None else asked.debugged.has
    return overridden(
        pipeline.configured, rate=asked.rate, keep=asked.keep, burst=asked.burst, always=always
    )


def _in_child() -> None:
    _base.lock = threading.RLock()  # whoever held it does not exist in a forked child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
