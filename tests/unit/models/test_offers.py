"""What a submit asks the hub, and what it is pinned to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.model_hub import COMMIT, ModelHub
from tests.unit.models.conftest import NAME

from realign_daemon.curation.colleague import Colleague
from realign_daemon.curation.intake import Request, prepare_plan, request_of
from realign_daemon.errors import BadInput, NothingFits
from realign_daemon.models.hub import Hub
from realign_daemon.models.offers import Offers
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.testing.job_home import OneColleague
from realign_daemon.testing.scripted_desk import job_spec

REQUEST = Request(text="Curate SFT pairs", model=NAME)


def node(*, room_bytes: int = 10**9) -> Colleague:
    (one,) = OneColleague().alive()
    return replace(one, room_bytes=room_bytes)


async def completed(request: Request = REQUEST) -> Request:
    return await Offers(Hub(InlineWorker), lambda: (node(),)).completed(request)


async def test_a_model_that_no_node_has_is_pinned_to_what_the_hub_has_now(hub: ModelHub) -> None:
    prepared = prepare_plan(await completed(), (node(),))
    pin = prepared.roles["target"]
    assert (pin.name, pin.revision, pin.weight_bytes, pin.templates) == (NAME, COMMIT, pin.weight_bytes, "pocket")
    assert {one.model for one in prepared.roles.values()} == {pin.model}
    again = prepare_plan(request_of(replace(job_spec(), roles=prepared.roles)), (node(),))
    assert again.roles == prepared.roles


async def test_a_model_that_a_node_has_is_asked_of_nobody(hub: ModelHub) -> None:
    request = Request(text="Curate SFT pairs", model="pocket")
    assert await completed(request) == request
    assert hub.asked == []


@pytest.mark.parametrize(
    ("wish", "advice"),
    [({"bits": 4}, "folder$"), ({"text": "Curate SFT pairs on the 4-bit adder"}, r"give --bits \d+")],
)
def test_weights_of_other_bits_than_wanted_are_not_passed_off_as_those(wish: dict[str, Any], advice: str) -> None:
    request = replace(Request(text="Curate SFT pairs", model="pocket"), **wish)
    with pytest.raises(
        BadInput, match=r"the weights of pocket have \d+ bits, not 4, .* conversion of it to 4 bits.*" + advice
    ):
        prepare_plan(request, (node(),))


async def test_a_model_that_has_room_on_no_disk_fits_nowhere(hub: ModelHub) -> None:
    with pytest.raises(NothingFits, match="or room on its disk"):
        prepare_plan(await completed(), (node(room_bytes=1000),))


async def test_without_the_hub_the_sentence_says_what_else_there_is(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        NothingFits, match=rf"no living node has the weights of {NAME}, and HF_HUB_OFFLINE.*--model pocket"
    ):
        await completed()


async def test_a_gated_model_is_refused_at_submit(hub: ModelHub) -> None:
    hub.repositories[NAME].gated = True
    with pytest.raises(BadInput, match="accept its licence"):
        await completed()
