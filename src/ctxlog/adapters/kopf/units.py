"""Units: what a handler's run is known by, read from kopf's causes. Never raises."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import kopf

from ctxlog.context.accessors import enter_carried
from ctxlog.context.fields import CURRENT, EMPTY, ROOT, Fields, Frame, back_to, frame_of, leave
from ctxlog.context.raised import remember_own
from ctxlog.context.snapshot import snapshot
from ctxlog.context.spans import ACCESSOR, ids_in, live_context
from ctxlog.entries import entry
from ctxlog.kubernetes.identity import NAME, NAMESPACE, RESOURCE_VERSION, UID, identify
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
from ctxlog.operations import SUCCESS
from ctxlog.texts import NAME_CHARS, cut, safe_str

if TYPE_CHECKING:
    from typing import Self

    from ctxlog.context.accessors import Carried
    from ctxlog.context.snapshot import Snapshot

#: Where a daemon's cause keeps the context that it was spawned under.
ORIGIN = "_ctxlog_origin"
RETRIED = "retry"
INDEX = "index"
#: What a webhook's ``AdmissionError`` is: an answer, not a failure.
REFUSED = "refused"
ADMISSION_UID = "k8s.admission.uid"
ADMISSION_CODE = "k8s.admission.code"
ADMISSION_MESSAGE = "k8s.admission.message"
#: What an event's cycle has for a body when it is over.
GONE = object()
#: The closing line's event of what handles no object: start-up, cleanup, logins, probes.
ACTIVITY = "activity"


def told(cause: Any, handler: Any, retry: object) -> dict[str, object]:
    """Return the fields of one run: the object's identity, handler, reason, retry."""
    body = getattr(cause, "body", None)
    fields = {} if body is None else identify(body, kind=_kind(getattr(cause, "resource", None)))
    return _run_of(fields, cause, handler, retry)


def _run_of(
    fields: dict[str, object], cause: Any, handler: Any, retry: object
) -> dict[str, object]:
    """Add to the fields of an object which run of which handler it is."""
    name = getattr(handler, "id", None)
    fields[HANDLER] = None if name is None else str(name)[:NAME_CHARS] or None
    reason = reason_of(cause, handler)
    if reason is not None:
        fields[REASON] = reason
    if isinstance(retry, int):
        fields[RETRY] = retry
    return fields


def reason_of(cause: Any, handler: Any) -> str | None:
    """Return why a handler runs."""
    reason = getattr(cause, "reason", None)
    if reason is not None and not hasattr(cause, "webhook"):  # nearly always: a change
        return _text(reason)
    if hasattr(cause, "event"):
        return _text(getattr(cause, "type", None)) or "listed"
    if hasattr(cause, "activity"):
        return _text(cause.activity)
    if hasattr(cause, "webhook"):
        return _text(getattr(handler, "reason", None)) or "webhook"
    if hasattr(cause, "stopper"):
        return "timer" if hasattr(handler, "interval") else "daemon"
    return INDEX if getattr(cause, "body", None) is not None else None


def _text(value: object) -> str | None:
    """Return the text of an enum's member, or of a text; `value` itself costs ten times as much."""
    return None if value is None else str(getattr(value, "_value_", value)).lower()[:256] or None


def _kind(resource: Any) -> str | None:
    kind = getattr(resource, "kind", None)
    return kind if isinstance(kind, str) else None


class _Opened(entry):
    """An entry that handlers go on with: its fields are known before it is entered."""

    __slots__ = ("carried", "fields")

    fields: Fields
    carried: Carried

    def __enter__(self) -> Self:
        CURRENT.set(Frame(self.fields, CURRENT.get(), self, enter_carried(self.carried)))
        return self


class Review(_Opened):
    """The block that the answer to an admission request is, with the API server's id of it."""

    __slots__ = ()

    def __init__(self, request: Any, headers: Any) -> None:
        asked = request["request"]
        body = asked.get("object")
        bound = identify(asked.get("oldObject") if body is None else body)
        bound[RECONCILE_ID] = new_reconcile_id()
        uid = asked.get("uid")
        if isinstance(uid, str):
            bound[ADMISSION_UID] = cut(uid, NAME_CHARS)
        self._fill(bound, _lower(headers), None, "auto")
        self.fields, self.carried = self.open(EMPTY)

    def handles(self, _body: Any) -> bool:
        """Say that what is handled in it is what was asked about."""
        return True


