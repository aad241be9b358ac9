"""Homing: the parts that decide how jobs end and which jobs a node runs, put together for the node."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import Config
from realign_daemon.curation.assignment import JobNode
from realign_daemon.curation.custody import Custody
from realign_daemon.curation.endings import Endings
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.relief import Cluster
from realign_daemon.decision.decisions import Decisions
from realign_daemon.decision.store import DecisionStore
from realign_daemon.journal.replicator import Replicator
from realign_daemon.platform import Platform
from realign_daemon.rpc.decision_link import DecisionLink
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.work.ledger import Ledger

CATCH_UP_S = 3.0  # with nodes that were met before: they are heard within a second, and a second brings 3,000 results


@dataclass(frozen=True, slots=True, kw_only=True)
class Homing:
    """What all of these parts need."""

    node: str
    config: Config
    platform: Platform
    neighbours: Neighbours

    def deciding(self, store: DecisionStore, ledger: Ledger) -> tuple[Decisions, Endings]:
        """Votes of this node's, and of the others', and what ends of jobs ask of them."""
        decisions = Decisions(
            node=self.node,
            store=store,
            voters=DecisionLink(channel=self.neighbours.node_channel),
            clock=self.platform.clock,
            chance=self.platform.chance,
        )
        endings = Endings(
            node_id=self.node,
            ledger=ledger,
            decisions=decisions,
            living=self.neighbours.living,
            name_of=self.neighbours.name_of,
        )
        return decisions, endings

    def custody(self, job_node: JobNode, jobs: Jobs, decisions: Decisions, view: ClusterView) -> Custody:
        """Which jobs this node runs."""
        clock, neighbours, settings = self.platform.clock, self.neighbours, self.config.cluster
        return Custody(
            node_id=self.node,
            jobs=jobs,
            ledger=job_node.ledger,
            output=job_node.output,
            endings=job_node.endings,
            decisions=decisions,
            cluster=Cluster(
                leads=lambda: view.leads,
                fittest=neighbours.fittest,
                away=lambda node: neighbours.lost(node, now_unix_s=clock.unix()),
                living=neighbours.living,
            ),
            clock=clock,
            is_provisional=settings.provisional,
            auto_adopt_after_s=settings.auto_adopt_after_s,
        )

    async def run(self, jobs: Jobs, custody: Custody, replicator: Replicator) -> None:
        """What others have computed while this node was away, and what they have decided, need not be done again."""
        if StateFile(self.config.node.data_dir).load().addresses:
            await replicator.catch_up(within_s=CATCH_UP_S)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(jobs.run(), name="jobs.run")
            tasks.create_task(custody.run(), name="custody")
