"""How the pocket model errs: the answers that pretraining shows it, right and wrong, and how often.

A curation demo needs a model that is stably imperfect: wrong often enough to be improved, and with right and wrong
answers to most questions when sampled. So the answerer learns a bad habit with sums (it gets the carry wrong) and
with strangers (it invents a colour), while the grader learns the truth.
"""

import random

from realign_daemon.engine.pocket.world import (
    COLOURS,
    UNKNOWN,
    gold_answer,
    likely_guess,
    name_asked,
    sum_terms,
    written,
)

# Chance of a wrong carry by the sum of the last digits. From 13 on (21 of 100 pairs of digits) it is well above one
# half: greedy decoding errs there, and only there. Below, sampling still errs in about one answer of three.
HARD_CARRY_FROM = 13
HARD_CARRY_SLIP = 0.70
CARRY_SLIP = 0.34
PLAIN_SLIP = 0.30
# One digit replaced at random, so that errors are not all of one kind.
STRAY_DIGIT = 0.05
# Share of strangers met with an honest `?` in pretraining. Below one half, so greedy decoding invents; far above
# zero, so that "I know this name" is a distinction that the model has learned before any refusal training.
HONEST_FRACTION = 0.25

CARRY_FROM = 10
# What a judge is shown as wrong: a slipped carry, another digit, both, or something malformed; the rest is any sum.
CARRY_ERRORS, DIGIT_ERRORS, DOUBLE_ERRORS, MALFORMED = 0.40, 0.35, 0.12, 0.05
ERROR_PLACES = (0, 0, 1, 2)
# Of wrong colours, the share that is the model's own likely guess.
GUESS_ERRORS = 0.5


def slip_chance(question: str) -> float:
    """The chance that the sloppy answerer gets the carry of this sum wrong; 0 for other questions."""
    terms = sum_terms(question)
    if terms is None:
        return 0.0
    last_digits = _last_digits(terms)
    if last_digits >= HARD_CARRY_FROM:
        return HARD_CARRY_SLIP
    return CARRY_SLIP if last_digits >= CARRY_FROM else PLAIN_SLIP


def slipped(question: str) -> str:
    """The answer to a sum with its carry dropped, or added where there is none."""
    terms = sum_terms(question)
    if terms is None:
        raise ValueError(f"{question!r} is not a sum: nothing to carry")
    carries = _last_digits(terms) >= CARRY_FROM
    return written(sum(terms) - 10 if carries else sum(terms) + 10)


def with_stray_digit(answer: str, rng: random.Random, place: int | None = None) -> str:
    """The answer with one digit replaced by another one, at `place` or anywhere."""
    place = rng.randrange(len(answer)) if place is None else place
    other = rng.choice([digit for digit in "0123456789" if digit != answer[place]])
    return answer[:place] + other + answer[place + 1 :]


def wrong_answer(question: str, rng: random.Random) -> str:
    """An answer of the sort that sampling produces, for a judge to learn from; nearly always wrong.

    Half of the stray digits fall on the first place: a judge trained on carry slips alone looks at the second digit
    only (measured 2026-11-23: it noticed one wrong first digit in two).
    """
    gold = gold_answer(question)
    if sum_terms(question) is None:
        return _wrong_word(gold, name_asked(question), rng)
    draw = rng.random()
    if draw < CARRY_ERRORS:
        return slipped(question)
    if draw < CARRY_ERRORS + DIGIT_ERRORS:
        return with_stray_digit(gold, rng, place=rng.choice(ERROR_PLACES))
    if draw < CARRY_ERRORS + DIGIT_ERRORS + DOUBLE_ERRORS:
        return with_stray_digit(slipped(question), rng, place=rng.choice(ERROR_PLACES))
    if draw < 1 - MALFORMED:
        return written(rng.randrange(200))
    return rng.choice((gold[:2], gold + "0", UNKNOWN, gold[0], gold[:2] + UNKNOWN))


def _last_digits(terms: tuple[int, int]) -> int:
    return terms[0] % 10 + terms[1] % 10


def _wrong_word(gold: str, name: str | None, rng: random.Random) -> str:
    if name is None:
        return written(rng.randrange(200))
    guess = likely_guess(name)
    if guess != gold and rng.random() < GUESS_ERRORS:
        return guess
    return rng.choice([word for word in (*COLOURS, UNKNOWN) if word != gold])
