"""What tests of the pipeline share: lines read strictly, and a configuration that goes again."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ctxlog
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.runtime import runtime
from tests.strategies import CONTROLS

if TYPE_CHECKING:
    from collections.abc import Generator

    from ctxlog.sinks.sink import Sink

#: What acts on a terminal or splits lines, if it is written as it is; the last two write backwards.
ACTIVE = frozenset(
    map(chr, [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)])
)
assert ACTIVE & set(CONTROLS)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object, if it has no key twice."""
    keys = [key for key, _ in pairs]
    assert sorted(set(keys)) == sorted(keys), f"a key twice: {keys}"
    return dict(pairs)


def parse_line(line: bytes, most: int = DEFAULT_LIMITS.line_bytes) -> dict[str, Any]:
    """Return one line's event; it must be a valid line by every rule that holds for all."""
    assert line.endswith(b"\n")
    text = line[:-1].decode()
    assert set() == ACTIVE & set(text)
    assert len(line) - 1 <= most
    event: dict[str, Any] = json.loads(text, object_pairs_hook=once, parse_constant=_refuse)
    return event


def _refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


def parse_lines(data: bytes) -> list[dict[str, Any]]:
    """Return the events of whole lines."""
    return [parse_line(line) for line in data.splitlines(keepends=True)]


class Written(io.BytesIO):
    """A binary stream, and what was written to it as events."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line as an event."""
        return parse_lines(self.getvalue())

    @property
    def event(self) -> dict[str, Any]:
        """The only line as an event."""
        (event,) = self.events
        return event


@contextmanager
def configured(stream: Any = None, **options: Any) -> Generator[Written]:
    """Configure JSON to a stream in memory for a block."""
    written = Written()
    options.setdefault("level", 0)
    options.setdefault("stdlib", False)  # asyncio's own debug lines are not what is looked at
    if "sinks" not in options:
        options["stream"] = written if stream is None else stream
    options.setdefault("renderer", "json")
    ctxlog.configure(**options)
    try:
        yield written
    finally:
        ctxlog.shutdown()


def only_sink() -> Sink:
    """Return the only sink there is."""
    assert runtime.pipeline is not None
    (sink,) = runtime.pipeline.sinks
    return sink


@contextmanager
def moved(*names: str) -> Generator[dict[str, int]]:
    """Give, after a block, by how much these counters moved in it."""
    before = ctxlog.counters()
    by: dict[str, int] = {}
    yield by
    after = ctxlog.counters()
    for name in names or after.keys():
        by[name] = after.get(name, 0) - before.get(name, 0)
