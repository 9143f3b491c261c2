"""Exchange: one request of the web and its answer. What the ASGI and the WSGI middleware share.

An entry from the request's headers, the id to send back, and one closing line. The line is written
when the application is through with the request, whatever was annotated in it until then; its
``duration_s`` ends with the last piece of the response.
"""

from __future__ import annotations

import sys
from _thread import RLock
from time import monotonic
from typing import TYPE_CHECKING

from ctxlog.context.fields import CURRENT, Fields, Frame, frame_of
from ctxlog.context.raised import remember
from ctxlog.context.snapshot import Snapshot
from ctxlog.context.spans import is_remote, server_ids
from ctxlog.counting import counters
from ctxlog.entries import AUTO, entry
from ctxlog.freezing import freeze_fields
from ctxlog.ids import valid_request_id
from ctxlog.levels import DEBUG, ERROR, INFO
from ctxlog.names import REQUEST_ID
from ctxlog.operations import CANCELLED, FAILED, SUCCESS, Held, Work, _outcome
from ctxlog.runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from ctxlog.adapters.around import Options
    from ctxlog.context.accessors import Carried
    from ctxlog.ids import TraceIds
    from ctxlog.logger import BoundLogger

METHOD, PATH, ROUTE = "http.request.method", "url.path", "http.route"
STATUS = "http.response.status_code"
CLOSE_CODE = "websocket.close_code"
#: The client left before it had the whole response.
DISCONNECTED = "disconnected"
#: Where the middleware leaves the request's snapshot: in the ASGI scope, in the WSGI environ.
KEY = "ctxlog"
MAX_PATH = 1_024
MAX_METHOD = 32
SERVER_ERROR = 500
#: What all of OpenTelemetry's instrumentations of servers and frameworks stand on.
_INSTRUMENTATIONS = ("opentelemetry.instrumentation.wsgi", "opentelemetry.instrumentation.asgi")
_modules = sys.modules


class Asked(Work):
    """The work that a request asks for; annotations go to it."""

    __slots__ = ("_log", "error")

    def __init__(self, event: str, log: BoundLogger, facts: dict[str, object]) -> None:
        self.name = event  # as Work's own, without the call: each request comes by
        self.logger = log.name
        self.deadline = None
        self.started = monotonic()
        self.finished = None
        self.ended = False
        self.under = None
        self.span = None
        self._annotated = {}
        self._lock = RLock()
        self._log = log
        self.facts = facts
        #: What the framework turned into a response.
        self.error: BaseException | None = None

    def write(self, level: int, fields: dict[str, Any]) -> None:
        """Write the closing line; that the level is on has been looked up."""
        runtime.emit(self._log, level, self.name, (), fields)


class Taken(Snapshot):
    """The request's context, for whoever stands outside of it: a server's own error handler."""

    __slots__ = ("open",)

    #: The request is being answered.
    open: bool


