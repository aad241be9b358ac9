"""Models that come to a node from other nodes over real connections, and from a hub that is one on loopback."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator
from itertools import groupby
from pathlib import Path

import pytest
from tests.contract.models.node_world import CONTENT, EMPTY, WEIGHTS, World, wanted_files
from tests.model_hub import COMMIT, ModelHub, Repository
from tests.unit.models.conftest import FILES, NAME, READ

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Damaged, Full, NotFound, Unreachable, WrongState
from realign_daemon.models.arrival import HUB, Arrived, Wanted
from realign_daemon.models.store import ARRIVING, ModelStore
from realign_daemon.models.transfer import Pace
from realign_daemon.rpc.model_link import RemoteCopy
from realign_proto.v1 import models_pb2 as pb
from realign_proto.v1.models_pb2_grpc import ModelsStub


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


async def test_weights_under_another_name_that_have_just_gone_are_fetched(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    folder = left.shelve(FILES, "lmstudio/tiny")
    left.shelf.gone = left.shelf.models
    shutil.rmtree(folder)
    assert {one.source for one in await left.pull(model=CONTENT, revision=COMMIT)} == {HUB}
    assert left.found() == wanted_files()


async def test_a_disk_that_is_full_when_a_model_is_published_is_said_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.nodes["left"].shelve(FILES)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("realign_daemon.models.store.replace_file", full)
    with pytest.raises(Full, match=r"could not be stored \(No space left on device\); make room"):
        await world.nodes["right"].pull()
    monkeypatch.undo()
    await world.nodes["right"].pull()
    assert world.nodes["right"].found() == wanted_files()


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
    assert await anext(pull) == Arrived(source="left")
    await anext(pull)
    await pull.aclose()
    assert right.shelf.find(NAME) is None
    assert list((right.folder / ARRIVING / CONTENT).iterdir())
    await right.pull()
    assert right.found() == wanted_files()


async def test_a_node_that_goes_away_is_passed_over_and_the_hub_is_the_last_resort(hub: ModelHub, world: World) -> None:
    world.nodes["left"].shelve(FILES)
    world.away.add("left")
    arrived = await world.nodes["right"].pull(model=CONTENT, revision=COMMIT)
    assert [one.source for one in arrived if one.bytes_total] == [HUB] * (len(arrived) - 2)
    assert [one.source for one in arrived if not one.bytes_total] == ["left", HUB]
    assert world.nodes["right"].found() == wanted_files()


async def test_other_weights_under_a_pinned_revision_are_refused(hub: ModelHub, world: World) -> None:
    with pytest.raises(Damaged, match="other weights of acme/tiny-1M under c0ffeec0ffee"):
        await world.nodes["right"].pull(model="5a" * 32, revision=COMMIT)
    assert world.nodes["right"].shelf.find(NAME) is None


async def test_a_folder_that_no_node_has_any_more_is_not_looked_for_on_the_hub(hub: ModelHub, world: World) -> None:
    with pytest.raises(Unreachable, match="is not from the hub, and no node that has it could give it"):
        await world.nodes["right"].pull(model="5a" * 32)
    with pytest.raises(NotFound, match="no node that can be reached has a model my-folder; to fetch one"):
        await world.nodes["right"].pull(name="my-folder")
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


async def test_another_program_that_fills_the_disk_meanwhile_ends_a_pull_before_the_work_of_the_node_stands_still(
    world: World,
) -> None:
    world.nodes["left"].shelve(FILES)
    right = world.nodes["right"]
    right.shelf.room_by_look = [10**9, -1]
    with pytest.raises(Full, match="filled up while acme/tiny-1M came; what has come is kept"):
        await right.pull()
    assert list((right.folder / ARRIVING / CONTENT).iterdir())


async def test_a_forgotten_download_goes_with_the_next_pull(world: World) -> None:
    world.nodes["left"].shelve(FILES)
    right = world.nodes["right"]
    forgotten = right.folder / ARRIVING / ("5a" * 32)
    forgotten.mkdir()
    os.utime(forgotten, (1.0, 1.0))
    await right.pull()
    assert not forgotten.exists()


async def test_capitals_do_not_make_a_second_model_of_one_that_is_here(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    await left.pull()
    hub.repositories["acme/Tiny-1M"] = Repository({**FILES, "tokenizer.json": b"{}"}, commit="b" * 40)
    await left.pull(name="acme/Tiny-1M", revision="main")
    assert left.found()["tokenizer.json"] == b"{}"
    assert [folder.name for folder in (left.store.folder / "acme").iterdir()] == ["tiny-1M"]


async def test_a_model_that_is_called_as_an_owner_takes_no_other_models_away(hub: ModelHub, world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    await right.pull()
    left.shelve(FILES, "acme")
    with pytest.raises(WrongState, match="holds other models, so none of the name acme fits there"):
        await right.pull(name="acme", model=CONTENT)
    assert right.found() == wanted_files()


async def test_an_owner_that_is_called_as_a_model_is_refused_a_place_in_it(hub: ModelHub, world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    left.shelve(FILES, "acme")
    await right.pull(name="acme")
    with pytest.raises(WrongState, match="can't be put beside the model acme"):
        await right.pull()


async def test_one_of_two_names_of_the_same_weights_goes_and_the_other_stays_whole(hub: ModelHub, world: World) -> None:
    left = world.nodes["left"]
    await left.pull()
    await left.pull(name="acme/alias", model=CONTENT, revision=COMMIT)
    await left.pulls.remove(NAME)
    alias = left.shelf.find("acme/alias")
    assert alias is not None
    assert {name: (alias.path / name).read_bytes() for name in READ} == wanted_files()


async def test_a_revision_that_no_hub_has_the_like_of_is_not_sent_there(hub: ModelHub, world: World) -> None:
    with pytest.raises(BadInput, match="is no revision; give a branch, a tag or a commit"):
        await world.nodes["left"].pull(revision="x" * 251)
    assert hub.asked == []


class Trickle(RemoteCopy):
    """Gives what it has of a file but for the last bytes; for these it takes all the time in the world, or not."""

    def __init__(self, world: World, node: str) -> None:
        super().__init__(node=node, model=CONTENT, channel=lambda: world.channel(node))
        self.offsets: list[int] = []
        self.is_stuck = True

    async def read(self, file: str, offset: int) -> AsyncGenerator[bytes]:
        if file == WEIGHTS:
            self.offsets.append(offset)
        async for data in super().read(file, offset):
            if file == WEIGHTS and self.is_stuck:
                yield data[: len(data) // 2]
                self.is_stuck = False  # the next time it is asked
                await asyncio.Event().wait()
            yield data


async def test_a_node_that_gives_a_model_too_slowly_is_left_for_the_next_which_goes_on_where_it_was(
    world: World,
) -> None:
    for name in ("left", "middle"):
        world.nodes[name].shelve(FILES)
    right = world.nodes["right"]
    right.pace = Pace(size_bytes=1_000_000, seconds=0.3)
    right.open()
    slow, other = Trickle(world, "left"), Trickle(world, "middle")
    other.is_stuck = False
    world.copies = lambda asking, wanted: [slow, other]
    arrived = await right.pull()
    assert [source for source, _ in groupby(one.source for one in arrived)] == ["left", "middle"]
    assert other.offsets[0] > 0
    assert right.found() == wanted_files()


async def test_where_all_nodes_are_slow_the_first_is_asked_once_more_and_waited_for(world: World) -> None:
    for name in ("left", "middle"):
        world.nodes[name].shelve(FILES)
    right = world.nodes["right"]
    right.pace = Pace(size_bytes=1_000_000, seconds=0.3)
    right.open()
    slow, other = Trickle(world, "left"), Trickle(world, "middle")
    world.copies = lambda asking, wanted: [slow, other]
    arrived = await right.pull()
    assert [source for source, _ in groupby(one.source for one in arrived)] == ["left", "middle", "left"]
    assert right.found() == wanted_files()
