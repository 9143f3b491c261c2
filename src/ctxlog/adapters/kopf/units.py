"""Units: what a handler's run is known by, read from kopf's causes. Never raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog.context.accessors import enter_carried
from ctxlog.context.fields import CURRENT, EMPTY, Frame, leave
from ctxlog.context.snapshot import Snapshot, snapshot
from ctxlog.entries import entry
from ctxlog.kubernetes.identity import RESOURCE_VERSION, UID, identify
from ctxlog.kubernetes.reconcile import (
    EVENT,
    HANDLER,
    REASON,
    RECONCILE_ID,
    RETRY,
    Unit,
    new_reconcile_id,
)
from ctxlog.levels import DEBUG, INFO, WARNING

if TYPE_CHECKING:
    from typing import Self

#: Where a daemon's cause keeps the context that it was spawned under.
ORIGIN = "_ctxlog_origin"
RETRIED = "retry"
#: The closing line's event of what handles no object: start-up, cleanup, logins, probes.
ACTIVITY = "activity"


def told(cause: Any, handler: Any, retry: object) -> dict[str, object]:
    """Return the fields of one run: the object's identity, handler, reason, retry."""
    body = getattr(cause, "body", None)
    fields = {} if body is None else _known(body) or identify(
        body, kind=_kind(getattr(cause, "resource", None))
    )  # fmt: skip
    fields[HANDLER] = _text(getattr(handler, "id", None))
    reason = reason_of(cause, handler)
    if reason is not None:
        fields[REASON] = reason
    if isinstance(retry, int):
        fields[RETRY] = retry
    return fields


def _known(body: Any) -> dict[str, object] | None:
    """Return the identity that the event's cycle has found, if it is this object's."""
    bound = CURRENT.get().fields.values
    if UID not in bound or RECONCILE_ID not in bound:
        return None
    try:
        metadata = body["metadata"]
        if metadata["uid"] != bound[UID] or metadata["resourceVersion"] != bound[RESOURCE_VERSION]:
            return None
    except (KeyError, TypeError):
        return None
    return {name: value for name, value in bound.items() if name.startswith("k8s.object.")}


def reason_of(cause: Any, handler: Any) -> str | None:
    """Return why a handler runs."""
    if hasattr(cause, "activity"):
        return _text(cause.activity)
    if hasattr(cause, "webhook"):
        return _text(getattr(handler, "reason", None)) or "webhook"
    if hasattr(cause, "stopper"):
        return "timer" if hasattr(handler, "interval") else "daemon"
    if hasattr(cause, "event"):
        return _text(getattr(cause, "type", None)) or "listed"
    if hasattr(cause, "reason"):
        return _text(cause.reason)
    return "index" if getattr(cause, "body", None) is not None else None


def _text(value: object) -> str | None:
    return None if value is None else str(getattr(value, "value", value)).lower()[:256] or None


def _kind(resource: Any) -> str | None:
    kind = getattr(resource, "kind", None)
    return kind if isinstance(kind, str) else None


def entry_of(cause: Any, handler: Any, retry: object, annotation: str | None) -> entry:
    """Return the entry that one run of a handler is.

    Inside of an event's cycle it goes on with the cycle's ids. A daemon's or timer's run, and what
    has no cycle, is a new root; linked, where it was spawned by somebody.
    """
    fields = told(cause, handler, retry)
    headers = getattr(cause, "headers", None)
    if headers is not None:  # an admission request: its own ids
        fields[RECONCILE_ID] = new_reconcile_id()
        return entry(_lower(headers), fields)
    if hasattr(cause, "stopper"):
        origin: Snapshot | None = getattr(cause, ORIGIN, None)
        fields[RECONCILE_ID] = new_reconcile_id()
        return entry(None, fields, link=origin or snapshot(), trace="new")
    current = CURRENT.get().fields
    if RECONCILE_ID in current.values:  # an event's cycle: its ids go on
        fields[RECONCILE_ID] = current.values[RECONCILE_ID]
        return entry.of(fields, Snapshot(current))
    fields[RECONCILE_ID] = new_reconcile_id()
    return entry.of(fields, _annotated(getattr(cause, "body", None), annotation))


class Cycle:
    """The block that the handling of one event is: kopf's own lines are written in it.

    An entry that is a new trace, or the annotation's: never that of what the operator was started
    under.
    """

    __slots__ = ("_carried", "_fields")

    def __init__(self, raw_event: Any, resource: Any, annotation: str | None) -> None:
        body = raw_event.get("object")
        fields = identify(body, kind=_kind(resource))
        fields[RECONCILE_ID] = new_reconcile_id()
        inbound = _annotated(body, annotation)
        fresh = entry.of(fields, inbound, trace="new" if inbound is None else "auto")
        self._fields, self._carried = fresh.open(EMPTY)

    def __enter__(self) -> Self:
        CURRENT.set(Frame(self._fields, CURRENT.get(), self, enter_carried(self._carried)))
        return self

    def __exit__(self, *_: object) -> None:
        leave(self)


def entry_of_daemon(cause: Any, handler: Any) -> entry:
    """Return the entry that a daemon's or timer's whole life is, and let its runs link to here."""
    origin = snapshot()
    setattr(cause, ORIGIN, origin)
    return entry(None, told(cause, handler, None), link=origin, trace="new")


def _annotated(body: Any, annotation: str | None) -> dict[str, str] | None:
    if annotation is None or body is None:
        return None
    try:
        value = body["metadata"]["annotations"][annotation]
    except (KeyError, TypeError):
        return None
    return {"traceparent": value} if isinstance(value, str) else None


def _lower(headers: Any) -> dict[str, str]:
    try:
        return {str(name).lower(): str(value) for name, value in headers.items()}
    except Exception:  # noqa: BLE001 - then the request has no ids of its own
        return {}


class Run(Unit):
    """The operation that one run of a handler is; kopf's own errors are outcomes of their own."""

    __slots__ = ("_quiet",)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._quiet = False

    def quiet(self, *, quiet: bool) -> Self:
        """Write the closing line of a success at debug: indexers run for every object there is."""
        self._quiet = quiet
        return self

    def judge(self, error: BaseException | None) -> tuple[str, int, BaseException | None]:
        """Return what kopf makes of an error: a retry is no failure."""
        if error is not None:
            kinds = {kind.__name__ for kind in type(error).__mro__}
            if "HandlerChildrenRetry" in kinds:
                return RETRIED, INFO, None
            if "TemporaryError" in kinds:
                return RETRIED, WARNING, error
        outcome, level, shown = super().judge(error)
        return outcome, DEBUG if self._quiet and level == INFO else level, shown


def run_of(function: Any, cause: Any) -> Run:
    """Return the operation for one run of a handler's function."""
    while hasattr(function, "func"):  # partials
        function = function.func
    module = getattr(function, "__module__", None)
    name = ACTIVITY if getattr(cause, "body", None) is None else EVENT
    run = Run(name)
    run.named(module if isinstance(module, str) else "kopf")
    return run.quiet(quiet=reason_of(cause, None) == "index")
