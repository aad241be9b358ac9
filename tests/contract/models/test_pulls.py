"""Models that come to a node from other nodes over real connections, and from a hub that is one on loopback."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from tests.model_hub import COMMIT, ModelHub, Repository, model_hub
from tests.unit.models.conftest import FILES, NAME, READ

from realign_daemon.clock import SystemClock
from realign_daemon.engine.api import LocalModel, ModelId, Sha256
from realign_daemon.engine.models import LocalModels
from realign_daemon.errors import Damaged, Full, NotFound, Unreachable, WrongState
from realign_daemon.models import hub_download
from realign_daemon.models.arrival import HUB, Arrived, Wanted
from realign_daemon.models.hub import Hub
from realign_daemon.models.manifest import Manifest, ModelFile, content_id
from realign_daemon.models.pulls import Pulls
from realign_daemon.models.store import ARRIVING, ModelStore
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.rpc.model_link import RemoteCopy, have_pulled
from realign_daemon.rpc.models_servicer import ModelsServicer
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.trust.keys import SpkiHash
from realign_proto.v1 import models_pb2 as pb
from realign_proto.v1.models_pb2_grpc import ModelsStub

WEIGHTS = READ[1]
CONTENT = content_id((name, hashlib.sha256(FILES[name]).hexdigest()) for name in READ)

EMPTY = Sha256(hashlib.sha256(b"").hexdigest())


class LocalShelf:
    """See models.pulls.Shelf: a real folder of models."""

    def __init__(self, folder: Path) -> None:
        self._models = LocalModels([folder / "models", folder / "shelf"], folder / "hashes.json", hub=folder / "no-hub")
        self.room_bytes = 10**9

    @property
    def models(self) -> tuple[LocalModel, ...]:
        return self._models.all()

    def find(self, name: str) -> LocalModel | None:
        return self._models.find(name)

    async def manifest(self, model: LocalModel) -> Manifest:
        return self._models.manifest(model)

    async def look_for_models(self) -> None:
        """Each find looks anew."""

    def models_room_bytes(self) -> int:
        return self.room_bytes


@dataclass
class Node:
    name: str
    folder: Path
    world: World
    users: dict[ModelId, tuple[str, ...]] = field(default_factory=dict[ModelId, tuple[str, ...]])

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


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World()
    async with AsyncExitStack() as stack:
        for name in ("left", "middle", "right"):
            world.nodes[name] = Node(name, tmp_path / name, world)
        for name, node in world.nodes.items():
            server = grpc.aio.server(interceptors=[FaultInterceptor()])
            node.servicer().add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, 0)
            world.channels[name] = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.push_async_callback(world.channels[name].close)
        yield world


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub({NAME: Repository(FILES)}) as found:
        for variable, value in {**found.environment(), "HF_HOME": "/nowhere", "no_proxy": "*"}.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(hub_download, "FIRST_WAIT_S", 0.0)
        yield found


def wanted_files() -> dict[str, bytes]:
    return {name: FILES[name] for name in READ}


async def test_one_node_fetches_a_model_from_the_hub_and_the_others_copy_it_from_there(
    hub: ModelHub, world: World
) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    assert {one.source for one in await left.pull()} == {HUB}
    asked = len(hub.asked)
    assert {one.source for one in await right.pull()} == {"left"}
    assert len(hub.asked) == asked
    for node in (left, right):
        assert node.found() == wanted_files()
        model = node.shelf.find(NAME)
        assert model is not None
        assert (model.model, model.revision) == (CONTENT, COMMIT)


async def test_what_was_hashed_when_it_came_is_not_read_again_to_find_it(
    hub: ModelHub, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: Path) -> Sha256:
        assert "acme" not in file.parts, file
        return EMPTY

    monkeypatch.setattr("realign_daemon.engine.models.sha256_of", read)
    await world.nodes["left"].pull()
    model = world.nodes["left"].shelf.find(NAME)
    assert model is not None
    assert model.model == CONTENT


async def test_a_disk_that_fills_up_under_a_copy_is_said_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.nodes["left"].shelve(FILES)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("realign_daemon.files.partial.Partial.add", full)
    with pytest.raises(Full, match=r"could not be stored \(No space left on device\); make room"):
        await world.nodes["right"].pull()


async def test_what_is_here_is_not_fetched_again(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    left.shelve(FILES)
    assert await left.pull() == []
    assert await left.pull(model=CONTENT) == []
    assert hub.asked == []


async def test_a_branch_is_looked_up_and_copied_where_a_node_has_its_content(hub: ModelHub, world: World) -> None:
    world.nodes["left"].shelve(FILES, "another-name")
    arrived = await world.nodes["right"].pull(revision="main")
    assert {one.source for one in arrived} == {"left"}
    assert not [one for one in hub.asked if "model-0000" in one and not one.endswith("0-1048575")]
    model = world.nodes["right"].shelf.find(NAME)
    assert model is not None
    assert model.revision == COMMIT


async def test_weights_that_are_here_under_another_name_are_not_fetched_again(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    folder = left.shelve(FILES, "lmstudio/tiny")
    assert await left.pull(model=CONTENT, revision=COMMIT) == []
    assert hub.asked == []
    assert left.found() == wanted_files()
    stub = ModelsStub(world.channels["left"])
    await stub.RemoveModel(pb.RemoveModelRequest(name=NAME))
    assert (folder / WEIGHTS).read_bytes() == FILES[WEIGHTS]


async def test_a_copy_goes_on_behind_what_had_come_before_the_daemon_was_killed(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    half = right.folder / ARRIVING / CONTENT / WEIGHTS
    half.parent.mkdir()
    half.write_bytes(FILES[WEIGHTS][:250_000])
    right.open()
    read: list[pb.ModelFileRequest] = []
    copy = RemoteCopy(node="left", model=CONTENT, channel=lambda: world.channel("left"))
    before = copy.read

    def noted(file: str, offset: int) -> AsyncGenerator[bytes]:
        read.append(pb.ModelFileRequest(file=file, offset=offset))
        return before(file, offset)

    copy.read = noted
    world.copies = lambda asking, wanted: [copy]
    await right.pull(model=CONTENT)
    assert {one.file: one.offset for one in read}[WEIGHTS] == 250_000
    assert right.found() == wanted_files()
    assert list((right.folder / ARRIVING).iterdir()) == []


async def test_a_pull_that_is_left_keeps_what_has_come_and_is_no_model_yet(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    pull = right.pulls.pull(Wanted(name=NAME))
    await anext(pull)
    await pull.aclose()
    assert right.shelf.find(NAME) is None
    assert list((right.folder / ARRIVING / CONTENT).iterdir())
    await right.pull()
    assert right.found() == wanted_files()


async def test_a_node_whose_files_are_damaged_is_passed_over_for_the_next_one(world: World) -> None:
    left, middle, right = (world.nodes[name] for name in ("left", "middle", "right"))
    folder = left.shelve(FILES)
    middle.shelve(FILES)
    assert left.shelf.find(NAME) is not None  # hashed while it was well
    weights = folder / WEIGHTS
    stamp = weights.stat().st_mtime_ns
    weights.write_bytes(FILES[WEIGHTS][:-1] + b"\xff")
    os.utime(weights, ns=(stamp, stamp))  # what a bad disk changes has no new time
    arrived = await right.pull(model=CONTENT)
    assert arrived[-1].source == "middle"
    assert right.found() == wanted_files()


async def test_a_node_that_goes_away_is_passed_over_and_the_hub_is_the_last_resort(hub: ModelHub, world: World) -> None:
    world.nodes["left"].shelve(FILES)
    world.away.add("left")
    arrived = await world.nodes["right"].pull(model=CONTENT, revision=COMMIT)
    assert {one.source for one in arrived} == {HUB}
    assert world.nodes["right"].found() == wanted_files()


async def test_other_weights_under_a_pinned_revision_are_refused(hub: ModelHub, world: World) -> None:
    with pytest.raises(Damaged, match="other weights of acme/tiny-1M under c0ffeec0ffee"):
        await world.nodes["right"].pull(model="5a" * 32, revision=COMMIT)
    assert world.nodes["right"].shelf.find(NAME) is None


async def test_a_folder_that_no_node_has_any_more_is_not_looked_for_on_the_hub(hub: ModelHub, world: World) -> None:
    for wanted in ({"name": "my-folder"}, {"model": "5a" * 32}):
        with pytest.raises(Unreachable, match="is not from the hub, and no node that has it could give it"):
            await world.nodes["right"].pull(**wanted)
    assert hub.asked == []


@pytest.mark.parametrize("from_hub", [True, False])
async def test_a_model_that_has_no_room_is_refused_before_it_comes(
    hub: ModelHub, world: World, *, from_hub: bool
) -> None:
    if not from_hub:
        world.nodes["left"].shelve(FILES)
    right = world.nodes["right"]
    right.shelf.room_bytes = 1000
    with pytest.raises(Full, match=r"takes 0\.0 GB more, and this node's disk has room for"):
        await right.pull()
    assert list((right.folder / ARRIVING).iterdir()) == []


async def test_another_revision_takes_the_place_of_one_that_no_job_needs(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    await left.pull()
    newer = {**FILES, "tokenizer.json": b'{"version": "2.0"}'}
    hub.repositories[NAME] = Repository(newer, commit="b" * 40)
    left.users[CONTENT] = ("dpo-1",)
    with pytest.raises(WrongState, match="is needed by dpo-1"):
        await left.pull(revision="main")
    assert left.found() == wanted_files()
    left.users.clear()
    await left.pull(revision="main")
    assert left.found()["tokenizer.json"] == b'{"version": "2.0"}'


async def test_a_model_is_removed_once_no_job_needs_it(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    await left.pull()
    stub = ModelsStub(world.channels["left"])
    left.users[CONTENT] = ("dpo-1", "sft-2")
    with pytest.raises(grpc.aio.AioRpcError, match="needed by dpo-1, sft-2; wait for the end"):
        await stub.RemoveModel(pb.RemoveModelRequest(name=NAME))
    left.users.clear()
    gone = await stub.RemoveModel(pb.RemoveModelRequest(name=NAME))
    assert (gone.node, gone.name, gone.sha256) == ("left", NAME, CONTENT)
    assert left.shelf.find(NAME) is None
    assert list(left.store.folder.iterdir()) == []
    with pytest.raises(grpc.aio.AioRpcError, match="has no model"):
        await stub.RemoveModel(pb.RemoveModelRequest(name=NAME))


async def test_a_model_that_a_person_put_there_is_not_removed(world: World) -> None:
    folder = world.nodes["left"].shelve(FILES)
    with pytest.raises(grpc.aio.AioRpcError, match="where realign did not put it"):
        await ModelsStub(world.channels["left"]).RemoveModel(pb.RemoveModelRequest(name=NAME))
    assert folder.is_dir()


async def test_any_node_lists_what_all_have_and_names_those_it_cannot_ask(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    folder = left.shelve(FILES)
    await right.pull()
    right.users[CONTENT] = ("dpo-1",)
    world.away.add("left")
    found = await ModelsStub(world.channels["middle"]).ListModels(pb.ListModelsRequest())
    assert [(one.name, one.node) for one in found.models] == [
        (NAME, "right"), ("pocket", "middle"), ("pocket", "right"),
    ]  # fmt: skip
    assert (found.models[0].used_by, found.models[0].removable) == (["dpo-1"], True)
    assert [text.partition(":")[0] for text in found.remarks] == ["node left could not be asked"]
    world.away.clear()
    found = await ModelsStub(world.channels["middle"]).ListModels(pb.ListModelsRequest())
    assert (found.models[0].node, found.models[0].path, found.models[0].removable) == ("left", str(folder), False)


async def test_a_pull_is_passed_on_to_the_node_that_is_named(hub: ModelHub, world: World) -> None:
    request = pb.PullModelRequest(name=NAME, node="right")
    *_, last = [one async for one in ModelsStub(world.channels["left"]).PullModel(request)]
    assert (last.node, last.model.name, last.model.removable) == ("right", NAME, True)
    assert world.nodes["left"].shelf.find(NAME) is None
    with pytest.raises(grpc.aio.AioRpcError, match="node 'attic' is not connected"):
        await anext(aiter(ModelsStub(world.channels["left"]).PullModel(pb.PullModelRequest(name=NAME, node="attic"))))


async def test_a_home_hears_why_a_node_could_not_get_a_model(hub: ModelHub, world: World) -> None:
    hub.repositories.clear()
    with pytest.raises(NotFound, match="the hub has no model"):
        async for _ in have_pulled(world.channels["right"], node="right", wanted=Wanted(name=NAME)):
            pass
    with pytest.raises(ConnectionError, match="attic is not connected"):
        async for _ in have_pulled(None, node="attic", wanted=Wanted(name=NAME)):
            pass


@pytest.mark.parametrize("file", ["../left/hashes.json", "/etc/passwd", "realign-model.json", "x.py"])
async def test_other_nodes_get_no_file_but_those_of_a_model(world: World, file: str) -> None:
    world.nodes["left"].shelve(FILES)
    request = pb.ModelFileRequest(sha256=CONTENT, file=file)
    with pytest.raises(grpc.aio.AioRpcError, match="is no file of a model that other nodes get"):
        await anext(aiter(ModelsStub(world.channels["left"]).ReadModelFile(request)))


@pytest.mark.parametrize(
    "file",
    [
        ModelFile(name="../evil", sha256=EMPTY, size_bytes=0),
        ModelFile(name="evil.py", sha256=EMPTY, size_bytes=0),
        ModelFile(name="vocab.json", sha256=Sha256("../../x"), size_bytes=0),
    ],
)
async def test_a_node_that_lists_what_no_model_has_is_not_believed(world: World, file: ModelFile) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    honest = left.shelf.manifest

    async def tampered(model: LocalModel) -> Manifest:
        manifest = await honest(model)
        return Manifest(name=manifest.name, revision="", files=(*manifest.files, file))

    left.shelf.manifest = tampered
    with pytest.raises(Unreachable):
        await right.pull(model=CONTENT)
    assert list((right.folder / ARRIVING).iterdir()) == []


def test_what_nobody_went_on_with_for_a_week_goes_and_the_rest_stays(tmp_path: Path) -> None:
    arriving = tmp_path / ARRIVING
    for name in (CONTENT, "gone-tiny"):
        (arriving / name).mkdir(parents=True)
        (arriving / name / WEIGHTS).write_bytes(b"x")
    touched = (arriving / CONTENT).stat().st_mtime
    ModelStore(tmp_path, now_unix_s=touched + 6 * 86_400)
    assert [folder.name for folder in arriving.iterdir()] == [CONTENT]
    ModelStore(tmp_path, now_unix_s=touched + 8 * 86_400)
    assert list(arriving.iterdir()) == []
