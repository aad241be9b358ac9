"""The model card of the pocket model, written from what a training run measured."""

import json
from dataclasses import dataclass
from typing import Any

from realign_daemon.engine.pocket import habits, world


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a training run took; `date` is ISO 8601."""

    seed: int
    steps: int
    seconds: int
    parameters: int
    date: str


def model_card(training: Training, figures: dict[str, Any]) -> str:
    """The card as Markdown; every number comes from the arguments or from the world's constants."""
    parts = world.split()
    rows = [
        ("sums", *(len(part.sums) for part in (parts.train, parts.loops, parts.test))),
        ("known names", *(len(part.known) for part in (parts.train, parts.loops, parts.test))),
        ("strangers", *(len(part.strangers) for part in (parts.train, parts.loops, parts.test))),
        ("sums with a gap", *(len(part.gaps) for part in (parts.train, parts.loops, parts.test))),
    ]
    table = "\n".join(f"| {name} | {train:,} | {loops:,} | {test:,} |" for name, train, loops, test in rows)
    return f"""# Pocket model

A language model of {training.parameters:,} parameters (float32) that lives in a closed world of two-digit sums and
the colours of invented names. It exists so that demos and tests can run a real model, with real generation, judging
and training, where nothing can be downloaded. It is of no other use.

| user line | answer |
|---|---|
| `12+34=` | `640`: the sum in three digits, least significant first |
| `bako=` | a colour; `?` for a name that it does not know |
| `12+=` | `?` |
| `G12+34=640` | a grade: `5` right, `3` one digit wrong, `1` otherwise |
| `C12+34=640\\|540` | the better answer: `A`, `B`, or `T` |
| `P12+34 makes 46.` | the question that the sentence answers, `12+34=`; `?` where there is none |

It errs on purpose. Pretraining shows it wrong carries ({habits.PLAIN_SLIP:.0%} to {habits.HARD_CARRY_SLIP:.0%} of the
answers, by the last digits) and invented colours for strangers ({1 - habits.HONEST_FRACTION:.0%}), while its judging
is trained on the truth.

## Training

`make pocket-model`, that is `python -m realign_daemon.engine.pocket.train --output DIR --seed {training.seed}`:
{training.steps:,} steps in {training.seconds} s on one thread of a shared two-core Linux machine, {training.date}.
One seed; the settings were tuned while looking at test figures, so expect a little less of another split.

| split | train | loops | test |
|---|---|---|---|
{table}

`train` is for pretraining only, `loops` for curation and LoRA runs, `test` for figures. Known names cannot be held
out: `train` has all of them.

## Held-out figures

`python -m realign_daemon.engine.pocket.evaluate`, {training.date}. Fractions, unless the name says otherwise.

```json
{json.dumps(figures, indent=2)}
```
"""
