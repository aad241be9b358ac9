"""A model as the planner sees it: parameters, bits, and the bytes it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from realign_planner.catalogue import (
    POCKET,
    POCKET_PARAMS_B,
    POCKET_SHAPE,
    RELEASES,
    TYPICAL_SHAPES,
    Release,
    Series,
)
from realign_planner.model_config import ConfigFacts, read_config
from realign_planner.model_names import KNOWN_BITS, QUANTISED_BITS, NamedSize, bits_in, series_of, size_in

DEFAULT_BITS: Final = 16
CACHE_TOKENS: Final = 2048  # context a sequence is planned with
CACHE_BYTES: Final = 2  # a cached number, half precision
GROUP_OVERHEAD_BITS: Final = 0.5  # MLX affine quantisation: a 16-bit scale and bias for each group of 64 weights
SAME_SIZE_FRACTION: Final = 0.001

_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TOKEN: Final = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_EMPTY_WORDS: Final = frozenset({"instruct", "chat", "it", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownModel:
    """A name that does not tell how big the model is; the message says what to write instead."""

    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Size and shape of a model. Parameters in 1e9: all of them for memory, the active ones for speed."""

    name: str
    repo: str | None  # hub id; None where the name does not settle it
    params_b: float
    active_params_b: float
    bits: int
    layers: int
    kv_values: int  # numbers cached for each token and layer
    heads: int | None = None
    kv_heads: int | None = None
    supports_tensor: bool | None = None  # None: unknown
    supports_pipeline: bool | None = None
    templates: str = "standard"
    endpoint: str = ""  # URL of the server that has it: nodes ask for it, and hold nothing

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights; quantised ones carry their scales (4 bits cost 4.5). None of a server's are here."""
        if self.endpoint:
            return 0
        bits = self.bits + (GROUP_OVERHEAD_BITS if self.bits in QUANTISED_BITS else 0)
        return ceil(round(self.params_b * 1e9) * bits / 8)

    def kv_bytes(self, tokens: int = CACHE_TOKENS, sequences: int = 1) -> int:
        """Bytes of the key-value cache of `sequences` sequences of `tokens` tokens."""
        return cache_bytes(self.layers, self.kv_values, tokens=tokens, sequences=sequences)

    def needed_bytes(self, sequences: int = 1) -> int:
        """Weights and cache for so many sequences at the planned context."""
        return self.weight_bytes + self.kv_bytes(sequences=sequences)

    def at_bits(self, bits: int) -> ModelFacts:
        """The same model at other bits."""
        return replace(self, bits=bits)


def cache_bytes(layers: int, kv_values: int, *, tokens: int = CACHE_TOKENS, sequences: int = 1) -> int:
    """Bytes of the cache of so many sequences, of a model that keeps `kv_values` numbers for each token and layer."""
    return kv_values * layers * CACHE_BYTES * tokens * sequences


def describe(
    name: str, *, bits: int | None = None, config: Mapping[str, object] | ConfigFacts | None = None
) -> ModelFacts | UnknownModel:
    """What is known of a model from its name and, where given, its config.json.

    The number in the name is the parameter count; the config decides where the name shows none, and always the shape.
    Bits are `bits`, else the name's, else the config's, else 16. A name of a known family without a size means its
    usual size.
    """
    if bits is not None and bits not in KNOWN_BITS:
        return UnknownModel(name=name, message=f"{bits} is no weight width; give --bits as one of {_list(KNOWN_BITS)}.")
    facts = config if config is None or isinstance(config, ConfigFacts) else read_config(config)
    if facts is not None and facts.endpoint:
        return _at_endpoint(name, facts)
    if name.strip().lower() == POCKET:
        return _pocket(bits, facts)
    series = series_of(name)
    size = size_in(name)
    if (size is None or not size.experts) and facts is not None and facts.params_b and facts.active_params_b:
        total_b = size.total_b if size is not None else round(facts.params_b, 4)
        part = facts.active_params_b / facts.params_b
        size = NamedSize(total_b=total_b, active_b=round(total_b * part, 4), experts=part < 1)
    if size is None and series is not None and series.default_b is not None:
        size = NamedSize(total_b=series.default_b, active_b=series.default_b, experts=False)
    if size is None or size.total_b <= 0:
        return UnknownModel(
            name=name,
            message=f"The name {name!r} does not tell how many parameters the model has; "
            'write it with a size ("Qwen 7B"), as a hub id, or as a folder with a config.json.',
        )
    return _facts(name, size, series=series, config=facts, bits=bits)


