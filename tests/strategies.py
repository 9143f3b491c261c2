"""Hypothesis strategies: whatever somebody may log or bind, the worst of it first.

``HOSTILE`` maps names to functions that each make one hostile value, for parametrised tests;
``anything()`` mixes them with ordinary values at any depth. ``relaxed`` are the settings that every
property here runs under: no deadline, as machines are shared.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import types
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def examples(usual: int) -> int:
    """Return how many examples a property takes: as many as it says, more under `make soak`."""
    return usual * settings().max_examples // 100


relaxed = settings(
    deadline=None,
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

#: Names that every line has, which a field must not take.
RESERVED = (
    "timestamp", "level", "event", "logger", "trace_id", "span_id", "trace_flags", "request_id",
    "truncated", "exc_info", "stack_info", "exception.type", "self", "name", "fields",
)  # fmt: skip

#: Names whose values must never be written, in the spellings people use.
SECRET_NAMES = (
    "password", "Passwd", "client_secret", "ACCESS_TOKEN", "x-api-key", "Authorization",
    "proxy-authorization", "Set-Cookie", "aws_secret_access_key", "connectionString", "auth.token",
)  # fmt: skip

#: Names that only look like secrets.
INNOCENT_NAMES = ("tokens_used", "secret_name", "token_count", "passwords_changed", "pin")

#: Characters that forge lines or colours where they are written as they are.
CONTROLS = "\r\n\t\0\x07\x08\x1b\x7f\x80\x85\x9b\u2028\u2029\ufeff\u202a\u202e\u2066\u2069"


class BoomError(Exception):
    """What hostile values raise."""


def deep(levels: int = 10_000) -> list[Any]:
    """Return a list in a list, so many levels deep."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def deep_mapping(levels: int = 10_000) -> dict[str, Any]:
    """Return a dict in a dict, so many levels deep."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"down": value}
    return value


def cyclic() -> list[Any]:
    """Return a list that holds itself, directly and through a dict."""
    value: list[Any] = [1]
    value.append(value)
    value.append({"back": value})
    return value


def doubling() -> list[Any]:
    """Return a value small in memory whose full text has 2 ** 200 parts."""
    value: list[Any] = ["x"]
    for _ in range(200):
        value = [value, value]
    return value


class Raises:
    """Every method that logging could think of calling raises."""

    def _raise(self, *_: object) -> Any:
        raise BoomError("no")

    __repr__ = __str__ = __format__ = __iter__ = __len__ = __bool__ = __getitem__ = _raise
    __eq__ = __ne__ = __lt__ = _raise
    __contains__ = __int__ = __float__ = __index__ = __fspath__ = __reduce_ex__ = _raise

    def __hash__(self) -> int:
        return id(self)

    def __getattr__(self, name: str) -> Any:
        raise BoomError(name)


class OddKey:
    """Can be a key, and has no text."""

    def __str__(self) -> str:
        raise BoomError("str")

    __repr__ = __str__


class RaisesOnAttributes:
    """Even ``__class__`` and ``__dict__`` raise."""

    def __getattribute__(self, name: str) -> Any:
        raise BoomError(name)


class LiesAboutItsClass:
    """Says that it is a dict."""

    __class__ = property(lambda _: dict)  # pyright: ignore[reportIncompatibleMethodOverride]


class RaisesSystem:
    """Raises what is no Exception."""

    def __repr__(self) -> str:
        raise GeneratorExit

    __str__ = __repr__


class Recursive:
    """Its text asks for its text."""

    def __repr__(self) -> str:
        return f"Recursive({self!r})"


class WrongText:
    """Its text is none."""

    def __repr__(self) -> Any:
        return 3

    __str__ = __repr__


class OddText(str):
    """A text whose methods lie."""

    __slots__ = ()

    def __str__(self) -> str:
        raise BoomError("no")

    def encode(self, *_: object, **__: object) -> Any:
        """Return no bytes."""
        return "no bytes"

    def isascii(self) -> bool:
        """Say so whatever it holds."""
        return True

    def __len__(self) -> int:
        return -1  # noqa: PLE0303 - the lie


class ForgedRepr:
    """Its text would start a line of its own."""

    def __repr__(self) -> str:
        return 'x"\r\n{"event":"forged","level":"critical"}\x1b[31m\u2028'


class HugeRepr:
    """Its text has a megabyte."""

    def __repr__(self) -> str:
        return "r" * 1_000_000


class SecretRepr:
    """A mapping that cannot be read, whose text shows a password."""

    def __repr__(self) -> str:
        return "password=hunter2"


class UnreadableMapping(SecretRepr, Mapping[str, object]):
    """A mapping whose every method raises."""

    def __getitem__(self, key: str) -> object:
        raise BoomError(key)

    def __iter__(self) -> Iterator[str]:
        raise BoomError("iter")

    def __len__(self) -> int:
        raise BoomError("len")

    def items(self) -> Any:
        """Do not return what a mapping does."""
        raise BoomError("items")


class NonsenseMapping(UnreadableMapping):
    """A mapping whose items are no pairs."""

    def items(self) -> Any:
        """Do not return what a mapping does."""
        return [1, (1, 2, 3), "xy"]


class EndlessMapping(UnreadableMapping):
    """A mapping whose items never end."""

    def items(self) -> Any:
        """Do not return what a mapping does."""
        number = 0
        while True:
            number += 1
            yield number, number


class OddDict(dict[str, object]):
    """A dict whose methods raise."""

    def _raise(self, *_: object) -> Any:
        raise BoomError("no")

    __iter__ = __len__ = __getitem__ = __repr__ = items = keys = values = get = copy = _raise


class OddList(list[object]):
    """A list whose methods raise."""

    def _raise(self, *_: object) -> Any:
        raise BoomError("no")

    __iter__ = __len__ = __getitem__ = __repr__ = _raise


class OddInt(int):
    """An int that says it is something else."""

    def __int__(self) -> int:
        raise BoomError("int")

    def __repr__(self) -> str:
        return "not a number"

    __str__ = __repr__

    def bit_length(self) -> int:
        """Raise."""
        raise BoomError("bits")


class OddMeta(type):
    """A metaclass that raises for whatever is asked of its classes."""

    def __hash__(cls) -> int:
        raise BoomError("hash")

    def __eq__(cls, other: object) -> bool:
        raise BoomError("eq")

    def __getattribute__(cls, name: str) -> Any:
        raise BoomError(name)


class OddClass(metaclass=OddMeta):
    """An instance of a class that cannot be asked anything."""


class OddError(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise BoomError("str")

    __repr__ = __str__


class OddDatetime(dt.datetime):
    """A time that has no text."""

    def isoformat(self, *_: Any, **__: Any) -> str:
        """Raise."""
        raise BoomError("isoformat")


@dataclass
class Account:
    """An ordinary dataclass with a secret, a hidden field and a nested one."""

    name: str
    password: str = "hunter2"
    hidden: str = field(default="hunter2", repr=False)
    more: object = None


@dataclass
class OddAccount:
    """A dataclass of which one attribute raises."""

    name: str

    def __getattribute__(self, name: str) -> Any:
        if name == "name":
            raise BoomError(name)
        return object.__getattribute__(self, name)


Credentials = namedtuple("Credentials", ["user", "token"])  # noqa: PYI024 # pyright: ignore[reportUntypedNamedTuple]


class Colour(enum.Enum):
    """Members with values of different kinds."""

    RED = "red"
    PAIR = (1, 2)


class Size(enum.IntEnum):
    """Numbers with names."""

    LARGE = 3


#: One function a hostile value; each call makes a new one.
HOSTILE: dict[str, Any] = {
    "cycle": cyclic,
    "deep list": deep,
    "deep mapping": deep_mapping,
    "doubling": doubling,
    "raises": Raises,
    "raises on attributes": RaisesOnAttributes,
    "raises no Exception": RaisesSystem,
    "lies about its class": LiesAboutItsClass,
    "recursive text": Recursive,
    "text is no text": WrongText,
    "odd key": OddKey,
    "odd text": lambda: OddText("odd"),
    "forged text": ForgedRepr,
    "huge text": HugeRepr,
    "unreadable mapping": UnreadableMapping,
    "nonsense mapping": NonsenseMapping,
    "endless mapping": EndlessMapping,
    "odd dict": lambda: OddDict(a=1),
    "odd list": lambda: OddList([1, 2]),
    "odd int": lambda: OddInt(3),
    "odd class": OddClass,
    "the odd class itself": lambda: OddClass,
    "odd error": lambda: OddError("x"),
    "odd datetime": lambda: OddDatetime(2026, 1, 2),
    "odd dataclass": lambda: OddAccount("x"),
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("-inf"),
    "2**80": lambda: 2**80,
    "10**5000": lambda: 10**5000,
    "lone surrogate": lambda: "a\udc80\ud800b",
    "controls": lambda: f"a{CONTROLS}b",
    "a megabyte of text": lambda: "m" * 1_000_000,
    "a megabyte of Greek": lambda: "π" * 500_000,
    "a megabyte of bytes": lambda: b"\xff" * 1_000_000,
    "a million items": lambda: list(range(1_000_000)),
    "a million keys": lambda: dict.fromkeys(range(1_000_000)),
    "a million in a set": lambda: set(range(1_000_000)),
    "set": lambda: {1, "a", None},
    "non-string keys": lambda: {1: "a", None: "b", (1, 2): "c", b"d": 4, "1": 5, 1.5: 6, "": 7},
    "odd keys": lambda: {Raises(): 1, OddText("k"): 2, "\udc80": 3, CONTROLS: 4, "k" * 100_000: 5},
    "generator": lambda: (number for number in range(3)),
}


def texts(*, max_size: int = 40) -> st.SearchStrategy[str]:
    """Make texts: plain, with controls, lone surrogates, astral characters, or very long."""
    return st.one_of(
        st.text(alphabet=st.characters(codec="ascii"), max_size=max_size),
        st.text(alphabet=st.sampled_from(CONTROLS + '"\\={}[] aé\udc80\ud83d\U0001f600'), max_size=max_size),
        st.text(alphabet=st.characters(), max_size=max_size),
        st.builds(lambda text, times: text * times, st.text(max_size=8), st.integers(0, 4000)),
    )  # fmt: skip


def names() -> st.SearchStrategy[str]:
    """Make field names: ordinary, reserved, secret, innocent, or any text."""
    return st.one_of(
        st.sampled_from(["a", "user", "http.route", "k8s.object.name"]),
        st.sampled_from(RESERVED),
        st.sampled_from(SECRET_NAMES),
        st.sampled_from(INNOCENT_NAMES),
        texts(),
    )


class _Made:
    """Stands for a value until the whole is generated: Hypothesis looks at what it generates."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


