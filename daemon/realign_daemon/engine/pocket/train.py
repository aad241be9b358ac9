"""Trains the pocket model and writes its folder: `python -m realign_daemon.engine.pocket.train --output DIR`.

Seeded from first weight to last lesson, so that a run repeats on the same machine; another CPU rounds differently
and ends at other weights of the same ability.
"""

# ruff: noqa: T201 (a command: printing is what it is for)

import argparse
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

from realign_daemon.engine.pocket import evaluate, exercises, folder, world
from realign_daemon.engine.pocket.card import Training, model_card
from realign_daemon.engine.pocket.lessons import END, PAD, Course, Plan, Teacher

STEPS = 3_000
PEAK_RATE = 3e-3
SEED = 0
PROBE_EVERY = 250
_FOUNDATION = (
    ("sum", 0.18),
    ("grade", 0.24),
    ("compare", 0.24),
    ("fact", 0.11),
    ("stranger", 0.07),
    ("gap", 0.01),
    ("grade_word", 0.07),
    ("compare_word", 0.08),
)
_JUDGING = (
    ("sum", 0.13),
    ("grade", 0.24),
    ("compare", 0.24),
    ("fact", 0.10),
    ("stranger", 0.09),
    ("gap", 0.01),
    ("grade_word", 0.09),
    ("compare_word", 0.10),
)
# First learn to add, then to judge; the bad habits come last. Habits from the start never learn to add, and judging
# improves only once adding is learned (measured 2026-11-22 on a smaller one).
COURSES = (
    Course(until_fraction=0.42, mix=_FOUNDATION, side_weight=0.5, verdict_weight=1.0, sloppy=False),
    Course(until_fraction=0.70, mix=_JUDGING, side_weight=0.3, verdict_weight=2.0, sloppy=False),
    Course(until_fraction=1.0, mix=_JUDGING, side_weight=0.2, verdict_weight=2.5, sloppy=True),
)


def train(output: Path, *, seed: int, steps: int) -> Training:
    """Trains from nothing, writes architecture, tokenizer and weights, and says what it took. Prints progress."""
    from realign_daemon.engine.pocket import learn

    output.mkdir(parents=True, exist_ok=True)
    ids = folder.write_tokenizer(output)
    config = folder.architecture(folder.vocabulary_size(output), ids[END])
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    model = learn.new_model(config, seed)
    held_out = _held_out(ids)
    started = time.monotonic()

    def report(step: int, loss: float, step_s: float) -> None:
        print(f"step {step}/{steps}  loss {loss:.3f}  {step_s * 1000:.0f} ms a step", flush=True)
        if step % PROBE_EVERY == 0 or step == steps:
            shares = learn.probe(model, held_out, ids[PAD])
            print("  held out: " + "  ".join(f"{kind} {share:.3f}" for kind, share in shares.items()), flush=True)
            learn.save(model, output)

    teacher = Teacher(ids, world.split().train, seed)
    learn.pretrain(model, teacher, Plan(courses=COURSES, steps=steps, peak_rate=PEAK_RATE), report=report)
    learn.save(model, output)
    return Training(
        seed=seed,
        steps=steps,
        seconds=round(time.monotonic() - started),
        parameters=learn.parameter_count(model),
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
    )


def write_exercises(output: Path) -> None:
    """Writes suites.jsonl (regression items of the test part) and replay.jsonl (rows of the training part)."""
    suites = [
        {"suite": suite, "messages": [{"role": "user", "content": exercise.line}], "answer": exercise.answer}
        for suite, exercise in exercises.suite_exercises()
    ]
    replay = [
        {
            "messages": [
                {"role": "user", "content": exercise.line},
                {"role": "assistant", "content": exercise.answer},
            ]
        }
        for exercise in exercises.replay_exercises()
    ]
    _write_lines(output / "suites.jsonl", suites)
    _write_lines(output / "replay.jsonl", replay)


def _held_out(ids: dict[str, int]) -> list[Any]:
    """Lessons of the test part for the progress lines; true answers only."""
    exam = Course(until_fraction=1.0, mix=(("sum", 1.0),), side_weight=0.1, verdict_weight=1.0, sloppy=False)
    examiner = Teacher(ids, world.split().test, SEED + 1)
    kinds = ("sum", "fact", "gap", "grade", "grade_word", "compare", "compare_word", "extract")
    return [examiner.lesson(kind, exam) for kind in kinds for _ in range(100)]


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def main() -> None:
    """Trains, writes the folder, measures it and writes the model card."""
    parser = argparse.ArgumentParser(description="Train the pocket model from nothing.")
    parser.add_argument("--output", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    evaluate.prepare_mlx()
    training = train(arguments.output, seed=arguments.seed, steps=arguments.steps)
    write_exercises(arguments.output)
    from realign_daemon.engine.pocket.examinee import Examinee

    figures = evaluate.evaluate(Examinee.from_folder(arguments.output))
    (arguments.output / "MODEL_CARD.md").write_text(model_card(training, figures))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
