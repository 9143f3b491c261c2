"""Values: what binding keeps, and what a renderer is given."""

from __future__ import annotations

import copy
import pickle
import sys
import time
import types
from collections import ChainMap, OrderedDict, UserDict, deque
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from ipaddress import ip_address, ip_network
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxlog.errors import UsageError
from ctxlog.freezing import freeze, freeze_fields
from ctxlog.limits import DEFAULT_LIMITS, Limits
from ctxlog.plain import plain
from ctxlog.redact import Redaction
from ctxlog.texts import name_of, safe_repr, safe_str
from ctxlog.values import MASK, SCALARS, Lazy, Secret, lazy
from tests.strategies import (
    HOSTILE,
    Account,
    BoomError,
    Colour,
    Credentials,
    OddError,
    OddText,
    Raises,
    Size,
    anything,
    cyclic,
    events,
    keys,
    mappings,
    plain_values,
    relaxed,
    texts,
)

SMALL = Limits(value_bytes=20, depth=3, items=4, line_bytes=1024)


def written(value: object, **options: Any) -> Any:
    """Return a value as it comes out of JSON."""
    return orjson.loads(orjson.dumps(plain(value, DEFAULT_LIMITS, **options)))


def is_frozen(value: Any) -> bool:
    """Say whether a value is made of nothing but what binding keeps."""
    kind = type(value)
    if kind is tuple:
        return all(map(is_frozen, value))
    if kind is dict:
        return all(type(k) is str and is_frozen(v) for k, v in value.items())
    return kind in SCALARS or kind is Secret or kind is Lazy


# -- anything at all ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_values_cost_only_themselves(name: str):
    """A hostile value is kept and written as something, quickly, beside ordinary ones."""
    made = HOSTILE[name]
    started = time.perf_counter()
    frozen = freeze({"a": 1, "hostile": made(), "z": [made(), 2]})
    assert is_frozen(frozen)
    for value in (frozen, {"a": 1, "hostile": made(), "z": [made(), 2]}):
        read = written(value)
        assert (1, 3) == (read["a"], len(read))
        if name != "doubling":  # it takes what other containers could have had
            assert 2 == read["z"][1]
    assert time.perf_counter() - started < 5
    written(made())
    is_frozen(freeze(made()))


@relaxed
@given(anything())
@example([cyclic(), cyclic()])
def test_anything_can_be_bound_and_written(value: object):
    """What is bound is made of few types, pickles, and is written as the value itself would be."""
    frozen = freeze(value)
    assert is_frozen(frozen)
    pickle.loads(pickle.dumps(frozen))
    assert orjson.dumps(plain(frozen, DEFAULT_LIMITS)) is not None
    assert orjson.dumps(plain(value, DEFAULT_LIMITS)) is not None


@relaxed
@given(anything())
def test_freezing_twice_changes_nothing(value: object):
    """What binding keeps is kept as it is when it is bound again."""
    frozen = freeze(value)
    assert plain(frozen, DEFAULT_LIMITS) == plain(freeze(frozen), DEFAULT_LIMITS)


@relaxed
@given(plain_values())
def test_plain_values_stay_as_they_are(value: object):
    """A value that JSON has already comes out as it went in."""
    large = Limits(value_bytes=10**6, line_bytes=10**7, depth=100, items=1000)

    def with_names(part: Any) -> bool:
        if isinstance(part, dict):
            return all(0 < len(k) <= 256 and with_names(v) for k, v in part.items())
        return all(map(with_names, part)) if isinstance(part, list) else True

    if with_names(value):
        assert value == plain(value, large)


@relaxed
@given(anything())
def test_bounds_hold(value: object):
    """Depth, items and bytes of a text are bounded, marks apart."""

    def check(part: Any, depth: int) -> None:
        if isinstance(part, dict | list):
            assert depth < 3
            assert len(part) <= 5
        if isinstance(part, dict):
            for name, item in part.items():
                assert 0 < len(name) <= 256
                check(item, depth + 1)
        elif isinstance(part, list):
            for item in part:
                check(item, depth + 1)
        elif isinstance(part, str):
            assert len(part.encode()) <= 34

    check(plain(value, SMALL), 0)


