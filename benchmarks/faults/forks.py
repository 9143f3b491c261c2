"""Forks at random moments while threads log: nothing hangs, doubles or is lost."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.faults.child import finish, start
from benchmarks.faults.lines import Arrived
from benchmarks.faults.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

FORKS, THREADS, LINES = 200, 8, 20
CODE = """
import json, os, random, sys, threading, time, warnings
import ctxlog

path, target, forks, threads, lines = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
queue = {"policy": "block-until-deadline", "deadline": 60, "batch_seconds": 0.001}
if target == "queued":
    ctxlog.configure(level="info", sinks=[{"target": path, "queue": queue}])
elif target == "buffered":
    ctxlog.configure(level="info", renderer="json", stream=open(path, "ab"))
elif target == "text":
    ctxlog.configure(level="info", renderer="json", stream=open(path, "a", encoding="utf-8"))
else:
    ctxlog.configure(level="info", renderer="json", stream=None, sinks=[path])
log = ctxlog.get_logger("forks")
stop, written = threading.Event(), [0] * threads

def work(index):
    while not stop.is_set():
        log.info("parent", who=f"t{index}", n=written[index])
        written[index] += 1
        if not written[index] % 20:
            time.sleep(0.002)

workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
for one in workers: one.start()
shuffled, children, hung = random.Random(5), [], 0
for number in range(forks):
    time.sleep(shuffled.random() * 0.004)
    pid = os.fork()
    if not pid:
        for n in range(lines):
            log.info("child", who=f"c{number}", n=n)
        os._exit(0 if ctxlog.shutdown(30) else 1)
    children.append(pid)
    while len(children) > 4:
        hung += os.waitpid(children.pop(0), 0)[1] != 0
for pid in children: hung += os.waitpid(pid, 0)[1] != 0
stop.set()
for one in workers: one.join()
done = ctxlog.shutdown(30)
print(json.dumps({"written": written, "failed": hung, "done": done}))
"""


def run(target: str, forks: int = FORKS, lines: int = LINES) -> tuple[Arrived, int, int]:
    """Fork and log; return what arrived, how many lines are missing, how many children failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines")
        said = json.loads(finish(start(CODE, path, target, forks, THREADS, lines), 300))
        arrived = Arrived(path)
    missing = sum(arrived.missing(f"t{n}", number) for n, number in enumerate(said["written"]))
    missing += sum(arrived.missing(f"c{n}", lines) for n in range(forks))
    return arrived, missing, said["failed"] + (not said["done"])


def rows(forks: int = FORKS) -> Iterator[Row]:
    """Try it with each kind of sink that could keep something back."""
    for target in ("queued", "file", "buffered", "text"):
        arrived, missing, failed = run(target, forks)
        figures = (
            f"{arrived.whole:,} lines: {missing} lost, {arrived.doubled} doubled,"
            f" {len(arrived.torn)} torn; {failed} children failed"
        )
        held = not (missing or arrived.doubled or arrived.torn or failed)
        yield Row(f"{forks} forks from {THREADS} logging threads, {target}", figures, held)