class Cycle(_Opened):
    """The block that the handling of one event is: kopf's own lines are written in it.

    An entry that is a new trace, or the annotation's: never that of what the operator was started
    under.

    Attributes:
        body: the object as it was sent, while the event is handled.
    """

    __slots__ = ("body",)

    def __init__(self, raw_event: Any, resource: Any, annotation: str | None) -> None:
        body = raw_event.get("object")
        bound = identify(body, kind=_kind(resource))
        bound[RECONCILE_ID] = new_reconcile_id()
        inbound = None if annotation is None else _annotated(body, annotation)
        self.body = body
        self._fill(bound, inbound, None, "new" if inbound is None else "auto")
        self.fields, self.carried = self.open(EMPTY)

    def handles(self, body: Any) -> bool:
        """Say whether this is the object of the cycle's event, as it was then."""
        if getattr(body, "_src", None) is self.body:  # kopf's view of it: nearly always
            return True
        mine = self.fields.values
        try:
            metadata = body["metadata"]
            uid = metadata.get("uid")
            return bool(
                uid == mine.get(UID)
                and metadata.get("resourceVersion") == mine.get(RESOURCE_VERSION)
                # kinds without a uid exist
                and (
                    uid is not None
                    or (metadata.get("name"), metadata.get("namespace"))
                    == (mine.get(NAME), mine.get(NAMESPACE))
                )
            )
        except (AttributeError, KeyError, TypeError):  # no metadata, or none that is a mapping
            return False


class Handling(Unit):
    """One run of a handler: the block that it and kopf's own lines of it are in, and its operation.

    Attributes:
        running: whether kopf has called the function. Until then there is nothing to close.
        outcome: what kopf makes of it: of sub-handlers that have to run again, of a temporary error.
    """

    __slots__ = ("_carried", "_entry", "_fields", "_first", "_last", "_quiet", "_temporary",
                 "outcome", "running")  # fmt: skip

    def __init__(
        self,
        fields: Fields,
        carried: Carried,
        handler: Any,
        name: str = EVENT,
        opened: entry | None = None,
    ) -> None:
        self._fill(name, _module_of(handler))
        self._fields, self._carried, self._entry = fields, carried, opened
        # indexers run for every object there is: the closing line of a success is at debug
        self._quiet = fields.values.get(REASON) == INDEX
        self._first = self._last = ROOT  # its frame as it began, and as the function left it
        self.running = False
        self.outcome: Any = None
        self._temporary: BaseException | None = None

    def __enter__(self) -> Self:
        # as Unit does, in one piece: each event comes by
        below = CURRENT.get()
        undo = enter_carried(self._carried)
        mine = self._begin(self._fields)
        span = None if self._work is None else self._work.span
        if span is not None:
            undo = (*undo, *span.enter())
        self._first = Frame(mine, below, self, undo)
        CURRENT.set(self._first)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self.running:
            if self._last is not ROOT:
                back_to(self._last)  # the closing line has what the function bound
            left = getattr(self.outcome, "exception", None) if error is None else error
            self.ended(left if self._temporary is None else self._temporary)
        elif self._work is not None:
            self._work.drop()
        frame = CURRENT.get()
        if frame.owner is self and not frame.undo and frame.parent is not None:
            CURRENT.set(frame.parent)  # as leave() would, without the call
        else:
            leave(self)
        # they held us: else only the collector would free it all
        self._first = self._last = ROOT
        self._temporary = self.outcome = None
        if self._entry is not None:
            self._entry.ended(error)

    def returned(self) -> None:
        """The function has returned: its time ends, what it has bound goes; sub-handlers follow."""
        if self._work is not None:
            self._work.finished = monotonic()
        if CURRENT.get() is not self._first:  # it has bound something, or left something open
            self._last = frame_of(self) or ROOT
            back_to(self._first)

    def failed(self, error: BaseException) -> None:
        """The function has raised: the closing line is written now, if its outcome is known."""
        remember_own(error, self)
        if issubclass(type(error), kopf.TemporaryError):  # whether it is tried again, kopf says
            self._temporary = error
            self.returned()
            return
        if self._work is not None and issubclass(type(error), kopf.AdmissionError):
            self._work.facts[ADMISSION_CODE] = _code_of(error)
            self._work.facts[ADMISSION_MESSAGE] = safe_str(error)
        self.ended(error)
        back_to(self._first)

    def judge(self, error: BaseException | None) -> tuple[str, int, BaseException | None]:
        """Return what kopf makes of an error: a retry is no failure."""
        if error is None:
            return SUCCESS, DEBUG if self._quiet else INFO, None
        kind = type(error)  # other libraries have errors of these names
        if issubclass(kind, kopf.AdmissionError):
            return REFUSED, INFO, None
        if issubclass(kind, kopf.TemporaryError):
            if kind.__name__ == "HandlerChildrenRetry":  # kopf's own, and private
                return RETRIED, INFO, None
            if not getattr(self.outcome, "final", False):
                return RETRIED, WARNING, error
        outcome, level, shown = super().judge(error)
        return outcome, DEBUG if self._quiet and level == INFO else level, shown


