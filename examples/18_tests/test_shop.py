"""Tests that pass, until ctxlog looks at what was logged and at what was left behind."""

from __future__ import annotations

import asyncio

import shop

import ctxlog


def test_a_picture_is_made_small() -> None:
    """The pool has done the work."""
    with ctxlog.entry({"x-request-id": "r-1"}):
        shop.upload("cat.png")


def test_the_latest_order() -> None:
    """It is the first that is read."""

    async def request() -> None:
        with ctxlog.entry({"x-request-id": "r-2"}):
            assert await shop.latest_order() == 1
            shop.log.info("listed")

    asyncio.run(request())


def test_every_request_sends_its_mail() -> None:
    """Both mails have gone out."""

    async def main() -> None:
        mailer = shop.Mailer()
        for number in (3, 4):
            with ctxlog.entry({"x-request-id": f"r-{number}"}):
                await mailer.send(f"thanks for order {number}")
                await mailer.mails.join()

    asyncio.run(main())
