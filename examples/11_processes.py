"""Processes: a snapshot leaves the process, with a job, in an environment, as bytes."""

from __future__ import annotations

import subprocess
import sys

import ctxlog
from ctxlog.propagation.executors import ProcessPoolExecutor
from ctxlog.propagation.processes import environ

log = ctxlog.get_logger("work")

CHILD = """
import ctxlog
with ctxlog.entry(ctxlog.Snapshot.from_environ()):
    print("subprocess:", ctxlog.get_context())
"""


def job(number: int) -> str:
    """Run in a worker: say what is bound there."""
    return f"job {number}: {ctxlog.get_context()}"


def main() -> None:
    """Go across three times."""
    with ProcessPoolExecutor(1) as pool:
        for number in (1, 2):
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                print(pool.submit(job, number).result())
    with ctxlog.entry({"x-request-id": "r-3"}):
        command = [sys.executable, "-c", CHILD]
        print(subprocess.check_output(command, env=environ(), text=True), end="")  # noqa: S603 - its own
    with ctxlog.scope(user="u-1", key=ctxlog.Secret("k-123")):
        data = ctxlog.snapshot().to_bytes()
    print("bytes:", ctxlog.Snapshot.from_bytes(data).values())


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# job 1: {'request_id': 'r-1'}
# job 2: {'request_id': 'r-2'}
# subprocess: {'request_id': 'r-3'}
# bytes: {'user': 'u-1', 'key': '[redacted]', 'context.replaced': ['key']}