@relaxed
@given(events())
def test_no_secret_is_written_from_anything(event: dict[str, Any]):
    """A value under a secret name is not written, however it is wrapped."""
    secret = "s3cr3t-never-shown"
    event["wrapped"] = [
        {"password": secret},
        Account("n", password=secret, hidden=secret),
        Credentials("u", secret),
        types.MappingProxyType({"Api-Key": [secret]}),
        UserDict({b"token": secret}),
        [("authorization", secret), [b"cookie", secret.encode()]],
        Secret(secret),
        lazy(lambda: {"password": secret}),
        {"x" * 1000 + ".password": secret},
        OrderedDict({OddText("password"): secret}),
    ]
    is_secret = Redaction().is_secret
    for value in (event, freeze(event)):
        assert secret.encode() not in orjson.dumps(plain(value, DEFAULT_LIMITS, is_secret))


def test_an_unreadable_mapping_does_not_show_its_text():
    """What stands for an unreadable mapping is not its repr, which could hold a secret."""
    assert "hunter2" not in repr(freeze(HOSTILE["unreadable mapping"]()))
    assert "hunter2" not in repr(freeze(HOSTILE["nonsense mapping"]()))


def test_without_a_stack_left_something_is_written():
    """Called with almost no stack left, it still returns."""

    def down() -> list[object]:
        try:
            return down()
        except RecursionError:
            try:
                return [freeze({"a": [[[[1]]]]}), plain({"a": [[[1]]]}, DEFAULT_LIMITS)]
            except RecursionError:  # not even the call itself
                return []

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        found = down()
    finally:
        sys.setrecursionlimit(limit)
    assert all(isinstance(value, str | dict) for value in found)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    "where", ["repr", "items", "property", "lazy", "isoformat", "key", "fields"]
)
def test_the_two_that_end_a_program_pass(kind: type[BaseException], where: str):
    """Ctrl-C and exit are never swallowed."""

    def stop(*_: object) -> Any:
        raise kind

    methods = {"__repr__": stop, "__str__": stop, "__getattr__": stop}
    value: Any = type("Stops", (), methods)()
    if where in ("items", "fields"):
        value = type("Stops", (UserDict,), {"items": stop})()
    elif where == "property":
        value = type("Stops", (Account,), {"name": property(stop, lambda *_: None)})("n")
    elif where == "lazy":
        value = lazy(stop)
    elif where == "isoformat":
        value = type("Stops", (date,), {"isoformat": stop})(2026, 1, 2)
    elif where == "key":
        value = {value: 1}
    with pytest.raises(kind):
        freeze_fields(value, {}) if where == "fields" else plain(value, DEFAULT_LIMITS)


# -- freeze ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a", "é\udc80", 3, 2**80, 1.5, True, None, float("inf")])
def test_scalars_are_bound_as_they_are(value: object):
    """A scalar is bound as the object it is."""
    assert freeze(value) is value


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ((1, 2), [1, 2]),
        ((1, (2,)), (1, [2])),
        ((1,), {1}),
        (("a",), frozenset("a")),
        ((1, 2), deque([1, 2])),
        (("a",), {"a": 1}.keys()),
        ((1,), {"a": 1}.values()),
        ((("a", 1),), {"a": 1}.items()),
        ({"a": (1,)}, {"a": [1]}),
        ({"a": 1}, OrderedDict(a=1)),
        ({"a": 1}, types.MappingProxyType({"a": 1})),
        ({"a": 1}, ChainMap({"a": 1})),
        ({"name": "n", "password": "p", "more": (1,)}, Account("n", "p", more=[1])),
        ({"user": "u", "token": "t"}, Credentials("u", "t")),
        ("2026-11-21T10:03:12+00:00", datetime(2026, 11, 21, 10, 3, 12, tzinfo=UTC)),
        ("2026-11-21", date(2026, 11, 21)),
        ("10:03:00", clock_time(10, 3)),
        ("0:00:05", timedelta(seconds=5)),
        ("00000000-0000-0000-0000-000000000001", UUID(int=1)),
        ("/a/b", PurePosixPath("/a/b")),
        ("1.50", Decimal("1.50")),
        ("10.0.0.1", ip_address("10.0.0.1")),
        ("10.0.0.0/8", ip_network("10.0.0.0/8")),
        ("red", Colour.RED),
        ((1, 2), Colour.PAIR),
        (3, Size.LARGE),
        ("é", "é".encode()),
        ("a\\xff", b"a\xff"),
        ("ab", bytearray(b"ab")),
        ("b", memoryview(b"ab")[1:]),
        ("ac", memoryview(b"abc")[::2]),
        ("ValueError: no", ValueError("no")),
        ("<class 'int'>", int),
        ("range(0, 3)", range(3)),
    ],
)
def test_what_becomes_of_a_value(expected: object, value: object):
    """Known values become few types and text, others their repr."""
    frozen = freeze(value)
    assert (expected, type(expected)) == (frozen, type(frozen))


