"""Two nodes and a witness, in processes of their own: it is seen, never leads, and its vote replaces a lost home's."""

from __future__ import annotations

import asyncio
import random
import re
import sys
import tomllib
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import grpc.aio
import pytest

from realign_client.api import connect
from realign_client.daemon_process import DaemonProcess
from realign_daemon.clock import SystemClock
from realign_daemon.cluster.identity import load_identity
from realign_daemon.config import load
from realign_daemon.decision.ballot import Ballot
from realign_daemon.decision.decisions import Decisions
from realign_daemon.decision.messages import Accept, Accepted, Prepare, Promised, Refused
from realign_daemon.decision.quorum import Electorate
from realign_daemon.decision.store import DecisionStore
from realign_daemon.decision.value import Ended, Rehomed, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadConfig, Damaged
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.decision_link import DecisionLink
from realign_daemon.witness import Witness
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger, StoredJob
from realign_proto.v1 import status_pb2
from realign_proto.v1.host_pb2 import PauseNodeRequest
from realign_proto.v1.host_pb2_grpc import HostStub

QUIET = {"REALIGN_BENCHMARK__ON_START": "false", "REALIGN_CLUSTER_TAG": "with a witness"}
LOOPBACK = ("--no-discovery", "--listen", "127.0.0.1:0")
DONE = Ended(state="completed", manifest=Sha256("d" * 64))


def started(stack: ExitStack, folder: Path, name: str, *arguments: str) -> DaemonProcess:
    environment = QUIET | {"REALIGN_NODE_NAME": name}
    return stack.enter_context(DaemonProcess(folder / name, *LOOPBACK, *arguments, environment=environment))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


