"""Parts: what an object's own text shows of it, told by its class; a text would hide their names.

So with what an exception was raised with: its text is that of its arguments.

Told without importing what made the class: dataclasses, attrs, pydantic, namespaces.

>>> from types import SimpleNamespace
>>> parts_of(SimpleNamespace(token="t")), parts_of(3)
([('token', 't')], None)
"""

from __future__ import annotations

from ctxlog.texts import mro_of, safe_str, type_path
from ctxlog.walk import attribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    _Pairs: TypeAlias = list[tuple[object, object]]
    _Reader: TypeAlias = Callable[[Any], _Pairs]
    _Walk: TypeAlias = Callable[[tuple[object, ...]], Any]

#: Classes whose text shows all their attributes.
NAMESPACES = frozenset({"types.SimpleNamespace", "argparse.Namespace"})
#: Headers as ``http.client`` and ``http.server`` have them.
MESSAGE = "email.message.Message"
_ATTRS = "<attrs generated"  # how the files begin that attrs says its methods are from
#: Whose methods say nothing of an application's own.
_STDLIB = frozenset({"types", "argparse"})
_PYDANTIC = frozenset({"pydantic", "sqlmodel"})
_KNOWN = 1_024
#: Classes by id, for their own hash may lie, and what is read of their instances.
_known: dict[int, tuple[type, _Reader | None]] = {}


def parts_of(value: Any) -> _Pairs | None:
    """Return the names and values that an object's own text shows; ``None``: it is no such object.

    Never raises. A class of attrs or pydantic with a ``__repr__`` of its own is none: that says
    what is shown.

    Example:
        >>> from dataclasses import dataclass, field
        >>> @dataclass
        ... class Login:
        ...     user: str
        ...     password: str = field(repr=False)
        >>> parts_of(Login("bob", "p"))
        [('user', 'bob')]
    """
    kind = type(value)
    try:
        known = _known.get(id(kind))
        if known is None or known[0] is not kind:
            if len(_known) >= _KNOWN:
                _known.clear()
            known = _known[id(kind)] = (kind, _reader_of(kind))
        return None if known[1] is None else known[1](value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - a metaclass, or a property, may do anything
        return None


def _reader_of(kind: Any) -> _Reader | None:
    if getattr(kind, "__dataclass_fields__", None) is not None:
        from dataclasses import fields

        names = [field.name for field in fields(kind) if field.repr]
        return lambda value: [(name, attribute(value, name)) for name in names]
    if getattr(kind, "__attrs_attrs__", None) is not None:
        return _attrs(kind)
    if getattr(kind, "__pydantic_validator__", None) is not None:
        return _pydantic(kind)
    for base in mro_of(kind):
        path = type_path(base)
        if path in NAMESPACES and _is_theirs(kind, _STDLIB, "__repr__"):
            return lambda value: list(object.__getattribute__(value, "__dict__").items())
        if path == MESSAGE:
            return lambda value: list(value.items())
    return None


def _attrs(kind: Any) -> _Reader | None:
    """Return what reads what the text made by attrs shows; ``None``: the class has one of its own."""
    code = getattr(kind.__repr__, "__code__", None)
    if not str(getattr(code, "co_filename", "")).startswith(_ATTRS):
        return None
    made = [(field.name, field.repr) for field in kind.__attrs_attrs__ if field.repr]
    return lambda value: [
        (name, attribute(value, name) if how is True else how(attribute(value, name)))
        for name, how in made
    ]


def _pydantic(kind: Any) -> _Reader | None:
    """Return what reads a model's fields that its own text shows, and what came beside them."""
    declared = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "model_fields", None)
    if type(declared) is not dict or not _is_theirs(kind, _PYDANTIC, "__repr__", "__repr_args__"):
        return None  # of version 1; or its class tells what it shows
    names = [name for name, field in declared.items() if field.repr]

    def read(value: Any) -> _Pairs:
        # where pydantic keeps them: an attribute of SQLModel may ask the database
        held = object.__getattribute__(value, "__dict__")
        extra = attribute(value, "__pydantic_extra__")
        beside = extra.items() if type(extra) is dict else ()
        return [*((name, held[name]) for name in names if name in held), *beside]

    return read


def _is_theirs(kind: type, modules: frozenset[str], *methods: str) -> bool:
    """Return whether no class of the application's has these methods."""
    for name in methods:
        owner = next((base for base in mro_of(kind) if name in base.__dict__), kind)
        if owner.__module__.partition(".")[0] not in modules:
            return False
    return True


_SAFE = frozenset({str, int, float, bool, type(None), bytes})
_args_of: Callable[[BaseException], tuple[object, ...]] = BaseException.__dict__["args"].__get__


def error_text(error: BaseException, limit: int, bare: _Walk, masked: _Walk) -> str:
    """Return an exception's text; if it would show a secret, that of its masked arguments.

    A class with a text of its own says itself what is shown. Never raises, if the walks do not.

    Args:
        error: the exception.
        limit: characters of the text.
        bare: walks over its arguments.
        masked: the same, and masks what is secret.

    Example:
        >>> masked = lambda args: ["***" for _ in args]
        >>> error_text(ValueError({"token": "t"}), 99, list, masked)
        '***'
        >>> error_text(KeyError("a"), 99, list, masked)
        "'a'"
    """
    if may_show(error):
        args = _args_of(error)
        hidden = masked(args)
        if hidden != bare(args) or any(map(_holds_errors, args)):
            return safe_str(hidden[0] if len(args) == 1 else tuple(hidden), limit)
    return safe_str(error, limit)


def _holds_errors(argument: object) -> bool:
    """Say whether it is an exception of that sort, or has one: a walk masks those in any case."""
    kind = type(argument)
    if issubclass(kind, BaseException):
        return may_show(argument)  # type: ignore[arg-type]
    if kind is dict:
        argument = list(argument.values())  # type: ignore[attr-defined]
    elif kind is not list and kind is not tuple:
        return False
    return any(issubclass(type(item), BaseException) for item in argument)  # type: ignore[attr-defined]


def may_show(error: BaseException) -> bool:
    """Say whether an exception's text is that of arguments which may hold a secret.

    Example:
        >>> may_show(ValueError("no")), may_show(ValueError("no", {}))
        (False, True)
    """
    for argument in _args_of(error):
        if type(argument) not in _SAFE:
            break
    else:
        return False
    for base in mro_of(type(error)):
        if "__str__" in base.__dict__:
            return base is BaseException or base is KeyError
    return False
