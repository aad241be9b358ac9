"""SFT baseline: stage 1 of DPO. Gives the target the style of the answers before preferences are trained."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.stages import answers, grounding, prompts, suites
from realign_daemon.curation.stages.dataset import replay_rows, sft_row, store
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.training import SFT_EPOCHS, loss_change, settings
from realign_daemon.curation.templates import TemplateSet, load
from realign_daemon.engine.api import Train
from realign_daemon.work.units import seed_for


async def sft_baseline(desk: Desk, material: Material) -> Measures:
    """Prompts, a LoRA baseline on written answers, and the frozen suites. Measures text_ratio and training_loss."""
    templates = load(desk.pin("target").templates)
    measures = await grounding.read_sources(desk, material, templates)
    if desk.is_rejected(measures["text_ratio"]):
        return measures | loss_change(None, 0)  # no question to such text is worth the time
    await prompts.draw_prompts(desk, material)
    desk.say("freezing the regression suites")
    material.suites_before = await suites.run(desk, adapter=None)
    rows = await _written(desk, templates, [prompt for prompt in material.prompts if not prompt.is_held_out])
    asked = len(rows)
    if not asked:
        return measures | loss_change(None, asked)
    rows += replay_rows(desk, asked)
    dataset = store(desk, rows)
    desk.say(f"training the baseline on {asked} answers")
    material.baseline = await desk.train(
        "target",
        Train(
            model=desk.pin("target").model,
            method="sft",
            dataset=dataset,
            settings=settings(desk.spec, templates.training("sft"), rows, epochs=SFT_EPOCHS),
            seed=seed_for(desk.spec.seed, dataset, 0),
        ),
    )
    return measures | loss_change(material.baseline, asked)


async def _written(desk: Desk, templates: TemplateSet, prompts: list[Prompt]) -> list[dict[str, object]]:
    """One answer a prompt, written with the passage at hand, as training rows."""
    desk.say(f"writing {len(prompts)} answers")
    temperature = templates.template("answer").sampler.temperature
    written = await answers.sample(
        desk, prompts, role="generator", kind="answer", temperatures=(temperature,), adapter=None
    )
    return [sft_row("train", one.prompt.question, one.text) for one in written if one.text and not one.is_truncated]
