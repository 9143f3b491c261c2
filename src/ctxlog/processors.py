"""Processors of ours, with structlog's signature, for our chain and for structlog's."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from math import isfinite
from typing import TYPE_CHECKING, Any

from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.names import KEPT
from ctxlog.objects import mask_parts, may_be_one
from ctxlog.ordinary import ITEMS, SIMPLE, WALKED, depth_for, ordinary
from ctxlog.plain import plain
from ctxlog.redact import Redaction
from ctxlog.texts import NAME_CHARS, name_of
from ctxlog.tracebacks import told
from ctxlog.walk import INT_MAX, INT_MIN, unused

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import FrameType

#: The frame that awaits an asynchronous logging method: its line is made on another thread.
CALLER: ContextVar[FrameType | None] = ContextVar("ctxlog_caller", default=None)

_MAX_SAFE = 4_096
_SHORT = 128  # what the head and the ids may have, however little a value may have
_PACKAGES = ("ctxlog", "structlog", "logging", "loguru")


class Clean:
    """Make every value fit for a renderer: secrets masked, limits kept, foreign objects as text.

    The pipeline's own step; in structlog's chain it goes right before the renderer.

    Example:
        >>> Clean()(None, "info", {"event": "signed in", "password": "hunter2", "at": {1}})
        {'event': 'signed in', 'password': '[redacted]', 'at': [1]}
    """

    def __init__(self, redaction: Redaction | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        self.redaction = Redaction() if redaction is None else redaction
        self.limits = limits
        self.safe: set[str] = set()  # names found to need no look: not secret, short, ASCII
        self.depth = depth_for(limits, self.redaction)
        self.items = min(ITEMS, limits.items)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> dict[str, Any]:
        """Return a cleaned copy of the event, the fields of an ``exc_info`` in its place."""
        return self.cleaned(told(event_dict, self.limits.value_bytes))

    def clean(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return a cleaned copy of the event, or the event itself when it was clean."""
        if self._may_stay(event):
            room = self.limits.value_bytes // 4  # a character takes at most four bytes
            for value in event.values():
                kind = type(value)
                if kind is str:
                    if len(value) > room or not value.isascii():
                        break
                elif kind is int:
                    if not INT_MIN <= value <= INT_MAX:
                        break
                elif kind is float:
                    if not isfinite(value):
                        break
                elif kind is not bool and value is not None:
                    break
            else:
                return event
        return self.cleaned(event)

    def ordinary(self, event: dict[str, Any]) -> bool:
        """Return whether an event may be encoded as it is, if its JSON is not too long then."""
        if not self._may_stay(event):
            return False
        if SIMPLE.issuperset(map(type, event.values())):
            return True
        for value in event.values():
            kind = type(value)
            if kind not in SIMPLE and (kind not in WALKED or not ordinary(value, self, self.depth)):
                return False
        return True

    def _may_stay(self, event: Mapping[str, Any]) -> bool:
        """Say whether names have nothing against an event that stays as it is."""
        return self.safe.issuperset(event) and not self.redaction.patterns and not may_be_one(event)

    def cleaned(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a cleaned copy of the event."""
        redaction, safe = self.redaction, self.safe
        clean: dict[str, Any] = {}
        for key, value in event.items():
            if type(key) is str and (key in safe or self.fits(key)):
                clean[key] = self.value(key, value)
                continue
            name = name_of(key)
            if name in clean:
                name = unused(name, clean)
            clean[name] = redaction.mask if redaction.is_secret(name) else self.value(name, value)
        if may_be_one(clean):
            mask_parts(clean, redaction.mask)
        return redaction.apply(clean) if redaction.patterns else clean

    def value(self, name: str, value: Any) -> Any:
        """Return the value under a name that is not secret, made plain."""
        if name in KEPT and type(value) is str and len(value) <= _SHORT and value.isascii():
            return value
        redaction = self.redaction
        where = name if redaction.paths else None
        return plain(value, self.limits, redaction.is_secret, redaction.mask, where)

    def fits(self, name: str) -> bool:
        """Return whether a name can be written as it is, its value with it; remember if so."""
        if not 0 < len(name) <= NAME_CHARS or not name.isascii() or self.redaction.is_secret(name):
            return False
        if len(self.safe) >= _MAX_SAFE:
            self.safe.clear()
        self.safe.add(name)
        return True


class CallSite:
    """Add where the call was made, by the names of OpenTelemetry's semantic conventions.

    ``code.file.path``, ``code.line.number``, ``code.function.name`` of the first frame outside
    logging libraries; the call's ``stacklevel`` skips more.

    Args:
        skip: more packages whose frames are no callers.

    Example:
        >>> sorted(CallSite()(None, "info", {"event": "here"}))
        ['code.file.path', 'code.function.name', 'code.line.number', 'event']
    """

    def __init__(self, *, skip: tuple[str, ...] = ()) -> None:
        self._skip = (*_PACKAGES, *skip)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Add the three fields of the caller's frame; what has them already keeps them."""
        frame = self.find(event_dict.pop("stacklevel", 1))
        if frame is not None:
            code = frame.f_code
            module = frame.f_globals.get("__name__")
            event_dict.setdefault("code.file.path", code.co_filename)
            event_dict.setdefault("code.line.number", frame.f_lineno)
            event_dict.setdefault("code.function.name", f"{module}.{code.co_qualname}")
        return event_dict

    def find(self, stacklevel: object = 1) -> FrameType | None:
        """Return the calling frame, ``None`` when there is none outside the skipped packages."""
        known = CALLER.get()
        if known is not None:
            return known
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - logging does the same
        while frame is not None and self._is_ours(frame):
            frame = frame.f_back
        left = stacklevel if type(stacklevel) is int else 1
        while frame is not None and left > 1:
            frame = frame.f_back
            left -= 1
        return frame

    def _is_ours(self, frame: FrameType) -> bool:
        module = frame.f_globals.get("__name__")
        return type(module) is str and module.partition(".")[0] in self._skip


def stack_text() -> str:
    """Return the stack of the call under way, as a traceback is printed.

    Example:
        >>> stack_text().startswith('  File "')
        True
    """
    import traceback  # here: rarely asked for

    return "".join(traceback.format_stack(CallSite().find())).rstrip("\n")
