"""Wiring: arguments, the environment, and what a wrong one is answered with."""

from __future__ import annotations

import io
import logging
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import structlog

import ctxlog
from ctxlog.adapters.logging.bridge import Bridge
from ctxlog.carriers import wire
from ctxlog.context.fields import policy
from ctxlog.errors import CtxlogWarning, UsageError
from ctxlog.limits import Limits
from ctxlog.redact import Redaction
from ctxlog.renderers.json import JsonRenderer
from ctxlog.runtime import runtime
from ctxlog.sinks.file import FileSink
from tests.kit import Written, configured, moved, only_sink


class BoomError(Exception):
    """What fails in tests."""


async def coroutine_processor(_: Any, __: str, event: Any) -> Any:
    """Be of the wrong kind."""
    return event


@pytest.mark.parametrize(("options", "said"), [
    ({"renderer": "jsn"}, "did you mean 'json'? Known: auto, json, console, logfmt"),
    ({"renderer": 3}, "unknown renderer of type int. Known: auto, json, console, logfmt"),
    ({"renderer": JsonRenderer}, "renderer is the class JsonRenderer, not an instance"),
    ({"renderer": "event"}, "unknown renderer 'event'"),
    ({"level": "loud"}, "unknown level 'loud'. Known: notset, trace, debug"),
    ({"level": 1.5}, "a level is a name or a number, not float"),
    ({"schema": "otle"}, "unknown schema 'otle': did you mean 'otel'? Known: otel"),
    ({"schema": 1}, "unknown schema of type int"),
    ({"levels": ["a"]}, "levels takes a mapping"),
    ({"levels": {"a": "loud"}}, "unknown level 'loud'"),
    ({"levels": {3: "info"}}, "levels are by logger name, a text, not 3"),
    ({"levels": {"": "info"}}, "levels are by logger name"),
    ({"proccessors": []}, "unknown option 'proccessors': did you mean 'processors'? Known: level"),
    ({"processors": 3}, "processors takes a sequence of callables, not int"),
    ({"processors": print}, "processors takes a sequence of callables"),
    ({"processors": "text"}, "processors takes a sequence of callables, not str"),
    ({"processors": [3]}, "processors[0] cannot be called: 3"),
    ({"processors": [JsonRenderer]}, "processors[0] is the class JsonRenderer"),
    ({"processors": [coroutine_processor]}, "processors[0] is a coroutine function"),
    ({"redact": "password"}, "redact takes True, False or"),
    ({"limits": {"items": 1}}, "limits takes ctxlog.limits.Limits(...), not dict"),
    ({"resource": [1]}, "fields are given as a mapping"),
    ({"sinks": "app.log"}, "sinks takes several targets"),
    ({"sinks": {"target": "app.log"}}, "sinks takes several targets"),
    ({"sinks": sys.stderr}, "sinks takes several targets"),
    ({"sinks": 3}, "sinks takes several targets"),
    ({"sinks": [3]}, "a sink is a stream, a path, a callable or a coroutine function, not int"),
    ({"sinks": [io.StringIO]}, "a sink is the class StringIO, not an instance; write StringIO()"),
    ({"sinks": [logging.StreamHandler]}, "a sink is the class StreamHandler, not an instance"),
    ({"stream": io.StringIO}, "stream is the class StringIO, not an instance; write StringIO()"),
    ({"propagators": [["b3"]]}, "unknown propagator of type list. Known: tracecontext, b3"),
    ({"sinks": [{"target": print, "levle": 1}]}, "unknown sink option 'levle': did you mean 'level'?"),
    ({"sinks": [{"level": 1}]}, "needs a 'target'; it takes target, renderer, level, filter"),
    ({"sinks": [{"target": print, "filter": 3}]}, "filter takes a function of an event that returns a bool, not int"),
    ({"sinks": [{"target": io.StringIO(), "renderer": "event"}]}, "'event' is for callables"),
    ({"stream": 3}, "stream takes a file object, not 3; a path or a callable goes to sinks=[...]"),
    ({"stream": "app.log"}, "stream takes a file object, not 'app.log'"),
    ({"strict": "no"}, "strict takes True or False, not 'no'"),
    ({"callsite": "x"}, "callsite takes True or False, not 'x'"),
    ({"stdlib": 1}, "stdlib takes True or False, not 1"),
    ({"structlog": []}, "structlog takes 'auto', True or False, not list"),
    ({"structlog": 1}, "structlog takes 'auto', True or False, not 1"),
])  # fmt: skip
def test_misuse_is_an_error_at_once(options, said):
    """A wrong argument raises, lists what would be right, and changes nothing."""
    with configured(level="error", resource={"a": 1}) as written:
        before = (runtime.pipeline, runtime.emit, runtime.levels())
        with pytest.raises(UsageError) as caught:
            ctxlog.configure(**options)
        assert said in str(caught.value)
        assert before == (runtime.pipeline, runtime.emit, runtime.levels())
        ctxlog.get_logger("shop").error("e")
    assert 1 == written.event["a"]


