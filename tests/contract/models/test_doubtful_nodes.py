"""Nodes that lie, break off or ask for what is not theirs, when models are copied."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable

import grpc.aio
import pytest
from tests.contract.models.node_world import CONTENT, EMPTY, WEIGHTS, Node, World, wanted_files
from tests.unit.models.conftest import FILES, NAME

from realign_daemon.engine.api import LocalModel, Sha256
from realign_daemon.errors import Unreachable
from realign_daemon.models.manifest import Manifest, ModelFile
from realign_daemon.models.store import ARRIVING
from realign_daemon.rpc.model_link import RemoteCopy
from realign_proto.v1 import models_pb2 as pb
from realign_proto.v1.models_pb2_grpc import ModelsStub


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


@pytest.mark.parametrize(
    "file", ["../left/hashes.json", "/etc/passwd", "realign-model.json", "x.py", "model\0.safetensors"]
)
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
        ModelFile(name="model\0.safetensors", sha256=EMPTY, size_bytes=0),
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


async def test_a_node_that_overstates_a_size_does_not_keep_an_honest_one_from_giving_the_model(world: World) -> None:
    left, middle, right = (world.nodes[name] for name in ("left", "middle", "right"))
    left.shelve(FILES)
    middle.shelve(FILES)
    claim(left, lambda file: ModelFile(name=file.name, sha256=file.sha256, size_bytes=2**62))
    arrived = await right.pull(model=CONTENT)
    assert arrived[-1].source == "middle"
    assert right.found() == wanted_files()


async def test_a_node_that_understates_a_size_is_passed_over(world: World) -> None:
    left, middle, right = (world.nodes[name] for name in ("left", "middle", "right"))
    left.shelve(FILES)
    middle.shelve(FILES)
    claim(left, lambda file: ModelFile(name=file.name, sha256=file.sha256, size_bytes=file.size_bytes - 1))
    arrived = await right.pull(model=CONTENT)
    assert arrived[-1].source == "middle"
    assert right.found() == wanted_files()


async def test_a_beginning_that_another_node_made_up_is_not_held_against_the_honest_one(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    made_up = right.folder / ARRIVING / CONTENT / WEIGHTS
    made_up.parent.mkdir()
    made_up.write_bytes(bytes(1000))
    await right.pull(model=CONTENT)
    assert right.found() == wanted_files()


async def test_a_node_that_sends_pieces_without_anything_in_them_is_passed_over(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    copy = RemoteCopy(node="left", model=CONTENT, channel=lambda: world.channel("left"))

    async def nothing(file: str, offset: int) -> AsyncGenerator[bytes]:
        while True:
            yield b""

    copy.read = nothing
    world.copies = lambda asking, wanted: [copy]
    with pytest.raises(Unreachable):
        await right.pull(model=CONTENT)


async def test_a_node_cannot_put_its_model_in_the_place_of_another_one(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    honest = left.shelf.manifest

    async def renamed(model: LocalModel) -> Manifest:
        return Manifest(name="somebody/else", revision="", files=(await honest(model)).files)

    left.shelf.manifest = renamed
    await right.pull()
    assert right.found() == wanted_files()
    assert right.shelf.find("somebody/else") is None


async def test_a_revision_that_is_no_commit_is_not_taken_from_a_node(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES)
    honest = left.shelf.manifest

    async def steered(model: LocalModel) -> Manifest:
        return Manifest(name=model.name, revision="\x1b[2J", files=(await honest(model)).files)

    left.shelf.manifest = steered
    with pytest.raises(Unreachable):
        await right.pull(model=CONTENT)


def claim(node: Node, of: Callable[[ModelFile], ModelFile]) -> None:
    """Has the node say this of each file of its models."""
    honest = node.shelf.manifest

    async def tampered(model: LocalModel) -> Manifest:
        manifest = await honest(model)
        return Manifest(name=manifest.name, revision=manifest.revision, files=tuple(map(of, manifest.files)))

    node.shelf.manifest = tampered
