"""Lines to a collector from processes that end, crash and fork."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.otel.receiver import environment, receiver, value_of

if TYPE_CHECKING:
    from tests.adapters.otel.receiver import Received

CONFIGURE = "import ctxlog, os, sys\nlog = ctxlog.get_logger('shop')\n"


def run(code: str, status: int = 0) -> list[str]:
    """Run a program that logs to a collector; return the lines that arrived."""
    with receiver("http/protobuf") as (received, proxy):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", CONFIGURE + code],
            env={**os.environ, **environment("http/protobuf", proxy.port)},
            capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert status == done.returncode, done.stderr
        return arrived(received)


def arrived(received: Received) -> list[str]:
    """The bodies of the records, sorted."""
    found: list[Any] = [value_of(record.body) for record, _, _ in received.records()]
    return sorted(found)


def test_what_waits_when_the_interpreter_exits_is_sent():
    """Nobody has to call shutdown."""
    code = "ctxlog.configure(sinks=[], otlp=True)\nfor n in range(700): log.info(f'{n:03}')\n"
    assert [f"{number:03}" for number in range(700)] == run(code)


def test_an_uncaught_exceptions_line_is_sent():
    """A crash's last words arrive."""
    code = "ctxlog.configure(sinks=[], otlp=True)\nraise ValueError('x')\n"
    assert 1 == len(run(code, status=1))


def test_an_error_that_is_flushed_at_once_survives_the_processs_end():
    """Even ``os._exit`` right after it; what was logged before it went along."""
    code = (
        "ctxlog.configure(sinks=[], otlp={'flush_level': 'error', 'flush_seconds': 60})\n"
        "log.info('before')\n"
        "log.error('last words')\n"
        "os._exit(0)\n"
    )
    assert ["before", "last words"] == run(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_sends_its_own_lines():
    """What waits at the fork is the parent's to send, once; each has an account of its own."""
    code = (
        "import warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "ctxlog.configure(sinks=[], otlp=True)\n"
        "log.info('parent, before')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    log.info('child')\n"
        "    assert ctxlog.shutdown(60)\n"
        "    os._exit(ctxlog.counters()['closed.acknowledged'] != 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "log.info('parent, after')\n"
        "assert ctxlog.shutdown(60)\n"
        "assert ctxlog.counters()['closed.acknowledged'] == 2\n"
    )
    assert ["child", "parent, after", "parent, before"] == run(code)
