"""Make docs/images/console.svg: what a program prints on a terminal, coloured as it is there.

    python tools/picture.py

The scene runs on a terminal of its own (a pty), so that ``renderer="auto"`` finds one.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

WIDTH = 128
SCENE = Path(__file__).parent / "scenes" / "shop.py"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "console.svg"


def shown(scene: Path = SCENE) -> str:
    """Return what a program prints on a terminal, escape sequences and all."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, scene.name],
        cwd=scene.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as program:
        os.close(theirs)
        written = bytearray()
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # Linux says EIO when the other side is closed
            pass
        finally:
            os.close(ours)
    if program.returncode:
        raise RuntimeError(f"{scene} failed:\n{written.decode()}")
    text = written.decode().replace("\r\n", "\n")
    return text.replace(f"{scene.parent}{os.sep}", "/srv/")


def main() -> None:
    """Write the picture."""
    from rich.console import Console  # a tool of the docs alone; what is shown is tested without
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(shown()))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="python shop.py", unique_id="shop"), "utf-8")


if __name__ == "__main__":
    main()
