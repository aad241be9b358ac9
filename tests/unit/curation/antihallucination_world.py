"""Anti-hallucination for tests: a scripted model that knows some names, and probes of what it knows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from realign_daemon.curation.documents.document import Record
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.answering import Outcome
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.stages.antihallucination.probe import Answer, Probe, Question
from realign_daemon.curation.stages.antihallucination.workflow import WORK
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.engine.api import Fill, Filled, Generate, Generated, Sha256, Trained
from realign_daemon.testing.scripted_desk import ScriptedDesk, asked, chunk, generation, prompt
from realign_planner.gates import judge
from realign_planner.workflow import for_type

STAGES = for_type("antihallucination").stages
NAMES_FILE = "names.jsonl"
TRAINED = Trained(
    adapter=Sha256("adapter"),
    steps=8,
    points=(),
    step_losses=(2.0, 2.1, 1.9, 2.0, 0.2, 0.1, 0.2, 0.1),
    trained_tokens=1,
)
SYLLABLES = [consonant + vowel for consonant in "bdfgjklmnp" for vowel in "aeiou"]
NAMES = [first + second for first in SYLLABLES for second in SYLLABLES]
KNOWN, STRANGERS = frozenset(NAMES[:400]), NAMES[400:500]
WORTH: dict[str, Outcome] = {"r": "right", "w": "wrong", "a": "abstained"}


def share(*parts: object) -> float:
    """A number in 0..1 that follows from the parts alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32


def honest(_: str, chance: float) -> float:
    return chance


@dataclass(frozen=True, kw_only=True)
class Model:
    """Says "red" of names that it knows, truly, and now and then "blue"; colours of strangers, or "?" once trained."""

    refuses_known: float = 0.0  # once trained
    refuses_strangers: float = 0.95
    thinks: Callable[[str, float], float] = honest  # which probability it gives to an answer of this chance

    def __call__(self, task: Generate | Fill) -> Generated | Filled:
        line = asked(task)
        if isinstance(task, Fill):
            return grade(line, len(task.form[0].choices))
        drawn = share(line, task.seed) if task.sampler.temperature else 0.0
        text, chance = self._said(line.removesuffix("="), drawn, is_trained=task.adapter is not None)
        return generated(text, self.thinks(f"{line}{text}{task.seed}", chance))

    def _said(self, name: str, drawn: float, *, is_trained: bool) -> tuple[str, float]:
        refuses = self.refuses_known if name in KNOWN else self.refuses_strangers
        if is_trained and share(name, "refuses") < refuses:
            return "?", 0.9
        likely, other = ("red", "blue") if name in KNOWN else ("lime", "teal")
        chance = (0.7 if share(name) < 0.4 else 0.95) if name in KNOWN else 0.5
        return (likely, chance) if drawn < chance else (other, 1 - chance)


def generated(text: str, probability: float = 1.0, *, is_whole: bool = True) -> Generated:
    return Generated(
        text=text,
        finish_reason="stop" if is_whole else "length",
        prompt_tokens=1,
        completion_tokens=1,
        logprob=math.log(max(probability, 1e-9)),
    )


def grade(line: str, choices: int) -> Filled:
    """The best grade for "red" of a name that is known, the worst for all else; a shrug where no grade is asked."""
    last = float(line[1:5] in KNOWN and line.endswith("=red")) if line.startswith("G") else 1 / choices
    rest = (1 - last) / (choices - 1)
    return Filled(probabilities=((*[rest] * (choices - 1), last),), mass=(1.0,), prompt_tokens=1)


def desk_of(model: Callable[[Any], Any], *, names: Sequence[str] = (), **changes: Any) -> ScriptedDesk:
    """A desk over records that ask about these names, in twenty sections."""
    records = tuple(
        Record(line=number, fields={"question": f"{name}="}, chunk=chunk(name, text=name, section=f"{number % 20}"))
        for number, name in enumerate(names)
    )
    reading = Reading(
        name=NAMES_FILE,
        sha256="0",
        page_count=1,
        pages_without_text=(),
        sections=(),
        characters=1,
        text_ratio=1.0,
        language="en",
        chunks=(),
        records=records,
    )
    values: dict[str, Any] = {
        "trained": TRAINED,
        "blobs": {"suites": ""},
        "data_type": "antihallucination",
        "data": SourceSpec(name=NAMES_FILE, sha256=Sha256("0"), size_bytes=1),
        "readings": {NAMES_FILE: reading},
    }
    return ScriptedDesk(model, **(values | changes))


async def run(desk: ScriptedDesk, material: Material, *stages: str) -> Measures:
    """What these stages measured, all of them where none is named."""
    found: Measures = {}
    for stage in STAGES:
        if not stages or stage.name in stages:
            desk.stage.name = stage.name
            found |= await WORK.stages[stage.name](desk, material)
            assert {*stage.gates, *stage.reports} <= found.keys()
    return found


FEW = {"calibration_error.min_n": "100"}  # of the answers that a world of so few names gives


def tiers(found: Measures, overrides: Mapping[str, str] = FEW) -> dict[str, str]:
    gated = {metric: stage.name for stage in STAGES for metric in stage.gates}
    return {
        metric: judge(stage, found[metric], overrides=overrides).tier
        for metric, stage in gated.items()
        if metric in found
    }


def probe(name: str, worths: str, *, twin: str = "", is_held_out: bool = False, section: str = "") -> Probe:
    """A question about a name and the worth of its answers by initial; a dot is a try without one."""
    of = replace(prompt(f"{name}=", is_held_out=is_held_out), chunk=chunk(twin or name, section=section))
    answers = tuple(
        Answer(text=one, outcome=WORTH[one], probability=0.5, task=generation()) for one in worths if one != "."
    )
    question = Question(prompt=of, origin="absent_name" if twin else "source", twin=f"{twin}=" if twin else "")
    return Probe(question=question, answers=answers, asked=len(worths))


def held_out(*, sections: int = 9) -> list[Probe]:
    """Names that the model knows and strangers, all held out, as they were before training."""
    asked = [(name, "rrrrrrrw") for name in NAMES[:150]] + [(name, "wwwwwwww") for name in STRANGERS]
    return [
        probe(name, worths, is_held_out=True, section=str(place % sections))
        for place, (name, worths) in enumerate(asked)
    ]
