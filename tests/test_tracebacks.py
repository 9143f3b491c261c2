"""Tracebacks: exceptions as data, printed once, whatever they are."""

from __future__ import annotations

import re
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ctxlog
from ctxlog import tracebacks
from ctxlog.limits import Limits
from ctxlog.renderers.console import ConsoleRenderer
from ctxlog.renderers.json import JsonRenderer
from ctxlog.renderers.logfmt import LogfmtRenderer
from ctxlog.tracebacks import CAUSES, GROUP_MEMBERS, NOTES, describe, resolve
from tests.kit import configured
from tests.strategies import HOSTILE, BoomError, OddError, anything, relaxed, texts

if TYPE_CHECKING:
    from collections.abc import Callable


def raised(function: Callable[[], object]) -> BaseException:
    """Return what a function raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - it is what is wanted
        return error
    raise AssertionError("nothing was raised")


def fail(error: BaseException, cause: BaseException | None = None) -> Any:
    """Return an error that was raised, from a cause if there is one."""

    def throw() -> None:
        if cause is None:
            raise error
        raise error from cause

    return raised(throw)


def in_handler() -> BaseException:
    """Return an error raised while another was handled."""

    def throw() -> None:
        try:
            raise KeyError("missing")
        except KeyError:
            raise ValueError("second")  # noqa: B904 - the context is what is tested

    return raised(throw)


def suppressed() -> BaseException:
    """Return an error raised from nothing while another was handled."""

    def throw() -> None:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None

    return raised(throw)


def noted() -> Any:
    """Return an error with notes."""
    error = ValueError("v")
    error.add_note("first")
    error.add_note("second\nline")
    return fail(error)


def misspelt() -> BaseException:
    """Return an error for which Python has a suggestion."""
    return raised(lambda: sys.vresion)  # type: ignore[attr-defined]


def group() -> Any:
    """Return a raised group that holds a group, an error with a cause, and one without a trace."""
    inner = ExceptionGroup("inner", [fail(ValueError("a")), KeyError("b")])
    return fail(ExceptionGroup("outer", [inner, fail(OSError("c"), noted())]))


ORDINARY: dict[str, Callable[[], BaseException]] = {
    "never raised": lambda: ValueError("v"),
    "raised": lambda: fail(ValueError("v")),
    "no message": lambda: fail(ValueError()),
    "several lines": lambda: fail(ValueError("a\nb")),
    "a cause": lambda: fail(ValueError("v"), fail(KeyError("k"))),
    "a cause never raised": lambda: fail(ValueError("v"), KeyError("k")),
    "a context": in_handler,
    "a suppressed context": suppressed,
    "a cause of a context": lambda: fail(OSError("o"), in_handler()),
    "notes": noted,
    "a suggestion": misspelt,
    "a group": group,
    "a group as a cause": lambda: fail(ValueError("v"), group()),
    "a syntax error": lambda: raised(lambda: compile("a b\n", "file.py", "exec")),
    "recursion of few frames": lambda: raised(lambda: nested(60)),
    "no Exception": lambda: fail(KeyboardInterrupt()),
    "not ASCII": lambda: fail(ValueError("é\u2028\x1b[31m")),
}


def nested(levels: int) -> None:
    """Raise from so many calls."""
    if levels == 0:
        raise ValueError("deep")
    nested(levels - 1)


@pytest.mark.parametrize("name", ORDINARY)
def test_the_text_is_pythons_own(name: str):
    """An ordinary exception is printed to the letter as Python prints it."""
    error = ORDINARY[name]()
    expected = "".join(traceback.format_exception(error)).removesuffix("\n")
    assert expected == describe(error)["exception.stacktrace"]


def test_the_fields_of_an_ordinary_exception():
    """There are four fields, and no others without a reason."""
    described = describe(fail(BoomError("v")))
    assert "tests.strategies.BoomError" == described["exception.type"]
    assert "tests.strategies.BoomError" == described["error.type"]
    assert "v" == described["exception.message"]
    assert 4 == len(described)
    assert "ValueError" == describe(ValueError())["exception.type"]


def test_a_local_class_has_its_full_name():
    """A class made in a function is named by where it was made."""

    class LocalError(Exception):
        pass

    expected = f"{__name__}.test_a_local_class_has_its_full_name.<locals>.LocalError"
    assert expected == describe(LocalError())["exception.type"]


def test_causes_are_told_nearest_first():
    """What an exception comes from is told in order, with how it comes from it."""
    expected = [
        {"type": "ValueError", "message": "second", "kind": "cause"},
        {"type": "KeyError", "message": "'missing'", "kind": "context"},
    ]
    assert expected == describe(fail(OSError("o"), in_handler()))["exception.causes"]
    assert "exception.causes" not in describe(suppressed())


def test_groups_are_told_as_trees():
    """A group's members are told, and those of the groups among them."""
    expected = [
        {
            "type": "ExceptionGroup",
            "message": "inner (2 sub-exceptions)",
            "exceptions": [
                {"type": "ValueError", "message": "a"},
                {"type": "KeyError", "message": "'b'"},
            ],
        },
        {"type": "OSError", "message": "c"},
    ]
    assert expected == describe(group())["exception.group"]


