"""The walk over any value, for what binding keeps and for lines: bounded, and no value can break it.

Types are told by ``type(value)``, never by ``isinstance``: ``__class__`` may lie. A container of a
built-in type, or of a subclass, is read by the built-in's own methods, so that overridden ones are
not run. A foreign mapping's ``items`` and a property are; what they raise costs that value only,
and the text in its place is no ``repr``: that could show what redaction by name would mask.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import islice

from ctxlog.texts import NAME_CHARS, name_of, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    Handler: TypeAlias = "Callable[[Walk, Any, int], object]"

SHORT = 64  # characters of a text that cost nothing, and as many cost as much as one item
INT_MIN, INT_MAX = -(2**63), 2**64 - 1  # what 64 bits hold, signed or not


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
            return unreadable(value, error)

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
            return self.reader_of(kind)(self, value, room)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a value must not break its line
            del self.path[height:]
            self.where = where
            return self.text(unreadable(value, error))

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
        if is_secret is not None:
            self.mask_parts(out)
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

    def afforded(self, size: int) -> int:
        """Return how much of a text of this size may be kept, and take it off what is left."""
        if size <= self.short:
            return self.text_limit
        if self.left == 0:
            return self.short
        limit = self.text_limit
        self.left = max(0, self.left - min(size, limit) // SHORT)
        return limit

    def mask_parts(self, out: dict[str, object]) -> None:
        """Mask what the mapping as a whole tells to be secret; asked where names are."""

    def secret(self, value: object) -> object:
        """Return what stands for a secret; ``value`` is for a walk that keeps it."""
        return self.mask

    def deferred(self, value: Any, room: int) -> object:
        """Compute a lazy value and walk that."""
        return self.walk(value.resolve(), room - 1) if room > 0 else "<depth>"

    @abstractmethod
    def reader_of(self, kind: type) -> Handler:
        """Return what reads values of a type that is none of the common ones."""

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


def attribute(value: object, name: str) -> object:
    """Return an attribute, or a text that says what its property raised."""
    try:
        return getattr(value, name)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a property may do anything
        return unreadable(value, error)


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