def _facts(
    name: str,
    size: NamedSize,
    *,
    series: Series | None,
    config: ConfigFacts | None,
    bits: int | None,
) -> ModelFacts:
    layers, kv_heads, kv_values = _typical(size.total_b)
    heads = None
    release = _release(series, size)
    if release is not None:
        layers, heads, kv_heads = release.layers, release.heads, release.kv_heads
        kv_values = release.kv_values or 2 * (release.kv_heads or 1) * release.head_dim
    tensor, pipeline = (series.tensor, series.pipeline) if series is not None else (None, None)
    if config is not None and config.layers and config.kv_values:
        layers, heads, kv_heads, kv_values = config.layers, config.heads, config.kv_heads, config.kv_values
        tensor, pipeline = config.tensor, config.pipeline
    active_b = size.active_b
    if release is not None and release.active_b is not None and not size.experts:
        active_b = release.active_b
    return ModelFacts(
        name=name.strip(),
        repo=_repo(name, release),
        params_b=size.total_b,
        active_params_b=active_b,
        bits=bits or bits_in(name) or (config.bits if config is not None else None) or DEFAULT_BITS,
        layers=layers,
        kv_values=kv_values,
        heads=heads,
        kv_heads=kv_heads,
        supports_tensor=tensor,
        supports_pipeline=pipeline,
        templates=config.templates if config is not None else "standard",
    )


def _at_endpoint(name: str, config: ConfigFacts) -> ModelFacts:
    """What a server has: its size is for people only, 0 where its name does not tell."""
    return ModelFacts(
        name=name.strip(),
        repo=None,
        params_b=config.params_b or 0.0,
        active_params_b=config.active_params_b or 0.0,
        bits=config.bits or DEFAULT_BITS,
        layers=0,
        kv_values=0,
        templates=config.templates,
        endpoint=config.endpoint,
    )


def _pocket(bits: int | None, config: ConfigFacts | None) -> ModelFacts:
    layers, heads, kv_heads, head_dim = POCKET_SHAPE
    params_b = POCKET_PARAMS_B if config is None or config.params_b is None else config.params_b
    return ModelFacts(
        name=POCKET,
        repo=None,
        params_b=params_b,
        active_params_b=params_b,
        bits=bits or (config.bits if config is not None else None) or 32,
        layers=layers,
        kv_values=2 * kv_heads * head_dim,
        heads=heads,
        kv_heads=kv_heads,
        supports_tensor=True,
        supports_pipeline=True,
        templates=POCKET,
    )


def _release(series: Series | None, size: NamedSize) -> Release | None:
    """The published model of that size. A bare family name never means a mixture of experts that it does not show."""
    if series is None:
        return None
    names = ("qwen2", "qwen3") if series.name == "qwen" else (series.name,)
    for candidate in RELEASES:
        same_size = abs(candidate.size_in_name - size.total_b) <= SAME_SIZE_FRACTION * size.total_b
        usual = candidate.size_in_name == series.default_b
        if candidate.series in names and same_size and (usual or candidate.experts == size.experts):
            return candidate
    return None


def _repo(name: str, release: Release | None) -> str | None:
    """The hub id: the name where it is one; else the release, unless the name says anything that its id does not."""
    text = name.strip()
    if _HUB_ID.fullmatch(text):
        return text
    if release is None or not _tokens(text) - _EMPTY_WORDS <= _tokens(release.repo):
        return None
    return release.repo


def _tokens(name: str) -> set[str]:
    return set(_TOKEN.findall(name.lower()))


def _typical(params_b: float) -> tuple[int, int, int]:
    """Layers, KV heads and cached numbers of a dense model of about this size."""
    _, layers, kv_heads, head_dim = next(row for row in TYPICAL_SHAPES if params_b <= row[0])
    return layers, kv_heads, 2 * kv_heads * head_dim


def _list(numbers: frozenset[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
