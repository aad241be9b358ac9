"""Final answer: the part of a written solution that its author commits to. Standard library only, no clock, no chance.

What cannot be told for certain is not guessed at: two different boxes on one line come back as a list, which equals no
single answer, and an answer that is denied or taken back comes back as nothing.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 50_000  # beyond any solution; what stands before the last so many is not looked at
_ROUNDS = 8  # an answer within an answer within an answer ...; deeper ones are somebody's game
_BRACE = re.compile(r"\\[{}]|(?P<box>\\(?:boxed|fbox)\s*\{)|(?P<open>\{)|(?P<close>\})")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S.*)$", re.MULTILINE)
_SAID = re.compile(r"\banswer(?:\*\*|__)?\s*(?:\bis\b\s*:?|:(?:\*\*|__)?|=)[ \t]*\n?[ \t]*(\S.*)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!]\s+(?=[A-Z])")
_REVOKED = re.compile(
    r"\b(?:wait|actually|correction|sorry|mistake\w*|instead|wrong|incorrect|rather|not the (?:final )?answer)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"(?:\bnot|n't|\bnever|\\neq?|≠)[\s:$*(]*$", re.IGNORECASE)
_FRAMES = (("**", "**"), ("__", "__"), ("`", "`"), ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


def final_answer(text: str) -> str:
    r"""What the text gives as its answer, without box, dollar signs and closing full stop; "" when it gives none.

    In this order: the last \boxed{} (several different ones on its line: all, as a list), what follows the last
    "####", what follows the last "answer is" or "answer:", the last line. Applying it twice changes nothing.
    """
    answer = text[-MAX_CHARACTERS:].strip()
    for _ in range(_ROUNDS):
        shorter = _unframed(_step(answer))
        if shorter == answer:
            return answer
        answer = shorter
    return ""


def _step(text: str) -> str:
    for part in (_boxed, _after_hashes, _said):
        found = part(text)
        if found is not None:
            return found
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _boxed(text: str) -> str | None:
    boxes = _outermost_boxes(text)
    if not boxes:
        return None
    line = text.rfind("\n", 0, boxes[-1][0]) + 1
    last = [box for box in boxes if box[0] >= line]
    if _DENIED.search(text[line : last[0][0]]) or _REVOKED.search(text[last[-1][2] :]):
        return ""
    # A box in a box is its content; taken out here, since a list with a box in it would lose its other elements.
    contents = (_unbraced(_BOX.sub("{", text[inside : end - 1]).strip()) for _, inside, end in last)
    return ", ".join(dict.fromkeys(contents))


def _outermost_boxes(text: str) -> list[tuple[int, int, int]]:
    """Where each closed box that stands in no other closed one begins, where its content begins, and where it ends."""
    boxes: list[tuple[int, int, int]] = []
    waiting: list[tuple[int, int] | None] = []
    for found in _BRACE.finditer(text):
        if found["box"]:
            waiting.append((found.start(), found.end()))
        elif found["open"]:
            waiting.append(None)
        elif found["close"] and waiting:
            begun = waiting.pop()
            if begun is not None:
                while boxes and boxes[-1][0] > begun[0]:
                    boxes.pop()
                boxes.append((*begun, found.end()))
    return boxes


def _unbraced(text: str) -> str:
    """The text without braces that enclose all of it."""
    opening, closing = len(text) - len(text.lstrip("{")), len(text) - len(text.rstrip("}"))
    pairs = min(opening, closing)
    depth = lowest = 0
    for character in text[pairs : len(text) - pairs]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        lowest = min(lowest, depth)
    pairs = max(0, pairs + lowest)
    return text[pairs : len(text) - pairs].strip()


def _after_hashes(text: str) -> str | None:
    found = list(_HASHES.finditer(text))
    if not found:
        return None
    return "" if _REVOKED.search(text[found[-1].end() :]) else found[-1].group(1)


def _said(text: str) -> str | None:
    found = list(_SAID.finditer(text))
    if not found:
        return None
    said = found[-1].group(1)
    if _REVOKED.search(text[found[-1].start(1) :]):
        return ""
    sentence, *rest = _SENTENCE_END.split(said, maxsplit=1)
    # A second sentence with figures in it may be a second answer.
    return said if rest and any(character.isdigit() for character in rest[0]) else sentence


def _unframed(text: str) -> str:
    changed = True
    while changed:
        bare = text.strip().rstrip(" .,;。").removesuffix("\\")
        for opening, closing in _FRAMES:
            inside = bare[len(opening) : -len(closing)]
            if bare.startswith(opening) and bare.endswith(closing) and inside and closing not in inside:
                bare = inside
        changed, text = bare != text, bare
    return text