def test_notes_are_told():
    """Notes are a list of texts; what is none is told by its repr; many are cut."""
    assert ["first", "second\nline"] == describe(noted())["exception.notes"]
    error: Any = ValueError()
    error.__notes__ = ("not", "a list")
    assert ["('not', 'a list')"] == describe(error)["exception.notes"]
    error.__notes__ = [1, OddError()] * 20
    notes: Any = describe(error)["exception.notes"]
    assert (NOTES + 1, "<+24 more>") == (len(notes), notes[-1])
    assert "<OddError: str raised BoomError>" == notes[1]


def test_an_exception_that_cannot_be_told():
    """An exception whose text raises is told by its type."""
    described = describe(fail(OddError("x")))
    assert "<OddError: str raised BoomError>" == described["exception.message"]
    assert "test_tracebacks.py" in str(described["exception.stacktrace"])


def test_cycles_end():
    """Causes that lead back to themselves are told once."""
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    described = describe(first)
    assert [{"type": "ValueError", "message": "2", "kind": "cause"}] == described[
        "exception.causes"
    ]
    alone = ValueError("3")
    alone.__context__ = alone
    assert "exception.causes" not in describe(alone)


@pytest.mark.parametrize("attribute", ["__cause__", "__context__"])
def test_long_chains_are_cut(attribute: str):
    """Of ten thousand causes the nearest are told, and that there are more."""
    error: BaseException = ValueError("0")
    for number in range(1, 10_000):
        following = ValueError(f"{number}")
        setattr(following, attribute, error)
        error = following
    started = time.perf_counter()
    described = describe(error)
    assert time.perf_counter() - started < 2
    causes: Any = described["exception.causes"]
    assert (CAUSES + 1, "<+84 or more>") == (len(causes), causes[-1])
    text: Any = described["exception.stacktrace"]
    assert text.startswith("<+84 or more>\nValueError: 9983")
    assert text.endswith("ValueError: 9999")


def test_a_chain_of_a_few_too_many_is_counted():
    """Of a chain a little too long the causes that are not told are counted."""
    error: BaseException = ValueError("0")
    for number in range(1, 20):
        error = fail(ValueError(f"{number}"), error)
    causes: Any = describe(error)["exception.causes"]
    assert "<+3 more>" == causes[-1]


def test_huge_groups_are_cut():
    """Of a group of ten thousand a bounded number is told, quickly."""
    started = time.perf_counter()
    described = describe(ExceptionGroup("g", [ValueError(f"{n}") for n in range(10_000)]))
    assert time.perf_counter() - started < 2
    members: Any = described["exception.group"]
    assert (GROUP_MEMBERS + 1, f"<+{10_000 - GROUP_MEMBERS} more>") == (len(members), members[-1])
    assert "[10000 exceptions in this group]" in str(described["exception.stacktrace"])


def test_deep_groups_are_cut():
    """A group of groups of groups ends in a mark."""
    error: Any = ValueError("v")
    for _ in range(2000):
        error = ExceptionGroup("g", [error])
    described = describe(error)
    assert "<depth>" in repr(described["exception.group"])
    assert len(str(described["exception.stacktrace"])) <= 16_000


def test_long_tracebacks_keep_their_end():
    """Of a deep recursion the last frames are told, and that they are not all."""

    def recurse() -> None:
        recurse()

    text: Any = describe(raised(recurse))["exception.stacktrace"]
    assert text.startswith("[the last 100 frames of each traceback]\nTraceback (most")
    assert "RecursionError: maximum recursion depth exceeded" in text.splitlines()[-1]
    few: Any = describe(raised(lambda: nested(60)), frames_limit=5)["exception.stacktrace"]
    assert few.startswith("[the last 5 frames of each traceback]\n")
    assert few.endswith("ValueError: deep")


def test_many_long_tracebacks_share_their_frames():
    """Many parts with long tracebacks get fewer frames each."""
    errors = [raised(lambda: nested(60)) for _ in range(20)]
    text: Any = describe(BaseExceptionGroup("g", errors))["exception.stacktrace"]
    assert text.startswith("[the last 19 frames of each traceback]")


