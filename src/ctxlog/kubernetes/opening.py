"""Opening: a WebSocket that is opened when it is awaited or entered, and whose call ends then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from ctxlog.kubernetes.calls import Call


class Opening:
    """Stands for what a client gives to be opened: awaited or entered as that is.

    Args:
        opens: what opens the WebSocket.
        call: the call that ends with it.
    """

    __slots__ = ("_call", "_opens")

    def __init__(self, opens: Any, call: Call) -> None:
        self._opens = opens
        self._call = call

    def __await__(self) -> Generator[Any, None, Any]:
        return self._opened(self._opens).__await__()

    async def __aenter__(self) -> Any:
        return await self._opened(self._opens.__aenter__())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        return await self._opens.__aexit__(kind, error, traceback)

    async def _opened(self, opens: Any) -> Any:
        try:
            socket = await opens
        except BaseException as error:
            self._call.end(error=error)
            raise
        self._call.end(getattr(socket, "_response", None))  # aiohttp's, of the upgrade
        return socket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opens, name)
