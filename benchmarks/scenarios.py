"""What is measured: groups of cases. The cases of one group are measured interleaved."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from benchmarks.contender import Body, Processor

LOGGER = "bench"
CALL: Mapping[str, object] = {"event": "accepted", "items": 3, "user": "bob", "ok": True}
CONTEXT: Mapping[str, object] = {
    "request_id": "r-1", "tenant": "acme", "region": "eu", "attempt": 1,
}  # fmt: skip
#: Lines of a case that is over when all of them are written.
BURST = 500
WRITERS = ("floor", "structlog", "ctxlog")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table: the call, what is bound around it, and the line it must give.

    ``line`` is without timestamp, level and logger; None: nothing must be written.
    ``calls`` is how many calls one turn of the loop makes.
    ``fast`` says that no line of it may leave ctxlog's fast path.
    """

    key: str
    title: str
    body: Body
    line: Mapping[str, object] = field(default_factory=dict)
    level: str = "info"
    writes: bool = True
    context: Mapping[str, object] = field(default_factory=dict)
    bound: Mapping[str, object] = field(default_factory=dict)
    foreign: int = 0
    span: bool = False
    calls: int = 1
    fast: bool = False
    contenders: tuple[str, ...] = WRITERS
    against: str = "structlog"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cases that share a configuration and are measured together."""

    key: str
    cases: tuple[Case, ...]
    processors: tuple[Processor, ...] = ()
    exceptions: bool = False
    buffered: bool = False

    @property
    def spans(self) -> bool:
        """Whether lines of its cases carry the ids of the current span."""
        return any(case.span for case in self.cases)


def nothing() -> None:
    """Be called."""


def idle(_: Any, times: int) -> None:
    """Stand for a body that each contender has of its own."""
    raise NotImplementedError


def numbered(count: int) -> dict[str, object]:
    """Return ``count`` fields, text and numbers in turn."""
    return {f"field_{n}": n if n % 2 else f"value-{n}" for n in range(count)}


def tag(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Be the user's processor."""
    event["zone"] = "b"
    return event


# Disabled calls cost less than a turn of the loop: five a turn.


def disabled(log: Any, times: int) -> None:
    """Call below the level."""
    for _ in repeat(None, times):
        log.debug("accepted")
        log.debug("accepted")
        log.debug("accepted")
        log.debug("accepted")
        log.debug("accepted")


def disabled_three(log: Any, times: int) -> None:
    """Call below the level, with fields."""
    for _ in repeat(None, times):
        log.debug("accepted", items=3, user="bob", ok=True)
        log.debug("accepted", items=3, user="bob", ok=True)
        log.debug("accepted", items=3, user="bob", ok=True)
        log.debug("accepted", items=3, user="bob", ok=True)
        log.debug("accepted", items=3, user="bob", ok=True)


def bare(log: Any, times: int) -> None:
    """Write a line without fields."""
    for _ in repeat(None, times):
        log.info("accepted")


def three(log: Any, times: int) -> None:
    """Write a line with three fields."""
    for _ in repeat(None, times):
        log.info("accepted", items=3, user="bob", ok=True)


def burst(log: Any, times: int) -> None:
    """Write many lines; they are written when the call returns."""
    for _ in repeat(None, times):
        for _ in repeat(None, BURST):
            log.info("accepted", items=3, user="bob", ok=True)


def text(log: Any, times: int) -> None:
    """Write text that is not ASCII."""
    for _ in repeat(None, times):
        log.info("accepted", items=3, user="Zoë Größe", ok=True)


def nested(log: Any, times: int) -> None:
    """Write a nested value."""
    for _ in repeat(None, times):
        log.info("accepted", items={"a": [1, 2], "b": {"c": "d"}}, user="bob", ok=True)


def arguments(log: Any, times: int) -> None:
    """Write with positional arguments."""
    for _ in repeat(None, times):
        log.info("accepted %d of %s", 3, "bob", ok=True)


def twice(log: Any, times: int) -> None:
    """Write a name that the context has too."""
    for _ in repeat(None, times):
        log.info("accepted", items=3, user="bob", request_id="r-2")


def url(log: Any, times: int) -> None:
    """Write a URL."""
    for _ in repeat(None, times):
        log.info("accepted", items=3, url="https://example.org/orders?page=2", ok=True)


def find() -> None:
    """Be the outermost of some frames."""
    load()


def load() -> None:
    """Be a frame."""
    query()


def query() -> None:
    """Be a frame."""
    fetch()


def fetch() -> None:
    """Fail."""
    message = "no such order"
    raise ValueError(message)


def exception(log: Any, times: int) -> None:
    """Write an exception while it is handled."""
    try:
        find()
    except ValueError:
        for _ in repeat(None, times):
            log.exception("failed", order=7)


def exc_info(log: Any, times: int) -> None:
    """Write an exception that is passed."""
    try:
        find()
    except ValueError as raised:
        for _ in repeat(None, times):
            log.info("accepted", items=3, user="bob", ok=True, exc_info=raised)


#: The span of the cases that have one, and the fields it is on the line as.
SPAN = SpanContext(0x1, 0x2, is_remote=False, trace_flags=TraceFlags(1))
SPAN_IDS: Mapping[str, object] = {
    "trace_id": f"{SPAN.trace_id:032x}",
    "span_id": f"{SPAN.span_id:016x}",
    "trace_flags": f"{SPAN.trace_flags:02x}",
}
RAISED: Mapping[str, object] = {"exception": "ValueError: no such order", "frames": 5}
_EXCEPTION = ("structlog", "structlog dicts", "ctxlog")
_CARRY = ("stdlib", "ctxlog")


