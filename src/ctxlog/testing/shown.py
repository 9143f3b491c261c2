"""Shown: a field's value for people, short, secrets masked: a report ends in a log of CI's.

What the application masks is masked here too, also once it has shut down: its redaction is
remembered while a test runs.

>>> shown("items", [1, 2]), shown("session_token", "t"), shown("card", {"cvv": 1})
('[1, 2]', '[redacted]', "{'cvv': '[redacted]'}")
"""

from __future__ import annotations

from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.plain import plain
from ctxlog.redact import Redaction
from ctxlog.runtime import runtime
from ctxlog.texts import safe_repr

#: Redactions that are remembered, the default one first.
MOST = 20
SHORT = 80


class _Known:
    """The redactions that were seen, and what they mask together."""

    def __init__(self) -> None:
        self.all = [Redaction()]
        self.together = self.all[0]

    def add(self, more: Redaction) -> None:
        if more in self.all or len(self.all) >= MOST:
            return
        self.all.append(more)
        self.together = Redaction(
            frozenset[str]().union(*(one.names for one in self.all)),
            patterns=dict.fromkeys(pattern for one in self.all for pattern in one.patterns),
        )


_known = _Known()


def remember(found: object = None) -> None:
    """Remember what a pipeline masks: the given redaction, else that of the one configured now."""
    known = found or getattr(runtime.pipeline, "redaction", None)
    if isinstance(known, Redaction) and known is not _known.together:
        _known.add(known)


def redaction() -> Redaction:
    """Return what masks all that one of the known redactions masks."""
    remember()
    return _known.together


def shown(name: str, value: object, most: int = SHORT) -> str:
    """Return a value as text: what its name, or one in it, or a pattern says is masked.

    Args:
        name: the field.
        value: what was bound, or given to the line.
        most: characters.
    """
    masks = redaction()
    if masks.is_secret(name):
        return masks.mask
    return safe_repr(masks.apply({name: plain(value, DEFAULT_LIMITS)})[name], most)


def shown_all(fields: dict[str, object], most: int = SHORT) -> str:
    """Return names and values as text."""
    return ", ".join(f"{name}={shown(name, value, most)}" for name, value in fields.items())


def shown_text(text: object, most: int = SHORT) -> str:
    """Return an event as text, without what a pattern masks."""
    return shown("event", text, most)
