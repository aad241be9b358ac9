"""Noise: bytes and messages as no honest caller sends them, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

SHA256: Final = "a1" * 32
STRINGS: Final = (
    *("", "a", "0", "-1", "NaN", "1e999", "\0", "\n", "\u202e", "é" * 300, "x" * 5_000, "../../etc/passwd", "."),
    *(SHA256, SHA256.upper(), SHA256[:-1], "dpo", "dpo-", "sft", "pocket", "score", "cancel", "node", "admin", "rows"),
    *("share:books/a.txt", "share:books/../a.txt", "node:studio/books/a.txt", "share:books/", "127.0.0.1:1", "::1"),
    *("[" * 5_000, '{"settings": [1]}', '{"sources": [{"name": 5}]}', '{"sources": 7}', '{"count": 1e999}', "null"),
    *('{"roles": {"target": 5}}', '{"nodes": [{"name": []}]}', '{"text": {"a": 1}}', '{"earlier": "../x"}', "[]"),
    *('{"settings": {"gap": {"a": 1}}}', '{"thinking": {"target": 3}}', '{"drops": 5}', '{"count": "many"}', "7"),
    *('{"data": {"name": "a", "sha256": "b", "size_bytes": -1}}', '{"seed": -1}', '{"seed": 1e300}', '{"bits": []}'),
    *('{"text": "\\ud800"}', '{"data_type": "\\udfff", "nodes": ["\\ud83d"]}', '{"seed": NaN}', '{"count": -Infinity}'),
    *("page 3", "row ", "where label=abstain", "where =", "source ", "page " + "9" * 5_000, "ra1.a.b", "unix:/x"),
)
INTEGERS: Final = (0, 1, 2, 3, 127, 255, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
FLOATS: Final = (0.0, -0.0, 1.0, -1.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"))
BYTES: Final = (
    *(b"", b"\x00", b"\xc1", b"\x80", b"\x81\xa4kind\xa8generate", b"\xdf\xff\xff\xff\xff", b"\xdd\x7f\xff\xff\xff"),
    *(b"\xdd\x00\x00\xff\xff" * 400, b"\x91" * 3_000, b"\xc7\x01\x05x", b"\xd6\xff\x00\x00\x00\x01", b"\xa1\xff"),
    *(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"{}", b"x" * 100_000),
)
SIZES: Final = (0, 1, 2, 7, 30, 200, 3_000, 60_000)
DEPTH = 4  # of messages within messages


def random_bytes(chance: random.Random) -> bytes:
    """Bytes that mean nothing."""
    return chance.randbytes(chance.randrange(1 + chance.choice(SIZES)))


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The bytes with a few places changed, taken out, doubled or cut off."""
    work = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(work) + 1)
        end = min(len(work), start + chance.choice((1, 2, 8, 64)))
        match chance.randrange(5):
            case 0:
                work[start:end] = chance.randbytes(end - start)
            case 1:
                del work[start:end]
            case 2:
                work[start:start] = work[start:end]
            case 3:
                work[start:start] = chance.choice(BYTES)[:1_000]
            case _:
                del work[start:]
    return bytes(work)


def text(chance: random.Random, known: Sequence[str] = ()) -> str:
    """A text that somebody may not have thought of, or one that means something here."""
    if chance.random() < 0.1:
        return "".join(chr(chance.choice((chance.randrange(128), chance.randrange(0x2000)))) for _ in range(20))
    return chance.choice((*STRINGS, *tuple(known) * 8))


def message(
    chance: random.Random,
    kind: type[Message],
    known: Sequence[str] = (),
    depth: int = 0,
    *,
    data: Sequence[bytes] = (),
) -> Message:
    """A message of this kind whose fields hold what they may, and little sense; `known` and `data` mean something."""
    made = kind()
    for field in made.DESCRIPTOR.fields:
        if chance.random() < 0.35 or depth > DEPTH:
            continue
        target: Any = getattr(made, field.name)
        entry: Any = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            keys, values = entry.fields_by_name["key"], entry.fields_by_name["value"]
            for _ in range(chance.randrange(3) if values.message_type is None else 0):
                target[_scalar(chance, keys, known, data)] = _scalar(chance, values, known, data)
        elif entry is not None:
            count = chance.randrange(4) if field.is_repeated else 1
            for _ in range(count):
                inner = message(chance, GetMessageClass(entry), known, depth + 1, data=data)
                (target.add() if field.is_repeated else target).CopyFrom(inner)
        elif field.is_repeated:
            target.extend(_scalar(chance, field, known, data) for _ in range(chance.randrange(4)))
        else:
            setattr(made, field.name, _scalar(chance, field, known, data))
    return made


def _scalar(chance: random.Random, field: Any, known: Sequence[str], data: Sequence[bytes]) -> object:
    number = chance.choice((*INTEGERS, chance.getrandbits(64)))
    values: dict[int, object] = {
        FieldDescriptor.TYPE_STRING: text(chance, known),
        FieldDescriptor.TYPE_BYTES: chance.choice((*BYTES, random_bytes(chance), *tuple(data) * 8)),
        FieldDescriptor.TYPE_BOOL: chance.random() < 0.5,
        FieldDescriptor.TYPE_DOUBLE: chance.choice(FLOATS),
        FieldDescriptor.TYPE_FLOAT: chance.choice(FLOATS),
        FieldDescriptor.TYPE_UINT64: number,
        FieldDescriptor.TYPE_UINT32: number % 2**32,
    }
    return values.get(int(field.type), number % 2**31)
