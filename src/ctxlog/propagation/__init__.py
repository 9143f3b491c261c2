"""Propagation: context across every boundary of a process. One file a boundary.

Explicit ways first: an executor, a thread, a pool, a queue of ours, or a wrapped callback. For code
that one cannot change there is :func:`install`. In each of them what the submitter had *replaces*
what the worker has, for that job alone; nothing else in the worker's context is touched.

========================  =====================================================================
:func:`wrap_executor`     any executor: what is submitted runs under its submitter's context
``executors``             ``ThreadPoolExecutor``, ``ProcessPoolExecutor``
``threads``               ``Thread``, ``Timer``
``processes``, ``pools``  ``Process``, ``get_context``; ``Pool``, ``ThreadPool``
``queues``                :func:`hand` an item over; ``Queue`` and ``AsyncQueue`` that do
``callbacks``             done-callbacks, exception handlers, registries that want a function
``generators``            an iterator whose steps run in frames of their own
``greenlets``             gevent's, and plain ones
``detached``              work that outlives the request that started it
:func:`install`           patches for code that one cannot change, and what they patched
========================  =====================================================================
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctxlog.propagation.detached import run_detached
    from ctxlog.propagation.executors import wrap_executor
    from ctxlog.propagation.installing import install, installed, uninstall
    from ctxlog.propagation.queues import hand

_HOME = {
    "hand": "queues",
    "install": "installing",
    "installed": "installing",
    "run_detached": "detached",
    "uninstall": "installing",
    "wrap_executor": "executors",
}

__all__ = ["hand", "install", "installed", "run_detached", "uninstall", "wrap_executor"]

if not TYPE_CHECKING:  # under it, type checkers would accept every typo

    def __getattr__(name):  # noqa: ANN001, ANN202 - type checkers do not see it
        """Load a public name from where it lives, once: nobody pays for multiprocessing unasked."""
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module 'ctxlog.propagation' has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"ctxlog.propagation.{home}"), name)
        return value
