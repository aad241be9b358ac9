"""Held-out figures of a pocket model as JSON: `python -m realign_daemon.engine.pocket.evaluate [FOLDER]`.

Questions come from the test part of the world, which neither pretraining nor the loops see; known names are the
exception (see `world.Split`). Answers under judgement are the model's own samples at temperature 1.
"""

# ruff: noqa: T201 (a command: printing is what it is for)

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realign_daemon.engine.blas import build_shim, load_shim
from realign_daemon.engine.pocket import habits, sentences, world

if TYPE_CHECKING:
    from realign_daemon.engine.pocket.examinee import Examinee

MODEL_FOLDER = Path(__file__).with_name("model")
PASS_SAMPLES = 8
# The generation stage samples each prompt at several temperatures; these are the demo's.
PAIR_TEMPERATURES = (0.7, 0.9, 1.1, 1.3)
# The preference gap from which a pair counts, in the tier table of the workflows.
HIGH_GAP = 0.15
GRADES, VERDICTS = "12345", "ABT"

Figures = dict[str, Any]


def evaluate(examinee: "Examinee", *, count: int = 400, seed: int = 0) -> Figures:
    """All held-out figures, over `count` sums and as many pairs; fractions unless the name says otherwise."""
    test = world.split().test
    sums = test.sums[:count]
    samples = [examinee.answers(sums, temperature=1.0, seed=seed + draw) for draw in range(PASS_SAMPLES)]
    return {
        "sums": _sums(examinee, sums, samples),
        "grade": _grade(examinee, sums, samples),
        "compare": _compare(examinee, sums, samples),
        "pairs": _pairs(examinee, sums, seed),
        "words": _words(examinee, test, seed),
        "facts": _facts(examinee, test, seed),
        "extract": _extract(examinee, test, seed),
    }


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """The chance that a positive scores above a negative, ties counting half; NaN where either side is empty."""
    if not positives or not negatives:
        return float("nan")
    wins = sum((high > low) + 0.5 * (high == low) for high in positives for low in negatives)
    return wins / (len(positives) * len(negatives))


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return round(sum(found) / len(found), 4) if found else float("nan")


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else float("nan")


def _sums(examinee: "Examinee", sums: Sequence[str], samples: list[list[str]]) -> Figures:
    gold = [world.gold_answer(question) for question in sums]
    right = [[answer == true for answer, true in zip(draw, gold, strict=True)] for draw in samples]
    by_question = list(zip(*right, strict=True))
    greedy = examinee.answers(sums)
    return {
        "n": len(sums),
        "greedy_accuracy": _share(answer == true for answer, true in zip(greedy, gold, strict=True)),
        "sampled_accuracy": _share(hit for draw in right for hit in draw),
        "pass_at_8": _share(any(hits) for hits in by_question),
        "mixed_at_8": _share(any(hits) and not all(hits) for hits in by_question),
        "malformed": _share(
            not (len(answer) == world.SUM_DIGITS and answer.isdigit()) for draw in samples for answer in draw
        ),
    }


def _grade(examinee: "Examinee", sums: Sequence[str], samples: list[list[str]]) -> Figures:
    judged = [(question, answer) for draw in samples[:2] for question, answer in zip(sums, draw, strict=True)]
    lines = [world.grade_prompt(*pair) for pair in judged]
    truth = [world.true_grade(*pair) for pair in judged]
    given = [int(verdict) for verdict in examinee.verdicts(lines, GRADES)]
    quality = examinee.quality(lines)
    right = [q for q, grade in zip(quality, truth, strict=True) if grade == world.BEST_GRADE]
    wrong = [q for q, grade in zip(quality, truth, strict=True) if grade != world.BEST_GRADE]
    recalls = {
        f"recall_{level}": _share(g == t for g, t in zip(given, truth, strict=True) if t == level)
        for level in (5, 3, 1)
    }
    return {
        "n": len(judged),
        "accuracy": _share(g == t for g, t in zip(given, truth, strict=True)),
        **recalls,
        "auroc": round(auroc(right, wrong), 4),
        "quality_right": _mean(right),
        "quality_wrong": _mean(wrong),
    }


