"""Cluster: the daemons of a scenario, what they promised, and whether they kept it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos import oracle
from tests.chaos.daemon import Daemon
from tests.chaos.outcome import NotInTime
from tests.chaos.remains import Remains, read_remains

from realign_daemon.engine.pocket import sentences, world
from realign_daemon.groups.addresses import free_port
from realign_proto.v1 import status_pb2

POLL_S = 0.1
AGREED_S = 60.0
ENDED_S = 300.0  # three jobs of some 10 s each on two idle cores, with whatever else the machine does
COPIED_S = 30.0  # `status` counts what is not copied every 5 s
CHAPTER = 20  # sums in each
SETTLED_S = 3.0  # a follower takes a header in within milliseconds, and dials again within 1 s
# What a node that was not measured holds of one home: 8 units fill its engine, and a quarter more lie ready.
IN_FLIGHT = 10
# Both end before a model is trained, with rows made, in some 10 s.
WISHES = (
    ("--model", "pocket", "--type", "dpo", "--until", "score_pairs", "--count", "12"),
    ("--model", "pocket", "--type", "sft", "--until", "format_conversion", "--count", "12"),
)

ENDED = ("completed", "completed_with_errors", "blocked", "failed", "cancelled")

Statuses = dict[str, status_pb2.NodeStatus]
Tell = Callable[[str], None]


class Cluster:
    """Daemons, each by its name."""

    def __init__(self, folder: Path, rng: random.Random, tell: Tell, *, sums: int) -> None:
        """`sums` are how many the source of the jobs has, each good for some fifteen units."""
        self.folder = folder
        self.rng = rng
        self.tell = tell
        self.daemons: dict[str, Daemon] = {}
        self.acknowledged: list[str] = []
        self._earlier: list[Remains] = []
        self._blows = 0  # moments at which units in flight may have been lost
        self._submits = 0
        self._source = _source(folder / "sums.md", rng, sums)

    def add(self, daemon: Daemon) -> Daemon:
        self.daemons[daemon.name] = daemon
        daemon.start()
        return daemon

    def kill(self, daemon: Daemon) -> None:
        """kill -9, and a look at what that left."""
        if daemon.is_up:
            daemon.kill()
            self.struck()
            self._earlier.append(read_remains(daemon.folder))

    def surprises(self) -> list[str]:
        """Ends of daemons that nobody asked for."""
        for daemon in self.daemons.values():
            _ = daemon.is_up  # looks
        return [surprise for daemon in self.daemons.values() for surprise in daemon.surprises]

    def struck(self) -> None:
        """Something happened after which others may compute what a node had begun."""
        self._blows += 1

    async def submit(self, daemon: Daemon, wish: Sequence[str] = ()) -> str | None:
        """The id of a new job, once it was acknowledged: a small one, where no `wish` says which."""
        number, self._submits = self._submits, self._submits + 1
        wish = wish or WISHES[number % len(WISHES)]
        given = ("--source", str(self._source), "--seed", str(number), "--yes", "--json")
        done = await daemon.ctl("submit", "Make training data", *wish, *given, within_s=90)
        if done.code:
            self.tell(f"  {daemon.name} took no job: {done.stderr.strip()}")
            return None
        job_id = str(json.loads(done.stdout)["job_id"])
        self.acknowledged.append(job_id)
        self.tell(f"  {daemon.name} took {job_id}")
        return job_id

    async def statuses(self, among: Iterable[Daemon] | None = None) -> Statuses:
        """Of those that answer."""
        asked = tuple(self.daemons.values() if among is None else among)
        answers = await asyncio.gather(*(daemon.status() for daemon in asked))
        return {daemon.name: status for daemon, status in zip(asked, answers, strict=True) if status is not None}

    async def agreed(self, within_s: float = AGREED_S) -> str:
        """The leader's name, once all see each other alive and name the same one. Raises NotInTime."""
        deadline = time.monotonic() + within_s
        while not (leader := self._leader(seen := await self.statuses())):
            if time.monotonic() > deadline:
                said = {name: (s.leader.name, [(m.name, m.state) for m in s.members]) for name, s in seen.items()}
                raise NotInTime(f"the nodes did not agree within {within_s:.0f} s: {said} {self.surprises()}")
            await asyncio.sleep(POLL_S)
        return leader

    def _leader(self, seen: Statuses) -> str:
        everybody = len(seen) == len(self.daemons) and all(
            sum(member.state == "alive" for member in status.members) == len(self.daemons) for status in seen.values()
        )
        leaders = {status.leader.name for status in seen.values()}
        return leaders.pop() if everybody and len(leaders) == 1 else ""

    async def quiet(self, within_s: float = ENDED_S) -> dict[str, dict[str, str]]:
        """How each node says each job has ended, once all have and everything is copied. Raises NotInTime."""
        deadline = time.monotonic() + within_s
        while not self._have_ended(states := {d.name: _states(await d.jobs()) for d in self.daemons.values()}):
            if time.monotonic() > deadline:
                raise NotInTime(f"not all jobs ended within {within_s:.0f} s: {states}")
            await asyncio.sleep(POLL_S)
        self.tell(f"  all {len(self.acknowledged)} jobs have ended")
        ended_s = time.monotonic()
        while not _is_copied(seen := await self.statuses(), len(self.daemons)):
            if time.monotonic() > ended_s + COPIED_S:
                ledgers = {name: (s.ledger.rows, s.ledger.under_replicated) for name, s in seen.items()}
                raise NotInTime(f"not all is copied after {COPIED_S:.0f} s; rows, and those on one disk: {ledgers}")
            await asyncio.sleep(POLL_S)
        await asyncio.sleep(max(0.0, ended_s + SETTLED_S - time.monotonic()))
        return states

    def _have_ended(self, states: dict[str, dict[str, str]]) -> bool:
        return all(jobs.get(job_id, "") in ENDED for jobs in states.values() for job_id in self.acknowledged)

    async def stop(self) -> None:
        await asyncio.gather(*(daemon.stop() for daemon in self.daemons.values()))

    async def judged(self) -> tuple[tuple[str, ...], dict[str, float | int | str]]:
        """Waits until all is quiet, stops everything, and gives what was broken and what there was."""
        broken: list[str] = []
        states: dict[str, dict[str, str]] = {}
        try:
            states = await self.quiet()
        except NotInTime as late:
            broken.append(str(late))
        await self.stop()
        final = [read_remains(daemon.folder) for daemon in self.daemons.values()]
        story = oracle.Story(
            acknowledged=self.acknowledged,
            earlier=self._earlier,
            final=final,
            states=states,
            # What the node had of every home, and what the others had of the job at home there.
            in_flight=self._blows * (2 * len(self.daemons) - 1) * IN_FLIGHT,
        )
        broken += [*self.surprises(), *oracle.violations(story)]
        return tuple(broken), {
            "jobs": len(self.acknowledged),
            "results": len(final[0].results),
            "kills": len(self._earlier),
            "computed_again": oracle.computed_again(final),
            "decisions": len(final[0].decided),
        }


