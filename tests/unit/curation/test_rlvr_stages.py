"""RLVR: what each stage measures, keeps and drops, at a desk whose answers the test writes itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.documents.document import Chunk, Record, Span
from realign_daemon.curation.material import Material, Prompt, Response
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.spec import JobSpec, ModelPin
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.rlvr import (
    extraction,
    golds,
    held_out,
    rewards,
    solutions,
    training,
    verification,
)
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Generated, Message, ModelId, Sampler, Sha256, Task, Train, Trained
from realign_daemon.errors import BadInput
from realign_daemon.worker.registry import FUNCTIONS, resolve
from realign_planner.gates import judge

Write = Callable[[Generate], str | None]
PIN = ModelPin(name="pocket", model=ModelId("m"), params_b=0.001, bits=16, weight_bytes=1, templates="pocket")
RIGHT, WRONG = "640", "650"  # to 12+34= in the pocket model's digits


class ScriptedDesk(Desk):
    """Gives for each task what `write` says (None is a unit that was given up); computes in this process."""

    def __init__(
        self, write: Write = lambda _: None, *, computed: Mapping[str, Callable[..., Any]] | None = None, **changes: Any
    ) -> None:
        values: dict[str, Any] = {
            "job_id": "rlvr-1",
            "request": "r",
            "data_type": "rlvr",
            "skill": "s",
            "roles": dict.fromkeys(("target", "generator", "judge"), PIN),
            "template_versions": {},
            "sources": (),
            "suites": Sha256("suites"),
            "created_unix_s": 0.0,
            "folder_name": "f",
            "realign_version": "0",
        }
        self.spec = JobSpec(**(values | changes))
        self.record = JobRecord()
        self.stage = StageRecord(name="s", title="s")
        self.trained: list[tuple[Train, list[dict[str, Any]]]] = []
        self.asked: list[Generate] = []
        self._write, self._computed = write, computed or {}
        self._files = {"suites": b""}

    @property
    def blobs(self) -> Any:
        def put_bytes(data: bytes) -> Sha256:
            self._files[key := hashlib.sha256(data).hexdigest()] = data
            return Sha256(key)

        return SimpleNamespace(read=self._files.__getitem__, put_bytes=put_bytes)

    def say(self, activity: str) -> None:
        self.stage.activity = activity

    def warn(self, text: str) -> None:
        self.record.warnings.append(text)

    def made(self, task: Task) -> Any:
        return SimpleNamespace(key=f"unit {getattr(task, 'seed', 0)}", node="node")

    async def generate(self, role: str, tasks: Sequence[Generate]) -> list[Generated | None]:
        self.asked += tasks
        return [None if (text := self._write(task)) is None else written(text) for task in tasks]

    async def train(self, role: str, task: Train) -> Trained:
        rows = [json.loads(line) for line in self._files[task.dataset].decode().splitlines()]
        self.trained.append((task, rows))
        adapter = Sha256(f"{task.method} {len(self.trained)}")
        return Trained(adapter=adapter, steps=4, points=(), step_losses=(4.0, 3.0, 2.0, 1.0), trained_tokens=1)

    async def evaluation_texts(self) -> list[str]:
        return []

    async def compute(self, function: str, arguments: dict[str, object]) -> Any:
        return (self._computed.get(function) or resolve(FUNCTIONS[function]))(**arguments)


def same(items: list[dict[str, str]], timeout_s: float) -> list[str]:
    """A verifier for answers that are written in one way only."""
    return ["correct" if item["answer"] == item["gold"] else "wrong" for item in items]


PLAIN: Mapping[str, Callable[..., Any]] = {"verify.math": same}


def written(text: str) -> Generated:
    return Generated(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=0.0)


def chunk(text: str, line: int = 1) -> Chunk:
    return Chunk(
        id=f"{line}: {text}",
        source="a.txt",
        source_sha256="0",
        section="",
        spans=(Span(page=1, start=0, end=1),),
        text=text,
    )


def task(seed: int = 0) -> Generate:
    message = Message(role="user", content="q")
    return Generate(model=ModelId("m"), messages=(message,), sampler=Sampler(), seed=seed, template="t@1")


def prompt(
    question: str, gold: str = "", *, passage: str = "x", drawn: bool = False, is_held_out: bool = False
) -> Prompt:
    return Prompt(
        id=f"id of {question}",
        question=question,
        chunk=chunk(passage),
        task=task() if drawn else None,
        is_held_out=is_held_out,
        gold=gold,
    )


def problem(question: str, gold: str = "46", *, is_held_out: bool = False) -> Problem:
    return Problem(prompt=prompt(question, gold, is_held_out=is_held_out), answer_type="number", grounds="given")


def solved(of: Problem, texts: Sequence[str]) -> list[Solution]:
    """Solutions in the pocket model's digits; `640` is right."""
    return [
        Solution(
            response=Response(prompt=of.prompt, text=text, task=task(seed), is_truncated=False),
            answer=load("pocket").solving.everyday(text),
            is_in_form=load("pocket").solving.is_in_form(text),
            result="correct" if text == RIGHT else "wrong",
        )
        for seed, text in enumerate(texts)
    ]


