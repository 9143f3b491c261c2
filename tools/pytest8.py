"""Run the plugin's tests under pytest 8, on every supported Python that is installed here.

    python -m tools.pytest8 [3.12 …]

The rest of the suite needs pytest 9, whose settings in pyproject.toml version 8 does not read: what
these tests need of them is given here. Each gets an environment of its own, ``.venv-pytest8-3.12``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

from tools.pythons import ROOT, SUPPORTED, find

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = [
    "-q", "-c", "/dev/null", "--rootdir", ".", "-p", "no:cacheprovider", "-p", "pytester",
    "-p", "no:pytest-structlog", "--import-mode=importlib", "-o", "pythonpath=.",
    "-o", "asyncio_default_fixture_loop_scope=function",
]  # fmt: skip


def environment(version: str, interpreter: str) -> Path:
    """Make the environment of this version anew: the test group, with pytest 8."""
    folder = ROOT / f".venv-pytest8-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    wanted = [
        "pytest>=8,<9" if entry.startswith("pytest>=") else entry
        for name in ("test", "boundaries")
        for entry in groups[name]
        if isinstance(entry, str)
    ]
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", ".[registry]", *wanted], cwd=ROOT, check=True)
    return python


def main(versions: list[str]) -> int:
    """Run the tests on each version; return the number of versions on which they failed."""
    failed = 0
    for version in versions or SUPPORTED:
        interpreter = find(version)
        if interpreter is None:
            print(f"-- Python {version}: not installed here, skipped", flush=True)
            continue
        print(f"-- Python {version}, pytest 8", flush=True)
        python = environment(version, interpreter)
        command = [str(python), "-m", "pytest", *OPTIONS, "tests/plugin", "tests/testing"]
        failed += bool(subprocess.run(command, cwd=ROOT, check=False).returncode)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