@pytest.mark.parametrize(("arguments", "options", "said"), [
    ((None,), {}, "not None"),
    ((3,), {}, "a sink is a stream"),
    ((print,), {"levl": 3}, "unknown option 'levl': did you mean 'level'? Known: renderer, level, filter"),
    ((print,), {"level": "loud"}, "unknown level"),
    ((print,), {"filter": 3}, "filter takes a function"),
    ((print,), {"renderer": "x"}, "unknown renderer"),
])  # fmt: skip
def test_misuse_of_add_sink(arguments, options, said):
    """The same goes for ``add_sink``."""
    with configured(), pytest.raises(UsageError) as caught:
        ctxlog.add_sink(*arguments, **options)
    assert said in str(caught.value)


def test_before_configure():
    """What needs a configuration says so without one."""
    for call in (
        lambda: ctxlog.add_sink(print),
        lambda: ctxlog.remove_sink(1),
        lambda: ctxlog.set_level(None, "info"),
    ):
        with pytest.raises(UsageError):
            call()
    assert ctxlog.flush()


def test_remove_sink_lists_the_ids():
    """An unknown id is answered with those there are."""
    with configured():
        added = ctxlog.add_sink(Written())
        with pytest.raises(UsageError, match=f"unknown sink id -1. Known: .*{added}"):
            ctxlog.remove_sink(-1)
        ctxlog.remove_sink(added)
    with pytest.raises(UsageError, match="nothing is configured"):
        ctxlog.remove_sink(added)


def test_a_processor_need_not_answer_what_it_is_asked():
    """A proxy whose attributes raise can be called, and so is a processor."""

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            raise KeyError(name)

        def __call__(self, _: Any, __: str, event: Any) -> Any:
            return {**event, "by": "proxy"}

    with configured(processors=[Proxy()]) as written:
        ctxlog.get_logger("shop").info("e")
    assert "proxy" == written.event["by"]


def test_a_hook_is_no_coroutine_function():
    """Nobody would await it: its calls would be lost without a word."""
    with configured(), pytest.raises(UsageError, match="add_sink takes coroutine functions"):
        ctxlog.add_hook(coroutine_processor)  # type: ignore[arg-type]


@pytest.mark.parametrize(("make", "said"), [
    (Redaction, "unknown redaction option 'alow': did you mean 'allow'? Known: names, also, allow"),
    (ctxlog.Handler, "unknown Handler option 'alow'. Known: stream, level, renderer, schema"),
    (ctxlog.Formatter, "unknown Formatter option 'alow'. Known: fmt, datefmt, style, validate"),
])  # fmt: skip
def test_an_unknown_option_anywhere_lists_those_there_are(make: Any, said: str):
    """What is given to ``configure`` or to ``logging`` says so too."""
    with pytest.raises(UsageError) as caught:
        make(alow=["x"])
    assert said in str(caught.value)


def test_set_level_takes_a_name():
    """A logger's name is text."""
    with configured(), pytest.raises(UsageError, match="name or None, not int"):
        ctxlog.set_level(3, "info")  # type: ignore[arg-type]


def test_add_sink_while_shutting_down(tmp_path, monkeypatch):
    """A sink that comes too late is closed again."""
    closed: list[int] = []
    close = FileSink.close

    def counted(sink: FileSink) -> None:
        closed.append(1)
        close(sink)

    monkeypatch.setattr(FileSink, "close", counted)
    with configured():
        monkeypatch.setattr(runtime, "add_sink", lambda _: None)
        with pytest.raises(UsageError, match="shut down"):
            ctxlog.add_sink(tmp_path / "a.log")
    assert [1] == closed


