"""``kopf run``, as a process: its switches, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import body, cluster, until

OPERATOR = Path(__file__).with_name("operator_file.py")
SWITCHES: dict[str, tuple[list[str], set[str]]] = {
    "plain": ([], {"made", "warned", "theirs"}),
    "verbose": (["--verbose"], {"debugged", "made", "warned", "theirs"}),
    "debug": (["--debug"], {"debugged", "made", "warned", "theirs"}),
    "quiet": (["--quiet"], {"warned"}),
}


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines written so far; each must be whole."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.asyncio
@pytest.mark.parametrize("switch", SWITCHES)
async def test_kopf_run_with_its_switches_and_a_sigterm(switch: str, tmp_path: Path):
    """The switches mean what they mean; on SIGTERM every line is written before the process goes."""
    asked, expected = SWITCHES[switch]
    path = tmp_path / "lines"
    async with cluster() as there:
        there.put(body(1), body(2))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kopf", "run", *asked, "--all-namespaces", "--standalone",
            str(OPERATOR),
            env={**os.environ, "CLUSTER": there.url, "LINES": str(path)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            await until(
                lambda: (
                    process.returncode is not None
                    or {"w-1", "w-2"} <= {line.get("saw") for line in read(path)}
                )
            )
            assert process.returncode is None, await process.communicate()
            process.send_signal(signal.SIGTERM)
            output, _ = await asyncio.wait_for(process.communicate(), 90)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert 0 == process.returncode, output
    lines = read(path)
    ours = {"debugged", "made", "warned", "theirs"}
    assert expected == ours & {line["event"] for line in lines}
    assert list(range(1_000)) == [ln["number"] for ln in lines if ln["event"] == "cleaning"]
    of_objects = [line for line in lines if line["event"] in ours]
    assert all(line["k8s.object.ref"].startswith("Widget/shop/w-") for line in of_objects)
    for line in of_objects:
        assert line.get("saw", line["k8s.object.name"]) == line["k8s.object.name"]
        assert "created" == line["handler"]
    once = {json.dumps(line, sort_keys=True) for line in lines}
    assert len(lines) == len(once), "a line was written twice"
    assert b"Traceback" not in output
    assert b"before anything" in output  # unconfigured: it went to logging
