"""What lies on which node: listed, removed, passed on to the node that is named."""

from __future__ import annotations

import grpc.aio
import pytest
from tests.contract.models.node_world import CONTENT, World
from tests.model_hub import ModelHub
from tests.unit.models.conftest import FILES, NAME

from realign_daemon.errors import NotFound
from realign_daemon.models.arrival import Wanted
from realign_daemon.rpc.model_link import have_pulled
from realign_proto.v1 import models_pb2 as pb
from realign_proto.v1.models_pb2_grpc import ModelsStub


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


async def test_the_model_that_realign_ships_is_not_removed(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="the pocket model is a part of realign and stays with it"):
        await ModelsStub(world.channels["left"]).RemoveModel(pb.RemoveModelRequest(name="Pocket"))


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
