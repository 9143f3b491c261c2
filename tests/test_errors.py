"""Errors: the tree, and how misuse is worded."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxlog.errors import CtxlogError, CtxlogWarning, UsageError, choices
from tests.strategies import HOSTILE, relaxed, texts


@pytest.mark.parametrize("expected", [CtxlogError, TypeError, ValueError])
def test_usage_error_is_caught_as(expected: type[Exception]):
    """Misuse is caught by whoever expects a wrong type, a wrong value, or anything of ours."""
    with pytest.raises(expected):
        raise UsageError("no")


def test_warning_is_a_user_warning():
    """Our warnings are shown by default, as users' warnings are."""
    assert issubclass(CtxlogWarning, UserWarning)


def test_usage_error_pickles():
    """An error crosses a process boundary with its message."""
    error = pickle.loads(pickle.dumps(UsageError("no")))
    assert (UsageError, "no") == (type(error), str(error))


def test_choices_suggests_the_closest():
    """A near miss is met with what was probably meant, and all that would do."""
    expected = "unknown renderer 'JSN': did you mean 'json'? Known: auto, json"
    assert expected == str(choices("renderer", "JSN", ["auto", "json", "auto"]))


def test_choices_without_a_close_one_lists():
    """Without a near miss, all that would do is listed in the order given."""
    assert "unknown x 'q'. Known: b, a" == str(choices("x", "q", ["b", "a"]))


def test_choices_shortens_what_was_given():
    """A wrong text is repeated up to 80 characters."""
    assert f"unknown x {'q' * 80 + '…'!r}. Known: a" == str(choices("x", "q" * 1000, ["a"]))


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_choices_survives_hostile_values(name: str):
    """Whatever was given instead of a name, there is a message that lists the names."""
    assert "Known: a" in str(choices("x", HOSTILE[name](), ["a"]))


@relaxed
@given(texts(), st.lists(texts(), max_size=3))
def test_choices_takes_any_texts(got: str, known: list[str]):
    """Any text and any candidates make a message."""
    assert str(choices("x", got, known)).startswith("unknown x ")
