"""Setup: provider, batch processor and exporter from the ``OTEL_*`` variables, as one sink."""

from __future__ import annotations

import os
import warnings
from _thread import get_ident
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.otel.delivery import EMITTING, Accounted, Ledger, Paced
from ctxlog.adapters.otel.resource import resource
from ctxlog.adapters.otel.sink import OtelSink
from ctxlog.counting import counters
from ctxlog.errors import CtxlogWarning, UsageError, choices
from ctxlog.levels import parse
from ctxlog.sinks import exits
from ctxlog.sinks.queue import QueueSink
from ctxlog.sinks.queue_levels import LevelQueueSink
from ctxlog.sinks.queue_options import QueueOptions
from ctxlog.walk import is_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxlog.sinks.sink import Sink

OPTIONS = ("level", "filter", "queue", "flush_level", "flush_seconds", "exporter")
#: Names of exporters in ``OTEL_EXPORTER_OTLP_PROTOCOL``, as entry points.
PROTOCOLS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_GROUP = "opentelemetry_logs_exporter"
#: Lines wait here, errors and warnings last to go; the SDK's own queue follows.
QUEUE = QueueOptions(policy="drop-below-level-first", retries=0, batch_lines=512)
#: Seconds without flushes on errors after one that took too long: the receiver is stuck.
REST = 10.0
_WARN_DEPTH = 4


