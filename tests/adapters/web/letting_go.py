"""Fail in a request and say whether its exception is gone without the garbage collector: "asgi yes".

In a process of its own: pytest keeps exceptions that were logged.
"""

from __future__ import annotations

import asyncio
import gc
import io
import sys
import weakref
from typing import TYPE_CHECKING, Any

import ctxlog
from ctxlog.adapters import asgi, wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

held: list[weakref.ref[BaseException]] = []


class ShopError(Exception):
    """What fails."""


def fail() -> None:
    """Raise, and remember weakly."""
    error = ShopError()
    held.append(weakref.ref(error))
    try:
        raise error
    finally:
        del error


def by_asgi() -> None:
    """An ASGI application that fails."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ctxlog.annotate(rows=3)
        fail()

    async def main() -> None:
        asked: Any = {"type": "http", "path": "/", "headers": []}
        around: Any = asgi.Middleware(app)
        try:
            await around(asked, None, None)
        except ShopError:
            return

    asyncio.run(main())


def by_wsgi() -> None:
    """A WSGI application whose body fails."""

    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"x"
        fail()

    around: Any = wsgi.Middleware(app)
    body = around({}, lambda *_: None)
    try:
        list(body)
    except ShopError:
        pass
    finally:
        body.close()


def main() -> None:
    """Try each; after the first of its kind, which loads things."""
    ctxlog.configure(stream=io.StringIO(), renderer="json")
    for name, way in (("asgi", by_asgi), ("wsgi", by_wsgi)):
        way()
        gc.collect()
        gc.disable()
        way()
        gone = "yes" if held[-1]() is None else "no"
        gc.enable()
        sys.stdout.write(f"{name} {gone}\n")


if __name__ == "__main__":
    main()
