"""The catalogue: what model names do not say themselves, as data.

Shapes are those of the published config.json files. Support for splitting a model over machines is that of the model
files of mlx-lm 0.32: `shard` for tensor parallelism, `PipelineMixin` for pipelines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Models that share a name, an architecture and a way to be split. `default_b` is meant when no size is named."""

    name: str
    pattern: str  # of the lower-case name with hyphens for spaces, without the organisation
    tensor: bool | None  # None: unknown
    pipeline: bool | None
    default_b: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One published size of a series. `size_in_name` is the number its name shows."""

    series: str
    size_in_name: float
    repo: str
    layers: int
    heads: int
    kv_heads: int | None  # None: attention with a compressed cache, not kept by head
    head_dim: int
    active_b: float | None = None  # parameters read for one token, where fewer than all
    experts: bool = False
    kv_values: int | None = None  # numbers cached for each token and layer; None: 2 * kv_heads * head_dim


def _release(
    series: str, size: float, repo: str, shape: tuple[int, int, int, int], *, active_b: float | None = None
) -> Release:
    layers, heads, kv_heads, head_dim = shape
    return Release(
        series=series,
        size_in_name=size,
        repo=repo,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        active_b=active_b,
        experts=active_b is not None,
    )


POCKET: Final = "pocket"
POCKET_PARAMS_B: Final = 745_344 / 1e9  # counted in its weights file; float32
POCKET_SHAPE: Final = (6, 6, 6, 16)  # layers, heads, KV heads, head size
DEFAULT_MODEL: Final = "Qwen2.5 7B"

# First match wins: the special before the general.
SERIES: Final = (
    Series(name="pocket", pattern=r"^pocket$", tensor=True, pipeline=True),
    Series(name="deepseek-distill-qwen", pattern=r"distill-qwen", tensor=True, pipeline=True),
    Series(name="deepseek-distill-llama", pattern=r"distill-llama", tensor=True, pipeline=False),
    Series(name="qwen3-moe", pattern=r"^qwen-?3(?![\d.b]).*-a\d", tensor=True, pipeline=True),
    Series(name="qwen3-next", pattern=r"^qwen-?3-next", tensor=False, pipeline=True, default_b=80),
    Series(name="qwen3", pattern=r"^qwen-?3(?![\d.b])", tensor=True, pipeline=False, default_b=8),
    Series(name="qwen3.5", pattern=r"^qwen-?3\.5", tensor=True, pipeline=True),
    Series(name="qwq", pattern=r"^qwq", tensor=True, pipeline=True, default_b=32),
    Series(name="qwen2", pattern=r"^(code)?qwen-?(1\.5|2|2\.5)(-|$)", tensor=True, pipeline=True, default_b=7),
    Series(name="qwen", pattern=r"^qwen", tensor=True, pipeline=True, default_b=7),
    Series(name="llama2", pattern=r"^(code-?)?llama-?2(-|$)", tensor=True, pipeline=False, default_b=7),
    Series(name="llama4", pattern=r"^llama-?4(-|$)", tensor=None, pipeline=None),
    Series(name="llama", pattern=r"^(meta-)?(code-?|open-?)?llama", tensor=True, pipeline=False, default_b=8),
    Series(name="tinyllama", pattern=r"^tiny-?llama", tensor=True, pipeline=False, default_b=1.1),
    Series(name="smollm", pattern=r"^smollm-?2?(-|$)", tensor=True, pipeline=False, default_b=1.7),
    Series(name="mixtral", pattern=r"^mixtral", tensor=False, pipeline=False, default_b=46.7),
    Series(name="ministral", pattern=r"^ministral", tensor=True, pipeline=True, default_b=8),
    Series(
        name="mistral", pattern=r"^(mistral|codestral|devstral|mathstral)", tensor=True, pipeline=False, default_b=7
    ),
    Series(name="gemma", pattern=r"^(code-?)?gemma", tensor=False, pipeline=False, default_b=9),
    Series(name="phi-4", pattern=r"^phi-?4", tensor=False, pipeline=False),
    Series(name="phi", pattern=r"^phi-?[1-3]", tensor=False, pipeline=False),
    Series(name="deepseek", pattern=r"^deepseek-?(coder-)?(v[23]|r1)", tensor=True, pipeline=True),
    Series(name="kimi", pattern=r"^kimi", tensor=True, pipeline=True),
    Series(name="gpt-oss", pattern=r"^gpt-?oss", tensor=True, pipeline=False, default_b=20),
    Series(name="glm-moe", pattern=r"^glm-?4\.[5-9]", tensor=True, pipeline=True),
    Series(name="minimax", pattern=r"^minimax", tensor=True, pipeline=False),
    Series(name="command", pattern=r"^(c4ai-)?command-?(r|a)", tensor=False, pipeline=False),
    Series(name="yi", pattern=r"^yi(-|$)", tensor=True, pipeline=False),
)

# Names that show no size, or one that is not the total: pattern, total and active parameters (1e9).
NAMED_SIZES: Final[tuple[tuple[str, float, float], ...]] = (
    (r"8x7b", 46.7, 12.9),
    (r"8x22b", 140.6, 39.1),
    (r"^phi-?4-mini", 3.8, 3.8),
    (r"^phi-?4($|-reasoning|-instruct|-\d+-?bit)", 14.0, 14.0),
    (r"^phi-?3(\.5)?-mini", 3.8, 3.8),
    (r"^phi-?3(\.5)?-small", 7.0, 7.0),
    (r"^phi-?3(\.5)?-medium", 14.0, 14.0),
    (r"^phi-?3\.5-moe", 41.9, 6.6),
    (r"^phi-?2($|-)", 2.7, 2.7),
    (r"^deepseek-?coder-v2-lite|^deepseek-?v2-lite", 15.7, 2.4),
    (r"^deepseek-?(coder-)?v2", 236.0, 21.0),
    (r"^deepseek-?(v3|r1)(?!-distill)", 671.0, 37.0),
    (r"^kimi-?k2", 1000.0, 32.0),
    (r"^glm-?4\.[5-9]-air", 106.0, 12.0),
    (r"^glm-?4\.[5-9]", 355.0, 32.0),
    (r"^minimax-?m2", 230.0, 10.0),
    (r"^llama-?4-scout", 109.0, 17.0),
    (r"^llama-?4-maverick", 400.0, 17.0),
    (r"^mistral-large", 123.0, 123.0),
    (r"^mistral-small", 24.0, 24.0),
    (r"^mistral-nemo", 12.0, 12.0),
    (r"^codestral", 22.0, 22.0),
    (r"^(c4ai-)?command-?r-?(\+|plus)", 104.0, 104.0),
    (r"^(c4ai-)?command-?r", 35.0, 35.0),
    (r"^(c4ai-)?command-?a", 111.0, 111.0),
    (r"^dbrx", 132.0, 36.0),
    (r"^gpt-?oss-?120b", 120.0, 5.1),
    (r"^gpt-?oss-?20b", 20.0, 3.6),
)

RELEASES: Final = (
    _release("qwen2", 0.5, "Qwen/Qwen2.5-0.5B-Instruct", (24, 14, 2, 64)),
    _release("qwen2", 1.5, "Qwen/Qwen2.5-1.5B-Instruct", (28, 12, 2, 128)),
    _release("qwen2", 3, "Qwen/Qwen2.5-3B-Instruct", (36, 16, 2, 128)),
    _release("qwen2", 7, "Qwen/Qwen2.5-7B-Instruct", (28, 28, 4, 128)),
    _release("qwen2", 14, "Qwen/Qwen2.5-14B-Instruct", (48, 40, 8, 128)),
    _release("qwen2", 32, "Qwen/Qwen2.5-32B-Instruct", (64, 40, 8, 128)),
    _release("qwen2", 72, "Qwen/Qwen2.5-72B-Instruct", (80, 64, 8, 128)),
    _release("qwq", 32, "Qwen/QwQ-32B", (64, 40, 8, 128)),
    _release("qwen3", 0.6, "Qwen/Qwen3-0.6B", (28, 16, 8, 128)),
    _release("qwen3", 1.7, "Qwen/Qwen3-1.7B", (28, 16, 8, 128)),
    _release("qwen3", 4, "Qwen/Qwen3-4B", (36, 32, 8, 128)),
    _release("qwen3", 8, "Qwen/Qwen3-8B", (36, 32, 8, 128)),
    _release("qwen3", 14, "Qwen/Qwen3-14B", (40, 40, 8, 128)),
    _release("qwen3", 32, "Qwen/Qwen3-32B", (64, 64, 8, 128)),
    _release("qwen3-moe", 30, "Qwen/Qwen3-30B-A3B", (48, 32, 4, 128), active_b=3),
    _release("qwen3-moe", 235, "Qwen/Qwen3-235B-A22B", (94, 64, 4, 128), active_b=22),
    _release("qwen3-moe", 480, "Qwen/Qwen3-Coder-480B-A35B-Instruct", (62, 96, 8, 128), active_b=35),
    _release("llama2", 7, "meta-llama/Llama-2-7b-chat-hf", (32, 32, 32, 128)),
    _release("llama2", 13, "meta-llama/Llama-2-13b-chat-hf", (40, 40, 40, 128)),
    _release("llama2", 70, "meta-llama/Llama-2-70b-chat-hf", (80, 64, 8, 128)),
    _release("llama", 1, "meta-llama/Llama-3.2-1B-Instruct", (16, 32, 8, 64)),
    _release("llama", 3, "meta-llama/Llama-3.2-3B-Instruct", (28, 24, 8, 128)),
    _release("llama", 8, "meta-llama/Llama-3.1-8B-Instruct", (32, 32, 8, 128)),
    _release("llama", 70, "meta-llama/Llama-3.3-70B-Instruct", (80, 64, 8, 128)),
    _release("llama", 405, "meta-llama/Llama-3.1-405B-Instruct", (126, 128, 8, 128)),
    _release("tinyllama", 1.1, "TinyLlama/TinyLlama-1.1B-Chat-v1.0", (22, 32, 4, 64)),
    _release("smollm", 0.135, "HuggingFaceTB/SmolLM2-135M-Instruct", (30, 9, 3, 64)),
    _release("smollm", 0.36, "HuggingFaceTB/SmolLM2-360M-Instruct", (32, 15, 5, 64)),
    _release("smollm", 1.7, "HuggingFaceTB/SmolLM2-1.7B-Instruct", (24, 32, 32, 64)),
    _release("mistral", 7, "mistralai/Mistral-7B-Instruct-v0.3", (32, 32, 8, 128)),
    _release("mistral", 12, "mistralai/Mistral-Nemo-Instruct-2407", (40, 32, 8, 128)),
    _release("mistral", 24, "mistralai/Mistral-Small-24B-Instruct-2501", (40, 32, 8, 128)),
    _release("mistral", 123, "mistralai/Mistral-Large-Instruct-2411", (88, 96, 8, 128)),
    _release("mixtral", 46.7, "mistralai/Mixtral-8x7B-Instruct-v0.1", (32, 32, 8, 128), active_b=12.9),
    _release("mixtral", 140.6, "mistralai/Mixtral-8x22B-Instruct-v0.1", (56, 48, 8, 128), active_b=39.1),
    _release("gemma", 2, "google/gemma-2-2b-it", (26, 8, 4, 256)),
    _release("gemma", 9, "google/gemma-2-9b-it", (42, 16, 8, 256)),
    _release("gemma", 12, "google/gemma-3-12b-it", (48, 16, 8, 256)),
    _release("gemma", 27, "google/gemma-2-27b-it", (46, 32, 16, 128)),
    _release("phi-4", 14, "microsoft/phi-4", (40, 40, 10, 128)),
    _release("gpt-oss", 20, "openai/gpt-oss-20b", (24, 64, 8, 64), active_b=3.6),
    _release("gpt-oss", 120, "openai/gpt-oss-120b", (36, 64, 8, 64), active_b=5.1),
    # DeepSeek-V3 caches one compressed vector of 512 and a rotary key of 64 a layer, whatever the heads.
    Release(
        series="deepseek",
        size_in_name=671,
        repo="deepseek-ai/DeepSeek-V3",
        layers=61,
        heads=128,
        kv_heads=None,
        head_dim=128,
        active_b=37,
        experts=True,
        kv_values=576,
    ),
)

# Dense shapes by size for names that the table above lacks: the smallest entry that is not smaller is taken, which
# rather overstates the cache. Total parameters (1e9), layers, KV heads, head size; of Qwen, Llama and Mistral releases.
TYPICAL_SHAPES: Final = (
    (0.6, 28, 8, 64),
    (1.7, 28, 8, 128),
    (4.0, 36, 8, 128),
    (8.0, 36, 8, 128),
    (14.0, 48, 8, 128),
    (34.0, 64, 8, 128),
    (80.0, 80, 8, 128),
    (125.0, 96, 8, 128),
    (float("inf"), 126, 8, 128),
)

# model_type of a config.json -> tensor, pipeline. All that mlx-lm 0.32.2 can divide in either way, under the names that
# it takes for the same, too; it divides no other.
SPLITS_BY_MODEL_TYPE: Final[dict[str, tuple[bool, bool]]] = {
    "bailing_hybrid": (False, True),
    "deepseek_v2": (True, True),
    "deepseek_v3": (True, True),
    "deepseek_v32": (True, True),
    "deepseek_v41": (True, True),
    "deepseek_v41_text": (True, True),
    "exaone_moe": (True, False),
    "glm4_moe": (True, True),
    "glm4_moe_lite": (True, True),
    "glm_moe_dsa": (True, False),
    "gpt_oss": (True, False),
    "iquestcoder": (True, False),
    "iquestloopcoder": (True, False),
    "joyai_llm_flash": (True, True),
    "kimi_k2": (True, True),
    "kimi_k25": (True, False),
    "kimi_k3": (True, False),
    "llama": (True, False),
    "longcat_flash": (True, False),
    "longcat_flash_ngram": (True, False),
    "minimax": (True, False),
    "minimax_m2": (True, False),
    "minimax_m3_vl": (True, True),
    "ministral3": (True, True),
    "mistral": (True, False),
    "mistral4": (True, True),
    "muse_spark": (True, True),
    "prism_hadamard_qwen35": (True, False),
    "qwen2": (True, True),
    "qwen3": (True, False),
    "qwen3_5": (True, True),
    "qwen3_5_moe": (True, False),
    "qwen3_moe": (True, True),
    "qwen3_next": (False, True),
    "solar_open": (True, False),
    "step3p5": (True, False),
    "xverse": (True, False),
}
