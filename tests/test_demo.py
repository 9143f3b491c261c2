"""The main job proves what it says, and would say so if it were not so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"
PLACES = 6
DOORS = 4
LINES = PLACES * DOORS + 1  # a request: the middleware closes it with one
FAULTS = (
    "lines lost or doubled",
    "lines without an id",
    "lines with another request's id",
    "answers with a wrong id",
)


def run(*arguments: str) -> tuple[int, dict[str, int]]:
    """Run the demo in a process of its own; return its exit status and what it verified."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=DEMO.parent, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    verified = re.findall(r"^([a-z' ]+?) +(\d+)$", done.stdout, re.MULTILINE)
    return done.returncode, {what: int(number) for what, number in verified}


def test_every_line_has_its_own_requests_id():
    """200 requests at once: no line lost, none without an id, none with another's."""
    status, verified = run(str(DEMO))
    assert {"requests": 200, "lines": 200 * LINES, **dict.fromkeys(FAULTS, 0)} == verified
    assert status == 0


def test_without_wrap_the_verification_fails():
    """Nothing carried over a pool or a worker: lines without an id and with a wrong one are seen."""
    status, verified = run("-c", "import demo, sys; sys.exit(demo.main(wrap=lambda job: job))")
    assert verified["lines"] == 200 * LINES
    assert verified["lines without an id"] >= 200 * DOORS  # each pool job's
    assert (
        verified["lines with another request's id"] == 199 * DOORS
    )  # the worker's, but for its starter's
    assert status == 1


def test_without_entries_the_verification_fails():
    """A service that gives its requests no ids is found out, in its lines and its answers."""
    broken = "from ctxlog.adapters import asgi; asgi.Middleware = lambda app: app"
    status, verified = run("-c", f"{broken}; import demo, sys; sys.exit(demo.main())")
    assert verified["lines without an id"] == 200 * PLACES * DOORS
    assert verified["answers with a wrong id"] == 200
    assert status == 1


def test_a_lost_line_is_found():
    """A door that writes nothing for one request is missed, place by place."""
    broken = (
        "import demo, sys\n"
        "write = demo.DOORS[0]\n"
        "demo.DOORS[0] = lambda event, order: None if order == 7 else write(event, order)\n"
        "sys.exit(demo.main())"
    )
    status, verified = run("-c", broken)
    assert verified["lines lost or doubled"] == PLACES
    assert status == 1


def test_the_readme_shows_what_the_demo_prints():
    """The figures in the README are the demo's own."""
    readme = (DEMO.parent.parent / "README.md").read_text(encoding="utf-8")
    _, verified = run(str(DEMO))
    shown = "\n".join(f"{what:32}{number:6}" for what, number in verified.items())
    assert f"```text\n{shown}\n```" in readme
