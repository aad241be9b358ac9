"""Dataset: rows for a training task, as a blob of JSON lines in the format of engine.api.Train."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.engine.api import Sha256
from realign_daemon.work.units import seed_for

# On the pocket model (2026-11-23) DPO with a quarter of the rows replayed cost other suites up to .03, with this share
# at most .03 on one of four; without replay grading fell by a quarter.
REPLAY_FRACTION = 0.4
# Own choice, for each turn: room for role names, turn ends and a short system prompt of the chat template.
MARKUP_TOKENS = 64


def sft_row(split: str, question: str, answer: str) -> dict[str, Any]:
    """One conversation of two turns."""
    return {
        "split": split,
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
    }


def dpo_row(split: str, question: str, chosen: str, rejected: str) -> dict[str, Any]:
    """One preference."""
    return {
        "split": split,
        "prompt": [{"role": "user", "content": question}],
        "chosen": chosen,
        "rejected": rejected,
    }


def replay_rows(desk: Desk, beside: int) -> list[dict[str, Any]]:
    """Rows of earlier tasks against forgetting: `replay_fraction` of the whole, drawn by the job's seed.

    None of them is an item of the job's suites, which would measure what was just learned by heart.
    """
    if desk.spec.replay is None:
        return []
    fraction = desk.spec.setting("replay_fraction", REPLAY_FRACTION)
    lines = without_items(
        desk.blobs.read(desk.spec.replay).decode().splitlines(), desk.blobs.read(desk.spec.suites).decode().splitlines()
    )
    order = sorted(lines, key=lambda line: seed_for(desk.spec.seed, line, 0))  # a line more changes no other's turn
    wanted = round(beside * fraction / (1 - fraction)) if fraction < 1 else len(lines)
    return [{"split": "replay", "messages": json.loads(line)["messages"]} for line in order[:wanted]]


def without_items(replay: Sequence[str], items: Sequence[str]) -> list[str]:
    """The replay lines in which the user says nothing that they say in an item of the suites (lines of JSON too)."""
    asked = {said for line in items for said in _said(line)}
    return [line for line in replay if asked.isdisjoint(_said(line))]


def most_tokens(row: Mapping[str, Any]) -> int:
    """What a row can take at most, without its tokenizer: a token is a byte at least, and each turn has its markup."""
    turns = [turn["content"] for turn in row.get("messages") or row["prompt"]]
    answers = [row[side] for side in ("chosen", "rejected", "completion") if side in row]
    longest = max((len(answer.encode()) for answer in answers), default=0)
    return sum(len(turn.encode()) for turn in turns) + longest + MARKUP_TOKENS * (len(turns) + bool(answers))


def _said(line: str) -> set[str]:
    return {turn["content"] for turn in json.loads(line)["messages"] if turn["role"] == "user"}


def store(desk: Desk, rows: Sequence[dict[str, Any]] | Iterable[dict[str, Any]]) -> Sha256:
    """The blob of the rows."""
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    return desk.blobs.put_bytes(text.encode())
