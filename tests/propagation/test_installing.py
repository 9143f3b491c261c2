"""install() and uninstall(): idempotent, reversible, beside other libraries' patches."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging.handlers
import queue
import signal
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

from ctxlog import get_context, scope, wrap
from ctxlog.errors import UsageError
from ctxlog.propagation import install, installed, uninstall
from ctxlog.propagation.patching import Patch


@pytest.fixture(autouse=True)
def _uninstalled():
    """Nothing is patched before and after."""
    uninstall()
    yield
    assert () == uninstall()


def in_thread() -> dict[str, object]:
    """What a bare thread reads."""
    found: list[dict[str, object]] = []
    thread = threading.Thread(target=lambda: found.append(get_context()))
    thread.start()
    thread.join()
    return found[0]


def test_installing_twice_is_installing_once():
    """The same list, and the same functions, however often; uninstall puts all back."""
    before = threading.Thread.start, concurrent.futures.ThreadPoolExecutor.submit, signal.signal
    first = install()
    patched = threading.Thread.start
    assert first == install() == installed()
    assert patched is threading.Thread.start
    assert "threading.Thread.start" in first
    with scope(a=1):
        assert {"a": 1} == in_thread()
    assert () == uninstall()
    assert before == (
        threading.Thread.start,
        concurrent.futures.ThreadPoolExecutor.submit,
        signal.signal,
    )
    assert () == installed()
    with scope(a=1):
        assert {} == in_thread()


def test_groups_are_chosen_by_name():
    """Only and without choose; an unknown name is refused with the nearest one."""
    assert ("threading.Thread.start", "threading.Timer.start") == install(only=["threads"])
    uninstall()
    assert "threading.Thread.start" not in install(without=["threads"])
    with pytest.raises(UsageError, match="did you mean 'threads'"):
        install(only=["thread"])
    with pytest.raises(UsageError, match="list"):
        install(only="threads")


def test_a_listeners_thread_belongs_to_nobody():
    """A QueueListener started by a request does not run under it; nor does a pool's worker."""
    install()
    found: list[object] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(get_context())

    lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, Handler())
    with scope(a=1):
        listener.start()
        pool = concurrent.futures.ThreadPoolExecutor(
            1, initializer=lambda: found.append(get_context())
        )
        pool.submit(get_context).result()
    lines.put(logging.makeLogRecord({"msg": "x"}))
    listener.stop()
    pool.shutdown()
    assert [{}, {}] == found


def test_what_is_asked_for_is_the_bare_handler():
    """Getsignal gives back what was set, so that whoever compares it finds it; so does signal."""
    install(only=["signals"])

    def handler(*_: object) -> None:
        """Do nothing."""

    before = signal.signal(signal.SIGUSR2, handler)
    assert handler is signal.getsignal(signal.SIGUSR2)
    own = wrap(handler)
    assert handler is signal.signal(signal.SIGUSR2, own)
    assert own is signal.getsignal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, before)
    # not whatever was there: a shell that starts us in the background has it ignored
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.run(asyncio.sleep(0))
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, interrupt)


def test_atexit_and_finalizers_keep_their_meaning():
    """Register still decorates and unregister still finds; a finalizer still says what it calls."""
    install(only=["atexit", "finalizers"])

    def bye() -> None:
        raise AssertionError

    assert bye is atexit.register(bye)
    atexit.unregister(bye)

    class Thing:
        pass

    thing = Thing()
    finalizer = weakref.finalize(thing, bye)
    detached = finalizer.detach()
    assert detached is not None
    assert bye == detached[1]


class Owner:
    """What is patched in these tests."""

    @staticmethod
    def of() -> str:
        """A function to patch."""
        return "bare"


class Child(Owner):
    """It inherits what is patched."""


def around(original: Any) -> str:
    """A patch."""
    return f"<{original()}>"


