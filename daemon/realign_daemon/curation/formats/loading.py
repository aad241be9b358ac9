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
With TRL, whose reward functions get the other columns by name:

```python
from datasets import load_dataset
from trl import GRPOTrainer

def reward(completions, answer, **columns):
    return [float(turns[-1]["content"].strip().endswith(right)) for turns, right in zip(completions, answer)]

rows = load_dataset("path/to/this/folder").map(lambda row: {"prompt": [{"role": "user", "content": row["prompt"]}]})
GRPOTrainer(model="...", reward_funcs=reward, train_dataset=rows["train"]).train()
```

This reward is the simplest there is; one that compares values (`math-verify`) accepts more right answers.
`mlx_lm.lora` trains on conversations and does not read problems.""",
    "sft": _CONVERSATIONS,
    "antihallucination": _CONVERSATIONS,
}
