"""Exceptions: type, message, causes, groups and notes as data; the traceback once, as text."""

from __future__ import annotations

import json
from typing import Any

import ctxlog

log = ctxlog.get_logger("shop")


def show(event: dict[str, Any]) -> None:
    """Print an event; of the traceback only its last line."""
    stack = event.pop("exception.stacktrace", None)
    print(json.dumps({name: event[name] for name in event if name != "timestamp"}))
    if stack:
        print("    …", stack.splitlines()[-1])


def pay() -> None:
    """Fail with a cause and a note."""
    try:
        {}["card"]  # type: ignore[index]
    except KeyError as error:
        failure = ValueError("no card")
        failure.add_note("the customer was asked twice")
        raise failure from error


def main() -> None:
    """Log what is being handled, what was kept, and a group."""
    ctxlog.configure(sinks=[{"target": show, "renderer": "event"}])
    with ctxlog.scope(request_id="r-1"):
        try:
            pay()
        except ValueError:
            log.exception("payment failed")
        log.warning("that was", exc_info=TimeoutError("the bank"))
        group = ExceptionGroup("two mails", [TimeoutError("smtp"), ConnectionError("imap")])
        log.error("mails failed", exc_info=group)


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"level": "error", "logger": "shop", "event": "payment failed", "request_id": "r-1", "exception.type": "ValueError", "exception.message": "no card", "error.type": "ValueError", "exception.notes": ["the customer was asked twice"], "exception.causes": [{"type": "KeyError", "message": "'card'", "kind": "cause"}]}
#     … the customer was asked twice
# {"level": "warning", "logger": "shop", "event": "that was", "request_id": "r-1", "exception.type": "TimeoutError", "exception.message": "the bank", "error.type": "TimeoutError"}
#     … TimeoutError: the bank
# {"level": "error", "logger": "shop", "event": "mails failed", "request_id": "r-1", "exception.type": "ExceptionGroup", "exception.message": "two mails (2 sub-exceptions)", "error.type": "ExceptionGroup", "exception.group": [{"type": "TimeoutError", "message": "smtp"}, {"type": "ConnectionError", "message": "imap"}]}
#     …     +------------------------------------