class _Pairs(list[Any]):
    """Stands for a mapping: its keys may not like to be compared."""


class _Account(list[Any]):
    """Stands for an Account with the first item in it."""


#: What Hypothesis cannot even hand to a test, or takes too long to print; they come in a list.
_TOUCHY = {"raises", "raises on attributes", "odd class", "the odd class itself", "odd text"}
_SLOW = {name for name in HOSTILE if "million" in name or "megabyte" in name or "deep" in name}


def _made(value: Any) -> Any:
    kind = type(value)
    if kind is _Made:
        return HOSTILE[value.name]()
    if kind is _Pairs:
        return {_made(key): _made(item) for key, item in value}
    if kind is _Account:
        return Account("n", more=_made(value[0]))
    if kind is list or kind is tuple:
        return kind(_made(item) for item in value)
    return value


def _wrapped(value: Any) -> Any:
    touchy = type(value) is _Made and value.name in _TOUCHY
    return [_made(value)] if touchy else _made(value)


def _keys() -> st.SearchStrategy[Any]:
    return st.one_of(
        names(),
        st.integers(),
        st.booleans(),
        st.none(),
        st.floats(),
        st.binary(max_size=20),
        st.tuples(st.text(max_size=5), st.integers()),
        st.sampled_from([_Made("raises"), _Made("odd key"), _Made("odd text")]),
    )


