"""A model's config.json read for its size and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from realign_planner.catalogue import SPLITS_BY_MODEL_TYPE

_DTYPE_BITS: Final = {"float32": 32, "float16": 16, "bfloat16": 16, "torch.float32": 32, "torch.bfloat16": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """What a config.json tells. None: it does not."""

    params_b: float | None
    active_params_b: float | None
    bits: int | None
    layers: int | None
    heads: int | None
    kv_heads: int | None
    kv_values: int | None  # numbers cached for each token and layer
    tensor: bool | None
    pipeline: bool | None
    templates: str
    endpoint: str = ""  # URL of the server that has the model; empty where nodes hold it


def read_config(config: Mapping[str, object]) -> ConfigFacts:
    """The facts of a config of the Llama kind, dense or with experts, plain or compressed attention.

    Norms and biases are left out of the parameter count (below 0.1 %).
    """
    inner = config.get("text_config")
    shape = _Shape({**config, **cast("Mapping[str, object]", inner)} if isinstance(inner, Mapping) else config)
    totals = shape.parameters()
    model_type = config.get("model_type")
    unlisted = (None, None) if model_type is None else (False, False)
    tensor, pipeline = SPLITS_BY_MODEL_TYPE.get(str(model_type), unlisted)
    templates = config.get("realign_templates")
    return ConfigFacts(
        params_b=totals[0] / 1e9 if totals else None,
        active_params_b=totals[1] / 1e9 if totals else None,
        bits=_bits(config),
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=None if shape.is_compressed else shape.kv_heads,
        kv_values=shape.kv_values(),
        tensor=tensor,
        pipeline=pipeline,
        templates=templates if isinstance(templates, str) else "standard",
    )


def _bits(config: Mapping[str, object]) -> int | None:
    for key in ("quantization", "quantization_config"):
        section = config.get(key)
        if isinstance(section, Mapping):
            bits = cast("Mapping[str, object]", section).get("bits")
            if isinstance(bits, int):
                return bits
    return _DTYPE_BITS.get(str(config.get("torch_dtype", config.get("dtype", ""))))


class _Shape:
    """The dimensions of a config, under whichever of their names it uses."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = config
        self.hidden = self._whole("hidden_size", "n_embd", "d_model")
        self.layers = self._whole("num_hidden_layers", "n_layer", "n_layers")
        self.heads = self._whole("num_attention_heads", "n_head", "n_heads")
        self.kv_heads = self._whole("num_key_value_heads") or self.heads
        self.head_dim = self._whole("head_dim") or (self.hidden // self.heads if self.hidden and self.heads else None)
        self.compressed = self._whole("kv_lora_rank")
        self.is_compressed = self.compressed is not None

    def _whole(self, *names: str) -> int | None:
        values = (self._config.get(name) for name in names)
        return next(
            (value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0), None
        )

    def kv_values(self) -> int | None:
        """Numbers cached for each token and layer."""
        if self.compressed is not None:
            return self.compressed + (self._whole("qk_rope_head_dim") or 0)
        return 2 * self.kv_heads * self.head_dim if self.kv_heads and self.head_dim else None

    def parameters(self) -> tuple[int, int] | None:
        """All parameters, and those read for one token; None when a dimension is missing."""
        hidden, layers, vocabulary = self.hidden, self.layers, self._whole("vocab_size")
        attention = self._attention()
        if not hidden or not layers or not vocabulary or attention is None:
            return None
        embeddings = vocabulary * hidden * (1 if self._config.get("tie_word_embeddings") is True else 2)
        dense_width = self._whole("intermediate_size", "n_inner") or 4 * hidden
        gates = 2 if self._whole("n_embd") else 3  # GPT-2 has no gate projection
        dense_mlp = gates * hidden * dense_width
        experts = self._whole("num_experts", "num_local_experts", "n_routed_experts") or 0
        expert = 3 * hidden * (self._whole("moe_intermediate_size") or dense_width)
        shared = 3 * hidden * (self._whole("shared_expert_intermediate_size") or 0)
        shared += expert * (self._whole("n_shared_experts") or 0)
        per_token = self._whole("num_experts_per_tok", "num_experts_per_token") or 2
        sparse = self._sparse_layers(layers) if experts else 0
        common = embeddings + layers * attention + (layers - sparse) * dense_mlp + sparse * (shared + hidden * experts)
        return common + sparse * experts * expert, common + sparse * min(per_token, experts) * expert

    def _sparse_layers(self, layers: int) -> int:
        dense = self._config.get("mlp_only_layers")
        never = {int(layer) for layer in cast("list[int]", dense)} if isinstance(dense, list) else set[int]()
        first = self._whole("first_k_dense_replace") or 0
        step = self._whole("decoder_sparse_step", "moe_layer_freq") or 1
        return sum(1 for layer in range(first, layers) if layer not in never and (layer + 1) % step == 0)

    def _attention(self) -> int | None:
        hidden, heads, head_dim = self.hidden, self.heads, self.head_dim
        if not hidden or not heads or not head_dim or not self.kv_heads:
            return None
        if self.compressed is None:
            return 2 * hidden * heads * head_dim + 2 * hidden * self.kv_heads * head_dim
        rope, plain = self._whole("qk_rope_head_dim") or 0, self._whole("qk_nope_head_dim") or head_dim
        value = self._whole("v_head_dim") or head_dim
        low_rank = self._whole("q_lora_rank")
        queries = heads * (plain + rope) * (low_rank or hidden) + (hidden * low_rank if low_rank else 0)
        keys = hidden * (self.compressed + rope) + self.compressed * heads * (plain + value)
        return queries + keys + heads * value * hidden