def _bound(count: int) -> Case:
    return Case(
        key=f"bound_{count}", title=f"{count} fields in the context", body=three, fast=True,
        context=numbered(count), line={**CALL, **numbered(count)},
    )  # fmt: skip


def _foreign(count: int) -> Case:
    return Case(
        key=f"foreign_{count}", title=f"{count} foreign ContextVars", body=three, fast=True,
        foreign=count, context=CONTEXT, line={**CALL, **CONTEXT},
        contenders=("structlog", "ctxlog"),
    )  # fmt: skip


def _slow(key: str, title: str, body: Body, line: Mapping[str, object]) -> Case:
    return Case(key=key, title=title, body=body, context=CONTEXT, line={**CONTEXT, **line})


GROUPS: tuple[Group, ...] = (
    Group(key="disabled", cases=(
        Case(key="disabled", title="disabled level, bare", body=disabled, writes=False, calls=5,
             contenders=("stdlib", "structlog", "ctxlog"), against="stdlib"),
        Case(key="disabled_three", title="disabled level, 3 fields", body=disabled_three,
             writes=False, calls=5, contenders=("stdlib", "structlog", "ctxlog"),
             against="stdlib"),
    )),
    Group(key="lines", cases=(
        Case(key="bare", title="no fields", body=bare, line={"event": "accepted"}, fast=True),
        Case(key="headline", title="**3 fields, 4 in the context**", body=three, context=CONTEXT,
             line={**CALL, **CONTEXT}, fast=True,
             contenders=("floor", "structlog", "structlog again", "structlog bound", "ctxlog")),
        Case(key="accumulated", title="10 fields bound to the logger", body=bare,
             bound=numbered(10), line={"event": "accepted", **numbered(10)}, fast=True),
        Case(key="scope_line", title="a scope of 4 fields, and one line in it", body=idle,
             line={**CALL, **CONTEXT}, contenders=("structlog", "ctxlog")),
    )),
    Group(key="span", cases=(
        Case(key="span", title="3 fields, 4 in the context, a current span", body=three, span=True,
             context=CONTEXT, line={**CALL, **CONTEXT, **SPAN_IDS}, fast=True),
    )),
    Group(key="buffered", buffered=True, cases=(
        Case(key="buffered", title="3 fields, 4 in the context, into a buffered file", body=three,
             context=CONTEXT, line={**CALL, **CONTEXT}, fast=True,
             contenders=("structlog", "ctxlog")),
    )),
    Group(key="bound", cases=tuple(_bound(count) for count in (0, 4, 16, 64))),
    Group(key="foreign", cases=tuple(_foreign(count) for count in (0, 50, 200))),
    Group(key="exceptions", exceptions=True, cases=(
        Case(key="exception", title="`log.exception`, 5 frames", body=exception, level="error",
             line={"event": "failed", "order": 7, **RAISED}, contenders=_EXCEPTION),
        Case(key="exc_info", title="`exc_info=error`, 3 fields, 4 in the context", body=exc_info,
             context=CONTEXT, line={**CALL, **CONTEXT, **RAISED}, contenders=_EXCEPTION),
    )),
    Group(key="ordinary", cases=(
        _slow("text", "text that is not ASCII", text, {**CALL, "user": "Zoë Größe"}),
        _slow("nested", "a nested value", nested, {**CALL, "items": {"a": [1, 2], "b": {"c": "d"}}}),
        _slow("arguments", "`%` arguments", arguments, {"event": "accepted 3 of bob", "ok": True}),
        _slow("twice", "a name bound twice", twice,
              {"event": "accepted", "items": 3, "user": "bob", "request_id": "r-2"}),
        _slow("url", "a URL", url,
              {"event": "accepted", "items": 3, "url": "https://example.org/orders?page=2",
               "ok": True}),
    )),
    Group(key="processor", processors=(tag,), cases=(
        _slow("processor", "one processor of the user's", three, {**CALL, "zone": "b"}),
    )),
    Group(key="through_stdlib", cases=(
        Case(key="stdlib_three", title="through `logging`: 3 fields, 4 in the context", body=idle,
             context=CONTEXT, line={**CALL, **CONTEXT}, fast=True,
             contenders=("ctxlog.Handler", "python-json-logger"), against="python-json-logger"),
    )),
    Group(key="carry", cases=(
        Case(key="snapshot", title="a snapshot (`copy_context()`)", body=idle, writes=False,
             context=CONTEXT, contenders=_CARRY, against="stdlib"),
        Case(key="wrap", title="`wrap` and call (`copy_context().run`), all libraries loaded",
             body=idle, writes=False,
             context=CONTEXT, contenders=_CARRY, against="stdlib"),
        Case(key="scope", title="a scope in and out (`bound_contextvars`)", body=idle,
             writes=False, context=CONTEXT, contenders=("structlog", "ctxlog")),
    )),
    Group(key="drained", cases=(
        Case(key="drained", title=f"{BURST} such lines, until all are written", body=burst,
             calls=BURST, context=CONTEXT, line={**CALL, **CONTEXT},
             contenders=("structlog", "ctxlog queue", "rapidlog")),
    )),
    Group(key="whole", cases=(
        Case(key="whole", title="3 fields, 4 in the context; ctxlog with every door open",
             body=three, context=CONTEXT, line={**CALL, **CONTEXT}, fast=True,
             contenders=("structlog", "ctxlog whole")),
    )),
    # last: loguru, once loaded, is looked at by every snapshot
    Group(key="rivals", cases=(
        Case(key="rivals_three", title="3 fields, 4 in the context: others", body=three,
             context=CONTEXT, line={**CALL, **CONTEXT},
             contenders=("structlog", "ctxlog", "loguru", "eliot")),
    )),
)  # fmt: skip
