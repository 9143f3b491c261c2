"""Run the suite on every other supported Python that is installed here; say which are not.

    python tools/pythons.py [3.12 …]

Each gets an environment of its own beside the checkout's, ``.venv-3.12`` and so on. No linters and
no coverage: those ran on the Python that runs this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPPORTED = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).resolve().parent.parent
ASK = "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)"


def candidates(version: str) -> Iterator[str]:
    """Yield what may be this Python: commands on the path, then what pyenv holds.

    pyenv puts a ``python3.12`` on the path that fails unless that version is activated, so its
    own folder of versions is looked at, newest first.
    """
    name = f"python{version}"
    for place in os.get_exec_path():
        found = shutil.which(name, path=place)
        if found:
            yield found
    root = output(["pyenv", "root"])
    if root:
        folders = Path(root, "versions").glob(f"{version}.*")
        for folder in sorted(folders, key=release, reverse=True):
            yield str(folder / "bin" / name)


def release(folder: Path) -> tuple[int, ...]:
    """Sort key: 3.12.10 is newer than 3.12.9."""
    return tuple(int(part) for part in folder.name.split(".") if part.isdecimal())


def output(command: list[str]) -> str | None:
    """What a command prints, or None if there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def find(version: str) -> str | None:
    """Return the path of an interpreter of this version that runs, or None."""
    for candidate in candidates(version):
        said = output([candidate, "-c", ASK])
        if said and said.split(" ", 1)[0] == version:
            return candidate
    return None


def environment(version: str, interpreter: str) -> Path:
    """Make the environment of this version, unless it is there and made for this pyproject.toml."""
    folder = ROOT / f".venv-{version}"
    python = folder / "bin" / "python"
    wanted = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    stamp = folder / "made-for.toml"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)  # it knows --group
        subprocess.run([*pip, "--editable", ".[registry]", "--group", "test"], cwd=ROOT, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def main(versions: list[str]) -> int:
    """Run the suite on each version; return the number of versions on which it failed."""
    running = "{}.{}".format(*sys.version_info)
    failed = []
    for version in versions or [v for v in SUPPORTED if v != running]:
        interpreter = find(version)
        if interpreter is None:
            print(f"-- Python {version}: not installed here, skipped", flush=True)
            continue
        print(f"-- Python {version}", flush=True)
        start = monotonic()
        python = environment(version, interpreter)
        # a cache of its own: suites may run side by side
        command = [str(python), "-m", "pytest", "-o", f"cache_dir=.venv-{version}/.pytest_cache"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(version)
        print(f"-- Python {version}: {monotonic() - start:.0f} s", flush=True)
    if failed:
        print(f"-- the suite failed on Python {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