def _compare(examinee: "Examinee", sums: Sequence[str], samples: list[list[str]]) -> Figures:
    pairs = [
        (question, first, second)
        for question, first, second in zip(sums, samples[0], samples[1], strict=True)
        if (first == world.gold_answer(question)) != (second == world.gold_answer(question))
    ]
    other = list(zip(sums, samples[2], samples[3], strict=True))
    forth, back = _both_orders(examinee, pairs)
    truth = [world.true_preference(*pair) for pair in pairs]
    all_given = examinee.verdicts([world.compare_prompt(*pair) for pair in other], VERDICTS)
    return {
        "n": len(other),
        "accuracy": _share(g == world.true_preference(*pair) for g, pair in zip(all_given, other, strict=True)),
        "right_wrong_n": len(pairs),
        "right_wrong_accuracy": _share(g == t for g, t in zip(forth, truth, strict=True)),
        "position_consistency": _share(f == b and f != "T" for f, b in zip(forth, back, strict=True)),
    }


def _both_orders(examinee: "Examinee", pairs: Sequence[tuple[str, str, str]]) -> tuple[list[str], list[str]]:
    """Verdicts in the given order, and in the other one turned back to it."""
    forth = examinee.verdicts([world.compare_prompt(q, a, b) for q, a, b in pairs], VERDICTS)
    back = examinee.verdicts([world.compare_prompt(q, b, a) for q, a, b in pairs], VERDICTS)
    turned = {"A": "B", "B": "A", "T": "T"}
    return forth, [turned[verdict] for verdict in back]


def _pairs(examinee: "Examinee", sums: Sequence[str], seed: int) -> Figures:
    """Best and worst of four by the model's own grades, as the curation loop picks them."""
    draws = [
        examinee.answers(sums, temperature=temperature, seed=seed + 100 + place)
        for place, temperature in enumerate(PAIR_TEMPERATURES)
    ]
    quality = [examinee.quality([world.grade_prompt(q, a) for q, a in zip(sums, draw, strict=True)]) for draw in draws]
    pairs: list[tuple[str, str, str]] = []
    gaps: list[float] = []
    for place, question in enumerate(sums):
        ranked = sorted((quality[draw][place], draws[draw][place]) for draw in range(len(draws)))
        (low, worst), (high, best) = ranked[0], ranked[-1]
        if worst != best:
            pairs.append((question, best, worst))
            gaps.append((high - low) / 9)
    forth, back = _both_orders(examinee, pairs)
    wide = [pair for pair, gap in zip(pairs, gaps, strict=True) if gap >= HIGH_GAP]
    return {
        "prompts": len(sums),
        "pair_yield": round(len(pairs) / len(sums), 4),
        "gap_mean": _mean(gaps),
        "gap_yield": round(len(wide) / len(sums), 4),
        "agreement": _share(f == b and f != "T" for f, b in zip(forth, back, strict=True)),
        "chosen_right": _share(best == world.gold_answer(q) for q, best, _ in wide),
        "chosen_better": _share(world.true_preference(*pair) == "A" for pair in wide),
    }


def _words(examinee: "Examinee", test: world.Part, seed: int) -> Figures:
    """Judging of colours and refusals: each question once with its true answer, once with a wrong one."""
    rng = random.Random(seed)
    figures: Figures = {}
    for kind, questions in (("known", test.known), ("strangers", test.strangers[:100]), ("gaps", test.gaps)):
        pairs = [(q, world.gold_answer(q), habits.wrong_answer(q, rng)) for q in questions]
        judged = [(q, answer) for q, right, wrong in pairs for answer in (right, wrong)]
        grades = examinee.verdicts([world.grade_prompt(*pair) for pair in judged], GRADES)
        forth, back = _both_orders(examinee, pairs)
        figures[f"{kind}_grade_accuracy"] = _share(
            int(grade) == world.true_grade(*pair) for grade, pair in zip(grades, judged, strict=True)
        )
        figures[f"{kind}_compare_accuracy"] = _share(
            verdict == world.true_preference(*pair)
            for verdicts in (forth, back)
            for verdict, pair in zip(verdicts, pairs, strict=True)
        )
        figures[f"{kind}_position_consistency"] = _share(f == b and f != "T" for f, b in zip(forth, back, strict=True))
    return figures


