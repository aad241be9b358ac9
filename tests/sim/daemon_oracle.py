"""What must hold once a world is calm again; every sentence names a promise that was broken.

I1  one decided value for each job, instance and config epoch, and one end for each job that was given out as final,
    which is what every node, witnesses included, knows to be decided of the instance that the job is in; one more for
    each time that it was adopted, and none of before that from a node that hears the others
I2  what was acknowledged is there: jobs, and results that other nodes have been told of; what was removed is nowhere
I3  all nodes hold the same
I4  every unit is in the output once, and the output is whole
I5  no unit is computed twice, but for those under way when a node died or returned, or known to none that lived then;
    none at all once trouble is over and the nodes have found each other again
I6  everything ends
I7  a node that hears the others knows how jobs ended, which were cancelled, removed or adopted, be it short of disk
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.sim.daemon_client import Asked
from tests.sim.daemon_trouble import FOUND_S, Trouble
from tests.sim.daemon_work import drafted, units_of
from tests.sim.daemon_world import World

from realign_daemon.decision.value import Ended, value_to_bytes

COMPLETED = frozenset({"completed"})
TABLES = ("jobs", "records", "decisions", "ballots")  # of a job that nobody has removed
FOLDERS = ("curated", "provisional")
MET_S = 1.0  # after a start


def violations(world: World, trouble: Trouble) -> list[str]:
    """Every broken promise of a calm world; empty when all were kept."""
    return [
        *_of_daemons(world),
        *_of_decisions(world),
        *_of_ends(world),
        *_of_submits(world),
        *_of_removals(world),
        *trouble.lost,
        *_of_journals(world),
        *_of_outputs(world),
        *_of_units(world, trouble),
    ]


def _of_daemons(world: World) -> Iterator[str]:
    for node in world.nodes:
        for death in node.deaths:
            yield f"I6: the daemon of {node.host.name} ended by itself: {death!r}"


def _of_decisions(world: World) -> Iterator[str]:
    decided: dict[tuple[str, int, int], set[bytes]] = {}
    for job_id, instance, config_epoch, value in (row for node in world.nodes for row in world.decisions(node)):
        decided.setdefault((job_id, instance, config_epoch), set()).add(value)
    for key, values in sorted(decided.items()):
        if len(values) > 1:
            yield f"I1: {key} was decided in {len(values)} ways: {sorted(values)}"
    for job_id, finals in sorted(world.finals.items()):
        epochs = Counter(_epoch(end) if job_id in world.client.adopting else 0 for end in finals)
        if max(epochs.values()) > 1:  # nobody retries anything here
            yield f"I1: {job_id} was final in {len(finals)} ways: {sorted(finals)}"
    for job_id, adopted_s in sorted(world.client.adopted_s.items()):
        heard_s = max(adopted_s, world.apart_until_s) + FOUND_S
        for end, given in world.finals.get(job_id, {}).items():
            if _epoch(end) < world.claim(job_id)[1] and given.first_s > heard_s:
                yield f"I1: {job_id} ended with {end} at {sorted(given.by)}, who must know of its adoption"


def _of_ends(world: World) -> Iterator[str]:
    query = (
        "SELECT jobs.instance, json_extract(record, '$.decision') FROM records JOIN jobs USING (job_id) WHERE job_id=?"
    )
    for asked in _kept(world):
        said = {row for node in world.workers for row in node.connection.execute(query, (asked.job_id,))}
        for instance, told in said:
            decided = json.loads(told or "null")
            if decided is None:
                continue  # I2 has it
            value = value_to_bytes(Ended(state=decided["end"], manifest=decided["manifest"]))
            stands = asked.job_id, instance, decided["config_epoch"], value
            others = [node.host.name for node in world.nodes if stands not in world.decisions(node)]
            if others or decided["instance"] != instance:
                yield f"I1: {asked.job_id} ended with {told} in instance {instance}, which {others} do not know"


def _of_submits(world: World) -> Iterator[str]:
    for asked in _kept(world):
        ends = world.ends(asked.job_id)
        if ends != COMPLETED:
            yield f"I2: the job {asked.job_id} that was acknowledged is {sorted(ends)}"


def _of_journals(world: World) -> Iterator[str]:
    if len(world.digests()) > 1:
        yield f"I3: the nodes hold different things: {sorted(world.digests())}"


def _of_outputs(world: World) -> Iterator[str]:
    for asked in _kept(world):
        home, config_epoch = world.claim(asked.job_id)
        written = {node: world.outputs(node, asked.job_id) for node in world.workers}
        # What a home ended or was about to write when somebody adopted the job stays where it is, and counts no more.
        having = [node for node in world.workers if written[node] and (node.node_id == home or not config_epoch)]
        if [node.node_id for node in having] != [home]:
            names = [node.host.name for node in having]
            yield f"I4: the output of {asked.job_id} is on {names} and not on its home"
        for folder in (folder for folders in written.values() for folder in folders):
            yield from (f"I4: {asked.job_id}: {fault}" for fault in _faults(folder, asked.request))


def _of_removals(world: World) -> Iterator[str]:
    for job_id in sorted(world.client.removed):
        for node in world.nodes:
            tables = [table for table in TABLES if world.rows(node, table, job_id)]
            folders = [root for root in FOLDERS if world.outputs(node, job_id, root)]
            if tables or folders:
                yield f"I2: {job_id} was removed, and {node.host.name} has it in {[*tables, *folders]}"


def _faults(folder: Path, request: str) -> Iterator[str]:
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        expected, _, name = line.partition("  ")
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            yield f"{name} is not what it was when it was written"
    units = Counter(json.loads(line)["unit"] for line in (folder / "provenance.jsonl").read_text().splitlines())
    twice = [unit for unit, count in units.items() if count > 1]
    if twice:
        yield f"these units are in it twice: {twice}"
    wanted = units_of(request)
    if len(units) != wanted or not drafted(request) <= units.keys():
        yield f"it has {len(units)} of {wanted} units"


def _of_units(world: World, trouble: Trouble) -> Iterator[str]:
    """Without cuts and freezes nobody has a reason to compute what somebody alive is computing.

    A client that asked a node which died before it answered, and then another one, has two jobs of the same units.
    """
    if world.jobs() > len(world.client.asked):
        return
    again = world.begun.total() - len(world.begun)
    begun_s = [at_s for at_s, _ in world.begins]
    # Who computes for a home that is away may begin one more until it has met the home that is back.
    at_risk = trouble.at_risk + sum(0 < at_s - back_s <= MET_S for back_s in trouble.returned_s for at_s in begun_s)
    if trouble.only_deaths and again > at_risk:
        yield f"I5: {again} units were computed again, {at_risk} were at risk as nodes died and returned"
    calm_s = trouble.healed_s + FOUND_S
    before = {key for at_s, key in world.begins if at_s <= calm_s}
    after = [key for at_s, key in world.begins if at_s > calm_s]
    late = len(after) - len(set(after) - before)
    if late:
        yield f"I5: {late} units were computed again although all trouble was over for {FOUND_S} s"


def _kept(world: World) -> list[Asked]:
    return [asked for asked in world.client.asked if asked.job_id not in world.client.removed]


def _epoch(end: str) -> int:
    return int(json.loads(end)["config_epoch"])
