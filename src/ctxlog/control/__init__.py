"""Control: levels, debug lines of one object or namespace, and sampling, as the process runs.

By call, from a file that is watched (a mounted ConfigMap), or from that file at a signal:

>>> import ctxlog
>>> ctxlog.configure(sinks=[])
>>> apply(
...     {"level": "warning", "levels": {"kopf": "error"}, "debug": {"objects": ["Pod/shop/db-0"]}}
... )
>>> ctxlog.get_logger("kopf.objects").get_effective_level(), reset()
(10, None)
>>> ctxlog.shutdown()
True
"""

from __future__ import annotations

from ctxlog.control.applying import apply, reset
from ctxlog.control.files import MAX_BYTES, Watcher, reload_on, watch

__all__ = ["MAX_BYTES", "Watcher", "apply", "reload_on", "reset", "watch"]
