"""Given pairs: preferences that somebody has already, taken over at the stage that scores them."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.documents.document import Record
from realign_daemon.curation.fields import value_of
from realign_daemon.curation.material import GivenPair, Material, Prompt, Response
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages import grounding, prompts, suites
from realign_daemon.curation.templates import load

FIRST_STAGE = "score_pairs"


async def take_pairs(desk: Desk, material: Material) -> str:
    """Fills prompts, responses and given pairs from the records; scoring comes first.

    There is no SFT baseline: the target itself is the reference.
    """
    await grounding.read_sources(desk, material, load(desk.pin("target").templates))
    material.suites_before = await suites.run(desk, adapter=None)
    await prompts.draw_prompts(desk, material)
    by_chunk = {record.chunk.id: record for record in material.records}
    material.given = []
    for prompt in material.prompts:
        chosen, rejected = (_response(desk, prompt, by_chunk[prompt.chunk.id], side) for side in ("chosen", "rejected"))
        if chosen is None or rejected is None or normalise(chosen.text) == normalise(rejected.text):
            reason = "the record has no two different answers"
            material.drop(desk.stage.name, reason, chunk=prompt.chunk, question=prompt.question)
        else:
            material.given.append(GivenPair(prompt=prompt, chosen=chosen, rejected=rejected))
    material.prompts = [pair.prompt for pair in material.given]
    material.responses = [response for pair in material.given for response in (pair.chosen, pair.rejected)]
    return FIRST_STAGE


def _response(desk: Desk, prompt: Prompt, record: Record, side: str) -> Response | None:
    text = value_of("chosen" if side == "chosen" else "rejected", record.fields, desk.spec.columns)
    return Response(prompt=prompt, text=text, task=None, is_truncated=False) if text else None
