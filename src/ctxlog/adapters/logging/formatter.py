"""Formatter: a drop-in for ``logging.Formatter`` in any handler, and text formats with context."""

from __future__ import annotations

import copy
import logging
import re
import string
from operator import index
from typing import TYPE_CHECKING, Any, Literal

from ctxlog import names
from ctxlog.adapters.logging.chain import Chain
from ctxlog.adapters.logging.records import STANDARD, stamp_of
from ctxlog.errors import UsageError, choices
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.message import shown, text_of
from ctxlog.plain import plain
from ctxlog.processors import Clean
from ctxlog.redact import Redaction
from ctxlog.renderers.escaping import escape_text
from ctxlog.runtime import runtime
from ctxlog.stamps import stamp_now
from ctxlog.targets import is_text
from ctxlog.texts import safe_repr, safe_str
from ctxlog.tracebacks import describe, resolve, shows_arguments
from ctxlog.values import SCALARS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never

#: What a text format shows for a name that nobody has bound.
UNBOUND = "-"
_PERCENT = re.compile(r"%\(([^)]*)\)")
_OWN = frozenset(STANDARD) | {"message", "asctime"}
_redaction = Redaction()
_clean = Clean(_redaction)
OPTIONS = ("fmt", "datefmt", "style", "validate", "defaults", "renderer", "schema")


class Formatter(logging.Formatter):
    """Format records for any handler: rotating files, syslog, sockets.

    Without ``fmt`` a record becomes the line that ctxlog's pipeline would write. With one it is
    ``logging.Formatter``, whose format may name what is bound: ``%(request_id)s`` shows ``-`` where
    nothing is. What a value holds is escaped, the message's line breaks too, so that none begins a
    line of its own; a traceback is many lines, as ``logging`` writes it, and the rest of it escaped.

    Args:
        fmt: a text format.
        datefmt: how ``asctime`` is written.
        style: ``%``, ``{`` or ``$``.
        validate: check ``fmt``.
        defaults: values for names of ``fmt``.
        renderer: ``"json"``, ``"logfmt"``, ``"console"`` or a callable, when there is no ``fmt``.
        schema: as in ``configure``; default is the configured one.
        unknown: none: a wrong name is answered with the right ones.

    Raises:
        UsageError: an unknown renderer or schema, or a renderer beside a ``fmt``.
        ValueError: ``fmt`` is not of its ``style``.

    Example:
        >>> record = logging.LogRecord("shop", 20, "shop.py", 7, "%d items", (3,), None)
        >>> Formatter().format(record)[-34:]
        '"logger":"shop","event":"3 items"}'
        >>> Formatter("%(levelname)s %(request_id)s %(message)s").format(record)
        'INFO - 3 items'
    """

    def __init__(  # noqa: PLR0913 - logging's own arguments and ours
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        validate: bool = True,  # noqa: FBT001, FBT002 - logging's signature
        *,
        defaults: Mapping[str, Any] | None = None,
        renderer: Any = None,
        schema: str | None = None,
        **unknown: Never,
    ) -> None:
        for name in unknown:
            raise choices("Formatter option", name, OPTIONS)
        super().__init__(fmt, datefmt, style, validate, defaults=defaults)
        self._chain: Chain | None = None
        self._named: tuple[str, ...] = ()
        self._used: tuple[str, ...] = ()
        if fmt is None:
            self._chain = Chain(
                "json" if renderer is None or is_text(renderer, "auto") else renderer, schema
            )
        elif renderer is not None or schema is not None:
            message = "a Formatter has a text format (fmt) or a renderer and schema, not both"
            raise UsageError(message)
        else:
            self._used = _names_in(self)
            self._named = tuple(n for n in named_in(self) if n not in (defaults or ()))

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, without a newline at its end."""
        if self._chain is None:
            record = _masked(with_context(record, self._named))
            if isinstance(record.exc_text, str):  # what another formatter has left there
                record = copy.copy(record)
                record.exc_text = _escaped_lines(record.exc_text)
            return super().format(record)
        line = self._chain.line_of(record)
        text = line.decode() if isinstance(line, bytes) else line or ""
        return text.removesuffix("\n")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the record by the format, its values escaped."""
        changed: dict[str, Any] = {}
        held = record.__dict__
        for name in self._used:
            value = held.get(name)
            escaped = _shown(value)
            if escaped is not value:
                changed[name] = escaped
        if changed:
            record = copy.copy(record)
            record.__dict__.update(changed)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback, many lines, the rest escaped."""
        error = resolve(ei)
        if error is not None and shows_arguments(error):
            return _escaped_lines(describe(error)["exception.stacktrace"])
        return _escaped_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return the stack, many lines, the rest escaped."""
        return _escaped_lines(super().formatStack(stack_info))


