"""Frame: one plain value on a pipe, as msgpack behind its length. The pure half first, then asyncio and blocking ends.

Four bytes of big-endian length, then that many bytes of msgpack. Only plain data crosses: None, bool, int, float, str,
bytes, lists and maps with string keys; no extension types, so reading a frame never runs code.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, BinaryIO, cast

import msgpack

# Task and result frames are limited to this by the codec, too. A longer frame is damage: nothing else gets near.
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """The bytes on the pipe are no frame: too long, cut off, or not msgpack of plain data."""


def pack_frame(value: object) -> bytes:
    """The frame of a plain value. Raises FrameError when it is not plain data or too long."""
    try:
        body = cast("Any", msgpack).packb(value, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        message = f"cannot send a {type(value).__name__}: {error}"
        raise FrameError(message) from error
    return _LENGTH.pack(_checked(len(body))) + body


def unpack_body(body: bytes) -> object:
    """The value in a frame's body. Raises FrameError on malformed bytes and on extension types.

    Walked through before anything is made of it: msgpack makes room for as many items as a list claims to have, and
    lists within lists that all claim a million let 4 MB of bytes take 120 MB (measured with msgpack 1.2.4). Its one
    extension that cannot be refused, the timestamp, becomes a float.
    """
    plain = cast("Any", msgpack)
    try:
        walk = plain.Unpacker(max_buffer_size=max(1, len(body)))
        walk.feed(body)
        walk.skip()
        return plain.unpackb(body, raw=False, strict_map_key=True, ext_hook=_refuse_extension, timestamp=1)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        message = f"a frame of {len(body)} bytes is not plain msgpack: {error}"
        raise FrameError(message) from error


def body_length(head: bytes) -> int:
    """The number of bytes that follow the four of `head`. Raises FrameError when that is more than the limit."""
    return _checked(_LENGTH.unpack(head)[0])


async def read_frame(reader: asyncio.StreamReader) -> object | None:
    """The next value; None when the pipe ended between two frames, so None itself is never sent as a value.

    Raises:
        FrameError: the pipe ended inside a frame, or the bytes are no frame.
    """
    try:
        head = await reader.readexactly(_LENGTH.size)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise _cut_off() from error
    try:
        body = await reader.readexactly(body_length(head))
    except asyncio.IncompleteReadError as error:
        raise _cut_off() from error
    return unpack_body(body)


async def write_frame(writer: asyncio.StreamWriter, value: object) -> None:
    """Sends a value and waits while the pipe is full. Raises ConnectionError when the other side has gone."""
    writer.write(pack_frame(value))
    await writer.drain()


def read_frame_blocking(stream: BinaryIO) -> object | None:
    """Like read_frame, from a buffered binary file."""
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise _cut_off()
    length = body_length(head)
    body = stream.read(length)
    if len(body) < length:
        raise _cut_off()
    return unpack_body(body)


def write_frame_blocking(stream: BinaryIO, value: object) -> None:
    """Sends a value at once. Raises BrokenPipeError when the other side has gone."""
    stream.write(pack_frame(value))
    stream.flush()


def _checked(length: int) -> int:
    if length > MAX_FRAME_BYTES:
        message = f"a frame of {length} bytes is longer than {MAX_FRAME_BYTES}"
        raise FrameError(message)
    return length


def _cut_off() -> FrameError:
    return FrameError("the pipe ended inside a frame")


def _refuse_extension(code: int, _data: bytes) -> object:
    message = f"extension type {code} is not plain data"
    raise ValueError(message)
