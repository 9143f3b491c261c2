"""Redaction: which names hold secrets, and a mask in place of their values.

>>> Redaction(also=["internal_note"]).apply({"event": "login", "Internal-Note": "x", "tokens": 3})
{'event': 'login', 'Internal-Note': '[redacted]', 'tokens': 3}
"""

from __future__ import annotations

import re

from ctxlog.errors import UsageError, choices
from ctxlog.freeze_walk import DEPTH, Freeze
from ctxlog.texts import encodable, name_of
from ctxlog.values import MASK, SCALARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Never, NoReturn

#: What is masked unless told otherwise. A DSN and a database URL hold a password as a rule. Not
#: here, as they mean other things too often: ``pin``, ``auth``, ``session_id``, ``key``, ``tokens``.
DEFAULT_NAMES: frozenset[str] = frozenset(
    [
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "passcode",
        "user_password",
        "db_password",
        "new_password",
        "old_password",
        "secret",
        "client_secret",
        "app_secret",
        "webhook_secret",
        "shared_secret",
        "secret_key",
        "secret_value",
        "token",
        "access_token",
        "refresh_token",
        "id_token",
        "auth_token",
        "api_token",
        "bearer_token",
        "session_token",
        "security_token",
        "x_amz_security_token",
        "csrf_token",
        "x_csrf_token",
        "x_auth_token",
        "api_key",
        "apikey",
        "x_api_key",
        "private_key",
        "private_key_data",
        "encryption_key",
        "signing_key",
        "access_key",
        "secret_access_key",
        "aws_secret_access_key",
        "aws_session_token",
        "authorization",
        "proxy_authorization",
        "cookie",
        "set_cookie",
        "bearer",
        "jwt",
        "otp",
        "credential",
        "credentials",
        "connection_string",
        "dsn",
        "database_url",
        "ssn",
        "social_security_number",
        "credit_card",
        "credit_card_number",
        "card_number",
        "cvv",
        "cvc",
        # Kubernetes: the key in a kubeconfig, a Secret's texts, what an annotation keeps of an object, and what nobody reads
        "client_key_data",
        "string_data",
        "managed_fields",
        "last_applied_configuration",
        "last_handled_configuration",
    ]
)

OPTIONS = ("names", "also", "allow", "patterns", "mask")
REMEMBERED = 4096  # names whose answer is kept
_NUMBER = re.compile(r"~\d+\Z")
_WSGI = "http"  # HTTP_COOKIE is a header's name in a WSGI environ, Django's META


def fold(name: str) -> str:
    """Return a name as it is compared: without case, ``-`` and ``_``.

    Example:
        >>> fold("X-Api_Key")
        'xapikey'
    """
    return name.casefold().replace("_", "").replace("-", "").strip()


