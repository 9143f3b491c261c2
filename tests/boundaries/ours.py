"""Our lanes: by the explicit ways, and with the standard library patched."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import queue
import threading
import types
from typing import TYPE_CHECKING, Any

from tests.boundaries.lane import NOTHING, Lane, listening, named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator


class _Lines(threading.local):
    last = "{}"
    closing = "{}"

    def write(self, line: Any) -> None:
        self.last = line
        if json.loads(line)["event"] in {"request", "unit"}:
            self.closing = line

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
        return self._line().get("request", NOTHING)

    def _line(self) -> Any:
        _logger().info("probe")
        return json.loads(LINES.last)

    def value(self) -> Any:
        """From the context's fields."""
        import ctxlog

        return ctxlog.get_context()["request"]

    def bind_process(self, value: Any) -> None:
        """As the resource."""
        import ctxlog

        ctxlog.configure(stream=LINES, renderer="json", resource={"service.name": value})

    def read_process(self) -> Any:
        """By logging a line and reading it."""
        return self._line().get("service.name", NOTHING)

    def incoming(self, name: str) -> Any:
        """An entry from the header."""
        import ctxlog

        return ctxlog.entry({"x-request-id": name})

    def read_id(self) -> Any:
        """By logging a line and reading it."""
        return self._line().get("request_id", NOTHING)

    @contextlib.contextmanager
    def listener(self) -> Generator[Callable[[], Any]]:
        """With our handler behind the queue."""
        import ctxlog

        made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stream = types.SimpleNamespace(write=made.put, flush=lambda: None)
        with listening(ctxlog.Handler(stream, renderer="json")) as log:

            def crossing() -> Any:
                log.warning("probe")
                return json.loads(made.get(timeout=10)).get("request", NOTHING)

            yield crossing

    @contextlib.contextmanager
    def background(self, out: Any) -> Generator[Callable[[str], Any]]:
        """With a queue in front of a sink."""
        import ctxlog

        log = ctxlog.get_logger("boundaries")
        sink = ctxlog.add_sink(out, queue=True)
        try:
            yield log.info
        finally:
            ctxlog.remove_sink(sink)

    def capture(self) -> Callable[..., Any]:
        """A snapshot."""
        import ctxlog

        taken = ctxlog.snapshot()
        return taken.run

    def entry(self, value: Any) -> Any:
        """An entry."""
        import ctxlog

        return ctxlog.entry(request=value)

    def request(self, name: str | None) -> Any:
        """An entry in any case."""
        import ctxlog

        return ctxlog.entry() if name is None else ctxlog.entry(request=name)

    def read_raised(self, error: BaseException) -> Any:
        """By logging it and reading the line."""
        _logger().error("probe", exc_info=error)
        return json.loads(LINES.last).get("request", NOTHING)

    def decorated(self, function: Any) -> Any:
        """With a scope as a decorator."""
        import ctxlog

        return ctxlog.scope()(function)


def _fields(scope: Any) -> dict[str, object]:
    name = named(scope)
    return {} if name is None else {"request": name}


def _on_the_loop(function: Callable[[], Any]) -> Any:
    """A dependency that FastAPI calls where it calls the endpoint, and not in a thread."""

    async def dependency() -> Any:
        return function()

    return dependency


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
        self.dependency = _on_the_loop

    def asgi(self, app: Any) -> Any:
        """The ASGI middleware."""
        from ctxlog.adapters.asgi import Middleware

        return Middleware(app, fields=_fields)

    def starlette(self, app: Any) -> Any:
        """The ASGI middleware, where the handler of errors is inside of it."""
        from ctxlog.adapters.starlette import install

        return install(app, fields=_fields)

    def wsgi(self, app: Any) -> Any:
        """The WSGI middleware."""
        from ctxlog.adapters.wsgi import Middleware

        def of(environ: Any) -> dict[str, object]:
            name = environ.get("HTTP_X_REQUEST_ID")
            return {} if name is None else {"request": name}

        return Middleware(app, fields=of)

    def unit(self) -> Any:
        """An operation."""
        import ctxlog

        return ctxlog.operation("unit")

    def tell(self, value: Any) -> None:
        """With annotate."""
        import ctxlog

        ctxlog.annotate(request=value)

    def told(self) -> Any:
        """From the closing line."""
        return json.loads(LINES.closing).get("request", NOTHING)

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

    @contextlib.contextmanager
    def listener(self) -> Generator[Callable[[], Any]]:
        """With records stamped where they are made."""
        import ctxlog

        with ctxlog.stamp_records(), super().listener() as crossing:
            yield crossing

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
