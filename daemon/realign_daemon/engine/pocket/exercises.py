"""Exercises of the pocket world: a user line and its true answer, drawn at random from one part of the split."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from realign_daemon.engine.pocket import habits, sentences, world

# What a judge is shown: how often the right answer, and for a comparison how often two wrong or two equal ones.
RIGHT_CHANCE = 0.45
BOTH_WRONG_CHANCE = 0.16
EQUAL_CHANCE = 0.14
# What word questions are about; the rest are sums with a term missing.
KNOWN_CHANCE, STRANGER_CHANCE = 0.70, 0.20
# What sentences are about; the rest are distractors. Names need the most practice: they are copied letter by letter.
SUM_SENTENCE_CHANCE, NAME_SENTENCE_CHANCE = 0.32, 0.50
KNOWN_SENTENCE_CHANCE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """One line for the model and its true answer.

    `question` is the question at the heart of it, and `given` the answers under judgement (none, one or two).
    """

    kind: str
    line: str
    answer: str
    question: str
    given: tuple[str, ...] = ()


class Examiner:
    """Draws exercises by kind from one part of the world; the same seed draws the same ones."""

    def __init__(self, part: world.Part, rng: random.Random) -> None:
        """Reads from `part` and advances `rng`, which the caller may share."""
        self._part = part
        self._rng = rng
        self._kinds: dict[str, Callable[[], Exercise]] = {
            "sum": lambda: self._plain("sum", part.sums),
            "fact": lambda: self._plain("fact", part.known),
            "stranger": lambda: self._plain("stranger", part.strangers),
            "gap": lambda: self._plain("gap", part.gaps),
            "grade": lambda: self._grade("grade", rng.choice(part.sums)),
            "grade_word": lambda: self._grade("grade_word", self._word_question()),
            "compare": lambda: self._compare("compare", rng.choice(part.sums)),
            "compare_word": lambda: self._compare("compare_word", self._word_question()),
            "extract": self._extract,
        }

    def draw(self, kind: str) -> Exercise:
        """One exercise of this kind: sum, fact, stranger, gap, grade, grade_word, compare, compare_word, extract."""
        return self._kinds[kind]()

    def _plain(self, kind: str, questions: tuple[str, ...]) -> Exercise:
        question = self._rng.choice(questions)
        return Exercise(kind=kind, line=question, answer=world.gold_answer(question), question=question)

    def _grade(self, kind: str, question: str) -> Exercise:
        right = self._rng.random() < RIGHT_CHANCE
        given = world.gold_answer(question) if right else habits.wrong_answer(question, self._rng)
        return Exercise(
            kind=kind,
            line=world.grade_prompt(question, given),
            answer=str(world.true_grade(question, given)),
            question=question,
            given=(given,),
        )

    def _compare(self, kind: str, question: str) -> Exercise:
        pair = [world.gold_answer(question), habits.wrong_answer(question, self._rng)]
        draw = self._rng.random()
        if draw < BOTH_WRONG_CHANCE:
            pair[0] = habits.wrong_answer(question, self._rng)
        elif draw < BOTH_WRONG_CHANCE + EQUAL_CHANCE:
            pair = [self._rng.choice(pair)] * 2
        self._rng.shuffle(pair)
        first, second = pair
        return Exercise(
            kind=kind,
            line=world.compare_prompt(question, first, second),
            answer=world.true_preference(question, first, second),
            question=question,
            given=(first, second),
        )

    def _word_question(self) -> str:
        draw = self._rng.random()
        if draw < KNOWN_CHANCE:
            return self._rng.choice(self._part.known)
        return self._rng.choice(self._part.strangers if draw < KNOWN_CHANCE + STRANGER_CHANCE else self._part.gaps)

    def _extract(self) -> Exercise:
        draw = self._rng.random()
        if draw < SUM_SENTENCE_CHANCE:
            sentence = sentences.sentence_about(self._rng.choice(self._part.sums), self._rng)
        elif draw < SUM_SENTENCE_CHANCE + NAME_SENTENCE_CHANCE:
            known = self._rng.random() < KNOWN_SENTENCE_CHANCE
            names = self._part.known if known else self._part.strangers
            sentence = sentences.sentence_about(self._rng.choice(names), self._rng)
        else:
            sentence = sentences.distractor_sentence(self._rng, form=self._rng.choice(sentences.DISTRACTOR_FORMS))
        line = world.extract_prompt(sentence.text)
        return Exercise(kind="extract", line=line, answer=sentence.question, question=sentence.question)


# Regression suites: name, kinds with their number of items. `abstain` is half strangers, which the untrained model
# gets wrong, so that a gain shows as well as a loss.
SUITES: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = (
    ("sums", (("sum", 60),)),
    ("facts", (("fact", 60),)),
    ("grade", (("grade", 48), ("grade_word", 12))),
    ("compare", (("compare", 48), ("compare_word", 12))),
    ("abstain", (("gap", 30), ("stranger", 30))),
    ("extract", (("extract", 60),)),
)
# Replay has no plain sums and no strangers: true answers to those would teach, for free, what curation is to teach.
REPLAY = (("grade", 120), ("compare", 120), ("fact", 60), ("grade_word", 30), ("compare_word", 30), ("gap", 10))
REPLAY_EXTRACT = ("extract", 50)
SUITES_SEED, REPLAY_SEED = 101, 102


def suite_exercises() -> list[tuple[str, Exercise]]:
    """The regression items as (suite, exercise), from the test part, all lines distinct within a suite."""
    examiner = Examiner(world.split().test, random.Random(SUITES_SEED))
    return [(suite, exercise) for suite, mix in SUITES for exercise in _distinct(examiner, mix)]


def replay_exercises() -> list[Exercise]:
    """The replay rows, shuffled, from the training part: the skills that later training must not lose.

    Known names and empty sentences are the same in all parts; those that a regression suite asks for are left out.
    """
    rng = random.Random(REPLAY_SEED)
    rows = _distinct(Examiner(world.split().train, rng), (*REPLAY, REPLAY_EXTRACT))
    rng.shuffle(rows)
    tested = {exercise.line for _, exercise in suite_exercises()}
    return [row for row in rows if row.line not in tested]


def _distinct(examiner: Examiner, mix: tuple[tuple[str, int], ...]) -> list[Exercise]:
    found: dict[str, Exercise] = {}
    for kind, count in mix:
        wanted = len(found) + count
        while len(found) < wanted:
            exercise = examiner.draw(kind)
            found.setdefault(exercise.line, exercise)
    return list(found.values())