class Redaction:
    """Which values are masked: by the name they are under, and by patterns in texts if given.

    A name is secret if it, or its last part after a dot or slash, is one of ``names`` and ``also``
    after folding case, ``-`` and ``_``: ``Client-Secret`` and ``auth.token`` are, ``tokens_used``
    and ``secret_name`` are not. ``HTTP_COOKIE`` is, as WSGI calls a header. So is the ``data`` of a
    Kubernetes Secret. Immutable, and compares by value.

    Args:
        names: the well-known names; give your own to replace them.
        also: more names.
        allow: names, or dotted paths, that are never masked: ``"page.token"``.
        patterns: regular expressions (texts or compiled) whose matches in texts are masked.
        mask: what is written instead of the value.
        unknown: none: a wrong name is answered with the right ones.

    Raises:
        UsageError: for an argument of another kind; it says what is accepted.

    Example:
        >>> redaction = Redaction(allow=["page.token"], patterns=[r"sk-[a-z0-9]+"])
        >>> redaction.apply({"event": "used sk-1a2b", "page": {"token": "next"}, "token": "t"})
        {'event': 'used [redacted]', 'page': {'token': 'next'}, 'token': '[redacted]'}
    """

    __slots__ = ("_answers", "_replacement", "allow", "mask", "names", "paths", "patterns")

    #: Folded names, allowed names and paths, compiled patterns, and the mask.
    names: frozenset[str]
    allow: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    mask: str
    #: Whether an allowed name has a dot: then the path of a nested name is worth telling.
    paths: bool
    _answers: dict[str, bool]
    _replacement: str

    def __init__(
        self,
        names: Iterable[str] = DEFAULT_NAMES,
        *,
        also: Iterable[str] = (),
        allow: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        mask: str = MASK,
        **unknown: Never,
    ) -> None:
        for name in unknown:
            raise choices("redaction option", name, OPTIONS)
        given: object = mask  # the caller may not be type-checked
        if not isinstance(given, str):
            message = f"mask takes a text, not {type(given).__name__}"
            raise UsageError(message)
        put = object.__setattr__
        put(self, "names", _folded("names", names) | _folded("also", also))
        put(self, "allow", _folded("allow", allow))
        put(self, "patterns", _compiled(patterns))
        put(self, "mask", encodable(str(mask)))
        put(self, "paths", any("." in name for name in self.allow))
        put(self, "_answers", {})
        put(self, "_replacement", self.mask.replace("\\", r"\\"))

    def is_secret(self, name: str) -> bool:
        """Say whether the value under this name, or dotted path of names, is masked.

        Example:
            >>> hides = Redaction().is_secret
            >>> hides("Set-Cookie"), hides("http.request.header.cookie"), hides("tokens_used")
            (True, True, False)
        """
        answer = self._answers.get(name)
        if answer is None:
            folded = fold(name)
            answer = folded not in self.allow and self._holds(folded)
            if not answer and "~" in folded:  # of two keys that read alike: ctxlog.walk.unused
                folded = _NUMBER.sub("", folded)
                answer = folded not in self.allow and self._holds(folded)
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()  # ids as keys must not fill it for good
            self._answers[name] = answer
        return answer

    def _holds(self, folded: str) -> bool:
        parts = folded, folded.rpartition(".")[2].strip(), folded.rpartition("/")[2].strip()
        return any(
            part in self.names or (part.startswith(_WSGI) and part[len(_WSGI) :] in self.names)
            for part in parts
        )

    def apply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a masked copy of a plain event (:func:`ctxlog.plain.plain`), at any depth.

        The second of a pair in a list is masked too when the first is a secret name, as headers
        come so.

        Example:
            >>> Redaction().apply({"headers": [["Cookie", "c"], ["Accept", "*/*"]]})
            {'headers': [['Cookie', '[redacted]'], ['Accept', '*/*']]}
        """
        return self._mapping(event, "")

    def field(self, name: str, value: Any) -> Any:
        """Return a bound value (:func:`ctxlog.freezing.freeze`) with all that is secret masked.

        Example:
            >>> Redaction().field("login", {"user": "bob", "password": "p"})
            {'user': 'bob', 'password': '[redacted]'}
        """
        if self.is_secret(name):
            return self.mask
        kind = type(value)
        if kind is dict or kind is tuple or kind not in SCALARS:
            where = name if self.paths else None
            value = frozen_masked(value, self.is_secret, self.mask, where)
        return self._texts(value) if self.patterns else value

    def _texts(self, value: Any) -> Any:
        if type(value) is str:
            return self._value(value, "")
        if type(value) is dict:
            return {name: self._texts(item) for name, item in value.items()}
        return tuple(map(self._texts, value)) if type(value) is tuple else value

    def _mapping(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        out = {}
        for name, value in values.items():
            path = f"{where}.{name}" if where else name
            out[name] = self.mask if self.is_secret(path) else self._value(value, path)
        return out

    def _value(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            for pattern in self.patterns:
                value = pattern.sub(self._replacement, value)
            return value
        if isinstance(value, dict):
            return self._mapping(value, where)
        if isinstance(value, list | tuple):
            return [self._item(item, where) for item in value]
        return value

    def _item(self, item: Any, where: str) -> Any:
        if isinstance(item, list | tuple) and len(item) == 2:  # noqa: PLR2004 - a pair
            name = item[0]
            if isinstance(name, str) and self.is_secret(f"{where}.{name_of(name)}"):
                return [self._value(name, where), self.mask]
        return self._value(item, where)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        message = f"a Redaction is immutable: make another one to change {name!r}"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def _parts(self) -> tuple[Any, ...]:
        return self.names, self.allow, self.patterns, self.mask

    def __eq__(self, other: object) -> bool:
        return self._parts() == other._parts() if type(other) is Redaction else NotImplemented

    def __hash__(self) -> int:
        return hash(self._parts())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, self._parts()

    def __repr__(self) -> str:
        return (
            f"<Redaction of {len(self.names)} names, {len(self.allow)} allowed,"
            f" {len(self.patterns)} patterns>"
        )


def _rebuilt(
    names: frozenset[str], allow: frozenset[str], patterns: tuple[re.Pattern[str], ...], mask: str
) -> Redaction:
    return Redaction(names, allow=allow, patterns=patterns, mask=mask)


def _listed(option: str, given: object, what: str) -> list[Any]:
    if isinstance(given, str | bytes | re.Pattern):
        message = f"{option} takes several {what}, as in {option}=[...], not one"
        raise UsageError(message)
    try:
        return list(given)  # type: ignore[call-overload, no-any-return]
    except TypeError:
        message = f"{option} takes {what} in a list, tuple or set, not {type(given).__name__}"
        raise UsageError(message) from None


def _folded(option: str, given: object) -> frozenset[str]:
    folded = set()
    for name in _listed(option, given, "names"):
        if not isinstance(name, str):
            message = f"{option} takes names as text, not {type(name).__name__}"
            raise UsageError(message)
        if not fold(name):
            message = f"{option} takes names with a letter or digit, not {name[:80]!r}"
            raise UsageError(message)
        folded.add(fold(name))
    return frozenset(folded)


def _compiled(given: object) -> tuple[re.Pattern[str], ...]:
    patterns: list[re.Pattern[str]] = []
    for pattern in _listed("patterns", given, "regular expressions"):
        if not isinstance(pattern, str | re.Pattern) or isinstance(
            getattr(pattern, "pattern", ""), bytes
        ):
            message = (
                "patterns takes regular expressions for text, as texts or compiled,"
                f" not {type(pattern).__name__}"
            )
            raise UsageError(message)
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            message = f"{str(pattern)[:80]!r} in patterns is no regular expression: {error}"
            raise UsageError(message) from None
        if compiled.search("") is not None:
            message = f"{compiled.pattern[:80]!r} in patterns matches the empty text, so everywhere"
            raise UsageError(message)
        patterns.append(compiled)
    return tuple(patterns)


def frozen_masked(
    value: object, is_secret: Callable[[str], bool], mask: str = MASK, where: str | None = None
) -> object:
    """Return what :func:`~ctxlog.freezing.freeze` does, with secrets masked as on a line.

    Args:
        value: anything; what is frozen already stays as it is.
        is_secret: told a key; with ``where`` the dotted path of keys that leads to it.
        mask: what is put in place of a secret.
        where: the path of this value itself.

    Example:
        >>> frozen_masked({"a": [1], "b": 2}, "b".__eq__)
        {'a': (1,), 'b': '[redacted]'}
    """
    walk = Freeze()
    walk.is_secret, walk.mask, walk.where = is_secret, mask, where
    return walk.safely(value, DEPTH)