async def status(address: str, condition: Callable[[status_pb2.NodeStatus], bool]) -> status_pb2.NodeStatus:
    """The first that the condition holds for."""
    async with asyncio.timeout(30), connect(address) as client:
        while not condition(found := await client.status()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
        return found


def alive(found: status_pb2.NodeStatus) -> set[str]:
    return {member.name for member in found.members if member.state == "alive"}


@asynccontextmanager
async def proposer(folder: Path, node: str, witness: str, channel: grpc.aio.Channel) -> AsyncGenerator[Decisions]:
    """What a node does that asks for votes: itself, the witness, and nobody else, as nobody else is there."""
    database = Database(folder / "proposer.sqlite")
    await database.open()
    yield Decisions(
        node=node,
        store=DecisionStore(database, noted=noted_decision),
        voters=DecisionLink(channel=lambda asked: channel if asked == witness else None),
        clock=SystemClock(),
        chance=random.Random(1),
    )
    await database.close()


async def test_a_witness_is_seen_leads_never_and_votes_in_place_of_a_home_that_is_gone(
    stack: ExitStack, tmp_path: Path
) -> None:
    nas = started(stack, tmp_path, "nas", "--witness")
    address = nas.wait_until_ready()
    home_stack = stack.enter_context(ExitStack())
    home = started(home_stack, tmp_path, "home", "--peer", address)
    other = started(stack, tmp_path, "other", "--peer", address)

    everybody = {"nas", "home", "other"}
    seen = [
        await status(at, lambda found: alive(found) == everybody and bool(found.leader.name))
        for at in (address, home.wait_until_ready(), other.wait_until_ready())
    ]
    assert {found.leader.name for found in seen} <= {"home", "other"}
    assert {one.name for found in seen for one in found.members if one.facts.witness} == {"nas"}
    assert list(seen[0].node.roles) == ["witness"]
    ids = {member.name: member.id for member in seen[0].members}

    home_stack.close()
    left = await status(address, lambda found: "home" not in alive(found) and found.leader.name == "other")
    assert alive(left) == {"nas", "other"}
    voters = tuple(sorted(ids.values()))
    electorate = Electorate(home=ids["home"], voters=voters)
    assert electorate.is_majority({ids["other"], ids["nas"]})
    assert not electorate.is_majority({ids["other"]})

    channel = open_channel(address)
    async with proposer(tmp_path, ids["other"], ids["nas"], channel) as decisions:
        moved = Rehomed(home=ids["other"], voters=voters)
        assert await decisions.decide("J", 0, ids["home"], voters, moved) == moved
    link = DecisionLink(channel=lambda _: channel)
    low, high = Ballot(epoch=1, node=ids["home"]), Ballot(epoch=99, node=ids["home"])
    late = await link.ask("nas", Prepare(job_id="J", instance=0, ballot=high))
    assert isinstance(late, Promised)
    assert late.vote is not None, "what was decided stays: the old home is told of it"
    assert late.vote.value == value_to_bytes(moved)
    assert await link.ask("nas", Accept(job_id="J", instance=0, ballot=low, value=late.vote.value)) == Refused(
        highest=high
    )
    assert await link.ask("nas", Accept(job_id="K", instance=0, ballot=low, value=value_to_bytes(DONE))) == Accepted(
        ballot=low
    )
    with pytest.raises(grpc.aio.AioRpcError, match="does not serve PauseNode: it is a witness") as refused:
        await HostStub(channel).PauseNode(PauseNodeRequest())
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await channel.close()


async def refusal(data_dir: Path, kind: type[Exception]) -> str:
    """Why a witness does not start in this folder."""
    with pytest.raises(kind) as caught:
        await Witness(load(flags={"node.data_dir": data_dir, "network.discovery": False})).run(lambda _: None)
    return str(caught.value)


async def test_a_witness_whose_ledger_was_lost_does_not_start(tmp_path: Path) -> None:
    load_identity(tmp_path)
    assert "what it has promised is lost" in await refusal(tmp_path, Damaged)
    assert "what it has promised is lost" in await refusal(tmp_path, Damaged), "not the second time either"


async def test_a_folder_with_jobs_is_no_place_for_a_witness(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    job = StoredJob(job_id="J", client_token="", spec="{}", record="{}", created_unix_s=1.0)
    await Ledger(database, node_id="a").add_job(job)
    await database.close()
    assert "holds jobs" in await refusal(tmp_path, BadConfig)


# What `realign-cluster[witness]` installs, which is the client and these.
WITNESS = frozenset({"cattrs", "grpcio-health-checking", "grpcio-reflection", "msgpack", "psutil", "structlog"})
ONLY = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from realign_daemon.main import main
main(sys.argv[1:])
"""


def installed() -> set[str]:
    """The distributions that a witness has, whatever else is here: what the project asks for, and what these do."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    found, wanted = {project["name"]}, set(map(named, project["dependencies"])) | WITNESS
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            with suppress(PackageNotFoundError):  # for another platform or Python
                wanted |= {named(line) for line in requires(name) or () if "extra ==" not in line}
    return found


def named(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


async def test_a_witness_votes_and_founds_a_cluster_where_nothing_is_installed_but_its_own(tmp_path: Path) -> None:
    """A NAS has no MLX, and none of what the engine and the worker child import."""
    there = installed()
    absent = {module for module, names in packages_distributions().items() if not there & set(map(named, names))}
    assert {"mlx", "mlx_lm", "numpy", "pypdfium2", "scipy", "py3langid", "pyarrow", "rensa", "llguidance"} <= absent
    arguments = ("--witness", "--data-dir", str(tmp_path), *LOOPBACK)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"ABSENT = {absent!r}\n{ONLY}", *arguments, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        address = (await process.stderr.readline()).decode().rpartition(" listens on ")[2].strip()
        vote = Prepare(job_id="J", instance=0, ballot=Ballot(epoch=1, node="n"))
        async with grpc.aio.insecure_channel(address) as channel:
            assert isinstance(await DecisionLink(channel=lambda _: channel).ask("nas", vote), Promised)
        async with connect(str(tmp_path / "realignd.sock")) as client:
            state = await client.trust.found("home")
        assert [member.witness for member in state.members] == [True]
        process.terminate()
        assert await process.wait() == 0
