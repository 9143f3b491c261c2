"""Texts: names of types, cut texts, and what is left when nothing works."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxlog import texts as module
from ctxlog.texts import MARK, bytes_text, cut, encodable, name_of, type_path
from tests.strategies import Account, OddClass, relaxed, texts


def test_a_type_is_named_in_full():
    """A type's name has its module, except for built-in ones."""
    assert "tests.strategies.Account" == type_path(Account)
    assert "tests.strategies.OddClass" == type_path(OddClass)
    assert "int" == type_path(int)


def test_a_type_without_a_module_is_named_all_the_same():
    """A module that is missing, or is no text, is left out."""
    assert "Without" == type_path(eval('type("Without", (), {})', {}))  # no __name__ there
    assert "Odd" == type_path(type("Odd", (), {"__module__": 3}))


def test_a_type_with_an_odd_name_is_named_all_the_same():
    """A name that is huge, or that UTF-8 cannot hold, makes a short text that can be encoded."""
    odd = type("n" * 100_000, (), {"__module__": "m\udc80", "__qualname__": "q\udc80"})
    assert "m\\udc80.q\\udc80" == type_path(odd)
    assert len(type_path(type("n" * 100_000, (), {}))) <= 256


@relaxed
@given(texts(), st.integers(48, 200))
def test_a_text_is_cut_once(text: str, limit: int):
    """A cut text is within its limit, says how much is gone, and is not cut again."""
    once = cut(text, limit)
    assert len(once) <= limit
    assert once == cut(once, limit)
    if once != text:
        kept, _, gone = once.rpartition("…[+")
        assert len(text) == len(kept) + int(gone.removesuffix(" chars]"))


@relaxed
@given(st.binary(max_size=200), st.integers(1, 100))
def test_bytes_are_texts(data: bytes, limit: int):
    """Any bytes make a text that can be encoded; cut ones say so."""
    text = bytes_text(data, limit)
    text.encode()
    assert (len(data) > limit) is (text.endswith(" bytes]") and "…[+" in text)
    assert len(text) <= limit * 4 + MARK


@relaxed
@given(texts())
def test_any_text_can_be_encoded(text: str):
    """A text is encodable afterwards, and the same if it was before."""
    assert encodable(text).encode().decode() == encodable(text)
    if text.encode("utf-8", "replace").decode() == text:
        assert text == encodable(text)


def test_a_key_that_nothing_can_read_has_a_name(monkeypatch: pytest.MonkeyPatch):
    """Even with no memory left a key has a name; Ctrl-C passes."""

    def fail(key: object) -> str:
        raise key  # type: ignore[misc]

    monkeypatch.setattr(module, "_key_text", fail)
    assert "<unreadable>" == name_of(MemoryError())
    with pytest.raises(KeyboardInterrupt):
        name_of(KeyboardInterrupt())
