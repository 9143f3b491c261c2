"""Generators: iterators one did not write, each of whose steps runs in frames of its own.

A generator that one writes is decorated (``@ctxlog.scope(…)``). One that somebody else wrote, with
fields bound around a ``yield``, gives them to whoever consumes it; a response's body runs after its
request's scope has gone. Both are mended from outside:

>>> from ctxlog.context.fields import get_context
>>> from ctxlog.context.scope import scope
>>> def foreign():
...     with scope(inner=1):
...         yield get_context()
>>> with scope(a=1):
...     body = carried(foreign())
>>> [(item, get_context()) for item in body]
[({'a': 1, 'inner': 1}, {})]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ctxlog.context.decorate import decorate
from ctxlog.context.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable

T = TypeVar("T")


def carried(iterable: Iterable[T]) -> Generator[T, None, None]:
    """Return the iterable with each step under the context of now; what it binds stays inside."""
    return decorate(_steps, snapshot().scope)(iterable)


def carried_async(iterable: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Return the asynchronous iterable with each step under the context of now.

    Closing it closes what it iterates.
    """
    return decorate(_async_steps, snapshot().scope)(iterable)


def _steps(iterable: Iterable[T]) -> Generator[T, None, None]:
    yield from iterable


async def _async_steps(iterable: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    iterator = aiter(iterable)
    try:
        async for item in iterator:
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
