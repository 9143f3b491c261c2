"""A lane: how one library's users bind, read, and go across. This one is plain Python's."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import logging
import logging.handlers
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


def named(scope: Any) -> str | None:
    """The name in a request's header, if there is one."""
    found = dict(scope["headers"]).get(b"x-request-id")
    return None if found is None else found.decode()


class _Told(logging.Handler):
    """A handler that tells a function."""

    def __init__(self, tell: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self.emit = tell  # type: ignore[method-assign, assignment]


@contextlib.contextmanager
def listening(handler: logging.Handler) -> Generator[logging.Logger]:
    """A logger whose records a handler gets on a listener's thread."""
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    logger = logging.Logger("boundaries.listener")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, handler)
    listener.start()
    try:
        yield logger
    finally:
        listener.stop()


class Lane:
    """Plain Python: a ContextVar, and the standard library as it is."""

    name = "plain Python"

    def __init__(self) -> None:
        self.closing: Any = NOTHING
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
        self.dependency: Callable[[Any], Any] = kept  # what FastAPI calls before an endpoint
        self.detached: Callable[..., Any] = lambda function, *args: function(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        from tests.boundaries.lanes import lane

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

    def value(self) -> Any:
        """What is bound, as this library's users get at it."""
        return self.read()

    def bind_process(self, value: Any) -> None:
        """Say once what holds for the whole process: where a program has no context, a global."""
        self.process_wide = value

    def read_process(self) -> Any:
        """What of that a line written here and now would have."""
        return self.process_wide

    def incoming(self, name: str) -> Any:
        """A request comes in with a header that names it."""
        return self.bind(name)

    def read_id(self) -> Any:
        """The id that a line written here and now would have."""
        return self.read()

    @contextlib.contextmanager
    def listener(self) -> Generator[Callable[[], Any]]:
        """Log through a queue of ``logging``: what the line has that its listener makes."""
        made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with listening(_Told(lambda _: made.put(self.read()))) as log:

            def crossing() -> Any:
                log.warning("probe")
                return made.get(timeout=10)

            yield crossing

    @contextlib.contextmanager
    def background(self, out: Any) -> Generator[Callable[[str], Any]]:
        """A function that logs a line, which a thread of the background writes to a file."""
        with listening(logging.StreamHandler(out)) as log:
            yield log.warning

    def capture(self) -> Callable[..., Any]:
        """A runner under the context of now, for several threads."""
        return copy_context().run

    def entry(self, value: Any) -> Any:
        """A piece of work comes in, with its id."""
        return self.bind(value)

    def request(self, name: str | None) -> Any:
        """A request of the web comes in, with a header that names it or without."""
        return contextlib.nullcontext() if name is None else self.entry(name)

    def asgi(self, app: Any) -> Any:
        """An application and the middleware that this lane's users have around it."""

        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            with self.request(named(scope)):
                await app(scope, receive, send)
                self.closing = self.read()

        return middleware

    def starlette(self, app: Any) -> Any:
        """A Starlette or FastAPI application with that middleware."""
        app.add_middleware(self.asgi)
        return app

    def wsgi(self, app: Any) -> Any:
        """A WSGI application and the middleware around it."""

        def middleware(environ: Any, start: Any) -> Any:
            with self.request(environ.get("HTTP_X_REQUEST_ID")):
                return app(environ, start)

        return middleware

    @contextlib.contextmanager
    def unit(self) -> Generator[None]:
        """A unit of work, with a line at its end."""
        yield
        self.closing = self.read()

    def tell(self, value: Any) -> None:
        """A part of a unit of work says what its closing line shall have."""
        self.bind_loose(value)

    def told(self) -> Any:
        """What the last closing line had; here, what would have been on it."""
        return self.closing

    def read_raised(self, error: BaseException) -> Any:
        """What a line would have that logs this exception here and now."""
        return self.read()

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
