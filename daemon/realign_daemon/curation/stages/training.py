"""Training: stage 5 of DPO, and what all training stages share: settings, and whether the loss fell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.spec import JobSpec
from realign_daemon.curation.stages import evaluation
from realign_daemon.curation.stages.dataset import dpo_row, most_tokens, replay_rows, store
from realign_daemon.curation.stages.measures import Measures, exact, rate
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Train, Trained, TrainSettings
from realign_daemon.work.units import seed_for

WINDOW_FRACTION = 0.2  # the first and the last fifth of the steps are compared


async def train_dpo(desk: Desk, material: Material) -> Measures:
    """DPO with the likelihood term on the chosen answers, from the baseline.

    Measures training_loss, reward_accuracy over held-out pairs (per example, never on batch means), and task_metric:
    the change of judged quality of greedy answers to held-out prompts.
    """
    templates = load(desk.pin("target").templates)
    rows = [
        dpo_row(
            "valid" if row.is_held_out else "train",
            row.fields["prompt"],
            row.fields["chosen"],
            row.fields["rejected"],
        )
        for row in material.rows
    ]
    training = sum(row["split"] == "train" for row in rows)
    if training:
        rows += replay_rows(desk, training)
        dataset = store(desk, rows)
        desk.say(f"training on {training} pairs")
        material.tuned = await desk.train(
            "target",
            Train(
                model=desk.pin("target").model,
                adapter=material.adapter,
                method="dpo",
                dataset=dataset,
                settings=settings(desk.spec, templates.training("dpo"), rows),
                seed=seed_for(desk.spec.seed, dataset, 0),
            ),
        )
    margins = material.tuned.valid_margins if material.tuned else ()
    return {
        **loss_change(material.tuned, training),
        "reward_accuracy": rate("reward_accuracy", sum(margin > 0 for margin in margins), len(margins)),
        "task_metric": await evaluation.quality_change(desk, material),
    }


def settings(spec: JobSpec, defaults: TrainSettings, rows: Iterable[Mapping[str, Any]]) -> TrainSettings:
    """The template set's settings with the job's `--set` values over them, and room for every row.

    The engine refuses a whole data set for one row that is too long, so the limit is at least what the longest row
    can take (see dataset.most_tokens): with `--set max_tokens` an answer can be longer than the defaults foresee.
    """
    return replace(
        defaults,
        learning_rate=spec.setting("learning_rate", defaults.learning_rate),
        steps=max(1, int(spec.setting("steps", defaults.steps))),
        nll_weight=spec.setting("nll_weight", defaults.nll_weight),
        beta=spec.setting("beta", defaults.beta),
        max_tokens=max([defaults.max_tokens, *map(most_tokens, rows)]),
    )


def loss_change(trained: Trained | None, asked: int) -> Measures:
    """training_loss: mean loss of the last fifth of the steps minus that of the first.

    Not a number where it diverged, and where training on `asked` rows gave nothing: a failed training must not pass.
    """
    losses = trained.step_losses if trained else ()
    if not losses:
        return exact("training_loss", math.nan if asked else None, asked)
    window = max(1, round(len(losses) * WINDOW_FRACTION))
    change = sum(losses[-window:]) / window - sum(losses[:window]) / window
    return exact("training_loss", change if all(map(math.isfinite, losses)) else math.nan, len(losses))
