"""Foreign renderers: structlog's, or any callable; what they return is made safe to write."""

from __future__ import annotations

from typing import Any

from ctxlog.renderers.escaping import tamed, without_colours
from ctxlog.texts import encodable


def drawn(renderer: Any, event: dict[str, Any], method: str) -> bytes | str:
    r"""Return a foreign renderer's line such that no value acts in it, or begins one of its own.

    Args:
        renderer: called as structlog calls one; it gets a copy.
        event: plain values.
        method: the level's name.

    Raises:
        TypeError: it returned neither text nor bytes.
        ValueError: it returned a line with nothing on it.

    Example:
        >>> drawn(lambda _, __, event: event["event"], {"event": "a\nb\x1b[31m"}, "info")
        'a\n    b\\x1b[31m'
    """
    line: object = renderer(None, method, copied(event))
    if not isinstance(line, bytes | str):
        raise TypeError(f"it returned {type(line).__name__}, not bytes or str")
    if not line or line.isspace():
        raise ValueError("it returned an empty line")
    if isinstance(line, str):
        return line if line.isprintable() else _tamed(line, renderer, event, method)
    if line.isascii() and line.decode().isprintable():
        return line
    try:
        return _tamed(line.decode(), renderer, event, method).encode()
    except UnicodeDecodeError:  # no text: nobody but it knows what it is
        return line.removesuffix(b"\n").replace(b"\n", b"\n    ")


def _tamed(line: str, renderer: Any, event: dict[str, Any], method: str) -> str:
    if "\x1b" in line:  # its own colours, or a value's
        plain = without_colours(event)
        if plain != event:
            again = renderer(None, method, plain)
            line = again.decode() if isinstance(again, bytes) else again
    text = line if line.isascii() else encodable(line)
    return tamed(text.removesuffix("\r\n").removesuffix("\n")).replace("\n", "\n    ")


def copied(value: Any) -> Any:
    """Copy a plain value: whoever gets it may change it.

    Example:
        >>> given = {"a": [1]}
        >>> copied(given)["a"].append(2)
        >>> given
        {'a': [1]}
    """
    if type(value) is dict:
        copy = value.copy()
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                copy[name] = copied(item)
        return copy
    if type(value) is list:
        return [copied(item) for item in value]
    return value