def _masked(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record whose arguments, and message, show no secret; as it is if they do not."""
    message, args = record.msg, record.args
    easy = not args or (type(args) is tuple and SCALARS.issuperset(map(type, args)))
    if easy and type(message) is str:
        return record
    record = copy.copy(record)
    if type(message) is not str:
        record.msg = text_of(message, _clean.value)
    if isinstance(args, tuple):
        record.args = tuple([shown(arg, _clean.value) for arg in args])
    elif args:  # logging has taken it out of its tuple
        record.args = shown(args, _clean.value)
    return record


class _Shown:
    """A value whose text is escaped, however a format asks for it."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return escape_text(safe_str(self._value))

    def __repr__(self) -> str:
        return escape_text(safe_repr(self._value))

    def __int__(self) -> int:
        return int(self._value)

    def __index__(self) -> int:
        return index(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __format__(self, spec: str) -> str:
        return escape_text(format(self._value, spec))

    def __getattr__(self, name: str) -> Any:
        return _shown(getattr(self._value, name))

    def __getitem__(self, key: Any) -> Any:
        return _shown(self._value[key])


def _shown(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return escape_text(value)
    if kind in SCALARS:
        return value
    if issubclass(kind, str):
        return escape_text(str.__str__(value))
    return _Shown(shown(value, _clean.value))


def _escaped_lines(text: Any) -> str:
    return "\n".join(map(escape_text, text.split("\n")))


def named_in(formatter: logging.Formatter) -> tuple[str, ...]:
    """Return the names in a formatter's text that a record does not have of its own."""
    return tuple(name for name in _names_in(formatter) if name not in _OWN)


def _names_in(formatter: logging.Formatter) -> tuple[str, ...]:
    style = getattr(formatter, "_style", None)
    text = getattr(formatter, "_fmt", None)
    if not isinstance(text, str):
        return ()
    found: list[str] = []
    if isinstance(style, logging.StringTemplateStyle):
        matches = string.Template.pattern.finditer(text)
        found += [match["named"] or match["braced"] or "" for match in matches]
    elif isinstance(style, logging.StrFormatStyle):
        parsed = string.Formatter().parse(text)
        found += [re.split(r"[.\[]", name, maxsplit=1)[0] for _, name, _, _ in parsed if name]
    else:
        found += _PERCENT.findall(text)
    return tuple(name for name in dict.fromkeys(found) if name)


def with_context(record: logging.LogRecord, wanted: tuple[str, ...]) -> logging.LogRecord:
    """Return a copy of a record that has what is bound under the ``wanted`` names.

    A copy: an attribute without a leading underscore would show up in other people's formatters.
    """
    missing = [name for name in wanted if name not in record.__dict__]
    if not missing:
        return record
    bound = _bound(record)
    record = copy.copy(record)
    for name in missing:
        value = bound.get(name, UNBOUND)
        if value is not UNBOUND:
            value = plain({name: value}, DEFAULT_LIMITS, _redaction.is_secret)[name]
            value = escape_text(value if isinstance(value, str) else safe_str(value))
        record.__dict__[name] = value
    return record


def _bound(record: logging.LogRecord) -> dict[str, object]:
    stamp = stamp_of(record) or stamp_now()
    base = runtime.pipeline
    found: dict[str, object] = {**(stamp.provided or {}), **({} if base is None else base.resource)}
    found.update(stamp.context.values)
    call = stamp.call
    if call is not None:
        found.update(() if call.bound is None else call.bound.values)
        found.update(call.fields)
    if stamp.ids is not None:
        found[names.TRACE_ID] = stamp.ids.trace_id
        found[names.SPAN_ID] = stamp.ids.span_id
        found[names.TRACE_FLAGS] = stamp.ids.trace_flags
    return found
