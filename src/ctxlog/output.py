"""Output: a clean event to every sink, rendered once per renderer, whatever of that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxlog import names
from ctxlog.counting import counters
from ctxlog.limits import fit
from ctxlog.renderers.foreign import copied, drawn
from ctxlog.renderers.json import JsonRenderer, encode
from ctxlog.schemas import OTEL, OVERHEAD, Schema
from ctxlog.sinks import last_resort
from ctxlog.sinks.last_resort import noted, said
from ctxlog.texts import safe_repr

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxlog.processors import Clean
    from ctxlog.sinks.sink import Sink


class Output:
    """The sinks of one configuration.

    Args:
        sinks: where lines go.
        clean: makes an event fit for a renderer; its limits are the lines'.
        strict: raise what is otherwise guarded.
        schema: the names of JSON.
    """

    def __init__(
        self, sinks: tuple[Sink, ...], clean: Clean, *, strict: bool, schema: Schema = OTEL
    ) -> None:
        self.sinks = sinks
        self.json = JsonRenderer(clean.limits, schema)
        self._encode = self.json.render if schema.renames else encode
        self._spare = OVERHEAD if schema.renames else 0
        self.limits = clean.limits
        self.strict = strict
        self._cleaned = clean.cleaned
        self._ordinary = clean.ordinary
        self._room = min(clean.limits.value_bytes, clean.limits.line_bytes)
        self._filtered = any(sink.accept is not None for sink in sinks)
        self._targets = tuple(
            (
                sink,
                sink.level,
                sink.wants_event,
                sink.copies,
                self.json if sink.renderer is None else sink.renderer,
            )
            for sink in sinks
        )
        #: Whether every sink takes our JSON, of any event.
        self.takes_json = not any(
            sink.wants_event or sink.accept is not None or sink.renderer is not None
            for sink in sinks
        )
        self._direct: tuple[tuple[int, Callable[..., None], bool, Sink], ...] = ()
        if self.takes_json:
            self._direct = tuple(
                (
                    sink.level,
                    sink.write_at if sink.wants_level else sink.write,
                    sink.wants_level,
                    sink,
                )
                for sink in sinks
            )

    def put(self, event: dict[str, Any], level: int, door: str | None) -> bool:
        """Write an ordinary event to every sink; ``False``: it has to be cleaned and delivered.

        It is encoded before it is looked at: its JSON tells at once that no value is too long.
        """
        if not self._direct:
            return False
        try:
            if not self._ordinary(event):
                return False
            line = self._encode(event)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - a class whose hash raises, 2**64, a lone surrogate
            return False
        if len(line) > self._room:
            return False
        line += b"\n"
        for threshold, write, wants_level, sink in self._direct:
            if level < threshold or (door is not None and sink.door == door):
                continue
            try:
                if wants_level:
                    write(line, level)
                else:
                    write(line)
            except Exception as error:  # noqa: BLE001 - the other sinks still get the line
                self.sink_failed(sink, line, error, event)
        return True

    def deliver(
        self, event: dict[str, Any], level: int, method: str, door: str | None = None
    ) -> None:
        """Render a clean event once per renderer and hand it to every sink that wants it."""
        refusing: set[int] = set()
        if self._filtered:
            refusing, event = self._filter(event, level)
        rendered: dict[int, bytes | str] = {}
        for sink, threshold, wants_event, copies, renderer in self._targets:
            if level < threshold or id(sink) in refusing:
                continue
            if door is not None and sink.door == door:
                continue
            line: Any = None
            if not wants_event:
                line = rendered.get(id(renderer)) if rendered else None
                if line is None:
                    line = rendered[id(renderer)] = self.render(renderer, event, method)
            try:
                if wants_event:
                    line = sink.take(event if copies else copied(event), level)
                    if line is None:
                        continue
                sink.write_at(line, level)
            except Exception as error:  # noqa: BLE001 - the other sinks still get the line
                self.sink_failed(sink, line, error, event)

    def _filter(self, event: dict[str, Any], level: int) -> tuple[set[int], dict[str, Any]]:
        """Ask every filter before anything is written: what fails is said on the line."""
        refusing = set()
        notes = []
        for sink in self.sinks:
            if sink.accept is None or level < sink.level:
                continue
            try:
                if not sink.accept(copied(event)):
                    refusing.add(id(sink))
            except Exception as error:  # a filter that fails lets the line through
                if self.strict:
                    raise
                counters.add("errors.filter")
                notes.append(said(f"filter of {sink.name}", error))
        return refusing, noted(event, *notes) if notes else event

    def render(self, renderer: Any, event: dict[str, Any], method: str) -> bytes | str:
        """Return the finished line, newline included; JSON when the renderer fails."""
        try:
            if renderer is self.json:
                data = self._encode(event)
                if len(data) <= self.limits.line_bytes:
                    return data + b"\n"
                return self._fitted(event, data, self.json.render)
            own = getattr(renderer, "render", None)

            def draw(event: dict[str, Any]) -> bytes | str:
                return own(event) if own else drawn(renderer, event, method)

            return self._fitted(event, draw(event), draw)
        except Exception as error:
            if self.strict:
                raise
            if renderer is not self.json:
                counters.add("errors.renderer")
                event = noted(event, said(f"renderer {called(renderer)}", error))
            event = self._cleaned(event)  # a processor's keys may be no exact text
            return self._fitted(event, self._encode(event), self.json.render)

    def _fitted(
        self,
        event: dict[str, Any],
        line: bytes | str,
        draw: Callable[[dict[str, Any]], bytes | str],
    ) -> bytes | str:
        """Return the line and its newline, cut until it fits."""
        most = self.limits.line_bytes
        for _ in range(3):  # other renderers may need more room than JSON
            size = len(line if isinstance(line, bytes) or line.isascii() else line.encode())
            if size <= most:
                return line + b"\n" if isinstance(line, bytes) else line + "\n"
            event = fit(event, size + self._spare, self.limits, names.KEPT)
            line = draw(event)
        size = len(line if isinstance(line, bytes) else line.encode())
        if size > most:
            line = self._encode(fit(event, most + self._spare, self.limits, names.KEPT))
        return line + b"\n" if isinstance(line, bytes) else line + "\n"

    def sink_failed(
        self,
        sink: Sink,
        line: object,
        error: Exception,
        event: dict[str, Any] | None = None,
    ) -> None:
        """Count a sink's failure and take the line where it still can go."""
        if self.strict:
            raise error
        sink.count_failure()
        last_resort.rescue(sink.name, line, error, sink.target_stream, event)


def called(part: object) -> str:
    """Return what a part is called in notes.

    Example:
        >>> called(len), called(JsonRenderer())
        ('len', 'JsonRenderer')
    """
    try:
        name = getattr(part, "__qualname__", None) or type(part).__qualname__
        return name if isinstance(name, str) else safe_repr(part, 100)
    except Exception:  # noqa: BLE001 - a proxy may do anything
        return "?"