def test_long_texts_lose_their_middle():
    """A stacktrace over its bytes keeps its beginning and its end."""
    error = fail(ValueError("é" * 50_000 + "the end"))
    text: Any = describe(error, bytes_limit=2000)["exception.stacktrace"]
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("éthe end")
    assert len(text.encode()) <= 2000
    assert "bytes]\n" in text
    whole = describe(fail(ValueError("é" * 1000)), bytes_limit=4000)["exception.stacktrace"]
    assert "bytes]\n" not in str(whole)


@pytest.mark.parametrize("renderer", ["json", "logfmt", "console"])
def test_a_small_limit_leaves_where_it_was_raised(renderer: str):
    """Where a value may have little, what is cut of a traceback or a stack is its middle."""
    error: Any = ValueError("the first")
    for number in range(20):
        error = fail(ValueError(f"number {number}"), error)
    with configured(limits=Limits(value_bytes=2000), renderer=renderer) as written:
        ctxlog.get_logger("shop").error("e", exc_info=error)
        ctxlog.get_logger("shop").error("e", stack_info="File a\n" * 1000 + "File z")
    text = written.getvalue().decode()
    assert ["ValueError: the first", "in throw", "ValueError: number 19", "File z"] == [
        part
        for part in ("ValueError: the first", "in throw", "ValueError: number 19", "File z")
        if part in text
    ]
    assert 2 == len(re.findall(r"…\[\+\d+ bytes\]", text))


def test_a_renderer_of_its_own_leaves_where_it_was_raised():
    """The same in structlog's chain, where the renderer is all there is of ours."""
    error = fail(ValueError("x" * 5000 + " the end"))
    for renderer in (JsonRenderer, LogfmtRenderer, ConsoleRenderer):
        line: Any = renderer(limits=Limits(value_bytes=1000))(None, "", {"exc_info": error})
        text = line.decode() if isinstance(line, bytes) else line
        assert text.count(" the end") == 1, text


class OverridesItsCauseError(Exception):
    """Gives a new cause each time it is asked."""

    __cause__: Any = property(lambda _: OverridesItsCauseError())


class OverridesItsTracebackError(Exception):
    """Raises when its traceback is asked for."""

    @property
    def __traceback__(self) -> Any:  # type: ignore[override]
        raise BoomError("traceback")


class RaisesOnEverythingError(Exception):
    """Raises whatever attribute is asked for."""

    def __getattribute__(self, name: str) -> Any:
        raise BoomError(name)


class LyingGroup(ExceptionGroup[Exception]):
    """A group that has other members than it had."""

    exceptions: Any = property(lambda _: 3)


@pytest.mark.parametrize(
    "make",
    [
        OverridesItsCauseError,
        OverridesItsTracebackError,
        RaisesOnEverythingError,
        lambda: LyingGroup("g", [ValueError("v")]),
    ],
)
def test_hostile_classes_are_told(make: Callable[[], BaseException]):
    """An exception whose class overrides what exceptions have is told all the same."""
    error = fail(make())
    for described in (describe(error), describe(fail(ValueError("v"), error))):
        assert (
            "Overrides" in repr(described)
            or "Raises" in repr(described)
            or "Lying" in repr(described)
        )
        assert all(type(value) in (str, list) for value in described.values())
        orjson.dumps(described)


def stop_asking(*_: object) -> Any:
    """Raise, whatever is asked."""
    raise BoomError("no")


class HidesItsNotesError(Exception):
    """Raises when its notes are asked for."""

    __notes__: Any = property(stop_asking)


class HasNoTruthError(Exception):
    """Cannot be asked whether it is true."""

    __bool__ = stop_asking


class OddNotes(list[str]):
    """Notes that cannot be read."""

    __iter__: Any = stop_asking
    __len__: Any = stop_asking


def odd_syntax_error() -> Any:
    """Return what a parser of a template language might make of a SyntaxError."""
    error = SyntaxError("bad")
    error.lineno, error.text, error.filename = "x", 3, object()  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    "make",
    [
        HidesItsNotesError,
        HasNoTruthError,
        lambda: set_notes(ValueError("v"), OddNotes(["a"])),
        odd_syntax_error,
    ],
)
def test_what_python_cannot_print_still_has_its_traceback(make: Callable[[], BaseException]):
    """Where the exception was raised is told, though Python fails to print the exception."""
    error = fail(make())
    for described in (describe(error), describe(fail(ValueError("v"), error))):
        assert "in throw\n" in str(described["exception.stacktrace"])
        assert "no traceback" not in str(described["exception.stacktrace"])
        orjson.dumps(described)


