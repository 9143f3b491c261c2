"""Exchange: one request of the web and its answer. What the ASGI and the WSGI middleware share.

An entry from the request's headers, the id to send back, and one closing line. The line is written
when the application is through with the request, whatever was annotated in it until then; its
``duration_s`` ends with the last piece of the response.
"""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic
from typing import TYPE_CHECKING

from ctxlog.context.fields import CURRENT, Fields, frame_of
from ctxlog.context.snapshot import Snapshot
from ctxlog.counting import counters
from ctxlog.entries import AUTO, KEEP, NEW, entry
from ctxlog.errors import UsageError, choices
from ctxlog.ids import valid_request_id
from ctxlog.levels import DEBUG, ERROR, INFO
from ctxlog.logger import get_logger
from ctxlog.names import REQUEST_ID
from ctxlog.operations import FAILED, SUCCESS, Held, Work, _outcome
from ctxlog.runtime import runtime
from ctxlog.values import freeze_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any, Literal

    from ctxlog.context.accessors import Carried
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
_TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Options:
    """What both middlewares take, checked once."""

    __slots__ = ("event", "fields", "header", "log", "quiet", "route", "trace")

    def __init__(  # noqa: PLR0913 - all of them are options
        self,
        *,
        event: str | None,
        header: str | None,
        fields: Callable[[Any], Mapping[str, object]] | None,
        route: Callable[[Any], str | None],
        quiet: Iterable[str],
        trace: Literal["auto", "keep", "new"],
        logger: str,
    ) -> None:
        if trace not in (AUTO, KEEP, NEW):
            raise choices("trace", trace, (AUTO, KEEP, NEW))
        if header is not None and (type(header) is not str or not header or header.strip(_TCHAR)):
            raise UsageError(f"header takes the name of an HTTP header or None, not {header!r}")
        if isinstance(quiet, str | bytes):
            raise UsageError(f"quiet takes a collection of paths, such as [{quiet!r}]")
        for name, function in (("fields", fields or str), ("route", route)):
            if not callable(function):
                raise UsageError(f"{name} takes a function of the request")
        for name, text in (("event", event), ("logger", logger)):
            if not isinstance(text, str) and (name, text) != ("event", None):
                raise UsageError(f"{name} is text, not {type(text).__name__}")
        self.event = event
        self.header = header.lower() if header is not None else None
        self.fields = fields
        self.route = route
        self.quiet = frozenset(quiet)
        self.trace: Literal["auto", "keep", "new"] = trace
        self.log = get_logger(logger)


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
        self._lock = allocate_lock()
        self._log = log
        self.facts = facts
        #: What the framework turned into a response.
        self.error: BaseException | None = None

    def write(self, level: int, fields: dict[str, Any]) -> None:
        """Write the closing line; that the level is on has been looked up."""
        runtime.emit(self._log, level, self.name, (), fields)


class Exchange(entry):
    """The entry of one request, with a closing line."""

    __slots__ = ("_options", "answered", "request_id", "taken", "work")

    #: The request's context, for whoever stands outside of it: a server's own error handler.
    taken: Snapshot

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
        self.answered = False  # a WebSocket's handshake: no status of 500 comes after it
        self.work = Asked(options.event or "", options.log, facts)

    def open(self, below: Fields) -> tuple[Fields, Carried]:
        """Return the entry's fields, with this exchange as what annotations go to."""
        fields, carried = super().open(below)
        self.taken = Snapshot(fields, carried)
        request_id = fields.values[REQUEST_ID]
        if type(request_id) is str and (not self._bound or valid_request_id(request_id)):
            self.request_id = request_id  # the entry has checked it, or made it
        if self._options.event is None:
            return fields, carried
        self.work.under = fields
        return Fields(fields.values, fields.ids, Held(self.work)), carried

    def close(self, request: Any, outcome: str, error: BaseException | None) -> None:
        """Write the closing line, once, and leave the entry."""
        if self._options.event is not None:
            try:
                frame = CURRENT.get()
                if frame.owner is self:
                    self._say(request, outcome, error)
                else:  # closed elsewhere, or something in it was left open: never under that
                    own = frame_of(self)
                    under = self.taken if own is None else Snapshot(own.fields, self.taken.carried)
                    under.run(self._say, request, outcome, error)
            except Exception:  # noqa: BLE001 - the response must not suffer
                counters.add("errors.web")
        self.__exit__(None if error is None else type(error), error, None)

    def _say(self, request: Any, outcome: str, error: BaseException | None) -> None:
        work = self.work
        facts = work.facts
        if error is not None and outcome is SUCCESS:
            outcome, _ = _outcome(error)
        if outcome is FAILED or outcome is SUCCESS:
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
        self.work.under = None  # ended: whatever holds its context has nothing to close
        super().__exit__(kind, error, traceback)


def failed(error: BaseException) -> None:
    """Tell the exchange of this context what a framework turned into a response.

    It is on the closing line if that response says 500 or above.
    """
    held = CURRENT.get().fields.operation
    if isinstance(held, Held) and isinstance(held.work, Asked):
        held.work.error = error


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
