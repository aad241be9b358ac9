"""Parts: which questions are trained on, which fit the scale of the confidences, and which measure what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from realign_daemon.curation.stages.prompts import held_out_sections
from realign_daemon.work.units import seed_for

if TYPE_CHECKING:
    from realign_daemon.curation.material import Prompt
    from realign_daemon.curation.stages.antihallucination.probe import Probe
    from realign_daemon.curation.stages.prompts import Section

Part = Literal["training", "scaling", "test"]

# Of the held-out questions, those that nothing but the scale is fitted on, where passages are drawn. Own choice.
SCALING_FRACTION = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where each question is used. A twin is where its answerable question is, since both have the same passage."""

    sections: frozenset[Section]  # held-out ones, for the scale; none where passages are drawn instead
    seed: int

    def of(self, prompt: Prompt) -> Part:
        """The part of a prompt."""
        if not prompt.is_held_out:
            return "training"
        chunk = prompt.chunk
        if self.sections:
            return "scaling" if (chunk.source_sha256, chunk.section) in self.sections else "test"
        return "scaling" if seed_for(self.seed, chunk.id, 1) / 2**31 < SCALING_FRACTION else "test"


def parts_of(probes: Sequence[Probe], *, seed: int) -> Parts:
    """Whole sections for the scale, drawn from those held out as these are from all; passages of a single one."""
    held_out = [one.prompt.chunk for one in probes if one.prompt.is_held_out and one.question.origin == "source"]
    return Parts(sections=held_out_sections(held_out, seed), seed=seed)