def reasons(material: Material) -> list[str]:
    return [one.reason for one in material.dropped]


async def test_where_none_was_stated_the_first_reading_that_stands_in_the_passage_is_the_answer() -> None:
    read = {("12+34=", 0.0): "640", ("55+66=", 0.0): "111", ("55+66=", 0.7): "121", ("77+88=", 0.0): "551"}
    desk = ScriptedDesk(
        lambda task: read.get((task.messages[-1].content, task.sampler.temperature), "?"), computed=PLAIN
    )
    passages = {"12+34=": "12+34 makes 46.", "55+66=": "55 plus 66 equals 121.", "77+88=": "77+88 makes 165."}

    found = await golds.find(desk, [prompt(one, passage=said, drawn=True) for one, said in passages.items()])

    assert [(gold.answer, gold.grounds) for gold in found] == [("46", "quoted"), ("121", "quoted"), ("?", "")]
    assert [one.messages[-1].content for one in desk.asked] == [*passages, "55+66=", "77+88=", "77+88="]


async def test_a_stated_answer_that_the_passage_does_not_say_needs_every_reading_to_agree() -> None:
    read = {"agreed?": iter(["3", "3", "3"]), "doubted?": iter(["3", "4"])}
    desk = ScriptedDesk(lambda task: next(read[task.messages[-1].content]), computed=PLAIN)
    asked = [prompt("said?", "3", passage="It is 3.", drawn=True)]
    asked += [prompt(question, "3", passage="Two and one more.", drawn=True) for question in read]

    found = await golds.find(desk, asked)

    assert [(gold.answer, gold.grounds) for gold in found] == [("3", "quoted"), ("3", "agreed"), ("3", "")]


async def test_a_records_answer_is_what_its_worked_solution_ends_with() -> None:
    given = [
        prompt("gsm?", "She sold 48/2 = <<48/2=24>>24 clips.\nAltogether 72.\n#### 72"),
        prompt("math?", r"We get $x = \boxed{\frac{3}{4}}$."),
        prompt("Prove that 1 = 1.", "1"),
        prompt("empty?"),
    ]
    material = Material(prompts=given)

    await extraction.settle(ScriptedDesk(), material)

    assert [(one.prompt.gold, one.answer_type) for one in material.problems[:2]] == [
        ("72", "number"),
        (r"\frac{3}{4}", "number"),
    ]
    assert reasons(material) == ["the problem asks for a proof", "the problem has no answer"]


async def test_prompts_that_came_later_are_settled_once_and_nothing_else_is() -> None:
    material = Material(prompts=[prompt("one?", "1"), prompt("two?", "it depends")])
    await extraction.settle(ScriptedDesk(), material)
    material.prompts.append(prompt("three?", "3"))
    await extraction.settle(ScriptedDesk(), material)
    assert [one.prompt.question for one in material.problems] == ["one?", "two?", "three?"]
    assert reasons(material) == ["the answer commits to nothing"]


async def test_code_problems_are_refused_where_there_is_no_sandbox() -> None:
    def coded() -> Material:
        of = prompt("Write f.", "def f(): return 1")
        tests = json.dumps(["assert f() == 1", "assert f() < 2"])
        return Material(prompts=[of], records=[Record(line=1, fields={"test_list": tests}, chunk=of.chunk)])

    def desk(*, available: bool) -> ScriptedDesk:
        def sandbox(asked_by: str) -> dict[str, object]:
            return {"available": available, "kind": "bubblewrap", "reason": f"none for {asked_by}"}

        return ScriptedDesk(computed={"verify.sandbox": sandbox})

    with pytest.raises(BadInput, match="cannot run programs safely \\(none for rlvr-1\\)"):
        await extraction.settle(desk(available=False), coded())
    await extraction.settle(desk(available=True), material := coded())
    assert [(one.tests, one.answer_type, one.flaw) for one in material.problems] == [
        ("assert f() == 1\nassert f() < 2", "code", "")
    ]


