"""The docs are tests: a block that is wrong fails."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCKS = {
    "python": "```python\nassert {sum} == 1 + 1\n```\n",
    "pycon": "```pycon\n>>> 1 + 1\n{sum}\n```\n",
    "output": "```python\nprint('sum', 1 + 1)\n```\n\n```text output\nsum {sum}\n```\n",
    "shapes": (
        "```python\nprint('2026-01-02T03:04:05.678Z', 'ab' * 16, 1 + 1)\n```\n\n"
        "```text output\n2025-12-31T23:59:59Z 0123456789abcdef0123456789abcdef {sum}\n```\n"
    ),
    "shared": "```python\ntotal = 1 + 1\n```\n\n```pycon\n>>> total\n{sum}\n```\n",
}


PAGES = ["README.md", "docs/page.md", "docs/how-to/deep/page.md"]


def run_docs(folder: Path, pages: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run pytest with the project's conftest on these pages."""
    shutil.copy(ROOT / "conftest.py", folder)
    for page, text in pages.items():
        path = folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *pages]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Return what became of each page's blocks."""
    found: dict[str, list[str]] = {}
    for page, outcome in re.findall(r"^(\S+)::\S+ ([A-Z]+)", done.stdout, re.MULTILINE):
        found.setdefault(page, []).append(outcome)
    return found


def test_right_blocks_pass(tmp_path: Path):
    """Every kind of block runs, in the README and at any depth of the docs."""
    text = "\n".join(BLOCKS.values()).replace("{sum}", "2")
    done = run_docs(tmp_path, dict.fromkeys(PAGES, text))
    assert done.returncode == 0, done.stdout
    assert dict.fromkeys(PAGES, ["PASSED"] * 8) == outcomes(done), done.stdout


def test_a_wrong_block_fails(tmp_path: Path):
    """A block of any kind that says what is not so is a failing test, the last of its page."""
    pages = {f"{kind}.md": text.replace("{sum}", "3") for kind, text in BLOCKS.items()}
    done = run_docs(tmp_path, pages)
    assert done.returncode == 1, done.stdout
    found = outcomes(done)
    assert pages.keys() == found.keys(), done.stdout
    for page, (*before, last) in found.items():
        assert (page, "FAILED") == (page, last)
        assert "FAILED" not in before, page


def test_what_a_block_leaves_open_is_a_failure_that_is_said(tmp_path: Path):
    """A warning that pytest raises after a block is that block's failure; the others still run."""
    block = "```python\nopen('left', 'w').write('open')\n```\n"
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = run_docs(tmp_path, {"README.md": f"{block}\n{BLOCKS['python']}".replace("{sum}", "2")})
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "name='left'" in done.stdout
