"""Calls: what an API call is, read from its method and URL, and the ids that go with it.

>>> described("GET", "https://api/apis/apps/v1/namespaces/shop/deployments/web/scale")[
...     "k8s.api.verb"
... ]
'get'
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from copy import deepcopy
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ctxlog.carriers import inject
from ctxlog.context.snapshot import Snapshot, snapshot
from ctxlog.counting import counters
from ctxlog.ids import new_request_id
from ctxlog.levels import DEBUG, INFO
from ctxlog.logger import get_logger
from ctxlog.texts import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AUDIT_HEADER = "Audit-ID"
AUDIT_ID = "k8s.audit.id"
VERB = "k8s.api.verb"
RESOURCE = "k8s.api.resource"
NAMESPACE = "k8s.api.namespace"
NAME = "k8s.api.name"
METHOD = "http.request.method"
STATUS = "http.response.status_code"
DURATION = "duration_s"
EVENT = "api call"
#: Conflicts and throttling: what an operator is asked about first.
TOLD = frozenset({409, 429})
#: Calls whose headers were made and that have not been sent; older ones are forgotten.
MAX_PENDING = 1_024
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_CHARS = 256

_log = get_logger("ctxlog.kubernetes")


def described(method: str, url: str, query: object = None) -> dict[str, object]:
    """Return the fields of a call: verb, resource, namespace, name, as its audit event has them.

    Args:
        method: of HTTP.
        url: whole, or its path; what is before ``/api`` or ``/apis`` does not matter.
        query: the query as pairs or a mapping, where the URL has none.

    Example:
        >>> described("DELETE", "/api/v1/namespaces/shop/pods")
        {'http.request.method': 'DELETE', 'k8s.api.verb': 'deletecollection', 'k8s.api.resource': 'pods', 'k8s.api.namespace': 'shop'}
    """
    method = method.upper()[:16]
    fields: dict[str, object] = {METHOD: method}
    split = urlsplit(url)
    parts = [cut(unquote(part), _CHARS) for part in split.path.split("/") if part]
    roots = [place for place, part in enumerate(parts) if part in ("api", "apis")]
    if not roots:
        return fields
    grouped = parts[roots[0]] == "apis"
    group = parts[roots[0] + 1] if grouped and len(parts) > roots[0] + 1 else None
    rest = parts[roots[0] + (3 if grouped else 2) :]
    if not rest:
        return fields
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:  # noqa: PLR2004 - namespaces/<name>/<resource>
        namespace, rest = rest[1], rest[2:]
    resource = rest[0] if group is None else f"{rest[0]}.{group}"
    name = rest[1] if len(rest) > 1 else None
    if len(rest) > 2:  # noqa: PLR2004 - <resource>/<name>/<subresource>
        resource = f"{resource}/{rest[2]}"
    watches = _is_watch([*parse_qsl(split.query), *_pairs(query)])
    fields[VERB] = _verb(method, name, watches=watches)
    fields[RESOURCE] = resource
    if namespace is not None:
        fields[NAMESPACE] = namespace
    if name is not None:
        fields[NAME] = name
    return fields


def _verb(method: str, name: str | None, *, watches: bool) -> str:
    if method == "DELETE" and name is None:
        return "deletecollection"
    if method in _VERBS:
        return _VERBS[method]
    if watches:
        return "watch"
    return "list" if name is None else "get"


def _pairs(query: Any) -> list[tuple[object, object]]:
    try:
        return [(name, value) for name, value in getattr(query, "items", lambda: query or ())()]
    except (TypeError, ValueError):
        return []


def _is_watch(pairs: list[Any]) -> bool:
    return any(name == "watch" and str(value).lower() in ("true", "1") for name, value in pairs)


class Made(str):
    """A header's value that we have made, for one call: in other headers it is out of date."""

    __slots__ = ()


class Headers(dict[str, Any]):
    """A client's default headers, with fresh ids at each time they are read as a whole.

    Clients merge them in the caller's thread, also for calls that a pool makes: there the context
    is current. Copies are plain; ids that were merged into them elsewhere are not taken over.
    """

    def __init__(self, given: Mapping[str, Any], calls: Calls) -> None:
        super().__init__(given)
        self._calls = calls
        self._made = threading.local()

    def keys(self) -> Any:
        """Return the names, those of fresh ids included."""
        own = self.plain()
        made = self._calls.headers(set(own))
        self._made.headers = made
        return {**dict.fromkeys(own), **made}.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __getitem__(self, name: str) -> Any:
        made = getattr(self._made, "headers", None)
        if made is not None and name in made:
            return made[name]
        return super().__getitem__(name)

    def items(self) -> Any:
        """Return the pairs, those of fresh ids included."""
        return {name: self[name] for name in self.keys()}.items()

    def plain(self) -> dict[str, Any]:
        """Return the client's own headers."""
        return {name: value for name, value in super().items() if type(value) is not Made}

    copy = __copy__ = plain

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return deepcopy(self.plain(), memo)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return dict, (self.plain(),)