def test_a_text_that_lies_is_the_text_it_is():
    """A subclass of str is read as str, whatever its methods say, as a value and as a name."""
    odd = OddText("odd")
    assert ["odd"] * 3 == [freeze(odd), plain(odd, DEFAULT_LIMITS), name_of(odd)]
    assert [str] * 3 == [type(text) for text in (freeze(odd), plain(odd, SMALL), name_of(odd))]


def test_numpy_scalars_are_numbers():
    """A scalar of an array library is the number it holds, even if it holds itself."""

    class generic:  # noqa: N801 - as it is called there
        __module__ = "numpy"
        __qualname__ = "generic"

        def item(self) -> object:
            return self.held

        held: object = 2.5

    number, itself = generic(), generic()
    itself.held = itself
    assert (2.5, "<depth>") == (freeze(number), freeze(itself))


def test_an_iterator_is_not_consumed():
    """Logging an iterator leaves all of it to its owner."""
    numbers = iter([1, 2])
    assert "list_iterator" in str(freeze([numbers]))
    assert [1, 2] == list(numbers)


def test_what_is_bound_is_as_it_was_then():
    """Changing a value afterwards does not change what was bound."""
    inner = [1]
    frozen = freeze({"a": inner, "b": {"c": inner}})
    inner.append(2)
    assert {"a": (1,), "b": {"c": (1,)}} == frozen


def test_bounds_of_binding_are_visible():
    """Texts, items and depth over the bounds of binding say how much is missing."""
    long: Any = freeze("x" * 70_000)
    assert ("…[+4488 chars]", 65_512) == (long[65_512:], long.index("…"))
    many: Any = freeze(list(range(300)))
    assert (257, "<+44 more>") == (len(many), many[-1])
    pairs: Any = freeze({n: n for n in range(300)} | {"...": 1})
    assert (257, "<+45 more>") == (len(pairs), pairs["..."])
    assert ("<cycle>",) == freeze(cyclic())[1:2]  # type: ignore[index]


def test_shared_values_are_no_cycles():
    """A value that is there twice is written twice."""
    shared = [1]
    assert ((1,), (1,)) == freeze([shared, shared])


def test_shared_values_do_not_grow_without_bound():
    """Small values whose full text would be huge are cut after a bounded amount of work."""
    value: Any = "a" * 1000
    for _ in range(12):
        value = [value] * 200
    assert len(repr(freeze(value))) < 3_000_000
    assert len(orjson.dumps(plain(value, DEFAULT_LIMITS))) < 3_000_000


def test_a_mapping_of_unknown_size_says_there_is_more():
    """A mapping that has no length and no end is cut, and says so."""
    frozen: Any = freeze(HOSTILE["endless mapping"]())
    assert (256, "<more>") == (len(frozen), frozen["..."])


def test_a_long_foreign_mapping_says_how_much_more():
    """A mapping that is no dict is cut as a dict is."""
    frozen: Any = freeze(types.MappingProxyType({n: n for n in range(300)}))
    assert (257, "<+44 more>") == (len(frozen), frozen["..."])


# -- names and fields -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "key"),
    [
        ("user", "user"),
        ("<empty>", ""),
        ("3", 3),
        ("None", None),
        ("id", b"id"),
        ("(1, 'a')", (1, "a")),
        ("a\\udc80é", "a\udc80é"),
    ],
)
def test_names(expected: str, key: object):
    """Any key makes a name that is not empty and can be encoded."""
    assert expected == name_of(key)


def test_a_key_that_raises_has_a_name():
    """A key without text is named by its type and what it raised."""
    assert "<Raises: str raised BoomError>" == name_of(Raises())


def test_a_long_name_keeps_its_end():
    """A long name is cut in its middle: its last part tells what it holds."""
    name = name_of("x" * 1000 + ".password")
    assert name.startswith("x" * 184 + "…[+777 chars]…")
    assert name.endswith(".password")


@relaxed
@given(keys())
def test_any_key_makes_a_name(key: object):
    """Whatever is a key, its name is a short text that can be encoded, and its own name."""
    name = name_of(key)
    assert 0 < len(name) <= 256
    name.encode()
    assert name == name_of(name)


def test_keys_that_read_alike_are_all_kept():
    """Two keys with one name get two names."""
    value = {"1": "a", 1: "b", b"1": "c"}
    expected = {"1": "a", "1~2": "b", "1~3": "c"}
    assert expected == freeze(value) == freeze_fields(value, {})


