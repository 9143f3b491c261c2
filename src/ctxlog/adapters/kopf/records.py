"""Records: kopf's own lines carry the object's identity under the names that all lines have."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from ctxlog.adapters.logging.records import HIDDEN
from ctxlog.context.fields import CURRENT
from ctxlog.kubernetes.identity import REF, UID, identify
from ctxlog.values import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The logger that every object logger of kopf writes with.
LOGGER = "kopf.objects"
#: How the names of an identity's fields begin.
PREFIX = "k8s.object."
#: What kopf puts on its records for itself: not for a line.
THEIRS = ("settings", "k8s_ref", "k8s_skip")
#: Where kopf writes a body, a patch (it holds the last handled body), JSON patch or diff.
_DATA = re.compile(r": [{\[(]")
#: What an annotation holds of the whole object, in the text of a body or a patch.
_LAST = "-configuration"
_WHOLE = re.compile(
    # runs of plain characters are one step each: it may be a megabyte, and the loop waits
    r"""(last-(?:handled|applied)-configuration['"]: )"""
    r"""(?:'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")"""
)


class Identity(logging.Filter):
    """A filter that lets everything through, and puts the identity beside ``k8s_ref``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; whatever goes wrong, the record stays as it was."""
        ref = record.__dict__.get("k8s_ref")
        if ref is None:
            return True
        try:
            self._add(record, ref)
        except Exception:  # noqa: BLE001 - a line without its identity is better than none
            record.__dict__[HIDDEN] = THEIRS
        return True

    def _add(self, record: logging.LogRecord, ref: Mapping[str, object]) -> None:
        own = record.__dict__
        bound = CURRENT.get().fields.values
        uid = ref.get("uid")
        if uid is None or bound.get(UID) != uid:  # else the context has it all
            self._tell(own, identify(ref), bound)
        own[HIDDEN] = THEIRS
        said = record.msg
        if not isinstance(said, str):
            return
        if ref.get("kind") == "Secret":
            found = _DATA.search(said)
            if found:
                record.msg, record.args = f"{said[: found.start()]}: {MASK}", ()
        elif _LAST in said:
            record.msg = _WHOLE.sub(rf"\1'{MASK}'", said)

    def _tell(
        self, own: dict[str, Any], fields: dict[str, object], bound: Mapping[str, object]
    ) -> None:
        """Put an object's fields on a record; those of another one that is bound do not show."""
        if UID not in fields and UID not in bound and fields.get(REF, "") == bound.get(REF):
            return  # kinds without a uid exist
        for name in bound:
            if name.startswith(PREFIX):  # a Node has no namespace
                fields.setdefault(name, None)
        for name, value in fields.items():
            own.setdefault(name, value)
