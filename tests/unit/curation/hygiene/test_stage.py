"""Hygiene of prompts and rows: what is left, what was dropped and why. The worker's functions are the real ones."""

from __future__ import annotations

from typing import Any, cast

import pytest

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.documents.document import Chunk, Span
from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Dropped, Material, Prompt, Row
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.spec import JobSpec
from realign_daemon.curation.stages import hygiene
from realign_daemon.curation.stages.hygiene import clean_prompts, clean_rows, hygiene_report, redacted
from realign_daemon.engine.api import Sha256
from realign_daemon.worker.registry import FUNCTIONS, resolve

QUESTION = "How does a plant turn the light of the sun into sugar that it can store?"
NEARLY = "How does a plant turn the light of the sun into sugar that it can use?"
OTHER = "Why do ships of steel float on water although steel is heavier than water is?"
IN_THE_SOURCE = {"source": "a.txt", "section": "", "page": 1, "spans": [{"page": 1, "start": 0, "end": 1}]}
ANSWER = "Its leaves take in light and carbon dioxide, and cells with chlorophyll make sugar of them."


class CleaningDesk(Desk):
    """As much of a desk as hygiene needs."""

    def __init__(self, evaluation: tuple[str, ...], settings: dict[str, str]) -> None:
        self.spec = JobSpec(
            job_id="sft-1",
            request="r",
            data_type="sft",
            skill="s",
            roles={},
            template_versions={},
            sources=(),
            suites=Sha256("0"),
            settings=settings,
            created_unix_s=0.0,
            folder_name="f",
            realign_version="0",
        )
        self.record = JobRecord()
        self.stage = StageRecord(name="filter", title="Filter")
        self._evaluation = evaluation

    async def evaluation_texts(self) -> list[str]:
        return list(self._evaluation)

    async def compute(self, function: str, arguments: dict[str, object]) -> Any:
        return resolve(FUNCTIONS[function])(**arguments)

    def warn(self, text: str) -> None:
        self.record.warnings.append(text)


def desk(*evaluation: str, **settings: str) -> CleaningDesk:
    return CleaningDesk(evaluation, settings)


def prompt(question: str, *, held_out: bool = False) -> Prompt:
    span = Span(page=1, start=0, end=1)
    chunk = Chunk(id=question, source="a.txt", source_sha256="0", section="", spans=(span,), text="x")
    return Prompt(id=question, question=question, chunk=chunk, task=None, is_held_out=held_out)


def row(*, held_out: bool = False, provenance: dict[str, Any] | None = None, **fields: Any) -> Row:
    return Row(fields={"id": row_id(fields), **fields}, provenance=provenance or {}, is_held_out=held_out)


def chat(question: str, answer: str, *, system: str = "", held_out: bool = False) -> Row:
    turns = [("system", system)] if system else []
    turns += [("user", question), ("assistant", answer)]
    return row(messages=[{"role": role, "content": text} for role, text in turns], held_out=held_out)


def reasons(material: Material) -> list[str]:
    return [one.reason for one in material.dropped]


async def kept_prompts(at: Desk, material: Material, *prompts: Prompt) -> list[str]:
    return [one.question for one in await clean_prompts(at, material, prompts)]


async def test_the_first_of_two_prompts_that_are_nearly_the_same_stays_and_the_other_names_it() -> None:
    material = Material()
    assert await kept_prompts(desk(), material, prompt(QUESTION), prompt(OTHER), prompt(NEARLY)) == [QUESTION, OTHER]
    repeated = {"question": NEARLY, "repeats": QUESTION, **IN_THE_SOURCE}
    assert material.dropped == [Dropped(stage="filter", reason="it repeats another one", content=repeated)]


async def test_a_held_out_prompt_stays_wherever_it_stands() -> None:
    material = Material()
    found = await kept_prompts(desk(), material, prompt(QUESTION), prompt(OTHER), prompt(NEARLY, held_out=True))
    assert found == [OTHER, NEARLY]
    assert material.dropped[0].content == {"question": QUESTION, "repeats": NEARLY, **IN_THE_SOURCE}


