"""What `import ctxlog.context` loads."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import sys
before = set(sys.modules)
import ctxlog.context
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded - sys.stdlib_module_names - {"ctxlog"}))
print(sorted({"typing", "dataclasses", "inspect", "re", "enum", "asyncio", "logging"} & loaded))
"""


def test_it_loads_the_standard_library_alone_and_little_of_it():
    """No third party comes in, and none of the modules that cost milliseconds."""
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{ASK}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "[]\n[]\n" == found.stdout
