"""Bodies: what API clients log of a response, at debug: JSON as text, in which no name is seen."""

from __future__ import annotations

import json
import logging

#: Loggers whose argument is a response's body, as it came.
LOGGERS = ("kubernetes.client.rest", "kubernetes.aio.client.rest", "kubernetes_asyncio.client.rest")


class Bodies(logging.Filter):
    """A filter that lets everything through, and reads an argument that is JSON.

    So the pipeline masks in it what it masks everywhere: a Secret's data, tokens.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put objects and lists in place of their text; whatever is no JSON stays as it is."""
        args = record.args
        if isinstance(args, tuple) and any(map(_is_text, args)):
            record.args = tuple([_read(arg) for arg in args])
        return True


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes)


def _read(value: object) -> object:
    if not isinstance(value, str | bytes):
        return value
    try:
        read: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if isinstance(read, dict | list) else value


_bodies = Bodies()


def add() -> None:
    """Put the filter on the loggers; a second time changes nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_bodies)


def remove() -> None:
    """Take it off again."""
    for name in LOGGERS:
        logging.getLogger(name).removeFilter(_bodies)
