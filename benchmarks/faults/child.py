"""Python code that another process runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(code: str, *arguments: object, measured: bool = True) -> subprocess.Popen[str]:
    """Start an interpreter with some code; its ``sys.argv[1:]`` are the arguments."""
    # coverage in a process that is killed leaves half a database behind
    kept = {k: v for k, v in os.environ.items() if measured or not k.startswith("COVERAGE_")}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "PYTHONPATH": os.pathsep.join(paths)},
    )


def finish(process: subprocess.Popen[str], timeout: float = 600.0) -> str:
    """Wait for it and return what it printed.

    Raises:
        AssertionError: it failed, or complained.
    """
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError("it hangs") from None
    if process.returncode or err:
        raise AssertionError(f"exit status {process.returncode}\n{err}")
    return out