async def test_every_sample_of_a_problem_has_its_own_seed_and_the_same_one_with_every_adapter() -> None:
    desk = ScriptedDesk(lambda _: RIGHT, settings={"samples": "4"})
    problems = [problem("12+34="), problem("13+33=")]
    await solutions.sample(desk, problems, adapter=None)
    await solutions.sample(desk, problems, adapter=Sha256("a"))
    seeds = [one.seed for one in desk.asked]
    assert len(set(seeds)) == 8
    assert seeds[:8] == seeds[8:]


async def test_solutions_are_valid_whole_and_differ() -> None:
    texts = iter(["640", "650", "640", "640", "", "640", "640", "640"])
    desk = ScriptedDesk(lambda _: next(texts), settings={"samples": "4"})
    material = Material(prompts=[prompt("12+34=", "46"), prompt("13+33=", "46")])
    found = await solutions.generate_solutions(desk, material)
    assert {name: (one.value, one.n) for name, one in found.items()} == {
        "valid_fraction": (7 / 8, 8),
        "truncated_fraction": (0.0, 8),
        "distinct_fraction": (0.5, 2),
    }


async def checked(golds_by_question: Mapping[str, str]) -> tuple[Measures, Material]:
    """Stages 1 to 3 with the real verifier over given problems that the model always answers with 640."""
    desk = ScriptedDesk(lambda _: RIGHT, settings={"samples": "2"})
    material = Material(prompts=[prompt(question, gold) for question, gold in golds_by_question.items()])
    await solutions.generate_solutions(desk, material)
    return await verification.verify_solutions(desk, material), material


async def test_verifiability_is_high_for_plain_answers_and_rejects_a_source_of_proofs_and_opinions() -> None:
    good = {f"{a}+34=": str(a + 34) for a in range(10, 64)}
    found, material = await checked(good)
    assert judge("verification", found["verifiability"]).tier == "HIGH"
    assert (found["verifiability"].value, found["verifiability"].n) == (1.0, 54)
    assert [one.question for one in material.prompts if material.solutions[one.id][0].is_correct] == ["12+34="]

    spoiled = {question: gold if int(gold) % 3 else "It depends on who counts." for question, gold in good.items()}
    spoiled |= {f"Prove that {a}+1={a + 1}.": str(a + 1) for a in range(10, 20)}
    found, material = await checked(spoiled)
    assert judge("verification", found["verifiability"]).tier == "REJECT"
    assert found["verifiability"].value == pytest.approx(36 / 64)
    assert set(reasons(material)) == {"the answer commits to nothing", "the problem asks for a proof"}


async def test_an_answer_that_no_program_can_check_counts_against_the_sources_and_is_noted_by_every_run() -> None:
    found, material = await checked({"12+34=": "46", "what?": "import os"})
    assert (found["verifiability"].value, found["verifiability"].n) == (0.5, 2)
    assert reasons(material) == ["no program can check its answer: tests are checked by running them"]
    material.dropped.clear()
    assert await verification.verify_solutions(ScriptedDesk(), material) == found
    assert reasons(material) == ["no program can check its answer: tests are checked by running them"]


def rewarded_material() -> Material:
    """Four problems: always, never, sometimes solved, and one that is held out and never solved."""
    problems = [problem("always="), problem("never="), problem("sometimes="), problem("held=", is_held_out=True)]
    texts = [[RIGHT] * 4, [WRONG] * 4, [WRONG, RIGHT, "64", RIGHT], [WRONG] * 4]
    return Material(
        problems=problems,
        solutions={one.prompt.id: solved(one, given) for one, given in zip(problems, texts, strict=True)},
    )


