"""The walk over any value that :mod:`ctxlog.values` runs: bounded, and no value can break it.

Types are told by ``type(value)``, never by ``isinstance``: ``__class__`` may lie. A container of a
built-in type, or of a subclass, is read by the built-in's own methods, so that overridden ones are
not run. A foreign mapping's ``items`` and a property are; what they raise costs that value only,
and the text in its place is no ``repr``: that could show what redaction by name would mask.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import islice

from ctxlog.texts import (
    NAME_CHARS,
    bytes_text,
    cut,
    mro_of,
    name_of,
    safe_repr,
    safe_str,
    type_name,
    type_path,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    Handler: TypeAlias = "Callable[[Walk, Any, int], object]"

SHORT = 64  # characters of a text that cost nothing, and as many cost as much as one item
INT_MIN, INT_MAX = -(2**63), 2**64 - 1  # what 64 bits hold, signed or not

#: The kinds of Kubernetes objects that hold secrets, and where.
SECRET_KINDS = frozenset({"Secret", "SecretList"})
SECRET_PARTS = frozenset({"data", "string_data", "stringData", "items"})


class Walk:
    """One walk over one value. Subclasses say what becomes of the leaves."""

    __slots__ = ("is_secret", "items", "left", "mask", "path", "short", "text_limit", "where")

    is_secret: Callable[[str], bool] | None  # whether a key's value is masked
    items: int  # of one container
    left: int  # of the whole walk: an item is 1, 64 characters are 1
    mask: str
    path: list[int]  # ids of the containers being walked
    short: int  # characters of a text that is always kept whole
    text_limit: int
    where: str | None  # the dotted path of the value, if `is_secret` wants paths

    def safely(self, value: object, room: int) -> object:
        """Walk the whole value; what stops even that costs the value, not its line."""
        try:
            return self.walk(value, room)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - no stack or memory left
            return _unreadable(value, error)

    def walk(self, value: Any, room: int) -> object:  # noqa: PLR0911 - one `if` a common type
        """Return what becomes of one value; ``room`` is how many levels of containers may follow."""
        kind = type(value)
        if kind is str:  # what is easy for every walk is said here: a call costs as much again
            return value if len(value) <= self.short and value.isascii() else self.text(value)
        if kind is int:
            return value if INT_MIN <= value <= INT_MAX else self.integer(value)
        if value is None or kind is bool:
            return value
        if kind is dict:
            return self.mapping(value, value.items(), len(value), room)
        if kind is list or kind is tuple:
            return self.sequence(value, value, len(value), room)
        if kind is float:
            return self.real(value)
        height, where = len(self.path), self.where
        try:
            return _handler_of(kind)(self, value, room)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a value must not break its line
            del self.path[height:]
            self.where = where
            return self.text(_unreadable(value, error))

    def mapping(
        self, value: object, pairs: Iterable[tuple[object, object]], size: int, room: int
    ) -> object:
        """Return a dict of the first pairs with names made text and secrets masked."""
        path = self.path
        me = id(value)
        if room <= 0 or me in path:
            return "<cycle>" if me in path else "<depth>"
        take = min(size, self.items, self.left)
        self.left -= take
        path.append(me)
        out: dict[str, object] = {}
        is_secret = self.is_secret
        where = self.where
        # a list: what runs meanwhile may change the mapping
        for key, item in list(pairs if take == size else islice(pairs, take)):
            if type(key) is str and 0 < len(key) <= NAME_CHARS and key.isascii():
                name = key
            else:
                name = name_of(key)
            if name in out:
                name = unused(name, out)
            path_of = name
            if where is not None:
                self.where = path_of = f"{where}.{name}" if where else name
            if is_secret is not None and is_secret(path_of):
                out[name] = self.mask
            else:
                out[name] = self.walk(item, room - 1)
        if size > take:
            out[unused("...", out)] = f"<+{size - take} more>"
        kind = out.get("kind")
        if type(kind) is str and kind in SECRET_KINDS and is_secret is not None:
            for name in SECRET_PARTS.intersection(out):
                out[name] = self.mask
        self.where = where
        path.pop()
        return out

    def sequence(self, value: object, items: Iterable[object], size: int, room: int) -> object:
        """Return the first items, and how many more there are."""
        path = self.path
        me = id(value)
        if room <= 0 or me in path:
            return "<cycle>" if me in path else "<depth>"
        take = min(size, self.items, self.left)
        self.left -= take
        path.append(me)
        walk = self.walk
        kept = list(items if take == size else islice(items, take))
        if self.is_secret is not None:
            kept = [self.unpaired(item) for item in kept]
        out = [walk(item, room - 1) for item in kept]
        if size > take:
            out.append(f"<+{size - take} more>")
        path.pop()
        return self.ended(out)

    def unpaired(self, item: Any) -> object:
        """Mask the second of a pair whose first names a secret: headers come as a list of pairs."""
        kind = type(item)
        if (kind is not tuple and kind is not list) or len(item) != 2:  # noqa: PLR2004 - a pair
            return item
        key = item[0]
        if (type(key) is str or type(key) is bytes) and self.is_secret is not None:
            name = name_of(key)
            path = f"{self.where}.{name}" if self.where else name
            return (key, self.mask) if self.is_secret(path) else item
        return item

    def record(self, value: object, names: Iterable[str], room: int) -> object:
        """Walk the named attributes of an object as a mapping."""
        pairs = [(name, _attribute(value, name)) for name in names]
        return self.mapping(value, pairs, len(pairs), room)

    def afforded(self, size: int) -> int:
        """Return how much of a text of this size may be kept, and take it off what is left."""
        if size <= self.short:
            return self.text_limit
        if self.left == 0:
            return self.short
        limit = self.text_limit
        self.left = max(0, self.left - min(size, limit) // SHORT)
        return limit

    @abstractmethod
    def text(self, value: str) -> str:
        """Return a text as this walk leaves it."""

    @abstractmethod
    def integer(self, value: int) -> object:
        """Return an integer that 64 bits cannot hold."""

    @abstractmethod
    def real(self, value: float) -> object:
        """Return a float."""

    @abstractmethod
    def ended(self, out: list[object]) -> object:
        """Return the container for a sequence's items."""


