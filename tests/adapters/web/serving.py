"""A real server on a port of its own, and a small client that keeps its connection."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

DEADLINE = 60.0


class Served:
    """A running server: where it is, and what it has written."""

    def __init__(self, port: int, path: Path, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.path = path
        self.process = process

    def text(self) -> str:
        """All that was written until now."""
        return self.path.read_text(encoding="utf-8", errors="surrogateescape")

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines written until now: each must be JSON."""
        whole, _, _ = self.text().rpartition("\n")
        return [json.loads(line) for line in whole.split("\n") if line]

    def until(self, enough: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        """The lines, when there are enough of them."""
        end = monotonic() + DEADLINE
        while True:
            lines = self.lines()
            if enough(lines):
                return lines
            assert self.process.poll() is None, self.text()
            assert monotonic() < end, self.text()[-5_000:]
            sleep(0.02)

    def closing(self, count: int) -> list[dict[str, Any]]:
        """The closing lines, when there are so many."""
        lines = self.until(lambda lines: len(closings(lines)) >= count)
        return closings(lines)

    def ask(self, path: str, request_id: str | None = None, body: bytes = b"") -> Answer:
        """Ask once."""

        async def once() -> Answer:
            async with asyncio.timeout(DEADLINE):
                client = await Client.to(self.port)
                try:
                    return await client.ask(path, request_id, body)
                finally:
                    await client.close()

        return asyncio.run(once())


def closings(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those lines that close a request."""
    return [line for line in lines if line["event"] == "request"]


@contextmanager
def serving(server: str, framework: str) -> Generator[Served]:
    """A server in a process of its own; the socket listens before it is there."""
    with socket.socket() as listening, tempfile.TemporaryDirectory() as folder:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        path = Path(folder) / "lines"
        fd = listening.fileno()
        os.set_inheritable(fd, True)
        with path.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.adapters.web.serve", server, framework, str(fd)],
                stderr=out,
                stdout=out,
                pass_fds=[fd],
                cwd=Path(__file__).parents[3],
            )
        served = Served(listening.getsockname()[1], path, process)
        try:
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


class Answer:
    """Status, headers and body of a response."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """One connection, kept as long as the server keeps it."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.port = port
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> Client:
        """Connect."""
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, path: str, request_id: str | None = None, body: bytes = b"") -> Answer:
        """Send a request and read its response."""
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if request_id is not None:
            head += f"X-Request-ID: {request_id}\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        self.writer.write(head.encode("latin-1") + b"\r\n" + body)
        await self.writer.drain()
        answer = await self.read()
        if answer.headers.get("connection") == "close":
            await self.close()
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return answer

    async def read(self) -> Answer:
        """Read one response."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(int(head[0].split()[1]), headers, body)

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:  # the server was first
            return


async def ask_many(port: int, paths: list[str], *, total: int, clients: int) -> list[Answer]:
    """Send so many requests over so many connections at once; ``{n}`` in a path is its number.

    Every fiftieth takes a body of 100 KiB along, where the path takes one.
    """
    numbers = iter(range(total))
    answers: list[Answer] = []

    async def one() -> None:
        client = await Client.to(port)
        try:
            for number in numbers:
                path = paths[number % len(paths)]
                body = b"b" * 102_400 if number % 50 == 0 and path.startswith("/async") else b""
                answer = await client.ask(path.format(n=number), f"r-{number}", body)
                assert 200 == answer.status, answer.body
                assert f"r-{number}" == answer.headers["x-request-id"]
                if body:
                    assert f"{number} {len(body)}".encode() == answer.body.strip(b'"')
                answers.append(answer)
        finally:
            await client.close()

    async with asyncio.timeout(100):
        await asyncio.gather(*(one() for _ in range(clients)))
    return answers