async def test_only_problems_that_are_sometimes_solved_are_trained_on_and_held_out_ones_stay() -> None:
    material = rewarded_material()
    desk = ScriptedDesk(computed=PLAIN, settings={"pii": "keep"})

    found = await rewards.calculate_rewards(desk, material)

    assert {row.fields["prompt"]: row.is_held_out for row in material.rows} == {"sometimes=": False, "held=": True}
    assert sorted(reasons(material)) == ["every sample solves it", "no sample solves it"]
    assert (found["pass_rate"].value, found["pass_rate"].n) == (6 / 16, 4)
    assert (found["band_fraction"].value, found["band_fraction"].n) == (0.25, 4)
    row = next(row for row in material.rows if not row.is_held_out)
    assert {key: value for key, value in row.fields.items() if key != "id"} == {
        "prompt": "sometimes=",
        "answer": "46",
        "answer_type": "number",
        "pass_rate": 0.5,
        "solution": RIGHT,
    }
    assert [(one["seed"], one["unit"], one["result"], one["reward"]) for one in row.provenance["samples"]] == [
        (0, "unit 0", "wrong", 0.1),
        (1, "unit 1", "correct", 1.1),
        (2, "unit 2", "wrong", 0.0),
        (3, "unit 3", "correct", 1.1),
    ]


def test_the_rows_that_count_leaves_are_drawn_by_hash_and_held_out_ones_take_no_room() -> None:
    problems = [problem(f"{number}=", is_held_out=number < 10) for number in range(50)]
    verified = {one.prompt.id: [True, False] for one in problems}
    found = rewards.reasons_to_drop(problems, verified, count=10, seed=0)
    assert (found[:10], found[10:].count("")) == ([""] * 10, 10)
    assert rewards.reasons_to_drop(problems[::-1], verified, count=10, seed=0) == found[::-1]
    assert rewards.reasons_to_drop(problems, verified, count=10, seed=1) != found


async def test_a_verifier_that_accepts_anything_is_found_out() -> None:
    problems = [problem(f"{number}=", str(number)) for number in range(60)]

    async def share(verifier: Callable[..., Any]) -> tuple[float | None, str]:
        measure = await rewards.false_positives(ScriptedDesk(computed={"verify.math": verifier}), problems)
        return measure.value, judge("reward_calculation", measure).tier

    def gullible(items: list[dict[str, str]], timeout_s: float) -> list[str]:
        return ["correct"] * len(items)

    assert await share(gullible) == (1.0, "REJECT")
    assert (await share(same))[0] == 0.0


async def test_equal_answers_of_two_problems_are_not_planted_as_wrong() -> None:
    planted: list[dict[str, str]] = []

    def note(items: list[dict[str, str]], timeout_s: float) -> list[str]:
        planted.extend(items)
        return ["wrong"] * len(items)

    desk = ScriptedDesk(computed={"verify.math": note})
    await rewards.false_positives(desk, [problem("a=", "1/2"), problem("b=", "0.5"), problem("c=", "7")])
    assert {"answer": "1/2", "gold": "0.5"} not in planted
    assert {"answer": "0.5", "gold": "7"} in planted


@given(st.lists(st.booleans(), min_size=2, max_size=16), st.integers(0, 2**31))
def test_the_control_has_the_same_samples_and_the_same_rewards_in_another_order(right: list[bool], seed: int) -> None:
    found = solved(one := problem("12+34="), [RIGHT if is_right else WRONG for is_right in right])
    true, control = training.group(one, found), training.group(one, found, seed=seed)
    assert true.solutions == control.solutions
    assert sorted(true.rewards) == sorted(control.rewards)
    assert len(true.accepted) == len(control.accepted) == min(sum(right), training.SOLUTIONS_PER_PROBLEM)
    assert all(solution.is_correct for solution in true.accepted)
    assert sum(true.advantages) == pytest.approx(0, abs=1e-4)


def test_the_shortest_of_the_right_solutions_in_the_asked_form_come_first() -> None:
    one = problem("12+34=")
    texts = {"because 640": True, "640": True, "it must be 640": True}
    found = [
        Solution(
            response=Response(prompt=one.prompt, text=text, task=None, is_truncated=False),
            answer="46",
            is_in_form=text != "640",
            result="correct" if right else "wrong",
        )
        for text, right in texts.items()
    ]
    assert [one.response.text for one in training.group(one, found).accepted] == [
        "because 640",
        "it must be 640",
        "640",
    ]


async def trained(method: str, write: Write = lambda _: RIGHT) -> tuple[ScriptedDesk, Material]:
    material = rewarded_material()
    desk = ScriptedDesk(write, computed=PLAIN, settings={"pii": "keep", "method": method, "samples": "4"})
    await rewards.calculate_rewards(desk, material)
    await training.train_on_rewards(desk, material)
    return desk, material


