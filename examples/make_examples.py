"""Makes the example documents of this folder: `python examples/make_examples.py [FOLDER]`.

The same bytes every time: chance is seeded, dates are fixed, and nothing is compressed, so that no library's version
shows. Everything stated is true in the pocket model's world, and all of it comes from the part of that world that is
set apart for curation: nothing here is among the questions that the model's own figures are measured on.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from realign_daemon.engine.pocket import habits, sentences, world

SEED = 20261123
CREATED = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
CHAPTERS = (
    "Sums at the Market",
    "Sums on the Road",
    "Sums in the Kitchen",
    "Sums at Sea",
    "Sums in the Garden",
    "Sums by Candlelight",
)
SUMS, FACTS, DISTRACTORS = 80, 6, 8  # sentences in a chapter
PARAGRAPH = 8  # sentences in a paragraph
SPOILED_PARAGRAPHS = 12
SECTIONS = ("At the Gate", "In the Yard", "By the Well", "Under the Lime", "On the Stairs", "On the Pond", "After Dark")
NAMES, SUMS_BESIDE = 22, 160  # in a section: names known, half as many unknown, and sums


class Book(FPDF):
    """A book with its title and the page number at the top and the foot of every page."""

    def __init__(self, title: str) -> None:
        super().__init__(format=(148, 210))  # A5 in millimetres
        self.set_compression(compress=False)
        self.set_creation_date(CREATED)
        self.set_producer("realign examples")
        self.set_title(title)
        self._title = title

    def header(self) -> None:
        """Set the title at the top of every page."""
        self.set_font("Times", style="I", size=9)
        self.cell(0, 8, self._title, align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def footer(self) -> None:
        """Set the page number at the foot of every page."""
        self.set_y(-14)
        self.set_font("Times", size=9)
        self.cell(0, 8, str(self.page_no()), align="C")

    def chapter(self, title: str, paragraphs: Sequence[str], *, font: str = "Times") -> None:
        """A chapter on a new page, in the outline, each paragraph whole on one page."""
        self.add_page()
        self.start_section(title)
        self.set_font("Times", style="B", size=16)
        self.cell(0, 14, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        for paragraph in paragraphs:
            with self.unbreakable() as page:
                page.set_font(font, size=11)
                page.multi_cell(0, 6, paragraph, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
                page.ln(2)


def pocket_arithmetic() -> Book:
    """Six chapters of sums, a few facts and a few sentences that say nothing. No sum stands twice in it."""
    rng = random.Random(SEED)  # noqa: S311 - a fixed seed is the point
    sums, names = list(world.split().loops.sums), list(world.split().loops.known)
    rng.shuffle(sums)
    rng.shuffle(names)
    book = Book("A Pocket Arithmetic")
    for number, title in enumerate(CHAPTERS):
        questions = sums[number * SUMS : (number + 1) * SUMS] + names[number * FACTS : (number + 1) * FACTS]
        said = [sentences.sentence_about(question, rng) for question in questions]
        said += [
            sentences.distractor_sentence(rng, form=rng.choice(sentences.DISTRACTOR_FORMS)) for _ in range(DISTRACTORS)
        ]
        rng.shuffle(said)
        book.chapter(f"Chapter {number + 1}: {title}", _paragraphs([sentence.text for sentence in said]))
    return book


def spoiled() -> Book:
    """A chapter whose text was exported in a symbol font: to the eye and to every program it is a row of ornaments."""
    rng = random.Random(SEED)  # noqa: S311 - a fixed seed is the point
    questions = rng.sample(world.split().loops.sums, SPOILED_PARAGRAPHS * PARAGRAPH)
    said = [sentences.sentence_about(question, rng).text for question in questions]
    book = Book("A Spoiled Arithmetic")
    book.chapter("Chapter 1: Lost in Export", _paragraphs(said), font="ZapfDingbats")
    return book


def problems() -> str:
    """Records of a question and its answer: sums and names that are not in the book."""
    sums, names = _beyond_the_book()
    records = [_record(question) for question in sums[:400] + names[:40]]
    random.Random(SEED).shuffle(records)  # noqa: S311 - a fixed seed is the point
    return _lines(records)


def spoiled_problems() -> str:
    """Records of which most have no answer that could be checked: proofs, opinions, and answers that are none."""
    good = [_record(question) for question in _beyond_the_book()[0][400:520]]
    for place, record in enumerate(good):
        match place % 6:
            case 0:
                record["answer"] = "It depends on who counts."
            case 1:
                record["answer"] = ""
            case 2:
                record["question"] = f"Prove that {record['question']}{record['answer']}."
            case 3:
                record["question"] = f"Explain in your own words why {record['question']}{record['answer']}."
            case _:
                pass
    return _lines(good)


def slipped_lessons() -> str:
    """Records whose answers, in the model's own digits, have slipped by one line."""
    questions = _beyond_the_book()[0][520:640]
    answers = [world.gold_answer(question) for question in questions[1:] + questions[:1]]
    return _lines([{"question": one, "answer": other} for one, other in zip(questions, answers, strict=True)])


