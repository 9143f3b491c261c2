"""Forks while other threads import what a snapshot needs to leave its process."""

from __future__ import annotations

from benchmarks.faults.child import finish, start

CODE = """
import os, select, sys, threading, time, warnings
from ctxlog.context.snapshot import snapshot
from ctxlog.freezing import freeze

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
slow = sys.argv[1]
sys.modules.pop(slow, None)  # coverage has loaded one of them
begun = threading.Event()

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == slow:
            begun.set()
            time.sleep(0.3)  # a disk that is slow: the fork comes in the middle

sys.meta_path.insert(0, Finder())

def work():
    return len(freeze([1])) + len(snapshot().to_bytes())

thread = threading.Thread(target=work)
thread.start()
assert begun.wait(20)
out, into = os.pipe()
pid = os.fork()
if not pid:
    os.write(into, b"%d" % work())
    os._exit(0)
found = select.select([out], [], [], 20)[0]
if not found:
    os.kill(pid, 9)
os.waitpid(pid, 0)
thread.join()
print(bool(found))
"""


def test_a_child_imports_what_another_thread_was_importing():
    """The child can bind and send anything, also if a thread of the parent's was loading the way to."""
    for module in ("ctxlog.context.travel", "ctxlog.context.border", "ctxlog.redact", "json",
                   "ctxlog.freeze_walk", "ctxlog.walk"):  # fmt: skip
        assert "True\n" == finish(start(CODE, module), 60), module
