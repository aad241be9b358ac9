"""Training: stage 5 of DPO, and what all training stages share: settings, and whether the loss fell."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
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
from realign_planner.gates import Measure

# More passes over few rows make every answer the same: after 5 passes over about 110 answers the pocket model's
# responses differed for 45 to 59 % of the prompts, after 2 for 57 to 68 % (seeds 7, 1 and 4; 2026-11-23).
SFT_EPOCHS = 2
DPO_EPOCHS = 10
NORMAL_95 = 1.96  # standard errors on each side of a 95 % interval


async def train_dpo(desk: Desk, material: Material) -> Measures:
    """DPO with the likelihood term on the chosen answers, from the baseline.

    Measures training_loss, reward_accuracy over held-out pairs (per example, never on batch means), and task_metric:
    the change of judged quality of greedy answers to held-out prompts. Reports reward_margin and displacement (the mean
    change of the chosen answers' log-probability: far below 0 they were unlearned with the rejected ones).
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
                settings=settings(desk.spec, templates.training("dpo"), rows, epochs=DPO_EPOCHS),
                seed=seed_for(desk.spec.seed, dataset, 0),
            ),
        )
    margins = material.tuned.valid_margins if material.tuned else ()
    last = material.tuned.points[-1] if material.tuned and material.tuned.points else None
    return {
        **loss_change(material.tuned, training),
        "reward_accuracy": rate("reward_accuracy", sum(margin > 0 for margin in margins), len(margins)),
        "task_metric": await evaluation.quality_change(desk, material),
        **exact("reward_margin", last and last.reward_margin, len(margins)),
        **exact("displacement", last and last.chosen_logratio, len(margins)),
    }


def settings(
    spec: JobSpec, defaults: TrainSettings, rows: Sequence[Mapping[str, Any]], *, epochs: int
) -> TrainSettings:
    """The template set's settings with the job's `--set` values over them, and room for every row.

    Without `--set steps` few rows get few steps: at most `epochs` passes over them.

    The engine refuses a whole data set for one row that is too long, so the limit is at least what the longest row
    can take (see dataset.most_tokens): with `--set max_tokens` an answer can be longer than the defaults foresee.
    """
    passes = math.ceil(epochs * sum(row["split"] != "valid" for row in rows) / defaults.batch_size)
    return replace(
        defaults,
        learning_rate=spec.setting("learning_rate", defaults.learning_rate),
        steps=max(1, int(spec.setting("steps", min(defaults.steps, passes)))),
        nll_weight=spec.setting("nll_weight", defaults.nll_weight),
        beta=spec.setting("beta", defaults.beta),
        max_tokens=max([defaults.max_tokens, *map(most_tokens, rows)]),
    )


def loss_change(trained: Trained | None, asked: int) -> Measures:
    """training_loss: mean loss of the second half of the steps minus that of the first, with its 95 % interval.

    The interval is Welch's with the normal quantile: losses of single batches scatter, and a baseline that starts from
    the model's own answers has little to gain. Not a number where it diverged, and where training on `asked` rows gave
    nothing: a failed training must not pass.
    """
    losses = trained.step_losses if trained else ()
    if not losses:
        return exact("training_loss", math.nan if asked else None, asked)
    if not all(map(math.isfinite, losses)):
        return exact("training_loss", math.nan, len(losses))
    middle = len(losses) // 2
    first, second = losses[:middle], losses[middle:]
    if min(len(first), len(second)) < 2:  # noqa: PLR2004 - one loss has no spread
        return exact("training_loss", None, len(losses))
    change = statistics.fmean(second) - statistics.fmean(first)
    error = math.sqrt(statistics.variance(first) / len(first) + statistics.variance(second) / len(second))
    measure = Measure(
        metric="training_loss",
        value=change,
        low=change - NORMAL_95 * error,
        high=change + NORMAL_95 * error,
        n=len(losses),
    )
    return {"training_loss": measure}