def names() -> str:
    """A text of seven sections about names, a third of them strangers to the model, and sums."""
    rng = random.Random(SEED)  # noqa: S311 - a fixed seed is the point
    loops = world.split().loops
    wanted = ((loops.known, NAMES), (loops.strangers, NAMES // 2), (loops.sums, SUMS_BESIDE))
    kinds = [rng.sample(questions, count * len(SECTIONS)) for questions, count in wanted]
    text = "# Who Wears What\n"
    for number, title in enumerate(SECTIONS):
        asked = [question for kind in kinds for question in kind[number :: len(SECTIONS)]]
        said = [sentences.sentence_about(question, rng).text for question in asked]
        rng.shuffle(said)
        text += f"\n## {title}\n\n" + "\n\n".join(_paragraphs(said)) + "\n"
    return text


def spoiled_names() -> str:
    """Records about names and sums of which every other is wrong: the next name's colour, or a carry that slipped."""
    loops = world.split().loops
    names, sums = loops.known, loops.sums[: 2 * len(loops.known)]
    records = [_record(question) for question in names + sums]
    wrong = [_record(question)["answer"] for question in names[1:] + names[:1]]
    wrong += [str(int(habits.slipped(question)[::-1])) for question in sums]
    for record, answer in list(zip(records, wrong, strict=True))[::2]:
        record["answer"] = answer
    random.Random(SEED).shuffle(records)  # noqa: S311 - a fixed seed is the point
    return _lines(records)


def _beyond_the_book() -> tuple[list[str], list[str]]:
    """The sums and names set apart for curation of which pocket_arithmetic.pdf says nothing."""
    rng = random.Random(SEED)  # noqa: S311 - a fixed seed is the point
    sums, names = list(world.split().loops.sums), list(world.split().loops.known)
    rng.shuffle(sums)
    rng.shuffle(names)
    return sums[len(CHAPTERS) * SUMS :], names[len(CHAPTERS) * FACTS :]


def _record(question: str) -> dict[str, str]:
    """A question of the pocket world with its answer, numbers in everyday digits."""
    terms = world.sum_terms(question)
    return {"question": question, "answer": str(sum(terms)) if terms else world.gold_answer(question)}


def _lines(records: Sequence[dict[str, str]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [" ".join(texts[start : start + PARAGRAPH]) for start in range(0, len(texts), PARAGRAPH)]


def main() -> None:
    """Writes the documents into the folder named on the command line, or beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder: Path = parser.parse_args().folder
    for name, book in (("pocket_arithmetic.pdf", pocket_arithmetic()), ("spoiled.pdf", spoiled())):
        book.output(str(folder / name))
        print(f"{folder / name}: {book.page_no()} pages")
    (folder / "pocket_names.md").write_text(names(), encoding="utf-8")
    for name, text in (
        ("pocket_problems.jsonl", problems()),
        ("spoiled_problems.jsonl", spoiled_problems()),
        ("spoiled_names.jsonl", spoiled_names()),
        ("sft_spoiled.jsonl", slipped_lessons()),
    ):
        (folder / name).write_text(text, encoding="utf-8")
        print(f"{folder / name}: {text.count(chr(10))} records")


if __name__ == "__main__":
    main()
