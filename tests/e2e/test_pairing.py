"""Two machines become a cluster by what a person types, and its clients keep out of each other's jobs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.e2e.conftest import Daemon

from realign_client.api import connect
from realign_proto.v1 import status_pb2

LOOPBACK = ("--no-discovery", "--listen", "127.0.0.1:0")
QUIET = {"REALIGN_BENCHMARK__ON_START": "false"}


class Machine:
    """A machine with a daemon, or without one, and the shell of its user."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.daemon = Daemon(self.folder, QUIET | {"REALIGN_NODE_NAME": name}, LOOPBACK)

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What `realignctl` does there."""
        command = [str(Path(sys.executable).with_name("realignctl")), *arguments]
        here = {"REALIGN_DATA_DIR": str(self.folder), "REALIGN_CLIENT_DIR": f"{self.folder}-client"}
        return subprocess.run(
            command, env={**os.environ, **here}, capture_output=True, text=True, check=False, timeout=60
        )

    async def daemon_status(self, condition: Callable[[status_pb2.NodeStatus], bool]) -> status_pb2.NodeStatus:
        """The first status that the condition holds for, as the machine's own user sees it."""
        async with asyncio.timeout(30), connect(str(self.folder / "realignd.sock")) as client:
            while not condition(status := await client.status()):
                await asyncio.sleep(0.1)
            return status

    def says(self, *arguments: str) -> str:
        done = self.ctl(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


async def started(stack: ExitStack, folder: Path, name: str) -> Machine:
    machine = Machine(folder, name)
    stack.callback(machine.daemon.stop)
    machine.daemon.start()
    await machine.daemon.address()
    return machine


def join_line(machine: Machine, *options: str) -> list[str]:
    """The arguments of the line that `cluster invite` prints, with the address that it names."""
    done = machine.ctl("cluster", "invite", *options)
    assert done.returncode == 0, done.stderr
    program, *arguments = done.stdout.split()
    assert program == "realignctl"
    return [*arguments, "--at", done.stderr.split("--at ")[1].split()[0]]


async def test_invite_here_and_join_there_make_a_cluster_of_two(stack: ExitStack, tmp_path: Path) -> None:
    studio, laptop = await started(stack, tmp_path, "studio"), await started(stack, tmp_path, "laptop")
    line = join_line(studio)

    assert "cluster studio" in laptop.says(*line)
    assert laptop.ctl(*line).returncode == 2, "a second time is wrong"
    names = {one["name"]: one["role"] for one in json.loads(studio.says("cluster", "members", "--json"))["members"]}
    assert names == {"studio": "node", "laptop": "node"}
    assert "Enrol" in studio.says("cluster", "audit")

    studio.says("cluster", "revoke", "laptop", "--reason", "stolen")
    assert "in no cluster" in laptop.says("cluster", "leave")
    assert "cluster studio" in laptop.says(*join_line(studio)), "found again, with a new key"
    before = names.keys()
    names = {one["name"]: one["role"] for one in json.loads(studio.says("cluster", "members", "--json"))["members"]}
    assert names.keys() == before
    status = await laptop.daemon_status(lambda seen: len(seen.members) == len(names) and bool(seen.leader.id))
    assert {member.name for member in status.members} == set(names)


async def test_a_submitter_sees_and_reaches_its_own_jobs_only(stack: ExitStack, tmp_path: Path) -> None:
    studio = await started(stack, tmp_path, "studio")
    ann, bob, eve = (Machine(tmp_path, name) for name in ("ann", "bob", "eve"))
    for client, role in ((ann, "submit"), (bob, "submit"), (eve, "read")):
        client.says(*join_line(studio, "--role", role, "--name", client.folder.name))
    source = tmp_path / "sums.txt"
    source.write_text("Two plus two is four. Three plus one is four. " * 40)
    submit = ("submit", "DPO pairs", "--source", str(source), "--type", "dpo", "--model", "pocket", "--detach", "--yes")

    job = json.loads(ann.says(*submit, "--json"))["job_id"]

    def seen(machine: Machine) -> list[str]:
        return [one["id"] for one in json.loads(machine.says("jobs", "--json"))["jobs"]]

    assert (seen(ann), seen(bob), seen(eve), seen(studio)) == ([job], [], [job], [job])
    refused = bob.ctl("cancel", job)
    assert refused.returncode == 4
    assert "the role 'submit' reaches its own jobs only; ask an admin" in refused.stderr
    refused = eve.ctl("cancel", job)
    assert "the role 'read' may not call CancelJob" in refused.stderr
    assert ann.ctl("cancel", job).returncode in (0, 1)
    audit = studio.says("cluster", "audit")
    assert audit.count(job) == len(("Submit", "refused to bob", "refused to eve", "CancelJob"))

    studio.says("cluster", "revoke", "ann", "--reason", "done")
    assert "was revoked by owner (done)" in ann.ctl("status").stderr
