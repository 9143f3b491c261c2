"""ctxlog: bind an id once; it is on every line this piece of work writes.

The names here are the front door. They load when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctxlog.adapters.logging.factory import stamp_records
    from ctxlog.adapters.logging.formatter import Formatter
    from ctxlog.adapters.logging.handler import Handler
    from ctxlog.carriers import extract, inject
    from ctxlog.changes import add_hook, add_sink, counters, remove_sink, set_level
    from ctxlog.context.fields import bind_context, clear_context, get_context, unbind_context
    from ctxlog.context.scope import scope
    from ctxlog.context.snapshot import Snapshot, snapshot, wrap
    from ctxlog.entries import entry
    from ctxlog.health import log_counters, selftest
    from ctxlog.logger import BoundLogger, get_logger
    from ctxlog.operations import annotate, operation, time_left
    from ctxlog.sinks.queue_options import QueueOptions
    from ctxlog.values import Secret, lazy
    from ctxlog.wiring import configure, flush, shutdown

_HOME = {
    "BoundLogger": "logger",
    "Formatter": "adapters.logging.formatter",
    "Handler": "adapters.logging.handler",
    "QueueOptions": "sinks.queue_options",
    "Secret": "values",
    "Snapshot": "context.snapshot",
    "add_hook": "changes",
    "add_sink": "changes",
    "annotate": "operations",
    "operation": "operations",
    "time_left": "operations",
    "bind_context": "context.fields",
    "clear_context": "context.fields",
    "configure": "wiring",
    "counters": "changes",
    "entry": "entries",
    "extract": "carriers",
    "flush": "wiring",
    "get_context": "context.fields",
    "get_logger": "logger",
    "inject": "carriers",
    "lazy": "values",
    "log_counters": "health",
    "remove_sink": "changes",
    "scope": "context.scope",
    "selftest": "health",
    "set_level": "changes",
    "shutdown": "wiring",
    "snapshot": "context.snapshot",
    "stamp_records": "adapters.logging.factory",
    "unbind_context": "context.fields",
    "wrap": "context.snapshot",
}

__all__ = [
    "BoundLogger",
    "Formatter",
    "Handler",
    "QueueOptions",
    "Secret",
    "Snapshot",
    "add_hook",
    "add_sink",
    "annotate",
    "bind_context",
    "clear_context",
    "configure",
    "counters",
    "entry",
    "extract",
    "flush",
    "get_context",
    "get_logger",
    "inject",
    "lazy",
    "log_counters",
    "operation",
    "remove_sink",
    "scope",
    "selftest",
    "set_level",
    "shutdown",
    "snapshot",
    "stamp_records",
    "time_left",
    "unbind_context",
    "wrap",
]
__version__ = "0.1.0"

#: What the docs have beside the front door; each is imported by its own name.
_MODULES = (
    "activity", "adapters", "clock", "context", "control", "errors", "health", "kubernetes",
    "limits", "processors", "propagation", "redact", "renderers", "sampling", "signals", "testing",
)  # fmt: skip

if not TYPE_CHECKING:  # under it, type checkers would accept every typo

    def __getattr__(name: str) -> object:
        """Load a public name from where it lives, once."""
        home = _HOME.get(name)
        if home is None:
            how = f" until it is imported: `from ctxlog.{name} import …`"
            hint = how if name in _MODULES else ""
            raise AttributeError(f"module 'ctxlog' has no attribute {name!r}{hint}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"ctxlog.{home}"), name)
        return value

    def __dir__() -> list[str]:
        """List the public names."""
        return sorted([*__all__, "__version__"])
