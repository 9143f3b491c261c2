"""The service in FastAPI: endpoints of both kinds, a dependency in a thread, an included router."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request

import ctxlog
from ctxlog.adapters.starlette import install
from tests.adapters.web.apps import say

router = APIRouter()


@router.api_route("/async/{n}", methods=["GET", "POST"])
async def plain(request: Request, n: int) -> str:
    """Answer on the loop."""
    body = await request.body()
    say(n)
    await asyncio.sleep(0)
    ctxlog.annotate(n=n)
    say(n)
    return f"{n} {len(body)}"


def checked(n: int) -> int:
    """A dependency: in a thread of the pool."""
    say(n)
    return n


@router.get("/sync/{n}")
def threaded(n: int, _: Annotated[int, Depends(checked)]) -> str:
    """Answer in a thread of the pool."""
    say(n)
    ctxlog.annotate(n=n)
    return f"{n} 0"


def make() -> FastAPI:
    """Return the application."""
    app = FastAPI()
    app.include_router(router)
    app.include_router(router, prefix="/api")
    return install(app)