async def test_the_setting_says_how_alike_prompts_may_be() -> None:
    assert len(await kept_prompts(desk(near_duplicate="0.95"), Material(), prompt(QUESTION), prompt(NEARLY))) == 2


async def test_a_prompt_of_an_evaluation_set_is_dropped_before_it_can_stand_for_others() -> None:
    material = Material()
    found = await kept_prompts(desk(QUESTION, "12+34="), material, prompt(QUESTION), prompt(OTHER), prompt("12+34="))
    assert found == [OTHER]
    assert [(one.reason, one.content["overlap"]) for one in material.dropped] == [
        ("it contains an item of the evaluation sets", 1.0)
    ] * 2


async def test_no_prompts_and_no_rows_are_clean() -> None:
    assert await clean_prompts(desk(), Material(), []) == []
    assert await clean_rows(desk(QUESTION), Material(), []) == []


async def test_redaction_changes_every_text_of_a_row_and_names_it_anew() -> None:
    material = Material()
    before = row(
        prompt="Who is ann@corp.de?",
        chosen="ann@corp.de is Ann.",
        rejected="Nobody.",
        provenance={"quote": "ann@corp.de"},
    )

    (after,) = await clean_rows(desk(), material, [before])

    fields = {"prompt": "Who is [EMAIL]?", "chosen": "[EMAIL] is Ann.", "rejected": "Nobody."}
    assert after.fields == {"id": row_id(fields), **fields}
    assert after.provenance == {"quote": "[EMAIL]", "redacted": ["email"]}
    assert material.dropped == []
    assert hygiene_report(material.dropped, [after])["redacted_rows"] == 1


async def test_rows_without_personal_data_keep_their_names_though_their_source_has_some() -> None:
    before = row(prompt=OTHER, answer="a", provenance={"quote": "ann@corp.de", "spans": [{"page": 3}]})
    (after,) = await clean_rows(desk(), Material(), [before])
    assert after.fields == before.fields
    assert after.provenance == {"quote": "[EMAIL]", "spans": [{"page": 3}]}


async def test_dropped_personal_data_is_not_in_what_is_kept_of_the_drop() -> None:
    material = Material()
    assert await clean_rows(desk(pii="drop"), material, [chat(QUESTION, "Ask ann@corp.de.")]) == []
    (dropped,) = material.dropped
    assert dropped.reason == "it holds personal data"
    assert dropped.content["kinds"] == ["email"]
    assert "ann@" not in str(dropped.content)


async def test_personal_data_stays_where_the_user_wants_it() -> None:
    rows = [chat(QUESTION, "Ask ann@corp.de.")]
    assert await clean_rows(desk(pii="keep"), Material(), rows) == rows


async def test_a_row_is_dropped_where_redaction_takes_what_it_teaches() -> None:
    rows = [
        row(prompt="Which address is it?", answer="ann@corp.de", answer_type="text"),
        row(prompt=QUESTION, chosen="To ann@corp.de", rejected="To bob@corp.de"),
        row(
            messages=[{"role": "user", "content": OTHER}, {"role": "assistant", "content": "To ann@a.de"}],
            rejected="To bob@a.de",
        ),
    ]
    material = Material()
    assert await clean_rows(desk(), material, rows) == []
    assert reasons(material) == ["it holds personal data"] * 3


async def test_rows_of_another_language_are_dropped_when_one_is_asked_for_and_else_warned_of() -> None:
    german = chat(
        "Wie macht eine Pflanze aus Licht Zucker, den sie speichern kann?", "Sie nimmt Licht und Kohlendioxid auf."
    )
    rows = [
        chat(QUESTION, ANSWER),
        chat("12+34=", "46"),
        german,
        chat(OTHER, "They push aside more water than they weigh."),
    ]
    warned, strict, material = desk(), desk(language="EN"), Material()

    assert await clean_rows(warned, Material(), rows) == rows
    assert warned.record.warnings == [
        "1 of 4 rows are not in 'en', the language of most: `--set language=en` leaves them out"
    ]
    assert await clean_rows(strict, material, rows) == [rows[0], rows[1], rows[3]]
    assert strict.record.warnings == []
    assert [(one.reason, one.content["found_language"]) for one in material.dropped] == [
        ("it is in another language", "de")
    ]