def _leaves() -> st.SearchStrategy[Any]:
    quick = sorted(set(HOSTILE) - _SLOW - {"doubling"})
    return st.one_of(
        texts(),
        st.integers(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.booleans(),
        st.none(),
        st.binary(max_size=50),
        st.datetimes(),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.uuids(),
        st.decimals(),
        st.sampled_from([
            Colour.RED, Colour.PAIR, Size.LARGE, Credentials("u", "t"), Account("n"),
            pathlib.PurePosixPath("/a"), ValueError("v"), types.MappingProxyType({"a": 1}),
            int, len, OrderedDict(a=1), deque([1]), bytearray(b"a"), memoryview(b"a"), range(3),
            decimal.Decimal("NaN"), uuid.UUID(int=1), dt.UTC,
        ]),
        st.sampled_from([_Made(name) for name in quick]),
    )  # fmt: skip


def _trees(max_leaves: int = 12) -> st.SearchStrategy[Any]:
    return st.recursive(
        _leaves(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5),
            st.lists(inner, max_size=5).map(tuple),
            st.lists(st.tuples(_keys(), inner), max_size=5).map(_Pairs),
            st.lists(inner, min_size=1, max_size=1).map(_Account),
            st.lists(st.tuples(names(), inner), max_size=3),
        ),
        max_leaves=max_leaves,
    )


def keys() -> st.SearchStrategy[Any]:
    """Make mapping keys: names and everything else that can be hashed."""
    return _keys().map(lambda key: key if type(key) is not _Made else OddKey())


def anything() -> st.SearchStrategy[Any]:
    """Make any value: scalars, known and hostile ones, and containers of them at any depth."""
    return _trees().map(_wrapped)


def plain_values(*, max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Make values that JSON has, with texts that UTF-8 can hold."""
    text = texts().map(lambda text: text.encode("utf-8", "replace").decode("utf-8"))
    return st.recursive(
        st.one_of(
            text,
            st.integers(-(2**63), 2**64 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
            st.none(),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=6), st.dictionaries(text, inner, max_size=6)
        ),
        max_leaves=max_leaves,
    )


def plain_events(*, max_size: int = 12) -> st.SearchStrategy[dict[str, Any]]:
    """Make events as a renderer gets them."""
    name = names().map(lambda text: text.encode("utf-8", "replace").decode("utf-8"))
    return st.dictionaries(name, plain_values(), max_size=max_size)


def mappings(*, max_size: int = 5) -> st.SearchStrategy[dict[Any, Any]]:
    """Make mappings with any keys and any values."""
    pairs = st.lists(st.tuples(_keys(), _trees()), max_size=max_size)
    return pairs.map(_Pairs).map(_made)


def events(*, max_size: int = 8) -> st.SearchStrategy[dict[str, Any]]:
    """Make events as they are logged: any names, any values."""
    pairs = st.lists(st.tuples(names(), _trees()), max_size=max_size)
    return pairs.map(_Pairs).map(_made)