def test_fields_are_merged():
    """Keywords win over the mapping; names are text; values are bound."""
    fields = {"a": 1, 2: [3], "b": 4}
    expected = {"a": "x", "2": (3,), "b": 4, "c": None, "d": (1,), "e": 1.5, "é": True}
    assert expected == freeze_fields(fields, {"a": "x", "c": None, "d": [1], "e": 1.5, "é": True})
    assert {"a": 1} == freeze_fields(None, {"a": 1}) == freeze_fields(UserDict(a=1), {})
    assert {"a": 1} == freeze_fields(HOSTILE["odd dict"](), {})


@pytest.mark.parametrize("fields", [3, "text", [("a", 1)], object()])
def test_fields_must_be_a_mapping(fields: Any):
    """Anything but a mapping in the place of fields is misuse."""
    with pytest.raises(UsageError, match="fields are given as a mapping or as keywords, not "):
        freeze_fields(fields, {})


def test_fields_that_cannot_be_read_leave_a_trace():
    """A mapping whose items raise leaves a field that says so."""
    fields = HOSTILE["unreadable mapping"]()
    expected = {"fields": "<UnreadableMapping: items raised BoomError>", "a": 1}
    assert expected == freeze_fields(fields, {"a": 1})


def test_fields_are_bounded():
    """A mapping with very many fields is cut, and says so."""
    fields = freeze_fields(dict.fromkeys(range(2000)), {})
    assert (1025, "<+976 more>") == (len(fields), fields["..."])


@relaxed
@given(mappings(), events())
def test_any_fields_can_be_bound(fields: dict[Any, Any], more: dict[str, Any]):
    """Any mapping and keywords give names that are text and values that are frozen."""
    assert is_frozen(freeze_fields(fields, more))


# -- plain ----------------------------------------------------------------------------------------


def odd_error() -> object:
    """Raise an error that cannot be told."""
    raise OddError


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (True, True),
        (None, None),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (str(2**64), 2**64),
        (str(-(2**63) - 1), -(2**63) - 1),
        ("NaN", float("nan")),
        ("Infinity", float("inf")),
        ("-Infinity", float("-inf")),
        (1.7976931348623157e308, 1.7976931348623157e308),
        ("\\udc80é", "\udc80é"),
        ([1, [2]], (1, (2,))),
        ({"None": 1}, {None: 1}),
        (MASK, Secret(1)),
        ([1, {"a": MASK}], lazy(lambda: (1, {"a": Secret(2)}))),
        ("<lazy raised ZeroDivisionError: division by zero>", lazy(lambda: 1 / 0)),
        ("<lazy raised OddError: <OddError: str raised BoomError>>", lazy(odd_error)),
    ],
)
def test_what_a_renderer_is_given(expected: object, value: object):
    """JSON's own types come out, everything else in one of them."""
    got = plain(value, DEFAULT_LIMITS)
    assert (expected, type(expected)) == (got, type(got))


def test_large_integers_are_decimal_then_hex():
    """An integer of up to 4,000 digits is decimal text, a larger one hex."""
    large = Limits(value_bytes=10_000)
    assert str(10**3998) == plain(10**3998, large)
    assert hex(10**4100) == plain(10**4100, large)
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert hex(10**3000) == plain(10**3000, large)
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("a" * 20, "a" * 20),
        ("a" * 10 + "…[+15 bytes]", "a" * 25),
        ("é" * 10, "é" * 10),
        ("é" * 5 + "…[+12 bytes]", "é" * 11),
        ("a" + "é" * 4 + "…[+14 bytes]", "a" + "é" * 11),
        ("\U0001f600" * 2 + "…[+16 bytes]", "\U0001f600" * 6),
    ],
)
def test_texts_are_cut_between_characters(expected: str, text: str):
    """A text has at most so many bytes of UTF-8, whole characters, and says how many are missing."""
    assert expected == plain(text, SMALL)
    assert [expected] == plain([text], SMALL)


@relaxed
@given(texts(), st.integers(48, 3000))
def test_a_text_is_cut_once(text: str, limit: int):
    """A cut text is within its limit, mark included, so that another pass leaves it alone."""
    limits = Limits(value_bytes=limit)
    once = plain(text, limits)
    assert len(once.encode()) <= limit
    assert once == plain(once, limits) == plain([once], limits)[0]


