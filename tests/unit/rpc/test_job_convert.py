"""Jobs over the wire: a printed spec that is submitted again is the same request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from realign_daemon.curation.intake import Request
from realign_daemon.curation.spec import SourceSpec, to_json
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput
from realign_daemon.rpc.job_convert import request_from_wire
from realign_daemon.testing.scripted_desk import PIN, job_spec
from realign_proto.v1 import curation_pb2 as pb

BIG, OTHER = replace(PIN, name="big"), replace(PIN, name="other")
SPEC = job_spec(
    roles={"target": PIN, "generator": BIG, "judge": OTHER},
    data=SourceSpec(name="rows.jsonl", sha256=Sha256("d"), size_bytes=2),
    columns={"question": "q"},
    eval_sets=(SourceSpec(name="test.jsonl", sha256=Sha256("e"), size_bytes=3),),
    earlier=Sha256("b"),
    drops=("page 3",),
    judges=(BIG,),
    thinking={"target": "strip"},
    count=7,
    seed=4,
    until="train",
    nodes=("a",),
    exclude_nodes=("c",),
    settings={"beta": "0.2"},
    overrides={"win_rate": "a trial"},
    thresholds={"win_rate.baseline": "0.5"},
)


def test_a_printed_spec_is_the_request_that_it_was_made_of() -> None:
    assert request_from_wire(pb.JobRequest(spec_json=to_json(SPEC))) == Request(
        text="r",
        data_type="dpo",
        target="pocket",
        generator="big",
        judge="other",
        count=7,
        seed=4,
        nodes=("a",),
        exclude_nodes=("c",),
        until="train",
        settings={"beta": "0.2"},
        data=SPEC.data,
        columns={"question": "q"},
        eval_sets=SPEC.eval_sets,
        earlier=Sha256("b"),
        drops=("page 3",),
        overrides={"win_rate": "a trial"},
        thresholds={"win_rate.baseline": "0.5"},
        judges=("big",),
        thinking={"target": "strip"},
    )


def test_what_the_message_says_wins_over_the_spec() -> None:
    asked = request_from_wire(pb.JobRequest(spec_json=to_json(SPEC), model="tiny", count=9, settings={"beta": "0.3"}))
    assert (asked.model, asked.target, asked.judge, asked.judges) == ("tiny", "", "", ())
    assert (asked.count, asked.settings) == (9, {"beta": "0.3"})
    assert request_from_wire(pb.JobRequest(spec_json=to_json(SPEC), judge="tiny")).judges == ()


def test_a_seed_of_zero_wins_over_the_spec_and_none_does_not() -> None:
    assert request_from_wire(pb.JobRequest(spec_json=to_json(SPEC), seed=0)).seed == 0
    assert request_from_wire(pb.JobRequest(spec_json=to_json(SPEC))).seed == 4
    assert request_from_wire(pb.JobRequest()).seed == 0


@pytest.mark.parametrize(
    "damage", ["[]", "{", '{"count": "ten"}', '{"settings": 3}', '{"thresholds": 3}', '{"data": {"name": "x"}}']
)
def test_a_damaged_spec_is_one_sentence(damage: str) -> None:
    with pytest.raises(BadInput, match=r"^the spec is damaged; print it again with show --spec$"):
        request_from_wire(pb.JobRequest(spec_json=damage))