class Exchange(entry):
    """The entry of one request, with a closing line."""

    __slots__ = ("_options", "_spanned", "answered", "instrumented", "request_id", "taken", "work")

    taken: Taken
    #: Which protocol it came in by.
    door = ""

    def __init__(
        self, options: Options, taken: Snapshot, request: Any, facts: dict[str, object]
    ) -> None:
        bound: Mapping[str, object] | None = None
        if options.fields is not None:
            try:
                bound = freeze_fields(options.fields(request), {})
            except Exception:  # noqa: BLE001 - the request goes on without them
                counters.add("errors.web")
        super().__init__(taken, bound, trace=options.trace)
        self._options = options
        self.request_id: str | None = None
        self._spanned: TraceIds | None = None
        self.instrumented = False  # a server's span of OpenTelemetry's may begin inside
        self.answered = False  # a WebSocket's handshake: no status of 500 comes after it
        self.work = Asked(options.event or "", options.log, facts)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Return the entry's fields, with this exchange as what annotations go to."""
        fields, carried = super().open(below)
        if _INSTRUMENTATIONS[0] in _modules or _INSTRUMENTATIONS[1] in _modules:
            self.instrumented = True
            if carried and self._trace == AUTO and is_remote(carried[0][1]):
                carried = ()  # it makes a server's span, of the caller's headers, where none is
        self.taken = Taken(fields, carried)
        self.taken.open = True
        request_id = fields.values[REQUEST_ID]
        if type(request_id) is str and (not self._bound or valid_request_id(request_id)):
            self.request_id = request_id  # the entry has checked it, or made it
        if self._options.event is None:
            return fields, carried
        self.work.under = fields
        return Fields(fields.values, fields.ids, Held(self.work)), carried

    def note_span(self) -> None:
        """Take note of the span that the response begins in: the closing line is of its trace."""
        ids = server_ids()
        if ids is not None and self._spanned is None:
            self._spanned = ids

    def close(self, request: Any, outcome: str | None, error: BaseException | None) -> None:
        """Write the closing line, once, and leave the entry.

        Args:
            request: the scope, the environ.
            outcome: as far as the connection tells; ``None``: as what has left the application says.
            error: what has left the application.
        """
        frame = frame_of(self)
        if self._options.event is not None:
            try:
                if frame is CURRENT.get() and self._spanned is None:
                    self._say(request, outcome, error)
                else:  # closed elsewhere, or something in it was left open: never under that
                    fields = self.taken.fields if frame is None else frame.fields
                    if self._spanned is not None:
                        fields = Fields(fields.values, self._spanned, fields.operation)
                    own = Snapshot(fields, self.taken.carried)
                    own.run(self._say, request, outcome, error)
            except Exception:  # noqa: BLE001 - the response must not suffer
                counters.add("errors.web")
        if error is not None and frame is None:
            remember(error, self.taken.fields)
        self.__exit__(None if error is None else type(error), error, None)

    def _say(self, request: Any, outcome: str | None, error: BaseException | None) -> None:
        work = self.work
        facts = work.facts
        if outcome is None:
            outcome = SUCCESS if error is None else _left_by(error)
        if outcome is not CANCELLED and (error is None or outcome is not DISCONNECTED):
            status: Any = facts.get(STATUS)
            answered = self.answered or CLOSE_CODE in facts
            if status is None and outcome is FAILED and not answered:
                status = facts[STATUS] = SERVER_ERROR  # what the server now answers by itself
            if isinstance(status, int) and status >= SERVER_ERROR:  # an HTTPStatus is one
                outcome = FAILED
                error = error or work.error
        options = self._options
        if outcome is FAILED:
            level = ERROR
        else:
            error = None
            level = DEBUG if options.quiet and facts.get(PATH) in options.quiet else INFO
        if not options.log.is_enabled_for(level):
            work.ended = True
            return
        if ROUTE not in facts:
            self.find_route(request)
        work.end(outcome, error, level)

    def find_route(self, request: Any) -> None:
        """Ask for the template of the request's route."""
        try:
            route = self._options.route(request)
        except Exception:  # noqa: BLE001 - a function of the application's
            counters.add("errors.web")
            return
        if isinstance(route, str):
            self.work.facts[ROUTE] = route

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.taken.open = False
        work = self.work
        work.under = None  # ended: whatever holds its context has nothing to close
        if error is not None or work.error is not None:
            work.error = None  # its frames hold the request, which would hold it
            work.facts = {}
        super().__exit__(kind, error, traceback)


def _left_by(error: BaseException) -> str:
    """Return how a request went that this has left."""
    if isinstance(error, StopIteration | StopAsyncIteration):
        return FAILED  # nobody iterates over a request: it is a mistake like any other
    outcome, _ = _outcome(error)
    return CANCELLED if outcome is SUCCESS else outcome  # stopped: its task thrown away, an exit


def of_here() -> Exchange | None:
    """Return the exchange that this context is in, the innermost, if there is one."""
    frame: Frame | None = CURRENT.get()
    while frame is not None:
        if isinstance(frame.owner, Exchange):
            return frame.owner
        frame = frame.parent
    return None


def under_way(place: Mapping[str, Any], facts: dict[str, object], door: str) -> bool:
    """Return whether this request is being answered already: one of ours is around it.

    Through the same protocol its snapshot is in the scope, or the environ. A bridge to the other
    protocol makes a new one of those, and only the context comes through.
    """
    if KEY in place:
        return getattr(place[KEY], "open", True)
    around = of_here()
    return (
        around is not None
        and around.door != door
        and around.taken.open
        and around.work.facts.get(PATH) == facts.get(PATH)
        and around.work.facts.get(METHOD) == facts.get(METHOD)
    )


def _work_of_here() -> Asked | None:
    """Return what this context's request asks for, while it is answered."""
    around = of_here()
    if around is not None:
        return around.work if around.taken.open else None
    held = CURRENT.get().fields.operation  # a snapshot came here, and no frame
    work = held.work if isinstance(held, Held) else None
    return work if isinstance(work, Asked) and not work.ended else None


def failed(error: BaseException) -> None:
    """Tell the exchange of this context what a framework turned into a response.

    It is on the closing line if that response says 500 or above.
    """
    work = _work_of_here()
    if work is not None:
        work.error = error


def routed(path: str) -> None:
    """Tell the exchange of this context the template that a framework has chosen."""
    work = _work_of_here()
    if work is not None:
        work.facts[ROUTE] = path


def spanned() -> None:
    """Tell the exchange of this context that its response is made in the span that is current."""
    around = of_here()
    if around is not None and around.instrumented:
        around.note_span()


def facts_of(method: object, path: object) -> dict[str, object]:
    """Return what a request says of itself, no longer than a line bears."""
    facts: dict[str, object] = {}
    if type(method) is str:
        facts[METHOD] = method[:MAX_METHOD]
    if type(path) is str:
        facts[PATH] = path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}…"
    return facts


def ended_now(work: Work) -> None:
    """The last piece of the response is out: the duration ends here."""
    if work.finished is None:
        work.finished = monotonic()
