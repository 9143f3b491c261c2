"""Readers: how a walk reads each type that is none of JSON's own; subclasses through their bases.

Loaded with the first such value, or by what makes lines: who binds texts and numbers does without.
"""

from __future__ import annotations

from functools import partial
from itertools import islice

from ctxlog.objects import DYNAMIC, SECRET_KINDS, hides
from ctxlog.parts import error_text, parts_of
from ctxlog.texts import bytes_text, mro_of, safe_repr, safe_str, type_name, type_path
from ctxlog.walk import attribute, foreign_pairs, is_mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ctxlog.walk import Handler, Walk


#: Levels that are looked through of what an exception was raised with.
ERROR_DEPTH = 8


def _secret(walk: Walk, value: object, _room: int) -> object:
    return walk.secret(value)


def _lazy(walk: Walk, value: object, room: int) -> object:
    return walk.deferred(value, room)


def _text(walk: Walk, value: Any, _room: int) -> object:
    return walk.text(str.__str__(value))


def _integer(walk: Walk, value: Any, _room: int) -> object:
    return walk.integer(int.__int__(value))


def _real(walk: Walk, value: Any, _room: int) -> object:
    return walk.real(float.__float__(value))


def _dict(walk: Walk, value: Any, room: int) -> object:
    return walk.mapping(value, dict.items(value), dict.__len__(value), room)


def _list(walk: Walk, value: Any, room: int) -> object:
    return walk.sequence(value, list.__iter__(value), list.__len__(value), room)


def _tuple(walk: Walk, value: Any, room: int) -> object:
    size = tuple.__len__(value)
    names = getattr(type(value), "_fields", None)
    if type(names) is tuple and len(names) == size and all(type(name) is str for name in names):
        # a named tuple: by name, so that a secret's name is seen
        return walk.mapping(value, zip(names, tuple.__iter__(value), strict=True), size, room)
    return walk.sequence(value, tuple.__iter__(value), size, room)


def _set(walk: Walk, value: Any, room: int) -> object:
    return walk.sequence(value, set.__iter__(value), set.__len__(value), room)


def _frozenset(walk: Walk, value: Any, room: int) -> object:
    return walk.sequence(value, frozenset.__iter__(value), frozenset.__len__(value), room)


def _sized(walk: Walk, value: Any, room: int) -> object:
    return walk.sequence(value, iter(value), len(value), room)


def _deque(walk: Walk, value: Any, room: int) -> object:
    from collections import deque

    return walk.sequence(value, deque.__iter__(value), deque.__len__(value), room)


def _user_list(walk: Walk, value: Any, room: int) -> object:
    return walk.walk(value.data, room)


def _bytes(walk: Walk, value: Any, _room: int) -> object:
    return walk.text(bytes_text(value, walk.text_limit))


def _exception(walk: Walk, value: Any, room: int) -> object:
    bare = partial(_arguments, walk, room, None)
    masked = partial(_arguments, walk, room, walk.is_secret or hides)
    text = error_text(value, walk.text_limit, bare, masked)
    return walk.text(f"{type_name(type(value))}: {text}")


def _arguments(
    walk: Walk, room: int, is_secret: Callable[[str], bool] | None, args: tuple[object, ...]
) -> object:
    before, walk.is_secret = walk.is_secret, is_secret
    try:
        return walk.sequence(args, args, len(args), max(room, ERROR_DEPTH))
    finally:
        walk.is_secret = before


def _printed(walk: Walk, value: Any, _room: int) -> object:
    return walk.text(safe_str(value))


def _isoformat(walk: Walk, value: Any, _room: int) -> object:
    return walk.text(str.__str__(value.isoformat()))


def _enum(walk: Walk, value: Any, room: int) -> object:
    return walk.walk(value.value, room - 1) if room > 0 else "<depth>"


def _as_dict(walk: Walk, value: Any, room: int) -> object:
    return walk.walk(value.to_dict(), room - 1) if room > 0 else "<depth>"


def _numpy(walk: Walk, value: Any, room: int) -> object:
    return walk.walk(value.item(), room - 1) if room > 0 else "<depth>"


def _pairs(walk: Walk, value: Any, room: int) -> object:
    """Walk what iterates over names and values, and is no mapping."""
    pairs, size = [], len(value)
    for pair in islice(value, walk.items):
        key, item = pair
        pairs.append((key, item))
    return walk.mapping(value, pairs, max(size, len(pairs)), room)


def _model(walk: Walk, value: Any, names: Iterable[str], room: int) -> object:
    """Walk a model of a generated API client: what is set, with the kind that its class stands for."""
    pairs: list[tuple[object, object]] = [
        (name, item) for name in names if (item := attribute(value, name)) is not None
    ]
    for kind in SECRET_KINDS:
        if type(value).__name__.endswith(kind):  # V1Secret: lists leave out the kind of their items
            pairs.insert(0, ("kind", kind))
            pairs = list(dict(pairs).items())
    return walk.mapping(value, pairs, len(pairs), room)


def _object(walk: Walk, value: Any, room: int) -> object:
    kind = type(value)
    names = getattr(kind, "openapi_types", None)
    if type(names) is dict:
        return _model(walk, value, names, room)
    parts = parts_of(value)
    if parts is not None:
        return walk.mapping(value, parts, len(parts), room)
    if is_mapping(kind):
        pairs, size = foreign_pairs(value, walk.items)
        return walk.mapping(value, pairs, size, room)
    return walk.text(safe_repr(value))


#: How values of a type are read, by id: a class's own hash and equality may lie.
HANDLERS: dict[int, Handler] = {
    id(str): _text,
    id(int): _integer,
    id(float): _real,
    id(dict): _dict,
    id(list): _list,
    id(tuple): _tuple,
    id(set): _set,
    id(frozenset): _frozenset,
    id(bytes): _bytes,
    id(bytearray): _bytes,
    id(memoryview): _bytes,
    id(type({}.keys())): _sized,
    id(type({}.values())): _sized,
    id(type({}.items())): _sized,
    id(BaseException): _exception,
}

NAMED: dict[str, Handler] = {  # by name: nothing is imported for a type nobody uses
    "ctxlog.values.Lazy": _lazy,
    "ctxlog.values.Secret": _secret,
    "collections.UserList": _user_list,
    "collections.deque": _deque,
    "datetime.date": _isoformat,
    "datetime.datetime": _isoformat,
    "datetime.time": _isoformat,
    "datetime.timedelta": _printed,
    "decimal.Decimal": _printed,
    "enum.Enum": _enum,
    "ipaddress._BaseAddress": _printed,
    "ipaddress._BaseNetwork": _printed,
    "numpy.generic": _numpy,
    "pathlib.PurePath": _printed,
    "pathlib._local.PurePath": _printed,
    "uuid.UUID": _printed,
    "werkzeug.datastructures.headers.Headers": _pairs,
    **dict.fromkeys(DYNAMIC, _as_dict),
}


def reader_of(kind: type) -> Handler:
    """Return what reads values of a type: its own, its nearest base's, or that of any object."""
    for base in mro_of(kind):
        handler = HANDLERS.get(id(base)) or NAMED.get(type_path(base))
        if handler is not None:
            return handler
    return _object
