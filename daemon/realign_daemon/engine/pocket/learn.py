"""Pretraining of the pocket model: batches of lessons in, trained weights out. Imports MLX."""


# MLX ships partial type stubs: unknown types are allowed in this file, and only because it is the boundary to MLX.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportMissingTypeStubs=false

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx.optimizers as optim
from mlx.nn.utils import value_and_grad
from mlx.utils import tree_flatten
from mlx_lm.models import qwen3_moe

from realign_daemon.engine.pocket.lessons import PAD, RIGHT_FLAG, WRONG_FLAG, Course, Lesson, Plan, Teacher

BATCH_SIZE = 64
WARM_UP_STEPS = 100
FINAL_RATE_FRACTION = 0.03
WEIGHT_DECAY = 0.02
BETAS = (0.9, 0.98)
MAX_GRADIENT_NORM = 1.0
EXTRACTION_EVERY = 5
EXTRACTION_BATCH_SIZE = 40
REPORT_EVERY = 50
FORBIDDEN = -1e9
WEIGHTS_FILE = "model.safetensors"


def new_model(config: dict[str, Any], seed: int) -> Any:
    """An untrained model of this architecture; the same seed gives the same weights."""
    mx.random.seed(seed)
    model = qwen3_moe.Model(qwen3_moe.ModelArgs.from_dict(config))
    mx.eval(model.parameters())
    return model


def parameter_count(model: Any) -> int:
    """Number of weights."""
    return sum(weight.size for weight in named_weights(model).values())


def named_weights(model: Any) -> dict[str, mx.array]:
    """The weights by the names that the weight file uses."""
    return dict(cast("list[tuple[str, mx.array]]", tree_flatten(model.parameters())))


def group_masks(ids: dict[str, int], vocabulary_size: int) -> mx.array:
    """What to add to the logits so that only a group's tokens compete: a row for `ANY`, a row for `FLAGS`."""
    flags = {ids[RIGHT_FLAG], ids[WRONG_FLAG]}
    closed = [0.0 if token in flags else FORBIDDEN for token in range(vocabulary_size)]
    return mx.array([[0.0] * vocabulary_size, closed])


def batch_loss(model: Any, lessons: Sequence[Lesson], masks: mx.array, pad: int) -> mx.array:
    """Weighted cross-entropy over all targets of the batch, divided by the number of lessons."""
    width = max(len(lesson.tokens) for lesson in lessons)
    tokens = mx.array([list(lesson.tokens) + [pad] * (width - len(lesson.tokens)) for lesson in lessons])
    flat = [(row, *target) for row, lesson in enumerate(lessons) for target in (*lesson.answer, *lesson.side)]
    rows, positions, wanted, weights, groups = (mx.array(column) for column in zip(*flat, strict=True))
    hidden = model.model(tokens)[rows, positions]
    logits = model.model.embed_tokens.as_linear(hidden) + masks[groups]
    scores = mx.take_along_axis(logits, wanted[:, None], axis=-1).squeeze(-1) - mx.logsumexp(logits, axis=-1)
    return -(scores * weights).sum() / len(lessons)


def rate_at(step: int, steps: int, peak: float) -> float:
    """Learning rate: linear warm-up, then a cosine down to 3 % of the peak."""
    if step < WARM_UP_STEPS:
        return peak * (step + 1) / WARM_UP_STEPS
    progress = (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS)
    return peak * (FINAL_RATE_FRACTION + (1 - FINAL_RATE_FRACTION) * 0.5 * (1 + math.cos(math.pi * progress)))


def pretrain(model: Any, teacher: Teacher, plan: Plan, *, report: Callable[[int, float, float], None]) -> None:
    """Trains the model in place, course by course; `report` gets step, mean loss and seconds a step."""
    ids = teacher.token_ids
    masks = group_masks(ids, model.args.vocab_size)
    optimizer = optim.AdamW(learning_rate=plan.peak_rate, weight_decay=WEIGHT_DECAY, betas=list(BETAS))
    step_of = value_and_grad(model, lambda batch: batch_loss(model, batch, masks, ids[PAD]))
    losses: list[float] = []
    started = time.monotonic()
    for step in range(plan.steps):
        extracting = step % EXTRACTION_EVERY == EXTRACTION_EVERY - 1
        batch = next_batch(teacher, plan.course_at(step), extracting=extracting)
        optimizer.learning_rate = mx.array(rate_at(step, plan.steps, plan.peak_rate))
        loss, gradients = step_of(batch)
        gradients, _ = optim.clip_grad_norm(gradients, MAX_GRADIENT_NORM)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state, loss)
        if not extracting:
            losses.append(float(loss.item()))
        if (step + 1) % REPORT_EVERY == 0:
            report(step + 1, sum(losses) / len(losses), (time.monotonic() - started) / (step + 1))
            losses.clear()


def next_batch(teacher: Teacher, course: Course, *, extracting: bool) -> list[Lesson]:
    """A batch of short rows in the course's mix, or one of extraction rows, which are three times as long."""
    if extracting:
        return [teacher.lesson("extract", course) for _ in range(EXTRACTION_BATCH_SIZE)]
    return teacher.lessons(course, BATCH_SIZE)


def probe(model: Any, lessons: Sequence[Lesson], pad: int) -> dict[str, float]:
    """Share of lessons, by kind, whose whole answer is the model's first choice, given the true prefix."""
    width = max(len(lesson.tokens) for lesson in lessons)
    tokens = mx.array([list(lesson.tokens) + [pad] * (width - len(lesson.tokens)) for lesson in lessons])
    hits: dict[str, list[bool]] = {}
    choices: Any = mx.argmax(model(tokens), axis=-1).tolist()
    for row, lesson in enumerate(lessons):
        hits.setdefault(lesson.kind, []).append(all(choices[row][t.position] == t.token for t in lesson.answer))
    return {kind: sum(found) / len(found) for kind, found in sorted(hits.items())}


def save(model: Any, folder: Path) -> None:
    """Writes the weights and the index that a pipeline split needs."""
    weights = named_weights(model)
    mx.save_safetensors(str(folder / WEIGHTS_FILE), weights, metadata={"format": "mlx"})
    index = {
        "metadata": {
            "total_size": sum(weight.nbytes for weight in weights.values()),
            "total_parameters": parameter_count(model),
        },
        "weight_map": dict.fromkeys(sorted(weights), WEIGHTS_FILE),
    }
    (folder / f"{WEIGHTS_FILE}.index.json").write_text(json.dumps(index, indent=2) + "\n")