def test_configure_that_fails_half_way_changes_nothing(tmp_path, monkeypatch):
    """Sinks opened before the failure are closed, the configuration before it stays."""
    with configured(resource={"a": 1}) as written:
        from ctxlog import fastpath

        def refuse(_: object) -> Any:
            raise MemoryError

        sinks = [tmp_path / "a.log", tmp_path / "missing" / "b.log"]
        with pytest.raises(FileNotFoundError):
            ctxlog.configure(sinks=sinks, resource={"a": 2}, strict=True)
        monkeypatch.setattr(fastpath, "build", refuse)
        with pytest.raises(MemoryError):
            ctxlog.configure(sinks=[Written()], resource={"a": 2}, strict=True, level="error")
        monkeypatch.undo()
        assert not policy.strict
        ctxlog.get_logger("shop").info("e")
    assert 1 == written.event["a"]


def test_a_sink_that_stays_is_not_closed(tmp_path):
    """One that is given to the next configuration, too, goes on; its lines count once."""
    sink = FileSink(tmp_path / "a.log")
    with moved("closed.written") as by:
        for event in "ab":
            ctxlog.configure(sinks=[sink], stdlib=False)
            ctxlog.get_logger("shop").info(event)
        with pytest.raises(FileNotFoundError):
            ctxlog.configure(sinks=[sink, tmp_path / "missing" / "b.log"])
        assert not sink.is_closed
        assert 2 == sink.written
        ctxlog.shutdown()
    assert sink.is_closed
    assert {"closed.written": 2} == by


class Fixed(logging.Logger):
    """A logger of the application's whose level is its own."""

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - logging's name
        """Refuse."""
        if self.level or level == logging.DEBUG:
            raise BoomError("its level is fixed")
        super().setLevel(level)


def test_a_door_that_fails_to_open_changes_nothing(tmp_path):
    """The sinks, levels, resource and doors from before stay, and lose no line; the new ones go."""
    before = logging.getLoggerClass()
    logging.setLoggerClass(Fixed)
    logging.getLogger("tests.fixed")
    logging.setLoggerClass(before)
    hook = sys.excepthook
    with configured(resource={"a": 1}, stdlib=True, uncaught=False, level="info") as written:
        with pytest.raises(BoomError):
            ctxlog.configure(
                sinks=[tmp_path / "a.log"],
                level="error",
                levels={"tests.fixed": "debug"},
                resource={"a": 2},
                strict=True,
                baggage=["user"],
            )
        assert not policy.strict
        assert {} == wire.baggage
        assert hook is sys.excepthook
        for log in (ctxlog.get_logger("shop"), logging.getLogger("shop")):
            log.info("e")
    assert [1, 1] == [event["a"] for event in written.events]
    assert b"" == (tmp_path / "a.log").read_bytes()
    assert logging.WARNING == logging.root.level
    assert hook is sys.excepthook


def test_the_first_configure_fails_at_a_door(monkeypatch):
    """It is as unconfigured as before."""
    from ctxlog.adapters.logging import hooks

    def refuse(**_: bool) -> None:
        raise BoomError

    with monkeypatch.context() as patch:
        patch.setattr(hooks, "install", refuse)
        with pytest.raises(BoomError):
            ctxlog.configure(sinks=[])
    assert runtime.pipeline is None
    assert not any(isinstance(handler, Bridge) for handler in logging.root.handlers)


def test_configure_replaces_and_closes(tmp_path):
    """A second call replaces the first, its resource included, and closes what that opened."""
    with configured(sinks=[tmp_path / "a.log"], resource={"a": 1}):
        sink = only_sink()
        written = Written()
        ctxlog.configure(stream=written, renderer="json")
        ctxlog.get_logger("shop").info("e")
        assert sink.is_closed
    assert "a" not in written.event


def test_shutdown_again():
    """Shutting down twice, or without a configuration, is no error."""
    ctxlog.configure(stream=io.StringIO(), strict=True, resource={"a": 1})
    assert ctxlog.shutdown()
    assert ctxlog.shutdown()
    assert not policy.strict
    from ctxlog.context.resource import get_resource

    assert {} == get_resource()


def test_flush_says_whether_all_is_out():
    """A stream that cannot be flushed is counted, and the others are flushed all the same."""
    closed = io.BytesIO()
    other = io.StringIO()
    with moved("errors.flush", "errors.close") as by:
        ctxlog.configure(sinks=[closed, other])
        closed.close()
        assert not ctxlog.flush()
        assert not ctxlog.shutdown()
    assert {"errors.flush": 1, "errors.close": 1} == by


