"""What fresh interpreters say, interleaved, timed inside: starting, and what others would disturb.

``wrap`` captures what the libraries that are loaded have current too: this process has loaded all.
"""

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

_WRAP = """
import site, sys
sys.path[:0] = {path!r}
{statements}
import ctxlog
from time import perf_counter_ns
def nothing(): pass
scope = ctxlog.scope(request_id="r-1", user="bob", tenant="acme", attempt=2)
scope.__enter__()
for calls in (2_000, 20_000):
    begun = perf_counter_ns()
    for _ in range(calls):
        ctxlog.wrap(nothing)()
    taken = perf_counter_ns() - begun
print(taken / calls)
"""

FIRST_LINE, IMPORT, IMPORT_CONTEXT = "first_line", "import", "import_context"
WRAP, WRAP_SPANS = "wrap_alone", "wrap_spans"


def startup(runs: int, seed: int = 2) -> tuple[Samples, list[str]]:
    """Return nanoseconds by (what, contender), a call's for ``wrap``, and the third parties ``import ctxlog`` loads."""
    jobs = {(FIRST_LINE, one.name): one.first_line for one in contenders().values()}
    jobs = {key: statements for key, statements in jobs.items() if statements}
    if "ctxlog" in contenders():
        jobs[IMPORT, "ctxlog"] = "import ctxlog"
        jobs[IMPORT_CONTEXT, "ctxlog"] = "import ctxlog.context"
        jobs[IMPORT, "structlog"] = "import structlog"
        jobs[WRAP, "ctxlog"] = ""
        jobs[WRAP_SPANS, "ctxlog"] = "import opentelemetry.trace"
    order, foreign = list(jobs), set[str]()
    samples: Samples = {key: [] for key in jobs}
    shuffled = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "lines")
        for number in range(-1, runs):
            shuffled.shuffle(order)
            for key in order:
                target.write_bytes(b"")
                code = _WRAP if key[0] in (WRAP, WRAP_SPANS) else _CHILD
                taken, loaded = _fresh(code, jobs[key], target)
                if key[0] == FIRST_LINE:
                    _check_line(key[1], target)
                if key == (IMPORT, "ctxlog"):
                    foreign.update(loaded)
                if number >= 0:  # the first run may have written bytecode
                    samples[key].append(taken)
    return samples, sorted(foreign)


def _fresh(code: str, statements: str, target: Path) -> tuple[float, list[str]]:
    path = [entry for entry in sys.path if entry]
    code = code.format(path=path, target=str(target), statements=statements)
    command = [sys.executable, "-I", "-S", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    taken, *foreign = ran.stdout.split()
    return float(taken), foreign


def _check_line(name: str, target: Path) -> None:
    event = json.loads(target.read_bytes())
    if not CALL.items() <= event.items():
        raise AssertionError(f"{name}: the first line was {event}")
