"""Run other packages' own suites with the pytest plugin and without; the outcomes must be the same.

    python tools/suites.py [structlog …]

Their source distributions come from PyPI, with their tests. Each suite runs three times: without
the plugin, with it as it is installed, and with everything on (audit, guard in strict). What each
test did must be the same, and neither of the plugin's runs may name a finding.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from time import monotonic
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
#: Version, and what the suite needs beside pytest.
SUITES = {
    "blinker": ("1.9.0", ["pytest-asyncio"]),
    "structlog": ("26.1.0", ["freezegun", "pretend", "pytest-asyncio", "rich", "time-machine", "twisted"]),
    "wrapt": ("2.5.2", []),
    "anyio": (
        "4.16.0",
        ["blockbuster", "exceptiongroup", "hypothesis", "psutil", "pytest-mock", "pytest-timeout", "trio",
         "truststore", "trustme"],
    ),
}  # fmt: skip
WAYS = {
    "without": ["-p", "no:ctxlog"],
    "installed": [],
    "watching": ["--ctxlog-audit=", "--ctxlog-guard=strict"],
}
SAID = ("LeakWarning", "the test left something behind", "context lost at", "ctxlog lines")


def python_for(folder: Path, package: str, version: str, needs: list[str]) -> Path:
    """Make an environment with the package as released, its suite's needs, and this checkout."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT), "pytest", *needs, f"{package}=={version}"], check=True)
    return python


def sources(folder: Path, python: Path, package: str, version: str) -> Path:
    """Return the unpacked source distribution."""
    pip = [str(python), "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    only = ["--no-deps", "--no-binary", ":all:", "-d", str(folder)]
    subprocess.run([*pip, *only, f"{package}=={version}"], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def outcomes(python: Path, where: Path, way: str, options: list[str]) -> tuple[dict[str, str], str]:
    """Run the suite one way; return what each test did, and what was printed."""
    report = where / f"{way}.xml"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        [*command, *WAYS[way], *options, "tests"],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        raise SystemExit(done.stdout + done.stderr)
    found = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest's
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[name] = ",".join(kinds) or "passed"
    return found, done.stdout + done.stderr


def compare(package: str) -> int:
    """Run one suite all ways and print what differs; return how many tests do."""
    version, needs = SUITES[package]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = python_for(folder / "venv", package, version, needs)
        where = sources(folder, python, package, version)
        # what a newer pytest-asyncio asks for is a warning, which these suites turn into an error
        options = ["-o", "asyncio_default_fixture_loop_scope=function"] * (
            "pytest-asyncio" in needs
        )
        begun = monotonic()
        plain, _ = outcomes(python, where, "without", options)
        passed = sum(outcome == "passed" for outcome in plain.values())
        print(f"{package} {version}: {len(plain)} tests, {passed} pass", end="", flush=True)
        wrong = 0
        for way in list(WAYS)[1:]:
            found, printed = outcomes(python, where, way, options)
            names = sorted(plain.keys() | found.keys())
            differ = [n for n in names if plain.get(n) != found.get(n)]
            said = [line for line in printed.splitlines() if any(mark in line for mark in SAID)]
            failing = any(o in ("failure", "error") for o in plain.values())
            said = [line for line in said if not (failing and "ctxlog lines" in line)]
            print(f"; {way}: {len(differ)} differ, {len(said)} findings", end="", flush=True)
            for line in (*(f"{n}: {plain.get(n)} → {found.get(n)}" for n in differ), *said):
                print(f"\n    {line}", end="")
            wrong += len(differ) + len(said)
        print(f" ({monotonic() - begun:.0f} s)")
        return wrong


if __name__ == "__main__":
    sys.exit(min(1, sum(compare(package) for package in sys.argv[1:] or SUITES)))
