"""What comes from outside and is no message of the contract: refused by the error that its reader names, or read."""

from __future__ import annotations

import base64
import io
import json
import random
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.fuzz.noise import BYTES, STRINGS, mutated, random_bytes, text
from zeroconf import DNSAddress, DNSService, DNSText  # pyright: ignore[reportPrivateImportUsage] - documented all the same
from zeroconf.asyncio import AsyncZeroconf

from realign_daemon.cluster.announcement import Announcement
from realign_daemon.cluster.discovery import SERVICE, Discovery, Finding
from realign_daemon.cluster.facts import NodeId
from realign_daemon.config import load
from realign_daemon.curation.documents.document import Document, DocumentError
from realign_daemon.curation.documents.extract import extract
from realign_daemon.decision.value import Ended, value_from_bytes, value_to_bytes
from realign_daemon.engine.api import Generate, Message, ModelId, Sampler, Sha256
from realign_daemon.engine.codec import decode_result, decode_task, encode, pack, unpack
from realign_daemon.engine.frames import FrameError, pack_frame, read_frame_blocking
from realign_daemon.errors import BadConfig, BadInput, Damaged
from realign_daemon.journal.kind import Kind, merged
from realign_daemon.journal.kinds import KINDS
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate
from realign_daemon.trust.keys import certificate_request, mint_key, requested_key
from realign_daemon.trust.principal import Refusal
from realign_daemon.work.schema import prepare
from realign_proto.token import BadToken, Token

INPUTS = 2_000
NOW = 1_800_000_000.0
TASK = encode(
    Generate(
        model=ModelId("m"),
        messages=(Message(role="user", content="1+1="),),
        sampler=Sampler(max_tokens=8),
        seed=1,
        template="t/1",
    )
)


@pytest.fixture
def chance() -> random.Random:
    return random.Random(20260101)


def noise(chance: random.Random, honest: bytes) -> Iterator[bytes]:
    yield from BYTES
    for _ in range(INPUTS):
        yield random_bytes(chance) if chance.random() < 0.2 else mutated(chance, honest)


def test_a_frame_is_read_or_refused(chance: random.Random) -> None:
    honest = pack_frame({"kind": "generate", "items": [1, "two", b"3", None, 4.0], "more": {"a": {"b": []}}})
    for data in noise(chance, honest):
        with suppress(FrameError):
            json.dumps(read_frame_blocking(io.BytesIO(data)), default=bytes.hex)  # plain data and nothing else


@pytest.mark.parametrize("read", [unpack, decode_task, decode_result], ids=lambda read: read.__name__)
def test_a_task_or_result_is_read_or_refused(read: object, chance: random.Random) -> None:
    assert callable(read)
    for data in noise(chance, TASK):
        with suppress(ValueError):
            read(data)


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark counts in KiB on Linux")
def test_lists_that_claim_to_be_long_take_no_room() -> None:
    deep = (b"\xdd" + (4 * 2**20 - 6_000).to_bytes(4)) * 500
    claims = deep + bytes(4 * 2**20 - len(deep))
    with suppress(ValueError):
        unpack(b"\x90" * 1_000)  # what is loaded once is there afterwards
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="not plain msgpack"):
        unpack(claims)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 3 * len(claims) / 1024


def test_an_invitation_is_read_or_refused(chance: random.Random) -> None:
    honest = Token.mint(bytes(32)).text()
    for data in noise(chance, honest.encode()):
        given = data.decode("utf-8", "replace")
        with suppress(BadToken):
            assert Token.parse(given).text() == given.strip()
    for given in STRINGS:
        with pytest.raises(BadToken):
            Token.parse(given)


