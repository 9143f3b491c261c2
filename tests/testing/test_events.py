"""Events as they are asserted on: what their lines have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ctxlog
from ctxlog.redact import Redaction
from tests.kit import configured

if TYPE_CHECKING:
    from ctxlog.testing.events import Events

log = ctxlog.get_logger("shop")


def test_what_another_configuration_masks_is_not_masked(ctxlog_events: Events):
    """An event has what its own line has: by the configuration that it was written under."""
    with configured(redact=Redaction(patterns=(r"sk-\d+", r"^sold$"))):
        log.info("sold", key="sk-1")
    log.warning("sold", key="sk-2", password="p")
    masked, plain = ctxlog_events
    assert ("[redacted]", "[redacted]") == (masked["event"], masked["key"])
    assert ("sold", "sk-2", "[redacted]") == (plain["event"], plain["key"], plain["password"])
