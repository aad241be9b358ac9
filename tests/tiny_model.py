"""Writes a model with random weights into a folder: `python tiny_model.py FOLDER [words]`. Small, but a whole model.

It has a vocabulary of the printable characters, so that whatever it writes can be read and scored again. With `words`
it has one like those of real models: bytes, merges learned from the README, marks of reasoning, and more logits than
tokens.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# mlx, mlx-lm and tokenizers leave these untyped.

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models.qwen3 import Model, ModelArgs
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

README = Path(__file__).parents[1] / "README.md"
SPECIAL = ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


# As the templates of reasoning models do: told not to, it closes an empty reasoning.
REASONING = "{% if add_generation_prompt and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"


def letters() -> Tokenizer:
    """Every printable character is a token."""
    vocabulary = [*map(chr, range(33, 127)), "Ġ"]  # byte-level pre-tokenising writes a space so
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(vocabulary)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def words() -> Tokenizer:
    """Bytes and the commonest words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([README.read_text()], trainer)
    tokenizer.add_special_tokens([*SPECIAL, "<think>", "</think>"])
    return tokenizer


def write(folder: Path, tokenizer: Tokenizer, *, template: str = TEMPLATE, logits_multiple: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "chat_template": template,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    config = {
        "model_type": "qwen3",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "rms_norm_eps": 1e-6,
        "vocab_size": -(-tokenizer.get_vocab_size() // logits_multiple) * logits_multiple,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "max_position_embeddings": 2048,
        "eos_token_id": tokenizer.token_to_id("<|end|>"),
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))
    mx.random.seed(7)
    weights = dict(tree_flatten(Model(ModelArgs.from_dict(config)).parameters()))
    weights["lm_head.weight"] = weights["lm_head.weight"] * 4  # decided enough for greedy choices to be far apart
    mx.save_safetensors(str(folder / "model.safetensors"), weights)


if __name__ == "__main__":
    if sys.argv[2:] == ["words"]:
        write(Path(sys.argv[1]), words(), template=TEMPLATE + REASONING, logits_multiple=64)
    else:
        write(Path(sys.argv[1]), letters())
