"""Run what must pass side by side, as many at a time as there are cores.

    python -m tools.lanes [suite 3.12 lint …]

A lane is one part of ``make test``: the linters, the suite with its coverage, the suite on another
Python. Each has a process of its own; what it writes is shown whole when it has ended, never mixed
with another's. One that fails stops no other, and is named again at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from tools.pythons import SUPPORTED

ROOT = Path(__file__).resolve().parent.parent
_telling = threading.Lock()


class Ended(NamedTuple):
    """What came of a lane."""

    name: str
    code: int
    said: str
    seconds: float

    @property
    def verdict(self) -> str:
        """One line: whether it passed, and how long it took."""
        passed = f"FAILED (exit code {self.code})" if self.code else "passed"
        return f"-- {self.name}: {passed}, {self.seconds:.0f} s"


def tell(*lines: str) -> None:
    """Print lines that no other thread's come between."""
    with _telling:
        print(*lines, sep="\n", flush=True)


def lanes() -> dict[str, list[str]]:
    """Return each lane's command by its name, in the order in which they start.

    The linters are first: they have spoken within a minute. The suite with its coverage, the longest,
    is not left for the end, when the other cores would have nothing to do.
    """
    running = "{}.{}".format(*sys.version_info)
    first, *rest = (
        (version, [sys.executable, "-m", "tools.pythons", version])
        for version in SUPPORTED
        if version != running
    )
    made = [(name, ["make", "--no-print-directory", name]) for name in ("lint", "suite")]
    return dict([made[0], first, made[1], *rest])


def run(name: str, command: list[str]) -> Ended:
    """Run a lane; return how it ended."""
    tell(f"-- {name}: started")
    start = monotonic()
    # a file, not a pipe: what a test left running may hold it open, and nobody waits for that
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            check=False,
        ).returncode  # fmt: skip
        output.seek(0)
        said = output.read().decode(errors="replace")
    return Ended(name, code, said, monotonic() - start)


def run_all(commands: dict[str, list[str]], at_once: int) -> int:
    """Run the lanes, so many at once; return the number of those that failed."""
    ended: list[Ended] = []
    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(run, name, command) for name, command in commands.items()]
        try:
            for future in as_completed(running):
                one = future.result()
                ended.append(one)
                tell(*filter(None, [one.said.rstrip("\n")]), one.verdict)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # interrupted: what waits never starts
            raise
    tell(*(one.verdict for one in sorted(ended, key=lambda one: one.code != 0)))
    return sum(one.code != 0 for one in ended)


def main(names: list[str]) -> int:
    """Run these lanes, or all; return the number of those that failed."""
    known = lanes()
    for name in names:
        if name not in known:
            sys.exit(f"no lane {name!r}: there are {', '.join(known)}")
    return run_all({name: known[name] for name in names or known}, os.cpu_count() or 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
