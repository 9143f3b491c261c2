"""Border: what is secret leaves the process as its mask, whichever way its context goes.

By the names and patterns that mask lines here: those that ``configure(redact=…)`` was given, else
the well-known ones. Bytes, environments and pickles may end in a file, a broker, ``/proc`` or a
crash dump, so they are treated alike, a pool's of this very machine too.

>>> leaving({"user": "bob", "password": "p"})
{'user': 'bob', 'password': '[redacted]'}
"""

from __future__ import annotations

from ctxlog.freezing import freeze

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ctxlog.redact import Redaction


class Border:
    """What masks; made when something leaves for the first time, as few processes need it."""

    __slots__ = ("_redaction",)

    def __init__(self) -> None:
        self._redaction: Redaction | None = None

    def set(self, redaction: Redaction | None = None) -> None:
        """Mask by this one from now on; ``None``: by the well-known names."""
        self._redaction = redaction

    @property
    def redaction(self) -> Redaction:
        """What masks now."""
        if self._redaction is None:
            from ctxlog.redact import Redaction

            self._redaction = Redaction()
        return self._redaction


border = Border()


def leaving(
    values: Mapping[str, Any], told: Callable[[str], object] | None = None
) -> dict[str, Any]:
    """Return a copy of fields as they may leave the process.

    Args:
        values: fields; what holds nothing secret stays what it is.
        told: called with the name of each that was masked, whole or in part.
    """
    redaction = border.redaction
    out: dict[str, Any] = {}
    for name, value in values.items():
        masked = redaction.field(name, value)
        if masked is value or masked == freeze(value):
            out[name] = value
        else:
            out[name] = masked
            if told is not None:
                told(name)
    return out
