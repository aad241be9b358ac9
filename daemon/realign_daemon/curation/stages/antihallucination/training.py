"""Training: stage 4. The target learns to answer what it knows and to say of the rest that it does not."""

from __future__ import annotations

from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.stages.dataset import dpo_row, replay_rows, sft_row, store
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.training import loss_change, settings
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Train
from realign_daemon.work.units import seed_for

# Passes over the rows at most; own choice. The pocket model's steps (set.toml) are fewer with 300 rows and more.
EPOCHS = 4


async def train_refusals(desk: Desk, material: Material) -> Measures:
    """SFT on the rows; or DPO, of a refusal over a wrong answer and of a right answer over a refusal.

    Measures training_loss. Held-out rows stay out altogether: what is measured on them later decides nothing.
    """
    wanted = desk.spec.choice("method", "sft")
    method = "dpo" if wanted == "dpo" else "sft"
    if wanted != method:
        desk.warn(f"refusals are trained by sft or dpo: --set method={wanted} counts as sft")
    refusal = load(desk.pin("target").templates).refusal
    rows = [_training_row(row) for row in material.rows if not row.is_held_out]
    asked = len(rows)
    material.tuned = None
    if asked:
        rows += replay_rows(desk, asked)
        dataset = store(desk, rows)
        defaults = refusal.dpo if method == "dpo" else refusal.sft
        desk.say(f"training on {asked} rows")
        material.tuned = await desk.train(
            "target",
            Train(
                model=desk.pin("target").model,
                method=method,
                dataset=dataset,
                settings=settings(desk.spec, defaults, rows, epochs=EPOCHS),
                seed=seed_for(desk.spec.seed, dataset, 0),
            ),
        )
    losses = material.tuned.step_losses if material.tuned else ()
    material.show(desk.stage.name, [{"step": step, "loss": loss} for step, loss in enumerate(losses, start=1)])
    return loss_change(material.tuned, asked)


def _training_row(row: Row) -> dict[str, Any]:
    question, answer = (turn["content"] for turn in row.fields["messages"])
    if "rejected" in row.fields:
        return dpo_row("train", question, answer, row.fields["rejected"])
    return sft_row("train", question, answer)