def _unreadable(value: object, error: BaseException) -> str:
    kind, raised = type_name(type(value)), type_name(type(error))
    return cut(f"<{kind}: unreadable, {raised}>", NAME_CHARS)


def _attribute(value: object, name: str) -> object:
    try:
        return getattr(value, name)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a property may do anything
        return _unreadable(value, error)


def is_mapping(kind: type) -> bool:
    """Say whether a type is a mapping, by inheritance or registration.

    Example:
        >>> from types import MappingProxyType
        >>> is_mapping(MappingProxyType), is_mapping(list)
        (True, False)
    """
    from collections.abc import Mapping as MappingType  # here: only for unusual types

    try:
        return issubclass(kind, MappingType)
    except Exception:  # noqa: BLE001 - a metaclass may do anything
        return False


def foreign_pairs(value: Any, limit: int) -> tuple[list[tuple[object, object]], int]:
    """Return the first pairs of a mapping that is no dict, and how many it says it has.

    Raises:
        Exception: whatever the mapping's own methods raise, or that its items are no pairs.

    Example:
        >>> from types import MappingProxyType
        >>> foreign_pairs(MappingProxyType({"a": 1, "b": 2}), 1)
        ([('a', 1)], 2)
    """
    pairs = []
    for pair in islice(value.items(), limit + 1):
        key, item = pair
        pairs.append((key, item))
    if len(pairs) <= limit:
        return pairs, len(pairs)
    try:
        size = len(value)
    except Exception:  # noqa: BLE001 - what was read is read
        size = 0
    if size > limit:
        return pairs[:limit], size
    return [*pairs[: limit - 1], ("...", "<more>")], limit  # how many, nobody knows


def unused(name: str, taken: dict[str, object]) -> str:
    """Return the name, numbered if it is taken: two keys that read alike are both kept.

    Example:
        >>> unused("1", {"1": "one"})
        '1~2'
    """
    if name not in taken:
        return name
    number = 2
    while f"{name}~{number}" in taken:
        number += 1
    return f"{name}~{number}"


# -- by type: how each known one is read; subclasses are found through their bases ----------------


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


def _bytes(walk: Walk, value: Any, _room: int) -> object:
    return walk.text(bytes_text(value, walk.text_limit))


def _exception(walk: Walk, value: Any, _room: int) -> object:
    return walk.text(f"{type_name(type(value))}: {safe_str(value, walk.text_limit)}")


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


def _model(walk: Walk, value: Any, names: Iterable[str], room: int) -> object:
    """Walk a model of a generated API client: what is set, with the kind that its class stands for."""
    pairs: list[tuple[object, object]] = [
        (name, item) for name in names if (item := _attribute(value, name)) is not None
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
    if getattr(kind, "__dataclass_fields__", None) is not None:
        from dataclasses import fields

        return walk.record(value, [field.name for field in fields(kind) if field.repr], room)
    if is_mapping(kind):
        pairs, size = foreign_pairs(value, walk.items)
        return walk.mapping(value, pairs, size, room)
    return walk.text(safe_repr(value))


HANDLERS: dict[int, Handler] = {  # by id: a class's own hash and equality may lie
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
    "kubernetes.dynamic.resource.ResourceField": _as_dict,
    "kubernetes.dynamic.resource.ResourceInstance": _as_dict,
    "kubernetes_asyncio.dynamic.resource.ResourceField": _as_dict,
    "kubernetes_asyncio.dynamic.resource.ResourceInstance": _as_dict,
    "pathlib.PurePath": _printed,
    "pathlib._local.PurePath": _printed,
    "uuid.UUID": _printed,
}


def _handler_of(kind: type) -> Handler:
    for base in mro_of(kind):
        handler = HANDLERS.get(id(base)) or NAMED.get(type_path(base))
        if handler is not None:
            return handler
    return _object
