"""A real DPO job on whole daemons in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from tests.sim.daemon_cluster import machines, submit
from tests.sim.daemon_story import silence

from realign_daemon.curation.run import WORK
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.virtual_daemon import MODEL
from realign_daemon.testing.virtual_loop import VirtualLoop, run
from realign_proto.v1 import curation_pb2 as pb

TEXT = b"\n".join((Path(__file__).parents[2] / "examples" / "pocket_names.md").read_bytes().splitlines()[:12])
UNIT_S = 2.0
# The scripted engine answers by the hash of the question: the gates must not mind.
LENIENT = {
    "agreement_rate.high": "0",
    "agreement_rate.medium": "0",
    "preference_gap.high": "-1",
    "preference_gap.medium": "-1",
    "reward_accuracy.baseline": "0",
    "task_metric.baseline": "-1",
}
FILES = ("train.jsonl", "valid.jsonl", "rejected.jsonl")


async def made(loop: VirtualLoop, crash_after_s: tuple[float, ...]) -> dict[str, list[str]]:
    """What a job of two nodes made whose home died so often."""
    network = Network(loop)
    home, other = machines(network, 2, takes_s=lambda _: UNIT_S, work=WORK)
    for node in (home, other):
        node.boot()
    client = network.host("client")
    client.boot()
    await asyncio.sleep(2.0)
    request = pb.JobRequest(text="DPO pairs", data_type="dpo", model=MODEL.name, settings=LENIENT)
    job_id = await client.running.start(submit(client, home, TEXT, request))
    for wait_s in crash_after_s:
        await asyncio.sleep(wait_s)
        home.host.crash()
        await asyncio.sleep(1.0)
        home.boot()
    row = None
    while row is None or not json.loads(row[0])["output"]:
        await asyncio.sleep(5.0)
        row = home.connection.execute("SELECT record FROM records WHERE job_id=?", (job_id,)).fetchone()
    folder = Path(json.loads(row[0])["output"])
    for host in (home.host, other.host):
        host.crash()
    return {name: (folder / name).read_text().splitlines() for name in FILES}


def test_a_home_that_dies_again_and_again_changes_no_row_of_a_job(tmp_path: Path) -> None:
    undisturbed, disturbed = (tmp_path / name for name in ("undisturbed", "disturbed"))
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    with contextlib.chdir(undisturbed), silence():
        expected, _ = run(lambda loop: made(loop, ()), 1)
    with contextlib.chdir(disturbed), silence():
        found, _ = run(lambda loop: made(loop, (3.0, 9.0, 14.0)), 2)

    assert any(expected.values())
    assert found == expected
