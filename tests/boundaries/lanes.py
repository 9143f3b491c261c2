"""Lanes: how each library binds, reads, and goes across. Each runs in a process of its own.

Nothing of ctxlog is imported for the other libraries' lanes: its fork hook would empty their
contexts too, which is not what their users have.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import functools
import importlib
import json
import multiprocessing
import multiprocessing.pool
import queue
import threading
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

NOTHING = "-"
VAR: ContextVar[Any] = ContextVar("boundaries", default=NOTHING)


def kept(function: Any) -> Any:
    """What a lane does whose library has no way: nothing."""
    return function


class Lane:
    """Plain Python: a ContextVar, and the standard library as it is."""

    name = "plain Python"

    def __init__(self) -> None:
        self.Thread: Any = threading.Thread
        self.Timer: Any = threading.Timer
        self.start_new_thread: Any = _thread.start_new_thread
        self.ThreadPoolExecutor: Any = concurrent.futures.ThreadPoolExecutor
        self.ProcessPoolExecutor: Any = concurrent.futures.ProcessPoolExecutor
        self.ThreadPool: Any = multiprocessing.pool.ThreadPool
        self.Pool: Any = multiprocessing.pool.Pool
        self.Queue: Any = queue.Queue
        self.AsyncQueue: Any = asyncio.Queue
        self.wrap: Callable[[Any], Any] = kept  # a callback
        self.job: Callable[[Any], Any] = kept  # what is handed to anybody's pool
        self.executor: Callable[[Any], Any] = kept  # anybody's executor
        self.light: Callable[[Any], Any] = kept  # a greenlet
        self.steps: Callable[[Any], Any] = kept  # somebody's generator
        self.asteps: Callable[[Any], Any] = kept
        self.detached: Callable[..., Any] = lambda function, *args: function(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return lane, (self.name,)

    def start(self) -> None:
        """Do what an application of this lane does at its start."""

    @contextlib.contextmanager
    def bind(self, value: Any) -> Generator[None]:
        """Bind for a block, as this library's users do."""
        token = VAR.set(value)
        try:
            yield
        finally:
            VAR.reset(token)

    def bind_loose(self, value: Any) -> None:
        """Bind until somebody takes it back."""
        VAR.set(value)

    def read(self) -> Any:
        """What a line written here and now would have."""
        return VAR.get()

    def capture(self) -> Callable[..., Any]:
        """A runner under the context of now, for several threads."""
        return copy_context().run

    def entry(self, value: Any) -> Any:
        """A piece of work comes in, with its id."""
        return self.bind(value)

    @contextlib.contextmanager
    def received(self, jobs: Any) -> Generator[Any]:
        """Take an item and work on it."""
        yield jobs.get(timeout=10)

    @contextlib.asynccontextmanager
    async def areceived(self, jobs: Any) -> AsyncGenerator[Any]:
        """Take an item and work on it."""
        yield await jobs.get()

    def decorated(self, function: Any) -> Any:
        """A coroutine function that keeps what it binds to itself."""
        return function

    def process(self, method: str) -> Any:
        """The class of processes of a start method."""
        context: Any = multiprocessing.get_context(method)
        return context.Process

    def environ(self) -> dict[str, str] | None:
        """The environment for a child."""
        return None

    child = "print('-')"  # what the child does to read it


class Structlog(Lane):
    """structlog's contextvars."""

    name = "structlog contextvars"

    @contextlib.contextmanager
    def bind(self, value: Any) -> Generator[None]:
        """With bound_contextvars."""
        from structlog.contextvars import bound_contextvars

        with bound_contextvars(request=value):
            yield

    def bind_loose(self, value: Any) -> None:
        """With bind_contextvars."""
        from structlog.contextvars import bind_contextvars

        bind_contextvars(request=value)

    def read(self) -> Any:
        """With merge_contextvars, as its processor chain does."""
        from structlog.contextvars import merge_contextvars

        return merge_contextvars(None, "info", {}).get("request", NOTHING)

    def entry(self, value: Any) -> Any:
        """With clear_contextvars first, as its documentation says."""
        from structlog.contextvars import clear_contextvars

        clear_contextvars()
        return self.bind(value)


class Loguru(Lane):
    """loguru's contextualize."""

    name = "loguru contextualize"

    def bind(self, value: Any) -> Any:
        """With contextualize."""
        from loguru import logger

        return logger.contextualize(request=value)

    def bind_loose(self, value: Any) -> None:
        """Entered and never left: it has nothing else."""
        self.bind(value).__enter__()

    def read(self) -> Any:
        """By logging a line."""
        from loguru import logger

        lines: list[Any] = []
        sink = logger.add(lines.append, format="{message}")
        try:
            logger.info("probe")
        finally:
            logger.remove(sink)
        return lines[-1].record["extra"].get("request", NOTHING)

    def start(self) -> None:
        """No lines on the terminal."""
        from loguru import logger

        logger.remove()