def test_a_buried_patch_turns_inert_and_comes_alive_again():
    """With somebody else's wrapper on top it cannot be taken out; it must do nothing, then again."""
    from functools import wraps

    raw, patch = vars(Owner)["of"], Patch(Owner, "of", around)
    patch.apply()
    patch.apply()
    assert "<bare>" == Owner.of()
    ours = Owner.of

    @wraps(ours)
    def theirs() -> str:
        return f"theirs {ours()}"

    Owner.of = staticmethod(theirs)  # type: ignore[method-assign]
    assert False is patch.remove()
    assert "theirs bare" == Owner.of()
    patch.apply()
    assert ("theirs <bare>", True) == (Owner.of(), patch.alive)
    patch.remove()
    Owner.of = raw  # type: ignore[method-assign]
    patch.apply()  # the buried one is lost: a new one
    assert "<bare>" == Owner.of()
    assert True is patch.remove()
    assert raw is vars(Owner)["of"]


def test_an_inherited_attribute_is_taken_off_again():
    """What the class did not have itself it does not have afterwards."""
    patch = Patch(Child, "of", around)
    patch.apply()
    assert "of" in vars(Child)
    assert True is patch.remove()
    assert True is patch.remove()
    assert "of" not in vars(Child)


ORDERS = """
import itertools, sys, threading
from concurrent.futures import ThreadPoolExecutor
import sentry_sdk
from sentry_sdk.integrations.threading import ThreadingIntegration
from opentelemetry import context, trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import TracerProvider
import ctxlog
from ctxlog.propagation import install, installed, uninstall

order = sys.argv[1].split(",")
def patch(name):
    if name == "sentry":
        sentry_sdk.init(integrations=[ThreadingIntegration()], default_integrations=False)
    elif name == "otel":
        ThreadingInstrumentor().instrument()
    else:
        install()
for name in order:
    patch(name)

class Own(threading.Thread):
    def run(self):
        found.append(read())
found = []
def read():
    span = trace.get_current_span().get_span_context().span_id
    return ctxlog.get_context().get("a"), span, sentry_sdk.get_isolation_scope()._tags.get("s")
def threads():
    del found[:]
    made = [threading.Thread(target=lambda: found.append(read())), Own(),
            threading.Timer(0, lambda: found.append(read()))]
    for one in made:
        one.start()
        one.join()
    return list(found)
tracer = TracerProvider().get_tracer("t")
pool = ThreadPoolExecutor(1)
def ask(n, expected_a):
    with sentry_sdk.isolation_scope() as scope, ctxlog.scope(a=n), tracer.start_as_current_span("s") as span:
        scope.set_tag("s", n)
        wanted = (expected_a, span.get_span_context().span_id, n)
        got = threads() + [pool.submit(read).result()]
        assert all(g[0] == wanted[0] for g in got), (got, wanted)
        if expected_a is not None:
            assert all(g[:2] == wanted[:2] for g in got), (got, wanted)
        # Sentry itself loses timers that OpenTelemetry patched before it
        assert all(g[2] == n for i, g in enumerate(got) if i != 2), (got, wanted)
    assert pool.submit(ctxlog.get_context).result() == {}
ask(1, 1); ask(2, 2)
uninstall()
ask(3, None)
install()
ask(4, 4)
ThreadingInstrumentor().uninstrument()
ask(5, 5)
uninstall()
assert installed() == ()
ask(6, None)
print("well")
"""


@pytest.mark.parametrize(
    "order",
    [
        "ctxlog,otel,sentry",
        "ctxlog,sentry,otel",
        "otel,ctxlog,sentry",
        "otel,sentry,ctxlog",
        "sentry,ctxlog,otel",
        "sentry,otel,ctxlog",
    ],
)
def test_beside_opentelemetrys_and_sentrys_patches(order: str):
    """In any order each library's context crosses, ours goes when asked and comes back."""
    done = subprocess.run(
        [sys.executable, "-c", ORDERS, order],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("well\n", 0) == (done.stdout, done.returncode), done.stderr
