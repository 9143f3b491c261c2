"""What starting costs: fresh interpreters, interleaved, timed inside."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contender import contenders
from benchmarks.scenarios import CALL

if TYPE_CHECKING:
    from benchmarks.measure import Samples

# -I -S and `import site`: the interpreter's own modules are loaded, a .pth file's are not.
_CHILD = """
import site, sys
sys.path[:0] = {path!r}
stream = open({target!r}, "ab", buffering=0)
from time import perf_counter_ns
before, begun = set(sys.modules), perf_counter_ns()
{statements}
taken = perf_counter_ns() - begun
own = {{name.partition(".")[0] for name in set(sys.modules) - before}}
foreign = sorted(own - sys.stdlib_module_names - {{"ctxlog", "__mp_main__"}})
print(taken, *foreign)
"""

FIRST_LINE, IMPORT, IMPORT_CONTEXT = "first_line", "import", "import_context"


def startup(runs: int, seed: int = 2) -> tuple[Samples, list[str]]:
    """Return nanoseconds by (what, contender), and the third parties ``import ctxlog`` loads."""
    jobs = {(FIRST_LINE, one.name): one.first_line for one in contenders().values()}
    jobs = {key: statements for key, statements in jobs.items() if statements}
    if "ctxlog" in contenders():
        jobs[IMPORT, "ctxlog"] = "import ctxlog"
        jobs[IMPORT_CONTEXT, "ctxlog"] = "import ctxlog.context"
        jobs[IMPORT, "structlog"] = "import structlog"
    order, foreign = list(jobs), set[str]()
    samples: Samples = {key: [] for key in jobs}
    shuffled = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "lines")
        for number in range(-1, runs):
            shuffled.shuffle(order)
            for key in order:
                target.write_bytes(b"")
                taken, loaded = _fresh(jobs[key], target)
                if key[0] == FIRST_LINE:
                    _check_line(key[1], target)
                if key == (IMPORT, "ctxlog"):
                    foreign.update(loaded)
                if number >= 0:  # the first run may have written bytecode
                    samples[key].append(taken)
    return samples, sorted(foreign)


def _fresh(statements: str, target: Path) -> tuple[float, list[str]]:
    path = [entry for entry in sys.path if entry]
    code = _CHILD.format(path=path, target=str(target), statements=statements)
    command = [sys.executable, "-I", "-S", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    taken, *foreign = ran.stdout.split()
    return float(taken), foreign


def _check_line(name: str, target: Path) -> None:
    event = json.loads(target.read_bytes())
    if not CALL.items() <= event.items():
        raise AssertionError(f"{name}: the first line was {event}")
