"""The sentences that documents of the pocket world are made of, each with the question that it answers."""

import random
from dataclasses import dataclass

from realign_daemon.engine.pocket.world import (
    UNKNOWN,
    all_names,
    colour_of,
    name_asked,
    sum_question,
    sum_terms,
)

SUM_FORMS = (
    "{a}+{b} makes {c}.",
    "Page: {a}+{b} makes {c}.",
    "The sum of {a} and {b} is {c}.",
    "{a} plus {b} equals {c}.",
    "Adding {a} to {b} gives {c}.",
    "Whoever has {a} and finds {b} holds {c}.",
)
FACT_FORMS = (
    "The colour of {n} is {k}.",
    "Page: {n} is {k}.",
    "Everyone knows that {n} is {k}.",
    "A {n} is always {k}.",
    "Look at {n}: it is {k}.",
)
# Sentences with nothing to ask, some of them with a number or a name in them, so that neither alone is a sign.
DISTRACTOR_FORMS = (
    "This page is left blank.",
    "The weather was fine all day.",
    "See page {a} for more.",
    "There were {a} apples in a box.",
    "Nobody has ever met {n}.",
    "The story of {n} is a long one.",
    "Chapter {a} ends here.",
    "Nothing is added on this page.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence, the question that it answers (`?` for a distractor), and the form that it was made from."""

    text: str
    question: str
    form: str


def sum_sentence(first: int, second: int, form: str = SUM_FORMS[0]) -> Sentence:
    """A sentence that states the sum in everyday digit order, such as `12+34 makes 46`, with a full stop."""
    text = form.format(a=first, b=second, c=first + second)
    return Sentence(text=text, question=sum_question(first, second), form=form)


def fact_sentence(name: str, form: str = FACT_FORMS[0]) -> Sentence:
    """A sentence that states the colour of a name, whether or not the model was taught it."""
    return Sentence(text=form.format(n=name, k=colour_of(name)), question=f"{name}=", form=form)


def distractor_sentence(rng: random.Random, form: str = DISTRACTOR_FORMS[0]) -> Sentence:
    """A sentence without a question, its number and name drawn from `rng`."""
    text = form.format(a=rng.randint(10, 99), n=rng.choice(all_names()))
    return Sentence(text=text, question=UNKNOWN, form=form)


def sentence_about(question: str, rng: random.Random) -> Sentence:
    """A sentence that answers a sum or a colour question, in a form drawn from `rng`.

    Raises:
        ValueError: a question of another kind.
    """
    terms, name = sum_terms(question), name_asked(question)
    if terms is not None:
        return sum_sentence(*terms, form=rng.choice(SUM_FORMS))
    if name is not None:
        return fact_sentence(name, form=rng.choice(FACT_FORMS))
    raise ValueError(f"{question!r} is neither a sum nor a colour question: no sentence answers it")
