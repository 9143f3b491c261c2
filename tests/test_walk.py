"""The walk: what holds for binding and rendering alike."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import attrs
import pydantic
import pytest
from werkzeug.datastructures import EnvironHeaders, Headers

from ctxlog.freezing import freeze, freeze_fields
from ctxlog.limits import DEFAULT_LIMITS
from ctxlog.plain import plain
from ctxlog.readers import HANDLERS, NAMED
from ctxlog.walk import foreign_pairs, is_mapping, unused
from tests.strategies import HOSTILE, BoomError, OddClass


class Point(tuple[int, int]):
    """A tuple of an own type, without names."""

    __slots__ = ()


class WrongNames(tuple[int, int]):
    """A tuple that has other names than it has items."""

    __slots__ = ()
    _fields = ("x",)


@pytest.mark.parametrize("kind", [Point, WrongNames])
def test_a_tuple_of_an_own_type_is_a_sequence(kind: Any):
    """A subclass of tuple without a name for each item is read as a tuple."""
    assert (1, 2) == freeze(kind((1, 2)))


def test_a_float_of_an_own_type_is_a_float():
    """A subclass of float is read as float."""
    number = freeze(type("Metres", (float,), {"__repr__": lambda _: "far"})(1.5))
    assert (1.5, float) == (number, type(number))


def test_a_failing_question_hides_the_value():
    """If whether a name is secret cannot be told, the value is not written."""

    def is_secret(name: str) -> bool:
        raise BoomError(name)

    value = {"a": "s3cr3t"}
    assert "<dict: unreadable, BoomError>" == plain(value, DEFAULT_LIMITS, is_secret)


@attrs.define
class OfAttrs:
    """A class of attrs with a secret, a hidden field and one with a text of its own."""

    name: str
    password: str = "hunter2"
    hidden: str = attrs.field(default="hunter2", repr=False)
    card: str = attrs.field(default="4111hunter2", repr=lambda number: f"{number[:4]}…")


class OfPydantic(pydantic.BaseModel, extra="allow"):
    """A model with a secret, a hidden field and a text that hides itself."""

    name: str
    password: str = "hunter2"
    hidden: str = pydantic.Field(default="hunter2", repr=False)
    card: pydantic.SecretStr = pydantic.SecretStr("hunter2")


@attrs.define
class OfAttrsWithText(OfAttrs):
    """One that says what it shows."""

    def __repr__(self) -> str:
        return "nothing of it"


class OfPydanticWithText(OfPydantic):
    """One that says what it shows."""

    def __repr__(self) -> str:
        return "nothing of it"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (OfAttrs("bob"), {"name": "bob", "password": "***", "card": "4111…"}),
        (
            OfPydantic(name="bob", token="hunter2"),  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - an extra
            {
                "name": "bob",
                "password": "***",
                "card": "SecretStr('**********')",
                "token": "***",
            },
        ),
        (OfAttrsWithText("bob"), "nothing of it"),
        (OfPydanticWithText(name="bob"), "nothing of it"),
    ],
)
def test_models_of_attrs_and_pydantic_are_read_by_name(value: Any, expected: Any):
    """As a dataclass is, so that a secret's name is seen; one with a text of its own is that."""

    def is_secret(name: str) -> bool:
        return name in {"password", "token"}

    assert {"m": [expected]} == plain({"m": [value]}, DEFAULT_LIMITS, is_secret, "***")
    bound = freeze(value)
    assert bound == expected if isinstance(expected, str) else "bob" == bound["name"]  # type: ignore[index]
    assert "hunter2" not in str(plain({"m": bound}, DEFAULT_LIMITS, is_secret))


class Told(SimpleNamespace):
    """A namespace that says what it shows."""

    def __repr__(self) -> str:
        return "nothing of it"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Headers([("Accept", "a"), ("Cookie", "hunter2")]), {"Accept": "a", "Cookie": "***"}),
        (EnvironHeaders({"HTTP_COOKIE": "hunter2"}), {"Cookie": "***"}),
        (Headers([("a", str(n)) for n in range(3)]), {"a": "0", "a~2": "1", "a~3": "2"}),
        (SimpleNamespace(a=1, cookie="hunter2"), {"a": 1, "cookie": "***"}),
        (argparse.Namespace(a=1, cookie="hunter2"), {"a": 1, "cookie": "***"}),
        (Told(cookie="hunter2"), "nothing of it"),
    ],
)
def test_what_has_names_and_is_no_mapping(value: Any, expected: Any):
    """A Flask request's headers, a namespace: by name, so that a secret's is seen."""

    def is_secret(name: str) -> bool:
        return name.lower() == "cookie"

    assert {"m": expected} == plain({"m": value}, DEFAULT_LIMITS, is_secret, "***")
    assert isinstance(freeze(value), type(expected))


def test_headers_without_end_are_cut():
    """As any container is."""
    many = Headers([(f"h{number}", "x") for number in range(1_000)])
    found = plain(many, DEFAULT_LIMITS)
    assert (DEFAULT_LIMITS.items + 1, "<+744 more>") == (len(found), found["..."])


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_passes(kind: type[BaseException]):
    """Ctrl-C during the walk itself is not swallowed."""

    def is_secret(name: str) -> bool:
        raise kind(name)

    with pytest.raises(kind):
        plain({"a": 1}, DEFAULT_LIMITS, is_secret)


def test_a_class_that_cannot_be_asked_is_no_mapping():
    """A metaclass that raises makes no mapping of its classes."""
    assert is_mapping(OddClass) is False


def test_the_first_pairs_of_a_mapping_without_length():
    """What can be read of a mapping is kept, and that there is more is said."""
    assert ([(1, 1), ("...", "<more>")], 2) == foreign_pairs(HOSTILE["endless mapping"](), 2)


def test_numbers_are_added_to_names_that_are_taken():
    """A name that is taken gets the first number that is free."""
    assert ["a", "b~2", "c~3"] == [unused(name, {"b": 1, "c": 1, "c~2": 1}) for name in "abc"]


def test_after_an_unreadable_value_the_walk_goes_on():
    """What follows an unreadable value has its own path and is no cycle."""
    shared = [1]
    value = {"odd": HOSTILE["nonsense mapping"](), "shared": shared, "again": shared}
    expected = {"odd": "<NonsenseMapping: unreadable, TypeError>", "shared": [1], "again": [1]}
    assert expected == plain(value, DEFAULT_LIMITS, lambda _: False, where="")


def test_a_type_with_a_huge_name_is_bounded():
    """What stands for an unreadable value is bounded, whatever its type is called."""

    def fail(*_: object) -> Any:
        raise BoomError

    mapping = type("n" * 100_000, (type(HOSTILE["nonsense mapping"]()),), {})()
    odd = type("n" * 100_000, (), {"__repr__": fail})()
    for value in (mapping, odd, [mapping, odd], {odd: odd}):
        assert len(repr(freeze(value))) < 2500
    assert len(repr(freeze_fields(mapping, {}))) < 300


def test_named_types_are_real():
    """Each type that is known by its name exists under that name, where it is installed."""
    from importlib import import_module

    for name in set(NAMED) - {"numpy.generic", "pathlib._local.PurePath", "pathlib.PurePath"}:
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(import_module(module), kind), type)
    assert all(isinstance(key, int) for key in HANDLERS)