def peers(
    folder: Path, names: Collection[str], settings: Callable[[str], Mapping[str, str]] = lambda _: {}
) -> list[Daemon]:
    """Daemons on loopback that know each other's ports, not started yet; each with its own environment variables."""
    ports = {name: free_port("127.0.0.1") for name in names}

    def arguments(name: str) -> list[str]:
        others = [f"--peer=127.0.0.1:{port}" for other, port in ports.items() if other != name]
        return ["--no-discovery", f"--listen=127.0.0.1:{ports[name]}", *others]

    return [Daemon(folder / name, *arguments(name), settings=settings(name)) for name in names]


def _states(jobs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """How each job stands; one that ended without a majority is still to be decided."""
    return {
        job_id: f"{job['state']}, provisional" if job.get("provisional") else str(job["state"])
        for job_id, job in jobs.items()
    }


def _is_copied(seen: Statuses, count: int) -> bool:
    rows = {status.ledger.rows for status in seen.values()}
    return len(seen) == count and len(rows) == 1 and not any(s.ledger.under_replicated for s in seen.values())


def _source(path: Path, rng: random.Random, sums: int) -> Path:
    """Chapters of sums that the pocket model was not trained on."""
    questions = list(world.split().loops.sums[:sums])
    chapters = [questions[start : start + CHAPTER] for start in range(0, sums, CHAPTER)]
    texts = (" ".join(sentences.sentence_about(question, rng).text for question in chapter) for chapter in chapters)
    path.write_text("\n\n".join(f"# Chapter {number}\n\n{text}" for number, text in enumerate(texts, start=1)))
    return path
