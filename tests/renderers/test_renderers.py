"""Renderers: nothing that is logged acts on a terminal or begins a line of its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxlog.adapters.lines import parsed
from ctxlog.renderers.console import ConsoleRenderer
from ctxlog.renderers.escaping import escape_text
from ctxlog.renderers.json import JsonRenderer
from ctxlog.renderers.logfmt import LogfmtRenderer
from tests.kit import ACTIVE, parse_line
from tests.strategies import CONTROLS, BoomError, events, plain_events, relaxed, texts

ANY = 2**30  # a renderer alone does not limit the line
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@relaxed
@given(plain_events())
def test_json_is_valid(event):
    """Any plain event is one valid line."""
    parse_line(JsonRenderer().render(event) + b"\n", ANY)


@relaxed
@given(events())
def test_any_event_as_a_processor(event):
    """In structlog's chain too, any event is one line by every renderer."""
    event = {key: value for key, value in event.items() if key not in {"exc_info", "exception"}}
    parse_line(JsonRenderer()(None, "info", event) + b"\n", ANY)
    for renderer in (LogfmtRenderer(), ConsoleRenderer()):
        text = renderer(None, "info", event)
        assert set() == ACTIVE & set(text) - {"\n"}
        for line in text.split("\n")[1:]:
            assert line.startswith("    ")


@relaxed
@given(plain_events())
def test_text_is_escaped(event):
    """Logfmt is one line; the console continues on indented lines; only colours are raw."""
    assert set() == ACTIVE & set(LogfmtRenderer().render(event))
    for colors in (False, True):
        text = ConsoleRenderer(colors=colors).render(event)
        bare = COLOUR.sub("", text) if colors else text
        assert set() == ACTIVE & set(bare) - {"\n"}
        for line in bare.split("\n")[1:]:
            assert line.startswith("    ")


def test_escapes_are_readable():
    """The usual ones by letter, the others by number."""
    assert r"\r\n\t\x1b\x7f\x85\u2028" == escape_text("\r\n\t\x1b\x7f\x85\u2028")
    assert set() == ACTIVE & set(escape_text(CONTROLS))


@relaxed
@given(
    st.lists(
        texts() | st.text(alphabet='\\nrtxu01b"= \n\r\t\x1b\x85\u2028'), min_size=2, max_size=5
    )
)
@example(["a\nb", "a\\nb", 'a "\n', 'a "\\n', "\\", "", "\\x1b", "\x1b", "null"])
@example(["", "\xa0"])
def test_logfmt_is_read_back_as_it_was(values):
    """Whatever texts are logged, a reader of logfmt gets those: a line break is not its escape."""
    event = {f"f{number}": value for number, value in enumerate(values)}
    assert event == parsed(LogfmtRenderer().render(event))


def test_logfmt_of_what_is_no_text():
    """Numbers are bare, containers JSON, None nothing, and an empty text is not None."""
    line = LogfmtRenderer().render(
        {"n": 1.5, "ok": False, "no": None, "empty": "", "list": [1, "a b"], "path": "C:\\new"}
    )
    assert 'n=1.5 ok=false no= empty="" list="[1,\\"a b\\"]" path="C:\\\\new"' == line


def test_logfmt_loses_no_field():
    """Names that become the same are told apart, and none is empty."""
    line = LogfmtRenderer().render({"a b": 1, "a_b": 2, "a=b": 3, "": 4, "ok": True, "no": None})
    assert "a_b=1 a_b~2=2 a_b~3=3 _=4 ok=true no=" == line


@pytest.mark.parametrize("name", ["exception", "stack", "stack_info", "exc_info"])
def test_the_console_gives_no_name_a_line_of_its_own(name):
    """What structlog's renderer would print on a line that looks like an event does not."""
    line = ConsoleRenderer().render({"event": "e", name: "2026 [info] forged"})
    assert "\n" not in line
    assert f"fields.{name}=" in line


def test_the_console_shows_tracebacks():
    """On indented lines, from our fields, structlog's, and an ``exc_info``."""
    try:
        raise BoomError("a\x1b")
    except BoomError as error:
        text = ConsoleRenderer()(None, "error", {"event": "e", "exc_info": error})
    assert "\n    Traceback (most recent call last):\n" in text
    assert "\x1b" not in text
    text = ConsoleRenderer().render({"event": "e", "exception": "Traceback:\n  x", "stack": "a\nb"})
    assert ["    Traceback:", "      x", "    a", "    b"] == text.split("\n")[1:]


def test_the_console_shows_an_operators_fields_before_its_machines():
    """The object's key and what was logged come first; what they repeat, and ids, last and dimmed."""
    parts = {
        "k8s.object.kind": "Widget",
        "k8s.object.api_version": "example.dev/v1",
        "k8s.object.namespace": "shop",
        "k8s.object.name": "w-1",
        "k8s.object.uid": "u-1",
        "k8s.object.resource_version": "2",
    }
    ids = {"link.trace_id": "t-0", "link.request_id": "r-0", "reconcile_id": "c-1"}
    ref = {"k8s.object.ref": "Widget/shop/w-1"}
    event = {"event": "sizing", "trace_id": "t-1", **ids, **parts, **ref, "size": 5}
    line = ConsoleRenderer().render(event)
    assert ["k8s.object.ref=Widget/shop/w-1", "size=5"] == line.split()[1:3]
    assert sorted([*parts, *ids, "trace_id"]) == sorted(
        pair.partition("=")[0] for pair in line.split()[3:]
    )
    coloured = ConsoleRenderer(colors=True).render(event)
    for name in (*parts, *ids):
        assert f"\x1b[2m{name}\x1b[0m" in coloured
    alone = ConsoleRenderer().render({"event": "sizing", **parts, "size": 5})
    assert "size=5" == alone.split()[-1]  # without the key they are all there is


def test_the_console_lays_out_odd_levels():
    """Levels it does not know, and a missing head, are shown too."""
    for level in ("notice", "level 33"):
        line = ConsoleRenderer(colors=True).render(
            {"level": level, "event": "e", "n": {"a": ["\n"]}}
        )
        assert level in line
    assert "a\\x1b=1" in ConsoleRenderer().render({"a\x1b": 1}).replace("\\\\", "\\")
    both = ConsoleRenderer().render({"a\\n": 1, "a\n": 2})
    assert "1" in both
    assert "2" in both
