"""Redaction: which names are secret, and that their values are gone."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxlog.errors import UsageError
from ctxlog.freezing import freeze, freeze_fields
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.plain import plain
from ctxlog.processors import Clean
from ctxlog.redact import DEFAULT_NAMES, REMEMBERED, Redaction
from ctxlog.values import MASK
from tests.strategies import INNOCENT_NAMES, SECRET_NAMES, names, plain_events, relaxed


@pytest.mark.parametrize("name", [*SECRET_NAMES, *sorted(DEFAULT_NAMES)])
def test_well_known_names_are_secret(name: str):
    """Well-known names are secret in any case, with or without ``-`` and ``_``, and as a last part."""
    is_secret = Redaction().is_secret
    spellings = [name, name.upper(), name.replace("_", "-"), name.replace("_", ""), f"a.b.{name}"]
    assert [True] * 5 == [is_secret(spelling) for spelling in spellings]


@pytest.mark.parametrize("name", [*INNOCENT_NAMES, "tokens", "password.length", "", ".", "key"])
def test_similar_names_are_not(name: str):
    """A name that only contains a secret's stays as it is."""
    assert Redaction().is_secret(name) is False


def test_own_names_replace_or_add():
    """``names`` replaces the well-known ones, ``also`` adds to them."""
    assert [True, False] == [*map(Redaction(["x"]).is_secret, ["X", "password"])]
    assert [True, True] == [*map(Redaction(also=["x"]).is_secret, ["X", "password"])]
    assert Redaction(()).is_secret("password") is False


def test_allowed_names_and_paths_are_never_masked():
    """An allowed name stays anywhere, an allowed path only there."""
    redaction = Redaction(allow=["cookie", "Page.Token"])
    event = {"cookie": 1, "page": {"token": 2, "more": {"token": 3}}, "token": 4, "page.token": 5}
    expected = {
        "cookie": 1,
        "page": {"token": 2, "more": {"token": MASK}},
        "token": MASK,
        "page.token": 5,
    }
    assert redaction.paths
    assert expected == redaction.apply(event)
    assert expected == plain(event, DEFAULT_LIMITS, redaction.is_secret, where="")


def test_masking_is_recursive():
    """Secrets are masked at any depth, in mappings, lists, and pairs as headers come."""
    event = {
        "a": [{"b": {"password": "hunter2"}}],
        "headers": [["Cookie", "hunter2"], ("authorization", "hunter2"), ["accept", "*/*"]],
        "password": {"old": "hunter2"},
    }
    masked = Redaction().apply(event)
    assert "hunter2" not in repr(masked)
    assert ["accept", "*/*"] == masked["headers"][2]
    assert MASK == masked["password"]


def test_the_event_is_not_changed():
    """What is given stays as it was."""
    event = {"a": [{"password": "x"}], "token": 1}
    before = copy.deepcopy(event)
    Redaction(patterns=["x"]).apply(event)
    assert before == event


def test_patterns_are_masked_in_texts_at_any_depth():
    """Matches in texts are masked wherever they stand; a mask is no template."""
    redaction = Redaction(patterns=[r"sk-\w+", re.compile("card", re.IGNORECASE)], mask=r"\1<x>")
    event = {"event": "key sk-1 and sk-2", "a": [{"b": ["CARD", 3]}], "pair": [["cookie", "c"]]}
    expected = {
        "event": r"key \1<x> and \1<x>",
        "a": [{"b": [r"\1<x>", 3]}],
        "pair": [["cookie", r"\1<x>"]],
    }
    assert expected == redaction.apply(event)


@relaxed
@given(plain_events(), st.sampled_from(SECRET_NAMES))
def test_no_secret_survives(event: dict[str, Any], name: str):
    """Whatever else an event holds, a value under a secret name is nowhere in what is written."""
    secret = "s3cr3t-never-shown"
    event = {**event, name: secret, "deep": [{"er": {name: [secret]}}]}
    assert secret.encode() not in orjson.dumps(Redaction().apply(event))