def test_stream_and_sinks_together():
    """A stream beside sinks is written to too; ``sinks=[]`` writes nowhere."""
    first, second = Written(), Written()
    with configured(stream=first, sinks=[{"target": second}]):
        ctxlog.configure(stream=first, sinks=[second], renderer="json")
        ctxlog.get_logger("shop").info("e")
    assert first.event == second.event
    with configured(sinks=[]):
        ctxlog.get_logger("shop").info("e")


def test_the_default_stream_is_standard_error(monkeypatch):
    """It is looked up when a line is written."""
    ctxlog.configure(renderer="json")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    ctxlog.get_logger("shop").info("e")
    ctxlog.shutdown()
    assert '"event":"e"' in stream.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(
    ("variable", "coloured"), [(None, True), ("NO_COLOR", False), ("TERM", False)]
)
def test_colours_on_a_terminal_only(variable, coloured, monkeypatch):
    """``auto`` is coloured on a terminal, plain if the environment says so, JSON elsewhere."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if variable:
        monkeypatch.setenv(variable, "dumb")
    terminal, plain = Terminal(), io.StringIO()
    ctxlog.configure(sinks=[terminal, plain, {"target": io.StringIO(), "renderer": "console"}])
    ctxlog.get_logger("shop").info("e")
    ctxlog.shutdown()
    assert coloured == ("\x1b[" in terminal.getvalue())
    assert plain.getvalue().startswith("{")


def test_sinks_are_given_by_mapping_of_any_kind():
    """Any mapping of ``add_sink``'s arguments will do."""
    from types import MappingProxyType

    lines: list[str] = []
    with configured(sinks=[MappingProxyType({"target": lines.append, "renderer": "logfmt"})]):
        ctxlog.get_logger("shop").info("e")
    assert "event=e" in lines[0]


def test_processors_of_structlog_pass_over_our_frames():
    """One that looks for the caller is copied, not changed; others are used as they are."""
    theirs = structlog.processors.CallsiteParameterAdder(additional_ignores=["mine"])
    other = structlog.processors.UnicodeDecoder()
    with configured(processors=[theirs, other]):
        assert runtime.pipeline is not None
        first, second = runtime.pipeline.processors
    assert ["logging", "mine", "ctxlog"] == first._additional_ignores  # type: ignore[attr-defined]
    assert ["logging", "mine"] == theirs._additional_ignores
    assert other is second


def test_redaction_can_be_switched_off():
    """``redact=False`` masks nothing."""
    with configured(redact=False) as written:
        ctxlog.get_logger("shop").info("e", password="p")
    assert "p" == written.event["password"]


# -- the environment ------------------------------------------------------------------------------


def test_the_environment_is_read(monkeypatch):
    """Variables stand above defaults and below arguments."""
    monkeypatch.setenv("CTXLOG_LEVEL", "debug")
    monkeypatch.setenv("CTXLOG_LEVELS", "kopf=warning, httpx = error,,")
    monkeypatch.setenv("CTXLOG_RENDERER", "logfmt")
    monkeypatch.setenv("CTXLOG_SCHEMA", "otel")
    monkeypatch.setenv("CTXLOG_STRICT", "yes")
    out = io.StringIO()
    ctxlog.configure(stream=out, levels={"httpx": "info"})
    try:
        assert policy.strict
        assert (10, {"kopf": 30, "httpx": 20}) == runtime.levels()
        ctxlog.get_logger("shop").debug("e")
        ctxlog.configure(stream=out, level="error", renderer="json", strict=False)
        assert not policy.strict
        assert 40 == runtime.levels()[0]
    finally:
        ctxlog.shutdown()
    assert "event=e" in out.getvalue()


@pytest.mark.parametrize(("variable", "value"), [
    ("CTXLOG_LEVEL", "loud"), ("CTXLOG_LEVELS", "a=loud,b,=info"), ("CTXLOG_RENDERER", "jsn"),
    ("CTXLOG_SCHEMA", "x"), ("CTXLOG_STRICT", "maybe"), ("CTXLOG_LEVEL", "x" * 5_000),
    ("OTEL_PROPAGATORS", "tracecontext,b4,b5"), ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b,=2"),
])  # fmt: skip
def test_a_bad_variable_is_one_warning(variable, value, monkeypatch):
    """It is told once, at the caller of ``configure``, and the default is used."""
    monkeypatch.setenv(variable, value)
    out = io.StringIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ctxlog.configure(stream=out)
    ctxlog.get_logger("shop").info("e")
    ctxlog.shutdown()
    (warning,) = caught
    assert warning.category is CtxlogWarning
    assert variable in str(warning.message)
    assert len(str(warning.message)) < 500
    assert __file__ == warning.filename
    assert '"event":"e"' in out.getvalue()


