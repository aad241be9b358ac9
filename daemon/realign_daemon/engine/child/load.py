"""Loaded: a model in this process, ready to compute, with its vocabulary."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.child.shard import read_part, read_weights
from realign_daemon.engine.child.tokens import Vocabulary

# Configurations that do not say how much they read are rare and old; 4096 was the common size when they were made.
_UNSTATED_CONTEXT_TOKENS = 4096


# Tokens in one forward pass, all rows together. Bounds the activations: 8192 tokens through the feed-forward layer
# of a 7B model (18944 wide, 16 bits) are 0.3 GB. A group's watchdog sees nothing of a pass before it is over, so that
# there it bounds how late ranks are found that stand still: 1024 tokens take 4 s where a 70B model reads 250 a second.
_PASS_TOKENS, _PASS_TOKENS_IN_GROUP = 8192, 1024


class FullPrecisionLogits:
    """A model whose logits are float32 whatever its weights are, so that log-probabilities keep their digits.

    Nothing is computed for logits that nobody reads: MLX is lazy.
    """

    def __init__(
        self,
        model: Any,
        agree: Callable[[mx.array], mx.array] | None = None,
        *,
        pass_tokens: int = _PASS_TOKENS,
        on_pass: Callable[[], None] = lambda: None,
    ) -> None:
        """`agree` makes of this rank's logits those that all ranks go by.

        Whoever feeds it gives at most `pass_tokens` at once, and calls `on_pass` when they have gone through.
        """
        self._model, self._agree = model, agree
        self.pass_tokens, self.on_pass = pass_tokens, on_pass

    def __call__(self, *arguments: Any, **options: Any) -> mx.array:
        """The model's logits, [rows, tokens, vocabulary]."""
        logits = self._model(*arguments, **options)
        return (logits if self._agree is None else self._agree(logits)).astype(mx.float32)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the model's own."""
        return getattr(self._model, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """`network` is the trainable mlx module; `model` computes the same with float32 logits.

    The logits of `model` are rank 0's on every rank of a group, so that what is computed next may follow from them;
    those of `own` are this rank's.
    """

    network: Any
    model: FullPrecisionLogits
    own: FullPrecisionLogits
    peers: Peers
    weight_bytes: int
    vocabulary: Vocabulary
    vocabulary_size: int
    layer_count: int


def load(folder: Path, peers: Peers | None = None, on_step: Callable[[], None] = lambda: None) -> Loaded:
    """The model in a local folder, or this rank's part of it. `on_step` is called as it, or later a text, is read.

    Raises:
        BadTask: the model cannot be divided as the group's plan wants.
    """
    peers = peers or Peers()
    network, tokenizer, config = read_part(folder, peers)
    weight_bytes = read_weights(network, on_step)
    text_config = config.get("text_config", config)
    pass_tokens = _PASS_TOKENS if peers.is_alone else _PASS_TOKENS_IN_GROUP
    context_tokens = int(text_config.get("max_position_embeddings", _UNSTATED_CONTEXT_TOKENS))
    return Loaded(
        network=network,
        model=FullPrecisionLogits(network, peers.agree, pass_tokens=pass_tokens, on_pass=on_step),
        own=FullPrecisionLogits(network, pass_tokens=pass_tokens, on_pass=on_step),
        peers=peers,
        weight_bytes=weight_bytes,
        vocabulary=Vocabulary(tokenizer, context_tokens),
        vocabulary_size=int(text_config["vocab_size"]),
        layer_count=len(network.layers),
    )
