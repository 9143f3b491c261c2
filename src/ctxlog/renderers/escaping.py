"""Escaping: control characters as visible text, so that no value can forge a line or a colour."""

from __future__ import annotations

import re
from typing import Any

#: The line separators, and what makes a terminal write from right to left: it shows a line as another.
_ACTIVE = (*range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    **{code: f"\\u{code:04x}" for code in _ACTIVE},
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
}
# In what a foreign renderer made: its line breaks, tabs and colours are its own. As JSON has it.
_ESC = "\x1b"
_RAW = {code: f"\\u{code:04x}" for code in _ESCAPES if chr(code) not in "\t\n\x1b"} | {0x0D: "\\r"}
_IS_RAW = re.compile(f"[{''.join(map(chr, _RAW))}]")


def escape_text(text: str) -> str:
    r"""Escape C0, DEL, C1, U+2028, U+2029 and the bidirectional overrides.

    Example:
        >>> print(escape_text("a\nb\x1b[31m"))
        a\nb\x1b[31m
    """
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


def tamed(line: str) -> str:
    r"""Escape what acts on a terminal or splits lines in a foreign renderer's line.

    Its own line breaks, tabs and colours stay; JSON stays JSON.

    Example:
        >>> print(tamed("a\x85b\rc"))
        a\u0085b\rc
    """
    return line.translate(_RAW) if _IS_RAW.search(line) else line


def without_colours(value: Any) -> Any:
    r"""Return a copy of a plain value with each ESC in its texts and names escaped.

    Example:
        >>> print(without_colours({"a": ["\x1b[31m"]})["a"][0])
        \x1b[31m
    """
    kind = type(value)
    if kind is str:
        return value.replace(_ESC, "\\x1b") if _ESC in value else value
    if kind is dict:
        return {without_colours(name): without_colours(item) for name, item in value.items()}
    return [without_colours(item) for item in value] if kind is list else value