async def test_a_row_with_an_evaluation_item_in_its_answer_is_dropped() -> None:
    material = Material()
    rows = [chat(OTHER, f"That is like asking: {QUESTION}"), chat(QUESTION[:20], ANSWER)]
    assert await clean_rows(desk(QUESTION), material, rows) == [rows[1]]
    assert reasons(material) == ["it contains an item of the evaluation sets"]


async def test_of_rows_that_say_nearly_the_same_the_held_out_one_stays() -> None:
    material = Material()
    rows = [chat(QUESTION, ANSWER), chat(NEARLY, ANSWER, held_out=True), chat(OTHER, ANSWER)]
    assert await clean_rows(desk(), material, rows) == rows[1:]
    assert [(one.reason, one.content["repeats"]) for one in material.dropped] == [
        ("it repeats another one", rows[1].fields["id"])
    ]


async def test_rows_that_share_an_answer_or_a_system_prompt_are_different_rows() -> None:
    refusal = "I do not know. The text says nothing about it, and I would rather say so than make something up."
    system = "You answer in plain words, for people who have not read the book, and you say so when you do not know."
    rows = [chat(f"What is the capital of {land}?", refusal, system=system) for land in ("Erewhon", "Laputa", "Utopia")]
    assert await clean_rows(desk(), Material(), rows) == rows


async def test_sums_are_never_taken_for_each_other() -> None:
    rows = [row(prompt=f"{n}+34=", answer=str(n + 34), answer_type="integer") for n in range(12, 40)]
    assert await clean_rows(desk(), Material(), rows) == rows


async def test_the_report_counts_reasons_and_nothing_else() -> None:
    material = Material()
    await clean_prompts(desk(OTHER), material, [prompt(QUESTION), prompt(NEARLY), prompt(OTHER)])
    material.drop("score", "a tie")
    assert hygiene_report(material.dropped, []) == {
        "near_duplicates": 1,
        "contaminated": 1,
        "personal_data": 0,
        "other_language": 0,
        "redacted_rows": 0,
    }


async def test_any_plain_value_can_be_redacted() -> None:
    found = await redacted(desk(), [{"a": ["ann@corp.de", 1]}, {}, {"b": "+49 30 901820 or ann@corp.de"}])
    assert found == [({"a": ["[EMAIL]", 1]}, ["email"]), ({}, []), ({"b": "[PHONE] or [EMAIL]"}, ["email", "phone"])]


async def test_many_texts_reach_the_worker_in_pieces_that_its_pipe_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"a": "x", "b": "mail ann@corp.com"}, "none", {"c": "ann@corp.com " * 3}]
    whole = await redacted(desk(), values)
    monkeypatch.setattr(hygiene, "BATCH_CHARACTERS", 20)
    sizes: list[int] = []

    class Watched(CleaningDesk):
        async def compute(self, function: str, arguments: dict[str, object]) -> Any:
            sizes.append(len("".join(cast("list[str]", arguments["texts"]))))
            return await super().compute(function, arguments)

    assert await redacted(Watched((), {}), values) == whole
    assert sizes == [18, 4, 39]


async def test_rows_are_compared_only_with_those_that_ask_the_same() -> None:
    compared: list[int] = []

    class Watched(CleaningDesk):
        async def compute(self, function: str, arguments: dict[str, object]) -> Any:
            if function == "hygiene.duplicates":
                compared.append(len(cast("list[str]", arguments["texts"])))
            return await super().compute(function, arguments)

    rows = [chat(QUESTION, ANSWER), chat(OTHER, ANSWER), chat(NEARLY, ANSWER)]
    kept = await clean_rows(Watched((), {}), Material(), rows)
    assert [one.fields["id"] for one in kept] == [rows[0].fields["id"], rows[1].fields["id"]]
    assert compared == [3, 2]