@relaxed
@given(texts())
def test_a_cut_text_says_how_much_is_missing(text: str):
    """The kept part and the number in the mark add up to the text."""
    whole = text.encode("utf-8", "backslashreplace")
    kept, mark, gone = plain(text, SMALL).partition("…[+")
    if len(whole) <= 20:
        assert whole == plain(text, SMALL).encode()
    else:
        assert len(whole) == len(kept.encode()) + int(gone.removesuffix(" bytes]"))
        assert mark


def test_depth_and_items_are_cut():
    """Levels and entries over the limits leave a mark."""
    assert [[["<depth>"]]] == plain([[[[1]]]], SMALL)
    assert {"a": {"b": {"c": "<depth>"}}} == plain({"a": {"b": {"c": {"d": 1}}}}, SMALL)
    assert [0, 1, 2, 3, "<+2 more>"] == plain(list(range(6)), SMALL)
    assert [[["<depth>"]]] == plain([[[Colour.RED]]], SMALL)
    assert [[["<depth>"]]] == plain([[[lazy(lambda: 1)]]], SMALL)


def test_a_lazy_without_end_ends():
    """A lazy value that gives another for ever is cut by depth."""

    def again() -> Lazy:
        return lazy(again)

    assert "<depth>" == plain(lazy(again), DEFAULT_LIMITS)


def test_a_secret_is_not_computed():
    """What is masked by its name is not even computed."""
    computed: list[int] = []
    value = {"password": lazy(lambda: computed.append(1))}
    expected = {"password": "***"}
    assert expected == plain(value, DEFAULT_LIMITS, Redaction().is_secret, "***")
    assert [] == computed


def test_a_mapping_changed_while_it_is_written():
    """A lazy value that changes its own mapping does not break the walk."""
    value: dict[str, Any] = {"b": 1}
    value["a"] = lazy(lambda: value.update(c=2))
    assert {"b": 1, "a": None} == plain(value, DEFAULT_LIMITS)


def test_paths_are_told_on_request():
    """With ``where``, the whole path of a name is asked for, and again after an unreadable value."""
    asked: list[str] = []

    def is_secret(path: str) -> bool:
        asked.append(path)
        return False

    odd = HOSTILE["nonsense mapping"]()
    value = {"a": [{"b": 1}, odd, ("k", 1)], "c": {"d": 2}}
    plain(value, DEFAULT_LIMITS, is_secret, where="root")
    expected = ["root.a", "root.a.k", "root.a.b", "root.c", "root.c.d"]
    assert expected == asked


# -- Secret, Lazy, safe text ----------------------------------------------------------------------


def test_a_secret_never_shows_itself():
    """However it is printed, a secret is a mask; it copies, and gives its value when asked."""
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s} {secret:>30} {[secret]} {secret.__format__('d')}"
    assert "hunter2" not in shown
    assert "hunter2" == secret.reveal()
    assert copy.deepcopy([secret])[0] is secret
    assert copy.copy(secret) is secret


def test_a_secret_compares_by_value():
    """Two secrets are equal when their values are, and never equal to the value itself."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert 1 == len({Secret("a"), Secret("a")})


def test_a_secret_of_something_unhashable_hashes_all_the_same():
    """Any secret can be put into a set: it is found again by what it is."""
    one, same = Secret([1]), Secret([1])
    assert 1 == len({one, same})


def test_a_secret_is_not_pickled():
    """Pickling a secret is an error that says why."""
    with pytest.raises(TypeError, match="sent in clear"):
        pickle.dumps(Secret("hunter2"))


def test_lazy_takes_a_function():
    """Anything that cannot be called is misuse at once."""
    with pytest.raises(UsageError, match="lazy\\(\\) takes a function of no arguments, not int"):
        lazy(3)  # type: ignore[arg-type]
    assert "lazy(<class 'dict'>)" == repr(lazy(dict))


@pytest.mark.parametrize("name", sorted(HOSTILE))
@pytest.mark.parametrize("function", [safe_repr, safe_str])
def test_safe_text_of_hostile_values(name: str, function: Any):
    """Any value has an exact, bounded text."""
    if "million" not in name and name != "doubling":
        text = function(HOSTILE[name](), 100)
        assert str is type(text)
        assert len(text) < 150


def test_safe_text_is_cut_visibly():
    """A long text says how many characters are missing."""
    assert "aa…[+8 chars]" == safe_str("a" * 10, 4)
    assert "<Raises: repr raised BoomError>" == safe_repr(Raises())
    assert "no" == safe_str(BoomError("no"))
