"""kopf: every handler in an entry of its own; kopf's own lines with the same fields.

import ctxlog
from ctxlog.adapters import kopf as ctxlog_kopf

ctxlog.configure()
ctxlog_kopf.install()
"""

from __future__ import annotations

from ctxlog.adapters.kopf.installing import install, uninstall
from ctxlog.adapters.kopf.tracing import put_trace

__all__ = ["install", "put_trace", "uninstall"]
