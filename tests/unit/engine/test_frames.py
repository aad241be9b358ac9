"""Frames carry plain data and nothing else."""

from __future__ import annotations

import asyncio
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine import frames

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
plain = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(plain)
def test_a_value_comes_out_as_it_went_in(value: object) -> None:
    assert frames.unpack_body(frames.pack_frame(value)[4:]) == value


@given(st.lists(st.dictionaries(st.text(), scalars), max_size=5))
def test_values_are_read_one_by_one_until_the_pipe_ends(values: list[object]) -> None:
    pipe = io.BytesIO(b"".join(map(frames.pack_frame, values)))
    assert [frames.read_frame_blocking(pipe) for _ in values] == values
    assert frames.read_frame_blocking(pipe) is None


async def test_the_async_reader_waits_for_the_rest_of_a_frame() -> None:
    reader = asyncio.StreamReader()
    frame = frames.pack_frame({"id": 1})
    reader.feed_data(frame[:5])
    reading = asyncio.create_task(frames.read_frame(reader))
    await asyncio.sleep(0)
    assert not reading.done()
    reader.feed_data(frame[5:])
    reader.feed_eof()
    assert await reading == {"id": 1}
    assert await frames.read_frame(reader) is None


@pytest.mark.parametrize("length", [1, 3, 5])
async def test_a_pipe_that_ends_inside_a_frame_is_an_error(length: int) -> None:
    piece = frames.pack_frame({"id": 1})[:length]
    reader = asyncio.StreamReader()
    reader.feed_data(piece)
    reader.feed_eof()
    with pytest.raises(frames.FrameError, match="inside a frame"):
        await frames.read_frame(reader)
    with pytest.raises(frames.FrameError, match="inside a frame"):
        frames.read_frame_blocking(io.BytesIO(piece))


def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    pipe = io.BytesIO(struct.pack(">I", frames.MAX_FRAME_BYTES + 1))
    with pytest.raises(frames.FrameError, match="longer than"):
        frames.read_frame_blocking(pipe)


def test_a_value_over_the_limit_is_not_sent() -> None:
    with pytest.raises(frames.FrameError, match="longer than"):
        frames.pack_frame(bytes(frames.MAX_FRAME_BYTES + 1))


@pytest.mark.parametrize("body", ["\xc7\x01\x04x".encode("latin-1"), b"\xc1", b"", b"\x92\x01"])
def test_extension_types_and_damage_are_refused(body: bytes) -> None:
    with pytest.raises(frames.FrameError, match="not plain msgpack"):
        frames.unpack_body(body)


def test_an_object_is_not_sent() -> None:
    with pytest.raises(frames.FrameError, match="cannot send a object"):
        frames.pack_frame(object())
