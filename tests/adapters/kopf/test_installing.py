"""Installing: with a kopf that is known, one that is not, and beside kopf's own configuration."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import importlib
import io
import logging
import threading
import weakref
from concurrent import futures
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import click.testing
import kopf
import pytest

import ctxlog
from ctxlog import control
from ctxlog.adapters import kopf as adapter
from ctxlog.adapters.kopf import installing, processes, root, units, wrappers
from ctxlog.adapters.kopf.installing import PARTS
from ctxlog.adapters.kopf.state import State
from ctxlog.adapters.kopf.tracing import ANNOTATION, put_trace
from ctxlog.errors import UsageError
from tests.kit import moved
from tests.kubernetes.cluster import body, cluster, operator, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.kopf.conftest import Lines

log = ctxlog.get_logger("operator")


async def run_one(lines: Lines, level: str = "info") -> dict[str, Any]:
    """Let an operator handle one object, and return the handler's line."""
    registry = kopf.OperatorRegistry()
    lines.clear()

    @kopf.on.event("widgets", id="seen", registry=registry)
    async def handler(**_: Any) -> None:
        ctxlog.bind_context(secretly="bound")
        log.log(level, "seen")

    async with cluster() as there:
        there.put(body(1))
        async with operator(there, registry) as running:
            await until(lambda: lines.of(event="seen"), running)
    return lines.of(event="seen")[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("gone", range(len(PARTS)), ids=lambda n: PARTS[n][1])
async def test_each_private_part_may_be_missing(
    gone: int, lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """One warning names it; the operator runs, and the handler's line has its object all the same."""
    module, name, *_ = PARTS[gone]
    adapter.uninstall()
    lines.clear()
    known = list(PARTS)
    known[gone] = (module, f"{name}_gone", *PARTS[gone][2:])
    monkeypatch.setattr("ctxlog.adapters.kopf.installing.PARTS", known)
    adapter.install()
    (warning,) = lines.of(level="warning")
    assert [f"{module}.{name}_gone"] == warning["missing"]
    line = await run_one(lines)
    assert ("Widget/shop/w-1", "seen") == (line["k8s.object.ref"], line["handler"])


@pytest.mark.asyncio
async def test_with_nothing_to_wrap_the_object_is_still_on_the_line(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """What kopf's own variables tell is read where the line is written."""
    adapter.uninstall()
    lines.clear()
    unknown = [(module, f"{name}_gone", *rest) for module, name, *rest in PARTS]
    monkeypatch.setattr("ctxlog.adapters.kopf.installing.PARTS", unknown)
    adapter.install()
    assert 1 == len(lines.of(level="warning"))
    line = await run_one(lines)
    assert "Widget/shop/w-1" == line["k8s.object.ref"]
    assert "reconcile_id" not in line


def test_what_is_really_missing_in_kopf_is_told(lines: Lines, monkeypatch: pytest.MonkeyPatch):
    """An attribute that is gone, or has other arguments, is left alone and named."""
    adapter.uninstall()
    lines.clear()
    execution = importlib.import_module("kopf._core.actions.execution")
    invocation = importlib.import_module("kopf._core.actions.invocation")
    posting = importlib.import_module("kopf._core.engines.posting")

    async def other(fn: Any) -> None:
        """Have other arguments than the one that is known."""

    monkeypatch.delattr(execution, "execute_handler_once")
    monkeypatch.delattr(execution, "cause_var")
    monkeypatch.delattr(posting, "settings_var")
    monkeypatch.setattr(invocation, "invoke", other)
    adapter.install()
    (warning,) = lines.of(level="warning")
    assert {
        "kopf._core.actions.execution.execute_handler_once",
        "kopf._core.actions.execution.cause_var",
        "kopf._core.actions.invocation.invoke",
        "kopf._core.engines.posting.settings_var",
    } == set(warning["missing"])
    assert invocation.invoke is other
    adapter.uninstall()


def test_what_shows_kopfs_lines_may_be_another(lines: Lines, monkeypatch: pytest.MonkeyPatch):
    """A logger of another name has no identity, a handler of another class stays: both are told."""
    loggers = importlib.import_module("kopf._core.actions.loggers")
    adapter.uninstall()
    lines.clear()
    monkeypatch.setattr(loggers, "logger", logging.getLogger("kopf.others"))
    monkeypatch.delattr(loggers, "_KopfStreamHandler")
    adapter.install()
    (warning,) = lines.of(level="warning")
    inside = "kopf._core.actions.loggers"
    assert [f"{inside}.logger", f"{inside}._KopfStreamHandler"] == warning["missing"]


def test_a_part_that_tells_no_signature_is_left_alone(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """One that was compiled, or that somebody has wrapped badly."""
    execution: Any = importlib.import_module("kopf._core.actions.execution")
    adapter.uninstall()
    lines.clear()
    monkeypatch.setattr(execution.execute_handler_once, "__signature__", "none", raising=False)
    adapter.install()
    (warning,) = lines.of(level="warning")
    assert ["kopf._core.actions.execution.execute_handler_once"] == warning["missing"]


@pytest.mark.asyncio
async def test_settings_that_kopf_hands_on_by_position_stay_its_own(lines: Lines):
    """Nothing is given twice to a function of another version."""
    given: list[Any] = []

    async def invoke(fn: Any, settings: Any, kwargsrc: Any = None, kwargs: Any = None) -> Any:
        given.append(settings)
        return fn()

    wrapped = wrappers.around_function(invoke, installing.current())
    assert 7 == await wrapped(lambda: 7, "settings", kwargs={})
    assert ["settings"] == given


@pytest.mark.asyncio
async def test_what_fails_on_our_side_does_not_reach_the_handler(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """The handler is called as if we were not there, and a counter says so."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("ours")

    for name in ("handling_of", "Cycle"):
        monkeypatch.setattr(wrappers, name, broken)
    with moved("errors.kopf") as by:
        line = await run_one(lines)
    assert "seen" == line["event"]
    assert by["errors.kopf"] >= 2


def test_installing_twice_is_installing_once(lines: Lines):
    """Nothing is wrapped twice, and one call of uninstall undoes it."""
    execution = importlib.import_module("kopf._core.actions.execution")
    wrapped = execution.execute_handler_once
    adapter.install(trace_annotation="x/y")
    assert execution.execute_handler_once is wrapped
    assert "x/y" == installing.current().annotation
    adapter.uninstall()
    assert execution.execute_handler_once is not wrapped
    adapter.uninstall()


def test_what_others_have_wrapped_since_stays(lines: Lines):
    """Uninstalling takes away our own wrapper alone."""
    execution: Any = importlib.import_module("kopf._core.actions.execution")
    adapter.uninstall()
    before = execution.execute_handler_once
    adapter.install()

    @functools.wraps(execution.execute_handler_once)
    async def theirs() -> None:
        """Stand around ours."""

    execution.execute_handler_once = theirs
    adapter.uninstall()
    try:
        assert execution.execute_handler_once is theirs
    finally:
        execution.execute_handler_once = before


@pytest.mark.parametrize(
    "data", ["(('add', ('data',), None, 'x'),)", "[{'value': 'x'}]", "{'x': 1}"]
)
def test_what_kopf_says_of_a_secret_is_masked(lines: Lines, data: str):
    """Bodies, patches, JSON patches and diffs."""
    extra = {"k8s_ref": {"kind": "Secret", "name": "s"}}
    log_of().debug(f"Updating diff: {data}", extra=extra)
    (line,) = lines.of(logger="kopf.objects")
    assert "Updating diff: [redacted]" == line["event"]


@pytest.mark.parametrize(
    "name",
    [
        "kopf.zalando.org/last-handled-configuration",
        "kubectl.kubernetes.io/last-applied-configuration",
    ],
)
@pytest.mark.parametrize("value", ["{}", "it's", """'"both'\\""", '{"a":"b"}\n', "%s", ""])
def test_what_was_handled_or_applied_last_is_masked(lines: Lines, name: str, value: str):
    """In the bodies and patches of any object, which kopf writes as text; the rest stays."""
    patch = {"metadata": {"annotations": {"before": "1", name: value, "after": "2"}}}
    extra = {"k8s_ref": {"kind": "Widget", "name": "w", "namespace": "shop"}}
    log_of().debug(f"Merge-patching the resource with: {patch!r}", extra=extra)
    (line,) = lines.of(logger="kopf.objects")
    patch["metadata"]["annotations"][name] = "[redacted]"
    assert f"Merge-patching the resource with: {patch!r}" == line["event"]


def test_misuse_says_what_is_taken(lines: Lines):
    """An annotation's name is text; a trace is put onto objects."""
    with pytest.raises(UsageError, match="annotation's name"):
        adapter.install(trace_annotation=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="object with metadata"):
        put_trace(object())
    assert {"kind": "Pod"} == put_trace({"kind": "Pod"})


@pytest.mark.parametrize("metadata", [None, {}, {"annotations": None}, {"annotations": {"a": "b"}}])
def test_a_trace_is_put_onto_objects_with_empty_parts(metadata: Any):
    """A manifest may say ``annotations:`` and nothing; what is there stays."""
    with ctxlog.entry():
        made = put_trace({"metadata": metadata})
    annotations = made["metadata"]["annotations"]
    assert annotations.pop(ANNOTATION).startswith("00-")
    assert annotations in ({}, {"a": "b"})


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {"a": "b"}}])
def test_a_trace_is_put_onto_objects_that_wrap_a_manifest(metadata: dict[str, Any]):
    """As pykube's and kr8s's do, which kopf.adopt takes too: their metadata is a mapping."""
    wrapping = SimpleNamespace(metadata=metadata)
    with ctxlog.entry():
        assert put_trace(wrapping) is wrapping
    assert wrapping.metadata["annotations"].pop(ANNOTATION).startswith("00-")
    assert wrapping.metadata["annotations"] in ({}, {"a": "b"})


@pytest.mark.parametrize("bad", [{"metadata": "text"}, {"metadata": {"annotations": ["a"]}}])
def test_a_manifest_that_is_none_is_refused(bad: dict[str, Any]):
    """It says so, as for any other misuse."""
    with ctxlog.entry(), pytest.raises(UsageError, match=r"put_trace takes .* a mapping, not"):
        put_trace(bad)


@pytest.mark.parametrize(
    ("asked", "level"),
    [({}, None), ({"verbose": True}, 10), ({"debug": True}, 10), ({"quiet": True}, 30)],
)
def test_kopfs_configuration_sets_the_level_and_adds_no_second_handler(
    asked: dict[str, bool], level: int | None, lines: Lines
):
    """``kopf.configure(verbose=…)`` means what it means; lines are ours, and written once."""
    before = logging.root.level
    shown = io.StringIO()
    kopf.configure(**asked)  # type: ignore[arg-type]
    assert not [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
    assert level in (None, logging.root.level)
    logging.getLogger("operator.x").error("once")
    assert 1 == len(lines.of(event="once"))
    assert "" == shown.getvalue()
    logging.root.setLevel(before)
    adapter.uninstall()
    for handler in list(logging.root.handlers):
        if type(handler).__name__ == "_KopfStreamHandler":
            logging.root.removeHandler(handler)


def test_installing_again_brings_no_level_back(switched: Lines):
    """It changes what is asked for, not what was set since."""
    ctxlog.set_level(None, "warning")
    adapter.install(trace_annotation="x/y")
    assert not log.is_enabled_for("info")
    assert logging.WARNING == logging.root.level
    logging.root.setLevel(logging.ERROR)
    adapter.install()
    assert logging.ERROR == logging.root.level


def test_without_a_switch_the_configured_level_holds_for_the_standard_library_too(lines: Lines):
    """The default that kopf sets on the root logger does not stay there."""
    kopf.configure()
    logging.getLogger("operator.x").debug("theirs")
    log.debug("ours")
    assert ["theirs", "ours"] == [line["event"] for line in lines]
    adapter.uninstall()
    kopf.configure()
    adapter.install()
    logging.getLogger("operator.x").debug("later")
    assert "later" == lines[-1]["event"]


def test_a_switch_holds_where_the_standard_library_is_left_alone():
    """Our lines have its level; kopf's handler stays, for nobody else shows the others."""
    found: list[Any] = []
    handlers, before = list(logging.root.handlers), logging.root.level
    ctxlog.configure(stdlib=False, sinks=[{"target": found.append, "renderer": "event"}])
    try:
        adapter.install()
        kopf.configure(verbose=True)
        log.debug("debugged")
        assert ["debugged"] == [line["event"] for line in found]
        assert [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
    finally:
        adapter.uninstall()
        ctxlog.shutdown()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(before)


def test_without_a_configuration_kopfs_handler_stays():
    """Nobody else would show its lines."""
    handlers = list(logging.root.handlers)
    try:
        adapter.install()
        kopf.configure()
        there = [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
        assert 1 == len(there)
        ctxlog.configure(sinks=[])
        root.keep()
        assert not [h for h in logging.root.handlers if h in there]
        adapter.uninstall()
        assert [h for h in logging.root.handlers if h in there]
    finally:
        adapter.uninstall()
        ctxlog.shutdown()
        logging.root.handlers[:] = handlers


def test_kopfs_handler_is_silent_from_the_configuration_on(capsys: pytest.CaptureFixture[str]):
    """Also if it comes in a start-up handler: no line is written twice until the next handler."""
    handlers, before = list(logging.root.handlers), logging.root.level
    found: list[Any] = []
    theirs = logging.getLogger("kopf.activities")
    try:
        kopf.configure()
        adapter.install()
        theirs.info("before")
        ctxlog.configure(sinks=[{"target": found.append, "renderer": "event"}])
        theirs.info("after")
        adapter.uninstall()
        theirs.info("without us")
    finally:
        adapter.uninstall()
        ctxlog.shutdown()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(before)
    assert ["after", "without us"] == [line["event"] for line in found]
    shown = capsys.readouterr().err
    assert (1, 0, 1) == tuple(shown.count(text) for text in ("before", "after", "without us"))


def test_two_threads_that_install_at_once_install_once(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    """Each of two embedded operators may do it when it starts."""
    adapter.uninstall()
    execution = importlib.import_module("kopf._core.actions.execution")
    plain = execution.execute_handler_once
    others: list[threading.Thread] = []

    def state() -> State:
        if not others:
            others.append(threading.Thread(target=adapter.install))
            others[0].start()
            others[0].join(0.5)  # it waits for us, or it is through
        return State()

    monkeypatch.setattr(installing, "State", state)
    adapter.install()
    others[0].join()
    assert execution.execute_handler_once.__wrapped__ is plain
    adapter.uninstall()
    assert execution.execute_handler_once is plain


def test_a_handler_of_ours_alone_is_enough():
    """Whoever configures with ``logging.config`` has each line once, too."""
    handlers, before = list(logging.root.handlers), logging.root.level
    shown = io.StringIO()
    logging.root.addHandler(ctxlog.Handler(shown, renderer="json"))
    try:
        kopf.configure()
        adapter.install()
        assert not [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
        logging.getLogger("operator.x").info("once")
        assert 1 == shown.getvalue().count("once")
        kopf.configure(quiet=True)
        assert not [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
        logging.getLogger("operator.x").info("not")
        assert "not" not in shown.getvalue()
        adapter.uninstall()
        assert [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
    finally:
        adapter.uninstall()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(before)


def test_causes_of_any_kind_have_a_reason():
    """What is not known has none, and nothing raises."""
    assert units.reason_of(object(), None) is None
    assert {"handler": None} == units.told(object(), object(), "many")


def test_a_handling_is_freed_when_it_ends():
    """Not when the collector comes by: an operator handles thousands a minute."""
    gc.collect()
    gc.disable()
    try:
        cause = SimpleNamespace(body={"metadata": {"name": "w-1"}}, type="MODIFIED", event={})
        with units.Cycle({"object": cause.body}, None, None):
            with units.handling_of(cause, SimpleNamespace(id="seen"), 0, None) as handling:
                assert handling._work is not None
                work = weakref.ref(handling._work)
                handling.running = True
                handling.returned()
            del handling
        assert work() is None
    finally:
        gc.enable()


def test_what_cannot_be_sent_stays_behind():
    """Arguments for a process: as plain data, without what does not pickle or is not wanted."""

    def wants(name: str, logger: Any) -> None:
        """Take two."""

    given = {"name": "a", "logger": logging.LoggerAdapter(log_of(), {"settings": 1, "k8s_ref": {}}),
             "memo": lambda: None, "body": {}}  # fmt: skip
    sent = processes._portable(wants, given)
    assert {"name", "logger"} == sent.keys()
    assert {"k8s_ref": {}} == sent["logger"].extra
    everything = processes._portable(lambda **_: None, given)
    assert {"name", "logger", "body"} == everything.keys()


def test_a_job_that_the_pool_drops_is_told():
    """Whoever waits for a handler in a pool that is shut down does not wait for ever."""
    started, go_on = threading.Event(), threading.Event()

    def busy() -> None:
        started.set()
        go_on.wait(60)

    pool = futures.ThreadPoolExecutor(1)
    pool.submit(busy)
    started.wait(60)
    executor = processes.ProcessExecutor(pool, None)
    dropped = executor.submit(functools.partial(int))
    unwanted = executor.submit(functools.partial(int))
    assert unwanted.cancel()  # and nobody runs it
    pool.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    pool.shutdown()
    assert (True, True) == (dropped.cancelled(), unwanted.cancelled())


def log_of() -> logging.Logger:
    """Return kopf's logger."""
    return logging.getLogger("kopf.objects")


class Queue:
    """Stands for an operator's queue of events."""

    def __init__(self) -> None:
        self.put: list[Any] = []

    def put_nowait(self, event: Any) -> None:
        """Take an event."""
        self.put.append(event)


@pytest.mark.asyncio
async def test_an_event_from_a_thread_goes_to_the_only_operator_or_to_none(lines: Lines):
    """With two operators in the process nobody can say whose it is: it is counted, not guessed."""
    posting = importlib.import_module("kopf._core.engines.posting")
    adapter_posting = importlib.import_module("ctxlog.adapters.kopf.posting")
    adapter_posting._queues.clear()
    reference = {"kind": "Widget", "name": "w-1", "uid": "u"}

    def post() -> None:
        posting.enqueue(reference, "Normal", "Logging", "said", ())

    first, second = Queue(), Queue()
    adapter_posting.remember(first)
    await asyncio.to_thread(contextvars.Context().run, post)
    await asyncio.sleep(0)
    assert ["said"] == [event.message for event in first.put]
    adapter_posting.remember(second)
    with moved("kopf.unposted") as by:
        await asyncio.to_thread(contextvars.Context().run, post)
    assert 1 == by["kopf.unposted"]
    del second
    gc.collect()
    assert adapter_posting.only() is not None
    adapter_posting._queues.clear()


@pytest.mark.asyncio
async def test_an_operators_queue_goes_with_the_block_that_brought_it(lines: Lines):
    """A thread that was in one operator's context posts nothing of the next one's to the first."""
    posting = importlib.import_module("kopf._core.engines.posting")
    variables = (posting.event_queue_var, posting.event_queue_loop_var, posting.settings_var)
    for variable in variables:
        variable.set(f"the first one's {variable.name}")
    taken = ctxlog.snapshot()

    def work() -> list[Any]:
        with taken.scope():
            inside = [variable.get() for variable in variables]
        found = [inside, [variable.get("none") for variable in variables]]
        with taken.scope() as block:
            copied = contextvars.copy_context()
            copied.run(block.__exit__, None, None, None)
        return [*found, [copied.run(variable.get, "none") for variable in variables]]

    inside, left, copied = await asyncio.to_thread(contextvars.Context().run, work)
    assert [f"the first one's {variable.name}" for variable in variables] == inside
    assert ["none"] * 3 == left
    assert [None] * 3 == copied, "a copy of a context forgets no variable: it has none's value"


@pytest.mark.parametrize("given", [["--debug", "serve"], ["serve", "--quiet"]])
def test_the_switches_of_somebodys_own_command_are_not_kopfs(given: list[str], lines: Lines):
    """An operator may be embedded in a program of any options; the configured level holds there."""

    @click.group()
    @click.option("--debug", is_flag=True)
    def program(debug: bool) -> None:
        """Debug whatever this program debugs."""

    @program.command()
    @click.option("--quiet", is_flag=True)
    def serve(quiet: bool) -> None:
        ctxlog.configure(level="info", sinks=[{"target": lines.append, "renderer": "event"}])
        adapter.install()
        click.echo([log.is_enabled_for(level) for level in ("debug", "info")])

    adapter.uninstall()
    result = click.testing.CliRunner().invoke(program, given)
    assert result.output == "[False, True]\n", result.exception


@pytest.fixture
def switched(lines: Lines) -> Iterator[Lines]:
    """What ``kopf run --verbose`` has asked for."""
    before = logging.root.level
    ctxlog.configure(level="info", sinks=[{"target": lines.append, "renderer": "event"}])
    kopf.configure(verbose=True)
    assert log.is_enabled_for("debug")
    yield lines
    adapter.uninstall()
    logging.root.setLevel(before)


@pytest.mark.asyncio
async def test_a_level_that_was_set_since_stays_when_a_sink_is_added(switched: Lines):
    """The switch holds for a configuration, once; not again for each sink that comes or goes."""
    ctxlog.set_level(None, "warning")
    added = ctxlog.add_sink([].append, renderer="event")
    await run_one(switched, "warning")
    assert not log.is_enabled_for("info")
    ctxlog.remove_sink(added)
    control.apply({"level": "error", "sampling": {"rate": 0.5}})
    await run_one(switched, "error")
    assert not log.is_enabled_for("warning")
    ctxlog.configure(level="info", sinks=[{"target": switched.append, "renderer": "event"}])
    await run_one(switched)
    assert log.is_enabled_for("debug"), "another configuration: the switch is over it"


def test_a_level_that_control_has_set_beats_a_switch_that_comes_after(lines: Lines):
    """Also where the file was read before the adapter is there; without it, the switch holds."""
    before = logging.root.level
    adapter.uninstall()
    ctxlog.configure(level="info", sinks=[{"target": lines.append, "renderer": "event"}])
    try:
        control.apply({"level": "error"})
        adapter.install()
        kopf.configure(debug=True)
        assert not log.is_enabled_for("warning")
        assert logging.DEBUG != logging.root.level
        control.reset()
        assert log.is_enabled_for("debug")
        assert logging.DEBUG == logging.root.level
    finally:
        adapter.uninstall()
        logging.root.setLevel(before)


def test_a_switch_holds_where_a_control_file_was_applied_before(lines: Lines):
    """As if it had been asked for before: it is over what is configured, below what is applied."""
    before = logging.root.level
    ctxlog.configure(level="info", sinks=[{"target": lines.append, "renderer": "event"}])
    try:
        control.apply({"levels": {"a": "error"}})
        kopf.configure(verbose=True)
        control.apply({"levels": {"a": "warning"}})
        assert log.is_enabled_for("debug")
        assert logging.DEBUG == logging.root.level
        control.apply({"level": "error"})
        assert not log.is_enabled_for("warning")
        control.reset()
        assert log.is_enabled_for("debug")
        ctxlog.configure(level="warning", sinks=[{"target": lines.append, "renderer": "event"}])
        ctxlog.set_level(None, "error")
        control.apply({})
        assert not log.is_enabled_for("warning")
    finally:
        adapter.uninstall()
        logging.root.setLevel(before)


def test_kopfs_handler_comes_back_once_however_often_kopf_was_configured(lines: Lines):
    """Two of them would write each line twice."""
    handlers, before = list(logging.root.handlers), logging.root.level
    try:
        for _ in range(3):
            kopf.configure()
        adapter.uninstall()
        there = [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
        assert 1 == len(there)
        adapter.install()
        adapter.uninstall()
        again = [h for h in logging.root.handlers if type(h).__name__ == "_KopfStreamHandler"]
        assert there == again
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(before)


def test_a_queue_of_another_kind_stops_no_operator():
    """What an operator's events are posted with is not ours: it may be anything, in any thread."""
    adapter_posting = importlib.import_module("ctxlog.adapters.kopf.posting")
    for queue in ("no weak reference", object(), Queue()):
        adapter_posting.remember(queue)
    assert adapter_posting.only() is None
