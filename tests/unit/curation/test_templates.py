"""Prompt templates: the shipped sets are whole, wrong files are refused, and text is never taken for a slot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.templates import TemplateError, leans_on_the_text, load
from realign_daemon.curation.templates.sets import FOLDER, names, read_set
from realign_daemon.curation.templates.template import FORMS, MAY_LACK, PLACEHOLDERS
from realign_daemon.engine.api import Message
from realign_daemon.engine.pocket import world
from realign_daemon.engine.pocket.sentences import sum_sentence


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the standard set to spoil."""
    return Path(shutil.copytree(FOLDER / "standard", tmp_path / "broken"))


def spoil(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


def test_two_sets_ship() -> None:
    assert names() == ("pocket", "standard")


@pytest.mark.parametrize("name", names())
def test_a_shipped_set_has_every_template_under_an_id_with_its_version(name: str) -> None:
    templates = load(name)
    kinds = [kind for kind in PLACEHOLDERS if templates.has(kind) or kind not in MAY_LACK]
    assert [template.name for template in templates.templates] == kinds
    ids = [f"{template}@{version}" for template, version in templates.versions.items()]
    assert [template.id for template in templates.templates] == ids
    assert [one.partition("@")[0] for one in ids] == [f"{name}.{kind}" for kind in kinds]
    assert all(int(version) >= 1 for version in templates.versions.values())


@pytest.mark.parametrize(("name", "kind"), [(name, one.name) for name in names() for one in load(name).templates])
@settings(deadline=None)  # the first one loads the set
@given(text=st.text(alphabet="a{}\"'\\0%$", max_size=20))
def test_rendering_puts_every_value_in_as_it_is(name: str, kind: str, text: str) -> None:
    template = load(name).template(kind)
    values = {placeholder: f"<{placeholder} {text}>" for placeholder in PLACEHOLDERS[kind]}
    rendered = "".join(message.content for message in template.render(**values))
    shown = [placeholder for placeholder in values if "{" + placeholder + "}" in _raw(name, kind)]
    assert shown
    assert all(values[placeholder] in rendered for placeholder in shown)


def _raw(name: str, kind: str) -> str:
    return (FOLDER / name / f"{kind}.toml").read_text()


@pytest.mark.parametrize("values", [{"chunk": "c", "other": "x"}, {}])
def test_rendering_wants_exactly_the_placeholders_of_the_template(values: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="chunk"):
        load("standard").template("question").render(**values)


def test_the_standard_rubric_asks_the_five_aspects_and_reads_as_json() -> None:
    for kind in ("rubric", "rubric_again"):
        form = load("standard").template(kind).form
        written = "".join(f"{slot.before}{slot.choices[-1]}" for slot in form) + "}"
        aspects = {"instruction_following", "truthfulness", "helpfulness", "clarity", "groundedness"}
        assert json.loads(written) == dict.fromkeys(aspects, 5)
        assert {slot.choices for slot in form} == {("1", "2", "3", "4", "5")}


def test_the_second_look_asks_in_another_order_than_the_first() -> None:
    first, second = (load("standard").template(kind).form for kind in ("rubric", "rubric_again"))
    assert [slot.before.strip('{,":') for slot in first] == [slot.before.strip('{,":') for slot in second][::-1]


def test_pocket_prompts_are_lines_of_the_pocket_world() -> None:
    pocket, sentence = load("pocket"), sum_sentence(12, 34)
    rendered = {
        "question": pocket.template("question").render(chunk=sentence.text),
        "answer": pocket.template("answer").render(question="12+34=", chunk=sentence.text),
        "response": pocket.template("response").render(question="12+34="),
        "rubric": pocket.template("rubric").render(question="12+34=", response="640", chunk=sentence.text),
        "compare": pocket.template("compare").render(question="12+34=", first="640", second="540", chunk=sentence.text),
    }
    lines = {
        "question": world.extract_prompt(sentence.text),
        "answer": "12+34=",
        "response": "12+34=",
        "rubric": world.grade_prompt("12+34=", "640"),
        "compare": world.compare_prompt("12+34=", "640", "540"),
    }
    assert rendered == {kind: (Message(role="user", content=line),) for kind, line in lines.items()}
    assert pocket.no_question == world.UNKNOWN


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_the_standard_set_shows_the_model_the_very_form_that_it_is_made_to_fill_in(kind: str) -> None:
    """A model that would write a blank first puts little of its probability on the choices."""
    template = load("standard").template(kind)
    shown = template.render(**dict.fromkeys(PLACEHOLDERS[kind], ""))[-1].content
    if len(template.form) == 1:
        assert all(f'{template.form[0].before}{choice}"}}' in shown for choice in template.form[0].choices)
    else:
        assert ".".join(slot.before for slot in template.form) + ".}" in shown


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (r"3 \times 4 \neq \theta + \text{m}", r"3 \times 4 \neq \theta + \text{m}"),
        (r"two lines:\nnot this\ttime", "two lines:\nnot this\ttime"),
        (r"\\times \\frac{1}{2}", r"\times \frac{1}{2}"),
    ],
)
def test_latex_with_its_backslash_taken_for_an_escape_is_put_right(written: str, means: str) -> None:
    assert load("standard").template("answer").text_of(f'{{"answer": "{written}"}}', "answer") == means