@pytest.mark.parametrize(("variable", "meant"), [
    ("CTXLOG_LEVLE", "CTXLOG_LEVEL"), ("CTXLOG_RENDERERS", "CTXLOG_RENDERER"), ("CTXLOG_", None),
    ("CTXLOG_\nX\x1b[31m" + "x" * 5_000, None),
])  # fmt: skip
def test_a_mistyped_variable_is_one_warning(variable, meant, monkeypatch):
    """A variable that nothing reads is told once, with all that are read; its value is not shown."""
    monkeypatch.setenv(variable, "hush")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ctxlog.configure(stream=io.StringIO())
    ctxlog.shutdown()
    (warning,) = caught
    told = str(warning.message)
    assert (CtxlogWarning, __file__) == (warning.category, warning.filename)
    assert "CTXLOG_LEVEL, CTXLOG_LEVELS, CTXLOG_RENDERER, CTXLOG_SCHEMA, CTXLOG_STRICT" in told
    assert (meant is not None) == (f"did you mean {meant!r}" in told)
    assert "hush" not in told
    assert told.isprintable()
    assert len(told) < 500


def test_several_mistyped_variables_are_one_warning(monkeypatch):
    """However many there are."""
    for number in range(50):
        monkeypatch.setenv(f"CTXLOG_LEVEL{number}", "x")
    with pytest.warns(CtxlogWarning) as caught:
        ctxlog.configure(stream=io.StringIO())
    ctxlog.shutdown()
    assert 1 == len(caught)
    assert len(str(caught[0].message)) < 800


def test_every_variable_that_is_read_is_known(monkeypatch, recwarn):
    """No variable that the source names is taken for a mistyped one."""
    package = Path(ctxlog.__file__).parent
    read = set(re.findall(r"\bCTXLOG_[A-Z]+\b", "".join(
        path.read_text("utf-8") for path in package.rglob("*.py"))))  # fmt: skip
    assert {"CTXLOG_LEVEL", "CTXLOG_CONTEXT"} <= read
    for name in read:
        monkeypatch.setenv(name, "?")
    ctxlog.configure(stream=io.StringIO())
    ctxlog.shutdown()
    told = [str(warning.message) for warning in recwarn]
    assert told  # a value that is bad
    assert [] == [text for text in told if "unknown variable" in text]


@pytest.mark.parametrize("name", [
    "CTXLOG_SERVICE_HOST", "CTXLOG_SERVICE_PORT", "CTXLOG_DEMO_SERVICE_PORT_HTTP", "CTXLOG_PORT",
    "CTXLOG_PORT_80_TCP", "CTXLOG_DEMO_PORT_80_TCP_ADDR",
])  # fmt: skip
def test_what_kubernetes_sets_for_a_service_is_no_mistyped_variable(name, monkeypatch, recwarn):
    """A service called ``ctxlog`` or ``ctxlog-demo`` puts these into every pod of its namespace."""
    monkeypatch.setenv(name, "10.0.0.1")
    ctxlog.configure(stream=io.StringIO())
    ctxlog.shutdown()
    assert [] == [str(warning.message) for warning in recwarn]


def _installed(*, group: str, name: str) -> list[str]:
    """Stand for a propagator that some package brings."""
    return ["sentry"] if (group, name) == ("opentelemetry_propagator", "sentry") else []


def test_what_others_write_is_no_bad_variable(monkeypatch, recwarn):
    """``OTEL_PROPAGATORS`` may name what OpenTelemetry finds installed; ours are not all there are."""
    monkeypatch.setenv("OTEL_PROPAGATORS", " TraceContext,sentry,,none")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "a=1, ,b=")
    monkeypatch.setattr("importlib.metadata.entry_points", _installed)
    ctxlog.configure(stream=io.StringIO())
    ctxlog.shutdown()
    assert [] == [str(warning.message) for warning in recwarn]


def test_no_variable_is_needed(monkeypatch):
    """An empty variable is none, and a false one is no."""
    for name in ("LEVEL", "LEVELS", "RENDERER", "SCHEMA"):
        monkeypatch.setenv(f"CTXLOG_{name}", " ")
    monkeypatch.setenv("CTXLOG_STRICT", "off")
    ctxlog.configure(stream=io.StringIO(), limits=Limits(items=3))
    assert (20, {}) == runtime.levels()
    ctxlog.shutdown()
