"""Grouping: the parts by which a node is in groups, as a head or as one of the others, put together for the node."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from realign_daemon.config import Config
from realign_daemon.engine.api import Blobs, LocalModel
from realign_daemon.engine.checkpoints import Checkpoints
from realign_daemon.engine.environment import EngineSettings
from realign_daemon.engine.own import OwnEngine
from realign_daemon.engine.performing import Performing
from realign_daemon.groups.berth import Berth
from realign_daemon.groups.engine import GroupingEngine
from realign_daemon.groups.group import Head
from realign_daemon.groups.member import Member
from realign_daemon.groups.occupation import Occupation
from realign_daemon.groups.references import References
from realign_daemon.groups.residue import Residue
from realign_daemon.host.steward import Work
from realign_daemon.platform import Platform
from realign_daemon.rpc.group_link import GroupLinks
from realign_daemon.rpc.group_servicer import GroupServicer
from realign_daemon.rpc.work_link import Channel

_NAME_BYTES = 6


class Grouping:
    """`engine` is what the node computes with; `berth` says whether it is some head's."""

    def __init__(
        self,
        config: Config,
        platform: Platform,
        *,
        node: str,
        own: OwnEngine,
        blobs: Blobs,
        find: Callable[[str], LocalModel | None],
        spare_bytes: Callable[[], int],
        name_of: Callable[[str], str],
        channel: Channel,
        host_of: Callable[[str], str],
    ) -> None:
        """`own` is the engine of this machine alone; `find` gives a model here, `name_of` what people call a node.

        `host_of` gives the host at which a node is connected.
        """
        self._own, self._clock = own, platform.clock
        data_dir, mlx = config.node.data_dir, mlx_version()
        self.berth = Berth(
            find=find,
            start=platform.start_rank(config),
            spare_bytes=spare_bytes,
            references=References(data_dir / "canaries.json", mlx=mlx),
            residue=Residue(platform.clock),
            mlx=mlx,
            clock=platform.clock,
        )
        head = Head(
            node=node,
            name_of=name_of,
            connect=GroupLinks(channel).connect,
            host_of=host_of,
            berth=self.berth,
            vacate=lambda: own.unload("a group takes its place"),
            clock=platform.clock,
        )
        self.engine = GroupingEngine(
            own,
            head,
            Performing(
                blobs,
                Checkpoints(data_dir / "cache" / "checkpoints"),
                checkpoint_every_s=EngineSettings().checkpoint_every_s,
            ),
            mint=lambda: platform.random_bytes(_NAME_BYTES).hex(),
        )

    def occupation(self, work: Work, objection: Callable[[], str]) -> Occupation:
        """What keeps this machine busy. `objection` says why its owner wants no work of it, "" when it may."""
        return Occupation(work, self.berth, objection=objection, clock=self._clock)

    def servicer(
        self, occupation: Occupation, *, refusal: Callable[[], str], is_wanted: Callable[[], bool]
    ) -> GroupServicer:
        """The service that other heads use.

        `refusal` says why this node takes no work, "" when it does; `is_wanted` whether some home has work for it.
        """
        return GroupServicer(
            Member(
                self.berth,
                vacate=lambda: occupation.make_room(self._own.unload),
                objection=refusal,
                is_wanted=is_wanted,
                clock=self._clock,
            )
        )


def mlx_version() -> str:
    """The version of MLX, which the daemon never imports; "none" without it."""
    try:
        return importlib.metadata.version("mlx")
    except importlib.metadata.PackageNotFoundError:
        return "none"
