"""Testing: what is logged as data, and tests that fail where context is lost.

=====================  ========================================================================
``lines``              :func:`capture` for a block: events as dicts, and assertions on them
``events``             what the fixture ``ctxlog_events`` gives: context, thread, task, call site
``boundaries``         :func:`assert_propagates`, :func:`assert_isolated`: a boundary of yours
``probing``            the job they hand over, and what is made of what it saw
``recording``          every door watched, whatever is configured
``crossings``          where work was handed to another thread, task or queue
``ways``               what is patched while that is watched
``shown``              a field's value for people: short, secrets masked
``losses``             a line without its id: where it was lost, and the fix
``guarding``           what a test leaves behind
``opened``             what was opened, where and by whom
``binding``            what was bound outside any scope
``strangers``          what other libraries have bound, and the next test finds
``workers``            threads of pools: at a job, or idle
``auditing``           a run in figures
``blind``              what could not be looked at: counted, said, never a failed test
``report``             a test's lines for people
``unseen``             a function around another library's, which it does not take for its caller
``places``             where something happened: file, line, function
=====================  ========================================================================

The pytest plugin (:mod:`ctxlog.pytest_plugin`) puts these together.

>>> from ctxlog import get_logger, scope
>>> with capture() as lines, scope(request_id="r-1"):
...     get_logger("shop").info("accepted", items=3)
>>> lines.one(event="accepted")["request_id"]
'r-1'
"""

from __future__ import annotations

from ctxlog.testing.boundaries import assert_isolated, assert_propagates
from ctxlog.testing.lines import Lines, capture

__all__ = ["Lines", "assert_isolated", "assert_propagates", "capture"]
