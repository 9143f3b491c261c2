"""Queue options: how long a queue may be, what it does when it is full, how it writes and stops."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ctxlog.errors import UsageError, choices, seconds, shown
from ctxlog.levels import parse
from ctxlog.walk import is_mapping

#: What a call does when the queue is full.
POLICIES = ("block-until-deadline", "drop-newest", "drop-oldest", "drop-below-level-first")
_SECONDS = ("deadline", "batch_seconds", "retry_seconds", "stop_seconds")
_NUMBERS = {"size": 1, "batch_lines": 1, "retries": 0}
#: Each retry waits twice as long as the one before: 30 of them are three years.
_MOST = {"size": 1 << 30, "batch_lines": 1 << 30, "retries": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """How a queue in front of a sink behaves. Every number is checked when it is made.

    Args:
        size: lines it holds at the most, those being written included.
        policy: when it is full: ``"drop-newest"`` drops the line that comes, ``"drop-oldest"`` the
            one that waits longest, ``"drop-below-level-first"`` those below ``level`` that wait
            longest and then the line that comes; ``"block-until-deadline"`` lets the call wait,
            ``deadline`` seconds at the most, then drops its line.
        deadline: seconds a call may wait, by that policy alone.
        level: lines below it make room for those at or above it, by that policy alone.
        batch_lines: it writes as soon as so many lines wait; at most half of ``size`` at once.
        batch_seconds: or so many seconds after the first of them came.
        retries: how often a line that the sink failed to write is tried again.
        retry_seconds: seconds before the first of them; each further one waits twice as long.
        stop_seconds: what the queue may take to be emptied when the interpreter exits or another
            ``configure`` replaces it.

    Raises:
        UsageError: an argument cannot be what it should be.

    Example:
        >>> QueueOptions(size=500, policy="drop-oldest").batch
        250
    """

    size: int = 10_000
    policy: str = "drop-newest"
    deadline: float = 1.0
    level: int | str = "warning"
    batch_lines: int = 4_096
    batch_seconds: float = 0.05
    retries: int = 2
    retry_seconds: float = 0.1
    stop_seconds: float = 5.0

    def __post_init__(self) -> None:
        if type(self.policy) is not str or self.policy not in POLICIES:
            raise choices("queue policy", self.policy, POLICIES)
        parse(self.level)
        for name, least in _NUMBERS.items():
            given = getattr(self, name)
            if type(given) is not int or not least <= given <= _MOST[name]:
                raise UsageError(
                    f"queue {name} takes a whole number from {least} to {_MOST[name]},"
                    f" not {shown(given)}"
                )
        for name in _SECONDS:
            seconds(f"queue {name}", getattr(self, name))

    @property
    def batch(self) -> int:
        """How many lines are taken at once: at most half, so that others can still be dropped."""
        return min(self.batch_lines, max(1, self.size // 2))

    @classmethod
    def of(cls, given: object) -> QueueOptions:
        """Return the options that ``queue=…`` stands for.

        Args:
            given: ``True``, the name of a policy, a mapping of options, or options as they are.

        Raises:
            UsageError: it is none of these; it lists the candidates.

        Example:
            >>> QueueOptions.of({"size": 100}).size, QueueOptions.of("drop-oldest").policy
            (100, 'drop-oldest')
        """
        if isinstance(given, cls):
            return given
        if given is True:
            return cls()
        if isinstance(given, str):
            return cls(policy=given)
        if not is_mapping(type(given)):
            raise UsageError(
                "queue takes True, a policy, a mapping of options or QueueOptions(...),"
                f" not {type(given).__name__}"
            )
        options: dict[str, Any] = dict(given)  # type: ignore[call-overload] # a mapping
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise choices("queue option", name, known)
        return cls(**options)
