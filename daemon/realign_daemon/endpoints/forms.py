"""Forms: the choices that a model made in a form, read from an answer that it wrote freely. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp

from realign_daemon.engine.api import Filled, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of an answer, and those that might have stood in its place, each with its log-probability."""

    text: str
    alternatives: tuple[tuple[str, float], ...]


def probabilities(form: Sequence[Slot], tokens: Sequence[Token]) -> tuple[tuple[float, ...], ...] | None:
    """For each slot the probability of each choice, among the alternatives that are known; None where one is missing.

    A slot is where the fixed text before it has just been written, whatever blanks the model puts in, and some
    alternative begins with a choice. One token may hold the end of that text, or what follows the choice.
    """
    found: list[tuple[float, ...]] = []
    seen, place = "", 0
    for slot in form:
        while place < len(tokens):
            token = tokens[place]
            place += 1
            chosen = _chosen(slot, seen, token)
            if chosen is not None:
                found.append(chosen)
                seen = _rest(slot, seen, token.text)
                break
            seen += token.text
        else:
            return None
    return tuple(found)


def counted(form: Sequence[Slot], texts: Sequence[str], *, prompt_tokens: int) -> Filled | None:
    """How often each choice was made in answers sampled at temperature 1; None where no answer fills in the form."""
    answers = [answer for text in texts if (answer := _answer(form, text)) is not None]
    if not answers:
        return None
    shares: list[tuple[float, ...]] = []
    for slot, chosen in zip(form, zip(*answers, strict=True), strict=True):
        votes = Counter(chosen)
        shares.append(tuple(votes[choice] / len(answers) for choice in slot.choices))
    mass = len(answers) / len(texts)
    return Filled(
        probabilities=tuple(shares), mass=(mass,) * len(form), prompt_tokens=prompt_tokens, samples=len(answers)
    )


def read_off(form: Sequence[Slot], tokens: Sequence[Token], *, prompt_tokens: int) -> Filled | None:
    """The form filled with the probabilities of a greedy answer's tokens; None where the answer does not fill it in."""
    found = probabilities(form, tokens)
    if found is None:
        return None
    return Filled(
        probabilities=tuple(tuple(one / sum(slot) for one in slot) for slot in found),
        mass=tuple(min(1.0, sum(slot)) for slot in found),
        prompt_tokens=prompt_tokens,
    )


def _answer(form: Sequence[Slot], text: str) -> tuple[str, ...] | None:
    """The choices in a text, which has no probabilities: each of its characters is all that could stand there."""
    found = probabilities(form, [Token(text=one, alternatives=((one, 0.0),)) for one in text])
    if found is None:
        return None
    return tuple(slot.choices[row.index(max(row))] for slot, row in zip(form, found, strict=True))


def _chosen(slot: Slot, seen: str, token: Token) -> tuple[float, ...] | None:
    """The probability of each choice where this token is the slot's; None where it is not."""
    weights = dict.fromkeys(slot.choices, 0.0)
    for text, logprob in token.alternatives:
        choice = _choice(slot, seen, text)
        if choice is not None:
            weights[choice] += exp(min(logprob, 0.0))
    return tuple(weights.values()) if sum(weights.values()) > 0 else None


def _choice(slot: Slot, seen: str, text: str) -> str | None:
    """The choice that a token makes after what was seen."""
    return next((choice for choice, _ in _choices(slot, seen, text)), None)


def _choices(slot: Slot, seen: str, text: str) -> Iterator[tuple[str, str]]:
    """Each choice that the token may be taken for, and what of the token follows it."""
    for split in range(len(text) + 1):
        if not _is_written(slot.before, seen + text[:split]):
            continue
        rest = text[split:].lstrip()
        for choice in slot.choices:
            after = rest.removeprefix(choice)
            if rest.startswith(choice) and not after[:1].isalnum():
                yield choice, after


def _rest(slot: Slot, seen: str, text: str) -> str:
    """What of the token that was written stands after its choice."""
    return next((after for _, after in _choices(slot, seen, text)), "")


def _is_written(before: str, seen: str) -> bool:
    """Whether the text before a slot has just been written; where there is none, whether nothing was."""
    wanted, written = "".join(before.split()), "".join(seen.split())
    return written.endswith(wanted) if wanted else not written
