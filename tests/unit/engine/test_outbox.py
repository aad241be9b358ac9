"""What a rank says aloud."""

from __future__ import annotations

import io
from pathlib import Path

from realign_daemon.engine.api import Scored
from realign_daemon.engine.child.outbox import Outbox
from realign_daemon.engine.codec import encode
from realign_daemon.engine.frames import read_frame_blocking

SCORED = Scored(logprob=-1.0, tokens=2)


def said(*, follows: bool, file: Path) -> list[object]:
    pipe = io.BytesIO()
    outbox = Outbox(pipe, follows=follows)
    outbox.holding(20, 10)
    outbox.result(1, SCORED, file=str(file))
    outbox.value(2, "loaded")
    outbox.refuse(3, "never")
    outbox.progress(4, 1, 2, "")
    outbox.canary(5, [[-1.0]])
    outbox.warning("checkpoint.ignored", "damaged")
    pipe.seek(0)
    return list(iter(lambda: read_frame_blocking(pipe), None))


def test_rank_0_says_everything_and_its_files_stay_for_the_daemon(tmp_path: Path) -> None:
    file = tmp_path / "adapter.tar"
    file.touch()
    assert said(follows=False, file=file) == [
        {"holding": [20, 10]},
        {"id": 1, "result": encode(SCORED), "file": str(file)},
        {"id": 2, "value": "loaded"},
        {"id": 3, "refused": "never"},
        {"id": 4, "progress": [1, 2, ""]},
        {"canary": [5, [[-1.0]]]},
        {"warning": "checkpoint.ignored", "reason": "damaged"},
    ]
    assert file.exists()


def test_a_rank_that_follows_keeps_answers_to_itself_and_no_files(tmp_path: Path) -> None:
    file = tmp_path / "adapter.tar"
    file.touch()
    assert said(follows=True, file=file) == [
        {"holding": [20, 10]},
        {"canary": [5, [[-1.0]]]},
        {"warning": "checkpoint.ignored", "reason": "damaged"},
    ]
    assert not file.exists()