def set_notes(error: Any, notes: object) -> Any:
    """Set an error's notes by hand."""
    error.__notes__ = notes
    return error


@pytest.mark.parametrize("levels", [60, 400])
def test_groups_that_share_their_members_end(levels: int):
    """A group that holds a group twice, so many levels deep, has more parts than atoms are."""
    error: Any = ValueError("v")
    for _ in range(levels):
        error = ExceptionGroup("g", [error, error])
    described = describe(fail(error))
    assert "ExceptionGroup: g (2 sub-exceptions)" in str(described["exception.stacktrace"])
    orjson.dumps(described)


def test_a_member_that_is_there_twice_is_printed_twice():
    """As two tasks that awaited the same failure leave it; and to the letter as Python does."""
    error = fail(ValueError("v"))
    group = fail(ExceptionGroup("g", [error, error]))
    expected = "".join(traceback.format_exception(group)).removesuffix("\n")
    assert expected == describe(group)["exception.stacktrace"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_the_two_that_end_a_program_pass(kind: type[BaseException]):
    """Ctrl-C and exit raised while an exception is told are never swallowed."""

    def stop(*_: object) -> Any:
        raise kind

    error = type("Stops", (Exception,), {"__str__": stop})()
    with pytest.raises(kind):
        describe(error)
    error = type("Stops", (Exception,), {"__notes__": property(stop)})()
    with pytest.raises(kind):
        describe(error)
    with pytest.raises(kind):
        resolve(type("Stops", (), {"__bool__": stop})())


@relaxed
@given(st.lists(anything(), max_size=3), texts(), st.booleans())
def test_any_arguments_are_told(arguments: list[Any], note: str, grouped: bool):
    """An exception of any arguments, notes and causes gives texts and lists that JSON takes."""
    error: BaseException = fail(ValueError(*arguments), ValueError(*arguments))
    error.add_note(note)
    if grouped:
        error = BaseExceptionGroup("g", [error, *[ValueError(argument) for argument in arguments]])
    orjson.dumps(describe(error))


# -- resolve --------------------------------------------------------------------------------------


def test_resolve_knows_what_people_pass():
    """An exception, its tuple, or True while it is handled mean the exception."""
    error: Any = fail(ValueError("v"))
    assert [error] == [resolve(error)]
    assert [error] == [resolve((type(error), error, error.__traceback__))]
    try:
        raise error
    except ValueError:
        meant = [True, 1, "yes", sys.exc_info()]
        assert [error] * 4 == [resolve(value) for value in meant]
        assert [None] * 2 == [resolve(False), resolve(None)]


@pytest.mark.parametrize("value", [True, False, None, 0, 1, "", "x", (), (1,), (None,) * 3, (1, 2)])
def test_resolve_finds_nothing_without_an_exception(value: object):
    """While nothing is handled nothing but an exception means one."""
    assert resolve(value) is None


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_resolve_survives_hostile_values(name: str):
    """Whatever is passed, there is an exception or none."""
    value = HOSTILE[name]()
    assert resolve(value) is (value if name == "odd error" else None)
    assert resolve((None, value, None)) is (value if name == "odd error" else None)


def test_a_frame_is_formatted_once_and_reads_as_python_prints_it(monkeypatch: pytest.MonkeyPatch):
    """The second time its text is remembered; both times it is what Python prints."""
    monkeypatch.setattr(tracebacks, "_frame_texts", {})
    made = raised(lambda: int("x").real)
    first, second = (describe(made)["exception.stacktrace"] for _ in range(2))
    assert "".join(traceback.format_exception(made)).rstrip("\n") == first == second
    assert 0 < len(tracebacks._frame_texts)
    remembered = dict(tracebacks._frame_texts)
    describe(made)
    assert remembered == tracebacks._frame_texts


def test_remembered_frames_are_bounded_and_keep_apart_what_differs(monkeypatch: pytest.MonkeyPatch):
    """Other lines, other columns and other functions have texts of their own; memory is bounded."""
    monkeypatch.setattr(tracebacks, "_frame_texts", {})
    monkeypatch.setattr(tracebacks, "FRAME_TEXTS", 4)
    for made in (raised(lambda: 1 / 0), raised(lambda: int("x") + 1)):
        expected = "".join(traceback.format_exception(made)).rstrip("\n")
        assert expected == describe(made)["exception.stacktrace"]
        assert len(tracebacks._frame_texts) <= 4
