"""Http: one request to one server and its answer, bounded in bytes and time. Follows nothing, keeps nothing."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

import h11

from realign_daemon.endpoints.url import ServerUrl

CONNECT_S: Final = 10.0
MOST_ANSWER_BYTES: Final = 8 * 1024**2  # 32,768 tokens with twenty alternatives for some hundred of them are below it
_READ_BYTES: Final = 65536
_HEADER_BYTES: Final = 65536


class Broken(Exception):
    """No whole answer came; the text says why. Another try may bring one."""


class Unreached(Broken):
    """No connection came about."""


class Silent(Broken):
    """The answer was not whole in time."""


class TooLong(Exception):
    """The answer is longer than any that could be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes
    retry_after: str = ""  # the header, as it came


class Http:
    """Speaks to one server only. TLS is verified against the system's authorities."""

    def __init__(self, url: ServerUrl) -> None:
        self._url = url
        self._tls = ssl.create_default_context() if url.scheme == "https" else None

    async def ask(self, path: str, body: bytes | None, *, key: str, deadline_s: float) -> Answer:
        """The answer to a GET or, with a body of JSON, a POST. The key goes into its header and nowhere else.

        No proxy of the environment is used: what is asked is private, and most servers are next door.

        Raises:
            Unreached, Silent: see there.
            Broken: it was cut off, or is not HTTP.
            TooLong: see there.
        """
        try:
            async with asyncio.timeout(deadline_s):
                return await self._ask(self._request(path, body, key=key), body)
        except TimeoutError as error:
            raise Silent(f"gave no whole answer within {deadline_s:g} s") from error
        except (OSError, h11.RemoteProtocolError) as error:
            raise Broken(_cause(error)) from error

    def _request(self, path: str, body: bytes | None, *, key: str) -> h11.Request:
        headers = [
            ("Host", self._url.authority),
            ("User-Agent", "realign"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            *((("Content-Type", "application/json"), ("Content-Length", str(len(body)))) if body is not None else ()),
            *((("Authorization", f"Bearer {key}"),) if key else ()),
        ]
        method = "GET" if body is None else "POST"
        return h11.Request(method=method, target=f"{self._url.path}{path}", headers=headers)

    async def _ask(self, request: h11.Request, body: bytes | None) -> Answer:
        reader, writer = await self._connected()
        try:
            talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
            events = (request, *((h11.Data(data=body),) if body is not None else ()), h11.EndOfMessage())
            writer.write(b"".join(filter(None, map(talk.send, events))))
            await writer.drain()
            return await _read(talk, reader)
        finally:
            writer.transport.abort()  # nothing more is wanted of it, a farewell over TLS included

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(self._url.host, self._url.port, ssl=self._tls)
        except TimeoutError as error:
            raise Unreached(f"cannot be reached within {CONNECT_S:g} s") from error
        except OSError as error:
            raise Unreached(_cause(error)) from error


async def _read(talk: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    status, retry_after, body = 0, "", bytearray()
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            retry_after = dict(event.headers).get(b"retry-after", b"").decode("ascii", "replace")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_ANSWER_BYTES:
                raise TooLong(f"sent more than {MOST_ANSWER_BYTES // 1024**2} MiB")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status=status, body=bytes(body), retry_after=retry_after)
        elif not isinstance(event, h11.InformationalResponse):
            raise Broken("hung up before its answer")


def _cause(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"shows a certificate that is not trusted ({error.verify_message})"
        case OSError():
            return error.strerror or str(error) or "cannot be reached"
        case _:
            return f"cut its answer off or does not speak HTTP ({error})"
