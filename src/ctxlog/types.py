"""Types: the shapes that layers share. structlog's protocol is the processors' protocol."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Any, Protocol, TypeAlias

    #: What a line is made of; names to values.
    EventDict: TypeAlias = MutableMapping[str, Any]

    class Processor(Protocol):
        """One step of the chain, with structlog's signature."""

        def __call__(
            self, logger: Any, method_name: str, event_dict: EventDict, /
        ) -> Mapping[str, Any]:
            """Return the event, changed or another one."""
            ...

    class Renderer(Protocol):
        """The last step: an event to one line, without its newline."""

        def __call__(self, logger: Any, method_name: str, event_dict: EventDict, /) -> bytes | str:
            """Return the line."""
            ...