class OpenTelemetry(Lane):
    """OpenTelemetry's context, with its threading instrumentation."""

    name = "OpenTelemetry threading"

    def start(self) -> None:
        """Instrument."""
        from opentelemetry.instrumentation.threading import ThreadingInstrumentor

        ThreadingInstrumentor().instrument()

    @contextlib.contextmanager
    def bind(self, value: Any) -> Generator[None]:
        """With a value of its context, as a span is."""
        from opentelemetry import context

        token = context.attach(context.set_value("request", value))
        try:
            yield
        finally:
            context.detach(token)

    def bind_loose(self, value: Any) -> None:
        """Attached and never detached."""
        from opentelemetry import context

        context.attach(context.set_value("request", value))

    def read(self) -> Any:
        """From its current context."""
        from opentelemetry import context

        return context.get_value("request") or NOTHING

    def entry(self, value: Any) -> Any:
        """From an empty context, as its server instrumentations start."""
        from opentelemetry import context

        @contextlib.contextmanager
        def attached() -> Generator[None]:
            token = context.attach(context.set_value("request", value, context.Context()))
            try:
                yield
            finally:
                context.detach(token)

        return attached()


class _Lines(threading.local):
    last = "{}"

    def write(self, line: Any) -> None:
        self.last = line

    def flush(self) -> None:
        """Nothing to do."""


LINES = _Lines()


@functools.cache
def _logger() -> Any:
    """Configured once in each process that reads."""
    import ctxlog

    ctxlog.configure(stream=LINES, renderer="json")
    return ctxlog.get_logger("boundaries")


class Installed(Lane):
    """ctxlog, the standard library patched by install(), and no other change."""

    name = "ctxlog installed"

    def start(self) -> None:
        """Install."""
        from ctxlog.propagation import install

        importlib.import_module("gevent")  # so that it is patched too
        _logger()
        install()

    def bind(self, value: Any) -> Any:
        """With a scope."""
        import ctxlog

        return ctxlog.scope(request=value)

    def bind_loose(self, value: Any) -> None:
        """Without a scope of its own."""
        import ctxlog

        ctxlog.bind_context(request=value)

    def read(self) -> Any:
        """By logging a line and reading it."""
        _logger().info("probe")
        return json.loads(LINES.last).get("request", NOTHING)

    def capture(self) -> Callable[..., Any]:
        """A snapshot."""
        import ctxlog

        taken = ctxlog.snapshot()
        return taken.run

    def entry(self, value: Any) -> Any:
        """An entry."""
        import ctxlog

        return ctxlog.entry(request=value)

    def decorated(self, function: Any) -> Any:
        """With a scope as a decorator."""
        import ctxlog

        return ctxlog.scope()(function)


class Explicit(Installed):
    """ctxlog, by the ways across that one calls for."""

    name = "ctxlog explicit"

    def __init__(self) -> None:
        super().__init__()
        import ctxlog
        from ctxlog.propagation import (
            executors,
            generators,
            greenlets,
            jobs,
            pools,
            queues,
            run_detached,
            threads,
        )

        self.Thread, self.Timer = threads.Thread, threads.Timer
        self.start_new_thread = threads.start_new_thread
        self.ThreadPoolExecutor = executors.ThreadPoolExecutor
        self.ProcessPoolExecutor = executors.ProcessPoolExecutor
        self.ThreadPool, self.Pool = pools.ThreadPool, pools.Pool
        self.Queue, self.AsyncQueue = queues.Queue, queues.AsyncQueue
        self.wrap = ctxlog.wrap
        self.job = jobs.job
        self.executor = executors.wrap_executor
        self.light = greenlets.carry
        self.steps, self.asteps = generators.carried, generators.carried_async
        self.detached = run_detached

    def start(self) -> None:
        """Configure, patch nothing."""
        _logger()

    @contextlib.contextmanager
    def received(self, jobs: Any) -> Generator[Any]:
        """Take an item with its context."""
        with jobs.receive(timeout=10) as item:
            yield item

    @contextlib.asynccontextmanager
    async def areceived(self, jobs: Any) -> AsyncGenerator[Any]:
        """Take an item with its context."""
        with await jobs.receive() as item:
            yield item

    def process(self, method: str) -> Any:
        """Our class of processes."""
        from ctxlog.propagation import processes

        return processes.get_context(method).Process

    def environ(self) -> dict[str, str] | None:
        """With the context of now."""
        from ctxlog.propagation import processes

        return processes.environ()

    child = (
        "import ctxlog\n"
        "with ctxlog.Snapshot.from_environ().scope():\n"
        "    print(ctxlog.get_context().get('request', '-'))"
    )


LANES: tuple[type[Lane], ...] = (Lane, Structlog, Loguru, OpenTelemetry, Explicit, Installed)
OURS = (Explicit.name, Installed.name)


@functools.cache
def lane(name: str) -> Lane:
    """The lane of a name, the same within a process."""
    return next(kind for kind in LANES if kind.name == name)()
