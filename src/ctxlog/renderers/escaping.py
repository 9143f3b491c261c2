"""Escaping: control characters as visible text, so that no value can forge a line or a colour."""

from __future__ import annotations

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
}


def escape_text(text: str) -> str:
    r"""Escape C0, DEL, C1, U+2028 and U+2029.

    Example:
        >>> print(escape_text("a\nb\x1b[31m"))
        a\nb\x1b[31m
    """
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)