def _code_of(error: Any) -> Any:
    try:
        return error.code
    except Exception:  # noqa: BLE001 - somebody's own property
        return None


def _module_of(handler: Any) -> str:
    function: Any = getattr(handler, "fn", None)
    while issubclass(type(function), partial):  # not by its attribute: a mock has any
        function = function.func
    module = getattr(function, "__module__", None)
    return module if isinstance(module, str) else "kopf"


def opened_here() -> Cycle | Review | None:
    """Return the event's cycle, or the admission request, that this is part of."""
    frame: Frame | None = CURRENT.get()
    while frame is not None:
        owner: Any = frame.owner
        if type(owner) is Cycle or type(owner) is Review:
            return owner
        frame = frame.parent
    return None


def handling_of(cause: Any, handler: Any, retry: object, annotation: str | None) -> Handling:
    """Return the block that one run of a handler is.

    Inside of an event's cycle, or of an admission request, it goes on with that one's ids; what
    others have bound in it does not show, a live span stays current. A daemon's or timer's run, and
    what has no cycle, is a new root; linked, where it was spawned by somebody.
    """
    daemon = hasattr(cause, "stopper")
    headers = getattr(cause, "headers", None)
    body = getattr(cause, "body", None)
    if not daemon and body is not None:
        opened: Any = CURRENT.get().owner
        if type(opened) is not Cycle:  # something was opened in it, or it is a webhook's
            opened = opened_here()
        if type(opened) is (Cycle if headers is None else Review) and opened.handles(body):
            values = _run_of(opened.fields.values.copy(), cause, handler, retry)
            context = live_context()
            if context is None:
                return Handling(Fields(values, opened.fields.ids), opened.carried, handler)
            ids = ids_in(context) or opened.fields.ids
            return Handling(Fields(values, ids), ((ACCESSOR, context),), handler)
    fields = told(cause, handler, retry)
    fields[RECONCILE_ID] = new_reconcile_id()
    if headers is not None:  # an admission request: its own ids
        own = entry(_lower(headers), fields)
    elif daemon:
        origin: Snapshot | None = getattr(cause, ORIGIN, None)
        own = entry(None, fields, link=origin or snapshot(), trace="new")
    else:
        own = entry.of(fields, None if annotation is None else _annotated(body, annotation))
    name = ACTIVITY if body is None else EVENT
    return Handling(*own.open(EMPTY), handler, name, own)


def entry_of_daemon(cause: Any, handler: Any) -> entry:
    """Return the entry that a daemon's or timer's whole life is, and let its runs link to here."""
    origin = snapshot()
    setattr(cause, ORIGIN, origin)
    return entry(None, told(cause, handler, None), link=origin, trace="new")


def _annotated(body: Any, annotation: str) -> dict[str, str] | None:
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
