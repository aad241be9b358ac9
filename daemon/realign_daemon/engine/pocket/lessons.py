"""Lessons for pretraining: token rows, and what is to be predicted where.

A verdict is one character of feedback for a whole addition: too little to learn judging from. So judging lessons carry
side targets inside the prompt: over the answer under judgement the model predicts the true digits, and for each
character that it has read, whether it was right. They shape the hidden states and never appear in an answer.
"""

import random
from dataclasses import dataclass, replace
from typing import NamedTuple

from realign_daemon.engine.pocket import habits, world
from realign_daemon.engine.pocket.exercises import Examiner, Exercise

PAD, USER, ASSISTANT, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"
RIGHT_FLAG, WRONG_FLAG = "y", "n"
# The tokens among which a target is predicted: all of them, or the two flags alone.
ANY, FLAGS = range(2)


class Target(NamedTuple):
    """Predict `token` from `position`, among the tokens of `group`, with this weight in the loss."""

    position: int
    token: int
    weight: float
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One row of training: its kind, its tokens, the targets of the answer and the side targets in the prompt."""

    kind: str
    tokens: tuple[int, ...]
    answer: tuple[Target, ...]
    side: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A stage of pretraining: the mix of kinds, the weights, and whether the answerer is sloppy yet."""

    until_fraction: float
    mix: tuple[tuple[str, float], ...]
    side_weight: float
    verdict_weight: float
    sloppy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole pretraining: its courses in order, its length, and the peak of its learning rate."""

    courses: tuple[Course, ...]
    steps: int
    peak_rate: float

    def course_at(self, step: int) -> Course:
        """The course that holds this step, counted from 0."""
        return next(course for course in self.courses if step < course.until_fraction * self.steps)


class Teacher:
    """Draws lessons from one part of the world; the same seed draws the same lessons."""

    def __init__(self, token_ids: dict[str, int], part: world.Part, seed: int) -> None:
        """`token_ids` maps single characters and the special tokens to their ids."""
        self.token_ids = token_ids
        self._rng = random.Random(seed)
        self._examiner = Examiner(part, self._rng)

    def lessons(self, course: Course, count: int) -> list[Lesson]:
        """`count` lessons in the course's mix."""
        kinds, weights = zip(*course.mix, strict=True)
        return [self.lesson(kind, course) for kind in self._rng.choices(kinds, weights, k=count)]

    def lesson(self, kind: str, course: Course) -> Lesson:
        """One lesson of this kind."""
        exercise = self._examiner.draw(kind)
        if kind == "sum" and course.sloppy:
            return self._sloppy_sum(exercise)
        if kind == "stranger":
            return self._stranger(exercise)
        side = self._side_targets(exercise, course.side_weight)
        return self._row(exercise, exercise.answer, weight=course.verdict_weight if side else 1.0, side=side)

    def _row(self, exercise: Exercise, answer: str, *, weight: float = 1.0, side: tuple[Target, ...] = ()) -> Lesson:
        head = [
            self.token_ids[USER],
            *(self.token_ids[c] for c in exercise.line),
            self.token_ids[END],
            self.token_ids[ASSISTANT],
        ]
        tail = [*(self.token_ids[c] for c in answer), self.token_ids[END]]
        own = tuple(Target(len(head) - 1 + place, token, weight, ANY) for place, token in enumerate(tail))
        return Lesson(kind=exercise.kind, tokens=(*head, *tail), answer=own, side=side)

    def _sloppy_sum(self, exercise: Exercise) -> Lesson:
        gold, slip = exercise.answer, habits.slipped(exercise.question)
        chance = habits.slip_chance(exercise.question)
        answer = slip if self._rng.random() < chance else gold
        if self._rng.random() < habits.STRAY_DIGIT:
            return self._row(exercise, habits.with_stray_digit(answer, self._rng))
        row = self._row(exercise, answer)
        # The carry shows in the second digit: teach its odds there, instead of one draw from them.
        return self._with_odds(row, 1, ((gold[1], 1.0 - chance), (slip[1], chance)))

    def _stranger(self, exercise: Exercise) -> Lesson:
        guess = world.likely_guess(exercise.question[:-1])
        honest = habits.HONEST_FRACTION
        row = self._row(exercise, world.UNKNOWN if self._rng.random() < honest else guess)
        return self._with_odds(row, 0, ((guess[0], 1.0 - honest), (world.UNKNOWN, honest)))

    def _with_odds(self, row: Lesson, place: int, odds: tuple[tuple[str, float], ...]) -> Lesson:
        """The row with the target at this place of the answer replaced by several, weighted by their odds."""
        old = row.answer[place]
        new = tuple(old._replace(token=self.token_ids[character], weight=chance) for character, chance in odds)
        return replace(row, answer=(*row.answer[:place], *new, *row.answer[place + 1 :]))

    def _side_targets(self, exercise: Exercise, weight: float) -> tuple[Target, ...]:
        """Side targets over the answers under judgement; none for an exercise without any.

        A row is the user token, the kind's letter, the question, the answers: an answer's first character stands one
        after `position`.
        """
        gold = world.gold_answer(exercise.question)
        position = 1 + len(exercise.question)
        found: list[Target] = []
        for given in exercise.given:
            truth = gold[: len(given) + 1] if world.sum_terms(exercise.question) else gold[0]
            found += [Target(position + i, self.token_ids[true], weight, ANY) for i, true in enumerate(truth)]
            # Colours differ in their first letters: after a wrong one, every later letter is wrong too.
            is_sum = len(truth) > 1
            for i, character in enumerate(given):
                right = gold[i : i + 1] == character if is_sum else given == gold
                flag = RIGHT_FLAG if right else WRONG_FLAG
                found.append(Target(position + i + 1, self.token_ids[flag], weight, FLAGS))
            position += len(given) + 1
        return tuple(found)
