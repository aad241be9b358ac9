"""Supply: brings a job's models to the nodes of its plan that lack them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from realign_daemon.curation.colleague import Colleague, Colleagues
from realign_daemon.curation.job import Job
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId
from realign_daemon.errors import BadInput, Damaged, RealignError
from realign_daemon.models.arrival import Arrived

log = structlog.get_logger()

RETRY_S = 60.0  # how soon it is tried again where no node could get a model: a network that is down comes back

Announce = Callable[[str, str], None]  # the kind of an event and one line for people
Needs = Mapping[str, Sequence[ModelPin]]  # node id -> the models that the plan has it run


class Supply:
    """Of one job. `run` must be running for `follow` to bring anything."""

    def __init__(self, colleagues: Colleagues, job: Job, announce: Announce) -> None:
        self._colleagues = colleagues
        self._job = job
        self._announce = announce
        self._failed: dict[str, RealignError | ConnectionError] = {}  # by node id
        self._busy: set[str] = set()
        self._needs: Needs = {}
        self._wake = asyncio.Event()

    def usable(self, colleagues: Iterable[Colleague]) -> tuple[Colleague, ...]:
        """The nodes as plans should see them: one that failed to get a model has room for none."""
        return tuple(replace(one, room_bytes=0) if one.node_id in self._failed else one for one in colleagues)

    def has(self, colleague: Colleague, model: ModelId) -> bool:
        """Whether the node can load the model by the name that the job has for it."""
        return all(colleague.has(pin) for pin in self._job.spec.pins if pin.model == model)

    def follow(self, needs: Needs) -> None:
        """Has the nodes that lack something get it."""
        self._needs = needs
        self._wake.set()

    async def run(self, plan: Callable[[], None]) -> None:
        """Brings models to the nodes, beside whatever else goes on, until cancelled. `plan` plans without one."""

        async def bring(colleague: Colleague) -> None:
            await self._bring(colleague, lambda _: None)
            if colleague.node_id in self._failed:
                plan()

        async with asyncio.TaskGroup() as tasks:
            while True:
                for colleague in self._due():
                    self._busy.add(colleague.node_id)
                    name = f"supply.{self._job.spec.job_id}.{colleague.facts.name}"
                    tasks.create_task(bring(colleague), name=name)
                await self._wake.wait()
                self._wake.clear()

    async def first(self, plan: Callable[[], None]) -> None:
        """Returns once each of the job's models is held by some living node. `plan` plans anew, and calls `follow`.

        Where none can get it now, it is tried again: a node may come back, or the network.

        Raises:
            BadInput, Damaged: what the job needs is not to be had by waiting.
        """
        stage = self._job.record.stages[0]

        def show(activity: str) -> None:
            stage.state, stage.activity = ("running" if activity else "waiting"), activity
            self._announce("progress", "")

        while held_by_none := self.held_by_none():
            plan()
            due = [one for one in self._due() if held_by_none & {pin.model for pin in self._lacking(one)}]
            if due:
                await self._bring(min(due, key=lambda one: not one.is_self), show)  # the home has looked it up
                continue
            for error in self._failed.values():
                if isinstance(error, (BadInput, Damaged)):
                    raise error
            reasons = "; ".join(dict.fromkeys(map(str, self._failed.values()))) or "no living node could run the job"
            show(f"waiting: {reasons}")
            await self._news()
            self._failed.clear()
        if stage.state == "running":
            show("")

    def _due(self) -> list[Colleague]:
        """The nodes that lack something that they need, in the plan's order."""
        living = {one.node_id: one for one in self._colleagues.alive()}
        free = [living[node] for node in self._needs if node in living and node not in self._busy | self._failed.keys()]
        return [one for one in free if self._lacking(one)]

    def _lacking(self, colleague: Colleague) -> list[ModelPin]:
        needed = (pin for pin in self._needs.get(colleague.node_id, ()) if not pin.endpoint)  # a server's stays there
        return [pin for pin in needed if not self.has(colleague, pin.model)]

    def held_by_none(self) -> set[ModelId]:
        """The job's models that no living node can load."""
        living = self._colleagues.alive()
        models = {pin.model for pin in self._job.spec.pins}
        return {model for model in models if not any(self.has(one, model) for one in living)}

    async def _bring(self, colleague: Colleague, show: Callable[[str], None]) -> None:
        name = colleague.facts.name
        try:
            for pin in self._lacking(colleague):
                self._announce("progress", f"{name} gets {pin.name}")
                async with aclosing(self._colleagues.fetch(colleague.node_id, pin)) as steps:
                    async for arrived in steps:
                        show(_progress(name, pin.name, arrived))
        except (RealignError, ConnectionError) as error:
            self._failed[colleague.node_id] = error
            self._announce("warning", f"{name} could not get what the job needs: {error}")
            log.warning("model.not_supplied", node=name, job=self._job.spec.job_id, reason=str(error))
        finally:
            self._busy.discard(colleague.node_id)
            self._wake.set()  # it may have been given more to run meanwhile

    async def _news(self) -> None:
        """Waits until a node comes or goes, or it is time for another try."""
        try:
            async with asyncio.timeout(RETRY_S):
                async for _ in self._colleagues.changes():
                    return
        except TimeoutError:
            return


def _progress(node: str, model: str, arrived: Arrived) -> str:
    if not arrived.source:
        return f"{node} fetches another model before {model}"
    if not arrived.bytes_total:
        return f"{node} asks {arrived.source} for {model}"
    left = ""
    if arrived.bytes_per_s > 0:
        minutes = (arrived.bytes_total - arrived.bytes_done) / arrived.bytes_per_s / 60
        left = f", about {max(1, round(minutes))} min left"
    done, total = arrived.bytes_done / 1e9, arrived.bytes_total / 1e9
    return f"{node} gets {model} from {arrived.source}: {done:.2f} of {total:.2f} GB{left}"