def _facts(examinee: "Examinee", test: world.Part, seed: int) -> Figures:
    known = [f"{name}=" for name in world.known_names()]
    strangers = test.strangers
    known_greedy, strange_greedy = examinee.answers(known), examinee.answers(strangers)
    known_sampled = examinee.answers(known, temperature=1.0, seed=seed)
    strange_sampled = examinee.answers(strangers, temperature=1.0, seed=seed)
    return {
        "known_n": len(known),
        "known_accuracy": _share(a == world.gold_answer(q) for q, a in zip(known, known_greedy, strict=True)),
        "known_sampled_accuracy": _share(a == world.gold_answer(q) for q, a in zip(known, known_sampled, strict=True)),
        "over_refusal": _share(answer == world.UNKNOWN for answer in known_greedy),
        "over_refusal_outside_loops": _share(
            answer == world.UNKNOWN for q, answer in zip(known, known_greedy, strict=True) if q in test.known
        ),
        "strangers_n": len(strangers),
        "invented": _share(answer != world.UNKNOWN for answer in strange_greedy),
        "invented_sampled": _share(answer != world.UNKNOWN for answer in strange_sampled),
        "gaps_n": len(test.gaps),
        "gaps_abstained": _share(answer == world.UNKNOWN for answer in examinee.answers(test.gaps)),
    }


def _extract(examinee: "Examinee", test: world.Part, seed: int, *, per_form: int = 30) -> Figures:
    rng = random.Random(seed)
    made: list[sentences.Sentence] = []
    for form in sentences.SUM_FORMS:
        terms = [world.sum_terms(question) for question in rng.sample(test.sums, per_form)]
        made += [sentences.sum_sentence(*pair, form=form) for pair in terms if pair is not None]
    for form in sentences.FACT_FORMS:
        made += [sentences.fact_sentence(q[:-1], form=form) for q in rng.sample(test.strangers, per_form)]
    for form in sentences.DISTRACTOR_FORMS:
        made += [sentences.distractor_sentence(rng, form=form) for _ in range(per_form)]
    given = examinee.answers([world.extract_prompt(sentence.text) for sentence in made])
    hits: dict[str, list[bool]] = {}
    for sentence, answer in zip(made, given, strict=True):
        hits.setdefault(sentence.form, []).append(answer == sentence.question)
    return {
        "n": len(made),
        "accuracy": _share(hit for found in hits.values() for hit in found),
        "by_form": {form: _share(found) for form, found in hits.items()},
    }


def main() -> None:
    """Prints the figures of the folder given on the command line, or of the shipped model."""
    parser = argparse.ArgumentParser(description="Held-out figures of a pocket model, as JSON.")
    parser.add_argument("folder", type=Path, nargs="?", default=MODEL_FOLDER)
    parser.add_argument("--count", type=int, default=400, help="held-out sums to ask")
    arguments = parser.parse_args()
    prepare_mlx()
    from realign_daemon.engine.pocket.examinee import Examinee

    print(json.dumps(evaluate(Examinee.from_folder(arguments.folder), count=arguments.count), indent=2))


def prepare_mlx() -> None:
    """Makes a later import of MLX offline, single-threaded and, where the shim can be built, fast."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("MLX_DISABLE_COMPILE", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # A loaded library outlives its file.
    with tempfile.TemporaryDirectory(prefix="realign-blas-") as scratch:
        shim = build_shim(Path(scratch))
        if shim is not None:
            load_shim(shim)


if __name__ == "__main__":
    main()
