"""An operator as ``kopf run`` loads it; what it is told comes from the environment."""

from __future__ import annotations

import os
from typing import Any

import kopf

import ctxlog
from ctxlog.adapters import kopf as adapter

log = ctxlog.get_logger("operator")
log.warning("before anything")
ctxlog.configure(
    renderer="json",
    sinks=[{"target": os.environ["LINES"], "queue": True}],
    levels={"asyncio": "warning", "aiohttp": "warning"},
)
adapter.install()
log.info("loaded", step="import")


@kopf.on.login()
async def login(**_: Any) -> kopf.ConnectionInfo:
    """Log in to the emulator."""
    return kopf.ConnectionInfo(server=os.environ["CLUSTER"])


@kopf.on.startup()
async def starting(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Leave out what the emulator cannot do."""
    settings.posting.enabled = False
    settings.scanning.disabled = True


@kopf.on.create("widgets")
async def created(name: str, logger: Any, **_: Any) -> None:
    """Write at each level."""
    log.debug("debugged", saw=name)
    log.info("made", saw=name)
    log.warning("warned", saw=name)
    logger.info("theirs")


@kopf.on.cleanup()
async def cleaning(**_: Any) -> None:
    """Write many lines when there is no time left."""
    for number in range(1_000):
        log.warning("cleaning", number=number)