def near(chance: random.Random, pem: bytes) -> Iterator[bytes]:
    """The certificate or request with a byte or two changed, which leaves most of it what it was."""
    begin, *lines, end = pem.splitlines(keepends=True)
    honest = base64.b64decode(b"".join(lines))
    for _ in range(INPUTS // 4):
        data = bytearray(honest)
        for _ in range(chance.randint(1, 2)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        yield begin + base64.encodebytes(data) + end


def test_a_certificate_request_is_read_or_refused(chance: random.Random) -> None:
    pem = certificate_request(mint_key())
    for given in (*noise(chance, pem), *near(chance, pem)):
        with suppress(BadInput):
            requested_key(given)


@pytest.mark.filterwarnings("ignore")  # of what is odd and can be read
def test_a_members_certificate_is_read_or_refused(chance: random.Random) -> None:
    authority = Authority.found("home", now_unix_s=NOW)
    pem = authority.issue(mint_key().public_key(), role="node", name="studio", now_unix_s=NOW)
    for given in (*noise(chance, pem), *near(chance, pem)):
        assert isinstance(authority.bundle.examine(given, now_unix_s=NOW), Certificate | Refusal)
        with suppress(Damaged):
            authority.bundle.issued(given)


@pytest.mark.filterwarnings("ignore")  # of what is odd and can be read
def test_another_authority_is_read_or_refused(chance: random.Random) -> None:
    bundle, pem = Authority.found("home", now_unix_s=NOW).bundle, Authority.found("away", now_unix_s=NOW).pem
    for given in (*noise(chance, pem), *near(chance, pem)):
        with suppress(Damaged):
            assert isinstance(bundle.succeeded_by(given, b"x"), Refusal)
        with suppress(Damaged):
            assert (read := Bundle.parse(given)).keys or read.pems == ()


def test_a_decision_is_read_or_refused(chance: random.Random) -> None:
    for data in noise(chance, value_to_bytes(Ended(state="completed", manifest=Sha256("a1" * 32)))):
        with suppress(ValueError):
            value_from_bytes(data)


def test_a_configuration_is_read_or_refused_in_one_sentence(chance: random.Random, tmp_path: Path) -> None:
    honest = b"""[network]
listen = "127.0.0.1:0"
peers = ["127.0.0.1:1"]
[limits]
queued_jobs = 3
calls_per_s = 2.5
[engine]
env = {A = "b"}
[shares]
books = "~/books"
"""
    file = tmp_path / "realignd.toml"
    for data in noise(chance, honest):
        file.write_bytes(data)
        with suppress(BadConfig):
            load(file=file)
    keys = ("NODE__DATA_DIR", "NETWORK__LISTEN", "NETWORK__PEERS", "LIMITS__QUEUED_JOBS", "SHARES__A", "ENGINE__ENV")
    for value in (*STRINGS, "~nobody-here/x", "9" * 5_000, "1e999", "=", ",,=,"):
        for key in keys:
            with suppress(BadConfig):
                load(environment={f"REALIGN_{key}": value})


JOB: dict[str, object] = {"client_token": "t", "spec": "{}", "created_unix_s": 1.0, "owner": "", "blobs": "[]"}
RESULT: dict[str, object] = {"kind": "generated", "result": b"v", "node": "n", "started_unix_s": 1.0, "busy_s": 0.5}
HONEST: dict[str, tuple[str, dict[str, object]]] = {
    "result": ("k/" + "0" * 64, RESULT | {"tokens": 7}),
    "failure": ("i/1", {"key": "k", "node": "n", "outcome": "bad_unit", "message": "", "ended_unix_s": 1.0}),
    "job": ("J", JOB | {"home": "n", "voters": "[]", "config_epoch": 0, "instance": 0, "revision": 0}),
    "record": ("J", {"record": "{}", "config_epoch": 0, "instance": 0, "version": 1}),
    "intent": ("J/cancel/0/0", {"by": "n", "at_unix_s": 1.0}),
    "tombstone": ("J", {"by": "n", "at_unix_s": 1.0}),
    "decision": ("J/0", {"config_epoch": 0, "value": b"{}"}),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_another_node_shares_is_taken_in_or_refused(kind: Kind, chance: random.Random) -> None:
    ref, fields = HONEST[kind.name]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        prepare(connection, Path("memory"))
        for data in noise(chance, pack(fields)):
            for payload in (data, pack({**fields, chance.choice(tuple(fields)): _strange(chance)})):
                for name in (ref, text(chance)):
                    with suppress(ValueError):
                        kind.blobs(payload)
                    connection.execute("BEGIN")
                    with suppress(ValueError):
                        merged(connection, kind, name, payload)
                    connection.execute("COMMIT")


def _strange(chance: random.Random) -> object:
    numbers = (2**63, 2**64 - 1, -(2**63), -1, 1e308, float("nan"), float("inf"))
    return chance.choice((*numbers, text(chance), random_bytes(chance), [], {}, None, True, [[["deep"]]]))


async def test_whatever_a_name_on_the_network_says_of_itself_gives_addresses_or_nothing(chance: random.Random) -> None:
    found: list[Finding] = []
    announcement = Announcement(node=NodeId("me"), name="me", marks=("t",))
    discovery = Discovery(lambda: announcement, addresses=tuple)
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    try:
        await zeroconf.zeroconf.async_wait_for_start()
        for number in range(300):
            name = f"n{number}.{SERVICE}"
            said = mutated(chance, b"\x0aprotocol=1\x05tag=t\x06node=x")
            host = chance.choice((f"n{number}.local.", "é.local.", "x" * 60 + ".local."))
            zeroconf.zeroconf.cache.async_add_records(
                (
                    DNSService(name, 33, 1, 120, 0, 0, chance.choice((0, 1, 65535)), host),
                    DNSText(name, 16, 1, 120, said),
                    DNSAddress(host, 1, 1, 120, chance.randbytes(4)),
                )
            )
            await discovery._resolve(  # pyright: ignore[reportPrivateUsage] - without a packet for each input
                zeroconf, NodeId(f"n{number}"), name, found.append
            )
    finally:
        await zeroconf.async_close()


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".epub", ".pdf", ".jsonl", ".parquet", "", ".docx"])
def test_a_document_is_read_or_refused_by_name_and_content(suffix: str, chance: random.Random, tmp_path: Path) -> None:
    honest = {
        ".html": b"<html><h1>One</h1><p>Seven and three is ten.</p></html>",
        ".jsonl": b'{"question": "1+1=", "answer": "2"}\n' * 3,
        ".pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF",
        ".epub": b"PK\x03\x04" + bytes(26) + b"META-INF/container.xml",
        ".parquet": b"PAR1" + bytes(8) + b"PAR1",
    }.get(suffix, b"# One\n\nSeven and three is ten. The words go on.\n")
    file = tmp_path / f"book{suffix}"
    for _ in range(150):
        file.write_bytes(random_bytes(chance) if chance.random() < 0.3 else mutated(chance, honest))
        assert isinstance(extract(file, file.name), Document | DocumentError)
