"""Weights: how many parameters a folder of safetensors holds, of how many bits, read from their headers alone."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

# A header lists every tensor: that of a model of a trillion parameters is some megabytes.
MAX_HEADER_BYTES = 100 * 2**20
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "I8": 8, "U8": 8}
_PACKED = "U32"  # mlx packs quantised weights into these, beside .scales and .biases
_EXPERT_MARKS = (".experts.", ".switch_mlp.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Totals of one model; `active_params` are those that one token goes through."""

    params: int
    active_params: int
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tensor:
    name: str
    dtype: str
    elements: int


def weigh(files: Iterable[Path], config: Mapping[str, Any]) -> Weights:
    """The weights of one model.

    bits is the quantisation of the configuration, else the width that most parameters have.

    Raises:
        ValueError: a file is no safetensors file.
        OSError: a file cannot be read.
    """
    tensors = [tensor for file in files for tensor in _header(file)]
    quantised = {tensor.name.removesuffix(".scales") for tensor in tensors if tensor.name.endswith(".scales")}
    quantisation = cast("dict[str, Any]", config.get("quantization") or {})
    params: Counter[str] = Counter()
    widths: Counter[int] = Counter()
    for tensor in tensors:
        module, _, leaf = tensor.name.rpartition(".")
        if module in quantised and leaf in ("scales", "biases"):
            continue
        elements, bits = tensor.elements, _BITS.get(tensor.dtype, 32)
        if module in quantised and tensor.dtype == _PACKED:
            bits = _quantised_bits(quantisation, module)
            elements = elements * 32 // bits
        params["expert" if any(mark in tensor.name for mark in _EXPERT_MARKS) else "common"] += elements
        widths[bits] += elements
    total = params["expert"] + params["common"]
    active = params["common"] + round(params["expert"] * _active_fraction(config))
    default_bits = max(widths, key=lambda bits: widths[bits], default=32)
    return Weights(params=total, active_params=active, bits=int(quantisation.get("bits", default_bits)))


def _header(file: Path) -> Iterator[_Tensor]:
    with file.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0  # noqa: PLR2004 - the format's first field
        if not 0 < length <= MAX_HEADER_BYTES:
            raise ValueError(f"{file} is not a safetensors file: download it again")
        header = cast("dict[str, Any]", json.loads(stream.read(length)))
    for name, entry in header.items():
        if name != "__metadata__":
            yield _Tensor(name=name, dtype=entry["dtype"], elements=math.prod(entry["shape"]))


def _quantised_bits(quantisation: Mapping[str, Any], module: str) -> int:
    own = quantisation.get(module)
    chosen = cast("dict[str, Any]", own) if isinstance(own, dict) else quantisation
    return int(chosen.get("bits", quantisation.get("bits", 4)))


def _active_fraction(config: Mapping[str, Any]) -> float:
    """The share of the experts that one token is sent to."""
    names = ("n_routed_experts", "num_experts", "num_local_experts")
    experts = next((int(config[name]) for name in names if config.get(name)), 0)
    chosen = int(config.get("num_experts_per_tok") or experts)
    return chosen / experts if experts else 1.0
