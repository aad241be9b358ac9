"""The files of the pocket model's folder other than its weights: architecture and tokenizer.

`mlx_lm.load` reads the folder like that of any model; nothing in the engine knows the pocket model by name.
"""

import json
from pathlib import Path
from typing import Any

# Dense layers in a mixture-of-experts class: of the small architectures that mlx-lm 0.32 runs over several ranks,
# this one has both the tensor and the pipeline split. Heads divide by 2 and by 3 for groups of either size.
LAYER_COUNT = 6
HIDDEN_SIZE = 96
HEAD_COUNT = 6
HEAD_DIM = 16
FEED_FORWARD_SIZE = 288
SPECIAL_TOKENS = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def architecture(vocabulary_size: int, end_token_id: int) -> dict[str, Any]:
    """The contents of config.json."""
    return {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "realign_templates": "pocket",
        "hidden_size": HIDDEN_SIZE,
        "num_hidden_layers": LAYER_COUNT,
        "intermediate_size": FEED_FORWARD_SIZE,
        "num_attention_heads": HEAD_COUNT,
        "num_key_value_heads": HEAD_COUNT,
        "head_dim": HEAD_DIM,
        "num_experts": 2,
        "num_experts_per_tok": 1,
        "decoder_sparse_step": 1,
        "mlp_only_layers": list(range(LAYER_COUNT)),
        "moe_intermediate_size": FEED_FORWARD_SIZE,
        "norm_topk_prob": True,
        "rms_norm_eps": 1e-6,
        "vocab_size": vocabulary_size,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "max_position_embeddings": 512,
        "eos_token_id": end_token_id,
        "torch_dtype": "float32",
    }


def write_tokenizer(folder: Path) -> dict[str, int]:
    """Writes tokenizer.json and tokenizer_config.json; the ids of the printable characters and special tokens.

    Bytes are the vocabulary. Each digit is a token, so that a grade is one token; each role is one token, because
    spelled out in bytes the roles would be longer than the questions.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))  # pyright: ignore[reportUnknownMemberType]
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    characters = [chr(code) for code in range(32, 127)]
    return {text: tokenizer.encode(text).ids[0] for text in (*characters, *SPECIAL_TOKENS)}


def vocabulary_size(folder: Path) -> int:
    """How many tokens the written tokenizer has, special ones included."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size(with_added_tokens=True)