async def test_rejection_sampling_trains_on_verified_solutions_in_the_models_own_words() -> None:
    desk, material = await trained("sft")
    (true, rows), (control, others) = desk.trained
    expected = [{"role": "user", "content": "sometimes="}, {"role": "assistant", "content": RIGHT}]
    assert rows == [{"split": "train", "messages": expected}] * 2
    assert len(others) == len(rows)
    assert (true.method, true.seed, true.settings) == (control.method, control.seed, control.settings)
    assert (material.tuned and material.tuned.adapter, material.control and material.control.adapter) == (
        "sft 1",
        "sft 2",
    )


async def test_grpo_learns_from_every_sample_by_how_much_better_than_its_group_it_did() -> None:
    desk, _ = await trained("grpo")
    (true, rows), _ = desk.trained
    assert (true.method, true.adapter) == ("grpo", None)
    assert [(row["completion"], row["advantage"]) for row in rows] == [
        (WRONG, -0.475),
        (RIGHT, 0.525),
        ("64", -0.575),
        (RIGHT, 0.525),
    ]
    assert {row["group"] for row in rows} == {"id of sometimes="}


async def test_with_both_methods_grpo_goes_on_from_the_taught_adapter_with_samples_of_its_own() -> None:
    texts = {"sft 1": iter([RIGHT, WRONG, WRONG, WRONG]), "sft 3": iter([RIGHT, RIGHT, RIGHT, WRONG])}
    desk, material = await trained("both", lambda task: next(texts[str(task.adapter)]))
    assert [(task.method, task.adapter) for task, _ in desk.trained] == [
        ("sft", None),
        ("grpo", "sft 1"),
        ("sft", None),
        ("grpo", "sft 3"),
    ]
    assert [row["advantage"] for row in desk.trained[1][1]] == [0.75, -0.25, -0.25, -0.25]
    assert (material.tuned and material.tuned.adapter, material.control and material.control.adapter) == (
        "grpo 2",
        "grpo 4",
    )


def half_solved(adapters: Mapping[str | None, int]) -> Write:
    """Of every problem's four samples, in turn, the adapter solves so many."""
    asked: dict[tuple[str | None, str], int] = {}

    def write(task: Generate) -> str:
        key = (task.adapter, task.messages[-1].content)
        asked[key] = asked.get(key, -1) + 1
        return RIGHT if asked[key] % 4 < adapters[task.adapter] else WRONG

    return write


def held_out_material() -> Material:
    losses = (2.0, 2.0, 1.0, 1.0)
    adapters = [
        Trained(adapter=Sha256(name), steps=4, points=(), step_losses=losses, trained_tokens=1)
        for name in ("true", "random")
    ]
    problems = [problem(f"{number}=", is_held_out=number >= 5) for number in range(55)]
    return Material(problems=problems, tuned=adapters[0], control=adapters[1])


async def test_the_gain_over_random_rewards_is_of_the_rewards_alone() -> None:
    def desk(control: int) -> ScriptedDesk:
        return ScriptedDesk(
            half_solved({None: 1, "true": 3, "random": control}), computed=PLAIN, settings={"samples": "4"}
        )

    found = (await held_out.validate(desk(control=2), held_out_material()))["gain_over_random"]
    assert (found.value, found.n, judge("validation", found).tier) == (0.25, 50, "HIGH")
    found = (await held_out.validate(desk(control=4), held_out_material()))["gain_over_random"]
    assert (found.value, judge("validation", found).tier) == (-0.25, "REJECT")


async def test_a_control_that_could_not_be_trained_leaves_nothing_to_compare() -> None:
    material = held_out_material()
    material.control = None
    desk = ScriptedDesk(half_solved({"true": 3}), computed=PLAIN, settings={"samples": "4"})
    found = (await held_out.validate(desk, material))["gain_over_random"]
    assert (found.value, found.n, judge("validation", found).tier) == (None, 0, "INSUFFICIENT")


async def test_evaluation_reports_one_and_several_tries_before_and_after() -> None:
    desk = ScriptedDesk(half_solved({None: 1, "true": 3}), computed=PLAIN, settings={"samples": "4"})
    found = await held_out.evaluate(desk, held_out_material())
    assert {name: one.value for name, one in found.items()} == {
        "pass_gain": 0.5,
        "pass_at_1_before": 0.25,
        "pass_at_1_after": 0.75,
        "pass_at_4_before": 1.0,
        "pass_at_4_after": 1.0,
        "regression": None,
    }
