"""Identity: which object a piece of work is about, out of every shape an object comes in.

>>> identify({"kind": "Pod", "metadata": {"name": "db-0", "namespace": "shop"}})["k8s.object.ref"]
'Pod/shop/db-0'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from ctxlog.texts import cut

KIND = "k8s.object.kind"
NAME = "k8s.object.name"
NAMESPACE = "k8s.object.namespace"
UID = "k8s.object.uid"
API_VERSION = "k8s.object.api_version"
RESOURCE_VERSION = "k8s.object.resource_version"
#: ``Kind/namespace/name``, or ``Kind/name`` of what is in no namespace: the key to join lines on.
REF = "k8s.object.ref"
#: Why an object's identity is not whole.
PROBLEM = "k8s.object.problem"

#: Characters of one part: names have at most 253 in any cluster.
MAX_CHARS = 256
_MODEL = re.compile(r"(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?([A-Z]\w*)")
_kinds: dict[type, str | None] = {}  # of a client library's classes: a few hundred at most


def identify(
    thing: object,
    /,
    *,
    kind: str | None = None,
    api_version: str | None = None,
    namespace: str | None = None,
) -> dict[str, object]:
    """Return the fields that say which object this is; what is not known is left out.

    Only identity is read: never annotations, managed fields or data. Never raises: what cannot be
    read, or has no name, says so under ``k8s.object.problem``.

    Args:
        thing: an object's body or a client library's model, its metadata, a reference to it
            (``ObjectReference``, ``involvedObject``, kopf's ``k8s_ref``), a watch event that holds
            it, or a key: ``"namespace/name"`` or ``"name"``. ``None`` is no object: no fields.
        kind: its kind, where the thing itself does not say.
        api_version: the same of its API version.
        namespace: the same of a reference's namespace. An ``OwnerReference`` never does: it is its dependent's,
            or none; where it is not given, there is no ``k8s.object.ref``.

    Example:
        >>> identify("shop/db-0", kind="Pod")
        {'k8s.object.kind': 'Pod', 'k8s.object.namespace': 'shop', 'k8s.object.name': 'db-0', 'k8s.object.ref': 'Pod/shop/db-0'}
        >>> identify({"kind": "Pod"})
        {'k8s.object.kind': 'Pod', 'k8s.object.problem': 'no metadata'}
        >>> owner = {"kind": "ReplicaSet", "name": "db", "uid": "u-1", "controller": True}
        >>> identify(owner, namespace="shop")["k8s.object.ref"]
        'ReplicaSet/shop/db'
    """
    if thing is None:
        return {}
    try:
        if type(thing) is dict:
            fields = _as_sent(thing, kind)
            if fields is not None:
                return fields
        return _placed(_identity(thing, kind, api_version), thing, namespace)
    except Exception as error:  # noqa: BLE001 - a mapping of somebody's own may do anything
        return {PROBLEM: f"unreadable: {type(error).__name__}"}


def _as_sent(thing: dict[str, Any], kind: str | None) -> dict[str, object] | None:
    """Return the identity of a body as a server sends it, ``None`` of any other shape.

    What :func:`_identity` finds, in one piece: each event there is comes by, and where code runs
    once an event its calls cost more than what they do (a third less, with cold caches).
    """
    metadata = thing.get("metadata")
    if type(metadata) is not dict:
        return None
    kind = thing.get("kind") or kind
    version, number = thing.get("apiVersion"), metadata.get("resourceVersion")
    namespace, name = metadata.get("namespace"), metadata.get("name")
    if kind is None or version is None or name is None or number is None:
        return None
    fields: dict[str, object] = {}
    for key, value in (
        (KIND, kind),
        (API_VERSION, version),
        (NAMESPACE, namespace),
        (NAME, name),
        (UID, metadata.get("uid")),
        (RESOURCE_VERSION, number),
    ):
        if value is not None:
            if type(value) is not str or not 0 < len(value) <= MAX_CHARS:
                return None
            fields[key] = value
    fields[REF] = ref(kind, namespace, name)
    return fields


def _identity(thing: Any, kind: str | None, api_version: str | None) -> dict[str, object]:
    if isinstance(thing, str):
        namespace, slash, name = thing.rpartition("/")
        return _fields(kind, api_version, _text(namespace) if slash else None, _text(name))
    if not _is_mapping(thing):
        if not _is_object(thing):
            return {PROBLEM: cut(f"not an object: {type(thing).__name__}", MAX_CHARS)}
        return _of_model(thing, kind, api_version)
    metadata = thing.get("metadata")
    if metadata is None and "object" in thing and "type" in thing:  # a watch event
        return _identity(thing["object"], kind, api_version)
    kind = _text(thing.get("kind")) or kind
    api_version = _text(thing.get("apiVersion") or thing.get("api_version")) or api_version
    if not _is_mapping(metadata):
        if metadata is not None or "name" not in thing:
            why = "no metadata" if metadata is None else "metadata is no mapping"
            return _fields(kind, api_version, None, None, problem=why)
        metadata = thing  # it is metadata, or a reference
    return _fields(
        kind,
        api_version,
        _text(metadata.get("namespace")),
        _text(metadata.get("name")),
        _text(metadata.get("uid")),
        _text(metadata.get("resourceVersion") or metadata.get("resource_version")),
    )


def _is_whole(thing: Any) -> bool:
    """Say whether it has metadata: without a namespace there it is in none."""
    return "metadata" in thing if _is_mapping(thing) else hasattr(thing, "metadata")


def _is_owner(thing: Any) -> bool:
    """Say whether it is an ``OwnerReference``, which is silent about the namespace."""
    if _is_mapping(thing):
        return "controller" in thing or "blockOwnerDeletion" in thing
    return hasattr(thing, "block_owner_deletion")


def _placed(fields: dict[str, object], thing: Any, namespace: str | None) -> dict[str, object]:
    """Return an identity in the namespace it is told; without a ref, if nobody knows which it is in."""
    if NAMESPACE in fields or _is_whole(thing) or (namespace is None and not _is_owner(thing)):
        return fields
    reference = fields.pop(REF, None)
    namespace = _text(namespace)
    if namespace is None:
        return fields
    known = {NAMESPACE: namespace, **fields}
    if reference is not None:
        known[REF] = ref(str(fields[KIND]), namespace, str(fields[NAME]))
    return known


def _is_mapping(thing: object) -> TypeGuard[Mapping[str, Any]]:
    return type(thing) is dict or isinstance(thing, Mapping)  # asking an ABC takes a while


def _is_object(thing: object) -> bool:
    return any(
        getattr(thing, name, None) is not None for name in ("metadata", "name", "kind")
    ) and not isinstance(thing, type)


def _of_model(thing: Any, kind: str | None, api_version: str | None) -> dict[str, object]:
    metadata = getattr(thing, "metadata", None)
    kind = _text(getattr(thing, "kind", None)) or kind
    version = getattr(thing, "api_version", None) or getattr(thing, "apiVersion", None)
    api_version = _text(version) or api_version
    if metadata is None:
        metadata = thing
    elif kind is None:  # the items of a list do not say it; their class does
        kind = kind_of_model(type(thing))
    if isinstance(metadata, Mapping):
        return _identity({"metadata": metadata}, kind, api_version)
    number = getattr(metadata, "resource_version", None)
    if number is None:
        number = getattr(metadata, "resourceVersion", None)
    return _fields(
        kind,
        api_version,
        _text(getattr(metadata, "namespace", None)),
        _text(getattr(metadata, "name", None)),
        _text(getattr(metadata, "uid", None)),
        _text(number),
    )


def kind_of_model(model: type) -> str | None:
    """Return the kind that a client library's class stands for, if it says so.

    Example:
        >>> kind_of_model(type("V1beta1CronTab", (), {"openapi_types": {}}))
        'CronTab'
    """
    if model not in _kinds:
        found = _MODEL.fullmatch(model.__name__) if hasattr(model, "openapi_types") else None
        if len(_kinds) >= MAX_CHARS * 16:
            _kinds.clear()
        _kinds[model] = None if found is None else found[1]
    return _kinds[model]


def _text(value: object) -> str | None:
    if type(value) is str and 0 < len(value) <= MAX_CHARS:  # nearly always
        return value
    if not isinstance(value, str):
        return None
    text = str.__str__(value)
    return (text if len(text) <= MAX_CHARS else cut(text, MAX_CHARS)) or None


def _fields(  # noqa: PLR0913 - a part of an identity each
    kind: str | None,
    api_version: str | None,
    namespace: str | None,
    name: str | None,
    uid: str | None = None,
    resource_version: str | None = None,
    problem: str | None = None,
) -> dict[str, object]:
    fields: dict[str, object] = {}
    if kind is not None:
        fields[KIND] = kind
    if api_version is not None:
        fields[API_VERSION] = api_version
    if namespace is not None:
        fields[NAMESPACE] = namespace
    if name is not None:
        fields[NAME] = name
    if uid is not None:
        fields[UID] = uid
    if resource_version is not None:
        fields[RESOURCE_VERSION] = resource_version
    if name is None:
        fields[PROBLEM] = problem or "no name"
    elif kind is not None:
        fields[REF] = ref(kind, namespace, name)
    return fields


def ref(kind: str, namespace: str | None, name: str) -> str:
    """Return the key of an object; a slash in a part is ``%2F``, so that no name forges another's.

    Example:
        >>> ref("Pod", "shop", "db-0"), ref("Node", None, "a/b")
        ('Pod/shop/db-0', 'Node/a%2Fb')
    """
    if "/" in kind or "/" in name or (namespace is not None and "/" in namespace):
        kind, name = kind.replace("/", "%2F"), name.replace("/", "%2F")
        namespace = None if namespace is None else namespace.replace("/", "%2F")
    return f"{kind}/{name}" if namespace is None else f"{kind}/{namespace}/{name}"
