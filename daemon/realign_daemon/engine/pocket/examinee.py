"""A loaded model that answers single lines: whole answers, and the odds of a verdict. Imports MLX."""


# MLX ships partial type stubs: unknown types are allowed in this file, and only because it is the boundary to MLX.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
from mlx_lm.sample_utils import make_sampler

MAX_ANSWER_TOKENS = 12
BATCH_SIZE = 64


class Examinee:
    """Asks a model one user line at a time, through its own chat template."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """`model` and `tokenizer` are what `mlx_lm.load` returns."""
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path) -> "Examinee":
        """The model in this folder, in float32: the CPU's product for smaller types is slow."""
        loaded: Any = mlx_lm.load(str(folder))
        model, tokenizer = loaded[0], loaded[1]
        model.set_dtype(mx.float32)
        return cls(model, tokenizer)

    def tokens(self, line: str) -> list[int]:
        """The prompt's token ids, up to and including the assistant's role."""
        messages = [{"role": "user", "content": line}]
        return list(self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False))

    def answers(self, lines: Sequence[str], *, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """One answer a line; greedy at temperature 0."""
        mx.random.seed(seed)
        done = mlx_lm.batch_generate(
            self._model,
            self._tokenizer,
            [self.tokens(line) for line in lines],
            max_tokens=MAX_ANSWER_TOKENS,
            sampler=make_sampler(temp=temperature),
            completion_batch_size=BATCH_SIZE,
            prefill_batch_size=BATCH_SIZE,
        )
        return list(done.texts)

    def odds(self, lines: Sequence[str], symbols: str) -> list[dict[str, float]]:
        """The chances of each symbol as the first character of the answer, with all other tokens ruled out."""
        ids = [self._tokenizer.encode(symbol, add_special_tokens=False)[0] for symbol in symbols]
        found: list[dict[str, float]] = []
        for start in range(0, len(lines), BATCH_SIZE):
            prompts = [self.tokens(line) for line in lines[start : start + BATCH_SIZE]]
            width = max(map(len, prompts))
            rows = mx.array([prompt + [0] * (width - len(prompt)) for prompt in prompts])
            last = mx.array([len(prompt) - 1 for prompt in prompts])
            logits = self._model(rows)[mx.arange(len(prompts)), last][:, mx.array(ids)]
            chances: Any = mx.softmax(logits.astype(mx.float32), axis=-1).tolist()
            found += [dict(zip(symbols, row, strict=True)) for row in chances]
        return found

    def verdicts(self, lines: Sequence[str], symbols: str) -> list[str]:
        """The likeliest symbol for each line."""
        return [max(chances, key=lambda symbol: chances[symbol]) for chances in self.odds(lines, symbols)]

    def quality(self, lines: Sequence[str]) -> list[float]:
        """Expected grade of each grading line, mapped from 1..5 to 1..10."""
        return [
            1 + (sum(int(grade) * chance for grade, chance in chances.items()) - 1) * 9 / 4
            for chances in self.odds(lines, "12345")
        ]
