"""Nodes with models for the contracts of pulls: real folders and real connections, each with the others' models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
from tests.unit.models.conftest import FILES, NAME, READ

from realign_daemon.clock import SystemClock
from realign_daemon.engine.api import LocalModel, ModelId, Sha256
from realign_daemon.engine.models import LocalModels
from realign_daemon.models.arrival import Arrived, Wanted
from realign_daemon.models.hub import Hub
from realign_daemon.models.manifest import Manifest, content_id
from realign_daemon.models.pulls import Pulls
from realign_daemon.models.store import ModelStore
from realign_daemon.models.transfer import LEAST_PACE, Pace
from realign_daemon.rpc.model_link import RemoteCopy
from realign_daemon.rpc.models_servicer import ModelsServicer
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.trust.keys import SpkiHash

WEIGHTS = READ[1]
CONTENT = content_id((name, hashlib.sha256(FILES[name]).hexdigest()) for name in READ)

EMPTY = Sha256(hashlib.sha256(b"").hexdigest())


class LocalShelf:
    """See models.pulls.Shelf: a real folder of models."""

    def __init__(self, folder: Path) -> None:
        self._models = LocalModels([folder / "models", folder / "shelf"], folder / "hashes.json", hub=folder / "no-hub")
        self.room_bytes = 10**9
        self.room_by_look: list[int] = []  # what the first looks find
        self.gone: tuple[LocalModel, ...] = ()  # since the last look

    @property
    def models(self) -> tuple[LocalModel, ...]:
        return (*self.gone, *self._models.all())

    def find(self, name: str) -> LocalModel | None:
        return self._models.find(name)

    async def manifest(self, model: LocalModel) -> Manifest:
        return self._models.manifest(model)

    async def look_for_models(self) -> None:
        """Each find looks anew."""

    def models_room_bytes(self) -> int:
        return self.room_by_look.pop(0) if self.room_by_look else self.room_bytes


@dataclass
class Node:
    name: str
    folder: Path
    world: World
    users: dict[ModelId, tuple[str, ...]] = field(default_factory=dict[ModelId, tuple[str, ...]])
    pace: Pace = LEAST_PACE

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.shelf = LocalShelf(self.folder)
        self.open()

    def open(self) -> None:
        """As after a restart of its daemon."""
        self.store = ModelStore(self.folder, now_unix_s=0.0)
        self.pulls = Pulls(
            store=self.store,
            hub=Hub(InlineWorker),
            copies=lambda wanted: self.world.copies(self, wanted),
            shelf=self.shelf,
            users=self.used_by,
            clock=SystemClock(),
            pace=self.pace,
        )

    def servicer(self) -> ModelsServicer:
        return ModelsServicer(
            shelf=self.shelf,
            pulls=self.pulls,
            is_own=self.store.has,
            users=self.all_users,
            others=self.world.others(self),
            name=self.name,
            node_id=f"id-{self.name}",
            own=SpkiHash("00" * 32),
        )

    async def used_by(self, model: ModelId) -> Sequence[str]:
        return self.users.get(model, ())

    async def all_users(self) -> Mapping[ModelId, tuple[str, ...]]:
        return self.users

    def shelve(self, files: Mapping[str, bytes], name: str = NAME) -> Path:
        """Puts a model there as a person does."""
        folder = self.folder / "shelf" / name
        folder.mkdir(parents=True)
        for file in READ:
            (folder / file).write_bytes(files[file])
        return folder

    async def pull(self, **wanted: str) -> list[Arrived]:
        return [arrived async for arrived in self.pulls.pull(Wanted(**{"name": NAME, **wanted}))]  # pyright: ignore[reportArgumentType] - fields by name

    def found(self) -> dict[str, bytes]:
        """The files of the model that is found under the name, but for the note."""
        model = self.shelf.find(NAME)
        assert model is not None
        return {file.name: file.read_bytes() for file in model.path.iterdir() if not file.name.startswith("realign")}


@dataclass
class World:
    """Nodes that all know each other; which of them are away, and in which order copies are tried."""

    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict[str, grpc.aio.Channel])
    away: set[str] = field(default_factory=set[str])

    def channel(self, name: str) -> grpc.aio.Channel | None:
        return None if name in self.away else self.channels.get(name)

    def copies(self, asking: Node, wanted: Wanted) -> list[RemoteCopy]:
        return [
            RemoteCopy(node=node.name, model=model.model, channel=lambda name=node.name: self.channel(name))
            for node in self.nodes.values()
            if node is not asking
            for model in node.shelf.models
            if model.model == wanted.model or (wanted.model is None and model.name == wanted.name)
        ]

    def others(self, node: Node) -> Others:
        return Others(self, node.name)


@dataclass
class Others:
    world: World
    own: str

    def other_nodes(self) -> list[str]:
        return [name for name in self.world.nodes if name != self.own]

    def named_channel(self, node: str) -> grpc.aio.Channel | None:
        return self.world.channel(node)

    def name_of(self, node: str) -> str:
        return node


def wanted_files() -> dict[str, bytes]:
    return {name: FILES[name] for name in READ}