@relaxed
@given(plain_events())
def test_both_ways_agree(event: dict[str, Any]):
    """Masking a plain event is the same as making it plain with masks."""
    redaction = Redaction()
    at_once = plain(event, DEFAULT_LIMITS, redaction.is_secret, where="")
    afterwards = redaction.apply(plain(event, DEFAULT_LIMITS))
    assert at_once == afterwards


@relaxed
@given(names())
def test_any_name_has_an_answer(name: str):
    """Any text is secret or not, and the answer stays the same."""
    redaction = Redaction()
    assert redaction.is_secret(name) is redaction.is_secret(name)


def test_the_memory_for_names_is_bounded():
    """Names without end do not fill the memory, and do not change an answer."""
    redaction = Redaction()
    for number in range(REMEMBERED * 2 + 10):
        redaction.is_secret(f"user-{number}")
    assert len(redaction._answers) <= REMEMBERED
    assert redaction.is_secret("password")


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("names takes several", {"names": "password"}),
        ("also takes several", {"also": b"password"}),
        ("allow takes names in a list", {"allow": 3}),
        ("also takes names as text, not int", {"also": [3]}),
        ("also takes names with a letter", {"also": ["-_"]}),
        ("patterns takes several", {"patterns": "x"}),
        ("patterns takes several", {"patterns": re.compile("x")}),
        ("patterns takes regular expressions for text", {"patterns": [re.compile(b"x")]}),
        ("patterns takes regular expressions for text", {"patterns": [3]}),
        ("is no regular expression", {"patterns": ["("]}),
        ("matches the empty text", {"patterns": ["x*"]}),
        ("mask takes a text", {"mask": None}),
    ],
)
def test_misuse_is_an_error_at_once(said: str, options: dict[str, Any]):
    """A wrong argument is an error that says what is accepted."""
    with pytest.raises(UsageError, match=re.escape(said)):
        Redaction(**options)


def test_a_mask_can_always_be_written():
    """A lone surrogate in a mask becomes its escape."""
    assert r"\udc80" == Redaction(mask="\udc80").mask


def test_redaction_is_an_immutable_value():
    """It compares, hashes and pickles by value, and cannot be changed."""
    one = Redaction(also=["x"], allow=["a.b"], patterns=["y+"], mask="<m>")
    again = pickle.loads(pickle.dumps(one))
    assert (one, hash(one), "<m>") == (again, hash(again), again.mask)
    assert again.is_secret("X")
    assert one != Redaction()
    assert one != "x"
    assert "<Redaction of 1 names, 0 allowed, 0 patterns>" == repr(Redaction(["x"]))
    with pytest.raises(AttributeError, match="immutable"):
        one.mask = "x"
    with pytest.raises(AttributeError, match="immutable"):
        del one.mask


@pytest.mark.parametrize("name", ["HTTP_COOKIE", "HTTP_X_API_KEY", "environ.HTTP_AUTHORIZATION"])
def test_headers_as_wsgi_calls_them(name: str):
    """``HTTP_COOKIE`` of an environ, of Django's ``META``, is a cookie."""
    assert Redaction().is_secret(name)
    assert not Redaction(allow=[name]).is_secret(name)
    assert not Redaction().is_secret("HTTP_ACCEPT")


class Twice(Mapping[str, str]):
    """Headers, of which a name may come twice, as multidict's and urllib3's."""

    def __getitem__(self, key: str) -> str:
        return "hunter2"

    def __iter__(self) -> Iterator[str]:
        return iter(["Set-Cookie", "Set-Cookie", "Set-Cookie"])

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize("secret", [Twice(), {"set_cookie": 1, b"set_cookie": "hunter2"}])
def test_a_secret_name_that_comes_twice(secret: Any):
    """The second is called otherwise on the line; it is as secret."""
    redaction = Redaction()
    written = plain({"headers": secret}, DEFAULT_LIMITS, redaction.is_secret)
    bound: Any = redaction.field("headers", freeze(secret))
    for shown in (written["headers"], bound, Clean(redaction).cleaned(freeze_fields(secret, {}))):
        assert [MASK] * len(secret) == list(shown.values())
    assert not Redaction().is_secret("secret~name")
    assert Redaction(also=["note~1"]).is_secret("note~1")
