"""What is read out of model names and config files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_planner.mentions import mentions
from realign_planner.models import ModelFacts, UnknownModel, describe

QWEN_7B_CONFIG: dict[str, object] = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 152064,
}
QWEN_30B_A3B_CONFIG: dict[str, object] = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_attention_heads": 32,
    "head_dim": 128,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "tie_word_embeddings": False,
    "vocab_size": 151936,
    "quantization": {"bits": 4, "group_size": 64},
}
DEEPSEEK_V3_CONFIG: dict[str, object] = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "num_hidden_layers": 61,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 129280,
}


def known(name: str, **options: Any) -> ModelFacts:
    found = describe(name, **options)
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize(
    ("name", "total_b", "active_b"),
    [
        ("Qwen 7B", 7, 7),
        ("qwen2.5-0.5b-instruct", 0.5, 0.5),
        ("Llama 3 8B", 8, 8),
        ("Llama-3.1-405B", 405, 405),
        ("llama70b", 70, 70),
        ("SmolLM2-135M", 0.135, 0.135),
        ("Mixtral 8x7B", 46.7, 12.9),
        ("mixtral-8x22B-instruct", 140.6, 39.1),
        ("Qwen3-235B-A22B", 235, 22),
        ("Qwen/Qwen3-30B-A3B-MLX-4bit", 30, 3),
        ("phi-4", 14, 14),
        ("Phi 4", 14, 14),
        ("phi-4-mini", 3.8, 3.8),
        ("microsoft/Phi-3-mini-4k-instruct", 3.8, 3.8),
        ("DeepSeek-R1", 671, 37),
        ("DeepSeek-R1-Distill-Qwen-32B", 32, 32),
        ("openai/gpt-oss-120b", 120, 5.1),
        ("405B model", 405, 405),
        ("70 billion", 70, 70),
        ("1T", 1000, 1000),
        ("Foo 4x3B", 12, 6),
        ("/models/Foo-13B", 13, 13),
        ("Qwen", 7, 7),
    ],
)
def test_parameters_are_read_from_a_name(name: str, total_b: float, active_b: float) -> None:
    model = known(name)
    assert (model.params_b, model.active_params_b) == (total_b, active_b)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("Qwen 7B", 16),
        ("mlx-community/Qwen2.5-7B-Instruct-4bit", 4),
        ("Qwen 7B 8-bit", 8),
        ("Llama-70B-Q4_K_M", 4),
        ("Llama-70B-q8_0", 8),
        ("gpt-oss-20b-mxfp4", 4),
        ("Llama-8B-bf16", 16),
        ("Llama-2-13B-GPTQ", 4),
        ("Qwen3-8B-6bit", 6),
        ("SmolLM2-135M-fp32", 32),
    ],
)
def test_bits_are_read_from_a_name(name: str, bits: int) -> None:
    assert known(name).bits == bits


def test_stated_bits_win_over_the_name_and_the_name_over_the_config() -> None:
    assert known("Qwen-7B-4bit", bits=8).bits == 8
    assert known("Qwen-7B-8bit", config={"quantization": {"bits": 4}}).bits == 8
    assert known("Qwen-7B", config={"quantization": {"bits": 4}}).bits == 4


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("Qwen 7B", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen 8B", "Qwen/Qwen3-8B"),
        ("Llama 70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("Mixtral 8x7B", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
        ("phi-4", "microsoft/phi-4"),
        ("SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("somebody/Some-7B", "somebody/Some-7B"),
        ("Llama 3.1 70B", None),
        ("Qwen2.5-Coder-32B", None),
        ("Qwen 30B", None),
        ("235B", None),
        ("/models/Qwen-7B", None),
        ("pocket", None),
    ],
)
def test_a_repository_is_named_only_when_the_name_means_it(name: str, repo: str | None) -> None:
    assert known(name).repo == repo


@pytest.mark.parametrize("name", ["blah", "", "my finetune", "phi", "0B"])
def test_a_name_that_tells_no_size_is_unknown_and_says_what_to_write(name: str) -> None:
    found = describe(name)
    assert isinstance(found, UnknownModel)
    assert "write it with a size" in found.message


def test_bits_that_no_weights_have_are_refused() -> None:
    assert isinstance(describe("Qwen 7B", bits=7), UnknownModel)


def test_sixteen_bit_weights_take_two_bytes_a_parameter() -> None:
    assert known("Qwen 7B").weight_bytes == 14_000_000_000


def test_quantised_weights_carry_a_scale_and_a_bias_for_each_group_of_sixty_four() -> None:
    assert known("Qwen 7B", bits=4).weight_bytes == 7_000_000_000 * (4 + 32 / 64) / 8


def test_the_cache_of_a_sequence_follows_from_the_shape() -> None:
    assert known("Llama 8B").kv_bytes(tokens=2048, sequences=3) == 2 * 8 * 128 * 32 * 2 * 2048 * 3


def test_a_config_gives_parameters_shape_and_bits_of_a_nameless_folder() -> None:
    model = known("/models/ours", config=QWEN_7B_CONFIG)
    assert model.params_b == pytest.approx(7.62, abs=0.01)
    assert (model.bits, model.layers, model.heads, model.kv_heads) == (16, 28, 28, 4)
    assert (model.supports_tensor, model.supports_pipeline) == (True, True)


def test_a_config_with_experts_tells_total_and_active_parameters() -> None:
    model = known("/models/ours", config=QWEN_30B_A3B_CONFIG)
    assert model.params_b == pytest.approx(30.5, abs=0.1)
    assert model.active_params_b == pytest.approx(3.3, abs=0.1)
    assert model.bits == 4


def test_a_config_with_compressed_attention_has_a_small_cache() -> None:
    model = known("/models/ours", config=DEEPSEEK_V3_CONFIG)
    assert model.params_b == pytest.approx(671, abs=1)
    assert model.active_params_b == pytest.approx(37, abs=1)
    assert model.kv_bytes(tokens=1) == (512 + 64) * 61 * 2


def test_the_number_in_the_name_counts_beside_a_config() -> None:
    assert known("Qwen-7B", config=QWEN_7B_CONFIG).params_b == 7


def test_a_config_without_dimensions_says_nothing() -> None:
    assert isinstance(describe("/models/ours", config={"model_type": "llama"}), UnknownModel)


def test_the_pocket_model_is_known_without_a_config() -> None:
    model = known("pocket")
    assert (model.templates, model.bits, model.weight_bytes) == ("pocket", 32, 2_981_376)


@given(
    st.floats(min_value=0.1, max_value=900).map(lambda size: round(size, 1)),
    st.sampled_from([2, 3, 4, 5, 6, 8, 16, 32]),
    st.integers(1, 64),
)
def test_more_bits_and_more_sequences_never_need_less(size: float, bits: int, sequences: int) -> None:
    model = known(f"{size}B", bits=bits)
    assert model.needed_bytes(sequences + 1) > model.needed_bytes(sequences) > model.weight_bytes
    assert model.at_bits(32).weight_bytes >= model.weight_bytes


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("pairs from /data/books/ml_textbook.pdf for Qwen 7B", ["Qwen 7B"]),
        ("Reduce hallucination in a 235B model", ["235B"]),
        ("with mlx-community/Qwen2.5-7B-Instruct-4bit please", ["mlx-community/Qwen2.5-7B-Instruct-4bit"]),
        ("Llama 3.1 70B Instruct, then stop", ["Llama 3.1 70B Instruct"]),
        ("Mixtral 8x7B and Qwen3-235B-A22B", ["Mixtral 8x7B", "Qwen3-235B-A22B"]),
        ("Phi 4, 2000 rows", ["Phi 4"]),
        ("a 70 billion parameter model", ["70 billion"]),
        ("use the pocket model", ["pocket"]),
        ("math/code and/or chosen/rejected", []),
        ("our M4 Max with 128 GB, 5k examples, GSM8K", []),
        ("opt for the falcon chapter about solar bloom", []),
    ],
)
def test_models_are_found_in_a_sentence(text: str, names: list[str]) -> None:
    assert [mention.name for mention in mentions(text)] == names
