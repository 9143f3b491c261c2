"""Objects: what tells a Kubernetes object's secret parts, and the classes that clients make of them."""

from __future__ import annotations

from ctxlog.texts import type_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: The kinds that hold secrets, and where.
SECRET_KINDS = frozenset({"Secret", "SecretList"})
KIND, BESIDE_KIND = "kind", frozenset({"data", "items"})
SECRET_PARTS = frozenset({*BESIDE_KIND, "string_data", "stringData"})
#: What nobody reads of any object, or what keeps all of it: how the names end.
HIDDEN = (
    "managedFields",
    "managed_fields",
    "last-applied-configuration",
    "last-handled-configuration",
)
#: What the clients' dynamic parts return; they have ``to_dict``.
DYNAMIC = frozenset(
    f"{library}.dynamic.resource.{name}"
    for library in ("kubernetes", "kubernetes_asyncio")
    for name in ("ResourceField", "ResourceInstance")
)


def is_secret(body: Mapping[str, object]) -> bool:
    """Say whether this is a Secret: by its kind, or by a part that nothing else has.

    The items of a list leave out their kind, and so does what a model's ``to_dict`` makes of them.

    Example:
        >>> is_secret({"kind": "Secret"}), is_secret({"kind": None, "string_data": None})
        (True, True)
    """
    kind = body.get("kind")
    if type(kind) is str and kind in SECRET_KINDS:
        return True
    return "string_data" in body or "stringData" in body


def may_be_one(fields: Collection[str]) -> bool:
    """Say whether fields with these names may be an object's own, a Secret's.

    Example:
        >>> may_be_one({"kind", "data"}), may_be_one({"data": 1, "level": 2})
        (True, False)
    """
    return KIND in fields and not BESIDE_KIND.isdisjoint(fields)


def hides(name: str) -> bool:
    """Say whether a name hides its value in any object; for where no redaction is known.

    Example:
        >>> hides("managedFields"), hides("kubectl.kubernetes.io/last-applied-configuration")
        (True, True)
    """
    return name.endswith(HIDDEN)


def mask_parts(body: dict[str, object], mask: str) -> None:
    """Put ``mask`` in place of what a Secret must not show; another object stays as it is.

    Example:
        >>> body = {"kind": "Secret", "data": {"password": "cA=="}}
        >>> mask_parts(body, "***")
        >>> body
        {'kind': 'Secret', 'data': '***'}
    """
    if is_secret(body):
        for name in SECRET_PARTS.intersection(body):
            body[name] = mask


def is_model(kind: type) -> bool:
    """Say whether a class is a client's, whose own text would show all that an object has.

    Example:
        >>> is_model(type("V1Secret", (), {"openapi_types": {}})), is_model(int)
        (True, False)
    """
    try:
        found = type(getattr(kind, "openapi_types", None)) is dict
    except Exception:  # noqa: BLE001 - a metaclass may do anything
        return False
    return found or type_path(kind) in DYNAMIC
