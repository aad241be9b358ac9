"""Loaded: a model in this process, ready to compute, with its vocabulary."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx_lm

from realign_daemon.engine.child.tokens import Vocabulary

# Configurations that do not say how much they read are rare and old; 4096 was the common size when they were made.
_UNSTATED_CONTEXT_TOKENS = 4096


class FullPrecisionLogits:
    """A model whose logits are float32 whatever its weights are, so that log-probabilities keep their digits.

    Nothing is computed for logits that nobody reads: MLX is lazy.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, *arguments: Any, **options: Any) -> mx.array:
        """The model's logits, [rows, tokens, vocabulary]."""
        return self._model(*arguments, **options).astype(mx.float32)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the model's own."""
        return getattr(self._model, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """`network` is the trainable mlx module; `model` computes the same with float32 logits."""

    network: Any
    model: FullPrecisionLogits
    vocabulary: Vocabulary
    vocabulary_size: int
    layer_count: int


def on_cpu() -> bool:
    """Whether MLX computes on the CPU here."""
    return mx.default_device().type == mx.DeviceType.cpu


def load(path: Path) -> Loaded:
    """The model in a local folder.

    On the CPU its weights become float32: 16-bit products do not go through BLAS there and ran at 4.7 GFLOPS where
    float32 ran at 146 (measured 2026-11-22, one AVX-512 core).
    """
    network, tokenizer, config = cast("tuple[Any, Any, dict[str, Any]]", mlx_lm.load(str(path), return_config=True))
    if on_cpu():
        network.set_dtype(mx.float32)
        mx.eval(network.parameters())
    network.freeze()
    network.eval()
    text_config = config.get("text_config", config)
    context_tokens = int(text_config.get("max_position_embeddings", _UNSTATED_CONTEXT_TOKENS))
    return Loaded(
        network=network,
        model=FullPrecisionLogits(network),
        vocabulary=Vocabulary(tokenizer, context_tokens),
        vocabulary_size=int(text_config["vocab_size"]),
        layer_count=len(network.layers),
    )
