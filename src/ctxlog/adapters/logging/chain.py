"""Chain: a record to its finished line, for handlers and formatters that write by themselves.

It is the configured pipeline's chain, or the default one while nothing is configured, made anew
when that changes. All of one schema share what they have encoded.
"""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.logging.records import encoder_of, process
from ctxlog.context.foreign import LOGURU, STRUCTLOG
from ctxlog.context.providers import on_change
from ctxlog.context.resource import get_resource
from ctxlog.encoder import encoder_for
from ctxlog.errors import choices
from ctxlog.loading import when_loaded
from ctxlog.pipeline import Pipeline
from ctxlog.runtime import runtime
from ctxlog.schemas import SCHEMAS, Schema
from ctxlog.targets import renderer_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable


class Rendering(Pipeline):
    """A pipeline that keeps the line it has made, on the thread that made it."""

    def render_by(self, renderer: Any) -> None:
        """Set what makes the line; ``None``: JSON."""
        self._renderer = self.output.json if renderer is None else renderer
        self._kept = local()
        self.deliver = self._keep

    def _keep(
        self, event: dict[str, Any], level: int, method: str, door: str | None = None
    ) -> None:
        self._kept.line = self.output.render(self._renderer, event, method)

    def line_of(self, record: logging.LogRecord) -> bytes | str | None:
        """Return a record's line, newline included; ``None`` when a processor has dropped it."""
        kept = self._kept
        kept.line = None
        process(self, record)
        line: bytes | str | None = kept.line
        kept.line = None
        return line


class _State:
    """What all chains are made from: all of one schema share a pipeline, and what it encodes."""

    def __init__(self) -> None:
        self.base: Pipeline | None = None
        self.default: Pipeline | None = None
        self.of_schema: dict[str, Pipeline] = {}
        self.state = object()
        self.watching = False

    def change(self) -> None:
        """Let every chain be made anew at its next record."""
        self.default = None
        self.base = None
        self.of_schema = {}
        self.state = object()

    def pipeline(self) -> Pipeline:
        """Return the configured pipeline, else the default one."""
        if not self.watching:
            self.watching = True
            on_change(self.change)
            for module in (STRUCTLOG, LOGURU):
                when_loaded(module, self.change)
        base = runtime.pipeline
        if base is None:
            if self.default is None:
                self.default = Pipeline(resource=get_resource())
            base = self.default
        if base is not self.base:
            self.of_schema = {base.schema.name: base}
            self.base = base
        return base

    def under(self, schema: Schema) -> Pipeline:
        """Return the pipeline in another schema."""
        base = self.pipeline()
        found = self.of_schema.get(schema.name)
        if found is None:
            found = self.of_schema[schema.name] = _under(base, schema)
        return found


#: What chains are made from now; they compare ``state`` by identity.
current = _State()


class Chain:
    """What a handler or a formatter makes its lines with.

    Args:
        renderer: as in ``configure``.
        schema: as in ``configure``; ``None``: the configured one.

    Raises:
        UsageError: there is no such renderer or schema.
    """

    def __init__(self, renderer: Any, schema: str | None) -> None:
        if schema is not None and (type(schema) is not str or schema not in SCHEMAS):
            raise choices("schema", schema, tuple(SCHEMAS))
        self._wanted = renderer
        self._schema = schema
        self.base: Pipeline | None = None
        self.state: object = None
        self.fast: Callable[[logging.LogRecord], bytes | None] = _nothing
        self.full: Callable[[logging.LogRecord], bytes | str | None] = _nothing
        self.pipeline = current.pipeline()
        self.aim(None)

    def aim(self, stream: Any) -> None:
        """Make lines for ``stream`` from now on: ``auto`` looks at it."""
        self._stream = stream
        self.renew()

    def renew(self) -> None:
        """Make everything anew: what it was made from has changed."""
        base = current.pipeline()
        schema = base.schema if self._schema is None else SCHEMAS[self._schema]
        under = current.under(schema)
        encoder = encoder_for(under)
        own = object.__new__(Rendering)
        own.__dict__.update(under.__dict__)
        own._set_parts(())
        renderer = renderer_of(self._wanted, self._stream, base.limits, schema)
        own.render_by(renderer)
        self.pipeline = own
        self.full = own.line_of
        if renderer is None:
            self.fast = encoder_of(own, encoder)
        else:
            self.fast = _nothing
        self.base, self.state = runtime.pipeline, current.state

    def line_of(self, record: logging.LogRecord) -> bytes | str | None:
        """Return a record's line, newline included; ``None`` when a processor has dropped it."""
        if self.base is not runtime.pipeline or self.state is not current.state:
            self.renew()
        return self.fast(record) or self.full(record)


def _under(base: Pipeline, schema: Schema) -> Pipeline:
    other = Pipeline(
        processors=base.processors,
        redaction=base.redaction,
        limits=base.limits,
        schema=schema,
        resource=base.resource,
        strict=base.strict,
        reads_foreign=base.reads_foreign,
    )
    other.callsite = base.callsite
    return other


def _nothing(_: logging.LogRecord) -> None:
    return None
