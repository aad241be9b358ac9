"""Loading: how the rows of each type get into TRL and mlx-lm, as Markdown for the data set card."""

from __future__ import annotations

from typing import Final

from realign_planner.data_types import DataType

_CONVERSATIONS = """\
With mlx-lm:

```sh
mlx_lm.lora --model ... --train --mask-prompt --data path/to/this/folder
```

With TRL:

```python
from datasets import load_dataset
from trl import SFTTrainer

rows = load_dataset("path/to/this/folder")
SFTTrainer(model="...", train_dataset=rows["train"]).train()
```"""
# TRL applies a chat template to conversations only, and DPO and RLVR rows are plain text.
LOADING: Final[dict[DataType, str]] = {
    "dpo": """\
With TRL, for a chat model (rows of plain text are trained on as they stand, without its chat template):

```python
from datasets import load_dataset
from trl import DPOTrainer

def as_chat(row):
    turn = lambda role, text: [{"role": role, "content": text}]
    return {
        "prompt": turn("user", row["prompt"]),
        "chosen": turn("assistant", row["chosen"]),
        "rejected": turn("assistant", row["rejected"]),
    }

rows = load_dataset("path/to/this/folder").map(as_chat)
DPOTrainer(model="...", train_dataset=rows["train"]).train()
```

`mlx_lm.lora` trains on conversations and does not read preferences.""",
    "rlvr": """\
With TRL, whose reward functions get the other columns by name. `prompt` is the bare problem; what the target was
asked, and `pass_rate` is about, is the conversation `asked_as` in `provenance.jsonl`:

```python
import json
from datasets import load_dataset
from math_verify import parse, verify
from trl import GRPOTrainer

folder = "path/to/this/folder"
asked = {row["id"]: row["asked_as"] for row in map(json.loads, open(f"{folder}/provenance.jsonl"))}

def reward(completions, answer, **columns):
    said = [turns[-1]["content"] for turns in completions]
    return [float(verify(parse(f"${right}$"), parse(text))) for text, right in zip(said, answer)]

rows = load_dataset(folder).map(lambda row: {"prompt": asked[row["id"]]})
GRPOTrainer(model="...", reward_funcs=reward, train_dataset=rows["train"]).train()
```

This reward is for numbers and formulas; rows with `tests` want them run, and other words compared as words.
`mlx_lm.lora` trains on conversations and does not read problems.""",
    "sft": _CONVERSATIONS,
    "antihallucination": _CONVERSATIONS,
}
