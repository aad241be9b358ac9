"""A report of a real job's data: nothing that somebody wrote, owns or is called is in it, with a daemon and without."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import shutil
import tarfile
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import structlog
from tests.unit.curation.jobs_world import Script

from realign_client.cli import run
from realign_client.report.archive import preview_lines
from realign_client.report.contents import gather_report
from realign_client.testing import ScriptedDaemon
from realign_daemon import logs
from realign_daemon.cluster.addresses import Address
from realign_daemon.config import Config, EngineConfig, NodeConfig
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.housekeeping.sweep import Sweep, Used
from realign_daemon.models.store import ModelStore
from realign_daemon.rpc.housekeeping_servicer import HousekeepingServicer
from realign_daemon.rpc.job_convert import job_to_wire
from realign_daemon.rpc.server import Server
from realign_daemon.testing.job_home import JobHome
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.store import TrustStore
from realign_proto.v1 import facts_pb2, status_pb2
from realign_proto.v1.curation_pb2_grpc import add_CurationServicer_to_server
from realign_proto.v1.status_pb2_grpc import add_StatusServicer_to_server

USER, HOST, ADDRESS = "canaryuser", "canaryhost", "203.0.113.77"
DOCUMENT, PROMPT, REQUEST = "canary of the document", "canary of the prompt", "DPO pairs on canary matters"
FILE, TOKEN, SYSTEM = "canary-thesis.txt", "hf_canaryTOKENcanary", "canarypersona"
CANARIES = ("canary", ADDRESS, TOKEN)


class Uploads:
    def sweep(self) -> None:
        """Nothing was sent."""


class Named(ScriptedDaemon):
    """Says names and addresses wherever there is room for one."""

    def GetStatus(self, request: status_pb2.StatusRequest, context: Any) -> status_pb2.NodeStatus:
        addresses = [f"{ADDRESS}:4711"]
        facts = facts_pb2.NodeFacts(
            node_id=HOST,
            name=HOST,
            chip="Apple M3 Ultra",
            refusal=f"{HOST} is paused",
            models=[facts_pb2.LocalModel(name=f"{USER}-model", bits=4), facts_pb2.LocalModel(name="org/model-7b")],
        )
        return status_pb2.NodeStatus(
            node=status_pb2.NodeIdentity(
                id=HOST, name=HOST, version="1", data_dir=f"/home/{USER}", addresses=addresses
            ),
            members=[status_pb2.Member(id=HOST, name=HOST, state="alive", addresses=addresses, facts=facts)],
            engine=facts_pb2.EngineState(state="failed", last_error=f"no room in /home/{USER}"),
        )


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home" / USER / ".realign"
    folder.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("REALIGN_DATA_DIR", str(folder))
    monkeypatch.setenv("REALIGN_SHARES__CANARYSHARE", f"/home/{USER}/papers")
    monkeypatch.setenv("REALIGN_ENGINE__ENV", f"HF_TOKEN={TOKEN}")
    monkeypatch.delenv("REALIGN_ENDPOINT", raising=False)
    TrustStore(folder).load()  # mints the key
    (folder / f"{FILE}.stranger").write_text(DOCUMENT)
    return folder


@asynccontextmanager
async def job_in(folder: Path) -> AsyncGenerator[tuple[JobHome, Job]]:
    script = Script(questions=(PROMPT,))
    async with JobHome(folder, work=script.work) as home:
        source = SourceSpec(name=FILE, sha256=home.blobs.put_bytes(DOCUMENT.encode()), size_bytes=len(DOCUMENT))
        job = await home.submit(
            text=REQUEST, sources=(source,), settings={"system": SYSTEM, "steps": "3"}, nodes=("home",)
        )
        await home.until_ended(job)
        job.record.error = f"{FILE} could not be read on {HOST}"
        job.record.warnings.append(f"the token {TOKEN} was refused")
        await home.ledger.save_record(job.spec.job_id, record_to_json(job.record))
        yield home, job


def write_logs(folder: Path) -> None:
    with logs.set_up(file=folder / "realignd.log"):
        log = structlog.get_logger()
        log.info("job.submitted", job="dpo-1", sources=1, text=DOCUMENT, source=FILE, data_type="dpo")
        log.warning("peer.refused", address=ADDRESS, reason=f"{HOST} has another {TOKEN}", node=HOST, name=HOST)
        try:
            json.loads(DOCUMENT)
        except ValueError:
            log.exception("unit.crashed", unit="5a" * 32, prompt=PROMPT)
    structlog.reset_defaults()
    (folder / "realignd.out").write_text(f"realignd: /home/{USER}/{FILE} is gone\n")


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "archive"])
def test_without_a_daemon_a_report_reads_the_data_directory(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, preview: bool
) -> None:
    async def make() -> str:
        async with job_in(data_dir) as (_, job):
            return job.spec.job_id

    job_id = asyncio.run(make())
    write_logs(data_dir)
    capsys.readouterr()
    monkeypatch.setenv("REALIGN_ENDPOINT", f"unix:{tmp_path}/nobody")
    target = tmp_path / "report.tar.gz"
    before = sorted(path.name for path in data_dir.iterdir())
    code = run(["report", job_id[:7], "--output", str(target), *(["--preview"] if preview else [])])
    out = capsys.readouterr().out
    assert code == 0
    assert sorted(path.name for path in data_dir.iterdir()) == before
    if preview:
        assert (target.exists(), "== job.json" in out) == (False, True)
        assert_clean(out.encode())
        return
    assert target.stat().st_mode & 0o777 == 0o600
    files = unpacked(target)
    assert set(files) == {
        *("machine.json", "data_directory.json", "ledger.json", "job.json", "missing.json"),
        *("realignd.log.jsonl", "realignd.out.jsonl"),
    }
    job = json.loads(files["job.json"])
    assert (job["record"]["state"], job["spec"]["job_id"]) == ("completed", job_id)
    assert job["spec"]["settings"] == {"steps": 3.0, "system": f"<{len(SYSTEM)} characters>"}
    assert job["spec"]["sources"] == [{"name": ".txt", "size_bytes": len(DOCUMENT)}]
    assert json.loads(files["ledger.json"])["rows"]["jobs"] == 1
    assert json.loads(files["missing.json"]) == {"status": "NoCluster", "node": "NoCluster", "job": "NoCluster"}
    assert json.loads(files["data_directory.json"])["others"] == 1
    submitted, refused, crashed = map(json.loads, files["realignd.log.jsonl"].splitlines())
    assert (submitted["event"], submitted["sources"], refused["level"]) == ("job.submitted", 1, "warning")
    assert refused["node"] == refused["name"] != refused["address"]
    assert crashed["exception"][-1] == "json.decoder.JSONDecodeError"
    assert crashed["exception"][-2].endswith("in raw_decode")


def test_after_a_crash_a_report_reads_what_the_ledger_has_only_in_its_log(data_dir: Path, tmp_path: Path) -> None:
    async def crash() -> str:
        async with job_in(tmp_path / "running") as (_, job):
            for name in ("ledger.sqlite", "ledger.sqlite-wal"):
                shutil.copy(tmp_path / "running" / name, data_dir)
            return job.spec.job_id

    (tmp_path / "running").mkdir()
    job_id = asyncio.run(crash())
    before = {path.name: path.stat().st_mtime_ns for path in data_dir.iterdir()}
    files = asyncio.run(gather_report(job_id, f"unix:{tmp_path}/nobody"))
    assert json.loads(files["job.json"])["spec"]["job_id"] == job_id
    assert {path.name: path.stat().st_mtime_ns for path in data_dir.iterdir()} == before


async def test_with_a_daemon_a_report_asks_it(data_dir: Path) -> None:
    async with job_in(data_dir) as (home, job):

        async def nobody(_homes: frozenset[str]) -> Used:
            return Used()

        config = Config(
            node=NodeConfig(name=HOST, data_dir=data_dir),
            engine=EngineConfig(env={"HF_TOKEN": TOKEN}),
            shares={"canaryshare": data_dir},
        )
        sweep = Sweep(
            node_id="home",
            database=home.database,
            blobs=home.blobs,
            checkpoints=data_dir / "cache",
            uploads=Uploads(),
            arriving=ModelStore(data_dir, now_unix_s=0.0),
            ask_homes=nobody,
            clock=home.clock,
        )
        named = Named()
        named.job = job_to_wire(job, home=HOST, now_unix_s=0.0)
        server = grpc.aio.server(ThreadPoolExecutor(2))
        HousekeepingServicer(
            sweep=sweep,
            database=home.database,
            config=config,
            nodes=lambda: (),
            channel=lambda _: None,
            own=SpkiHash(""),
        ).add_to(server)
        add_CurationServicer_to_server(named, server)
        add_StatusServicer_to_server(named, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        write_logs(data_dir)
        try:
            with Server(data_dir=data_dir, listen=Address(host="127.0.0.1", port=0)).claim():
                files = await gather_report(job.spec.job_id, f"127.0.0.1:{port}")
        finally:
            await server.stop(0)
    assert {"status.json", "node.json", "job.json"} < set(files)
    assert not {"ledger.json", "missing.json"} & set(files)
    status = json.loads(files["status.json"])
    assert status["members"][0]["facts"]["chip"] == "Apple M3 Ultra"
    own, public = status["members"][0]["facts"]["models"]
    assert (own["name"].startswith("#"), public["name"]) == (True, "org/model-7b")
    assert json.loads(files["node.json"])["settings"]["engine"]["env"] == "1 set"
    assert json.loads(files["job.json"])["record"]["gates"][0]["tier"] == "HIGH"
    assert_clean("\n".join(preview_lines(files)).encode())
    assert_clean(b"".join(files.values()))


def test_a_job_that_nobody_knows_is_said_and_nothing_is_written(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALIGN_ENDPOINT", f"unix:{tmp_path}/nobody")
    target = tmp_path / "report.tar.gz"
    assert run(["report", "dpo-9", "--output", str(target)]) == 2
    assert "there is no job 'dpo-9'" in capsys.readouterr().err
    assert not target.exists()
    assert run(["report", "--output", str(tmp_path / "report.zip")]) == 2


def test_equal_names_are_equal_in_one_report_and_differ_between_two(data_dir: Path) -> None:
    write_logs(data_dir)
    said: list[Any] = []
    for _ in range(2):
        files = asyncio.run(gather_report("", f"unix:{data_dir}/nobody"))
        said.append(json.loads(files["realignd.log.jsonl"].splitlines()[1])["node"])
    assert said[0] != said[1]


def unpacked(target: Path) -> dict[str, bytes]:
    assert_clean(gzip.decompress(target.read_bytes()))
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(target.read_bytes())) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            assert (member.uname, member.uid, member.mtime) == ("", 0, 0)
            files[member.name.removeprefix("realign-report/")] = content.read()
    return files


def assert_clean(said: bytes) -> None:
    for canary in CANARIES:
        assert canary.lower().encode() not in said.lower(), canary
    assert b"PRIVATE KEY" not in said