class Calls:
    """The calls of the clients of one library: what was asked where, and how it ended."""

    def __init__(self) -> None:
        self.active = True
        # each step on it is a single one: no lock, which what interrupts us could wait for
        self._pending: OrderedDict[str, Snapshot] = OrderedDict()

    def headers(self, taken: set[str]) -> dict[str, str]:
        """Return fresh headers for one call made here; names in ``taken`` are somebody's own."""
        if not self.active:
            return {}
        try:
            made = self.fresh(taken)
            audit = made.get(AUDIT_HEADER)
            if audit is not None:
                self._pending[audit] = snapshot()
                if len(self._pending) > MAX_PENDING:
                    self._pending.popitem(last=False)
        except Exception:  # noqa: BLE001 - the call must be made
            counters.add("errors.api_call")
            return {}
        return {name: Made(value) for name, value in made.items()}

    def fresh(self, taken: set[str]) -> dict[str, str]:
        """Return fresh headers for one call that is made and ends here."""
        made: dict[str, str] = {}
        inject(made)
        digits = new_request_id()  # a UUID's
        made[AUDIT_HEADER] = (
            f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        )
        folded = {name.lower() for name in taken}
        return {name: value for name, value in made.items() if name.lower() not in folded}

    def begin(
        self, method: str, url: str, query: object, headers: object, *, sent: bool = True
    ) -> Call | None:
        """Return a call that begins now; ``None`` when nobody wants to know.

        Args:
            method: of HTTP.
            url: whole, or its path.
            query: the query, where the URL has none.
            headers: those that were made for it.
            sent: whether they are sent: else no id of ours is the server's.
        """
        if not self.active:
            return None
        try:
            audit = _of(headers, AUDIT_HEADER)
            taken = self._pending.pop(audit, None) if audit else None
            return Call(taken or snapshot(), method, url, query, audit if sent else None)
        except Exception:  # noqa: BLE001 - the call must be made
            counters.add("errors.api_call")
            return None


class Call:
    """One call, under the context of whoever asked for it.

    Args:
        taken: that context; ``None``: the call ends in it.
        method: of HTTP.
        url: whole, or its path.
        query: the query, where the URL has none.
        audit: the id that was sent with it.
    """

    __slots__ = ("_asked", "_audit", "_snapshot", "_started")

    def __init__(
        self, taken: Snapshot | None, method: str, url: str, query: object, audit: str | None
    ) -> None:
        self._snapshot = taken
        self._asked = (method, url, query)
        self._audit = audit
        self._started = monotonic()

    def end(self, response: object = None, error: BaseException | None = None) -> None:
        """Write its line: at debug, conflicts and throttling at info. Never raises."""
        try:
            if self._snapshot is None:
                self._write(response, error)
            else:
                self._snapshot.run(self._write, response, error)
        except Exception:  # noqa: BLE001 - the call was made
            counters.add("errors.api_call")

    def _write(self, response: object, error: BaseException | None) -> None:
        answer = response if response is not None else error
        status = _first(answer, "status", "status_code")  # websocket-client's, of what was refused
        if status == 0 and error is not None:  # no answer: ApiException tells of TLS that failed so
            status, error = None, error.__context__ or error
        level = INFO if status in TOLD else DEBUG
        if not _log.is_enabled_for(level):
            return
        fields = described(*self._asked)
        audit = _of(_first(answer, "headers", "resp_headers"), AUDIT_HEADER) or self._audit
        if audit is not None:
            fields[AUDIT_ID] = audit
        if isinstance(status, int):
            fields[STATUS] = status
        if error is not None and not isinstance(status, int):
            fields["error.type"] = type(error).__qualname__
        fields[DURATION] = round(monotonic() - self._started, 6)
        _log.log(level, EVENT, **fields)


def _first(answer: object, *names: str) -> Any:
    """Return the first attribute that is there."""
    return next(
        (found for name in names if (found := getattr(answer, name, None)) is not None), None
    )


def _of(headers: Any, name: str) -> str | None:
    """Return a header's value, whatever the case of its name."""
    items = getattr(headers, "items", None)
    if items is None:
        return None
    for key, value in items():
        if isinstance(key, str) and key.lower() == name.lower():
            return cut(str(value), _CHARS)
    return None
