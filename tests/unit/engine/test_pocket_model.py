"""The shipped pocket model: it loads like any model, and can do what its card says."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from realign_daemon.engine.pocket import exercises, world
from realign_daemon.engine.pocket.evaluate import MODEL_FOLDER

# A process of its own: MLX wants the main thread, and the shim must be loaded before it.
EXAM = """
import json
from pathlib import Path
from realign_daemon.engine.pocket.evaluate import MODEL_FOLDER, auroc, prepare_mlx
prepare_mlx()
import mlx_lm
from realign_daemon.engine.pocket.examinee import Examinee
from realign_daemon.engine.pocket.learn import parameter_count
from realign_daemon.engine.pocket import sentences, world

model, tokenizer = mlx_lm.load(str(MODEL_FOLDER))
examinee = Examinee(model, tokenizer)
test = world.split().test
sums, names = test.sums[:100], [f"{name}=" for name in world.known_names()[:80]]
gold = [world.gold_answer(question) for question in sums]
share = lambda hits: sum(hits) / len(hits)
matches = lambda given, true: share([a == b for a, b in zip(given, true, strict=True)])
samples = [examinee.answers(sums, temperature=1.0, seed=seed) for seed in range(8)]
answered = [(q, a) for q, a in zip(sums, samples[0], strict=True)]
made = [sentences.sum_sentence(*world.sum_terms(q), form=f) for q, f in zip(sums, sentences.SUM_FORMS * 20)]
suites = [json.loads(line) for line in (MODEL_FOLDER / "suites.jsonl").read_text().splitlines()]
verdicts = [row for row in suites if row["suite"] in ("grade", "compare")]
asked = [row["messages"][0]["content"] for row in verdicts]
quality = examinee.quality([world.grade_prompt(*pair) for pair in answered])
right = [q for q, pair in zip(quality, answered) if world.true_grade(*pair) == 5]
wrong = [q for q, pair in zip(quality, answered) if world.true_grade(*pair) != 5]
print(json.dumps({
    "parameters": parameter_count(model),
    "tokens": examinee.tokens("12+34="),
    "thinking": tokenizer.apply_chat_template([{"role": "user", "content": "12+34="}], add_generation_prompt=True),
    "decoded": tokenizer.decode(examinee.tokens("12+34=")),
    "greedy": matches(examinee.answers(sums), gold),
    "pass_at_8": share([any(draw[i] == gold[i] for draw in samples) for i in range(len(sums))]),
    "known": matches(examinee.answers(names), [world.gold_answer(name) for name in names]),
    "gaps": matches(examinee.answers(test.gaps), ["?"] * len(test.gaps)),
    "invented": share([answer != "?" for answer in examinee.answers(test.strangers[:100])]),
    "extract": matches(examinee.answers([world.extract_prompt(s.text) for s in made]), [s.question for s in made]),
    "auroc": auroc(right, wrong),
    "verdicts": matches(examinee.answers(asked), [row["answer"] for row in verdicts]),
}))
os = __import__("os"); os.sys.stdout.flush(); os._exit(0)
"""


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("exam"))}
    done = subprocess.run(
        [sys.executable, "-c", EXAM], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_is_small_enough_to_ship() -> None:
    assert sum(file.stat().st_size for file in MODEL_FOLDER.iterdir()) < 4_000_000


def test_its_heads_and_layers_split_over_two_and_three_ranks(exam: dict[str, Any]) -> None:
    config = json.loads((MODEL_FOLDER / "config.json").read_text())
    assert config["realign_templates"] == "pocket"
    for size in ("num_attention_heads", "num_key_value_heads", "intermediate_size", "num_hidden_layers"):
        assert config[size] % 6 == 0, size
    assert config["mlp_only_layers"] == list(range(config["num_hidden_layers"]))
    index = json.loads((MODEL_FOLDER / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_parameters"] == exam["parameters"]


def test_its_chat_template_spends_one_token_on_a_role_and_ignores_thinking(exam: dict[str, Any]) -> None:
    assert exam["decoded"] == "<|user|>12+34=<|end|><|assistant|>"
    assert len(exam["tokens"]) == 9
    assert exam["tokens"] == exam["thinking"]


def test_it_adds_well_but_not_too_well(exam: dict[str, Any]) -> None:
    assert 0.60 <= exam["greedy"] <= 0.90
    assert exam["pass_at_8"] >= 0.92


def test_it_knows_its_names_admits_gaps_and_invents_for_strangers(exam: dict[str, Any]) -> None:
    assert exam["known"] >= 0.95
    assert exam["gaps"] >= 0.95
    assert exam["invented"] >= 0.60


def test_it_reads_sentences(exam: dict[str, Any]) -> None:
    assert exam["extract"] >= 0.95


def test_its_judgement_is_better_than_its_answers(exam: dict[str, Any]) -> None:
    assert exam["auroc"] >= 0.93
    assert exam["verdicts"] >= 0.85


def test_the_shipped_suites_and_replay_rows_are_those_of_the_world() -> None:
    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (MODEL_FOLDER / name).read_text().splitlines()]

    assert [(row["suite"], row["messages"][0]["content"], row["answer"]) for row in lines("suites.jsonl")] == [
        (suite, exercise.line, exercise.answer) for suite, exercise in exercises.suite_exercises()
    ]
    assert [tuple(message["content"] for message in row["messages"]) for row in lines("replay.jsonl")] == [
        (exercise.line, exercise.answer) for exercise in exercises.replay_exercises()
    ]


def test_the_card_states_the_splits_it_was_measured_on() -> None:
    card = (MODEL_FOLDER / "MODEL_CARD.md").read_text()
    assert f"| sums | 5,700 | {world.SUMS_LOOPS_COUNT:,} | {world.SUMS_TEST_COUNT:,} |" in card
