"""Look for what the properties and state machines find only by chance, for some minutes.

    python -m tools.soak [--minutes 10] [--examples 10] [--gc 1 5 50 700] [tests/context …]

CI runs the same examples each time, so that it fails for a change and for nothing else; what they
leave out is looked for here. A round is one file of tests with a seed of its own, so many times as
many examples, and a garbage collector that runs all the time or rarely, as the seed has it. What
failed is printed with the command that does it again; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
#: What makes a file worth a round.
HAS_PROPERTIES = re.compile(r"^(?:from|import) hypothesis\b|^@given\b", re.MULTILINE)
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
#: Lines shown of a round that failed.
SHOWN = 120
#: Seconds of a round, and those it gets to tell what it has found.
LONGEST, PATIENCE = 180.0, 10.0
INTERRUPTED, NOTHING_RUN = 2, 5  # pytest's


class Round(NamedTuple):
    """One file, one seed."""

    path: str
    seed: int
    examples: int
    gc: int

    @property
    def settings(self) -> dict[str, str]:
        """What ``conftest.py`` reads."""
        return {"SOAK_EXAMPLES": str(self.examples), "SOAK_GC": str(self.gc)}

    @property
    def options(self) -> list[str]:
        """What pytest is told. A hang is one only after the time of so many more examples."""
        return [
            f"--hypothesis-seed={self.seed}", "-m", "hypothesis", "-p", "no:cacheprovider",
            "-q", f"--timeout={120 * max(1, self.examples)}",
        ]  # fmt: skip

    def command(self, test: str) -> str:
        """Return what does it again, for a shell."""
        settings = " ".join(f"{name}={value}" for name, value in self.settings.items())
        seed = self.options[0]
        return f"env -u CI {settings} {sys.executable} -m pytest {seed} '{test}'"


def files(paths: Sequence[str]) -> list[str]:
    """Return the files below these paths that hold properties."""
    found: list[Path] = []
    for name in paths or ("tests",):
        path = ROOT / name
        found += [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return [
        os.path.relpath(file, ROOT)
        for file in found
        if HAS_PROPERTIES.search(file.read_text(encoding="utf-8"))
    ]


def rounds(
    paths: Sequence[str], examples: int, thresholds: Sequence[int], chance: random.Random
) -> Iterator[Round]:
    """Yield rounds for ever: all files, in another order each time."""
    while True:
        for path in chance.sample(paths, len(paths)):
            seed = chance.randrange(1, 2**32)
            yield Round(path, seed, examples, random.Random(seed).choice(thresholds))  # noqa: S311


def run(one: Round, seconds: float) -> tuple[int, str]:
    """Run a round, no longer than that; return pytest's exit code and what it said."""
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    command = [sys.executable, "-m", "pytest", *one.options, one.path]
    with subprocess.Popen(
        command, cwd=ROOT, env={**environ, **one.settings},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as pytest:  # fmt: skip
        try:
            said, _ = pytest.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            pytest.send_signal(signal.SIGINT)  # it tells what it has found so far
            try:
                said, _ = pytest.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                pytest.kill()
                said, _ = pytest.communicate()
            return INTERRUPTED, said
    return pytest.returncode, said


def soak(one_after_the_other: Iterator[Round], minutes: float) -> dict[str, str]:
    """Run rounds until the time is up; return what does each failure again, by test."""
    end = monotonic() + 60 * minutes
    found: dict[str, str] = {}
    for one in one_after_the_other:
        begun = monotonic()
        if begun >= end:
            break
        code, said = run(one, min(LONGEST, end - begun))
        took = f"{monotonic() - begun:.0f} s"
        told = f"{one.path} seed={one.seed} gc={one.gc} ({took})"
        failed = FAILED.findall(said)
        if code in (0, NOTHING_RUN):
            print(f"ok      {told}", flush=True)
        elif code == INTERRUPTED and not failed:
            print(f"cut     {told}", flush=True)
        else:
            print(f"FAILED  {told}", *said.splitlines()[-SHOWN:], sep="\n    ", flush=True)
            for test in failed or [one.path]:
                again = found.setdefault(test, one.command(test))
                print(f"    again: {again}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; return 1 if anything failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("paths", nargs="*", help="files or folders of tests; all")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--examples", type=int, default=10, help="so many times as many")
    parser.add_argument("--gc", type=int, nargs="+", default=[1, 5, 50, 700], metavar="N",
                        help="thresholds of the garbage collector, one of them a round")  # fmt: skip
    parser.add_argument("--seed", type=int, help="the seed of the rounds' seeds")
    parser.add_argument("--rounds", type=int, help="stop after so many; else when the time is up")
    given = parser.parse_args(arguments)
    paths = files(given.paths)
    if not paths:
        parser.error(f"no property tests in {', '.join(given.paths) or 'tests'}")
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    print(f"{len(paths)} files, {given.minutes:g} minutes, --seed {seed}", flush=True)
    chance = random.Random(seed)  # noqa: S311 - no secret
    # a shell has its background jobs ignore interrupts, and their children too
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    endless = rounds(paths, given.examples, given.gc, chance)
    found = soak(itertools.islice(endless, given.rounds), given.minutes)
    for again in found.values():
        print(f"again: {again}")
    print(f"{len(found)} tests failed" if found else "nothing found")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