def test_a_set_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(TemplateError, match="there are pocket, standard"):
        load("nonsense")


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("question.toml", "{chunk}", "{chnk}", r"broken\.question@2: unknown or missing placeholder chnk, chunk"),
        ("compare.toml", "{second}", "", "missing placeholder second"),
        ("response.toml", "{question}", "{question} {chunk}", "unknown or missing placeholder chunk"),
        ("rubric.toml", "{response}", "{response.text}", "not a plain placeholder"),
        ("rubric.toml", "{response}", "{response", "rubric@2"),
        ("rubric.toml", 'choices = ["1", "2", "3", "4", "5"]', 'choices = ["1"]', "two different choices"),
        ("answer.toml", "version = 2", "versoin = 2", r"answer\.toml is wrong"),
        ("answer.toml", 'role = "user"', 'role = "narrator"', r"answer\.toml is wrong"),
        ("question.toml", "maxLength = 400", "", "question in the schema has no maxLength"),
        ("question.toml", "max_tokens = 192", "max_tokens = 30", "closing an answer may take"),
        ("set.toml", "temperatures = [", "temperatures = ", "is not TOML"),
        ("set.toml", 'no_question = ""', "", r"set\.toml is wrong"),
    ],
)
def test_a_wrong_file_is_refused_when_the_set_is_read(broken: Path, file: str, old: str, new: str, says: str) -> None:
    spoil(broken, file, old, new)
    with pytest.raises(TemplateError, match=says):
        read_set(broken)


def test_a_missing_template_is_refused_when_the_set_is_read(broken: Path) -> None:
    (broken / "compare.toml").unlink()
    with pytest.raises(TemplateError, match=r"compare\.toml cannot be read"):
        read_set(broken)


def test_a_question_with_a_form_or_a_rubric_without_one_is_refused(broken: Path) -> None:
    form = '\n[[form]]\nbefore = ""\nchoices = ["1", "2"]\n'
    (broken / "question.toml").write_text((broken / "question.toml").read_text() + form)
    with pytest.raises(TemplateError, match="has no form"):
        read_set(broken)


@pytest.mark.parametrize(
    "question",
    [
        "According to the passage, how cold is the river?",
        "What does the author say about rivers?",
        "What is the main idea of this chapter?",
        "How is it described in the text?",
        "What does Figure 3 show?",
        "Which of the methods described above is fastest?",
        "What is the author's view of trains?",
        "What can be learned from the excerpt?",
    ],
)
def test_a_question_that_points_at_its_source_leans_on_it(question: str) -> None:
    assert leans_on_the_text(question)


@pytest.mark.parametrize(
    "question",
    [
        "12+34=",
        "Why does gradient descent need a step size?",
        "Which text editor did Bram Moolenaar write?",
        "How does the page table map virtual addresses?",
        "What is the book of Genesis about?",
        "Who was the author of Ulysses?",
        "How does a cross section of a beam bear load?",
    ],
)
def test_a_question_that_stands_alone_does_not(question: str) -> None:
    assert not leans_on_the_text(question)


@pytest.mark.parametrize(("name", "kind"), [(name, one.name) for name in names() for one in load(name).templates])
@given(text=st.one_of(st.text(max_size=30), st.text(alphabet='{}[]":,0ntrue question answer', max_size=30)))
def test_an_answer_is_read_whatever_it_is(name: str, kind: str, text: str) -> None:
    template = load(name).template(kind)
    read = template.read(text)
    assert read is None or template.schema is not None
    for field in ("question", "answer", "response"):
        assert template.text_of(text, field) == (text.strip() if template.schema is None else _field(read, field))


def _field(read: dict[str, object] | None, field: str) -> str:
    return str((read or {}).get(field, "")).strip()


@given(st.text(max_size=400))
def test_what_fits_the_schema_comes_back_without_blanks_around_it(text: str) -> None:
    question = load("standard").template("question")
    assert question.text_of(json.dumps({"question": text}), "question") == text.strip()
    assert question.read(json.dumps({"question": text}, ensure_ascii=False)) == {"question": text}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Why?",
        '{"question": "Why?"',
        '{"question": 3}',
        '{"question": null}',
        '{"question": "Why?", "more": ""}',
        '["Why?"]',
        json.dumps({"question": "a" * 401}),
        "[" * 100_000,
        '{"question": ' + "1" * 5_000 + "}",
    ],
)
def test_what_does_not_fit_the_schema_says_nothing(answer: str) -> None:
    question = load("standard").template("question")
    assert question.read(answer) is None
    assert question.text_of(answer, "question") == ""


def test_the_schema_keeps_the_order_of_the_file() -> None:
    schema = load("standard").template("problem").schema
    assert schema is not None
    assert list(json.loads(schema)["properties"]) == ["problem", "answer"]


def test_a_form_with_a_schema_is_refused(broken: Path) -> None:
    schema = '\n[schema]\ntype = "boolean"\n'
    (broken / "compare.toml").write_text((broken / "compare.toml").read_text() + schema)
    with pytest.raises(TemplateError, match="a schema of its own"):
        read_set(broken)
