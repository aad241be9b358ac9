"""EngineSettings, and the environment variables that engine children get."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

_GENERAL_ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
# MLX has no setting of the first name, and its documents say that the second can leave the GPU stuck until a restart.
# Both are asked for by this product's users; `[engine.env]` turns them off.
_FAST_SYNCH = "MLX_METAL_FAST_SYNCH"
_METAL_ENVIRONMENT = {"MLX_METAL_PREALLOCATE": "1", _FAST_SYNCH: "1"}
# Compiling runs a C++ compiler at the first use of every kernel, and gained a tiny model nothing (28 for 27 ms a step).
_CPU_ENVIRONMENT = {"MLX_DISABLE_COMPILE": "1"}
# Who belongs to a group is told by its plan; a child that found these would wait for peers that it does not have.
_NEVER_INHERITED = (
    "MLX_RANK",
    "MLX_HOSTFILE",
    "MLX_IBV_DEVICES",
    "MLX_JACCL_COORDINATOR",
    "MLX_JACCL_RING",
    "JACCL_RANK",
    "JACCL_IBV_DEVICES",
    "JACCL_COORDINATOR",
    "JACCL_RING",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What the owner of the machine decides about its engine."""

    env: Mapping[str, str] = field(default_factory=dict[str, str])  # an empty value takes a variable away
    duty_fraction: float = 1.0
    max_batch_size: int = 64
    stall_timeout_s: float = 60.0
    idle_unload_s: float = 0.0  # 0: a loaded model stays
    checkpoint_every_s: float = 2.0  # at least; training spends no more than a twentieth of its time on it


def child_environment(
    inherited: Mapping[str, str], settings: EngineSettings, *, in_group: bool = False
) -> dict[str, str]:
    """The child's environment variables.

    In a group fast synchronisation, which makes a wedged GPU likelier there, is on only where the settings say so.
    """
    on_cpu = _CPU_ENVIRONMENT if sys.platform == "linux" else {}
    merged = {**inherited, **_GENERAL_ENVIRONMENT, **_METAL_ENVIRONMENT, **on_cpu}
    if in_group:
        del merged[_FAST_SYNCH]
    merged |= settings.env
    left_out = {name for name, value in settings.env.items() if not value}.union(_NEVER_INHERITED)
    return {name: value for name, value in merged.items() if name not in left_out}