def open_sink(given: Any, fields: Mapping[str, object]) -> Sink | None:
    """Return the sink for ``configure(otlp=…)``; ``None`` where the environment says none.

    Args:
        given: ``True`` or the options.
        fields: the process's, of its lines; its records' resource has them too.

    Raises:
        UsageError: an option cannot be what it should be, or the extra ``otel`` is not installed.
    """
    options = _options(given)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = options["exporter"] or _exporter()
    if exporter is None:
        return None
    try:
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    except ImportError as error:
        raise _not_installed(error) from error
    size = _number("OTEL_BLRP_MAX_QUEUE_SIZE", 2_048)
    ledger = Ledger(size)
    accounted: Any = Accounted(exporter, ledger, _failure())
    provider = LoggerProvider(resource=resource(fields), shutdown_on_exit=False)
    batches = BatchLogRecordProcessor(
        accounted,
        max_queue_size=size,
        max_export_batch_size=min(size, _number("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512)),
        schedule_delay_millis=_number("OTEL_BLRP_SCHEDULE_DELAY", 1_000),
    )
    paced: Any = Paced(batches, ledger)
    provider.add_log_record_processor(paced)
    inner = OtlpSink(
        provider, ledger, resource=fields, level=options["level"], accept=options["filter"]
    )
    kind = OtlpLevelQueue if options["queue"].policy == QUEUE.policy else OtlpQueue
    return kind(inner, options["queue"], options["flush_level"], options["flush_seconds"])


def _options(given: Any) -> dict[str, Any]:
    if given is not True and not is_mapping(type(given)):
        raise UsageError(f"otlp takes True, False or a mapping of options, not {given!r:.80}")
    said: dict[str, Any] = {} if given is True else dict(given)
    for name in said:
        if name not in OPTIONS:
            raise choices("otlp option", name, OPTIONS)
    queue = said.get("queue", True)
    accept = said.get("filter")
    if accept is not None and not callable(accept):
        raise UsageError(f"filter takes a callable, not {type(accept).__name__}")
    exporter = said.get("exporter")
    if exporter is not None and not callable(getattr(exporter, "export", None)):
        raise UsageError(f"exporter takes a log exporter, not {type(exporter).__name__}")
    seconds = said.get("flush_seconds", 1.0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError(f"flush_seconds takes seconds above 0, not {seconds!r:.80}")
    flush_level = said.get("flush_level")
    return {
        "level": parse(said.get("level", 0)),
        "filter": accept,
        "queue": QUEUE if queue is True else QueueOptions.of(queue),
        "flush_level": None if flush_level is None else parse(flush_level),
        "flush_seconds": float(seconds),
        "exporter": exporter,
    }


def _exporter() -> Any:
    """Return the exporter that ``OTEL_LOGS_EXPORTER`` and the protocol name; ``None`` for none."""
    from importlib.metadata import entry_points

    named = os.environ.get("OTEL_LOGS_EXPORTER", "").strip().lower() or "otlp"
    first, _, rest = named.partition(",")
    name = first.strip()
    if rest:
        _warn("OTEL_LOGS_EXPORTER", named, f"only {name!r} is used")
    if name == "none":
        return None
    if name == "otlp":
        name = _protocol()
    found = {point.name: point for point in entry_points(group=_GROUP)}
    if name == "otlp_proto_grpc" and name not in found and "otlp_proto_http" in found:
        name = "otlp_proto_http"
    if name not in found:
        if name in PROTOCOLS.values():
            raise _not_installed(None)
        _warn("OTEL_LOGS_EXPORTER", named, f"one of otlp, none, {', '.join(sorted(found))}")
        return None
    try:
        return found[name].load()()
    except ImportError as error:
        raise _not_installed(error) from error


def _protocol() -> str:
    for variable in ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        text = os.environ.get(variable, "").strip().lower()
        if text in PROTOCOLS:
            return PROTOCOLS[text]
        if text:
            _warn(variable, text, f"one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS["grpc"]


def _failure() -> Any:
    from opentelemetry.sdk._logs import export

    results: Any = export  # its name before 1.39 was another
    return (getattr(results, "LogRecordExportResult", None) or results.LogExportResult).FAILURE


def _not_installed(error: Exception | None) -> UsageError:
    why = "" if error is None else f" ({error})"
    return UsageError(f"configure(otlp=...) needs the extra: pip install 'ctxlog[otel]'{why}")


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if text.isdigit() and int(text) > 0:
        return int(text)
    if text:
        _warn(variable, text, "a whole number above 0")
    return default


def _warn(variable: str, got: str, wanted: str) -> None:
    warnings.warn(f"{variable}={got!r} is ignored: {wanted}", CtxlogWarning, stacklevel=_WARN_DEPTH)


class OtlpSink(OtelSink):
    """Lines to a provider of our own, each accounted for."""

    kind = "otlp"
    keeps_lines = False  # its own queue sees to that

    def __init__(self, provider: Any, ledger: Ledger, **options: Any) -> None:
        super().__init__(provider, **options)
        self.ledger = ledger
        self.writer = 0  # the thread that may wait for room

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return "otlp"

    def emit(self, event: Any) -> None:
        """Hand a record to the SDK, as one of ours."""
        before = EMITTING.ours, EMITTING.patient
        EMITTING.ours, EMITTING.patient = event.ours, get_ident() == self.writer
        EMITTING.admitted = False
        try:
            super().emit(event)
        except Exception:
            if not EMITTING.admitted:
                raise
            counters.add("errors.otel")  # another processor's: the record is on its way
        finally:
            EMITTING.ours, EMITTING.patient = before

    def close(self) -> None:
        """End the account: what waits is dropped, what is being sent unconfirmed."""
        self.ledger.close()


class _Queued(QueueSink):
    """What the queue before an :class:`OtlpSink` does besides: flush and stop what is behind it."""

    inner: OtlpSink

    def __init__(
        self,
        inner: OtlpSink,
        options: QueueOptions,
        flush_level: int | None,
        flush_seconds: float,
    ) -> None:
        super().__init__(inner, options)
        self._flush_level = flush_level
        self._flush_seconds = flush_seconds
        self._rest_until = 0.0
        exits.stop_at_exit(self)

    @property
    def door(self) -> str | None:
        """The door whose lines another handler exports already."""
        return self.inner.door

    @door.setter
    def door(self, door: str | None) -> None:
        """The inner sink knows, at any time."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return "otlp"

    def write_at(self, line: Any, level: int) -> None:
        """Queue a line; from the flush level on wait until it has been sent, or for so long."""
        super().write_at(line, level)
        if self._flush_level is None or level < self._flush_level:
            return
        if monotonic() < self._rest_until or get_ident() in {self.inside, self.inner.writer}:
            return
        if not self.flush(self._flush_seconds):
            counters.add("otel.flush_late")
            self._rest_until = monotonic() + REST

    def _into_sink(self, data: Any) -> None:
        self.inner.writer = get_ident()
        self.inner.noticing = self._noticing
        super()._into_sink(data)

    def _settle(self, number: int, life: int, *, failed: bool = False) -> None:
        super()._settle(number, life, failed=failed)
        self.inner.ledger.in_hand = False

    def _count_unknown(self) -> int:
        """Give up what the writer has in hand, unless the account behind has it already."""
        ledger = self.inner.ledger
        with ledger.changed:
            ledger.given_up = self._closed
            if self._hand and ledger.in_hand:
                self.settled += self._hand
                self._left -= self._hand
                self._hand = 0
                ledger.in_hand = False
        return super()._count_unknown()

    def flush(self, timeout: float | None = None) -> bool:
        """Have everything sent; ``True`` when no line waits any more, here or in the SDK."""
        end = None if timeout is None else monotonic() + timeout
        if not super().flush(timeout):
            return False
        ledger = self.inner.ledger
        ticket = ledger.ticket()
        if not ledger.passed(ticket):
            _aside(self.inner.flush, "ctxlog otlp flush", end)
        return ledger.passed(ticket)

    def stop(self, timeout: float | None = None) -> bool:
        """Have everything sent, then shut the provider down; what is not sent by then is counted."""
        ledger = self.inner.ledger
        if ledger.ending:
            return super().stop(timeout)
        end = None if timeout is None else monotonic() + timeout
        done = super().stop(timeout)
        ledger.end_admission()
        ticket = ledger.ticket()
        provider: Any = self.inner.provider
        _aside(provider.shutdown, "ctxlog otlp stop", end)
        done = ledger.passed(ticket) and done
        ledger.close()
        return done

    def counts(self) -> dict[str, int]:
        """Return the account of queue and exporter: what was logged is their sum."""
        found = super().counts()
        for name, number in self.inner.ledger.counts().items():
            found[name] = found.get(name, 0) + number
        return found


class OtlpQueue(_Queued):
    """A plain queue in front."""


class OtlpLevelQueue(_Queued, LevelQueueSink):  # pyright: ignore[reportIncompatibleVariableOverride] # `door`
    """The queue whose lesser lines make room."""


def _aside(act: Any, name: str, end: float | None) -> None:
    """Call ``act``, which keeps to no time, on a thread of its own, and wait until ``end``."""

    def run() -> None:
        try:
            act()
        except Exception:  # noqa: BLE001 - the SDK's own; the account says what was sent
            counters.add("errors.otel")

    thread = Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending: no thread is left to do it
        run()
    else:
        thread.join(None if end is None else max(0.0, end - monotonic()))
