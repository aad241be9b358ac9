"""ScriptedServer: a listener on loopback that says what a test has written down, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    line: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(kw_only=True)
class ScriptedServer:
    """Says `script` in its order, and the last of it again and again; or what `chosen` says to each request."""

    script: list[Speak]
    chosen: Callable[[Asked], Speak] | None = None
    url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which carries one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(line=head[0], headers=headers, body=json.loads(body or b"{}"))
        self.asked.append(asked)
        if self.chosen is not None:
            speak = self.chosen(asked)
        else:
            speak = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        with suppress(ConnectionError):  # it heard enough
            await speak(writer)
        writer.close()


@asynccontextmanager
async def scripted(*script: Speak, chosen: Callable[[Asked], Speak] | None = None) -> AsyncGenerator[ScriptedServer]:
    """The server, listening."""
    one = ScriptedServer(script=list(script), chosen=chosen)
    listener = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield one


def says(status: int, body: object = None, **headers: str) -> Speak:
    """A whole answer of JSON, or of bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def speak(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()

    return speak


def raw(data: bytes) -> Speak:
    """These bytes, and the end of the connection."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return speak


async def hang(writer: asyncio.StreamWriter) -> None:
    """Nothing, until whoever asked gives up."""
    await writer.wait_closed()


async def drip(writer: asyncio.StreamWriter) -> None:
    """An answer that never ends, some bytes at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(writer: asyncio.StreamWriter) -> None:
    """An answer that never ends, as fast as it goes."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


def completion(text: str, **more: object) -> dict[str, object]:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}, **more}
