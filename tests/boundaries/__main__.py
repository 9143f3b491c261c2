"""The command: measure each lane in a process of its own, print the table, write it where asked."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.boundaries.lanes import LANES, lane
from tests.boundaries.measure import measure_all
from tests.boundaries.page import ROOT, merged, read_results, table, write

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = "{}.{}".format(*sys.version_info)
TIMEOUT = 300


def measured_apart(python: str, name: str) -> dict[str, str]:
    """Measure one lane in a process of its own: what it patches goes with it."""
    with TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = [python, "-m", "tests.boundaries", "--lane", name, "--out", str(out)]
        done = subprocess.run(
            command, cwd=ROOT, timeout=TIMEOUT, check=False, capture_output=True, text=True
        )
        if not out.exists():
            message = f"{name} measured nothing: {done.stderr[-2000:]}"
            raise RuntimeError(message)
        found: dict[str, str] = json.loads(out.read_text(encoding="utf-8"))
        return found


def _pythons() -> dict[str, str]:
    """The interpreters of the supported versions, each with its environment, by version."""
    place = ROOT / "tools" / "pythons.py"
    spec = importlib.util.spec_from_file_location("pythons", place)
    assert spec is not None
    assert spec.loader is not None
    pythons: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pythons)
    found = {HERE: sys.executable}
    for version in pythons.SUPPORTED:
        interpreter = None if version in found else pythons.find(version)
        if interpreter is not None:
            found[version] = str(pythons.environment(version, interpreter))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser("tests.boundaries", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into results.json and the docs")
    parser.add_argument("--all", action="store_true", help="each supported Python installed here")
    parser.add_argument("--lane", choices=[kind.name for kind in LANES], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.lane:
        options.out.write_text(json.dumps(measure_all(lane(options.lane))), encoding="utf-8")
        return 0
    results = read_results()
    for version, python in (_pythons() if options.all else {HERE: sys.executable}).items():
        measured = {kind.name: measured_apart(python, kind.name) for kind in LANES}
        results = merged(results, version, measured)
    if options.write:
        write(results)
    sys.stdout.write("\n".join([*table(results), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
