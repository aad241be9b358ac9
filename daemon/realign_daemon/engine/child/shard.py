"""Shard: the part of a model that one rank holds. Nothing of it is read before it is evaluated."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx_lm
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import load_adapters

from realign_daemon.engine.child import lora
from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.errors import BadTask
from realign_planner.model_config import read_config


def on_cpu() -> bool:
    """Whether MLX computes on the CPU here."""
    return mx.default_device().type == mx.DeviceType.cpu


def read_part(folder: Path, peers: Peers, adapter: Path | None = None) -> tuple[Any, Any, dict[str, Any]]:
    """This rank's network, unread, with the model's tokenizer and configuration; alone it is the whole model.

    An adapter is added to the weights before they are divided, where its layers are still whole. In quantised weights
    that rounds it to their steps, as fusing does.

    On the CPU weights become float32: 16-bit products do not go through BLAS there and ran at 4.7 GFLOPS where float32
    ran at 146 (measured 2026-11-22, one AVX-512 core).

    Raises:
        BadTask: the model cannot be divided so, or the adapter is not one of it.
    """
    network, tokenizer, config = cast(
        "tuple[Any, Any, dict[str, Any]]", mlx_lm.load(str(folder), lazy=True, return_config=True)
    )
    if on_cpu():
        network.set_dtype(mx.float32)
    if adapter is not None:
        _fuse(network, adapter)
    problem = _obstacle(network, config, peers)
    if problem:
        message = f"the model in {folder} cannot be divided over {peers.size} ranks: {problem}"
        raise BadTask(message)
    match peers.parallelism:
        case "tensor":
            network.shard(peers.group)
        case "pipeline":
            network.model.pipeline(peers.group, split=list(peers.split) or None)
        case "data" | None:
            pass
    network.freeze()
    network.eval()
    return network, tokenizer, config


def read_weights(network: Any, on_weight: Callable[[], None]) -> int:
    """Reads what is unread, one weight after another, so that at most one is in memory whole; bytes of them all.

    A rank of a tensor-parallel group reads every weight and keeps its part; of a pipeline only its layers' are read.
    """
    total = 0
    for _, weight in cast("list[tuple[str, mx.array]]", tree_flatten(network.parameters())):
        mx.eval(weight)
        total += weight.nbytes
        on_weight()
    return total


def _fuse(network: Any, adapter: Path) -> None:
    try:
        with tempfile.TemporaryDirectory() as unpacked:
            lora.unpack(adapter, Path(unpacked))
            load_adapters(network, unpacked)
            fused = [(name, module.fuse()) for name, module in network.named_modules() if hasattr(module, "fuse")]
            network.update_modules(tree_unflatten(fused))
    except (KeyError, ValueError, AttributeError, tarfile.TarError) as error:
        message = f"the adapter is not one of this model ({error}): train one from it"
        raise BadTask(message) from error


def _obstacle(network: Any, config: dict[str, Any], peers: Peers) -> str:
    """Why the model cannot be divided as planned; empty when it can. The planner's fit asks the same beforehand."""
    facts, kind = read_config(config), config.get("model_type", "unknown")
    if peers.parallelism == "tensor":
        if not hasattr(network, "shard"):
            return f"mlx_lm has no tensor parallelism for {kind}; use pipeline stages or one machine"
        for count, title in ((facts.heads, "attention heads"), (facts.kv_heads, "KV heads")):
            if count is not None and count % peers.size:
                return f"its {count} {title} do not divide by {peers.size}; use another number of machines"
    if peers.parallelism == "pipeline":
        if not hasattr(getattr(network, "model", None), "pipeline"):
            return f"mlx_lm has no pipeline stages for {kind}; use tensor parallelism or one machine"
        layers = len(network.model.layers)
        if layers < peers.size:
            return f"it has {layers} layers; use fewer machines"
        if peers.split and sum(peers.split) != layers:
            return f"the split {peers.split} does not give out its {layers} layers"
    return ""
