"""Text of anything: never raises, bounded, and such that UTF-8 can hold it.

>>> safe_str(ValueError("no")), name_of(b"id")
('no', 'id')
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

MASK: Final = "[redacted]"  # what is written for a secret
REPR_CHARS = 1024
NAME_CHARS = 256
BOUND_CHARS = 65_536  # of a text that is bound
MARK = 24  # what the mark of a cut text takes: characters, or bytes of UTF-8
NAME_TAIL = 48  # kept of a long name: redaction looks at its last part
KEY_CHARS = 65_536  # looked at of a key that is no text

# Read from `type`, as a metaclass may answer anything.
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
type_name: Callable[[type], str] = type.__dict__["__name__"].__get__
_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module: Callable[[type], object] = type.__dict__["__module__"].__get__


def type_path(kind: type) -> str:
    """Return a type's full name, without the module for built-in ones.

    Example:
        >>> from decimal import Decimal
        >>> type_path(Decimal), type_path(ValueError)
        ('decimal.Decimal', 'ValueError')
    """
    try:
        module = _module(kind)
    except AttributeError:  # deleted, or never set
        module = None
    if type(module) is not str or module == "builtins":
        return encodable(cut(_qualname(kind), NAME_CHARS))
    return encodable(cut(f"{module}.{_qualname(kind)}", NAME_CHARS))


def safe_repr(value: object, limit: int = REPR_CHARS) -> str:
    """Return ``repr(value)``, cut to ``limit`` characters (:func:`cut`); never raises.

    Example:
        >>> safe_repr("a" * 90, 50)
        "'aaaaaaaaaaaaaaaaaaaaaaaaa…[+66 chars]"
    """
    return _call_text(repr, value, limit)


def safe_str(value: object, limit: int = REPR_CHARS) -> str:
    """Return ``str(value)``, cut to ``limit`` characters (:func:`cut`); never raises.

    Example:
        >>> safe_str(ValueError("no"))
        'no'
    """
    return _call_text(str, value, limit)


def _call_text(function: Callable[[object], str], value: object, limit: int) -> str:
    try:
        return cut(str.__str__(function(value)), limit)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a value must not break its line
        kind, raised = type_name(type(value)), type_name(type(error))
        return cut(f"<{kind}: {function.__name__} raised {raised}>", limit)


def unreadable(value: object, error: BaseException) -> str:
    """Return what stands for a value that could not be read: its type, and what went wrong.

    Example:
        >>> unreadable({1}, ValueError("no"))
        '<set: unreadable, ValueError>'
    """
    kind, raised = type_name(type(value)), type_name(type(error))
    return cut(f"<{kind}: unreadable, {raised}>", NAME_CHARS)


def cut(text: str, limit: int) -> str:
    """Return the beginning of a text over ``limit`` characters, and how many are gone.

    With the mark it is no longer than the limit (if that is 48 or more), so that cutting it again
    changes nothing.

    Example:
        >>> cut("abcdef" * 10, 50)
        'abcdefabcdefabcdefabcdefab…[+34 chars]'
    """
    if len(text) <= limit:
        return text
    kept = kept_of(limit)
    return f"{text[:kept]}…[+{len(text) - kept} chars]"


def kept_of(limit: int) -> int:
    """Return how much of a limit is for the text itself, the rest being for its mark.

    Example:
        >>> kept_of(16_384), kept_of(20)
        (16360, 10)
    """
    return max(limit - MARK, limit // 2)


def encodable(text: str) -> str:
    r"""Return a text that UTF-8 can hold: a lone surrogate becomes its escape, ``\udcXX``.

    Example:
        >>> encodable("a\udc80")
        'a\\udc80'
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def name_of(key: object) -> str:
    """Return a field's name for any mapping key: a non-empty text that UTF-8 can hold.

    A name of more than 256 characters is cut in the middle, so that its last part still tells
    whether it names a secret.

    Example:
        >>> name_of("user"), name_of(3), name_of(b"id"), name_of("")
        ('user', '3', 'id', '<empty>')
    """
    if type(key) is str:
        text = key
    else:
        try:
            text = _key_text(key)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - no stack left, or worse
            text = "<unreadable>"
    if not text.isascii():
        text = encodable(text)
    if len(text) > NAME_CHARS:
        head = NAME_CHARS - NAME_TAIL - MARK
        text = f"{text[:head]}…[+{len(text) - head - NAME_TAIL} chars]…{text[-NAME_TAIL:]}"
    return text or "<empty>"


def _key_text(key: Any) -> str:
    for base in mro_of(type(key)):
        if base is str:
            return str.__str__(key)
        if base is bytes:
            return bytes_text(key, KEY_CHARS)
    return safe_str(key, KEY_CHARS)


def bytes_text(value: Any, limit: int) -> str:
    r"""Return bytes as text: UTF-8, what is not as ``\xff``; cut to ``limit`` bytes and a mark.

    Example:
        >>> bytes_text(b"a\xff", 9), bytes_text(bytearray(b"abc"), 2)
        ('a\\xff', 'a…[+2 bytes]')
    """
    view = memoryview(value)
    view = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
    kept = view.nbytes if view.nbytes <= limit else kept_of(limit)
    text = bytes(view[:kept]).decode("utf-8", "backslashreplace")
    return text if kept == view.nbytes else f"{text}…[+{view.nbytes - kept} bytes]"


def without_middle(text: str, limit: int) -> str:
    r"""Return a text of many lines that UTF-8 can hold, its middle cut to ``limit`` bytes.

    Of a traceback the beginning says who called, and the end what failed.

    Example:
        >>> without_middle("first" + " then" * 99 + " last", 40)
        'first th\n…[+489 bytes]\nhen last'
    """
    text = encodable(text)
    if len(text) * 4 <= limit:  # a character takes at most four bytes
        return text
    data = text.encode()
    if len(data) <= limit:
        return text
    half = max(limit - MARK, 0) // 2
    head = data[:half].decode("utf-8", "ignore")  # what is ignored is part of a character
    tail = data[len(data) - half :].decode("utf-8", "ignore")
    gone = len(data) - len(head.encode()) - len(tail.encode())
    return f"{head}\n…[+{gone} bytes]\n{tail}"
